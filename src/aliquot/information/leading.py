r"""What is left of a table when some rows are taken out, and which directions are strongest in it.

The table enters as its triangle R, :math:`R^\top R = Z^\top Z`. Taking rows out projects R onto what is orthogonal to
them, :math:`R \to R (I - Q Q^\top)`: a rank-one change of d × d numbers for each, whatever the length of the table.
The leading directions are eigenvectors of the small Gram matrix, found by Lanczos iterations. The Gram matrix is
formed anew from the projected triangle whenever it has shrunk a thousandfold, so that what is left keeps its digits
down to rounding of the table itself.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Remaining"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_ROUNDING = 1e-10  # singular values below this fraction of the largest of the whole table count as zero
_SHRUNK = 1e-3  # of its trace: the Gram matrix is then formed anew
_STEPS = 96  # of our own iterations, before ARPACK is called, which restarts
_CONVERGED = 1e-12  # relative residual
_DENSE = 48  # features up to which LAPACK is quicker than Lanczos


class Remaining:
    """What is left of a table when the span of some rows is taken out.

    Parameters
    ----------
    triangle : (m, features) array
        R with the Gram matrix of the table.

    Examples
    --------
    >>> left = Remaining(np.diag([3.0, 2.0, 1.0]))
    >>> left.remove(np.array([[5.0, 0.0, 0.0]]))
    >>> values, directions = left.leading(1)
    >>> float(values[0]), abs(directions[:, 0]).round(12)
    (4.0, array([0., 1., 0.]))
    """

    def __init__(self, triangle: Matrix) -> None:
        self._triangle = triangle
        self._taken: Matrix = np.empty((0, triangle.shape[1]))
        self._gram: Matrix = triangle.T @ triangle
        self._since = self._trace = float(np.trace(self._gram))
        self._floor = np.square(_ROUNDING) * self._trace
        self._steps = 8  # of the last iterations: the next ones will need about as many
        self._start = np.random.default_rng(0).standard_normal(
            triangle.shape[1]
        )  # of the iterations: the same always

    def leading(self, k: int) -> tuple[Vector, Matrix]:
        """The k largest eigenvalues, descending, and their directions (features, k); fewer where fewer are left."""
        d = len(self._gram)
        if self._trace <= self._floor:
            return np.empty(0), np.empty((d, 0))
        values, vectors = self._eigen(k)
        keep = values > self._floor
        return values[keep], vectors[:, keep]

    def _eigen(self, k: int) -> tuple[Vector, Matrix]:
        d = len(self._gram)
        if d > _DENSE and 4 * k < d:
            from aliquot.information.lanczos import leading  # numba: imported when needed

            start = np.asarray(self._start - (self._start @ self._taken.T) @ self._taken, np.float64)
            values, vectors, good, self._steps = leading(
                self._gram, k, start, 3 * self._steps // 4, _STEPS, _CONVERGED
            )
            if good == k:
                return values[:k], vectors[:k].T
            import scipy.sparse.linalg as sparse

            matrix: Any = self._gram
            try:
                values, vectors = sparse.eigsh(matrix, k, v0=vectors.sum(axis=0) + 1e-3 * start)
                return values[::-1], vectors[:, ::-1]
            except sparse.ArpackError:
                pass  # slow to tell equal eigenvalues apart; LAPACK does
        values, vectors = np.linalg.eigh(self._gram)
        return values[::-1][:k], vectors[:, ::-1][:, :k]

    def remove(self, rows: Matrix) -> None:
        """Take the span of these rows out."""
        rest = self._projected(self._projected(rows))  # twice: the second removes what rounding left
        size = np.sqrt(np.square(rows).sum(axis=1).max())
        if len(rest) == 1:
            own = float(np.sqrt(rest[0] @ rest[0]))
            new = rest / own if own > _ROUNDING * size else rest[:0]
        else:
            _, s, vt = np.linalg.svd(rest, full_matrices=False)
            new = vt[s > _ROUNDING * size]
        if len(new) == 0:
            return
        self._taken = np.vstack((self._taken, new))
        along = self._gram @ new.T
        along -= 0.5 * (new.T @ (new @ along))
        change: Matrix = along @ new
        self._gram -= change
        self._gram -= change.T
        self._trace = float(np.trace(self._gram))
        if self._trace < _SHRUNK * self._since:
            self._triangle = self._projected(self._triangle)
            self._gram = self._triangle.T @ self._triangle
            self._since = self._trace = float(np.trace(self._gram))

    def _projected(self, x: Matrix) -> Matrix:
        return x - (x @ self._taken.T) @ self._taken
