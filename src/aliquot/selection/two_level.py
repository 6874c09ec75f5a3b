r"""Greedy in parts, then greedy among what the parts have chosen: for pools that one machine would not finish.

Candidates are dealt out to m parts. Each part chooses n by exact greedy selection for the information gain, given
the known structures; then n are chosen from these m n in the same way. The better of that and of the best part's own
choice is the answer. Parts are independent of each other and may run in any :class:`concurrent.futures.Executor`.

Guaranteed: with candidates dealt out at random, the expected information is at least

.. math:: \tfrac12 (1 - 1/e) F(S^*),

whatever the pool and m (Barbosa and others). For every way of dealing them out it is at least
:math:`(1 - 1/e) F(S^*)/m`: one part holds candidates of :math:`S^*` that are worth :math:`F(S^*)/m`, and its greedy
choice is within 1 - 1/e of the best of its own. The chance is that of the content hashes, which decide the part: the
answer depends neither on a seed nor on the order of the pool nor on the executor. Each answer certifies how far from
the optimum it is at most.

``benchmarks/approximations.py`` measures the loss.

References
----------
B. Mirzasoleiman, A. Karbasi, R. Sarkar and A. Krause, Adv. Neural Inf. Process. Syst. 26 (2013); J. Mach. Learn.
Res. 17, 238 (2016), arXiv:1411.0541
R. Barbosa, A. Ene, H. L. Nguyen and J. Ward, Proc. Mach. Learn. Res. 37, 1236 (2015), arXiv:1502.02606
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Entropy, Posterior
from aliquot.information.blocks import Part
from aliquot.information.passes import ordered, threads
from aliquot.progress import Progress, silent
from aliquot.selection.approximation import answered, gains_of, opening, prior_of
from aliquot.selection.greedy import greedy
from aliquot.selection.method import Method
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features, Ids

__all__ = ["CATALOGUE", "TwoLevel"]

_REFERENCES = (
    "B. Mirzasoleiman, A. Karbasi, R. Sarkar and A. Krause, J. Mach. Learn. Res. 17, 238 (2016), arXiv:1411.0541",
    "R. Barbosa, A. Ene, H. L. Nguyen and J. Ward, Proc. Mach. Learn. Res. 37, 1236 (2015), arXiv:1502.02606",
)

Indices = NDArray[np.int64]
Choice = tuple[Indices, NDArray[np.float64], int]  # picks, their gains, rows read


@dataclass(frozen=True)
class TwoLevel:
    """Greedy in parts, then among their picks.

    Parameters
    ----------
    parts : int, optional
        m; by default the square root of N/n, which makes each part as large as the m n that are left, at least 2.
    precision : float, optional
        Prior precision, as for :class:`aliquot.selection.Bayes`.
    certify : bool
        Whether to read the pool once more for a certificate.
    """

    parts: int | None = None
    precision: float | None = None
    certify: bool = True

    def __post_init__(self) -> None:
        if self.parts is not None and self.parts < 1:
            raise SelectionError(f"the number of parts must be 1 or more; got {self.parts}")
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
        executor: Executor | None = None,
    ) -> Selection:
        """Choose ``n`` candidates; see :class:`aliquot.selection.Selector`. Deterministic: ``rng`` is not used.

        Parts run in ``executor`` where one is given, else one after another; workers read rows on disk for themselves,
        and rows in memory are sent, a few parts at a time.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.array([[3.0, 0.0], [3.0, 0.1], [0.0, 1.0]]))
        >>> sorted(TwoLevel().select(pool, 2, rng=np.random.default_rng(0)).index.tolist())
        [1, 2]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups, executor=executor)
        precision, origin = prior_of(request, self.precision)
        k = min(n, int(request.distinct.sum()))
        m = max(2, round(math.sqrt(len(candidates) / max(1, k)))) if self.parts is None else self.parts
        before = opening(request, precision)
        dealt = [part for part in _deal(candidates, request.distinct, m) if len(part)]
        with threads():  # here, so that workers which are threads of this process leave the number as it was
            first = list(_first_level(candidates, dealt, before.posterior, k, executor, progress))
        index, gain, information, best_part, read = _second_level(request, before, first, k)
        notes = (
            f"{len(dealt)} parts of {min(map(len, dealt), default=0)} to {max(map(len, dealt), default=0)} candidates"
            f" chose up to {k} each; the best of them alone reached {best_part:.6g} nat, the answer"
            f" {gain.sum():.6g} nat; {read} rows were read",
            "guaranteed on average over ways of dealing candidates out: ½ (1 - 1/e) = 31.6% of the most that any choice"
            " can bring" + ("; the certificate is for this pool" if self.certify else ""),
        )
        return answered(
            request,
            information,
            index,
            gain,
            certify=self.certify,
            recipe={"method": "two-level", "parts": m, "precision": precision, "precision_from": origin},
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
        )


