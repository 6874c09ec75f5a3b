r"""Which n structures stand for the pool: the mean distance of a candidate to the nearest known or chosen one is least.

.. math:: \min_{|S| = n} \; \sum_i \min\Big(\min_{j \in S} |x_i - x_j|,\; d_i\Big), \qquad
   d_i = \min_{k \in K} |x_i - x_k|,

over candidates that are new (repetitions count once), with Euclidean distances in smoothness-scaled coordinates. The
known set is counted exactly: clipped distances :math:`D'_{ij} = \min(D_{ij}, d_i)` have as their k-medoids loss the
sum above, and an algorithm that never asks for symmetry can minimise it as it is.

The start is greedy (BUILD), evaluated lazily since the gain of a medoid can only shrink; the swaps are those of
FasterPAM (package ``kmedoids``). Afterwards every single swap is tried once more, and made if it helps: the answer is
a local optimum in the sense of PAM, which for pools of this kind is usually within a few per cent of the best. Picks
are in the order in which, among themselves, each lowers the sum most; the answer for fewer is another one.

*Beyond* ``exact`` *candidates* the N × N distances do not fit, and CLARA takes over: medoids of ``draws`` random
samples, each but the first joined by the best medoids so far; the best, judged on all candidates, is the answer. What
lies in no sample can then be no medoid.

References
----------
E. Schubert and P. J. Rousseeuw, Inf. Syst. 101, 101804 (2021), doi:10.1016/j.is.2021.101804
L. Kaufman and P. J. Rousseeuw, Finding Groups in Data (Wiley, 1990), doi:10.1002/9780470316801
"""

# pyright: reportMissingTypeStubs=false
# (kmedoids brings no types)

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Distance, gather
from aliquot.progress import Progress, silent
from aliquot.selection.method import Method
from aliquot.selection.points import by_hash, distance_to, pairwise, points_at
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "KMedoids"]

_REFERENCES: Final = (
    "E. Schubert and P. J. Rousseeuw, Inf. Syst. 101, 101804 (2021), doi:10.1016/j.is.2021.101804",
    "L. Kaufman and P. J. Rousseeuw, Finding Groups in Data (Wiley, 1990), doi:10.1002/9780470316801",
)

_DOUBLE: Final = 5_000  # candidates up to which distances are kept in double precision
_ROUNDS: Final = 20  # of FasterPAM and a check
_LAZY: Final = 16  # medoids evaluated at a time by the greedy start
_TILE: Final = 32

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Clipped = NDArray[Any]  # [j, i]: distance of i to the candidate medoid j, at most that to the known set
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class KMedoids:
    """k-medoids, given the known structures; deterministic up to ``exact`` candidates.

    Parameters
    ----------
    exact : int
        Largest number of candidates whose distances are all kept: 4 N² bytes (8 N² up to 5,000).
    sample : int
        Candidates in a sample beyond that; at least twice the number asked for are taken.
    draws : int
        Samples.
    """

    exact: int = 20_000
    sample: int = 5_000
    draws: int = 5

    def __post_init__(self) -> None:
        for name, value in (("exact", self.exact), ("sample", self.sample), ("draws", self.draws)):
            if value < 1:
                raise SelectionError(f"{name} of kmedoids must be 1 or more; got {value}")

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
        >>> line = Features.from_array(np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [13.0]]))
        >>> KMedoids().select(line, 2, rng=np.random.default_rng(0)).index.tolist()
        [1, 4]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        members = by_hash(candidates, request.distinct)
        cap = distance_to(candidates, members, request.known)
        k, notes = min(n, len(members)), list[str]()
        if k == len(members) or k == 0:
            chosen = members[:k]
        elif len(members) <= self.exact:
            chosen = members[_medoids(points_at(candidates, members), cap, k, progress)]
        else:
            chosen = self._clara(candidates, members, cap, k, rng, progress)
            notes.append(
                f"{len(members)} candidates are more than {self.exact}, whose distances are kept: medoids come from"
                f" {self.draws} random samples of {self._size(k)} (CLARA), judged on all candidates"
            )
        if 0 < k < len(members):
            after = _loss(candidates, members, cap, chosen) / len(members)
            before = f"{cap.mean():.4g} before, " if request.known is not None else ""
            notes.append(
                f"mean distance of a new candidate to the nearest known or chosen structure: {before}{after:.4g} after"
            )
        index = np.concatenate((chosen, by_hash(candidates, ~request.distinct)[: n - k]))
        return request.answer(
            index,
            method="kmedoids",
            recipe={"method": "kmedoids", "exact": self.exact, "sample": self.sample, "draws": self.draws},
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=tuple(notes),
            nested=False,
        )

    def _size(self, k: int) -> int:
        """Candidates in a sample."""
        return min(max(self.sample, 2 * k), self.exact)

    def _clara(
        self,
        table: Features,
        members: Indices,
        cap: Vector,
        k: int,
        rng: np.random.Generator,
        progress: Progress,
    ) -> Indices:
        """Medoids of the best of several samples."""
        size = self._size(k)
        if k >= size:
            raise SelectionError(
                f"kmedoids keeps the distances of {self.exact} candidates, too few to choose {k} of {len(members)}:"
                f" raise exact to {2 * k}, which takes {4 * (2 * k) ** 2 / 1e9:.1f} GB, or take another method"
            )
        best, least = np.empty(0, np.int64), np.inf
        for draw in range(self.draws):
            fresh = rng.choice(len(members), size, replace=False)
            some = np.union1d(fresh[: size - len(best)], best)
            picks = some[_medoids(points_at(table, members[some]), cap[some], k, silent)]
            loss = _loss(table, members, cap, members[picks])
            if loss < least:
                best, least = picks, loss
            progress("select", draw + 1, self.draws)
        return members[best]


