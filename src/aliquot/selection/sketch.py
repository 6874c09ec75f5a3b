r"""Greedy selection on fewer numbers a row: features are projected first, then chosen from exactly.

With a projection Π of d features onto p, entropy-greedy runs on the rows :math:`x \Pi` at p/d of the cost. Three
projections:

- ``principal``: onto the p leading eigenvectors of the second moment of the weighted rows of the pool, what frequent
  directions approach in less memory; deterministic;
- ``gaussian``: independent entries of variance 1/p (Johnson and Lindenstrauss);
- ``count``: every feature is added, with a random sign, to one random column (count-sketch); no products.

Guaranteed: where Π changes no squared norm in the span of n candidates by more than a factor 1 ± δ, it changes their
F by at most :math:`\tfrac n2\ln\frac1{1-\delta}` nat; a Gaussian Π of
:math:`p = O((n \ln N + \ln 1/\eta)/\delta^2)` does so for all sets of n at once with probability 1 - η. For smaller p
nothing is guaranteed beforehand, and much can be lost: what the projection cannot see is not asked for. So the loss is
measured: gains are those of the real features, a note compares them with what the projected rows promised, and the
certificate bounds how far from the optimum the picks are at most.

``benchmarks/approximations.py`` compares with exact greedy.

References
----------
D. P. Woodruff, Found. Trends Theor. Comput. Sci. 10, 1 (2014), doi:10.1561/0400000060
M. Ghashami, E. Liberty, J. M. Phillips and D. P. Woodruff, SIAM J. Comput. 45, 1762 (2016), doi:10.1137/15M1009718
"""

# pyright: reportMissingTypeStubs=false
# (scipy brings no types)

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Entropy, Posterior, gather
from aliquot.progress import Progress, silent
from aliquot.selection.approximation import answered, gains_of, opening, prior_of
from aliquot.selection.greedy import greedy
from aliquot.selection.method import Method
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features, room

__all__ = ["CATALOGUE", "PROJECTIONS", "Sketch"]

#: Projections by name.
PROJECTIONS: Final = ("principal", "gaussian", "count")

_REFERENCES: Final = (
    "D. P. Woodruff, Found. Trends Theor. Comput. Sci. 10, 1 (2014), doi:10.1561/0400000060",
    "M. Ghashami, E. Liberty, J. M. Phillips and D. P. Woodruff, SIAM J. Comput. 45, 1762 (2016),"
    " doi:10.1137/15M1009718",
)

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Sketch:
    """Entropy-greedy on projected features.

    Parameters
    ----------
    projection : {"principal", "gaussian", "count"}
    dimension : int
        p; tables of no more features are not projected.
    precision : float, optional
        Prior precision, as for :class:`aliquot.selection.Bayes`.
    certify : bool
        Whether to read the pool once more for a certificate.
    """

    projection: str = "principal"
    dimension: int = 64
    precision: float | None = None
    certify: bool = True

    def __post_init__(self) -> None:
        if self.projection not in PROJECTIONS:
            raise SelectionError(
                f"projection {self.projection!r} is not known; choose one of {', '.join(PROJECTIONS)}"
            )
        if self.dimension < 1:
            raise SelectionError(f"the dimension of a sketch must be 1 or more; got {self.dimension}")
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
        """Choose ``n`` candidates; see :class:`aliquot.selection.Selector`.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.array([[3.0, 0.0], [3.0, 0.1], [0.0, 1.0]]))
        >>> Sketch().select(pool, 2, rng=np.random.default_rng(0)).index.tolist()
        [1, 2]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        precision, origin = prior_of(request, self.precision)
        index, promised = self._choose(request, precision, rng, progress)
        information = opening(request, precision)
        gain = gains_of(information, request, index)
        d, p = candidates.n_features, min(self.dimension, candidates.n_features)
        notes = (
            f"chosen in {p} of {d} dimensions, where the picks promised {promised:.6g} nat; in all {d} they bring"
            f" {gain.sum():.6g} nat",
        )
        return answered(
            request,
            information,
            index,
            gain,
            certify=self.certify,
            recipe={
                "method": "sketch",
                "projection": self.projection,
                "dimension": p,
                "precision": precision,
                "precision_from": origin,
            },
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
        )

    def _choose(
        self, request: Request, precision: float, rng: np.random.Generator, progress: Progress
    ) -> tuple[NDArray[np.int64], float]:
        """Picks among the new candidates, and what they bring as far as the projection can see."""
        table, known, k = request.candidates, request.known, min(request.n, int(request.distinct.sum()))
        if self.dimension < table.n_features:
            projection = self._projection(table, rng)
            table = _projected(table, projection)
            known = None if known is None else _projected(known, projection)
        information = Entropy(Posterior(np.full(table.n_features, precision)))
        if known is not None:
            for some, _ in known.tiles():
                information.absorb(gather(known, some))
        trace = greedy(information, table, k, allowed=request.distinct, progress=progress)
        return trace.index, float(trace.gain.sum())

    def _projection(self, table: Features, rng: np.random.Generator) -> Any:
        """Π, (features, dimension): an array, or a sparse one."""
        d, p = table.n_features, self.dimension
        if self.projection == "gaussian":
            return rng.normal(0.0, 1.0 / math.sqrt(p), (d, p))
        if self.projection == "count":
            from scipy.sparse import csr_array

            entries = (rng.choice([-1.0, 1.0], d), (np.arange(d), rng.integers(p, size=d)))
            return csr_array(entries, shape=(d, p))
        moment = np.zeros((d, d))
        for some, _ in table.tiles():
            x = gather(table, some).weighted
            moment += x.T @ x
        return np.linalg.eigh(moment)[1][:, ::-1][:, :p]


def _projected(table: Features, projection: Any) -> Features:
    """The same candidates with fewer features, on disk where they are many."""
    p = int(projection.shape[1])
    rows = room((int(table.offsets[-1]), p), np.float64)
    for some, where in table.tiles():
        rows[where] = gather(table, some).x @ projection
    return replace(table, rows=rows, prior=np.ones(p), names=tuple(f"p{k}" for k in range(p)))


CATALOGUE = {
    "sketch": Method(
        Sketch,
        "approximate entropy-greedy: on features projected to fewer dimensions p",
        "2 N d p (principal: N d² more), then at most 2 N p n flops",
        "8 N p bytes, on disk beyond 1 GB; 40 bytes a candidate",
        ("doi:10.1561/0400000060", "doi:10.1137/15M1009718"),
        (),
        ("certificate",),
    ),
}