def _deal(table: Features, distinct: NDArray[np.bool_], parts: int) -> list[Indices]:
    """Members of each part: by the content hash, as chance would."""
    words = np.ascontiguousarray(table.ids.hash).view("<u8").reshape(len(table), 4)
    mixed = np.zeros(len(table), np.uint64)
    for word in words.T:  # FNV-1a over words, and a last shake
        mixed = (mixed ^ word) * np.uint64(0x100000001B3)
        mixed ^= mixed >> np.uint64(29)
    part = (mixed >> np.uint64(11)) % np.uint64(parts)
    return [np.flatnonzero(distinct & (part == np.uint64(p))) for p in range(parts)]


def _first_level(
    table: Features,
    dealt: list[Indices],
    posterior: Posterior,
    n: int,
    executor: Executor | None,
    progress: Progress,
) -> Iterator[Choice]:
    """The picks of each part, in the order of the parts."""
    posterior.factor()  # once, and not by several workers

    def task(members: Indices) -> tuple[Any, ...]:
        part, ids = Part.of(table, members), table.ids[members]
        sent = replace(part, rows=part.read(), index=None) if isinstance(table.rows, np.ndarray) else part  # pyright: ignore[reportUnnecessaryIsInstance]
        return sent, ids, posterior, n

    choices = (
        (_choose(*task(members)) for members in dealt)
        if executor is None
        else ordered(executor, _choose, dealt, task)
    )
    for number, (members, (picks, gain, read)) in enumerate(zip(dealt, choices, strict=True)):
        yield members[picks], gain, read
        progress("parts", number + 1, len(dealt))


def _choose(part: Part, ids: Ids, posterior: Posterior, n: int) -> Choice:
    """Greedy in one part: runs wherever the executor wants, and reads its rows there where they are on disk."""
    names = tuple(f"f{k}" for k in range(len(part.prior)))
    table = Features(part.read(), part.offsets, part.kind, part.weight, part.prior, names, {}, ids)
    trace = greedy(Entropy(posterior.copy()), table, min(n, len(table)))
    return trace.index, trace.gain, trace.rows_read


def _second_level(
    request: Request, before: Entropy, chosen: list[Choice], n: int
) -> tuple[Indices, NDArray[np.float64], Entropy, float, int]:
    """Picks, gains and the information after them; what the best part reached alone; rows read."""
    allowed = np.zeros(len(request.candidates), bool)
    allowed[np.concatenate([np.empty(0, np.int64), *(picks for picks, _, _ in chosen)])] = True
    information = before.copy()
    trace = greedy(information, request.candidates, n, allowed=allowed)
    index, gain, read = trace.index, trace.gain, trace.rows_read + sum(rows for _, _, rows in chosen)
    if not chosen:
        return index, gain, information, 0.0, read
    picks, alone, _ = max(chosen, key=lambda choice: float(choice[1].sum()))
    worth = float(alone.sum())
    if len(picks) == n and worth > gain.sum() * (1 + 1e-9):
        index, information = picks, before.copy()
        gain = gains_of(information, request, picks)
    return index, gain, information, worth, read


CATALOGUE = {
    "two-level": Method(
        TwoLevel,
        "approximate entropy-greedy: in parts, on any executor, then among their picks",
        "as bayes, on parts of N/m, then on m n",
        "40 bytes a candidate + a part + d² + n d + 64 MB",
        ("arXiv:1502.02606",),
        ("executor",),
        ("certificate",),
    ),
}
