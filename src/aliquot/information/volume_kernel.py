"""Loops of MaxVol over coefficients, compiled: find the largest, swap, find the next in the same sweep.

A front of rows small enough for the cache is swapped row by row; what it did is brought to all other rows later, in
one matrix product.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUntypedFunctionDecorator=false
# (numba brings no types)

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["largest", "swap"]

Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]

_FAST = {
    "nnan",
    "nsz",
    "reassoc",
    "contract",
}  # lets the maximum of a row use wide registers; rows are finite


@numba.njit(cache=True, fastmath=_FAST)
def largest(C: Matrix, out: NDArray[np.float64]) -> None:
    """Largest absolute value of each row of ``C``, which is in Fortran order; columns are read one after another."""
    n, r = C.shape
    step = 2048
    for a in range(0, n, step):
        b = min(a + step, n)
        out[a:b] = 0.0
        for j in range(r):
            column = C[a:b, j]
            top = out[a:b]
            for i in range(b - a):
                top[i] = max(top[i], abs(column[i]))


@numba.njit(cache=True, fastmath=_FAST)
def swap(C: Matrix, tolerance: float, most: int, rows: Indices, columns: Indices) -> int:
    """Put row after row into the block, the one of the largest coefficient first, while one exceeds ``tolerance``.

    ``C`` is changed in place; ``rows`` and ``columns`` receive what was put where. Returns how many swaps were made.
    """
    n, r = C.shape
    top = np.empty(n)
    for i in range(n):
        m = 0.0
        for j in range(r):
            m = max(m, abs(C[i, j]))
        top[i] = m
    enters = np.empty(r)
    for made in range(most):
        best = 0
        for i in range(1, n):
            if top[i] > top[best]:
                best = i
        if top[best] <= tolerance:
            return made
        at = 0
        for j in range(1, r):
            if abs(C[best, j]) > abs(C[best, at]):
                at = j
        rows[made], columns[made] = best, at
        pivot = C[best, at]
        for j in range(r):
            enters[j] = C[best, j] / pivot
        enters[at] = (pivot - 1.0) / pivot
        for i in range(n):
            share = C[i, at]
            m = 0.0
            for j in range(r):
                value = C[i, j] - share * enters[j]
                C[i, j] = value
                m = max(m, abs(value))
            top[i] = m
    return most
