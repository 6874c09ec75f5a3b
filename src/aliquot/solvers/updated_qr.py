r"""A thin QR factorisation whose columns come one at a time, and leave again.

The columns chosen so far are :math:`X_S = Q\,T` with orthonormal Q and upper triangular T, in the order in which they
came. A column that comes is made orthogonal twice, so that Q stays orthonormal to rounding however dependent columns
are; a column that leaves is rotated out.

References
----------
L. Giraud, J. Langou, M. Rozložník and J. van den Eshof, Numer. Math. 101, 87 (2005), doi:10.1007/s00211-005-0615-4
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (SciPy brings no types)

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
import scipy.linalg.blas
import scipy.linalg.lapack
from numpy.typing import NDArray

__all__ = ["UpdatedQR", "triangular_product"]

Array = NDArray[np.float64]

_BLAS: Any = scipy.linalg.blas
_LAPACK: Any = scipy.linalg.lapack
_SCIPY: Any = scipy.linalg

_FIRST = 64  # columns that there is room for at first


def triangular_product(X: Array, vector: Array) -> Array:
    """Xᵀ v for an upper triangular X in Fortran order; touches its upper half alone."""
    return _BLAS.dtrmv(X, vector, trans=1)


class UpdatedQR:
    """Q and T of the chosen columns.

    Parameters
    ----------
    n_rows : int
        Length of a column.
    most : int
        Columns that there may ever be.

    Notes
    -----
    A column that comes as the (k + 1)-th costs 8 n k flops, one that leaves 6 (n + k) flops for each that came after
    it. Room grows with the columns: (n + k) k doubles.
    """

    def __init__(self, n_rows: int, most: int) -> None:
        self.size = 0
        self._most = most
        room = min(_FIRST, most)
        self._orthonormal: Array = np.zeros((n_rows, room), order="F")
        self._triangular: Array = np.zeros((room, room), order="F")

    @property
    def Q(self) -> Array:  # noqa: N802
        """Orthonormal columns, (n, k)."""
        return self._orthonormal[:, : self.size]

    @property
    def T(self) -> Array:  # noqa: N802
        """Upper triangular factor, (k, k)."""
        return self._triangular[: self.size, : self.size]

    def split(self, column: Array) -> tuple[Array, Array, float]:
        """A column as coordinates along Q, (k,), and what is orthogonal to it: its direction, (n,), and its length."""
        Q = self.Q
        along = Q.T @ column
        new = column - Q @ along
        again = Q.T @ new
        new -= Q @ again
        length = float(np.linalg.norm(new))
        return along + again, new / length if length else new, length

    def append(self, along: Array, direction: Array, length: float) -> None:
        """Add a column that was split, nothing having changed since."""
        k = self.size
        if k == self._triangular.shape[0]:
            self._grow()
        self._triangular[:k, k] = along
        self._triangular[k, k] = length
        self._orthonormal[:, k] = direction
        self.size = k + 1

    def push(self, column: Array, dependent: float) -> bool:
        """Add a column, unless at most the share ``dependent`` of its length is new; returns whether it came."""
        along, direction, length = self.split(column)
        if not length > dependent * float(np.linalg.norm(column)):
            return False
        self.append(along, direction, length)
        return True

    def pop(self, position: int) -> None:
        """Remove the column at this position."""
        k = self.size
        if position < k - 1:
            Q, T = _SCIPY.qr_delete(self.Q, self.T, position, which="col", check_finite=False)
            # SciPy answers a square Q with all of it, and T with the row below
            self._orthonormal[:, : k - 1] = Q[:, : k - 1]
            self._triangular[: k - 1, : k - 1] = T[: k - 1]
        self._triangular[k - 1, :] = 0.0
        self._triangular[:, k - 1] = 0.0
        self.size = k - 1

    def solve(self, right: Array) -> Array:
        """T⁻¹ of a vector."""
        return self._substitute(right, 0)

    def solve_transposed(self, right: Array) -> Array:
        """T⁻ᵀ of a vector."""
        return self._substitute(right, 1)

    def _substitute(self, right: Array, transposed: int) -> Array:
        if not self.size:
            return np.empty(0)
        out: Any = _LAPACK.dtrtrs(self._triangular[:, : self.size], right, trans=transposed)
        return out[0]

    def _grow(self) -> None:
        room = min(self._most, 2 * self._triangular.shape[0])
        Q = np.zeros((self._orthonormal.shape[0], room), order="F")
        T = np.zeros((room, room), order="F")
        Q[:, : self.size], T[: self.size, : self.size] = self.Q, self.T
        self._orthonormal, self._triangular = Q, T
