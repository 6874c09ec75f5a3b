"""What was measured, by method, budget and column.

A relaxation that fails, or ends below the crystal, counts as a surface that costs nothing: its error is the reference
itself, the largest that any surface can have here. Left out, a failure would speak for the method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.results import Results
from aliquot.studies.silicon_surfaces.slabs import REFERENCE
from aliquot.studies.statistics import Interval, interval

__all__ = ["TOGETHER", "Numbers", "failed"]

Array = NDArray[np.float64]

#: The error of (100) and (111) together, what the goal is stated in.
TOGETHER = "error_100_111"


@dataclass(frozen=True)
class Numbers:
    """Access to results, in the order of the repeats.

    Parameters
    ----------
    results : Results
    budgets : tuple of int
    """

    results: Results
    budgets: tuple[int, ...]

    def by_repeat(
        self, method: str, n: int, column: str, *, features: str = "M", control: str = ""
    ) -> dict[int, float]:
        """One number for every repeat, NaN where there is none."""
        rows = self.results.where(method=method, n=n, features=features, control=control).rows
        return {
            int(row["repeat"]): _value(row, column) for row in sorted(rows, key=lambda row: row["repeat"])
        }

    def of(self, method: str, n: int, column: str, *, features: str = "M", control: str = "") -> Array:
        """One number for every repeat."""
        found = self.by_repeat(method, n, column, features=features, control=control)
        return np.array(list(found.values()), np.float64)

    def pair(self, a: str, b: str, n: int, column: str) -> tuple[Array, Array]:
        """The same repeats of two methods on features M."""
        first, second = self.by_repeat(a, n, column), self.by_repeat(b, n, column)
        both = [k for k in first if k in second]
        return np.array([first[k] for k in both]), np.array([second[k] for k in both])

    def interval(
        self, method: str, n: int, column: str, statistic: str = "mean", features: str = "M"
    ) -> Interval:
        """Statistic of the repeats."""
        return interval(self.of(method, n, column, features=features), statistic=statistic)

    def methods(self, features: str = "M") -> tuple[str, ...]:
        """Methods that were run on these features."""
        return self.results.where(features=features, control="").values("method")

    def repeats(self, method: str, features: str = "M") -> int:
        """How many repeats a method had."""
        return len(self.results.where(method=method, features=features, control="", n=self.budgets[0]).rows)


def failed(row: Mapping[str, Any], surface: str) -> bool:
    """Whether a relaxation did not end in a surface."""
    gamma = row.get(f"gamma_{surface}")
    return gamma is None or gamma <= 0


def _value(row: Mapping[str, Any], column: str) -> float:
    if column == TOGETHER:
        return float(np.sqrt((_value(row, "error_100") ** 2 + _value(row, "error_111") ** 2) / 2))
    if column.startswith("error_"):
        surface = column.removeprefix("error_")
        if failed(row, surface):
            return REFERENCE[surface]
        return min(abs(row[f"gamma_{surface}"] - REFERENCE[surface]), REFERENCE[surface])
    return float("nan") if row.get(column) is None else float(row[column])
