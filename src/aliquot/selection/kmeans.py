r"""Which n structures lie in the middle of the clusters of a pool? k-means, given what is known.

.. math:: \min_{c_1 \dots c_n} \; \sum_i \min\Big(\min_a |x_i - c_a|^2,\; d_i^2\Big), \qquad
   d_i = \min_{k \in K} |x_i - x_k|,

over candidates that are new (repetitions count once), with Euclidean distances in smoothness-scaled coordinates: known
structures are clusters of their own whose centres do not move. The pick of a cluster is its member nearest to the
centre.

Centres start as in greedy k-means++, each at the point that lowers the sum most of 2 + ln n that are drawn (from
10,000 or 10 n points drawn uniformly) with probabilities proportional to their terms of the sum, so that what lies
near a known structure is seldom a start. Lloyd's iteration follows: candidates go to the nearest centre, known ones
among them, and the n centres that can move go to the means of theirs. Each half lowers the sum; it stops when it falls
by less than 10⁻⁴ of itself. A cluster that has lost all members gives its pick to the candidate farthest from all that
is known, chosen or a centre.

*Beyond* ``exact`` *candidates*, centres come from a random sample of ``exact`` (the larger of it and ten times the
number asked for), and every candidate then goes to the nearest of them; one pass.

References
----------
S. P. Lloyd, IEEE Trans. Inf. Theory 28, 129 (1982), doi:10.1109/TIT.1982.1056489
D. Arthur and S. Vassilvitskii, Proc. 18th ACM-SIAM Symp. Discrete Algorithms, 1027 (2007)
"""

# pyright: reportMissingTypeStubs=false
# (scipy and threadpoolctl bring no types)

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aliquot.errors import SelectionError
from aliquot.progress import Progress, silent
from aliquot.selection.method import Method
from aliquot.selection.points import by_hash, distance_to, points_at
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "KMeans", "lloyd"]

_REFERENCES: Final = (
    "S. P. Lloyd, IEEE Trans. Inf. Theory 28, 129 (1982), doi:10.1109/TIT.1982.1056489",
    "D. Arthur and S. Vassilvitskii, Proc. 18th ACM-SIAM Symp. Discrete Algorithms, 1027 (2007)",
)

