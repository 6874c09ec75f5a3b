r"""How much variance of stated targets each candidate would remove, kept up to date by low-rank formulas.

In coordinates in which the posterior at the beginning is the identity, with A the weighted rows of a candidate,
T the targets and H the posterior covariance now, labelling the candidate removes

.. math:: g = \| (I + K)^{-1/2} G \|_F^2, \qquad K = A H A^\top, \quad G = A H T^\top .

The K of all candidates are small and stay. When a candidate with rows :math:`A_p` is absorbed,

.. math:: H \leftarrow H - V V^\top, \qquad K \leftarrow K - (A V) (A V)^\top, \qquad
   V = H A_p^\top L^{-\top}, \quad L L^\top = I + K_p , \qquad G \leftarrow G - (A V) (T V)^\top ,

so that one matrix product, of all rows with V, brings every gain up to date. Candidates of one row
need no G: with S = TᵀT, the scalar :math:`M = a H S H a^\top = \|G\|^2` follows from a V and a H S V.

Candidates of equal numbers of rows (rounded up, with zeros) are done together. A block of more rows than features is
first compressed to its triangle. Differences of large numbers lose digits; before they lose too many, everything is
computed anew from the rows, in the coordinates of that moment.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false
# (SciPy brings no types for LAPACK)

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aliquot.information.blocks import gather
from aliquot.information.passes import ordered
from aliquot.information.posterior import Posterior
from aliquot.progress import Progress, silent
from aliquot.solvers.unlocked import factor, solve_right
from aliquot.table import TILE_ROWS, Features, room

__all__ = ["Reduction"]

_EPS = float(np.finfo(np.float64).eps)
_LOST_DIGITS = (
    1e-7  # error of K beside the noise, or of the variance left, at which everything is computed anew
)
_SMALL = 8  # from here on numbers of rows are rounded up to multiples of this, below to powers of two

Array = NDArray[np.float64]
T = TypeVar("T")


@dataclass(eq=False)
class _Stack:
    """Candidates of one (padded) number of rows r.

    Parameters
    ----------
    members : (n,) array of int
        Positions in the pool.
    A : (n r, features) array
        Their rows, in the coordinates of the moment.
    K : (n, r, r) array
    M : (n,) array
        ‖G‖².
    G : (n, r, k) array
        Only where r > 1.
    """

    members: NDArray[np.int64]
    A: Array
    K: Array
    M: Array
    G: Array

    @property
    def r(self) -> int:
        """Rows of each candidate."""
        return self.K.shape[1]

    def parts(self) -> Iterator[tuple[slice, slice]]:
        """Candidates and their rows, about ``TILE_ROWS / 2`` rows at a time."""
        n, at_once = len(self.members), max(1, TILE_ROWS // (2 * self.r))
        for start in range(0, n, at_once):
            stop = min(n, start + at_once)
            yield slice(start, stop), slice(start * self.r, stop * self.r)


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

    Notes
    -----
    Beginning: O(rows d²). A pick of r rows: 2 r (d + k) flops a row of the pool, and r³ (1 + 1/3) + r² k a candidate;
    4 d r flops a candidate of one row. Memory: all rows in float64 (in a temporary file where they are many), and
    r (r + k) doubles a candidate.

    Examples
    --------
    >>> pool = Features.from_array(np.eye(2))
    >>> goal = Reduction(Posterior(np.ones(2)), pool, np.array([[2.0, 1.0]]))
    >>> goal.variance, goal.gains
    (5.0, array([2. , 0.5]))
    """

    def __init__(
        self, posterior: Posterior, table: Features, targets: Array, *, progress: Progress = silent
    ) -> None:
        self._targets = posterior.whiten(np.asarray(targets, np.float64))
        self._picked: list[Array] = []
        self._stacks = _stacks(posterior, table, len(self._targets), progress)
        self.gains, self.slopes = np.zeros(len(table)), np.zeros(len(table))
        self._begin()

    @property
    def variance(self) -> float:
        """What is left of the variance of the targets: tr(T H Tᵀ)."""
        return max(0.0, float(np.einsum("ij,ij->", self._targets @ self._covariance, self._targets)))

    def _begin(self) -> None:
        """Take the posterior of the moment as the identity."""
        self._covariance = np.eye(self._targets.shape[1])
        self._reference, self._largest = self.variance, 0.0

        def one(job: tuple[_Stack, slice, slice]) -> float:
            stack, some, rows = job
            A = stack.A[rows].reshape(-1, stack.r, stack.A.shape[1])
            G = A @ self._targets.T
            K = stack.K[some] = A @ A.transpose(0, 2, 1)
            if stack.r == 1:
                stack.M[some] = np.einsum("nrt,nrt->n", G, G)
            else:
                stack.G[some] = G
            self._finish(stack, some)
            return float(np.einsum("nii->ni", K).max())

        self._largest = max(self._each(one), default=0.0)

    def absorb(self, candidate: int) -> None:
        """The labels of this candidate are known from now on."""
        A = self._rows(candidate)
        self._picked.append(A)
        HA = self._covariance @ A.T
        L = np.linalg.cholesky(np.eye(len(A)) + A @ HA)
        V: Array = scipy.linalg.solve_triangular(L, HA.T, lower=True).T
        TV = self._targets @ V
        HSV = self._covariance @ (self._targets.T @ TV)
        self._covariance -= V @ V.T
        left = self.variance
        if _EPS * self._largest > _LOST_DIGITS or _EPS * self._reference > _LOST_DIGITS * left > 0.0:
            self._renew()
        else:
            self._update(V, HSV, TV.T @ TV)

    def _rows(self, candidate: int) -> Array:
        for stack in self._stacks:
            i = int(np.searchsorted(stack.members, candidate))
            if i < len(stack.members) and stack.members[i] == candidate:
                return np.array(stack.A[i * stack.r : (i + 1) * stack.r])
        raise IndexError(f"there is no candidate {candidate}")

    def _renew(self) -> None:
        """New coordinates, in which the posterior of the moment is the identity."""
        posterior = Posterior(np.ones(len(self._covariance)))
        posterior.absorb(np.vstack(self._picked))
        posterior.factor()  # once, not by every thread

        def one(job: tuple[_Stack, slice, slice]) -> None:
            stack, _, rows = job
            stack.A[rows] = posterior.whiten(stack.A[rows])

        self._each(one)
        self._targets, self._picked = posterior.whiten(self._targets), []
        self._begin()

    def _update(self, V: Array, HSV: Array, VSV: Array) -> None:
        """Bring K, G, M and gains of all candidates to now, V being what the covariance has just lost."""
        q = V.shape[1]
        single, TV = np.hstack([V, HSV]), self._targets @ V

        def one(job: tuple[_Stack, slice, slice]) -> None:
            stack, some, rows = job
            if stack.r == 1:
                WX = stack.A[rows] @ single
                W, X = WX[:, :q], WX[:, q:]
                stack.K[some, 0, 0] -= np.einsum("nq,nq->n", W, W)
                stack.M[some] += np.einsum("nq,nq->n", W, W @ VSV - 2.0 * X)
            else:
                flat = stack.A[rows] @ V
                stack.G[some] -= (flat @ TV.T).reshape(-1, stack.r, len(TV))
                lost = flat.reshape(-1, stack.r, q)
                stack.K[some] -= lost @ lost.transpose(0, 2, 1)
            self._finish(stack, some)

        self._each(one)

    def _each(self, one: Callable[[tuple[_Stack, slice, slice]], T]) -> list[T]:
        """What ``one`` gives for every part, each by a single thread: so no digit depends on how many there are."""
        jobs = [(stack, *part) for stack in self._stacks for part in stack.parts()]
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            return list(pool.map(one, jobs))

    def _finish(self, stack: _Stack, some: slice) -> None:
        """Gains and slopes from K and G, or from K and M where there is one row."""
        if stack.r == 1:
            gain = stack.M[some] / (1.0 + np.maximum(stack.K[some, 0, 0], 0.0))
        else:
            stack.M[some] = np.einsum("nrt,nrt->n", stack.G[some], stack.G[some])
            gain = np.array([_removed(K, G) for K, G in zip(stack.K[some], stack.G[some], strict=True)])
        members = stack.members[some]
        self.gains[members] = np.maximum(gain, 0.0)
        self.slopes[members] = np.maximum(stack.M[some], 0.0)


