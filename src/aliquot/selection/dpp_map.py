r"""The likeliest set of a determinantal point process, or nearly: greedily, then by exchanging picks.

.. math:: S^* = \arg\max_{|S| = n} \log\det(L_{SS} + \varepsilon I)

Greedy picks are the pivots of a Cholesky factorisation: each is the candidate of largest conditional variance h
given those before it. Its gain is :math:`\log(h/\varepsilon) \ge 0`; gains add up to
:math:`F(S) = \log\det(I + L_{SS}/\varepsilon)`, monotone, submodular, and the log-determinant above but for a
constant. As ε goes to 0 this is the likeliest set of the k-DPP of L itself, as far as its rank reaches.

Exchanges of picks for others then raise it further, if asked for: :mod:`aliquot.selection.dpp_exchange`.

With costs or constraints the next pick is the open candidate of the largest gain, or gain per cost; a budget is spent
in both ways, and the likelier set is the answer. See :mod:`aliquot.selection.cost` and
:mod:`aliquot.selection.constraints`. Exchanges know neither.

How good it provably is: no set of n has a larger F than the n largest eigenvalues allow,
:math:`\sum \log(1 + \lambda_m/\varepsilon)` (interlacing), nor the n largest diagonal entries (Hadamard), nor F(S)
plus the n largest remaining gains (submodularity). With a budget, the last two are what it buys of such values when
candidates may be cut.

References
----------
L. Chen, G. Zhang and H. Zhou, Adv. Neural Inf. Process. Syst. 31 (2018), arXiv:1709.05135
A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aliquot.errors import SelectionError
from aliquot.information.likelihood import Likelihood
from aliquot.information.pivoted import Conditional
from aliquot.progress import Progress, silent
from aliquot.selection.cost import BUDGET_REFERENCES, most
from aliquot.selection.dpp_exchange import exchange
from aliquot.selection.dpp_kernel import RIDGE, KernelChoice, hash_order
from aliquot.selection.ledger import Ledger
from aliquot.selection.method import Method
from aliquot.selection.record import Certificate, Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "DPPMap"]

Indices = NDArray[np.int64]
Vector = NDArray[np.float64]

_REFERENCES = (
    "L. Chen, G. Zhang and H. Zhou, Adv. Neural Inf. Process. Syst. 31 (2018), arXiv:1709.05135",
    "A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044",
)

_EQUAL = 1e-9  # so are gains per cost
_ROOM = 256  # picks for which a run within a budget makes room at first
_BOUND_LIMIT = 2_000  # candidates up to which an N × N matrix is decomposed only to bound the optimum


@dataclass(frozen=True)
class DPPMap:
    """Deterministic: the (nearly) likeliest n candidates.

    Parameters
    ----------
    kernel : str
        ``linear``, ``cosine``, ``cosine:exponent=2``, ``polynomial:degree=2,offset=1,length=…`` or
        ``rbf:length=…``; a length that is not given is that of the pool. Every kernel is used exactly, whatever the
        size of the pool. See :mod:`aliquot.information.kernel`.
    quality : array_like, optional
        q of each candidate of the pool, positive: those of larger quality are chosen rather.
    precision : float, optional
        Noise of the known structures, in the units of the kernel; 0 for none, possible while fewer are known than
        the rank. By default 10⁻¹² of the largest eigenvalue of the pool's second moment (linear, cosine) or of the
        mean of the kernel's diagonal.
    ridge : float
        ε as a fraction of the mean of the diagonal of L; positive.
    swaps : int
        Exchanges to make after the greedy picks, at most; none where costs or constraints are to be kept to.
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
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups, heeds=True)
        if self.swaps and request.binding:
            raise SelectionError(
                f"swaps={self.swaps}: exchanges cannot heed costs or constraints; leave out swaps or these"
            )
        members = np.flatnonzero(request.distinct)
        L = self._choice.exactly(candidates, members, request.known)
        ridge, order = self.ridge * L.level, hash_order(candidates, members)
        k = min(request.n, len(members))
        runs = {s: _greedy(request, s, L, members, k, ridge, order, progress) for s in request.strategies}
        best = max(runs, key=lambda s: round(float(runs[s][1].sum()), 6))
        some, gain, rest = runs[best]
        notes = (*L.notes, *_budget_notes(request, best, {s: run[1] for s, run in runs.items()}))
        if self.swaps and 0 < k < len(members):
            some, gain, rest, said = exchange(L, some, gain, ridge, order, self.swaps, progress)
            notes = (*notes, said)
        repeated = np.flatnonzero(~request.distinct)
        repeated = repeated[np.argsort(hash_order(candidates, repeated))][: request.n - k]
        return request.answer(
            np.concatenate((members[some], repeated)),
            method="dpp-map",
            recipe={
                "method": "dpp-map",
                **self._choice.recipe(),
                "kernel": str(L.kernel),
                "ridge": ridge,
                "swaps": self.swaps,
                "precision": L.precision,
            },
            gain=np.concatenate((gain, np.zeros(len(repeated)))),
            gain_unit="nat",
            certificate=_certificate(request, L, members, gain, rest, ridge) if len(some) else None,
            nested=self.swaps == 0 and request.nested,
            timings={"select": perf_counter() - start},
            references=_REFERENCES + (() if request.budget is None else BUDGET_REFERENCES),
            notes=notes,
        )


