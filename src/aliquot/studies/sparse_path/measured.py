"""What was measured, split by split: columns of numbers that can be paired, and their differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.results import Results
from aliquot.studies.sparse_path.judging import MATCHES
from aliquot.studies.sparse_path.sets import SETS, Labelled
from aliquot.studies.sparse_path.settings import Settings
from aliquot.studies.sparse_path.solving import DENSE
from aliquot.studies.sparse_path.stability import pairs_of, unpacked
from aliquot.studies.statistics import Difference, Interval, interval, paired

__all__ = ["AIMS", "Measured"]

Array = NDArray[np.float64]

#: Numbers of functions of the dense models that sparse ones are measured against at equal error.
AIMS = (100, 200, 300, 500)


@dataclass(frozen=True)
class Measured:
    """Results, by kind, set, method and number of functions.

    Parameters
    ----------
    settings : Settings
    results : Results
    """

    settings: Settings
    results: Results

    @cached_property
    def _rows(self) -> Mapping[tuple[Any, ...], Mapping[str, Any]]:
        keys = ("kind", "set", "method", "n", "seed")
        return {tuple(row[key] for key in keys): row for row in self.results.rows}

    @property
    def aims(self) -> tuple[int, ...]:
        """Dense models to compare with: :data:`AIMS`, or all sizes where these are none of them."""
        return tuple(n for n in self.settings.sizes if n in AIMS) or self.settings.sizes

    def among(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of these sets that were measured."""
        return tuple(name for name in self.settings.sets if name in names)

    def methods(self, *names: str) -> tuple[str, ...]:
        """Those of these methods that were measured."""
        return tuple(name for name in names if name in self.settings.methods)

    def overlap(self, name: str) -> float:
        """Structures that a split draws for judging over those that teach, for Nadeau and Bengio's correction.

        Where the test is published, splits differ in what validates.
        """
        of = self.settings
        if SETS.get(name, Labelled()).published_test:
            return of.validation / (of.chunks - of.validation)
        return of.test / (of.chunks - of.validation - of.test)

    def column(self, kind: str, name: str, method: str, n: int, column: str) -> Array:
        """A number of every split, (splits,); NaN where there is none."""
        rows = (self._rows.get((kind, name, method, n, seed)) for seed in self.settings.seeds_of(name))
        return np.array([math.nan if row is None or row[column] is None else row[column] for row in rows])

    def band(self, kind: str, name: str, method: str, n: int, column: str) -> Interval:
        """Its mean over splits, with the interval from resampling them."""
        return interval(self.column(kind, name, method, n, column))

    def share(self, name: str, method: str, column: str, n: int, *, kind: str = "match") -> Array:
        """Of a dense model's functions, cost or time, what the model of equal validation error needs, (splits,).

        One where the path does not reach that error; NaN where there is no dense model.
        """
        dense = self.column("budget", name, MATCHES[kind], n, column)
        share = self.column(kind, name, method, n, column) / dense
        return np.where(np.isnan(share) & ~np.isnan(dense), 1.0, share)

    def shares(self, name: str, method: str, column: str, *, kind: str = "match") -> Array:
        """:meth:`share`, the geometric mean over all dense models compared with, (splits,)."""
        logs = [np.log(self.share(name, method, column, n, kind=kind)) for n in self.aims]
        known = [one for one in logs if not np.isnan(one).any()]
        return np.exp(np.mean(known, axis=0)) if known else np.full(len(self.settings.seeds_of(name)), np.nan)

    def unreached(self, name: str, method: str, *, kind: str = "match") -> int:
        """Dense models, over all splits, whose validation error a path does not reach."""
        dense, own = (
            np.array([self.column(which, name, who, n, "functions") for n in self.aims])
            for which, who in (("budget", MATCHES[kind]), (kind, method))
        )
        return int(np.sum(np.isnan(own) & ~np.isnan(dense)))

    def error_ratio(self, name: str, method: str, column: str) -> Array:
        """Test error of the models of equal validation error, over that of the dense ones, (splits,)."""
        ratios = [
            self.column("match", name, method, n, column) / self.column("budget", name, DENSE, n, column)
            for n in self.aims
        ]
        known = np.where(np.isfinite(ratios), ratios, 1.0)
        count = np.maximum(1, np.isfinite(ratios).sum(axis=0))
        return np.exp(np.log(known).sum(axis=0) / count)

    def difference(self, name: str, one: Array, two: Array) -> Difference | None:
        """``one`` − ``two`` with the corrected test; None where there are not two splits to compare."""
        if np.isfinite(one - two).sum() < 2:
            return None
        return paired(one, two, test_over_train=self.overlap(name))

    def overlaps(self, name: str, method: str, n: int) -> tuple[Interval, Interval] | None:
        """Jaccard index and consistency of supports over all pairs of splits; None where there is no pair.

        Intervals hold the supports of splits together: they come from leaving each split out in turn (jackknife).
        """
        keys = (("support", name, method, n, seed) for seed in self.settings.seeds_of(name))
        rows = [row for key in keys if (row := self._rows.get(key))]
        if len(rows) < 2:
            return None
        masks = [unpacked(row["support"], row["candidates"]) for row in rows]
        jaccard, beyond = (
            _jackknife(masks, lambda some, k=k: float(np.mean(pairs_of(some)[k]))) for k in (0, 1)
        )
        return jaccard, beyond


def _jackknife(masks: Sequence[Any], statistic: Callable[[Sequence[Any]], float]) -> Interval:
    """Value over all, and about two standard errors to either side."""
    value, n = statistic(masks), len(masks)
    if n < 3:
        return Interval(value, math.nan, math.nan)
    left_out = np.array([statistic([m for j, m in enumerate(masks) if j != i]) for i in range(n)])
    error = math.sqrt((n - 1) / n * float(np.sum((left_out - left_out.mean()) ** 2)))
    return Interval(value, value - 1.96 * error, value + 1.96 * error)
