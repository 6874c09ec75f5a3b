r"""How sure is a difference? Intervals by resampling, tests that know about overlap, a correction for many tests.

Repeats that split one set of structures again and again are not independent: their training sets overlap. The
variance of their mean is then larger than :math:`s^2/J`, and Nadeau and Bengio's correction takes
:math:`s^2\,(1/J + n_\text{test}/n_\text{train})` instead. Wilcoxon's signed-rank test is for repeats that share
nothing.

References
----------
C. Nadeau and Y. Bengio, Machine Learning 52, 239 (2003), doi:10.1023/A:1024068626366.
S. Holm, Scandinavian Journal of Statistics 6, 65 (1979).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from aliquot.errors import InputError

__all__ = ["STATISTICS", "Difference", "Interval", "corrected_t", "holm", "interval", "paired", "wilcoxon"]

Array = NDArray[np.float64]

#: What summarises repeats; each works along the last axis.
STATISTICS: Final[dict[str, Callable[..., Array]]] = {
    "mean": np.mean,
    "median": np.median,
    "rms": lambda x, axis=-1: np.sqrt(np.mean(np.square(x), axis=axis)),
}


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def text(self, digits: int = 3) -> str:
        """As ``2.1 [1.9, 2.4]``.

        Examples
        --------
        >>> Interval(2.125, 1.94, 2.41).text(2)
        '2.1 [1.9, 2.4]'
        """
        value, low, high = (_written(one, digits) for one in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"


def _written(value: float, digits: int) -> str:
    """So many digits, without an exponent where a number has few more.

    >>> _written(1562.3, 3), _written(0.0123, 1)
    ('1560', '0.01')
    """
    short = f"{value:.{digits}g}"
    return f"{float(short):.0f}" if "e" in short and 1 <= abs(value) < 1e7 else short


@dataclass(frozen=True)
class Difference:
    """A paired difference: its mean with interval, its p-value, and how many repeats it rests on."""

    mean: Interval
    p: float
    repeats: int


def interval(
    values: ArrayLike, *, statistic: str = "mean", level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """A statistic of repeats with its percentile interval from resampling them; missing ones left out.

    Parameters
    ----------
    values : (n,) array
    statistic : {"mean", "median", "rms"}
    level : float
    draws : int
    seed : int

    Examples
    --------
    >>> interval([1.0, 1.0, 1.0])
    Interval(value=1.0, low=1.0, high=1.0)
    """
    if statistic not in STATISTICS:
        raise InputError(f"statistic {statistic!r} is not known; use {', '.join(STATISTICS)}")
    x = np.asarray(values, np.float64)
    x = x[np.isfinite(x)]
    if not len(x):
        return Interval(np.nan, np.nan, np.nan)
    of = STATISTICS[statistic]
    drawn = of(x[np.random.default_rng(seed).integers(len(x), size=(draws, len(x)))], axis=-1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(of(x, axis=-1)), float(low), float(high))


def corrected_t(differences: ArrayLike, test_over_train: float) -> float:
    """Two-sided p-value of Nadeau and Bengio's corrected resampled t-test.

    Parameters
    ----------
    differences : (J,) array
        Of two methods, repeat by repeat.
    test_over_train : float
        Structures that judge over structures that teach.

    Examples
    --------
    >>> round(corrected_t([1.0, 2.0, 3.0, 2.0], 0.0), 4) == round(float(stats.ttest_1samp([1, 2, 3, 2], 0).pvalue), 4)
    True
    """
    x = _paired(differences)
    spread = np.var(x, ddof=1) * (1 / len(x) + test_over_train)
    if spread == 0:
        return 1.0 if np.mean(x) == 0 else 0.0
    return float(2 * stats.t.sf(abs(np.mean(x)) / np.sqrt(spread), len(x) - 1))


def wilcoxon(differences: ArrayLike) -> float:
    """Two-sided p-value of the signed-rank test: for independent repeats only."""
    x = _paired(differences)
    return 1.0 if not np.any(x) else float(np.asarray(stats.wilcoxon(x))[1])


def paired(a: ArrayLike, b: ArrayLike, *, test_over_train: float | None, seed: int = 0) -> Difference:
    """``a − b`` of paired repeats: the corrected test where repeats overlap, Wilcoxon's where not (None)."""
    x = _paired(np.asarray(a, np.float64) - np.asarray(b, np.float64))
    p = wilcoxon(x) if test_over_train is None else corrected_t(x, test_over_train)
    return Difference(interval(x, seed=seed), p, len(x))


def holm(p: Sequence[float]) -> Array:
    """P-values corrected for as many tests, by Holm's step-down rule.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values)
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    out = np.empty(len(values))
    out[order] = np.minimum(stepped, 1.0)
    return out


def _paired(differences: ArrayLike) -> Array:
    x = np.asarray(differences, np.float64)
    x = x[np.isfinite(x)]
    if len(x) < 2:
        raise InputError(f"{len(x)} paired repeats are too few for a test; at least two are needed")
    return x
