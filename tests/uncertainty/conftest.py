"""A fitted potential with its posterior, and structures it knows and does not know."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aliquot.ace.basis import AceBasis
from aliquot.ace.potential import AcePotential
from aliquot.fitting import Recipe, fit
from aliquot.structures import Frames


def cells(count: int, *, rattle: float, seed: int, symbols: str = "Cu") -> list[Atoms]:
    """Rattled and strained cells of 8 to 16 atoms, labelled by EMT."""
    rng = np.random.default_rng(seed)
    out: list[Atoms] = []
    for i in range(count):
        atoms = bulk("Cu", cubic=True) * (2, 1 + i % 2, 1)
        if symbols != "Cu":
            atoms.symbols = rng.choice(["Cu", "Au"], len(atoms))
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + rng.normal(scale=0.02, size=(3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(scale=rattle, size=atoms.positions.shape)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = energy, forces
        out.append(atoms)
    return out


@pytest.fixture(scope="session")
def copper_cells():
    """:func:`cells`, for structures of a test's own."""
    return cells


@pytest.fixture(scope="session")
def known_frames() -> Frames:
    return Frames.from_atoms(cells(40, rattle=0.12, seed=1))


@pytest.fixture(scope="session")
def fitted(known_frames) -> AcePotential:
    """A sparse potential with its posterior."""
    recipe = Recipe(
        basis=AceBasis(elements=(29,), cutoff=4.5, degree=(7, 7, 6)), choice="size 25", posterior=True
    )
    return fit(known_frames, recipe).potential


@pytest.fixture(scope="session")
def alloy_frames() -> Frames:
    return Frames.from_atoms(cells(30, rattle=0.1, seed=2, symbols="CuAu"))


@pytest.fixture(scope="session")
def alloy(alloy_frames) -> AcePotential:
    """Two elements with different numbers of functions."""
    recipe = Recipe(
        basis=AceBasis(elements=(29, 79), cutoff=4.5, degree=(5, 4)), choice="size 30", posterior=True
    )
    return fit(alloy_frames, recipe).potential
