r"""Which rows of a table span the largest volume? All others are short combinations of them.

MaxVol looks for r rows, r the numerical rank, whose square block A has a determinant as large as swaps can make it.
With coefficients

.. math:: C = X A^{-1}, \qquad |C_{ij}| \le \mathrm{tol} \ \text{for all rows } i,

putting row i in the place of pivot j multiplies the determinant by :math:`|C_{ij}|`: where no coefficient exceeds the
tolerance, no single swap helps by more than that. Every other row is a combination of the pivots with coefficients
near or below one, and :math:`\max_j |C_{ij}|` is the extrapolation grade of a row (:meth:`Volume.coefficients`).

The start is an LU factorisation with row pivots, whose lower factor, times the inverse of its own top, *is* C: one
array of the size of the table, worked on in place. Swaps are then made within a front, the rows of the largest
coefficients, and brought to all rows by one matrix product for many swaps.

Where the columns are dependent to within ``resolution`` (or the LU factor says they might be), the table is first
written in the orthonormal coordinates of its numerical row space, :math:`Y = X V_r \Sigma_r^{-1}`, which changes no
ratio of volumes. A table larger than ``hold`` bytes is taken in pieces: each is swapped against the block so far,
and then passes over the whole table collect what still exceeds the tolerance, until nothing does.

References
----------
S. A. Goreinov, I. V. Oseledets, D. V. Savostyanov, E. E. Tyrtyshnikov and N. L. Zamarashkin, in Matrix Methods: Theory,
Algorithms and Applications, 247 (2010), doi:10.1142/9789812836021_0015
"""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.information.spectrum import SMALLEST, Rows, triangle_of
from aliquot.progress import Progress, silent
from aliquot.table import TILE_ROWS

__all__ = ["HOLD", "TOLERANCE", "Volume", "independent", "maxvol", "row_space"]

#: Coefficients up to this are tolerated: swaps end where none multiplies the determinant by more.
TOLERANCE = 1.01

#: Bytes of coefficients that are held at a time.
HOLD = 1 << 31

Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]

_EQUAL = (
    1.0 + 1e-9
)  # coefficients beyond the tolerance by less are within it: rounding must not swap for ever
_SOUND = 1e-7  # reciprocal condition of an LU factor above which no direction is near the rounding of rows
_TINY = 1e-9  # length of the stand-ins for rows not yet found; in these coordinates the table is orthonormal
_DEPENDENT = 1e-6  # relative; a row of the start that adds less to the block than this is left out of it
_RESOLVED = 1e-9  # eigenvalues of a Gram matrix above this fraction of the largest have seven digits


@dataclass(frozen=True, eq=False)
class Volume:
    """A square block of locally maximal volume.

    Parameters
    ----------
    pivots : (r,) array of int
        Its rows; column j of the coefficients belongs to pivot j.
    inverse : (features, r) array
        A row x has the coefficients ``x @ inverse``: the inverse of the block, within the row space.
    swaps : int
        Swaps made after the start.
    passes : int
        How many times the table was read.
    """

    pivots: Indices
    inverse: Matrix
    swaps: int
    passes: int

    @property
    def rank(self) -> int:
        """Number of pivots."""
        return len(self.pivots)

    def coefficients(self, x: Matrix) -> Matrix:
        """Coefficients of rows (n, features) in terms of the pivots, (n, r)."""
        return x @ self.inverse

    def grade(self, x: Matrix) -> NDArray[np.float64]:
        """Extrapolation grade of rows: largest absolute coefficient; 1 for a pivot."""
        return np.abs(self.coefficients(x)).max(axis=1, initial=0.0)


def row_space(rows: Rows, n: int, *, resolution: float = SMALLEST) -> Matrix:
    """W, (features, r), such that the table times W has orthonormal columns; r is its numerical rank.

    From the eigenvectors of the Gram matrix where they resolve all directions; else by QR, in which nothing is squared.
    """
    gram = sum(x.T @ x for x in (rows(slice(a, min(a + TILE_ROWS, n))) for a in range(0, n, TILE_ROWS)))
    if n:
        values, vectors = np.linalg.eigh(gram)
        if values[0] > max(_RESOLVED, np.square(resolution)) * values[-1]:
            return vectors[:, ::-1] / np.sqrt(values[::-1])
    _, s, vt = np.linalg.svd(triangle_of(rows, n), full_matrices=False)
    keep = s > resolution * s.max(initial=0.0)
    return vt[keep].T / s[keep]


def independent(x: Matrix) -> Indices:
    """Positions of rows that are independent of each other, as many as there are; longest first, then sorted.

    >>> independent(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
    array([1, 2])
    """
    if x.size == 0:
        return np.empty(0, np.int64)
    R, order = _linalg().qr(x.T, mode="r", pivoting=True)
    size = np.abs(np.diagonal(R))
    return np.sort(order[: int(np.sum(size > _DEPENDENT * size[0]))]).astype(np.int64)


