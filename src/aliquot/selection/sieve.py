r"""Choosing from a stream: one pass over the pool, in bounded memory, nothing is asked for twice.

The best information that n candidates can bring, OPT, lies between the largest single gain Δ and n Δ. For every
guess :math:`v = (1 + \varepsilon)^i` in :math:`[\Delta, 2 n \Delta]`, Δ being the largest so far, a *sieve* keeps the
candidate that comes by if

.. math:: F(S_v + c) - F(S_v) \ge \frac{v/2 - F(S_v)}{n - |S_v|} \quad\text{and}\quad |S_v| < n ,

and the best sieve has :math:`F \ge (\tfrac12 - \varepsilon)\,F(S^*)`, whatever the pool and its order
(Badanidiyuru and others). Single gains are upper bounds of all later ones: most candidates are refused without
being evaluated again.

Deviations from the paper. Candidates come in tiles, in the order in which they are stored, those of one tile in the
order of their hashes; Δ is the largest gain up to the end of the tile, so that a sieve begins earlier than it must.
The n candidates of the largest single gains are remembered too, and what all sieves have kept is not thrown away:
from all of these the best sieve is filled up to n by exact greedy selection, and as many are chosen by exact greedy
selection alone; the better is the answer. That can only raise F.

Like every answer from a stream, this one depends on the order in which the pool is stored, from one tile of 4,096
rows to the next. ``benchmarks/approximations.py`` measures the loss.

References
----------
A. Badanidiyuru, B. Mirzasoleiman, A. Karbasi and A. Krause, KDD '14, 671 (2014), doi:10.1145/2623330.2623637
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Entropy, gather
from aliquot.progress import Progress, silent
from aliquot.selection.approximation import answered, opening, prior_of
from aliquot.selection.greedy import greedy
from aliquot.selection.method import Method
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "Sieve"]

_REFERENCES = (
    "A. Badanidiyuru, B. Mirzasoleiman, A. Karbasi and A. Krause, KDD '14, 671 (2014), doi:10.1145/2623330.2623637",
)

_AT_ONCE = 64  # candidates of a tile that one sieve evaluates together

Indices = NDArray[np.int64]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Sieve:
    """Streaming selection by information gain.

    Parameters
    ----------
    epsilon : float
        ε: guesses of the optimum grow by 1 + ε. Between 0 and ½.
    precision : float, optional
        Prior precision, as for :class:`aliquot.selection.Bayes`; the default takes a pass of its own.
    certify : bool
        Whether to read the pool once more for a certificate.
    """

    epsilon: float = 0.1
    precision: float | None = None
    certify: bool = True

    def __post_init__(self) -> None:
        if not 0.0 < self.epsilon < 0.5:
            raise SelectionError(f"epsilon must lie between 0 and 0.5; got {self.epsilon}")
        if self.precision is not None and not (math.isfinite(self.precision) and self.precision > 0):
            raise SelectionError(f"the prior precision must be positive and finite; got {self.precision}")

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
        >>> sorted(Sieve().select(pool, 2, rng=np.random.default_rng(0)).index.tolist())
        [1, 2]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        precision, origin = prior_of(request, self.precision)
        k = min(n, int(request.distinct.sum()))
        before = opening(request, precision)
        stream = _Stream(candidates, before, k, self.epsilon)
        for some, _ in candidates.tiles() if k else ():
            stream.pass_by(some, request.distinct[some])
            progress("stream", some.stop, len(candidates))
        index, gain, information, plain = stream.settle(request)
        notes = (
            f"one pass; at most {stream.most} sieves at a time kept {len(stream.kept)} candidates, the best of them"
            f" {plain[1]} worth {plain[0]:.6g} nat, the answer {gain.sum():.6g} nat",
            f"guaranteed for every pool: ½ - ε = {0.5 - self.epsilon:.1%} of the most that any choice can bring"
            + ("; the certificate is for this pool" if self.certify else ""),
        )
        return answered(
            request,
            information,
            index,
            gain,
            certify=self.certify,
            recipe={
                "method": "sieve",
                "epsilon": self.epsilon,
                "precision": precision,
                "precision_from": origin,
            },
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
        )


class _Stream:
    """All sieves, by the exponent of their guess, and the candidates of the largest single gains."""

    def __init__(self, table: Features, before: Entropy, n: int, epsilon: float) -> None:
        self.table, self.before, self.n = table, before, n
        self.log_step = math.log1p(epsilon)
        self.sieves: dict[int, _OneSieve] = {}
        self.largest, self.most = 0.0, 0
        self.best: Indices = np.empty(0, np.int64)
        self._best_gain: Vector = np.empty(0)

    @property
    def kept(self) -> set[int]:
        """Candidates in any sieve."""
        return {pick for sieve in self.sieves.values() for pick in sieve.picks}

    def pass_by(self, some: slice, distinct: NDArray[np.bool_]) -> None:
        """Show one tile to all sieves."""
        members = some.start + np.flatnonzero(distinct)
        if len(members) == 0:
            return
        members = members[np.lexsort((members, self.table.ids.hash[members]))]
        tile = self.table[members]
        single = self.before.gain(gather(tile, slice(0, len(tile))))
        self._remember(members, single)
        self.largest = max(self.largest, float(single.max()))
        if self.largest <= 0.0:
            return
        low = math.ceil(math.log(self.largest) / self.log_step - 1e-9)
        high = math.floor(math.log(2.0 * self.n * self.largest) / self.log_step + 1e-9)
        self.sieves = {
            i: self.sieves.get(i) or _OneSieve(math.exp(i * self.log_step), self.before)
            for i in range(low, high + 1)
        }
        self.most = max(self.most, len(self.sieves))
        for sieve in self.sieves.values():
            sieve.pass_by(tile, members, single, self.n)

    def _remember(self, members: Indices, single: Vector) -> None:
        """Keep the n of the largest single gains; equal gains by hash."""
        members, single = np.concatenate((self.best, members)), np.concatenate((self._best_gain, single))
        order = np.lexsort((self.table.ids.hash[members], -single))[: self.n]
        self.best, self._best_gain = members[order], single[order]

    def settle(self, request: Request) -> tuple[Indices, Vector, Entropy, tuple[float, int]]:
        """Picks, gains, the information after them; the worth and size of the best sieve as it was."""
        allowed = np.zeros(len(self.table), bool)
        allowed[self.best] = True
        allowed[np.array(sorted(self.kept), np.int64)] = True
        information = self.before.copy()
        alone = greedy(information, self.table, self.n, allowed=allowed)
        if not self.sieves:
            return alone.index, alone.gain, information, (0.0, 0)
        best = max(self.sieves.values(), key=lambda sieve: sum(sieve.gains))
        plain = (float(sum(best.gains)), len(best.picks))
        allowed[best.picks] = False
        rest = greedy(best.information, self.table, self.n - len(best.picks), allowed=allowed)
        gain = np.concatenate((best.gains, rest.gain))
        if gain.sum() > alone.gain.sum() * (1.0 + 1e-9):
            index = np.concatenate((np.array(best.picks, np.int64), rest.index))
            return index, gain, best.information, plain
        return alone.index, alone.gain, information, plain


class _OneSieve:
    """What one guess of the optimum has kept."""

    def __init__(self, guess: float, before: Entropy) -> None:
        self.guess, self.information = guess, before.copy()
        self.picks: list[int] = []
        self.gains: list[float] = []

    def pass_by(self, tile: Features, members: Indices, single: Vector, n: int) -> None:
        """Keep those that bring what is still wanted of each."""
        bound, position, worth = single.copy(), 0, sum(self.gains)
        while len(self.picks) < n:
            wanted = (0.5 * self.guess - worth) / (n - len(self.picks))
            able = position + np.flatnonzero(bound[position:] >= wanted)[:_AT_ONCE]
            if len(able) == 0:
                return
            bound[able] = self.information.gain(gather(tile, able))
            enough = able[bound[able] >= wanted]
            if len(enough) == 0:
                position = int(able[-1]) + 1
                continue
            j = int(enough[0])
            position = j + 1
            self.picks.append(int(members[j]))
            self.gains.append(float(bound[j]))
            worth += float(bound[j])
            self.information.absorb(gather(tile, np.array([j])))


CATALOGUE = {
    "sieve": Method(
        Sieve,
        "approximate entropy-greedy: one pass over a stream, in bounded memory",
        "N d² log(2 n)/ε flops at most",
        "log(2 n)/ε times 2 d² + n d, and tiles",
        ("doi:10.1145/2623330.2623637",),
        (),
        ("certificate",),
    ),
}
