r"""The eigenvalues of a kernel matrix over a pool, and any entry of any eigenvector when it is needed.

For a kernel that is an inner product of short rows, :math:`L = F F^\top` with F of shape (N, p), the eigenvalues
are the squared singular values of F and the eigenvectors :math:`U = F W`, with :math:`W = V \Sigma^{-1}` of shape
(p, r). F is reduced to a triangle by orthogonal transformations, tile by tile, so that nothing is squared and
small eigenvalues keep their digits: 2 N p² flops, and no N × N matrix. U is then computed once, 2 N p r flops, and
held where it is small enough; of a larger one, entries are computed from F when they are asked for. For any other
kernel the matrix itself is decomposed: about 9 N³ flops.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false
# (SciPy and threadpoolctl bring no types)

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aliquot.table import TILE_ROWS

__all__ = ["HELD_BYTES", "Rows", "Spectrum"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

#: Rows of F by positions or slice: (some, p). Of eigenvectors that are held, any entries.
Rows = Callable[[Any], Matrix]

#: Singular values below this fraction of the largest are rounding in double precision: the eigenvectors of those
#: kept are orthogonal to about 1e-5.
SMALLEST = 1e-11

#: Rows and eigenvectors of a pool are held in memory up to this size each, and computed when needed beyond.
HELD_BYTES = 1 << 30

_PARTS = 8  # of a pool that are reduced side by side


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues above rounding, in descending order, and their eigenvectors.

    Parameters
    ----------
    values : (r,) array
        Eigenvalues; r is the numerical rank.
    n : int
        Candidates.
    rows : callable
        F, or the eigenvectors themselves.
    mixing : (p, r) array or None
        W with eigenvectors F W; None where ``rows`` are the eigenvectors.
    """

    values: Vector
    n: int
    rows: Rows
    mixing: Matrix | None

    @property
    def rank(self) -> int:
        """Number of eigenvalues above rounding."""
        return len(self.values)

    def vectors(self, some: Any, which: NDArray[np.int64] | slice = slice(None)) -> Matrix:
        """Entries of eigenvectors ``which`` at candidates ``some``, (some, which)."""
        if self.mixing is None:
            return self.rows(some)[:, which]
        return self.rows(some) @ self.mixing[:, which]

    def entries(self, some: NDArray[np.int64], which: NDArray[np.int64]) -> Matrix:
        """Row b: entries of eigenvector ``which[b]`` at candidates ``some[b]``, (b, c)."""
        if self.mixing is None:
            return self.rows((some, which[:, None]))
        rows = self.rows(some.ravel()).reshape(*some.shape, -1)
        return (rows @ self.mixing[:, which].T[:, :, None])[:, :, 0]

    @classmethod
    def of_rows(cls, rows: Rows, n: int, *, resolution: float = SMALLEST, floor: float = 0.0) -> Spectrum:
        """Spectrum of F Fᵀ.

        Parameters
        ----------
        rows : callable
        n : int
        resolution : float
            Singular values of F below this fraction of the largest count as zero.
        floor : float
            So do those below this value.
        """
        triangle = triangle_of(rows, n)
        _, s, vt = np.linalg.svd(triangle, full_matrices=False)
        keep = s > max(resolution * s.max(initial=0.0), floor)
        values, mixing = np.square(s[keep]), vt[keep].T / s[keep]
        if 8 * n * len(values) > HELD_BYTES:
            return cls(values, n, rows, mixing)
        vectors = np.empty((n, len(values)))
        for start in range(0, n, TILE_ROWS):
            tile = slice(start, min(start + TILE_ROWS, n))
            np.matmul(rows(tile), mixing, out=vectors[tile])
        return cls(values, n, vectors.__getitem__, None)

    @classmethod
    def of_matrix(cls, L: Matrix, *, floor: float = 0.0) -> Spectrum:
        """Spectrum of a symmetric matrix, by its lower triangle. It is overwritten; 24 n² bytes with it."""
        import scipy.linalg

        n = len(L)
        if n == 0:
            return cls(np.empty(0), 0, L.__getitem__, None)
        values, vectors = scipy.linalg.eigh(L, overwrite_a=True, check_finite=False, driver="evd")
        limit = max(n * float(np.finfo(float).eps) * float(values[-1]), floor)
        first = int(np.searchsorted(values, limit, side="right"))
        vectors = np.ascontiguousarray(vectors[:, first:][:, ::-1])
        return cls(values[first:][::-1].copy(), n, vectors.__getitem__, None)


def triangle_of(rows: Rows, n: int) -> Matrix:
    """R with ``RᵀR = FᵀF``, at most (p, p), by QR of tile after tile; parts of the pool in threads of their own.

    The parts do not depend on the number of processors, and neither does R.
    """
    p = rows(slice(0, 0)).shape[1]
    # A LAPACK of many threads is no quicker at tall tiles than one of a single thread.
    parts = max(1, min(_PARTS, n // max(1, 4 * p)))
    cuts = np.linspace(0, n, parts + 1).astype(np.int64).tolist()
    step = max(TILE_ROWS // 2, 2 * p)

    def reduced(start: int, stop: int) -> Matrix:
        triangle = np.zeros((0, p))
        for first in range(start, stop, step):
            stack = np.vstack((triangle, rows(slice(first, min(first + step, stop)))))
            triangle = np.asarray(np.linalg.qr(stack, mode="r"))
        return triangle

    if parts == 1:
        return reduced(0, n)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(min(parts, os.cpu_count() or 1)) as pool:
        return np.asarray(np.linalg.qr(np.vstack(list(pool.map(reduced, cuts[:-1], cuts[1:]))), mode="r"))
