"""How does one biased trajectory go? Step by step until it has found something, become too long, or broken down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from aliquot.ace.verlet_list import VerletList
from aliquot.errors import AliquotError
from aliquot.explore.biased import Biased, Felt, Strength
from aliquot.explore.langevin import thermal_velocities
from aliquot.explore.settings import HalSettings

__all__ = ["BROKEN", "FOUND", "QUIET", "Walk", "WalkEnd"]

Array = NDArray[np.float64]

FOUND: Final = "found"
QUIET: Final = "quiet"
BROKEN: Final = "broken"

#: Å beyond which the guard's neighbour list looks, to be searched rarely.
_SKIN: Final = 0.6


@dataclass(frozen=True)
class WalkEnd:
    """How a walk ended.

    Parameters
    ----------
    kind : str
        ``found``, ``quiet`` or ``broken``.
    reason : str
    score : float
        Largest relative uncertainty of a force, where found; else the largest seen.
    sigma : float, eV
    """

    kind: str
    reason: str
    score: float
    sigma: float


@dataclass
class Walk:
    """A trajectory under way; everything that it is at this moment.

    Parameters
    ----------
    atoms : ase.Atoms
        With velocities.
    number, start : int
        Which walk it is, and from which structure it began.
    step : int
    strength : Strength
    tried, accepted : int
        Moves.
    largest : float
        Relative uncertainty seen so far.
    """

    atoms: Atoms
    number: int
    start: int
    strength: Strength
    step: int = 0
    tried: int = 0
    accepted: int = 0
    largest: float = 0.0
    _guard: VerletList | None = field(default=None, repr=False)

    @classmethod
    def begin(
        cls, atoms: Atoms, number: int, start: int, settings: HalSettings, rng: np.random.Generator
    ) -> Walk:
        """With thermal velocities."""
        atoms = atoms.copy()
        atoms.set_constraint()
        atoms.set_velocities(thermal_velocities(atoms, settings.temperature, rng))
        return cls(atoms, number, start, Strength(settings.bias, settings.window, []))

    @property
    def temperature(self) -> float:
        """Kinetic, K."""
        speed = self.atoms.get_velocities()
        kinetic = 0.5 * float(np.sum(self.atoms.get_masses()[:, None] * speed**2))
        return 2.0 * kinetic / (3.0 * units.kB * len(self.atoms))

    def go(
        self, model: Biased, settings: HalSettings, rng: np.random.Generator, stop_at: int
    ) -> WalkEnd | None:
        """Walk on to step ``stop_at``; None if nothing has ended the walk by then."""
        try:
            felt = self._feel(model, settings)
            while isinstance(felt, Felt):
                if self.step >= settings.steps:
                    reason = f"no force was as uncertain as that within {settings.steps} steps"
                    return WalkEnd(QUIET, reason, self.largest, felt.tilt.sigma)
                if self.step >= stop_at:
                    return None
                felt = self._step(felt, model, settings, rng)
            return felt
        except (AliquotError, FloatingPointError, np.linalg.LinAlgError) as error:
            return WalkEnd(BROKEN, f"step {self.step}: {error}", self.largest, float("nan"))

    def _step(
        self, felt: Felt, model: Biased, settings: HalSettings, rng: np.random.Generator
    ) -> Felt | WalkEnd:
        """One step of dynamics, moves where they are due, and what the new structure says."""
        bath, tau = settings.bath, self.strength.tau
        velocities = bath.drift(self.atoms, felt.biased(tau), rng)
        self.step += 1
        if (problem := self._too_close(settings)) is not None:
            return WalkEnd(BROKEN, f"step {self.step}: {problem}", self.largest, felt.tilt.sigma)
        felt_here = model(self.atoms)
        self.strength.feel(felt_here)
        bath.kick(self.atoms, velocities, felt_here.biased(self.strength.tau))
        if (problem := self._broken(felt_here, settings)) is not None:
            return WalkEnd(BROKEN, f"step {self.step}: {problem}", self.largest, felt.tilt.sigma)
        moves = settings.moves
        if (moves.strain or moves.swap) and self.step % moves.every == 0:
            tried, accepted = moves.make(self.atoms, model, self.strength.tau, settings.temperature, rng)
            self.tried, self.accepted = self.tried + tried, self.accepted + accepted
            if accepted:
                return self._feel(model, settings)
        return self._judged(felt_here, model, settings)

    def _feel(self, model: Biased, settings: HalSettings) -> Felt | WalkEnd:
        """Where a walk begins, goes on, or has jumped to."""
        if (problem := self._too_close(settings)) is not None:
            return WalkEnd(BROKEN, f"step {self.step}: {problem}", self.largest, float("nan"))
        felt = model(self.atoms)
        if not self.strength.recent:
            self.strength.feel(felt)
        if (problem := self._broken(felt, settings)) is not None:
            return WalkEnd(BROKEN, f"step {self.step}: {problem}", self.largest, float("nan"))
        return felt

    def _judged(self, felt: Felt, model: Biased, settings: HalSettings) -> Felt | WalkEnd:
        """Whether this structure is worth a label."""
        score = float(felt.relative(felt.tilt.uphill, settings.floor).max())
        if score <= settings.trigger and self.step % settings.check_every == 0:
            spread = model.bias.forces_std(self.atoms)
            score = float(felt.relative(spread, settings.floor).max())
        self.largest = max(self.largest, score)
        if score <= settings.trigger:
            return felt
        reason = f"step {self.step}: a force is uncertain by {score:.2f} of its size"
        return WalkEnd(FOUND, reason, score, felt.tilt.sigma)

    def _broken(self, felt: Felt, settings: HalSettings) -> str | None:
        numbers: tuple[Any, ...] = (felt.energy, felt.forces, felt.tilt.sigma, felt.tilt.uphill)
        if not all(np.isfinite(x).all() for x in numbers):
            return "energy or forces are not finite"
        if (hot := self.temperature) > settings.hottest * settings.temperature:
            return f"the kinetic temperature is {hot:.0f} K, the thermostat's {settings.temperature:.0f} K"
        return None

    def _too_close(self, settings: HalSettings) -> str | None:
        from ase.data import chemical_symbols, covalent_radii

        if not settings.hard_core:
            return None
        radii = settings.hard_core * covalent_radii[self.atoms.numbers]
        if self._guard is None:
            self._guard = VerletList(2.0 * float(radii.max()), _SKIN)
        pairs = self._guard.update(self.atoms.positions, self.atoms.cell.array, self.atoms.pbc)
        centre = np.repeat(np.arange(len(radii)), np.diff(pairs.first))
        lengths = np.sqrt(np.einsum("ij,ij->i", pairs.vectors, pairs.vectors))
        close = np.flatnonzero(lengths < radii[centre] + radii[pairs.index])
        if not len(close):
            return None
        p = int(close[np.argmin(lengths[close])])
        a, b = (chemical_symbols[self.atoms.numbers[i]] for i in (centre[p], pairs.index[p]))
        return f"{a} and {b} are {lengths[p]:.2f} Å apart, inside the hard core"
