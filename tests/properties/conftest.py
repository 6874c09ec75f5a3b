"""Energies by brute force: what properties are compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms, units
from ase.optimize import BFGS


def _energy(calculator, structure: Atoms, *, fmax: float | None = None) -> float:
    atoms = structure.copy()
    atoms.calc = calculator
    if fmax:
        BFGS(atoms, logfile=None).run(fmax=fmax, steps=300)
    return atoms.get_potential_energy()


def _modulus(calculator, crystal: Atoms, shape, *, h: float = 4e-3, fmax: float | None = None) -> float:
    energies = []
    for step in (-2, -1, 0, 1, 2):
        atoms = crystal.copy()
        atoms.set_cell(crystal.cell.array @ (np.eye(3) + step * h * np.array(shape)), scale_atoms=True)
        energies.append(_energy(calculator, atoms, fmax=fmax))
    second = np.dot([-1, 16, -30, 16, -1], energies) / (12 * h**2)
    return second / crystal.get_volume() / units.GPa


@pytest.fixture(scope="session")
def energy_of() -> Callable[..., float]:
    """``energy_of(calculator, atoms, fmax=None)``, eV; relaxed at fixed cell if ``fmax`` is given."""
    return _energy


@pytest.fixture(scope="session")
def modulus_by_energy() -> Callable[..., float]:
    """``modulus_by_energy(calculator, crystal, shape)``: second derivative of the energy by a strain, per volume, GPa.

    No stress and no linear response: five energies, the atoms relaxed at each if ``fmax`` is given.
    """
    return _modulus
