r"""How a budget is spent one pick at a time, exactly, without a pass over the pool for every pick.

Every candidate keeps an *upper bound* of its gain and the time at which the bound was computed. Gains only
shrink as others are absorbed (the information declares it: ``bound``), so a candidate whose old bound is below
the best exact gain of the moment cannot be the next pick, and need not be looked at (Minoux). The pick is

.. math:: \arg\max_i g_i, \qquad g_i \ge (1 - 10^{-9}) \max_j g_j \ \text{being ties, settled by content hash.}

The most promising candidates form the *front*: their rows stay in memory, and their bounds are brought up to date
first, as far as they reach the best gain. A gain that decides is always computed from scratch. Only when a bound
outside the front reaches the best gain are more candidates read: the most promising first, four times as many each
time, in the order in which they are stored. For candidates of one row, bringing N bounds over k picks up to date takes
2 N d k flops, or a triangular solve of N d² where that is less. Blocks of several rows have no front: they are
evaluated from scratch when they are looked at.

All work is cut into parts before it is shared among threads, or the workers of an executor
(:mod:`aliquot.information.passes`), so that picks depend on neither. Gains that have fallen to the rounding of the
first decide nothing: from there on the order is that of the hashes, and the trace says from where.

Where gains are compared per cost, bounds and gains are divided by it wherever they are compared, and nowhere else.
A ledger says who may still be chosen; whom it refuses leaves the run, and the next best is asked for.

Memory beyond the table: 40 bytes a candidate, a front of at most 64 MB, and tiles.

References
----------
M. Minoux, Accelerated greedy algorithms for maximizing submodular set functions, in Optimization Techniques,
Lecture Notes in Control and Information Sciences 7, 234 (1978), doi:10.1007/BFb0006528
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.information import Blocks, Information
from aliquot.information.blocks import Part
from aliquot.information.passes import Passes, Work, bounds, gains, threads
from aliquot.information.protocol import SLACK
from aliquot.progress import Progress, silent
from aliquot.selection.front import Front
from aliquot.selection.ledger import Ledger
from aliquot.table import TILE_ROWS, Features

__all__ = ["EXHAUSTED", "TIE", "Trace", "first_by_hash", "greedy"]

#: Gains that differ by less than this, relatively, are equal: the smaller content hash decides.
TIE = 1e-9

#: Variances that have fallen below this fraction of the first are rounding: their relative error, about 2 √d ε times
#: the root of the ratio, has come to a percent. Who follows is settled by content hash.
EXHAUSTED = 1e-24

_PART_ROWS = TILE_ROWS // 4  # brought to float64 at a time: small enough for the cache
_FIRST_EXACT = 4  # candidates first evaluated exactly for a pick, doubled each time
_FIRST_NEAR = 128  # candidates of the front first brought up to date for a pick, doubled each time
_FIRST_FAR = 256  # candidates first brought in from outside for a pick, times four each time

Vector = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a greedy run did.

    Parameters
    ----------
    index : (n,) array of int
        Picks in order.
    gain : (n,) array
        Exact gain of each when it was made.
    bound : (candidates,) array
        Upper bounds of the gains after the last pick; -inf for picks and for what was not allowed.
    stamp : (candidates,) array of int
        Clock of the information at which each bound was computed.
    rows_read : int
        Rows of the table that were read, again and again counted.
    exhausted : int or None
        The pick from which on gains were rounding, and content hashes decided.
    """

    index: Indices
    gain: Vector
    bound: Vector
    stamp: Indices
    rows_read: int
    exhausted: int | None = None


def greedy(
    information: Information,
    candidates: Features,
    n: int,
    *,
    allowed: NDArray[np.bool_] | None = None,
    ledger: Ledger | None = None,
    before: Callable[[Blocks], None] | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
    stage: str = "select",
) -> Trace:
    """Choose ``n`` candidates, each the one that ``information`` gains most from, and absorb them.

    Parameters
    ----------
    information : Information
        Holds what is known; absorbs the picks.
    candidates : Features
        Finite rows, at least one a candidate; may be a memory map.
    n : int
        At most the number of allowed candidates.
    allowed : (candidates,) array of bool, optional
        Which candidates may be chosen; all by default.
    ledger : Ledger, optional
        Costs and constraints, which may end the run before ``n`` picks; with a budget, so does a best gain of 0.
    before : callable, optional
        Called with the rows of each pick before they are absorbed.
    executor : Executor, optional
        Shares the work on many candidates at a time; the picks are the same.
    progress, stage
        Reported once a pick.

    Returns
    -------
    Trace

    Notes
    -----
    Time: at most 2 N d n flops for candidates of one row, plus O(d²) for each of the few exact evaluations a
    pick; far less where the spectrum of the pool falls quickly.
    """
    may = np.ones(len(candidates), bool) if allowed is None else allowed
    if ledger is not None:
        may = may & ledger.open
    with threads() as pool:
        run = _Run(information, candidates, may, ledger, executor, pool)
        index, gain, exhausted = np.empty(n, np.int64), np.empty(n), None
        k, largest = 0, 0.0
        while k < n and (best := run.settle()) > -np.inf:
            largest = max(largest, best)
            if best <= EXHAUSTED * largest:  # the rest in the order of their hashes, which changes nothing
                exhausted, rest = k, run.tail(n - k)
                index[k : k + len(rest)], gain[k : k + len(rest)] = rest, 0.0
                k += len(rest)
                break
            pick, value = run.winner(best)
            if ledger is not None and not ledger.admits(pick):
                run.bound[pick] = -np.inf
                continue
            index[k], gain[k] = pick, value
            run.absorb(pick, before)
            k += 1
            progress(stage, k, n)
        return Trace(index[:k], gain[:k], run.bound, run.stamp, run.rows_read, exhausted)