def _medoids(x: Matrix, cap: Vector, k: int, progress: Progress) -> Indices:
    """The k medoids of these points, each at most ``cap`` from what is known; in order of importance."""
    B = _clipped(x, cap)
    picks = _greedy(B, cap, k, progress)
    if k == 1:
        return picks  # the greedy medoid is the best one
    for _ in range(_ROUNDS):
        swapped = _fasterpam(B, picks)
        if len(np.unique(swapped)) < k:  # by rounding, between medoids that lie on each other
            break
        picks = swapped
        better = _best_swap(B, picks)
        if better is None:
            break
        out, enters = better
        picks[out] = enters
    picks.sort()
    return picks[_greedy(B[picks], cap, k, silent)]


def _fasterpam(B: Clipped, picks: Indices) -> Indices:
    """Medoids after the swaps of the package."""
    import kmedoids

    run: Any = kmedoids
    # It reads column after column of its matrix, which are the rows of B.
    return np.asarray(run.fasterpam(B.T, picks, n_cpu=1).medoids, np.int64)


def _clipped(x: Matrix, cap: Vector) -> Clipped:
    """B[j, i] = min(D_ij, d_i)."""
    B = np.empty((len(x), len(x)), np.float64 if len(x) <= _DOUBLE else np.float32)
    pairwise(x, out=B)
    np.fill_diagonal(B, 0.0)
    return np.minimum(B, cap.astype(B.dtype), out=B)


def _greedy(B: Clipped, cap: Vector, k: int, progress: Progress) -> Indices:
    """Rows of k medoids, each the one that lowers the sum of distances most; the first of equal ones."""
    near = cap.astype(B.dtype)
    picks = np.empty(k, np.int64)
    first = 0
    if not np.all(np.isfinite(near)):  # nothing is known: the first is the medoid of all
        picks[0] = np.argmin(B.sum(axis=1, dtype=np.float64))
        near, first = B[picks[0]].copy(), 1
    bound = np.concatenate([_gains(B[r : r + _TILE], near) for r in range(0, len(B), _TILE)])
    bound[picks[:first]] = -np.inf
    for step in range(first, k):
        fresh = np.zeros(len(B), bool)
        while not fresh[best := int(np.argmax(bound))]:
            some = np.argpartition(-bound, min(_LAZY, len(B) - 1))[:_LAZY]
            some = np.append(some, best)
            some = np.unique(some[np.isfinite(bound[some]) & ~fresh[some]])
            bound[some] = _gains(B[some], near)
            fresh[some] = True
        picks[step] = best
        bound[best] = -np.inf
        np.minimum(near, B[best], out=near)
        progress("select", step + 1, k)
    return picks


def _gains(rows: Clipped, near: NDArray[Any]) -> Vector:
    """By how much each of these medoids would lower the sum."""
    return np.maximum(near - rows, 0.0).sum(axis=1, dtype=np.float64)


def _best_swap(B: Clipped, picks: Indices) -> tuple[int, int] | None:
    r"""Which medoid to give up for which candidate, where that lowers the sum.

    With n₁ and n₂ the distances of i to its nearest and second medoid, giving up m for j changes the sum by
    :math:`\sum_i \min(B_{ji} - n_{1i}, 0) + \sum_{i \in m} [\min(B_{ji}, n_{2i}) - \min(B_{ji}, n_{1i})]`.
    """
    own = B[picks]
    owner = own.argmin(axis=0)
    n1 = own[owner, np.arange(len(B))]
    own[owner, np.arange(len(B))] = np.inf
    n2 = own.min(axis=0)
    order = np.argsort(owner, kind="stable")
    n1, n2 = n1[order], n2[order]
    has, starts = np.unique(owner[order], return_index=True)
    change = np.zeros(len(picks))
    precision = 1e-9 if B.dtype == np.float64 else 1e-5
    least, found = -precision * float(n1.sum(dtype=np.float64)), None
    for start in range(0, len(B), _TILE):
        rows = B[start : start + _TILE][:, order]
        nearer = np.minimum(rows, n1)
        gain = (nearer - n1).sum(axis=1, dtype=np.float64)
        loss = np.add.reduceat(np.minimum(rows, n2) - nearer, starts, axis=1)
        for r in range(len(rows)):
            change[:] = gain[r]
            change[has] += loss[r]
            if change[m := int(np.argmin(change))] < least:
                least, found = float(change[m]), (m, start + r)
    return found


def _loss(table: Features, members: Indices, cap: Vector, chosen: Indices) -> float:
    """Sum over all candidates of the distance to the nearest known or chosen structure."""
    nearest = Distance(table.n_features)
    nearest.absorb(gather(table, chosen))
    total = 0.0
    for start in range(0, len(members), 4096):
        some = slice(start, start + 4096)
        total += float(np.minimum(nearest.gain(gather(table, members[some])), cap[some]).sum())
    return total


CATALOGUE = {
    "kmedoids": Method(
        KMedoids,
        "n medoids: the mean distance of candidates to the nearest known or chosen structure is least",
        "N² d flops and a few N² a sweep; beyond 20,000 candidates those of samples",
        "4 N² bytes; beyond 20,000 candidates 200 MB",
        ("doi:10.1016/j.is.2021.101804", "doi:10.1002/9780470316801"),
    ),
}
