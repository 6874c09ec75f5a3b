r"""Determinantal point processes: random subsets in which alike structures seldom come together.

.. math:: P(S) \propto \det L_S, \qquad L_{ij} = q_i\, k(x_i, x_j)\, q_j ,

the squared volume spanned by the chosen candidates in the space of the kernel k, times their squared qualities. Given
known structures, k is the posterior kernel; see :mod:`aliquot.information.likelihood`.

- :class:`KDPP` (``kdpp``) draws exactly n. Beyond the rank r of L (at most the number of features for ``linear``
  and ``cosine``) all determinants vanish; then L + εI takes the place of L, and the answer says how many of the n
  were, in effect, plain random draws.
- :class:`DPP` draws sets of variable size, of a stated mean. It cannot be asked for exactly n, and hence is not a
  method of ``select``: a DPP told to have n elements *is* the k-DPP.
- :class:`~aliquot.selection.DPPMap` (``dpp-map``) looks for the likeliest set.

A draw is not nested: the first half of a draw of 100 is not a draw of 50.

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
from aliquot.selection.dpp_kernel import EXACT_LIMIT, NYSTROM_RANK, RIDGE, KernelChoice
from aliquot.selection.dpp_sampling import FixedSize, VariableSize
from aliquot.selection.method import Method
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "DPP", "KDPP"]

Indices = NDArray[np.int64]

_REFERENCES = (
    "A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044",
    "J. Zou and Y. Marzouk, arXiv:2603.22160",
)


@dataclass(frozen=True)
class KDPP:
    """Draws exactly n candidates, with probability proportional to the determinant of their kernel matrix.

    Parameters
    ----------
    kernel : str
        ``linear``, ``cosine``, ``cosine:exponent=2``, ``polynomial:degree=2,offset=1``, ``rbf:length=…``; see
        :mod:`aliquot.information.kernel`.
    quality : array_like, optional
        q of each candidate of the pool, positive.
    precision : float, optional
        Noise of conditioning on known structures; 0 for none. See :func:`aliquot.information.likelihood`.
    ridge : float, optional
        ε as a fraction of the mean of the diagonal of L. By default 0 as far as the rank of L reaches, and
        10⁻¹² beyond.
    exact : int
        Largest number of candidates for which kernels without short rows are decomposed exactly, N × N.
    rank : int
        Rank of Nyström's approximation beyond that.
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
        index, drawn, recipe, notes = [np.empty(0, np.int64)], 0, dict[str, Any](), tuple[str, ...]()
        for phase, (k, mask) in enumerate(request.phases()):
            members = np.flatnonzero(mask)
            if phase or k == len(members) or not request.distinct.any():
                index.append(rng.permutation(members)[:k])  # nothing to choose, or repetitions
                continue
            process, L = self._process(request, members, k)
            some, drawn = process.draw(rng=rng, progress=progress)
            index.append(members[some])
            recipe, notes = _account(process, L, drawn)
        progress("select", n, n)
        return request.answer(
            np.concatenate(index),
            method="kdpp",
            recipe={"method": "kdpp", **self._choice.recipe(), "drawn_by_kernel": drawn, **recipe},
            nested=False,
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
        )

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
        request = Request.check(candidates, n, known=known)
        probability = np.zeros(len(candidates))
        for phase, (k, mask) in enumerate(request.phases()):
            members = np.flatnonzero(mask)
            if phase or k == len(members) or not request.distinct.any():
                probability[members] = k / len(members)
            else:
                probability[members] = self._process(request, members, k)[0].inclusion()
        return probability

    def _process(self, request: Request, members: Indices, k: int) -> tuple[FixedSize, Likelihood]:
        L = self._choice.likelihood(request.candidates, members, request.known, least=k)
        r = L.spectrum.rank
        ridge = self.ridge if self.ridge is not None else (RIDGE if k > r else 0.0)
        if k > r and ridge == 0.0:
            raise SelectionError(
                f"cannot draw {k} candidates from a k-DPP of rank {r} without a ridge; lower n to {r}, give a positive"
                " ridge, or a kernel of higher rank, such as rbf"
            )
        return FixedSize(L.spectrum, k, ridge=ridge * L.level), L


