r"""How hard does each structure pull at a fit of the whole pool? Draw in proportion to that, or take the largest.

With :math:`P = \lambda I + \sum w^2 x x^\top` over the rows of the pool and of known structures, in smoothness-scaled
coordinates, the ridge leverage of a row is :math:`h = w^2 x^\top P^{-1} x \le 1`, and that of a candidate the sum
over its rows.

- ``rows="block"``: all rows of a candidate, weighted as a fit weights them (the block leverage of energies, forces and
  virials).
- ``rows="observable"``: only its energy rows, or all of its rows where it has none; neither P nor the scores know of
  others.

``sampled`` draws n different candidates one after another in proportion to their leverage, without replacement: as a
training set without weights this is a random sample with a preference for edges. ``top`` takes the largest, alike or
not. Where no ridge is given, λ is the default prior of the method ``bayes``, 10⁻¹² of the largest eigenvalue of the
pool's second moment: leverage scores but for the directions of rounding.

The pool is read twice: once for P, once for the scores.

References
----------
A. Alaoui and M. W. Mahoney, Adv. Neural Inf. Process. Syst. 28 (2015), arXiv:1411.0306
P. Drineas, M. Magdon-Ismail, M. W. Mahoney and D. P. Woodruff, J. Mach. Learn. Res. 13, 3475 (2012), arXiv:1109.3843
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Blocks, Posterior, default_precision, gather
from aliquot.progress import Progress, silent
from aliquot.selection.cur import drawn
from aliquot.selection.method import Method
from aliquot.selection.points import by_hash
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "Leverage"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_REFERENCES = (
    "A. Alaoui and M. W. Mahoney, Adv. Neural Inf. Process. Syst. 28 (2015), arXiv:1411.0306",
    "P. Drineas, M. Magdon-Ismail, M. W. Mahoney and D. P. Woodruff, J. Mach. Learn. Res. 13, 3475 (2012),"
    " arXiv:1109.3843",
)

_CHOICES = {"variant": ("sampled", "top"), "rows": ("block", "observable")}


@dataclass(frozen=True)
class Leverage:
    """Selection by ridge leverage scores.

    Parameters
    ----------
    variant : {"sampled", "top"}
    rows : {"block", "observable"}
    ridge : float, optional
        λ, positive.
    """

    variant: str = "sampled"
    rows: str = "block"
    ridge: float | None = None

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise SelectionError(
                    f"{name} {value!r} of leverage is not known; choose one of {', '.join(choices)}"
                )
        if self.ridge is not None and not (math.isfinite(self.ridge) and self.ridge > 0):
            raise SelectionError(f"the ridge of leverage must be positive and finite; got {self.ridge}")

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
        """Choose ``n`` candidates; see :class:`aliquot.selection.Selector`. ``top`` does not use ``rng``.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.array([[3.0, 0.0], [3.0, 0.1], [0.0, 1.0]]))
        >>> chosen = Leverage(variant="top").select(pool, 2, rng=np.random.default_rng(0))
        >>> chosen.index.tolist(), chosen.gain.round(3).tolist()
        ([2, 1], [0.995, 0.502])
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        members = by_hash(candidates, request.distinct)
        first = min(n, len(members))
        ridge = default_precision(candidates) if self.ridge is None else float(self.ridge)
        h = self._scores(request, ridge, progress)[members]
        notes: tuple[str, ...] = ()
        if first and self.variant == "sampled":
            some, score, notes = drawn(h, first, rng)
        else:
            top = float(h.max(initial=0.0)) or 1.0
            some = np.lexsort((np.arange(len(h)), -np.round(h / top, 10)))[:first]
            score = h[some]
        if first:
            notes = (
                f"the leverage of the new candidates adds up to {h.sum():.4g} of {candidates.n_features} directions",
                *notes,
            )
        repeated = by_hash(candidates, ~request.distinct)[: n - first]
        return request.answer(
            np.concatenate((members[some], repeated)),
            method="leverage",
            recipe={"method": "leverage", "variant": self.variant, "rows": self.rows, "ridge": ridge},
            gain=np.concatenate((score, np.zeros(n - first))),
            gain_unit="leverage",
            nested=self.variant == "top",
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
        )

    def _scores(self, request: Request, ridge: float, progress: Progress) -> Vector:
        """Leverage of every candidate; 0 for repetitions."""
        table, distinct = request.candidates, request.distinct
        posterior = Posterior(np.full(table.n_features, ridge))
        if request.known is not None:
            for some, _ in request.known.tiles():
                posterior.absorb(self._weighted(gather(request.known, some)))
        for some, _ in table.tiles():
            blocks = gather(table, some)
            new = np.repeat(distinct[some], np.diff(blocks.offsets))
            posterior.absorb(self._weighted(blocks) * new[:, None])
            progress("read", some.stop, len(table))
        h = np.zeros(len(table))
        for some, _ in table.tiles():
            blocks = gather(table, some)
            z = posterior.whiten(self._weighted(blocks))
            h[some] = np.add.reduceat(np.einsum("ij,ij->i", z, z), blocks.offsets[:-1])
            progress("select", some.stop, len(table))
        h[~distinct] = 0.0
        return h

    def _weighted(self, blocks: Blocks) -> Matrix:
        """Rows that count, weighted; zeros for the others."""
        rows = blocks.weighted
        return rows if self.rows == "block" else rows * blocks.observed[:, None]


CATALOGUE = {
    "leverage": Method(
        Leverage,
        "how hard each structure pulls at a fit of the whole pool: drawn in proportion, or the largest",
        "two passes, 3 N d² flops",
        "a few d² numbers and 8 bytes a candidate",
        ("arXiv:1411.0306", "arXiv:1109.3843"),
    ),
}
