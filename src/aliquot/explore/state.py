"""How far has a generation come? The sums that decide what comes next, and the rule by which they change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.explore.attempt import ALONE, CLOSE, Attempt, Drive
from aliquot.explore.census import COLUMNS
from aliquot.explore.entropy import Gaussians, Standard
from aliquot.explore.recipe import Recipe

__all__ = ["ACCEPTED", "NO_GAIN", "Accepted", "State"]

ACCEPTED: Final = "accepted"
NO_GAIN: Final = "no gain of entropy"

#: K at first; the share of attempts whose atoms come too close that it aims at; how fast it follows.
WEIGHT: Final = 0.1
AIM: Final = 0.2
RATE: Final = 0.5

#: Attempts that share one drive: a quarter of the structures there are, within these limits.
FEWEST, MOST = 8, 64


class Accepted(NamedTuple):
    """An attempt that was accepted: what it brought, and the entropies of both sets with it."""

    attempt: Attempt
    gain: float
    entropy: float
    packed: float


@dataclass
class State:
    """Where a generation stands after a round.

    Parameters
    ----------
    standard : Standard
    known, packed : Gaussians
        Environments of the accepted structures, and of the random packings they began with.
    weight : float
        K.
    attempts, accepted : int
    verdicts : dict of str to int
        How many attempts were accepted, and how many were rejected for what.
    history : list of dict
        After each round: attempts, accepted, entropy, entropy of the packings, weight, seconds so far.
    seconds : float
    """

    standard: Standard
    known: Gaussians
    packed: Gaussians
    weight: float = WEIGHT
    attempts: int = 0
    accepted: int = 0
    verdicts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((ACCEPTED, CLOSE, ALONE, NO_GAIN), 0)
    )
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def begin(cls, recipe: Recipe, reference: list[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> State:
        """Nothing accepted; environments are standardised by these."""
        species, rows = (np.concatenate(parts) for parts in zip(*reference, strict=True))
        n = len(recipe.basis.elements)
        empty = Gaussians.empty(n, rows.shape[1], ridge=recipe.ridge)
        return cls(Standard.of(rows, species, n), empty, empty)

    def round(self) -> list[int]:
        """Numbers of the attempts of the next round."""
        size = min(max(self.accepted // 4, FEWEST), MOST)
        return list(range(self.attempts, self.attempts + size))

    def drive(self) -> Drive:
        """What drives them."""
        return Drive(self.standard, self.known, self.weight)

    def absorb(self, recipe: Recipe, found: list[Attempt]) -> list[Accepted]:
        """Judge a round in order; the accepted attempts.

        The set grows within the round, so that of two attempts at the same corner the second is judged by what the
        first has left of it.
        """
        kept: list[Accepted] = []
        told = dict.fromkeys(self.verdicts, 0)
        for attempt in found:
            gain = self.known.gain(attempt.rows, attempt.species)
            verdict = attempt.problem or ACCEPTED
            if not attempt.problem and not self._worth(recipe, attempt, gain):
                verdict = NO_GAIN
            told[verdict] += 1
            if verdict == ACCEPTED:
                self.known = self.known.joined(attempt.rows, attempt.species)
                self.packed = self.packed.joined(attempt.packed, attempt.species)
                self.accepted += 1
                kept.append(Accepted(attempt, gain, self.known.entropy, self.packed.entropy))
        self.attempts += len(found)
        for verdict, times in told.items():
            self.verdicts[verdict] += times
        self.weight *= float(np.exp(RATE * (AIM - told[CLOSE] / len(found))))
        return kept

    def _worth(self, recipe: Recipe, attempt: Attempt, gain: float) -> bool:
        """Whether a structure is more diverse than what it is compared with."""
        if recipe.strict:
            return gain > 0.0
        if recipe.objective == "local":
            local = COLUMNS.index("local")
            return bool(attempt.seen[local] > attempt.seen_packed[local])
        return gain > self.known.gain(attempt.packed, attempt.species)

    def remember(self) -> None:
        """Add a line to the history."""
        self.history.append(
            {
                "attempts": self.attempts,
                "accepted": self.accepted,
                "entropy": self.known.entropy,
                "packed": self.packed.entropy,
                "weight": self.weight,
                "seconds": self.seconds,
            }
        )