def maxvol(
    rows: Rows | Matrix,
    n: int | None = None,
    *,
    start: Indices | None = None,
    tolerance: float = TOLERANCE,
    resolution: float = SMALLEST,
    hold: int = HOLD,
    progress: Progress = silent,
) -> Volume:
    """Find a square block of locally maximal volume.

    Parameters
    ----------
    rows : (n, features) array, or callable
        The table, or what gives rows by slice or positions, float64.
    n : int, optional
        Number of rows, where ``rows`` is a callable.
    start : array of int, optional
        Rows that are in the block at the beginning, as far as they are independent; they may be swapped out.
    tolerance : float
        At least 1.
    resolution : float
        Directions of singular values below this fraction of the largest do not count.
    hold : int
        Bytes of coefficients held at a time.
    progress : Progress

    Returns
    -------
    Volume

    Notes
    -----
    About 2 N d² flops for the start and 2 N d k for every k swaps; 8 N d bytes, at most ``hold``.

    Examples
    --------
    >>> found = maxvol(np.array([[1.0, 0.0], [3.0, 0.1], [0.0, 2.0], [1.0, 1.0]]))
    >>> sorted(found.pivots.tolist())
    [1, 2]
    """
    if not tolerance >= 1.0:
        raise InputError(f"the tolerance of MaxVol must be at least 1; got {tolerance}")
    if not callable(rows):
        table = np.asarray(rows, np.float64)
        n, rows = len(table), table.__getitem__
    if n is None:
        raise InputError("the number of rows is needed where rows are given by a function")
    search = _Search(rows, n, tolerance * _EQUAL, progress)
    d = rows(slice(0, 0)).shape[1]
    started = start is not None and len(start) > 0
    if not started and d <= n and 8 * n * d <= hold and search.outright(d):
        return search.answer()
    search.reduce(row_space(rows, n, resolution=resolution))
    piece = max(TILE_ROWS, hold // (8 * max(1, search.rank)))
    for a in range(0, n, piece):
        search.enter(np.arange(a, min(a + piece, n)), start if a == 0 else None)
    search.passes += 2  # the row space, and the pieces
    while (n > piece or search.virtual) and search.verify(piece):
        pass
    return search.answer()


class _Search:
    """The block, and what is known of the table in terms of it."""

    def __init__(self, rows: Rows, n: int, tolerance: float, progress: Progress) -> None:
        self.rows, self.n, self.tolerance, self.progress = rows, n, tolerance, progress
        self.space: Matrix | None = None
        self.block: Matrix = np.empty((0, 0))
        self.pivots: Indices = np.empty(0, np.int64)  # -1 where a stand-in is in the place of a row
        self.swaps = self.passes = 0

    @property
    def rank(self) -> int:
        """Rows in the block."""
        return len(self.block)

    @property
    def virtual(self) -> bool:
        """Whether a stand-in is still in the block."""
        return bool(np.any(self.pivots < 0))

    def answer(self) -> Volume:
        """What was found."""
        return Volume(self.pivots, self._inverse(), self.swaps, self.passes)

    def outright(self, d: int) -> bool:
        """Try the table as it is; False where its columns may be dependent."""
        C = np.empty((self.n, d), order="F")
        self._fill(C, np.arange(self.n), None)
        by_pivots, order, condition = _lu_coefficients(C)
        if condition < _SOUND:
            return False
        self.pivots = order[:d].copy()
        self._swap(by_pivots, order)
        self.block = self.rows(self.pivots)
        self.passes = 1
        return True

    def reduce(self, space: Matrix) -> None:
        """Work in these coordinates of the row space, with stand-ins for a block."""
        self.space = space
        r = space.shape[1]
        self.block, self.pivots = _TINY * np.eye(r), np.full(r, -1)

    def enter(self, some: Indices, start: Indices | None) -> None:
        """Let these rows compete with the block."""
        if self.rank == 0:
            return
        if start is not None and len(start):
            self._begin(start)
        gap = np.flatnonzero(self.pivots < 0)
        if len(gap) > 1 and len(some) >= len(gap):
            self._fill_gap(gap, some)
        C = np.empty((len(some), self.rank), order="F")
        self._fill(C, some, self._inverse())
        self._swap(C, some)
        self.block = self._reduced(self.pivots, self.block)

    def verify(self, piece: int) -> bool:
        """Look for rows whose coefficients, computed from scratch, exceed the tolerance; let them compete."""
        inverse, found, value = self._inverse(), [np.empty(0, np.int64)], [np.empty(0)]
        for a in range(0, self.n, TILE_ROWS):
            top = np.abs(self.rows(slice(a, min(a + TILE_ROWS, self.n))) @ inverse).max(axis=1)
            over = np.flatnonzero(top > self.tolerance)
            found.append(a + over)
            value.append(top[over])
        self.passes += 1
        some, top = np.concatenate(found), np.concatenate(value)
        if len(some) == 0:
            return False
        if len(some) > piece:
            some = np.sort(some[np.argpartition(-top, piece)[:piece]])
        self.enter(some, None)
        return True

    def _begin(self, start: Indices) -> None:
        """Put the independent ones of some rows into the block; stand-ins span the rest."""
        y = self._reduced(start, None)
        kept = independent(y)
        k = len(kept)
        full = np.linalg.qr(y[kept].T, mode="complete")[0]
        self.block = np.vstack((y[kept], _TINY * full[:, k:].T))
        self.pivots = np.concatenate((start[kept], np.full(self.rank - k, -1)))

    def _fill_gap(self, gap: Indices, some: Indices) -> None:
        """Rows in the place of stand-ins, by LU of what the real rows of the block do not span."""
        assert self.space is not None
        real = np.flatnonzero(self.pivots >= 0)
        full = np.linalg.qr(self.block[real].T, mode="complete")[0] if len(real) else np.eye(self.rank)
        beyond = full[:, len(real) :]
        stack = np.empty((len(some) + len(gap), len(gap)), order="F")
        self._fill(stack[: len(some)], some, self.space @ beyond)
        stack[len(some) :] = _TINY * np.eye(len(gap))
        _, order, _ = _lu_coefficients(stack)
        first = order[: len(gap)]
        pivots = np.where(first < len(some), some[np.minimum(first, len(some) - 1)], -1)
        stand_ins = _TINY * beyond.T[np.maximum(first - len(some), 0)]
        self.pivots = np.concatenate((self.pivots[real], pivots))
        self.block = np.vstack((self.block[real], self._reduced(pivots, stand_ins)))

    def _reduced(self, pivots: Indices, stand_ins: Matrix | None) -> Matrix:
        """Rows in the coordinates of the row space; what stands in for those of position -1."""
        real = pivots >= 0
        out = np.empty((len(pivots), self.rank)) if stand_ins is None else stand_ins.copy()
        if real.any():
            x = self.rows(pivots[real])
            out[real] = x if self.space is None else x @ self.space
        return out

    def _inverse(self) -> Matrix:
        """From a row to its coefficients."""
        if self.rank == 0:
            return np.zeros((self.rows(slice(0, 0)).shape[1], 0))
        if self.space is None:
            return np.linalg.inv(self.block).astype(np.float64)
        return np.linalg.solve(self.block.T, self.space.T).T.astype(np.float64)

    def _fill(self, out: Matrix, some: Indices, transform: Matrix | None) -> None:
        """Rows, transformed, tile by tile."""
        contiguous = len(some) > 0 and int(some[-1]) - int(some[0]) + 1 == len(some)
        for a in range(0, len(some), TILE_ROWS):
            part = some[a : a + TILE_ROWS]
            x = self.rows(slice(int(part[0]), int(part[-1]) + 1) if contiguous else part)
            out[a : a + TILE_ROWS] = x if transform is None else x @ transform

    def _swap(self, C: Matrix, labels: Indices) -> None:
        """Swap until no coefficient exceeds the tolerance; ``C`` is in Fortran order, of the rows ``labels``."""
        from aliquot.information.volume_kernel import largest, swap

        n, r = C.shape
        if n == 0 or r == 0:
            return
        top, most, size = np.empty(n), max(16, r // 8), min(n, max(64, r))
        entered, column = np.empty(most, np.int64), np.empty(most, np.int64)
        while True:
            largest(C, top)
            if not np.any(top > self.tolerance):
                return
            front = np.sort(
                np.argpartition(-top, size - 1)[:size]
            )  # also those that are only near the tolerance
            made = swap(np.ascontiguousarray(C[front]), self.tolerance, most, entered, column)
            last = {int(j): int(front[i]) for i, j in zip(entered[:made], column[:made], strict=True)}
            J = np.array(sorted(last))
            new = np.array([last[j] for j in J.tolist()])
            G = C[new]
            inner = G[:, J].copy()
            G[np.arange(len(J)), J] -= 1.0
            _linalg().blas.dgemm(-1.0, C[:, J], np.linalg.solve(inner, G), beta=1.0, c=C, overwrite_c=1)
            self.pivots[J] = labels[new]
            self.swaps += made
            self.progress("swap", self.swaps, self.swaps)


def _lu_coefficients(x: Matrix) -> tuple[Matrix, Indices, float]:
    """Coefficients of the rows of ``x`` (Fortran order, overwritten) in terms of the first pivots of LU.

    Returns the coefficients, in the order of the second array: position in ``x`` of each; and the reciprocal condition
    number of the upper factor.
    """
    la = _linalg()
    n, r = x.shape
    lu, exchanged, _ = la.lapack.dgetrf(x, overwrite_a=1)
    order = np.arange(n, dtype=np.int64)
    partner: list[int] = exchanged.tolist()
    for i, j in enumerate(partner):
        order[[i, j]] = order[[j, i]]
    condition, _ = la.lapack.dtrcon(lu[:r], norm="1", uplo="U")
    lower = np.asfortranarray(np.tril(lu[:r], -1) + np.eye(r))
    lu[:r] = lower
    C = la.blas.dtrsm(1.0, lower, lu, side=1, lower=1, diag=1, overwrite_b=1)
    return C, order, float(condition)


def _linalg() -> Any:
    """BLAS and LAPACK in place, of which there are no types."""
    import scipy.linalg

    return scipy.linalg
