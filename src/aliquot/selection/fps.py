r"""Farthest-point sampling: every pick is the candidate farthest from all that is known or chosen.

.. math:: i_{k+1} = \arg\max_i \min_{j \in K \cup S_k} |x_i - x_j|

with Euclidean distances in smoothness-scaled coordinates, or in one of the other metrics of
:mod:`aliquot.information.metric`, the same for pool and known structures. A candidate of several rows is represented
by the mean of its observable rows (its energy rows, or all of its rows where it has none). Distances of constraints
(``apart``, ``tolerance``) stay Euclidean.

Without known structures the first pick is the candidate nearest to the mean of the pool: the most ordinary
one. The farthest would begin every selection with the strangest frame of the pool, which is often a broken
one, and the guarantee does not depend on the start.

The covering radius r, the largest distance of a candidate to its nearest known or chosen structure, is at most
twice the smallest that any n picks could reach given the same known set. The n picks and the farthest
candidate left are n + 1 points at least r from each other and from the known set; whatever n structures one
chooses, one of these points is nearest to a known structure, or two are nearest to the same choice.

With costs, distances are compared per cost; a budget is spent twice (:mod:`aliquot.selection.cost`), and the run
that leaves the smaller covering radius is the answer. Costs and quotas leave nothing of the bound above.

References
----------
T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985), doi:10.1016/0304-3975(85)90224-5
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Distance, gather
from aliquot.information.metric import METRICS, Metric
from aliquot.progress import Progress, silent
from aliquot.selection.greedy import TIE, first_by_hash, greedy
from aliquot.selection.method import Method
from aliquot.selection.points import one_row_each
from aliquot.selection.record import Certificate, Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "FPS"]

_REFERENCES = ("T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985), doi:10.1016/0304-3975(85)90224-5",)


@dataclass(frozen=True)
class FPS:
    """Farthest-point sampling, started from the known structures.

    The gain of a pick is its distance to the nearest structure known or chosen before it. A first pick with
    nothing before it gets the covering radius that it leaves.

    Parameters
    ----------
    metric : str
        ``euclidean``; ``standardised``, each feature over its standard deviation in the pool; ``mahalanobis``, through
        the covariance of pool and known structures; ``cosine``, of directions from the origin.
    ridge : float
        For ``mahalanobis``: what is added to every variance, as a fraction of their mean.
    """

    metric: str = "euclidean"
    ridge: float = 1e-6

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise SelectionError(f"metric {self.metric!r} is not known; choose one of {', '.join(METRICS)}")
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise SelectionError(f"the ridge of fps must be positive and finite; got {self.ridge}")

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

        Passes over a pool on disk go to the workers of ``executor`` where one is given; the picks are the same.

        Examples
        --------
        >>> import numpy as np
        >>> line = Features.from_array(np.array([[0.0], [1.0], [5.0], [11.0]]))
        >>> FPS().select(line, 3, rng=np.random.default_rng(0)).index.tolist()
        [2, 3, 0]
        """
        start = perf_counter()
        request = Request.check(
            candidates, n, known=known, cost=cost, groups=groups, heeds=True, executor=executor
        )
        points, there = self._mapped(request)
        runs = {s: _spread(points, there, request, s, progress) for s in request.strategies}
        best = min(runs, key=lambda strategy: runs[strategy][2])
        index, gain, radius, rows_read = runs[best]
        n = len(index)
        notes = [f"{rows_read} points were read for {n} picks: {rows_read / max(1, len(points)):.1f} passes"]
        if n and np.any(gain == 0.0):
            k = int(np.argmax(gain == 0.0))
            notes.append(
                f"from pick {k + 1} on every candidate lies on a point already chosen or known; the order of"
                " that tail is by content hash"
            )
        if request.budget is not None:
            left = " and ".join(f"{r:.4g} ({s}, {len(i)} picks)" for s, (i, _, r, _) in runs.items())
            notes.append(
                f"the budget was spent greedily in two ways, leaving covering radii of {left}: {best} it is"
            )
        return request.answer(
            index,
            method="fps",
            recipe=self._recipe(),
            gain=gain,
            gain_unit="distance",
            certificate=_certificate(radius) if n and not request.binding else None,
            nested=request.nested,
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=tuple(notes),
        )

    def _mapped(self, request: Request) -> tuple[Features, Features | None]:
        """Candidates and known structures, one row each, whose Euclidean distances are those of the metric."""
        points, known = one_row_each(request.candidates), request.known
        if self.metric == "euclidean" or len(points) == 0:
            return points, known
        there = None if known is None else one_row_each(known)
        metric = Metric.of(self.metric, points, there, ridge=self.ridge)
        return metric.applied(points), None if there is None else metric.applied(there)

    def _recipe(self) -> dict[str, Any]:
        """What was asked."""
        ridge = {"ridge": self.ridge} if self.metric == "mahalanobis" else {}
        return {"method": "fps", "metric": self.metric, **ridge, "start": "known or nearest to the mean"}


