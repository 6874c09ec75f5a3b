r"""How many times larger the error of one method is than that of another, and how sure that is.

Draws in one division share pool and test, so the division is the unit: the mean logarithm of the errors of its draws
is one number for each method. Two methods are compared division by division. Divisions overlap, so differences go
through the corrected resampled t-test, with the ratio of structures that judge to structures of the pool: that much of
the data is shared between any two repeats. The exponential of the mean difference is the ratio told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.results import Results
from aliquot.studies.statistics import holm, paired

__all__ = ["COLUMNS", "Ratio", "budgets", "per_split", "quartiles", "ratio", "ratios", "reached"]

#: Errors by the way in which the same structures are fitted; see :mod:`aliquot.studies.hafnia_dpp.solving`.
COLUMNS: Final = {
    "published": "published_energy_rmse_meV",
    "absolute cut": "absolute_energy_rmse_meV",
    "free atoms": "referenced_energy_rmse_meV",
    "evidence": "evidence_energy_rmse_meV",
    "evidence: forces": "evidence_force_rmse_meV_A",
    "with forces": "forces_energy_rmse_meV",
    "with forces: forces": "forces_force_rmse_meV_A",
}


@dataclass(frozen=True)
class Ratio:
    """Error of one method over that of another; ``p`` corrected for as many tests as were made together."""

    value: float
    low: float
    high: float
    p: float
    splits: int

    @property
    def differs(self) -> bool:
        """Whether it is from 1 at a level of 5 %."""
        return self.p < 0.05

    def text(self) -> str:
        """As ``1.32 [1.20, 1.45]``, with a star where it differs from 1."""
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]{'*' if self.differs else ''}"


def budgets(results: Results) -> tuple[tuple[int, bool], ...]:
    """N and whether it is the number of descriptors, ascending, up to three quarters of the smallest pool."""
    most = 0.75 * min(int(row["pool"]) for row in results.rows) if results.rows else 0
    found = {(int(row["budget"]), bool(row["square"])) for row in results.rows if row.get("budget")}
    return tuple(sorted((n, square) for n, square in found if n <= most))


def per_split(results: Results, method: str, n: int, column: str) -> dict[int, float]:
    """Mean logarithm of an error over the draws of each division."""
    some = results.where(method=method, budget=n)
    out = {int(split): np.log(rows.column(column)) for (split,), rows in some.by("split")}
    return {split: float(np.mean(x[np.isfinite(x)])) for split, x in out.items() if np.isfinite(x).any()}


def ratio(results: Results, above: str, below: str, n: int, column: str) -> Ratio | None:
    """Error of ``above`` over that of ``below``, p not corrected; None where fewer than two divisions have both."""
    a, b = per_split(results, above, n, column), per_split(results, below, n, column)
    common = sorted(set(a) & set(b))
    if len(common) < 2:
        return None
    shared = results.where(method=above, budget=n)
    overlap = float(np.mean(shared.column("test") / shared.column("pool")))
    found = paired([a[k] for k in common], [b[k] for k in common], test_over_train=overlap)
    value, low, high = (float(np.exp(x)) for x in (found.mean.value, found.mean.low, found.mean.high))
    return Ratio(value, low, high, found.p, found.repeats)


def ratios(
    results: Results, pairs: Sequence[tuple[str, str]], column: str
) -> dict[tuple[str, str, int], Ratio]:
    """Ratios of all pairs at all budgets; one pair is corrected for all budgets, many for all pairs at each budget."""
    found = {
        (above, below, n): one
        for above, below in pairs
        for n, _ in budgets(results)
        if (one := ratio(results, above, below, n, column)) is not None
    }
    out = dict(found)
    for n in [0] if len(pairs) == 1 else {key[2] for key in found}:
        together = [key for key in found if n in (0, key[2])]
        corrected = holm([found[key].p for key in together]) if together else ()
        out |= {key: replace(found[key], p=float(p)) for key, p in zip(together, corrected, strict=True)}
    return out


def quartiles(results: Results, method: str, n: int, column: str) -> NDArray[np.float64]:
    """First quartile, median and third quartile over all trials, as published; NaN where there are none."""
    x = results.where(method=method, budget=n).column(column)
    x = x[np.isfinite(x)]
    return np.quantile(x, [0.25, 0.5, 0.75]) if len(x) else np.full(3, np.nan)


def reached(sizes: Sequence[int], errors: Sequence[float], goal: float) -> float | None:
    """Where a falling curve comes down to ``goal``, interpolated between logarithms; None if beyond its end.

    Examples
    --------
    >>> reached([100, 400], [4.0, 1.0], 2.0)
    200.0
    """
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(errors, float))
    for k in range(len(x)):
        if y[k] <= np.log(goal):
            if k == 0:
                return float(sizes[0])
            share = (y[k - 1] - np.log(goal)) / (y[k - 1] - y[k])
            return float(np.round(np.exp(x[k - 1] + share * (x[k] - x[k - 1])), 6))
    return None