_TILE: Final = 1024
_SEEDS: Final = 10_000  # points, at least, among which starts are drawn
_SETTLED: Final = 1e-4  # relative fall of the sum below which it has converged

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class KMeans:
    """Members nearest to the centres of k-means clusters, given the known structures.

    Parameters
    ----------
    exact : int
        Largest number of candidates that all take part in finding the centres; their rows are held in memory.
    iterations : int
        At most so many of Lloyd's.
    """

    exact: int = 50_000
    iterations: int = 100

    def __post_init__(self) -> None:
        for name, value in (("exact", self.exact), ("iterations", self.iterations)):
            if value < 1:
                raise SelectionError(f"{name} of kmeans must be 1 or more; got {value}")

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
        """Choose ``n`` candidates; see :class:`aliquot.selection.Selector`.

        Examples
        --------
        >>> import numpy as np
        >>> line = Features.from_array(np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]))
        >>> sorted(KMeans().select(line, 2, rng=np.random.default_rng(0)).index.tolist())
        [1, 4]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        members = by_hash(candidates, request.distinct)
        k, notes = min(n, len(members)), list[str]()
        chosen = members[:k]
        if 0 < k < len(members):
            cap = np.square(distance_to(candidates, members, request.known))
            chosen, notes = self._choose(candidates, members, cap, k, rng, progress)
        index = np.concatenate((chosen, by_hash(candidates, ~request.distinct)[: n - k]))
        return request.answer(
            index,
            method="kmeans",
            recipe={"method": "kmeans", "exact": self.exact, "iterations": self.iterations},
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=tuple(notes),
            nested=False,
        )

    def _choose(
        self,
        table: Features,
        members: Indices,
        cap: Vector,
        k: int,
        rng: np.random.Generator,
        progress: Progress,
    ) -> tuple[Indices, list[str]]:
        """Picks among the members, and what to say."""
        size, notes = max(self.exact, 10 * k), list[str]()
        if size < len(members):
            some = np.sort(rng.choice(len(members), size, replace=False))
            notes.append(
                f"the centres are those of {size} of {len(members)} candidates, drawn at random; all go to the nearest"
            )
        else:
            some = np.arange(len(members))
        x = points_at(table, members[some])
        origin = x.mean(axis=0)
        x -= origin
        start = rng.permutation(len(x))[: max(_SEEDS, 10 * k)]
        with threadpool_limits(1, user_api="blas"):  # in small products threads wait for one another
            centres = _seeds(x[start], cap[some][start], k, rng)
        centres, rounds = lloyd(x, centres, cap[some], iterations=self.iterations, progress=progress)
        if rounds == self.iterations:
            notes.append(f"the centres still moved after {rounds} iterations")
        parts = (
            (at, points_at(table, members[at]) - origin)
            for at in (slice(s, s + _TILE) for s in range(0, len(members), _TILE))
        )
        picks, squares = _nearest_members(parts, len(members), centres, cap)
        after = float(np.sqrt(squares.mean()))
        before = "" if np.isinf(cap[0]) else f"{np.sqrt(cap.mean()):.4g} before, "
        notes.append(
            "root-mean-square distance of a new candidate to the nearest known structure or centre of a cluster:"
            f" {before}{after:.4g} after {rounds} iterations"
        )
        if (lost := k - len(picks)) > 0:
            notes.append(
                f"{lost} clusters have no member; as many candidates far from all others were taken instead"
            )
            picks = _filled(table, members, picks, squares, k)
        return members[picks], notes


def _seeds(x: Matrix, cap: Vector, k: int, rng: np.random.Generator) -> Matrix:
    """The k points at which centres start: each the best of a few draws (greedy k-means++)."""
    squares, nearest = np.einsum("ij,ij->i", x, x), cap.copy()
    draws, picks = 2 + int(np.log(k)), np.empty(k, np.int64)
    for step in range(k):
        chance: Vector = np.cumsum(np.where(np.isfinite(nearest), nearest, 1.0))
        if chance[-1] > 0.0:
            drawn = np.searchsorted(chance, rng.uniform(0.0, float(chance[-1]), draws), side="right")
            drawn = np.minimum(drawn, len(x) - 1)
        else:  # every point lies on a start or on what is known
            drawn = rng.integers(len(x), size=1)
        after: Matrix = x @ (-2.0 * x[drawn].T)
        after += squares[:, None] + squares[drawn]
        np.clip(after, 0.0, nearest[:, None], out=after)
        best = int(np.argmin(after.sum(axis=0)))
        picks[step], nearest = drawn[best], after[:, best].copy()
        nearest[picks[step]] = 0.0
    return x[picks]


def lloyd(
    x: Matrix, centres: Matrix, cap: Vector, *, iterations: int, progress: Progress = silent
) -> tuple[Matrix, int]:
    """Centres where Lloyd's iteration settles, and how many it took.

    Parameters
    ----------
    x : (points, features) array
    centres : (k, features) array
        Where they start.
    cap : (points,) array
        Squared distance of each point to centres that do not move; infinite where there are none.
    iterations : int
    progress : Progress

    Notes
    -----
    2 N d k flops an iteration.
    """
    from scipy.sparse import csr_array

    k, before = len(centres), np.inf
    for step in range(iterations):
        owner, squares = _assign_all(x, centres, cap)
        now = float(squares.sum())
        settled = now >= before * (1.0 - _SETTLED)
        progress("select", iterations if settled else step + 1, iterations)
        if settled:
            return centres, step + 1
        before = now
        mine = np.flatnonzero(owner >= 0)
        ones: Any = csr_array((np.ones(len(mine)), (owner[mine], mine)), shape=(k, len(x)))
        count = np.bincount(owner[mine], minlength=k)
        has = count > 0
        sums = np.asarray(ones @ x, np.float64)
        centres = np.where(has[:, None], sums / np.maximum(count, 1)[:, None], centres)
    return centres, iterations


def _assign_all(x: Matrix, centres: Matrix, cap: Vector) -> tuple[Indices, Vector]:
    """The same as :func:`_assign`, in tiles and threads."""
    owner, squares = np.empty(len(x), np.int64), np.empty(len(x))

    def tile(start: int) -> None:
        at = slice(start, start + _TILE)
        owner[at], squares[at] = _assign(x[at], centres, cap[at])

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(tile, range(0, len(x), _TILE)):
            pass
    return owner, squares


def _assign(x: Matrix, centres: Matrix, cap: Vector) -> tuple[Indices, Vector]:
    """The nearest centre of each point, -1 where what is known is nearer; and the squared distance."""
    panel: Matrix = x @ (-2.0 * centres.T)
    panel += np.einsum("ij,ij->i", centres, centres)
    owner = panel.argmin(axis=1)
    squares: Vector = np.square(x - centres[owner]).sum(axis=1)
    covered = cap <= squares
    return np.where(covered, -1, owner), np.where(covered, cap, squares)


def _nearest_members(
    parts: Iterator[tuple[slice, Matrix]], n: int, centres: Matrix, cap: Vector
) -> tuple[Indices, Vector]:
    """The member nearest to each centre that has members, largest clusters first; and all squared distances."""
    k = len(centres)
    best, which, squares = np.full(k, np.inf), np.full(k, -1, np.int64), np.empty(n)
    size = np.zeros(k, np.int64)
    for at, x in parts:
        owner, here = _assign(x, centres, cap[at])
        squares[at] = here
        size += np.bincount(owner[owner >= 0], minlength=k)
        here = here.astype(
            np.float32
        )  # the two members of a cluster are equally near: the first by content hash
        order = np.lexsort((here, owner))
        owners, first = np.unique(owner[order], return_index=True)
        nearest = order[first]
        better = (owners >= 0) & (here[nearest] < best[owners])
        best[owners[better]] = here[nearest[better]]
        which[owners[better]] = at.start + nearest[better]
    order = np.argsort(-size, kind="stable")
    return which[order][which[order] >= 0], squares


def _filled(table: Features, members: Indices, picks: Indices, squares: Vector, k: int) -> Indices:
    """More picks, each farthest from what is known, chosen or a centre; the first by content hash of equals."""
    nearest = squares.copy()
    nearest[picks] = -1.0
    while len(picks) < k:
        far = int(np.argmax(nearest))
        picks = np.append(picks, far)
        point = points_at(table, members[[far]])
        for start in range(0, len(members), _TILE):
            at = slice(start, start + _TILE)
            away = np.square(points_at(table, members[at]) - point).sum(axis=1)
            np.minimum(nearest[at], away, out=nearest[at])
        nearest[far] = -1.0
    return picks


CATALOGUE = {
    "kmeans": Method(
        KMeans,
        "the members nearest to the centres of n clusters, beside those of the known structures",
        "2 N d n flops an iteration, some tens of them; beyond 50,000 candidates those of a sample",
        "8 N d bytes; beyond 50,000 candidates 400,000 d",
        ("doi:10.1109/TIT.1982.1056489",),
    ),
}
