r"""Which n rows span the largest volume, and is there an exchange of two that enlarges it? One by one, they are made.

The volume of the chosen rows Z_S is that of the box they span, with a noise ρ ≥ 0 on each,

.. math:: \det(Z_S Z_S^\top + \rho I) .

With :math:`B = (Z_S Z_S^\top + \rho I)^{-1}`, coefficients :math:`A = Z Z_S^\top B` and what they leave of a row,
:math:`h_j = \rho + |z_j - A_j Z_S|^2 + \rho |A_j|^2`, putting row j in the place of pick i multiplies it by

.. math:: A_{ji}^2 + h_j B_{ii} .

For ρ = 0 and as many picks as features h is zero, and this is MaxVol. For :math:`\rho = 1` and rows whitened by a
posterior the determinant is that of the posterior with the picks absorbed: D-optimal design. Exchanges are made
within a front, the rows of the largest such factors; then all rows are looked at again, until none of the N n
exchanges multiplies the determinant by more than a tolerance.

References
----------
M. Gu and S. C. Eisenstat, SIAM J. Sci. Comput. 17, 848 (1996), doi:10.1137/0917055
V. V. Fedorov, Theory of Optimal Experiments, Academic Press (1972)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliquot.information.spectrum import Rows
from aliquot.progress import Progress, silent
from aliquot.table import TILE_ROWS

__all__ = ["Exchanged", "exchange"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Indices = NDArray[np.int64]

_TIE = 1e-7  # relative; exchanges that multiply by as much are equal
_PER_ROUND = 64  # exchanges made in a front before everything is computed anew
_FRONT = 128  # rows in a front, at least; twice as many as picks if that is more


@dataclass(frozen=True, eq=False)
class Exchanged:
    """Picks that no exchange of two improves by more than the tolerance.

    Parameters
    ----------
    picks : (n,) array of int
        In the place of those they started from.
    log_det : float
        Logarithm of what the exchanges multiplied the determinant by, at least 0.
    exchanges, passes : int
        How many were made, and how often the table was read.
    settled : bool
        Whether no further exchange would help; False where ``most`` were made.
    """

    picks: Indices
    log_det: float
    exchanges: int
    passes: int
    settled: bool


def exchange(
    rows: Rows,
    n: int,
    picks: Indices,
    *,
    ridge: float,
    tolerance: float,
    order: Indices,
    allowed: NDArray[np.bool_] | None = None,
    most: int | None = None,
    progress: Progress = silent,
) -> Exchanged:
    """Exchange picks for other rows while that multiplies the determinant by more than ``tolerance``.

    Parameters
    ----------
    rows : callable
        The table, (some, features) float64 by slice or positions.
    n : int
        Its number of rows.
    picks : (k,) array of int
        Where to start; independent rows if ``ridge`` is 0.
    ridge : float
        ρ.
    tolerance : float
        More than 1.
    order : (n,) array of int
        Among equal exchanges that of the smallest entering row is made.
    allowed : (n,) array of bool, optional
        Rows that may enter.
    most : int, optional
        Exchanges at most.
    progress : Progress

    Notes
    -----
    A pass is 4 N d k flops for k picks; as many passes as rounds, usually fewer than ten.
    """
    made, passes, start = 0, 0, _log_det(rows(picks), ridge)
    best, reached, limit = picks.copy(), start, np.inf if most is None else most
    while len(picks) and made < limit:
        passes += 1
        front = _front(rows, n, best, ridge, tolerance, order, allowed)
        if len(front) == 0:
            return Exchanged(best, reached - start, made, passes, settled=True)
        state, before = _State(rows, np.concatenate((best, front)), len(best), ridge), made
        while made < min(before + _PER_ROUND, limit) and state.improve(tolerance, order):
            made += 1
            progress("exchange", made, made)
        now = _log_det(rows(state.picks), ridge)
        if now <= reached:  # what the updates promised was rounding
            return Exchanged(best, reached - start, before, passes, settled=True)
        best, reached = state.picks, now
    return Exchanged(best, reached - start, made, passes, settled=len(picks) == 0)


def _log_det(chosen: Matrix, ridge: float) -> float:
    """Logarithm of the determinant, from scratch."""
    stacked = np.vstack((chosen.T, np.sqrt(ridge) * np.eye(len(chosen))))
    return 2.0 * float(np.sum(np.log(np.abs(np.diagonal(np.linalg.qr(stacked, mode="r"))))))


def _factors(z: Matrix, chosen: Matrix, ridge: float) -> tuple[Matrix, Vector, Matrix]:
    """A, h and B of the module for rows ``z``, by QR of the chosen rows."""
    k = len(chosen)
    stacked = np.vstack((chosen.T, np.sqrt(ridge) * np.eye(k)))
    Q, R = np.linalg.qr(stacked)
    half = np.linalg.solve(R, np.eye(k))  # B = half halfᵀ
    A: Matrix = (z @ Q[: chosen.shape[1]]) @ half.T
    h = ridge + np.square(z - A @ chosen).sum(axis=1) + ridge * np.square(A).sum(axis=1)
    return A, h, half @ half.T


def _front(
    rows: Rows,
    n: int,
    picks: Indices,
    ridge: float,
    tolerance: float,
    order: Indices,
    allowed: NDArray[np.bool_] | None,
) -> Indices:
    """The rows of the largest factors; none where no factor exceeds the tolerance."""
    chosen, top = rows(picks), np.empty(n)
    for some in _tiles(n):
        A, h, B = _factors(rows(some), chosen, ridge)
        top[some] = (np.square(A) + h[:, None] * np.diagonal(B)).max(axis=1)
    top[picks] = 0.0
    if allowed is not None:
        top[~allowed] = 0.0
    if top.max(initial=0.0) <= tolerance:
        return np.empty(0, np.int64)
    ranked = np.lexsort((order, -np.round(np.log(np.maximum(top, 1e-300)), 8)))
    ranked = ranked[: max(_FRONT, 2 * len(picks))]
    return ranked[top[ranked] > 0.0]


def _tiles(n: int) -> Iterator[slice]:
    for a in range(0, n, TILE_ROWS):
        yield slice(a, min(a + TILE_ROWS, n))


class _State:
    """A, B and h for the picks and a front, kept up to date from exchange to exchange."""

    def __init__(self, rows: Rows, members: Indices, k: int, ridge: float) -> None:
        self.members, self.ridge = members, ridge
        self.z = rows(members)
        self.slot = np.arange(k)  # which member each pick is
        self.shares, self.h, self.inverse = _factors(self.z, self.z[:k], ridge)
        self.shares[:k], self.h[:k] = np.eye(k), 0.0

    @property
    def picks(self) -> Indices:
        """The rows now chosen."""
        return self.members[self.slot]

    def improve(self, tolerance: float, order: Indices) -> bool:
        """Make the best exchange; False where none is worth it."""
        factor = np.square(self.shares) + np.maximum(self.h, 0.0)[:, None] * np.diagonal(self.inverse)
        factor[self.slot] = 0.0
        best = float(factor.max())
        if best <= tolerance:
            return False
        enter, leave = np.nonzero(factor >= best * (1.0 - _TIE))
        t = int(np.lexsort((order[self.picks[leave]], order[self.members[enter]]))[0])
        self._replace(int(leave[t]), int(enter[t]))
        return True

    def _replace(self, s: int, j: int) -> None:
        """Put member j in the place of pick number s: first without s, then with j."""
        shares, inverse, h = self.shares, self.inverse, self.h
        column, own = shares[:, s].copy(), float(inverse[s, s])
        h += np.square(column) / own
        shares -= np.outer(column, inverse[s] / own)
        inverse -= np.outer(inverse[s].copy(), inverse[s] / own)
        shares[:, s] = inverse[s] = inverse[:, s] = 0.0
        covariance: Vector = self.z @ self.z[j] - shares @ (self.z[self.slot] @ self.z[j])
        covariance[j] += self.ridge
        variance, v = float(h[j]), shares[j].copy()
        shares -= np.outer(covariance / variance, v)
        shares[:, s] = covariance / variance
        h -= np.square(covariance) / variance
        inverse += np.outer(v, v) / variance
        inverse[s] = inverse[:, s] = -v / variance
        inverse[s, s] = 1.0 / variance
        self.slot[s] = j
        shares[self.slot], h[self.slot] = np.eye(len(self.slot)), 0.0
