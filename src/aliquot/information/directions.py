r"""What rows have lost of their variances since they were looked at, to what was absorbed.

.. math:: \ell_r = \sum_{k \ge s_r} (x_r \cdot v_k)^2

for absorbed directions :math:`v_k` and rows that have lost those before :math:`s_r` already. Rows are read as they are
stored, four at a time against four directions, and summed in double precision: for the few directions by which a
bound is behind, this is faster than to copy the rows for a matrix product.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUntypedFunctionDecorator=false
# (numba brings no types)

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["lost"]

_SUMS = {"reassoc", "contract", "nsz"}  # sums may be vectorised; nothing is assumed about values


@numba.njit(cache=True, nogil=True, inline="always")
def _own(value: float, k: int, start: int, stop: int) -> float:
    return value * value if start <= k < stop else 0.0


@numba.njit(cache=True, nogil=True, fastmath=_SUMS)
def lost(
    rows: NDArray[np.floating[Any]],
    index: NDArray[np.int64],
    V: NDArray[np.float64],
    start: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Write ℓ of ``rows[index]`` to ``out``; rows of like ``start`` should follow each other.

    Parameters
    ----------
    rows : (any, features) array of float32 or float64
    index, start : (n,) array of int
    V : (directions, features) array
    out : (n,) array
    """
    n, d, stop = len(index), rows.shape[1], len(V)
    for i in range(0, n, 4):  # beyond the end, the last row and the last direction are repeated
        i1, i2, i3 = min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
        a, b, c, e = rows[index[i]], rows[index[i1]], rows[index[i2]], rows[index[i3]]
        ta, tb, tc, te = 0.0, 0.0, 0.0, 0.0
        for k in range(min(start[i], start[i1], start[i2], start[i3]), stop, 4):
            p, q = V[k], V[min(k + 1, stop - 1)]
            r, s = V[min(k + 2, stop - 1)], V[min(k + 3, stop - 1)]
            ap, aq, ar, as_, bp, bq, br, bs = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            cp, cq, cr, cs, ep, eq, er, es = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for j in range(d):
                x, y, z, w = np.float64(a[j]), np.float64(b[j]), np.float64(c[j]), np.float64(e[j])
                f, g, h, m = p[j], q[j], r[j], s[j]
                ap += x * f
                aq += x * g
                ar += x * h
                as_ += x * m
                bp += y * f
                bq += y * g
                br += y * h
                bs += y * m
                cp += z * f
                cq += z * g
                cr += z * h
                cs += z * m
                ep += w * f
                eq += w * g
                er += w * h
                es += w * m
            l, l1, l2, l3 = start[i], start[i1], start[i2], start[i3]
            ta += _own(ap, k, l, stop) + _own(aq, k + 1, l, stop)
            ta += _own(ar, k + 2, l, stop) + _own(as_, k + 3, l, stop)
            tb += _own(bp, k, l1, stop) + _own(bq, k + 1, l1, stop)
            tb += _own(br, k + 2, l1, stop) + _own(bs, k + 3, l1, stop)
            tc += _own(cp, k, l2, stop) + _own(cq, k + 1, l2, stop)
            tc += _own(cr, k + 2, l2, stop) + _own(cs, k + 3, l2, stop)
            te += _own(ep, k, l3, stop) + _own(eq, k + 1, l3, stop)
            te += _own(er, k + 2, l3, stop) + _own(es, k + 3, l3, stop)
        out[i], out[i1], out[i2], out[i3] = ta, tb, tc, te
