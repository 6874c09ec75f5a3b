r"""What can dynamics not do in a picosecond? Change the cell, exchange elements: Metropolis moves between its steps.

A move is accepted with probability :math:`\min(1, e^{-\Delta W})`,

.. math:: \Delta W = \frac{\Delta(E - \tau \sigma) + p \Delta V}{k_B T} - N \log \frac{V'}{V},

energies those of the biased surface, so that cells and orders of which the model is unsure are favoured too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.explore.biased import Biased

__all__ = ["Moves", "strained", "swapped"]

Array = NDArray[np.float64]

#: Voigt positions of a symmetric matrix.
_VOIGT: Final = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class Moves:
    """Which moves, and how often.

    Parameters
    ----------
    every : int
        Steps of dynamics between moves.
    strain : float
        Standard deviation of each component of the strain of a cell move; 0 for none.
    swap : bool
        Exchange two atoms of different elements.
    pressure : float, GPa

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    every: int = 50
    strain: float = 0.0
    swap: bool = False
    pressure: float = 0.0

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 <= self.strain < 0.2 or not np.isfinite(self.pressure):
            raise InputError(
                f"moves need every ≥ 1, 0 ≤ strain < 0.2 and a finite pressure; got every={self.every},"
                f" strain={self.strain}, pressure={self.pressure}"
            )

    def check(self, atoms: Atoms, name: str) -> None:
        """Refuse a structure that cannot be moved so."""
        if self.strain > 0 and not atoms.pbc.all():
            raise InputError(f"{name} is not periodic along every axis: its cell cannot be strained")
        if self.swap and len(set(atoms.numbers.tolist())) < 2:
            raise InputError(f"{name} has one element: there is nothing to exchange")

    def make(
        self, atoms: Atoms, model: Biased, tau: float, temperature: float, rng: np.random.Generator
    ) -> tuple[int, int]:
        """Try each kind of move once; moves tried and accepted. ``atoms`` changes where one was accepted."""
        tried = accepted = 0
        for kind in ("strain", "swap"):
            if not getattr(self, kind):
                continue
            other = strained(atoms, self.strain, rng) if kind == "strain" else swapped(atoms, rng)
            work = self._work(atoms, other, model, tau, temperature)
            tried += 1
            if np.log(rng.random()) < -work:
                velocities = atoms.get_velocities()
                atoms.set_cell(other.cell)
                atoms.positions = other.positions
                atoms.set_velocities(velocities)
                accepted += 1
        return tried, accepted

    def _work(self, atoms: Atoms, other: Atoms, model: Biased, tau: float, temperature: float) -> float:
        (before, sigma), (after, there) = model.levels(atoms), model.levels(other)
        change = after - before - tau * (there - sigma)
        if atoms.pbc.all():
            old, new = atoms.cell.volume, other.cell.volume
            pressure = self.pressure * units.GPa
            change += pressure * (new - old) - len(atoms) * units.kB * temperature * np.log(new / old)
        return float(change / (units.kB * temperature))


def strained(atoms: Atoms, scale: float, rng: np.random.Generator) -> Atoms:
    """The structure under a random symmetric strain, atoms taken along."""
    strain = np.zeros((3, 3))
    for (a, b), value in zip(_VOIGT, scale * rng.standard_normal(6), strict=True):
        strain[a, b] = strain[b, a] = value
    other = atoms.copy()
    other.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return other


def swapped(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """The structure with the places of two atoms of different elements exchanged."""
    i = int(rng.integers(len(atoms)))
    others = np.flatnonzero(atoms.numbers != atoms.numbers[i])
    j = int(rng.choice(others))
    other = atoms.copy()
    other.positions[[i, j]] = atoms.positions[[j, i]]
    return other