def _removed(K: Array, G: Array) -> float:
    """‖(I + K)^(-1/2) G‖²."""
    upper = np.array(K.T, order="F")
    upper[np.diag_indices_from(upper)] += 1.0
    factor(upper)
    root = np.array(G.T, order="F")
    solve_right(upper, root)
    return float(np.einsum("kr,kr->", root, root))


def _stacks(posterior: Posterior, table: Features, k: int, progress: Progress) -> list[_Stack]:
    """The pool in whitened coordinates, sorted by numbers of rows."""
    d = table.n_features
    padded = np.array([_padded(min(int(m), d)) for m in np.diff(table.offsets)], np.int64)
    stacks: dict[int, _Stack] = {}
    for r in np.unique(padded).tolist():
        members = np.flatnonzero(padded == r)
        n = len(members)
        A, K = room((n * r, d), np.float64), room((n, r, r), np.float64)
        G = room((n, r, k), np.float64) if r > 1 else np.empty((0, 1, k))
        stacks[r] = _Stack(members, A, K, np.zeros(n), G)
    ends = dict.fromkeys(stacks, 0)
    posterior.factor()  # once, not by every thread
    tiles = [some for some, _ in table.tiles()]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        done = ordered(pool, _compressed, tiles, lambda some: (posterior, table, some))
        for some, blocks in zip(tiles, done, strict=True):
            for i, short in enumerate(blocks, some.start):
                r = int(padded[i])
                rows, end = stacks[r].A, ends[r]
                rows[end : end + len(short)] = short
                rows[end + len(short) : end + r] = 0.0
                ends[r] = end + r
            progress("compress", some.stop, len(table))
    return list(stacks.values())


def _compressed(posterior: Posterior, table: Features, some: slice) -> list[Array]:
    """Whitened rows of each candidate, no more of them than features."""
    blocks = gather(table, some)
    z = posterior.whiten(blocks.weighted)
    parts = (z[first:last] for first, last in zip(blocks.offsets[:-1], blocks.offsets[1:], strict=True))
    return [part if len(part) <= z.shape[1] else np.asarray(np.linalg.qr(part, mode="r")) for part in parts]


def _padded(m: int) -> int:
    """Few different numbers of rows, so that many candidates are done together."""
    return 1 << (m - 1).bit_length() if m <= _SMALL else -(-m // _SMALL) * _SMALL
