r"""DPP: random subsets of variable size in which alike structures seldom come together.

.. math:: P(S) = \frac{\det M_S}{\det(I + M)}, \qquad M = \alpha L, \qquad L_{ij} = q_i\, k(x_i, x_j)\, q_j ,

where the scale α decides the mean size, :math:`\sum_m \mu_m / (1 + \mu_m)` over the eigenvalues of M. It is set so
that this is the number asked for. A draw is larger or smaller than that: its size is the sum of as many independent
coin tosses as L has eigenvalues, so its variance is below its mean.

The mean must be below the rank of L. From there on L + εI takes the place of L, and the answer says how much of the
draw was plain random. Kernel, quality and known structures are those of :class:`aliquot.selection.KDPP`, which draws
exactly n.

References
----------
A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044
J. Zou and Y. Marzouk, arXiv:2603.22160
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aliquot.errors import SelectionError
from aliquot.information.likelihood import Likelihood
from aliquot.progress import Progress, silent
from aliquot.selection.dpp_draw import DOI, REFERENCES, Drawing
from aliquot.selection.dpp_kernel import EXACT_LIMIT, NYSTROM_RANK, KernelChoice
from aliquot.selection.dpp_sampling import VariableSize
from aliquot.selection.method import Method
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "DPP"]


@dataclass(frozen=True)
class DPP:
    """Draws a set whose mean size is n.

    Parameters
    ----------
    kernel : str
        ``linear``, ``cosine``, ``cosine:exponent=2``, ``polynomial:degree=2,offset=1,length=…`` or
        ``rbf:length=…``; a length that is not given is that of the pool. See :mod:`aliquot.information.kernel`.
    quality : array_like, optional
        q of each candidate of the pool, positive: those of larger quality are drawn more often.
    precision : float, optional
        Noise of the known structures, in the units of the kernel; 0 for none, possible while fewer are known than
        the rank. By default 10⁻¹² of the largest eigenvalue of the pool's second moment (linear, cosine) or of the
        mean of the kernel's diagonal.
    ridge : float, optional
        ε as a fraction of the mean of the diagonal of L. By default 0 while the mean size is below the rank of L,
        and 10⁻¹² from there on.
    exact : int
        Largest number of candidates for which kernels other than ``linear`` and ``cosine`` are decomposed exactly,
        N × N.
    rank : int
        Rank of Nyström's approximation beyond that; above the mean size.
    """

    kernel: str = "linear"
    quality: ArrayLike | None = None
    precision: float | None = None
    ridge: float | None = None
    exact: int = EXACT_LIMIT
    rank: int = NYSTROM_RANK

    def __post_init__(self) -> None:
        _ = self._choice

    @property
    def _choice(self) -> KernelChoice:
        return KernelChoice(self.kernel, self.quality, self.precision, self.ridge, self.exact, self.rank)

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
        """Draw ``n`` candidates *on average*; otherwise as :class:`aliquot.selection.Selector` says.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.random.default_rng(0).normal(size=(50, 8)))
        >>> DPP().select(pool, 5, rng=np.random.default_rng(0)).stop
        'a draw of variable size: 4 chosen where 5 ± 1.3 are expected'
        """
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        return self._select(request, n, rng, progress)

    def draw(
        self,
        candidates: Features,
        *,
        mean: float | None = None,
        known: Features | None = None,
        rng: np.random.Generator,
        progress: Progress = silent,
    ) -> Selection:
        """Draw some of the new candidates: ``mean`` of them on average, or as many as the scale of L makes."""
        return self._select(Request.check(candidates, 0, known=known), mean, rng, progress)

    def inclusion(
        self, candidates: Features, *, mean: float | None = None, known: Features | None = None
    ) -> NDArray[np.float64]:
        """Probability that each candidate is in :meth:`draw`, (candidates,); they add up to the mean size.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.random.default_rng(0).normal(size=(50, 8)))
        >>> float(DPP().inclusion(pool, mean=5).sum().round(9))
        5.0
        """
        return self._drawing(Request.check(candidates, 0, known=known), mean).inclusion()

    def _select(
        self, request: Request, mean: float | None, rng: np.random.Generator, progress: Progress
    ) -> Selection:
        start = perf_counter()
        drawing = self._drawing(request, mean)
        index, drawn = drawing.draw(rng=rng, progress=progress)
        recipe, notes = drawing.account(len(index), drawn)
        process = drawing.process
        if isinstance(process, VariableSize):
            recipe |= {"scale": process.scale, "expected_size": process.expected_size}
        answer = request.answer(
            index,
            method="dpp",
            recipe={"method": "dpp", **self._choice.recipe(), **recipe},
            nested=False,
            timings={"select": perf_counter() - start},
            references=REFERENCES,
            notes=notes,
        )
        if not isinstance(process, VariableSize):
            return answer
        expected = f"{process.expected_size:.4g} ± {process.size_deviation:.2g}"
        stop = f"a draw of variable size: {len(index)} chosen where {expected} are expected"
        return replace(answer, stop=stop)

    def _drawing(self, request: Request, mean: float | None) -> Drawing:
        if request.n:
            return Drawing.of(request, lambda members, k: self._process(request, members, k))
        members = np.flatnonzero(request.distinct)
        if not len(members) or mean == 0:
            return Drawing(len(request.candidates))
        return Drawing(len(request.candidates), members, *self._process(request, members, mean))

    def _process(
        self, request: Request, members: NDArray[np.int64], mean: float | None
    ) -> tuple[VariableSize, Likelihood]:
        if mean is not None and not 0 < mean < len(members):
            raise SelectionError(
                f"the mean size must be above 0 and below {len(members)}, the number of new candidates; got {mean:g}"
            )
        least = 1 if mean is None else int(mean) + 1
        L = self._choice.likelihood(request.candidates, members, request.known, least=least)
        if mean is None:
            return VariableSize(L.spectrum, ridge=(self.ridge or 0.0) * L.level), L
        # Of a mean as large as the rank all eigenvectors would have to be taken, always.
        ridge = self._choice.ridge_for(L, mean, reach=L.spectrum.rank * (1.0 - 1e-9))
        return VariableSize.rescaled(L.spectrum, mean, ridge=ridge), L


CATALOGUE = {
    "dpp": Method(
        DPP,
        "random, diverse and of random size: n on average (DPP)",
        "4 N d² flops, then n² (d + n) log n whatever N (linear, cosine); 9 N³ for other kernels up to N = 10,000,"
        " then 5 N r² for Nyström's rank r",
        "16 N d, each half up to 1 GB; 24 N² for other kernels, 8 N (d + 3 r) beyond 10,000",
        DOI,
    ),
}
