"""Leading eigenvectors of a small symmetric matrix, by Lanczos iterations without the price of starting ARPACK.

Where eigenvalues fall quickly a dozen products with the matrix are enough; the basis is kept orthogonal throughout.

References
----------
C. Lanczos, J. Res. Natl. Bur. Stand. 45, 255 (1950), doi:10.6028/jres.045.026
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUntypedFunctionDecorator=false
# (numba brings no types)

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["leading"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@numba.njit(cache=True)
def leading(
    G: Matrix, k: int, start: Vector, first: int, most: int, tolerance: float
) -> tuple[Vector, Matrix, int, int]:
    """The k + 1 largest eigenvalues, descending; their vectors as rows; how many are good; products made with ``G``.

    The first k are looked at after ``first`` products, and then ever more seldom, until all are good: until the
    residual of each is at most ``tolerance`` times the largest eigenvalue. After ``most`` they are what they are.
    """
    Q = np.empty((most + 1, len(G)))
    T = np.zeros((most, most))
    Q[0] = start / math.sqrt(np.dot(start, start))
    check = max(first, k + 2)
    for m in range(most):
        w = np.dot(G, Q[m])
        T[m, m] = np.dot(w, Q[m])
        w -= T[m, m] * Q[m]
        if m:
            w -= T[m, m - 1] * Q[m - 1]
        basis = Q[: m + 1]
        w -= np.dot(np.dot(basis, w), basis)  # what the recurrence alone would lose to rounding
        rest = math.sqrt(np.dot(w, w))
        ended = rest <= 1e-14 * abs(T[0, 0]) or m + 1 == most
        if m + 1 == check or ended:
            check += max(4, check // 4)
            values, mixing = np.linalg.eigh(T[: m + 1, : m + 1])
            good = 0
            while good < min(k, m + 1) and rest * abs(mixing[m, m - good]) <= tolerance * values[m]:
                good += 1
            if ended or good == k:
                some = np.ascontiguousarray(mixing[:, ::-1].T[: k + 1])
                return values[::-1][: k + 1].copy(), np.dot(some, basis), good, m + 1
        T[m, m + 1] = T[m + 1, m] = rest
        Q[m + 1] = w / rest
    return np.zeros(0), Q[:0], 0, most