def first_by_hash(table: Features, tied: Indices) -> int:
    """The candidate of the smallest content hash, then of the smallest position."""
    return int(min(tied, key=lambda i: (bytes(table.ids.hash[i]), int(i))))


class _Run:
    """Bounds, stamps and the front of one greedy run."""

    def __init__(
        self,
        information: Information,
        table: Features,
        allowed: NDArray[np.bool_],
        ledger: Ledger | None,
        executor: Executor | None,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        self.information, self.table, self.ledger = information, table, ledger
        self.passes = Passes(table, executor, pool)
        self.price = None if ledger is None else ledger.price  # what gains are divided by to be compared
        n = len(table)
        self.bound: Vector = np.full(n, -np.inf)
        self.stamp: Indices = np.full(n, information.absorbed, np.int64)
        self.exact: Indices = np.full(n, -1, np.int64)  # clock of the last exact evaluation
        parts = list(self._tiles(np.flatnonzero(allowed)))
        self.front = Front(table) if information.bound and table.single_rows else None
        for part, (gain, rows) in zip(parts, self._map(gains, parts), strict=True):
            self.bound[part] = gain * (1.0 + SLACK)
            self._offer(part, rows)
        self._fetch(parts)
        self.evaluated: list[Indices] = []  # exactly, since the last pick

    @property
    def rows_read(self) -> int:
        """Rows of the table that were read."""
        return self.passes.rows_read

    def settle(self) -> float:
        """Evaluate and widen until the largest gain (per cost) is certain; return it; -inf where nobody is left."""
        evaluate, near, far = _FIRST_EXACT, _FIRST_NEAR, _FIRST_FAR
        worth = self._worth()
        self.evaluated.append(np.array([np.argmax(worth)]))
        if worth[self.evaluated[-1][0]] == -np.inf:
            return -np.inf
        self._evaluate(self.evaluated[-1])
        best = float(self._worth(np.concatenate(self.evaluated)).max())
        inside = np.flatnonzero(self._worth() >= best * (1.0 - TIE))  # only shrinks: best rises, bounds fall
        outside = inside[:0]
        if self.front is not None:
            held = self.front.holds(inside)
            inside, outside = inside[held], inside[~held]
        while True:
            inside = self._open(inside, best)
            if len(inside) == 0:
                outside = self._open(outside, best)
                if len(outside) == 0:
                    return best
                inside = self._largest(outside, far)
                self._tighten(inside, inside=False)
                outside = outside[self.stamp[outside] != self.information.absorbed]
                far *= 4
                continue
            current = inside
            if self.front is not None:
                current = inside[self.stamp[inside] == self.information.absorbed]
            if len(current):
                some = self._largest(current, evaluate)
                best = max(best, self._evaluate(some))
                self.evaluated.append(some)
                evaluate *= 2
            else:
                self._tighten(self._largest(inside, near), inside=True)
                near *= 2

    def _open(self, some: Indices, best: float) -> Indices:
        """Who of these may still be as good as the best, and has not been evaluated."""
        return some[
            (self._worth(some) >= best * (1.0 - TIE)) & (self.exact[some] != self.information.absorbed)
        ]

    def winner(self, best: float) -> tuple[int, float]:
        """Among the exact gains equal to the best, the one of the smallest hash."""
        exact = np.concatenate(self.evaluated)
        pick = first_by_hash(self.table, exact[self._worth(exact) >= best * (1.0 - TIE)])
        return pick, float(self.bound[pick])

    def tail(self, count: int) -> Indices:
        """Up to ``count`` of the remaining candidates in the order of their hashes; none with a budget."""
        rest = np.flatnonzero(self.bound > -np.inf)
        rest = rest[np.lexsort((rest, self.table.ids.hash[rest]))]
        if self.ledger is None:
            chosen = rest[:count]
        else:
            ledger, some = self.ledger, list[int]()
            while len(some) < count and ledger.budget is None and len(rest := rest[ledger.open[rest]]):
                if ledger.admits(first := int(rest[0])):
                    ledger.enter(first)
                    some.append(first)
            chosen = np.array(some, np.int64)
        self.bound[chosen] = -np.inf
        return chosen

    def absorb(self, pick: int, before: Callable[[Blocks], None] | None) -> None:
        """Absorb the pick."""
        if self.ledger is not None:
            self.ledger.enter(pick)
            self.bound[~self.ledger.open] = -np.inf
        block = self._rows(np.array([pick]))
        if before is not None:
            before(block)
        self.information.absorb(block)
        self.evaluated = []
        self.bound[pick] = -np.inf
        if not self.information.bound:
            self.bound[self.bound > -np.inf] = np.inf

    def _evaluate(self, some: Indices) -> float:
        """Exact gains, which become the bounds; return the largest."""
        parts = list(self._tiles(np.sort(some)))
        for part, (gain, _) in zip(parts, self._map(gains, parts), strict=True):
            self.bound[part] = gain
        self.exact[some] = self.stamp[some] = self.information.absorbed
        return float(self._worth(some).max())

    def _tighten(self, some: Indices, *, inside: bool) -> None:
        """Bring bounds to now, and let into the front what was read from outside for it."""
        n = len(self.table)
        some = np.sort(self.stamp[some] * n + some) % n  # tiles of like age need the same directions
        parts = list(self._tiles(some))
        more = [(self.bound[part], self.stamp[part]) for part in parts]
        least = -np.inf if inside or self.front is None else self.front.least(self._worth())
        for part, (bound, rows) in zip(parts, self._map(bounds, parts, more), strict=True):
            self.bound[part] = bound
            self._offer(part, rows, least)
        self.stamp[some] = self.information.absorbed
        self._fetch(parts)

    def _map(
        self, work: Work, parts: list[Indices], more: list[tuple[Any, ...]] | None = None
    ) -> Iterator[tuple[Vector, Any]]:
        """The work on each part, and the rows that were read for it, if any."""
        more = [()] * len(parts) if more is None else more
        now = self.information.absorbed
        information = self.information
        if len(parts) > 1:
            information = information.reader(min((int(m[1].min()) for m in more if m), default=now))
        held = [self.front is not None and bool(self.front.holds(part).all()) for part in parts]
        if self.passes.shares(parts) and not all(held):
            for answer in self.passes.map(work, information, parts, more):
                yield answer, None
        else:  # the front takes in rows while threads are at work, but only where none of them reads from it
            job = partial(self._one, work, information)
            for part, (answer, rows) in zip(parts, self.passes.here(job, parts, held, more), strict=True):
                self.passes.rows_read += 0 if rows is None else self._count(part)
                yield answer, rows

    def _one(
        self, work: Work, information: Information, some: Indices, held: bool, arguments: tuple[Any, ...]
    ) -> tuple[Vector, Any]:
        """The work on one part, and the rows that were read for it."""
        found = self.front.find(some) if held and self.front is not None else None
        part = Part.of(self.table, some).here() if found is None else found
        return work(information, part, *arguments), part.rows if found is None else None

    def _rows(self, some: Indices) -> Blocks:
        """From the front, or else from the table."""
        found = None if self.front is None else self.front.find(some)
        if found is None:
            found = Part.of(self.table, some)
            self.passes.rows_read += len(found.weight)
        return found.blocks()

    def _offer(self, part: Indices, rows: Any, least: float = -np.inf) -> None:
        """Let candidates into the front, by the rows that were read for them, where their bounds exceed the least."""
        if self.front is None or rows is None:
            return
        worth = self._worth()
        enough = np.flatnonzero(worth[part] > least)
        self.front.admit(part[enough], worth, rows[part[enough] if rows is self.table.rows else enough])

    def _fetch(self, parts: list[Indices]) -> None:
        """Let the best of candidates that were read elsewhere into the front."""
        if self.front is not None and self.passes.shares(parts):
            self.passes.rows_read += self.front.admit(np.concatenate(parts), self._worth())

    def _count(self, some: Indices) -> int:
        """Rows of these candidates."""
        return int(np.sum(self.table.offsets[some + 1] - self.table.offsets[some]))

    def _tiles(self, some: Indices) -> Iterator[Indices]:
        """Cut candidates into parts of about ``_PART_ROWS`` rows."""
        ends = np.cumsum(self.table.offsets[some + 1] - self.table.offsets[some])
        start = 0
        while start < len(some):
            read = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, read + _PART_ROWS, side="right")))
            yield some[start:stop]
            start = stop

    def _worth(self, some: Indices | slice = slice(None)) -> Vector:
        """What candidates are compared by: their bounds, per cost where costs count."""
        return self.bound[some] if self.price is None else self.bound[some] / self.price[some]

    def _largest(self, some: Indices, count: int) -> Indices:
        """The ``count`` candidates of the largest bounds; all of them where that saves a second sweep."""
        if len(some) <= 2 * count:
            return some
        return some[np.argpartition(-self._worth(some), count)[:count]]
