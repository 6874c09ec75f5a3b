r"""Does another candidate in the place of a pick make a set likelier? The best such exchange, as long as there is one.

Given picks S, with :math:`B = (L_{SS} + \varepsilon I)^{-1}`, :math:`A = L_{:S} B` and conditional variances h,
putting j in the place of i multiplies the determinant by :math:`B_{ii} h_j + A_{ji}^2`. The best of all n (N - n)
exchanges is made until none raises the determinant by more than a thousandth, or as many as allowed are made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliquot.information.likelihood import Likelihood
from aliquot.information.pivoted import pivoted_cholesky
from aliquot.progress import Progress

__all__ = ["Exchanges", "exchange"]

Indices = NDArray[np.int64]
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_WORTH = 1e-3  # an exchange must raise the determinant by more than this share; rounding can reach 1e-4
_TIE = 1e-6  # such exchanges are equally good
_REFRESH = 16  # exchanges after which everything is computed from scratch


def exchange(
    L: Likelihood,
    start: Indices,
    gain: Vector,
    ridge: float,
    order: Indices,
    swaps: int,
    progress: Progress,
) -> tuple[Indices, Vector, Vector, str]:
    """Picks after exchanging, in greedy order among themselves; with gains, what is left, and what to say."""
    state = Exchanges(L, start, ridge, order)
    made = 0
    while made < swaps and state.improve():
        made += 1
        if made % _REFRESH == 0:
            state = Exchanges(L, state.picks, ridge, order)
        progress("exchange", made, swaps)
    picks = state.picks
    inner = L.columns(picks)[picks]
    pivots = pivoted_cholesky(
        np.diagonal(inner), lambda j: inner[:, j], len(picks), order=order[picks], ridge=ridge
    )
    ordered = picks[pivots.index]
    better = np.log(pivots.variance / ridge)
    raised = float(better.sum() - gain.sum())
    rest = np.log(np.maximum(Exchanges(L, ordered, ridge, order).h, ridge) / ridge)
    ended = "no exchange of two would raise it further" if made < swaps else "as many as allowed"
    return ordered, better, rest, f"{made} exchanges raised the log-determinant by {raised:.4g} nat; {ended}"


class Exchanges:
    """B, A and h of the module's formulas for one set of picks, kept up to date from exchange to exchange."""

    def __init__(self, L: Likelihood, picks: Indices, ridge: float, order: Indices) -> None:
        self.L, self.ridge, self.order = L, ridge, order
        self.picks = picks.copy()
        panel = L.columns(picks)
        inner = panel[picks]
        root = np.linalg.cholesky(0.5 * (inner + inner.T) + ridge * np.eye(len(picks)))
        half = np.linalg.solve(root, np.eye(len(picks)))
        self.B: Matrix = half.T @ half
        self.A: Matrix = (panel @ half.T) @ half
        self.h: Vector = L.diagonal + ridge - np.square(panel @ half.T).sum(axis=1)
        self.A[picks], self.h[picks] = np.eye(len(picks)), 0.0

    def improve(self) -> bool:
        """Make the best exchange, if it is worth it."""
        ratio = np.square(self.A) + np.maximum(self.h, 0.0)[:, None] * np.diagonal(self.B)
        ratio[self.picks] = 0.0
        best = float(ratio.max())
        if best <= 1.0 + _WORTH:
            return False
        enter, leave = np.nonzero(ratio >= best * (1.0 - _TIE))
        t = int(np.lexsort((self.order[enter], self.order[self.picks[leave]]))[0])
        self._replace(int(leave[t]), int(enter[t]))
        return True

    def _replace(self, s: int, j: int) -> None:
        """Put candidate j in the place of pick number s: first without s, then with j."""
        inverse, share, h = self.B, self.A, self.h
        column = self.L.columns(np.array([j]))[:, 0]
        column[j] += self.ridge
        removed, own = share[:, s].copy(), float(inverse[s, s])
        covariance = column - share @ column[self.picks] + removed * (removed[j] / own)
        out = inverse[s] / own
        h += np.square(removed) / own
        share -= np.outer(removed, out)  # column s becomes zero
        inverse -= np.outer(inverse[:, s].copy(), out)
        variance = float(h[j])
        v = share[j].copy()
        share -= np.outer(covariance / variance, v)
        share[:, s] = covariance / variance
        h -= np.square(covariance) / variance
        inverse += np.outer(v, v) / variance
        inverse[s], inverse[:, s] = -v / variance, -v / variance
        inverse[s, s] = 1.0 / variance
        self.picks[s] = j
        share[self.picks], h[self.picks] = np.eye(len(self.picks)), 0.0
