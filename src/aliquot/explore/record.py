"""What an exploration found, and how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aliquot.structures.frames import Frames

__all__ = ["Exploration", "Pick", "WalkRecord"]


@dataclass(frozen=True)
class Pick:
    """One structure that was found.

    Parameters
    ----------
    walk, start, step : int
        Which walk found it, from which starting structure, at which step.
    score : float
        Largest spread of a force over the force's size.
    sigma : float, eV
        Spread of the energy.
    tau : float
        Strength of the bias.
    gain : float, nat
        Information that its labels bring, given those before it.
    temperature : float, K
        Kinetic.
    """

    walk: int
    start: int
    step: int
    score: float
    sigma: float
    tau: float
    gain: float
    temperature: float


@dataclass(frozen=True)
class WalkRecord:
    """How one walk went: ``kind`` is ``found``, ``quiet`` or ``broken``."""

    number: int
    start: int
    steps: int
    kind: str
    reason: str
    largest: float
    tried: int
    accepted: int


@dataclass(frozen=True, eq=False)
class Exploration:
    """Structures, and where they come from.

    Parameters
    ----------
    frames : Frames
        In the order found; labelled in one-shot mode.
    picks : tuple of Pick
    walks : tuple of WalkRecord
    notes : tuple of str
    steps : int
        Of all walks.
    seconds : float
        Spent here, by all runs of a search that was interrupted.
    """

    frames: Frames
    picks: tuple[Pick, ...]
    walks: tuple[WalkRecord, ...]
    notes: tuple[str, ...]
    steps: int
    seconds: float

    @property
    def gain(self) -> float:
        """Information of all structures together, nat."""
        return sum(pick.gain for pick in self.picks)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "structures": len(self.frames),
            "gain": self.gain,
            "picks": [vars(pick) for pick in self.picks],
            "walks": [vars(walk) for walk in self.walks],
            "notes": list(self.notes),
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
        }
