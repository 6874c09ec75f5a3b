r"""Set cover of atomic environments: few structures whose environments stand for all environments of the pool.

``coverage``: the pick is the candidate that newly covers most environments, an environment being covered when one
of a known or chosen structure lies within a bandwidth h of it (:mod:`aliquot.selection.coverage`). A monotone
submodular objective: greedy reaches at least 1 - 1/e of the optimum, and each run certifies how much it has reached.

``quests``: the algorithm of Yu, Lordi and Schwalbe-Koda for the same problem. With
:math:`K(x, y) = e^{-|x-y|^2/2h^2}`, the entropy of a structure with environments :math:`x_1 \ldots x_m` and the
differential entropy of one environment,

.. math:: H = -\tfrac1m\sum_i\ln\tfrac1m\sum_j K(x_i, x_j), \qquad \delta H(x | S) = -\ln\sum_{y \in S} K(x, y),

in nat, the first pick is the structure of largest H, every other the structure of largest
:math:`\max_i\delta H(x_i|S) + H`, S being all environments of known and chosen structures. Not a sum of gains: no
certificate.

Deviations from the paper: environments are the rows at hand in smoothness-scaled coordinates instead of QUESTS
descriptors, so that its bandwidth (0.015 Å⁻¹) means nothing here; the default is how far nearest neighbours in the
pool typically lie apart.

References
----------
B. Yu, V. Lordi and D. Schwalbe-Koda, arXiv:2511.10561
D. Schwalbe-Koda, S. Hamel, B. Sadigh, F. Zhou and V. Lordi, Nat. Commun. 16, 4014 (2025), arXiv:2404.12367
G. L. Nemhauser, L. A. Wolsey and M. L. Fisher, Math. Program. 14, 265 (1978), doi:10.1007/BF01588971
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import gather
from aliquot.information.environments import distances, environments, sizes
from aliquot.progress import Progress, silent
from aliquot.selection.cost import BUDGET_REFERENCES, GUARANTEE, most
from aliquot.selection.coverage import Covering, typical_distance
from aliquot.selection.method import Method
from aliquot.selection.record import Certificate, Selection
from aliquot.selection.request import Request
from aliquot.selection.sweep import sweep
from aliquot.table import Features

__all__ = ["CATALOGUE", "SetCover"]

_REFERENCES: Final = {
    "coverage": (
        "G. L. Nemhauser, L. A. Wolsey and M. L. Fisher, Math. Program. 14, 265 (1978), doi:10.1007/BF01588971",
        "B. Yu, V. Lordi and D. Schwalbe-Koda, arXiv:2511.10561",
    ),
    "quests": (
        "B. Yu, V. Lordi and D. Schwalbe-Koda, arXiv:2511.10561",
        "D. Schwalbe-Koda et al., Nat. Commun. 16, 4014 (2025), arXiv:2404.12367",
    ),
}

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SetCover:
    """Greedy set cover of environments.

    Parameters
    ----------
    score : {"coverage", "quests"}
    bandwidth : float, optional
        h, in smoothness-scaled coordinates; by default the median distance of environments of the pool to their
        nearest neighbours in other structures.
    """

    score: str = "coverage"
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        if self.score not in _REFERENCES:
            raise SelectionError(f"score {self.score!r} is not known; choose one of {', '.join(_REFERENCES)}")
        if self.bandwidth is not None and not (math.isfinite(self.bandwidth) and self.bandwidth > 0):
            raise SelectionError(f"the bandwidth must be positive and finite; got {self.bandwidth}")

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
        >>> line = Features.from_array(np.array([[0.0], [1.0], [2.0], [9.0]]))
        >>> SetCover(bandwidth=1.0).select(line, 2, rng=np.random.default_rng(0)).index.tolist()
        [1, 3]
        """
        start = perf_counter()
        if self.score == "quests" and cost is not None:
            raise SelectionError(
                "cost given, but the score quests, which can be negative, cannot heed it; use score coverage"
            )
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups, heeds=True)
        h = typical_distance(candidates) if self.bandwidth is None else float(self.bandwidth)
        more: dict[str, Any]
        if self.score == "coverage":
            index, more = _cover(request, h, progress)
        else:
            index, more = _surprise(request, h, progress), {}
        origin = "nearest neighbours in the pool" if self.bandwidth is None else "given"
        references = _REFERENCES[self.score] + (() if request.budget is None else BUDGET_REFERENCES)
        return request.answer(
            index,
            method="msc",
            recipe={"method": "msc", "score": self.score, "bandwidth": h, "bandwidth_from": origin},
            nested=request.nested,
            timings={"select": perf_counter() - start},
            references=references,
            **more,
        )


# --- coverage -------------------------------------------------------------------------------------------------


