r"""D-optimal design: greedy picks, then exchanges of chosen for unchosen until none tells a linear model more.

.. math:: F(S) = \tfrac12\log\det\Big(P + \sum_{i \in S} \Phi_i^\top \Phi_i\Big) - \tfrac12\log\det P

with the posterior precision P given what is known, and all rows of a candidate in :math:`\Phi_i`, weighted as a fit
weights them: the objective of ``bayes`` with the score ``entropy``, from whose picks this starts.

Candidates of one row each: the best of all n (N - n) exchanges is made, again and again (Fedorov), by the formulas
of :mod:`aliquot.information.exchanges` with ρ = 1. Blocks of rows: one pick after another, beginning with the one that
would be missed least, is taken out, everything is evaluated without it, and the best is put in its place
(the k-exchange of Johnson and Nachtsheim with k = n); until a whole round changes nothing. Both end where no single
exchange multiplies the determinant by more than ``tolerance``.

Known structures stay. An exchange changes what earlier picks were for: the answer is in the order in which greedy would
take the same structures, but is not nested.

References
----------
V. V. Fedorov, Theory of Optimal Experiments (Academic Press, 1972)
M. E. Johnson and C. J. Nachtsheim, Technometrics 25, 271 (1983), doi:10.1080/00401706.1983.10487878
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Entropy, Posterior, default_precision, gather
from aliquot.information.exchanges import exchange
from aliquot.progress import Progress, silent
from aliquot.selection.certificate import entropy_certificate
from aliquot.selection.greedy import TIE, first_by_hash, greedy
from aliquot.selection.method import Method
from aliquot.selection.points import by_hash
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import TILE_ROWS, Features

__all__ = ["CATALOGUE", "Exchange"]

Indices = NDArray[np.int64]
Vector = NDArray[np.float64]

_REFERENCES = (
    "V. V. Fedorov, Theory of Optimal Experiments (Academic Press, 1972)",
    "M. E. Johnson and C. J. Nachtsheim, Technometrics 25, 271 (1983), doi:10.1080/00401706.1983.10487878",
)


@dataclass(frozen=True)
class Exchange:
    """Log-determinant selection by exchanges.

    Parameters
    ----------
    precision : float, optional
        Prior precision λ in smoothness-scaled coordinates; by default that of ``bayes``, 10⁻¹² of the largest
        eigenvalue of the pool's second-moment matrix.
    tolerance : float
        Exchanges are made while one multiplies the determinant by more than this; more than 1.
    swaps : int, optional
        Exchanges at most.
    """

    precision: float | None = None
    tolerance: float = 1.0001
    swaps: int | None = None

    def __post_init__(self) -> None:
        if self.precision is not None and not (math.isfinite(self.precision) and self.precision > 0):
            raise SelectionError(f"the prior precision must be positive and finite; got {self.precision}")
        if not (math.isfinite(self.tolerance) and self.tolerance > 1.0):
            raise SelectionError(f"the tolerance of exchange must be more than 1; got {self.tolerance}")
        if self.swaps is not None and self.swaps < 0:
            raise SelectionError(f"the number of swaps must be 0 or more; got {self.swaps}")

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
        >>> Exchange().select(pool, 2, rng=np.random.default_rng(0)).index.tolist()
        [1, 2]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        precision = default_precision(candidates) if self.precision is None else float(self.precision)
        posterior = Posterior(np.full(candidates.n_features, precision))
        if request.known is not None:
            for some, _ in request.known.tiles():
                posterior.absorb(gather(request.known, some).weighted)
        notes: tuple[str, ...] = ()
        index, gain = np.empty(0, np.int64), np.empty(0)
        entropy = Entropy(posterior.copy())
        first = min(n, int(request.distinct.sum()))
        if first:
            picks, notes = self._improved(request, posterior, first, progress)
            trace = greedy(entropy, candidates[picks], first)
            index, gain = picks[trace.index], trace.gain
        repeated = greedy(entropy, candidates, n - first, allowed=~request.distinct)
        index, gain = np.concatenate((index, repeated.index)), np.concatenate((gain, repeated.gain))
        return request.answer(
            index,
            method="exchange",
            recipe={
                "method": "exchange",
                "precision": precision,
                "precision_from": "1e-12 of the largest eigenvalue of the pool"
                if self.precision is None
                else "given",
                "tolerance": self.tolerance,
                "swaps": self.swaps,
            },
            gain=gain,
            gain_unit="nat",
            certificate=entropy_certificate(entropy, request, index, gain) if n else None,
            nested=False,
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
        )

    def _improved(
        self, request: Request, posterior: Posterior, n: int, progress: Progress
    ) -> tuple[Indices, tuple[str, ...]]:
        """The new candidates that are chosen, and what to say."""
        table = request.candidates
        trace = greedy(Entropy(posterior.copy()), table, n, allowed=request.distinct, progress=progress)
        if n == request.distinct.sum() or self.swaps == 0:
            return trace.index, ()
        if table.single_rows:
            picks, made, settled = self._rows(request, posterior, trace.index, progress)
        else:
            picks, made, settled = self._blocks(request, posterior, trace.index, progress)
        before, after = (_information(table, posterior, some) for some in (trace.index, picks))
        ended = "no exchange of two would raise it further" if settled else "as many as allowed"
        return picks, (
            f"{made} exchanges raised the information of greedy, {before:.6g} nat, by {after - before:.4g} nat;"
            f" {ended}",
        )

    def _rows(
        self, request: Request, posterior: Posterior, start: Indices, progress: Progress
    ) -> tuple[Indices, int, bool]:
        """Candidates of one row: the best of all exchanges, again and again."""
        table, members = request.candidates, by_hash(request.candidates, request.distinct)
        z = np.empty((len(members), table.n_features))
        for a in range(0, len(members), TILE_ROWS):
            z[a : a + TILE_ROWS] = posterior.whiten(gather(table, members[a : a + TILE_ROWS]).weighted)
        place = np.empty(len(table), np.int64)
        place[members] = np.arange(len(members))
        found = exchange(
            z.__getitem__,
            len(members),
            place[start],
            ridge=1.0,
            tolerance=self.tolerance,
            order=np.arange(len(members)),
            most=self.swaps,
            progress=progress,
        )
        return members[found.picks], found.exchanges, found.settled

    def _blocks(
        self, request: Request, posterior: Posterior, start: Indices, progress: Progress
    ) -> tuple[Indices, int, bool]:
        """Blocks of rows: one out, the best one in, until a whole round changes nothing."""
        table, picks, made = request.candidates, start.copy(), 0
        worth, unchanged = 0.5 * math.log(self.tolerance), 0
        queue = list(range(len(picks)))[::-1]  # the last picks of greedy brought least
        while unchanged < len(picks):
            if self.swaps is not None and made >= self.swaps:
                return picks, made, False
            s = queue.pop(0)
            queue.append(s)
            entropy = Entropy(posterior.copy())
            if len(picks) > 1:
                entropy.absorb(gather(table, np.delete(picks, s)))
            allowed = request.distinct.copy()
            allowed[picks] = False
            gains = np.full(len(table), -1.0)
            for some, _ in table.tiles():
                if allowed[some].any():
                    gains[some] = entropy.gain(gather(table, some))
            gains[~allowed] = -1.0
            missed = float(entropy.gain(gather(table, picks[s : s + 1]))[0])
            unchanged += 1
            if (best := float(gains.max())) > missed + worth:
                picks[s] = first_by_hash(table, np.flatnonzero(gains >= best * (1.0 - TIE)))
                made, unchanged = made + 1, 1
                progress("exchange", made, made)
        return picks, made, True


def _information(table: Features, posterior: Posterior, picks: Indices) -> float:
    """F of the module."""
    return posterior.logdet_gain(gather(table, picks).weighted)


CATALOGUE = {
    "exchange": Method(
        Exchange,
        "D-optimal design: greedy log-determinant picks, then exchanges until none helps",
        "as bayes, then 4 N d n flops a pass, some ten passes; blocks: N d² a pick a round",
        "8 N d bytes; blocks: as bayes",
        ("doi:10.1080/00401706.1983.10487878",),
        gives=("certificate",),
    ),
}
