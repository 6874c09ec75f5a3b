r"""Rows come and go; what least squares needs of them stays: one triangle.

For rows A and targets y, the triangular factor of :math:`[A\; y]`,

.. math:: [A\; y] = Q \begin{pmatrix} R & z \\ 0 & \rho \end{pmatrix},

holds everything: :math:`\|A c - y\|^2 = \|R c - z\|^2 + \rho^2` for every c. It is updated block by block with
orthogonal transformations, so nothing is squared and the small singular values keep their digits. Scaling a
column of A scales that column of R; joining two sets of rows joins their triangles. :class:`Gram` holds the sums
:math:`A^\top A`, :math:`A^\top y`, :math:`y^\top y` instead: four times cheaper, and half the digits.

References
----------
J. Demmel, L. Grigori, M. Hoemmen and J. Langou, SIAM J. Sci. Comput. 34, A206 (2012), doi:10.1137/080731992.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.solvers.unlocked import eliminate

__all__ = ["Gram", "Triangle"]

Array = NDArray[np.float64]

_PANEL = 32  # columns that LAPACK eliminates at a time,
_WIDE = (2000, 128)  # and from so many columns on, so many
_BLOCK_ROWS = 512  # rows collected before they are eliminated


class Triangle:
    """Triangular factor of rows and targets, updated as they come.

    Parameters
    ----------
    n_columns : int
        Length d of a row, targets apart.

    Attributes
    ----------
    n_rows : int
        Rows absorbed.

    Notes
    -----
    2 m (d + 1)² flops for m rows; (d + 1)² doubles, and a buffer of about as many rows as columns.

    Examples
    --------
    >>> triangle = Triangle(2)
    >>> triangle.absorb(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 5.0]))
    >>> np.linalg.solve(triangle.R, triangle.z)
    array([1., 2.])
    """

    def __init__(self, n_columns: int) -> None:
        self.n_columns = n_columns
        self.n_rows = 0
        self._factor: Array = np.zeros((n_columns + 1, n_columns + 1), order="F")
        self._buffer: Array | None = None  # rows that wait; there while rows come
        self._waiting = 0

    @classmethod
    def from_factor(cls, factor: Array, n_rows: int) -> Triangle:
        """The triangle of ``n_rows`` rows whose factor, (d + 1, d + 1), is known; it is not copied."""
        triangle = cls.__new__(cls)
        triangle.n_columns, triangle.n_rows = len(factor) - 1, n_rows
        triangle._factor, triangle._buffer, triangle._waiting = np.asfortranarray(factor), None, 0
        return triangle

    def absorb(self, rows: Array, targets: Array) -> None:
        """Add rows, (m, d), and their targets, (m,).

        Raises
        ------
        InputError
            If shapes disagree or a number is not finite.
        """
        if rows.ndim != 2 or rows.shape[1] != self.n_columns or targets.shape != (len(rows),):
            raise InputError(
                f"cannot absorb rows of shape {rows.shape} with targets of shape {targets.shape} into a triangle of"
                f" {self.n_columns} columns"
            )
        if not (np.all(np.isfinite(rows)) and np.all(np.isfinite(targets))):
            raise InputError("rows and targets must be finite")
        width = self.n_columns + 1
        if self._buffer is None and len(rows):
            self._buffer = np.empty((max(_BLOCK_ROWS, width), width), order="F")
        start = 0
        while start < len(rows) and (buffer := self._buffer) is not None:
            take = min(len(rows) - start, len(buffer) - self._waiting)
            place = slice(self._waiting, self._waiting + take)
            buffer[place, :-1] = rows[start : start + take]
            buffer[place, -1] = targets[start : start + take]
            self._waiting += take
            start += take
            if self._waiting == len(buffer):
                self._eliminate()
        self.n_rows += len(rows)

    def settle(self) -> None:
        """Take in what waits, and let the memory of the buffer go."""
        self._eliminate()
        self._buffer = None

    def _eliminate(self) -> None:
        """Rotate the buffered rows into the factor."""
        if self._waiting and self._buffer is not None:
            width = min(_PANEL if self.n_columns < _WIDE[0] else _WIDE[1], self.n_columns + 1)
            eliminate(self._factor, self._buffer[: self._waiting], panel=width)
        self._waiting = 0

    @property
    def factor(self) -> Array:
        """The whole triangle of rows and targets, (d + 1, d + 1)."""
        self._eliminate()
        return np.triu(self._factor)

    @property
    def R(self) -> Array:  # noqa: N802
        """Factor of the rows, (d, d), upper triangular; its diagonal may have any sign."""
        return self.factor[:-1, :-1]

    @property
    def z(self) -> Array:
        """Targets in the coordinates of the factor, (d,)."""
        return self.factor[:-1, -1]

    @property
    def rest(self) -> float:
        """Squared residual ρ² that no coefficients can remove."""
        return float(self.factor[-1, -1] ** 2)

    def residual(self, coefficients: Array) -> float:
        """Sum of squares ‖A c − y‖²; O(d²)."""
        return float(np.sum((self.R @ coefficients - self.z) ** 2)) + self.rest

    def merge(self, other: Triangle) -> Triangle:
        """The triangle of both sets of rows."""
        if other.n_columns != self.n_columns:
            raise InputError(f"triangles of {self.n_columns} and {other.n_columns} columns cannot be merged")
        merged = Triangle(self.n_columns)
        for one in (self, other):
            factor = one.factor[: one.n_rows]  # zeros below
            merged.absorb(factor[:, :-1], factor[:, -1])
        merged.n_rows = self.n_rows + other.n_rows
        return merged


@dataclass(frozen=True, eq=False)
class Gram:
    """Sums of outer products of rows and targets.

    Parameters
    ----------
    AtA : (d, d) array
    Aty : (d,) array
    yty : float
    n_rows : int
    """

    AtA: Array
    Aty: Array
    yty: float
    n_rows: int

    @classmethod
    def of(cls, rows: Array, targets: Array) -> Gram:
        """The sums of these rows, (m, d), and targets, (m,)."""
        return cls(rows.T @ rows, rows.T @ targets, float(targets @ targets), len(rows))

    def merge(self, other: Gram) -> Gram:
        """The sums of both sets of rows."""
        n = self.n_rows + other.n_rows
        return Gram(self.AtA + other.AtA, self.Aty + other.Aty, self.yty + other.yty, n)

    def residual(self, coefficients: Array) -> float:
        """Sum of squares ‖A c − y‖²; loses half of the digits to cancellation."""
        return float(coefficients @ (self.AtA @ coefficients - 2 * self.Aty)) + self.yty