def _spread(
    points: Features, known: Features | None, request: Request, strategy: str, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.float64], float, int]:
    """Picks, their distances, the covering radius left, and rows read."""
    distance = Distance(points.n_features)
    if known is not None:
        for some, _ in known.tiles():
            distance.absorb(gather(known, some))
    index, gain = [np.empty(0, np.int64)], [np.empty(0)]
    rows_read, radius = 0, 0.0
    for position, (k, mask) in enumerate(request.phases()):
        ledger = request.ledger(strategy, mask)
        allowed = mask.copy() if ledger is None else ledger.open.copy()
        lonely = position == 0 and known is None
        if lonely:
            first = _most_ordinary(points, allowed)
            distance.absorb(gather(points, np.array([first])))
            allowed[first] = False
            index.append(np.array([first]))
            rows_read += 2 * len(points)
            if ledger is not None:
                ledger.enter(first)
                gain.append(np.array([_radius(distance, points, mask)]))
        more = k - lonely
        if ledger is not None:
            trace = greedy(
                distance,
                points,
                more,
                allowed=allowed,
                ledger=ledger,
                executor=_workers(request),
                progress=progress,
            )
            radius = _radius(distance, points, mask)
        else:  # one pick beyond what was asked, where there is one: its distance is the covering radius
            trace = greedy(
                distance,
                points,
                min(more + 1, int(allowed.sum())),
                allowed=allowed,
                executor=_workers(request),
                progress=progress,
            )
            radius = float(trace.gain[more]) if len(trace.gain) > more else 0.0
            if lonely:
                gain.append(trace.gain[:1] if len(trace.gain) else np.zeros(1))
        index.append(trace.index[:more])
        gain.append(trace.gain[:more])
        rows_read += trace.rows_read
        if ledger is not None:
            ledger.check_complete(request.n)
    return np.concatenate(index), np.concatenate(gain), radius, rows_read


def _workers(request: Request) -> Executor | None:
    """Who takes part; nobody else where points are in memory, which would travel with every task."""
    rows: Any = request.candidates.rows
    here = isinstance(rows, np.ndarray) or not request.candidates.single_rows
    return None if here else request.executor


def _radius(distance: Distance, points: Features, mask: NDArray[np.bool_]) -> float:
    """The largest distance of these candidates to the nearest known or chosen structure."""
    return max(
        float(distance.gain(gather(points, some)).max(where=mask[some], initial=0.0))
        for some, _ in points.tiles()
    )


def _most_ordinary(points: Features, mask: NDArray[np.bool_]) -> int:
    """The allowed candidate nearest to the mean of the allowed ones; ties by hash."""
    mean = np.zeros(points.n_features)
    for some, _ in points.tiles():
        mean += gather(points, some).x[mask[some]].sum(axis=0)
    mean /= mask.sum()
    away = np.full(len(points), np.inf)
    for some, _ in points.tiles():
        away[some] = np.square(gather(points, some).x - mean).sum(axis=1)
    away[~mask] = np.inf
    return first_by_hash(points, np.flatnonzero(away <= away.min() * (1.0 + TIE)))


def _certificate(radius: float) -> Certificate:
    return Certificate(
        achieved=-radius,
        upper_bound=-radius / 2.0,
        objective="minus the covering radius of the new candidates, given the known ones",
        argument="greedy k-centre: no choice of as many candidates leaves less than half this radius",
    )


CATALOGUE = {
    "fps": Method(
        FPS,
        "farthest-point sampling: each pick is farthest from all known and chosen",
        "at most 2 N d (n + known) flops; mahalanobis: 2 N d² more each pass",
        "40 bytes a candidate + (n + known) d + 64 MB",
        ("doi:10.1016/0304-3975(85)90224-5",),
        ("cost", "groups", "executor"),
        gives=("certificate", "nested"),
    ),
}
