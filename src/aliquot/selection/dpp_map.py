r"""The likeliest set of a determinantal point process, or nearly: greedily, then by exchanging picks.

.. math:: S^* = \arg\max_{|S| = n} \log\det(L_{SS} + \varepsilon I)

Greedy picks are the pivots of a Cholesky factorisation: each is the candidate of largest conditional variance h
given those before it. Its gain is :math:`\log(h/\varepsilon) \ge 0`; gains add up to
:math:`F(S) = \log\det(I + L_{SS}/\varepsilon)`, monotone, submodular, and the log-determinant above but for a
constant. As ε goes to 0 this is the likeliest set of the k-DPP of L itself, as far as its rank reaches.

Exchanging: given S, with :math:`B = (L_{SS} + \varepsilon I)^{-1}`, :math:`A = L_{:S} B` and conditional variances h,
putting j in the place of i multiplies the determinant by :math:`B_{ii} h_j + A_{ji}^2`. The best of all n (N - n)
exchanges is made until none raises the determinant by more than a thousandth, or as many as allowed are made.

How good it provably is: no set of n has a larger F than the n largest eigenvalues allow,
:math:`\sum \log(1 + \lambda_m/\varepsilon)` (interlacing), nor the n largest diagonal entries (Hadamard), nor F(S)
plus the n largest remaining gains (submodularity).

References
----------
L. Chen, G. Zhang and H. Zhou, Adv. Neural Inf. Process. Syst. 31 (2018), arXiv:1709.05135
A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aliquot.errors import SelectionError
from aliquot.information.likelihood import Likelihood
from aliquot.information.pivoted import pivoted_cholesky
from aliquot.progress import Progress, silent
from aliquot.selection.dpp_kernel import RIDGE, KernelChoice, hash_order
from aliquot.selection.method import Method
from aliquot.selection.record import Certificate, Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "DPPMap"]

Indices = NDArray[np.int64]
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_REFERENCES = (
    "L. Chen, G. Zhang and H. Zhou, Adv. Neural Inf. Process. Syst. 31 (2018), arXiv:1709.05135",
    "A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044",
)

_WORTH = 1e-3  # an exchange must raise the determinant by more than this share; rounding can reach 1e-4
_TIE = 1e-6  # such exchanges are equally good
_REFRESH = 16  # exchanges after which everything is computed from scratch
_BOUND_LIMIT = 2_000  # candidates up to which an N × N matrix is decomposed only to bound the optimum


@dataclass(frozen=True)
class DPPMap:
    """Deterministic: the (nearly) likeliest n candidates.

    Parameters
    ----------
    kernel, quality, precision
        As for :class:`~aliquot.selection.KDPP`. Every kernel is used exactly, whatever the size of the pool.
    ridge : float
        ε as a fraction of the mean of the diagonal of L; positive.
    swaps : int
        Exchanges to make after the greedy picks, at most.
    """

    kernel: str = "linear"
    quality: ArrayLike | None = None
    precision: float | None = None
    ridge: float = RIDGE
    swaps: int = 0

    def __post_init__(self) -> None:
        _ = self._choice
        if not self.ridge > 0:
            raise SelectionError(
                f"the ridge of dpp-map must be positive; got {self.ridge}: a tiny one will do"
            )
        if self.swaps < 0:
            raise SelectionError(f"the number of swaps must be 0 or more; got {self.swaps}")

    @property
    def _choice(self) -> KernelChoice:
        return KernelChoice(self.kernel, self.quality, self.precision, self.ridge, 1, 1)

    def select(
        self,
        candidates: Features,
        n: int,
        *,
        known: Features | None = None,
        cost: Any = None,
        groups: Any = None,
        rng: np.random.Generator,
        progress: Progress = silent,
    ) -> Selection:
        """Choose ``n`` candidates; see :class:`aliquot.selection.Selector`. Deterministic: ``rng`` is not used.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.array([[3.0, 0.0], [3.0, 0.1], [0.0, 1.0]]))
        >>> DPPMap().select(pool, 2, rng=np.random.default_rng(0)).index.tolist()
        [1, 2]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        members = np.flatnonzero(request.distinct)
        L = self._choice.exactly(candidates, members, request.known)
        ridge, order = self.ridge * L.level, hash_order(candidates, members)
        k = min(n, len(members))
        some, gain, rest = _greedy(L, k, ridge, order, progress)
        notes = L.notes
        if self.swaps and 0 < k < len(members):
            some, gain, rest, said = _exchange(L, some, gain, ridge, order, self.swaps, progress)
            notes = (*notes, said)
        repeated = np.flatnonzero(~request.distinct)
        repeated = repeated[np.argsort(hash_order(candidates, repeated))]
        return request.answer(
            np.concatenate((members[some], repeated[: n - k])),
            method="dpp-map",
            recipe={
                "method": "dpp-map",
                **self._choice.recipe(),
                "kernel": str(L.kernel),
                "ridge": ridge,
                "swaps": self.swaps,
                "precision": L.precision,
            },
            gain=np.concatenate((gain, np.zeros(n - k))),
            gain_unit="nat",
            certificate=_certificate(L, gain, rest, ridge) if k else None,
            nested=self.swaps == 0,
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
        )


