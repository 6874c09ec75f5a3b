r"""How much variance of stated targets each candidate would remove, kept up to date by low-rank formulas.

In coordinates in which the posterior at the beginning is the identity, with A the weighted rows of a candidate,
T the targets and H the posterior covariance now, labelling the candidate removes

.. math:: g = \| T H A^\top (I + A H A^\top)^{-1/2} \|_F^2 = \mathrm{tr}\,[(I + K)^{-1} M],
   \qquad K = A H A^\top, \quad M = A H S H A^\top, \quad S = T^\top T .

K and M are small and stay; when a candidate with rows :math:`A_p` is absorbed, H loses :math:`V V^\top` with
:math:`V = H A_p^\top (I + K_p)^{-1/2}`, and with W = A V, X = A H S V and B = Vᵀ S V

.. math:: K \leftarrow K - W W^\top, \qquad
   M \leftarrow M - W (X - \tfrac12 W B)^\top - (X - \tfrac12 W B) W^\top ,

one pass over the rows in two matrix products, whatever the number of targets.

Blocks of many rows are first compressed to their numerical rank: directions in which a whole candidate says less
than :data:`NEGLIGIBLE` (variance over noise) are left out, which changes no gain by more than the sum of
what was left out, relatively. Differences of large numbers lose digits; before they lose too many, everything is
computed anew from the rows in the coordinates of that moment.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# (SciPy brings no types for LAPACK)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.linalg.lapack
from numpy.typing import NDArray

from aliquot.information.blocks import gather
from aliquot.information.posterior import Posterior
from aliquot.progress import Progress, silent
from aliquot.table import TILE_ROWS, Features, room

__all__ = ["NEGLIGIBLE", "Reduction"]

#: A direction of a block whose variance is this share of the noise, or less, is left out.
NEGLIGIBLE: Final = 1e-9

_EPS = float(np.finfo(np.float64).eps)
_LOST_DIGITS = 1e-9  # absolute error of K, and relative error of M, at which everything is computed anew
_SMALL = 8  # blocks of so many rows are not worth compressing
_STACK_ENTRIES = 1 << 21  # entries of the matrices solved together: 16 MB
_LAPACK: Any = scipy.linalg.lapack

Array = NDArray[np.float64]


@dataclass(eq=False)
class _Stack:
    """Candidates of one (padded) number of rows: their positions in the pool, K and M."""

    members: NDArray[np.int64]
    K: Array
    M: Array


class Reduction:
    """The state of a choice towards a goal.

    Parameters
    ----------
    posterior : Posterior
        What is known at the beginning; not changed.
    table : Features
        Candidates.
    targets : (k, features) array
        Root of the second moment of the targets, in smoothness-scaled coordinates.
    progress : Progress

    Attributes
    ----------
    variance : float
        What is left of the variance of the targets.
    rows : int
        Rows kept after compression.

    Notes
    -----
    Beginning: O(rows d²). A pick of r rows: 4 d r flops a row of the pool, and r³ a candidate. Memory: the compressed
    rows in float64 (in a temporary file where they are many), and two r × r matrices a candidate.
    """

    def __init__(
        self, posterior: Posterior, table: Features, targets: Array, *, progress: Progress = silent
    ) -> None:
        self._T = posterior.whiten(np.asarray(targets, np.float64))
        self._V: Array = np.zeros((table.n_features, 0))
        self._picked: list[Array] = []
        lengths = np.minimum(np.diff(table.offsets), table.n_features)
        most = int(sum(_padded(int(m)) * int(c) for m, c in zip(*np.unique(lengths, return_counts=True), strict=True)))
        self._A: Array = room((most, table.n_features), np.float64)
        self._offsets = np.zeros(len(table) + 1, np.int64)
        self._compress(posterior, table, progress)
        sizes = np.diff(self._offsets)
        self._stacks = [
            _Stack(members, np.empty((len(members), r, r)), np.empty((len(members), r, r)))
            for r in np.unique(sizes).tolist()
            for members in [np.flatnonzero(sizes == r)]
        ]
        self._compute()

    @property
    def rows(self) -> int:
        """Rows kept after compression."""
        return int(self._offsets[-1])

    @property
    def variance(self) -> float:
        """What is left of the variance of the targets: tr(T H Tᵀ)."""
        return max(0.0, float(np.sum(np.square(self._T)) - np.sum(np.square(self._T @ self._V))))

    def _compress(self, posterior: Posterior, table: Features, progress: Progress) -> None:
        end, at = 0, 0
        for some, _ in table.tiles():
            blocks = gather(table, some)
            z = posterior.whiten(blocks.weighted)
            if blocks.single:
                self._A[end : end + len(z)] = z
                end += len(z)
                self._offsets[at + 1 : at + len(blocks) + 1] = np.arange(end - len(z), end) + 1
                at += len(blocks)
            else:
                for first, last in zip(blocks.offsets[:-1], blocks.offsets[1:], strict=True):
                    short = _numerical_rows(z[first:last])
                    padded = end + _padded(len(short))
                    self._A[end : end + len(short)] = short
                    self._A[end + len(short) : padded] = 0.0
                    self._offsets[at + 1] = end = padded
                    at += 1
            progress("compress", at, len(table))

    def _tiles(self) -> list[slice]:
        """Candidates in parts of about ``TILE_ROWS`` rows."""
        tiles, start = list[slice](), 0
        while start < len(self._offsets) - 1:
            stop = int(np.searchsorted(self._offsets, self._offsets[start] + TILE_ROWS, side="right")) - 1
            tiles.append(slice(start, max(stop, start + 1)))
            start = tiles[-1].stop
        return tiles

    def _parts(self, tile: slice, values: tuple[Array, ...]) -> list[tuple[_Stack, slice, list[Array]]]:
        """Rows of a tile, stack by stack: (candidates, rows each, columns)."""
        parts: list[tuple[_Stack, slice, list[Array]]] = []
        first = self._offsets[tile.start]
        for stack in self._stacks:
            start, stop = np.searchsorted(stack.members, (tile.start, tile.stop)).tolist()
            if start == stop:
                continue
            r = stack.K.shape[1]
            where = (self._offsets[stack.members[start:stop]] - first)[:, None] + np.arange(r)
            parts.append((stack, slice(start, stop), [v[where] for v in values]))
        return parts

    def _compute(self) -> None:
        """K and M from the rows, where H is the identity."""
        self._S = self._T.T @ self._T
        for tile in self._tiles():
            rows = self._A[self._offsets[tile.start] : self._offsets[tile.stop]]
            for stack, place, (A, G) in self._parts(tile, (rows, rows @ self._T.T)):
                stack.K[place] = A @ A.transpose(0, 2, 1)
                stack.M[place] = G @ G.transpose(0, 2, 1)
        self._reference = self.variance
        self._largest = max((float(np.einsum("nii->ni", s.K).max(initial=0.0)) for s in self._stacks), default=0.0)

    def gains(self) -> Array:
        """Variance that each candidate would remove now, (candidates,)."""
        out = np.empty(len(self._offsets) - 1)
        for stack in self._stacks:
            r = stack.K.shape[1]
            if r == 1:
                out[stack.members] = stack.M[:, 0, 0] / (1.0 + np.maximum(stack.K[:, 0, 0], 0.0))
                continue
            at_once = max(1, _STACK_ENTRIES // (r * r))
            for start in range(0, len(stack.members), at_once):
                part = slice(start, start + at_once)
                solved = np.linalg.solve(stack.K[part] + np.eye(r), stack.M[part])
                out[stack.members[part]] = np.einsum("nii->n", solved)
        return np.maximum(out, 0.0)

    def slopes(self) -> Array:
        """Derivative of the variance removed by the weight of each candidate, ‖T H Aᵀ‖²: never below its gain."""
        out = np.empty(len(self._offsets) - 1)
        for stack in self._stacks:
            out[stack.members] = np.einsum("nii->n", stack.M)
        return np.maximum(out, 0.0)

    def absorb(self, candidate: int) -> None:
        """The labels of this candidate are known from now on."""
        A = np.array(self._A[self._offsets[candidate] : self._offsets[candidate + 1]])
        self._picked.append(A)
        HA = A.T - self._V @ (self._V.T @ A.T)
        values, vectors = np.linalg.eigh(A @ HA)
        real = values > NEGLIGIBLE * 1e-3
        V: Array = HA @ (vectors[:, real] / np.sqrt(1.0 + values[real]))
        SV = self._S @ V
        Y = SV - self._V @ (self._V.T @ SV)
        self._V = np.hstack([self._V, V])
        if self._worn():
            self._renew()
            return
        half = 0.5 * (V.T @ SV)
        both = np.hstack([V, Y])
        q = V.shape[1]
        for tile in self._tiles():
            WX = self._A[self._offsets[tile.start] : self._offsets[tile.stop]] @ both
            WX[:, q:] -= WX[:, :q] @ half
            for stack, place, (W, X) in self._parts(tile, (WX[:, :q], WX[:, q:])):
                Wt = W.transpose(0, 2, 1)
                stack.K[place] -= W @ Wt
                XW = X @ Wt
                stack.M[place] -= XW + XW.transpose(0, 2, 1)

    def _worn(self) -> bool:
        """Whether differences have lost, or would lose, too many digits."""
        left = self.variance / self._reference if self._reference else 1.0
        return _EPS * self._largest > _LOST_DIGITS or _EPS > _LOST_DIGITS * left

    def _renew(self) -> None:
        """New coordinates, in which the posterior of the moment is the identity."""
        posterior = Posterior(np.ones(len(self._S)))
        posterior.absorb(np.vstack(self._picked))
        for tile in self._tiles():
            rows = slice(self._offsets[tile.start], self._offsets[tile.stop])
            self._A[rows] = posterior.whiten(self._A[rows])
        self._T = posterior.whiten(self._T)
        self._V, self._picked = self._V[:, :0], []
        self._compute()


def _padded(m: int) -> int:
    """Rows are padded with zeros to few different numbers, so that many candidates are done together."""
    return 1 << (m - 1).bit_length() if m <= _SMALL else -(-m // _SMALL) * _SMALL


def _numerical_rows(z: Array) -> Array:
    """Fewer rows with the same ``zᵀz``, up to :data:`NEGLIGIBLE` a direction; at least one."""
    m, d = z.shape
    if m <= _SMALL:
        return z
    if m > d:
        z = np.linalg.qr(z, mode="r")
    gram = z @ z.T
    largest = float(np.diagonal(gram).max())
    packed, pivots, rank, _ = _LAPACK.dpstrf(gram, tol=max(NEGLIGIBLE, len(z) * _EPS * largest), lower=1)
    r = max(1, int(rank))
    if r >= len(z):
        return z
    L: Array = np.tril(packed)[:, :r]
    order = np.asarray(pivots, np.int64) - 1
    # z = L Q with orthonormal rows Q, so zᵀz = Qᵀ (LᵀL) Q, and LᵀL = C Cᵀ gives the rows CᵀQ.
    Q: Array = scipy.linalg.solve_triangular(L[:r], z[order[:r]], lower=True)
    return np.linalg.cholesky(L.T @ L).T @ Q