def _account(process: FixedSize, L: Likelihood, drawn: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a user must know about a draw: rank, ridge, and how much of it was plain random."""
    k, r = process.k, L.spectrum.rank
    recipe: dict[str, Any] = {
        "kernel": str(L.kernel),
        "rank": r,
        "ridge": process.ridge,
        "drawn_uniformly": k - drawn,
    }
    if L.precision is not None:
        recipe["precision"] = L.precision
    said = f"the kernel matrix of {L.n} new candidates has rank {r}"
    if process.ridge:
        mean = float(process.size_probability @ np.arange(len(process.size_probability)))
        said += (
            f"; with {process.ridge:.3g} added to its diagonal, {drawn} of the {k} were drawn from it"
            f" ({mean:.4g} on average) and the last {k - drawn} uniformly at random from the rest"
        )
    return recipe, (*L.notes, said)


@dataclass(frozen=True)
class DPP:
    """Draws a set of variable size. Parameters as for :class:`KDPP`; there is no ridge.

    Parameters
    ----------
    expected_size : float, optional
        L is multiplied by the factor that makes this the mean size; it must be below the rank of L. Without it, L
        is used as it is, and its scale decides.
    kernel, quality, precision, exact, rank
        As for :class:`KDPP`.

    Examples
    --------
    >>> import numpy as np
    >>> pool = Features.from_array(np.random.default_rng(0).normal(size=(50, 8)))
    >>> float(DPP(expected_size=5).inclusion(pool).sum().round(9))
    5.0
    """

    expected_size: float | None = None
    kernel: str = "linear"
    quality: ArrayLike | None = None
    precision: float | None = None
    exact: int = EXACT_LIMIT
    rank: int = NYSTROM_RANK

    def __post_init__(self) -> None:
        _ = self._choice
        if self.expected_size is not None and not 0 < self.expected_size < np.inf:
            raise SelectionError(f"the expected size must be positive and finite; got {self.expected_size}")

    @property
    def _choice(self) -> KernelChoice:
        return KernelChoice(self.kernel, self.quality, self.precision, 0.0, self.exact, self.rank)

    def select(self, candidates: Features, n: int, **_: Any) -> Selection:
        """Refused: the size of a DPP is random.

        Raises
        ------
        SelectionError
        """
        raise SelectionError(
            f"a DPP has a random size, and cannot be asked for exactly {n} candidates; a DPP of fixed size is"
            " the method kdpp, its likeliest set dpp-map, and DPP(expected_size=…).draw(…) draws a variable number"
        )

    def draw(
        self,
        candidates: Features,
        *,
        known: Features | None = None,
        rng: np.random.Generator,
        progress: Progress = silent,
    ) -> Selection:
        """Draw some of the new candidates; possibly none."""
        start = perf_counter()
        request = Request.check(candidates, 0, known=known)
        members = np.flatnonzero(request.distinct)
        process, L = self._process(request, members)
        index = members[process.draw(rng=rng, progress=progress)]
        mean, deviation = process.expected_size, process.size_deviation
        recipe = {
            "method": "dpp",
            **self._choice.recipe(),
            "kernel": str(L.kernel),
            "scale": process.scale,
            "expected_size": mean,
        }
        answer = request.answer(
            index,
            method="dpp",
            recipe=recipe,
            nested=False,
            timings={"draw": perf_counter() - start},
            references=_REFERENCES,
            notes=L.notes,
        )
        stop = f"a draw of variable size: {len(index)} chosen where {mean:.4g} ± {deviation:.2g} are expected"
        return replace(answer, stop=stop)

    def inclusion(self, candidates: Features, *, known: Features | None = None) -> NDArray[np.float64]:
        """Probability that each candidate is drawn, (candidates,); they add up to the expected size."""
        request = Request.check(candidates, 0, known=known)
        members = np.flatnonzero(request.distinct)
        probability = np.zeros(len(candidates))
        probability[members] = self._process(request, members)[0].inclusion()
        return probability

    def _process(self, request: Request, members: Indices) -> tuple[VariableSize, Likelihood]:
        least = 1 if self.expected_size is None else int(np.ceil(self.expected_size))
        L = self._choice.likelihood(request.candidates, members, request.known, least=least)
        if self.expected_size is None:
            return VariableSize(L.spectrum), L
        if self.expected_size >= L.spectrum.rank:
            raise SelectionError(
                f"a DPP whose kernel has rank {L.spectrum.rank} cannot have {self.expected_size:g} candidates on"
                " average; lower expected_size, or take a kernel of higher rank, such as rbf"
            )
        return VariableSize.rescaled(L.spectrum, self.expected_size), L


CATALOGUE = {
    "kdpp": Method(
        KDPP,
        "random and diverse: subsets drawn by the volume they span (k-DPP)",
        "4 N d² flops, then n² (d + n) log n whatever N (linear, cosine); 9 N³ for other kernels up to N = 10,000",
        "8 N d up to 1 GB + N d / 4 bytes; 16 N² for other kernels",
        ("doi:10.1561/2200000044", "arXiv:2603.22160"),
    ),
}