def _greedy(
    L: Likelihood, k: int, ridge: float, order: Indices, progress: Progress
) -> tuple[Indices, Vector, Vector]:
    """Picks, their gains, and what the others would gain."""
    pivots = pivoted_cholesky(
        L.diagonal,
        lambda j: L.columns(np.array([j]))[:, 0],
        k,
        order=order,
        ridge=ridge,
        progress=progress,
    )
    rest = np.maximum(pivots.rest, ridge)  # picks, at -inf, gain nothing more
    return pivots.index, np.log(pivots.variance / ridge), np.log(rest / ridge)


def _exchange(
    L: Likelihood,
    start: Indices,
    gain: Vector,
    ridge: float,
    order: Indices,
    swaps: int,
    progress: Progress,
) -> tuple[Indices, Vector, Vector, str]:
    """Picks after exchanging, in greedy order among themselves; with gains, what is left, and what to say."""
    state = _Exchanges(L, start, ridge, order)
    made = 0
    while made < swaps and state.improve():
        made += 1
        if made % _REFRESH == 0:
            state = _Exchanges(L, state.picks, ridge, order)
        progress("exchange", made, swaps)
    picks = state.picks
    inner = L.columns(picks)[picks]
    pivots = pivoted_cholesky(
        np.diagonal(inner), lambda j: inner[:, j], len(picks), order=order[picks], ridge=ridge
    )
    ordered = picks[pivots.index]
    better = np.log(pivots.variance / ridge)
    raised = float(better.sum() - gain.sum())
    rest = np.log(np.maximum(_Exchanges(L, ordered, ridge, order).h, ridge) / ridge)
    ended = "no exchange of two would raise it further" if made < swaps else "as many as allowed"
    return ordered, better, rest, f"{made} exchanges raised the log-determinant by {raised:.4g} nat; {ended}"


class _Exchanges:
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


def _certificate(L: Likelihood, gain: Vector, rest: Vector, ridge: float) -> Certificate:
    """The smallest of the three bounds."""
    n, achieved = len(gain), float(gain.sum())
    bounds = {
        "Hadamard: the largest diagonal entries": _top(np.log1p(L.diagonal / ridge), n),
        "submodularity: the largest remaining gains, added up": achieved + _top(rest, n),
    }
    if L.rows is not None or L.n <= _BOUND_LIMIT:
        largest = np.log1p(L.spectrum.values / ridge)
        # eigenvalues lost to rounding are below the smallest kept
        lost = float(largest[-1]) if len(largest) and len(largest) < min(n, L.n) else 0.0
        bounds["interlacing: the largest eigenvalues"] = _top(largest, n) + lost * max(0, n - len(largest))
    argument, bound = min(bounds.items(), key=lambda item: item[1])
    return Certificate(
        achieved=achieved,
        upper_bound=max(achieved, bound),
        objective="log-determinant of I + L/ε over the chosen, the logarithm of their probability less a constant",
        argument=argument,
    )


def _top(values: Vector, n: int) -> float:
    """Sum of the ``n`` largest."""
    return float(np.sort(values)[::-1][:n].sum())


CATALOGUE = {
    "dpp-map": Method(
        DPPMap,
        "diverse and deterministic: the likeliest set of a k-DPP, greedily, then by exchanges",
        "2 N (d + n) n flops, and 4 N (d + n) an exchange",
        "8 N (d + n) bytes; 24 N n with exchanges",
        ("arXiv:1709.05135", "doi:10.1561/2200000044"),
        gives=("certificate", "nested"),
    ),
}
