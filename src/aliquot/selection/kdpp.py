r"""k-DPP: random subsets of exactly n in which alike structures seldom come together.

.. math:: P(S) = \frac{\det L_S}{e_n(\lambda)}, \quad |S| = n, \qquad L_{ij} = q_i\, k(x_i, x_j)\, q_j ,

the squared volume spanned by the chosen candidates in the space of the kernel k, times their squared qualities, over
the n-th elementary symmetric polynomial of the eigenvalues of L. Given known structures, k is the posterior kernel;
see :mod:`aliquot.information.likelihood`.

Beyond the rank r of L (at most the number of features for ``linear`` and ``cosine``) all determinants vanish; then
L + εI takes the place of L, and the answer says how many of the n were, in effect, plain random draws. Draws are
exact; see :mod:`aliquot.selection.dpp_sampling`. They are not nested: the first half of a draw of 100 is not a draw
of 50.

References
----------
A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044
J. Zou and Y. Marzouk, arXiv:2603.22160
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aliquot.information.likelihood import Likelihood
from aliquot.progress import Progress, silent
from aliquot.selection.dpp_draw import DOI, REFERENCES, Drawing
from aliquot.selection.dpp_kernel import EXACT_LIMIT, NYSTROM_RANK, KernelChoice
from aliquot.selection.dpp_sampling import FixedSize
from aliquot.selection.method import Method
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "KDPP"]


@dataclass(frozen=True)
class KDPP:
    """Draws exactly n candidates, with probability proportional to the determinant of their kernel matrix.

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
        ε as a fraction of the mean of the diagonal of L. By default 0 as far as the rank of L reaches, and
        10⁻¹² beyond.
    exact : int
        Largest number of candidates for which kernels other than ``linear`` and ``cosine`` are decomposed exactly,
        N × N.
    rank : int
        Rank of Nyström's approximation beyond that; at least the number asked for.
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
        """Draw ``n`` candidates; see :class:`aliquot.selection.Selector`.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        >>> 2 in KDPP().select(pool, 2, rng=np.random.default_rng(0)).index  # the others are alike
        True
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        drawing = self._drawing(request)
        index, drawn = drawing.draw(rng=rng, progress=progress)
        recipe, notes = drawing.account(n, drawn)
        progress("select", n, n)
        return request.answer(
            index,
            method="kdpp",
            recipe={"method": "kdpp", **self._choice.recipe(), **recipe},
            nested=False,
            timings={"select": perf_counter() - start},
            references=REFERENCES,
            notes=notes,
        )

    def draws(
        self,
        candidates: Features,
        n: int,
        many: int,
        *,
        known: Features | None = None,
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """Positions of ``many`` independent draws, (many, n).

        The pool is prepared once; for short rows (linear, cosine, Nyström) the price of a draw does not depend on
        its size.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        >>> both = KDPP().draws(pool, 2, 100, rng=np.random.default_rng(0))
        >>> bool((both == 2).any(axis=1).all())
        True
        """
        drawing = self._drawing(Request.check(candidates, n, known=known))
        return np.array([drawing.draw(rng=rng)[0] for _ in range(many)], np.int64).reshape(many, n)

    def inclusion(
        self, candidates: Features, n: int, *, known: Features | None = None
    ) -> NDArray[np.float64]:
        """Probability that each candidate is among the ``n`` drawn, (candidates,); they add up to n.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        >>> KDPP().inclusion(pool, 2).round(12)
        array([0.5, 0.5, 1. ])
        """
        return self._drawing(Request.check(candidates, n, known=known)).inclusion()

    def _drawing(self, request: Request) -> Drawing:
        def process(members: NDArray[np.int64], k: int) -> tuple[FixedSize, Likelihood]:
            L = self._choice.likelihood(request.candidates, members, request.known, least=k)
            return FixedSize(L.spectrum, k, ridge=self._choice.ridge_for(L, k, reach=L.spectrum.rank)), L

        return Drawing.of(request, process)


CATALOGUE = {
    "kdpp": Method(
        KDPP,
        "random and diverse: subsets drawn by the volume they span (k-DPP)",
        "4 N d² flops, then n² (d + n) log n whatever N (linear, cosine); 9 N³ for other kernels up to N = 10,000,"
        " then 5 N r² for Nyström's rank r",
        "16 N d, each half up to 1 GB; 24 N² for other kernels, 8 N (d + 3 r) beyond 10,000",
        DOI,
    ),
}
