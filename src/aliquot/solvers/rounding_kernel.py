"""The compiled part of :mod:`aliquot.solvers.rounding`: importing it imports numba."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUntypedFunctionDecorator=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# (numba brings no types)

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["correlations", "nearest", "residual"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_SPLITTER = 134217729.0  # 2²⁷ + 1


@numba.njit(cache=True)
def residual(R: Array, z: Array, support: Index, c: Array) -> tuple[Array, Array]:
    """Z − R c in twice the precision, high and low parts; R is upper triangular, in Fortran order."""
    d = len(z)
    high, low = z.copy(), np.zeros(d)
    for k in range(len(support)):
        j = support[k]
        x = -c[k]
        t = _SPLITTER * x
        x1 = t - (t - x)
        x2 = x - x1
        for i in range(j + 1):
            a = R[i, j]
            t = _SPLITTER * a
            a1 = t - (t - a)
            a2 = a - a1
            p = a * x
            below = a2 * x2 - (((p - a1 * x1) - a2 * x1) - a1 * x2)  # p + below = a x exactly
            h = high[i]
            s = h + p
            t = s - h
            low[i] += ((h - (s - t)) + (p - t)) + below
            high[i] = s
    return high, low


@numba.njit(cache=True)
def correlations(R: Array, high: Array, low: Array, support: Index, aim: Array) -> Array:
    """R_Sᵀ (high + low) − aim as if computed in twice the precision and rounded once."""
    out = np.empty(len(support))
    for k in range(len(support)):
        j = support[k]
        total, rest = -aim[k], 0.0
        for i in range(j + 1):
            a, x = R[i, j], high[i]
            t = _SPLITTER * a
            a1 = t - (t - a)
            a2 = a - a1
            t = _SPLITTER * x
            x1 = t - (t - x)
            x2 = x - x1
            p = a * x
            below = a2 * x2 - (((p - a1 * x1) - a2 * x1) - a1 * x2)
            s = total + p
            t = s - total
            rest += ((total - (s - t)) + (p - t)) + below + a * low[i]
            total = s
        out[k] = total + rest
    return out


@numba.njit(cache=True)
def nearest(U: Array, c: Array, shift: Array) -> Array:
    """Doubles c′ near c + shift with U (c + shift − c′) small; U is upper triangular, in Fortran order.

    From the last to the first, each c′ is rounded and those before it make up for the rounding.
    """
    k = len(c)
    out = np.empty(k)
    owed = np.zeros(k)
    for i in range(k - 1, -1, -1):
        wanted = shift[i] + owed[i] / U[i, i]
        out[i] = c[i] + wanted
        left = (c[i] - out[i]) + shift[i]
        for row in range(i):
            owed[row] += U[row, i] * left
    return out
