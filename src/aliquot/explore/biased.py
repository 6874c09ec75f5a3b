r"""What forces move the atoms? Those of :math:`E - \tau \sigma`, mean and bias told apart.

The mean is the potential itself, from the same pass as the bias, or any ASE calculator.

τ keeps the bias at a stated share of the forces: :math:`\tau = \tau_{rel} \langle |F| \rangle / \langle |\partial
\sigma / \partial x| \rangle`, averages over the atoms and the last steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.explore.bias import Bias, Tilt
from aliquot.explore.surrogate import AceSurrogate

__all__ = ["Biased", "Felt", "Strength"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Felt:
    """Mean and bias of one structure.

    Parameters
    ----------
    energy : float, eV
    forces : (n_atoms, 3) array, eV/Å
        Of the mean.
    tilt : Tilt
    """

    energy: float
    forces: Array
    tilt: Tilt

    def biased(self, tau: float) -> Array:
        """Forces of E − τσ."""
        return self.forces + tau * self.tilt.uphill

    def relative(self, spread: Array, floor: float) -> Array:
        r"""Spread of the force of each atom over its size, :math:`|\sigma_i| / (|F_i| + \epsilon)`, (n_atoms,)."""
        return np.linalg.norm(spread, axis=1) / (np.linalg.norm(self.forces, axis=1) + floor)


@dataclass(frozen=True, eq=False)
class Biased:
    """A mean and a bias.

    Parameters
    ----------
    bias : Bias
    calculator : ase.calculators.calculator.Calculator, optional
        The mean; by default that of the bias, whose surrogate must then be a potential.
    """

    bias: Bias
    calculator: Any = None

    def __post_init__(self) -> None:
        if self.calculator is None and not isinstance(self.bias.surrogate, AceSurrogate):
            raise InputError("a descriptor has no energies of its own; give a calculator for the mean")

    def __call__(self, atoms: Atoms) -> Felt:
        """Mean and bias of a structure."""
        surrogate = self.bias.surrogate
        seen = surrogate.look(atoms)
        sigma, slope = self.bias.cotangent(seen.row)
        if self.calculator is None and isinstance(surrogate, AceSurrogate):
            mean, forces, virial = surrogate.pull_with_mean(seen, slope)
            return Felt(mean.energy, mean.forces, Tilt(sigma, -forces, -virial))
        tilt = self.bias.pulled(seen, sigma, slope)
        energy, forces = self._ask(atoms)
        return Felt(energy, forces, tilt)

    def levels(self, atoms: Atoms) -> tuple[float, float]:
        """Energy and σ alone."""
        if self.calculator is None:
            felt = self(atoms)
            return felt.energy, felt.tilt.sigma
        return self._ask(atoms, forces=False)[0], self.bias.sigma(atoms)

    def _ask(self, atoms: Atoms, *, forces: bool = True) -> tuple[float, Array]:
        """What the calculator says.

        Raises
        ------
        InputError
            With its own words, if it fails.
        """
        asked = atoms.copy()
        asked.calc = self.calculator
        try:
            found = asked.get_forces(apply_constraint=False) if forces else np.empty((0, 3))
            return float(asked.get_potential_energy()), np.array(found, np.float64)
        except Exception as error:  # whatever somebody else's code may raise
            raise InputError(f"the calculator failed: {type(error).__name__}: {error}") from error


@dataclass
class Strength:
    """τ, from what was felt lately.

    Parameters
    ----------
    relative : float
        Share of the forces that the bias shall have.
    window : int
        Steps that count.
    recent : list of (float, float)
        Mean sizes of force and of ∂σ/∂x at those steps.
    """

    relative: float
    window: int
    recent: list[tuple[float, float]]

    def feel(self, felt: Felt) -> None:
        """Count one more step."""
        size = float(np.linalg.norm(felt.forces, axis=1).mean())
        steep = float(np.linalg.norm(felt.tilt.uphill, axis=1).mean())
        self.recent.append((size, steep))
        del self.recent[: -self.window]

    @property
    def tau(self) -> float:
        """0 where nothing was felt, or nothing is uncertain."""
        force, steep = np.array(self.recent).mean(axis=0) if self.recent else (0.0, 0.0)
        return float(self.relative * force / steep) if steep > 0 else 0.0