def _cover(request: Request, bandwidth: float, progress: Progress) -> tuple[Indices, dict[str, Any]]:
    """Picks, and what the answer says of them."""
    runs = {s: _run(request, bandwidth, s, progress) for s in request.strategies}
    best = max(runs, key=lambda s: runs[s][0].covered.sum())
    state, at_first, index, gain = runs[best]
    total, after = len(state.covered), int(state.covered.sum())
    before = after - int(gain.sum())
    notes = [
        f"{after} of {total} environments of the pool lie within {bandwidth:g} of a known or chosen one;"
        f" {before} did before"
    ]
    if len(gain) and gain[-1] == 0.0:
        notes.append(
            f"from pick {int(np.argmax(gain == 0.0)) + 1} on nothing is newly covered; those picks are in the order of"
            " their content hashes: a smaller bandwidth would tell them apart"
        )
    if request.budget is not None:
        said = ", ".join(f"{s} {int(r[3].sum())} with {len(r[2])} picks" for s, r in runs.items())
        free = request.constraints is None or not request.constraints.binding
        notes.append(
            f"the budget was spent greedily in two ways, newly covering: {said}; {best} is the answer"
            + (f", at least {GUARANTEE:.1%} = ½ (1 - 1/e) of the most that it can cover" if free else "")
        )
    more: dict[str, Any] = {"gain": gain, "gain_unit": "environments", "notes": tuple(notes)}
    if len(index):
        more["certificate"] = _certificate(request, state, at_first, index, gain)
    return index, more


def _run(
    request: Request, bandwidth: float, strategy: str, progress: Progress
) -> tuple[Covering, Vector, Indices, Vector]:
    """The covering after the last pick, gains before the first, picks, and their gains."""
    state = Covering(request.candidates, request.known, bandwidth=bandwidth, progress=progress)
    at_first, gain = state.gain.copy(), list[float]()

    def absorb(pick: int) -> None:
        gain.append(float(state.gain[pick]))
        state.absorb(pick)

    index = sweep(request, lambda: state.gain, absorb, strategy=strategy, progress=progress)
    return state, at_first, index, np.array(gain)


def _certificate(
    request: Request, state: Covering, at_first: Vector, index: Indices, gain: Vector
) -> Certificate:
    """The smallest of four bounds."""
    n, achieved = len(index), float(gain.sum())
    rival = request.distinct if n <= request.distinct.sum() else np.ones(len(request.candidates), bool)

    def best(values: Vector) -> float:
        return most(values[rival], n, request.cost, among=rival)

    bounds = {
        "all environments of the pool": achieved + float(np.sum(~state.covered)),
        "submodularity: the largest first gains, added up": best(at_first),
        "submodularity: the largest remaining gains, added up": achieved + best(state.gain),
    }
    if not request.binding:
        bounds["greedy coverage: 1 - 1/e of the optimum"] = float(
            np.floor(achieved / (1.0 - 1.0 / math.e) + 1e-9)
        )
    argument, bound = min(bounds.items(), key=lambda item: item[1])
    return Certificate(
        achieved=achieved,
        upper_bound=max(achieved, bound),
        objective="environments of the pool newly covered, given the known structures",
        argument=argument,
    )


# --- the algorithm of the paper -------------------------------------------------------------------------------


def _surprise(request: Request, bandwidth: float, progress: Progress) -> Indices:
    """Picks of largest surprise: the differential entropy of the strangest environment, and the own entropy."""
    table = request.candidates
    own: Vector = np.empty(len(table))
    for some, _ in table.tiles():
        x, offsets = environments(gather(table, some))
        own[some] = [_entropy(part, bandwidth) for part in np.split(x, offsets[1:-1])]
    offsets = np.concatenate(([0], np.cumsum(sizes(table)))).astype(np.int64)
    density: Vector = np.full(int(offsets[-1]), -np.inf)  # ln Σ K of each environment

    def values() -> Vector:
        strangest: Vector = np.maximum.reduceat(-density, offsets[:-1])
        return own if np.any(np.isinf(strangest)) else strangest + own

    def add(points: Matrix) -> None:
        for some, _ in table.tiles():
            x, _ = environments(gather(table, some))
            here = slice(int(offsets[some.start]), int(offsets[some.stop]))
            density[here] = np.logaddexp(density[here], _log_density(x, points, bandwidth))

    if request.known is not None:
        for some, _ in request.known.tiles():
            add(environments(gather(request.known, some))[0])
    return sweep(
        request,
        values,
        lambda pick: add(environments(gather(table, np.array([pick])))[0]),
        scale=1.0,
        progress=progress,
    )


def _log_density(x: Matrix, points: Matrix, bandwidth: float) -> Vector:
    """The logarithm of the sum of kernels between each x and all points."""
    exponent = -0.5 * np.square(distances(x, points) / bandwidth)
    largest = exponent.max(axis=1)
    return largest + np.log(np.exp(exponent - largest[:, None]).sum(axis=1))


def _entropy(x: Matrix, bandwidth: float) -> float:
    """H of one structure."""
    return float(np.log(len(x)) - _log_density(x, x, bandwidth).mean())


CATALOGUE = {
    "msc": Method(
        SetCover,
        "set cover: environments that stand for most others, or the most surprising ones (quests)",
        "coverage: 2 N² d flops, once; quests: 3 N d n",
        "8 bytes a pair within the bandwidth; quests: 16 bytes a candidate",
        ("arXiv:2511.10561", "arXiv:2404.12367", "doi:10.1007/BF01588971"),
        ("cost", "groups"),
        ("certificate", "nested"),
    ),
}