def _greedy(
    request: Request,
    strategy: str,
    L: Likelihood,
    members: Indices,
    k: int,
    ridge: float,
    order: Indices,
    progress: Progress,
) -> tuple[Indices, Vector, Vector]:
    """Picks, their gains, and what the others would gain."""
    # a budget admits up to all candidates, but seldom buys them
    room = k if request.budget is None else min(k, _ROOM)
    state = Conditional(L.diagonal, lambda j: L.columns(np.array([j]))[:, 0], room, order=order, ridge=ridge)
    ledger = request.ledger(strategy, request.distinct)
    index, variance = list[int](), list[float]()
    while len(index) < k:
        j = state.best() if ledger is None else _next(state, ledger, members, ridge)
        if j is None:
            break
        index.append(j)
        variance.append(state.absorb(j))
        progress("select", len(index), k)
    if ledger is not None:
        ledger.check_complete(request.n)
    rest = np.maximum(state.h, ridge)  # picks, at -inf, gain nothing more
    return np.array(index, np.int64), np.log(np.array(variance) / ridge), np.log(rest / ridge)


def _next(state: Conditional, ledger: Ledger, members: Indices, ridge: float) -> int | None:
    """The best of those whom the ledger admits, entered there; None where it admits nobody worth his money."""
    while (among := ledger.open[members]).any():
        h = np.where(among, state.h, ridge)
        if ledger.budget is not None and float(h.max()) <= ridge + state.rounding:
            return None  # money is not spent on nothing
        if ledger.price is None:
            j = state.best(among)
        else:
            price = ledger.price[members]
            worth, error = np.log(h / ridge) / price, state.rounding / h / price
            j = state.first(
                np.flatnonzero(among & (worth + error >= float(worth[among].max()) * (1.0 - _EQUAL)))
            )
        assert j is not None  # with a ridge, some variance is always left
        if ledger.admits(int(members[j])):
            ledger.enter(int(members[j]))
            return j
    return None


def _budget_notes(request: Request, best: str, gains: Mapping[str, Vector]) -> tuple[str, ...]:
    if request.budget is None:
        return ()
    said = ", ".join(f"{s} {len(gain)} picks" for s, gain in gains.items())
    ahead = float(gains[best].sum()) - min(float(gain.sum()) for gain in gains.values())
    return (
        f"the budget was spent greedily by gain per cost and by plain gain ({said}); {best} is the answer, by"
        f" {ahead:.3g} nat",
    )


def _certificate(
    request: Request, L: Likelihood, members: Indices, gain: Vector, rest: Vector, ridge: float
) -> Certificate:
    """The smallest of the three bounds."""
    n, achieved = len(gain), float(gain.sum())
    n = n if request.budget is None else L.n

    def best(values: Vector) -> float:
        return most(values, n, request.cost, among=members)

    bounds = {
        "Hadamard: the largest diagonal entries": best(np.log1p(L.diagonal / ridge)),
        "submodularity: the largest remaining gains, added up": achieved + best(rest),
    }
    if L.rows is not None or L.n <= _BOUND_LIMIT:
        largest = np.log1p(L.spectrum.values / ridge)
        # eigenvalues lost to rounding are below the smallest kept
        lost = float(largest[-1]) if len(largest) and len(largest) < min(n, L.n) else 0.0
        bounds["interlacing: the largest eigenvalues"] = most(largest, n, None) + lost * max(
            0, n - len(largest)
        )
    argument, bound = min(bounds.items(), key=lambda item: item[1])
    return Certificate(
        achieved=achieved,
        upper_bound=max(achieved, bound),
        objective="log-determinant of I + L/ε over the chosen, the logarithm of their probability less a constant",
        argument=argument,
    )


CATALOGUE = {
    "dpp-map": Method(
        DPPMap,
        "diverse and deterministic: the likeliest set of a k-DPP, greedily, then by exchanges",
        "2 N (d + n) n flops, and 4 N (d + n) an exchange",
        "8 N (d + n) bytes; 24 N n with exchanges",
        ("arXiv:1709.05135", "doi:10.1561/2200000044"),
        ("cost", "groups"),
        gives=("certificate", "nested"),
    ),
}
