r"""How do atoms move in a heat bath? Langevin dynamics, one step at a time, its noise from a generator that is given.

The splitting is BAOAB: half a kick, half a drift, friction and noise, half a drift, the new forces, half a kick. All
that a run is at any moment are positions, velocities, forces and the state of the generator.

References
----------
B. Leimkuhler and C. Matthews, Appl. Math. Res. Express 2013, 34 (2013), doi:10.1093/amrx/abs010
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["Langevin", "thermal_velocities"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Langevin:
    """A heat bath.

    Parameters
    ----------
    temperature : float, K
    timestep : float, fs
    friction_time : float, fs
        In which a velocity is forgotten.

    Raises
    ------
    InputError
        If one is not positive.
    """

    temperature: float
    timestep: float = 1.0
    friction_time: float = 100.0

    def __post_init__(self) -> None:
        for name in ("temperature", "timestep", "friction_time"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} must be positive; got {value}")

    def drift(self, atoms: Atoms, forces: Array, rng: np.random.Generator) -> Array:
        """Move the atoms by one step under these forces; the velocities, (n, 3), that lack the last half kick."""
        dt, masses = self.timestep * units.fs, atoms.get_masses()[:, None]
        velocities = atoms.get_velocities() + 0.5 * dt * forces / masses
        positions = atoms.positions + 0.5 * dt * velocities
        keep = np.exp(-self.timestep / self.friction_time)
        kick = np.sqrt((1 - keep**2) * units.kB * self.temperature / masses)
        velocities = keep * velocities + kick * rng.standard_normal(velocities.shape)
        atoms.positions = positions + 0.5 * dt * velocities
        return velocities

    def kick(self, atoms: Atoms, velocities: Array, forces: Array) -> None:
        """The last half kick, by the forces at the new positions."""
        dt = self.timestep * units.fs
        atoms.set_velocities(velocities + 0.5 * dt * forces / atoms.get_masses()[:, None])


def thermal_velocities(atoms: Atoms, temperature: float, rng: np.random.Generator) -> Array:
    """Velocities of a Maxwell distribution whose centre of mass rests, (n, 3)."""
    masses = atoms.get_masses()[:, None]
    velocities = np.sqrt(units.kB * temperature / masses) * rng.standard_normal((len(atoms), 3))
    return velocities - (masses * velocities).sum(axis=0) / masses.sum()
