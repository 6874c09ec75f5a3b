r"""Every pick makes the set of environments as diverse as one more structure can.

Two entropies of the environments of known and chosen structures together, in nat. The environments of a candidate
are its energy rows, or all of its rows (its atoms) where it has none; noise weights play no part.

``covariance``: the entropy of the Gaussian that fits all of them,
:math:`J = \tfrac12\log\det(\frac1M\sum z z^\top + \varepsilon I)` (:mod:`aliquot.information.covariance`), the
objective by which Subramanyam and Perez generate structures. As there, environments are standardised by a reference
and ε is 10⁻⁴. Deviations: the reference is the pool, not a set of random structures, for none are generated here;
J carries the factor ½ that makes it an entropy; candidates come from the pool, each the best at its time, instead of
being accepted one after another whenever J rises.

``neighbour``: the nearest-neighbour entropy of Karabin and Perez,
:math:`H = \frac1M\sum\ln(M \min_{j \ne i}|x_i - x_j|)` (:mod:`aliquot.selection.neighbour_entropy`), a constant
left out, in smoothness-scaled coordinates. It is the estimate of Kozachenko and Leonenko except that the logarithm
of the distance is not multiplied by the dimension, which only they know how to choose for correlated features.
Deviations: the environments are those of the whole set, not of one configuration; distances below 10⁻⁹ of the
root-mean-square distance from the mean of the pool count as that. While nothing has a neighbour, the structure
nearest to that mean comes first.

Neither is monotone or submodular: there are no gains that could not be negative and no certificate; the answer
says how the entropy of the set grew. Both choose greedily and exactly.

References
----------
A. P. A. Subramanyam and D. Perez, npj Comput. Mater. 11, 218 (2025), doi:10.1038/s41524-025-01602-9
D. Montes de Oca Zapiain et al., npj Comput. Mater. 8, 189 (2022), doi:10.1038/s41524-022-00872-x
M. Karabin and D. Perez, J. Chem. Phys. 153, 094110 (2020), arXiv:2002.07876
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Blocks, Information, gather
from aliquot.information.covariance import Covariance, Reference
from aliquot.information.environments import environments, sizes
from aliquot.progress import Progress, silent
from aliquot.selection.greedy import greedy
from aliquot.selection.method import Method
from aliquot.selection.neighbour_entropy import Neighbours, most_even
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "MaxEntropy"]

_REFERENCES: Final = {
    "covariance": (
        "A. P. A. Subramanyam and D. Perez, npj Comput. Mater. 11, 218 (2025), doi:10.1038/s41524-025-01602-9",
        "D. Montes de Oca Zapiain et al., npj Comput. Mater. 8, 189 (2022), doi:10.1038/s41524-022-00872-x",
    ),
    "neighbour": ("M. Karabin and D. Perez, J. Chem. Phys. 153, 094110 (2020), arXiv:2002.07876",),
}

_FLOOR = 1e-9  # distances count at least this, in root-mean-square distances from the mean

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class MaxEntropy:
    """Greedy maximisation of the entropy of all known and chosen environments.

    Parameters
    ----------
    score : {"covariance", "neighbour"}
        Which entropy.
    ridge : float
        ε, what is added to the standardised covariance.
    """

    score: str = "covariance"
    ridge: float = 1e-4

    def __post_init__(self) -> None:
        if self.score not in _REFERENCES:
            raise SelectionError(f"score {self.score!r} is not known; choose one of {', '.join(_REFERENCES)}")
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise SelectionError(f"the ridge of the covariance must be positive and finite; got {self.ridge}")

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
        >>> line = Features.from_array(np.array([[0.0], [1.0], [5.0], [11.0]]))
        >>> MaxEntropy(score="neighbour").select(line, 3, rng=np.random.default_rng(0)).index.tolist()
        [2, 3, 0]
        """
        start = perf_counter()
        if cost is not None:
            raise SelectionError("cost given, but this method cannot heed it; leave it out")
        request = Request.check(candidates, n, known=known, groups=groups, heeds=True)
        more: dict[str, Any] = {}
        if self.score == "covariance":
            more["ridge"] = self.ridge
            index, before, path = _widest(request, self.ridge, progress)
        else:
            index, before, path = _most_even(request, progress)
        return request.answer(
            index,
            method="entropy",
            recipe={"method": "entropy", "score": self.score, **more},
            nested=request.nested,
            timings={"select": perf_counter() - start},
            references=_REFERENCES[self.score],
            notes=_notes(before, path),
        )


def _widest(request: Request, ridge: float, progress: Progress) -> tuple[Indices, float, list[float]]:
    """Picks by covariance, J before them, and after each."""
    table = request.candidates
    information = Covariance(Reference.of(table), sizes(table), ridge=ridge)
    if request.known is not None:
        for some, _ in request.known.tiles():
            information.absorb(gather(request.known, some))
    path: list[float] = []

    def remember(_: Blocks) -> None:
        path.append(information.value)

    index = [np.empty(0, np.int64)]
    for k, mask in request.phases():
        ledger = request.ledger("plain", mask)
        engine = cast(
            Information, information
        )  # whether it bounds depends on the pool: no property of the class
        trace = greedy(engine, table, k, allowed=mask, ledger=ledger, before=remember, progress=progress)
        index.append(trace.index)
        if ledger is not None:
            ledger.check_complete(request.n)
    values = [*path, information.value]
    return np.concatenate(index), values[0], values[1:]


def _most_even(request: Request, progress: Progress) -> tuple[Indices, float, list[float]]:
    """Picks by nearest neighbours, H before them, and after each."""
    table = request.candidates
    mean, count, spread = np.zeros(table.n_features), 0, 0.0
    for some, _ in table.tiles():
        x, _ = environments(gather(table, some))
        mean += x.sum(axis=0)
        count += len(x)
    mean /= max(1, count)
    for some, _ in table.tiles():
        x, _ = environments(gather(table, some))
        spread += float(np.square(x - mean).sum())
    floor = _FLOOR * math.sqrt(spread / max(1, count)) or _FLOOR
    state = Neighbours(table, floor=floor)
    if request.known is not None:
        for some, _ in request.known.tiles():
            state.absorb(environments(gather(request.known, some))[0])
    before = state.value()
    index, path = most_even(state, request, centre=mean, progress=progress)
    return index, before, path


def _notes(before: float, path: list[float]) -> tuple[str, ...]:
    """How the entropy of the set grew."""
    if not path:
        return ()
    k = int(np.argmax(path))
    start = f"from {before:.6g} " if math.isfinite(before) else ""
    grew = f"the entropy of all known and chosen environments went {start}to {path[-1]:.6g} nat"
    if k == len(path) - 1 or not math.isfinite(path[k]):
        return (f"{grew}, and still grew at the last pick" if len(path) > 1 else grew,)
    return (
        f"{grew}; it was largest, {path[k]:.6g} nat, after {k + 1} picks, and more picks made it smaller",
    )


CATALOGUE = {
    "entropy": Method(
        MaxEntropy,
        "most diverse environments: log-det of their covariance, or nearest-neighbour entropy",
        "covariance: at most N d² n flops, and n d³; neighbour: a few N d n flops",
        "40 bytes a candidate + d² + n d + 64 MB",
        ("doi:10.1038/s41524-025-01602-9", "doi:10.1038/s41524-022-00872-x", "arXiv:2002.07876"),
        ("groups",),
        ("nested",),
    ),
}
