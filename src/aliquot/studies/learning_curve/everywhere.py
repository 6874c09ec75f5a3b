"""How do methods compare over sets? Sets are independent, as repeats on one of them are not: each counts once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from aliquot.studies.learning_curve.advice import RELIABLE
from aliquot.studies.learning_curve.curves import Curves, curves, level, ratio
from aliquot.studies.results import Results
from aliquot.studies.statistics import Interval, holm, paired

if TYPE_CHECKING:
    from aliquot.studies.learning_curve import Settings

__all__ = ["WORDS", "Compared", "Everywhere", "compared"]

Array = NDArray[np.float64]

#: Purposes in sentences.
WORDS: Final = {"energies": "energies", "forces": "forces", "both": "energies and forces together"}


@dataclass(frozen=True)
class Compared:
    """A method against another one over sets.

    Parameters
    ----------
    method : str
    factor : Interval
        Its errors over those of the other, median over sets.
    p : float
        Of the signed-rank test over sets, corrected for the number of methods.
    wins, losses : int
        Sets on which it has lower and higher errors.
    """

    method: str
    factor: Interval
    p: float
    wins: int
    losses: int

    @property
    def reliable(self) -> bool:
        """Whether the difference is."""
        return self.p < RELIABLE


def compared(levels: dict[str, Array], against: str, *, seed: int = 0) -> list[Compared]:
    """Every method against one, the best first.

    Parameters
    ----------
    levels : dict of str to (sets,) array
        Mean logarithms of errors.
    against : str
    seed : int

    Examples
    --------
    >>> two = compared({"a": np.log([1.0, 1.0, 1.0]), "b": np.log([0.5, 0.4, 0.625])}, "a")
    >>> two[0].method, round(two[0].factor.value, 6), two[0].wins
    ('b', 0.5, 3)
    """
    others = [name for name in levels if name != against]
    differences = {name: levels[name] - levels[against] for name in others}
    p = holm([paired(levels[name], levels[against], test_over_train=None).p for name in others])
    made = [
        Compared(
            name,
            ratio(differences[name], statistic="median", seed=seed),
            float(one),
            int(np.sum(differences[name] < 0)),
            int(np.sum(differences[name] > 0)),
        )
        for name, one in zip(others, p, strict=True)
    ]
    return sorted(made, key=lambda one: one.factor.value)


@dataclass(frozen=True, eq=False)
class Everywhere:
    """Curves of all sets for one purpose, of the methods that have them everywhere."""

    purpose: str
    sets: tuple[str, ...]
    found: tuple[Curves, ...]
    methods: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings, results: Results, purpose: str) -> Everywhere:
        """Of the sets that have such errors."""
        made = {name: curves(results.where(set=name), purpose, settings.methods) for name in settings.pools}
        there = {name: one for name, one in made.items() if one is not None}
        whole = [
            name
            for name in settings.methods
            if all(name in one.logs and np.isfinite(one.logs[name]).all() for one in there.values())
        ]
        return cls(purpose, tuple(there), tuple(there.values()), tuple(whole))

    def levels(self, step: int | None = None) -> dict[str, Array]:
        """Mean over repeats of each set: over all budgets, or at one."""
        return {
            name: np.array(
                [
                    float(
                        np.mean(
                            level(one.n, one.logs[name])
                            if step is None
                            else one.logs[name][min(step, len(one.n) - 1)]
                        )
                    )
                    for one in self.found
                ]
            )
            for name in self.methods
        }

    @property
    def steps(self) -> int:
        """Budgets."""
        return max(len(one.n) for one in self.found)

    def ranks(self) -> dict[str, float]:
        """Mean rank over sets and budgets; 1 is the lowest error."""
        table = np.array(
            [list(self.levels(step).values()) for step in range(self.steps)]
        )  # steps, methods, sets
        return dict(zip(self.methods, stats.rankdata(table, axis=1).mean(axis=(0, 2)).tolist(), strict=True))
