"""What share of the energies and force amplitudes of a pool chosen structures cover."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BINS", "coverage", "overlap", "span"]

Array = NDArray[np.float64]

#: Equal bins from the smallest to the largest value of the pool.
BINS: Final = 40


def _counts(values: ArrayLike, pool: Array) -> Array:
    return np.histogram(np.asarray(values, np.float64), BINS, (float(pool.min()), float(pool.max())))[
        0
    ].astype(np.float64)


def coverage(chosen: ArrayLike, pool: Array) -> float:
    """Share of the bins with structures of the pool that hold a chosen one.

    Examples
    --------
    >>> coverage([0.0, 1.0], np.array([0.0, 0.5, 1.0, 1.0])).__round__(3)
    0.667
    """
    there = _counts(pool, pool) > 0
    return float(np.mean(_counts(chosen, pool)[there] > 0))


def overlap(chosen: ArrayLike, pool: Array) -> float:
    """Area that the histograms of chosen structures and of the pool share, 0 to 1.

    Examples
    --------
    >>> overlap([0.0, 1.0], np.array([0.0, 0.5, 1.0, 1.0]))
    0.75
    """
    a, b = _counts(chosen, pool), _counts(pool, pool)
    return float(np.minimum(a / a.sum(), b / b.sum()).sum())


def span(chosen: ArrayLike, pool: Array) -> float:
    """Range of the chosen over the range of the pool.

    Examples
    --------
    >>> span([0.5, 1.0], np.array([0.0, 2.0]))
    0.25
    """
    return float(np.ptp(np.asarray(chosen, np.float64)) / np.ptp(pool))
