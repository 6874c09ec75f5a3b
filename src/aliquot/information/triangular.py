r"""How a Cholesky factor is used and changed, one row at a time, without the price of starting LAPACK.

:math:`P = R^\top R` with R upper triangular in C order. A row is whitened by forward substitution,
:math:`z R = x`, and absorbed by a sweep of Givens rotations that turns R into the factor of
:math:`P + x x^\top`: backward stable, :math:`2 d^2` flops instead of :math:`d^3/3`.

References
----------
P. E. Gill, G. H. Golub, W. Murray and M. A. Saunders, Math. Comput. 28, 505 (1974),
doi:10.1090/S0025-5718-1974-0343558-6
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUntypedFunctionDecorator=false
# pyright: reportAttributeAccessIssue=false, reportUnknownVariableType=false
# (numba and SciPy's BLAS bring no types)

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

__all__ = ["solve", "update", "whiten"]

Matrix = NDArray[np.float64]


def whiten(R: Matrix, x: Matrix) -> Matrix:
    """Rows z with ``z R = x``; d² flops a row."""
    z = np.array(x, np.float64, order="C")
    if z.size:  # C order is Fortran order of the transpose: solved in place
        solved: Any = blas.dtrsm(1.0, R.T, z.T, lower=1, overwrite_b=1)
        z = solved.T
    return z


@numba.njit(cache=True)
def solve(R: Matrix, z: NDArray[np.float64]) -> None:
    """Replace ``z`` by y with ``R y = z``."""
    d = R.shape[0]
    for k in range(d - 1, -1, -1):
        t = z[k]
        for j in range(k + 1, d):
            t -= R[k, j] * z[j]
        z[k] = t / R[k, k]


@numba.njit(cache=True)
def update(R: Matrix, x: NDArray[np.float64]) -> None:
    """Turn the factor R of P into that of P + x xᵀ, in place; ``x`` is used up."""
    d = R.shape[0]
    for k in range(d):
        if x[k] == 0.0:
            continue
        r = math.hypot(R[k, k], x[k])
        c = R[k, k] / r
        s = x[k] / r
        R[k, k] = r
        for j in range(k + 1, d):
            t = R[k, j]
            R[k, j] = c * t + s * x[j]
            x[j] = c * x[j] - s * t
