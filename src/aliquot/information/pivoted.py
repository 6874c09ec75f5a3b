r"""Which few candidates span a kernel? Cholesky factorisation with pivots, one column of the kernel at a time.

Each pivot is the candidate of largest conditional variance given those before it,

.. math:: h_i = L_{ii} + \varepsilon - L_{iS} (L_{SS} + \varepsilon I)^{-1} L_{Si},

so that the pivots are greedy maximisers of :math:`\log\det(L_{SS} + \varepsilon I)`, which grows by
:math:`\log h`. The factor C of shape (n, N) is Nyström's approximation with the pivots as landmarks,
:math:`L \approx C^\top C = L_{:S} L_{SS}^{-1} L_{S:}` (at ε = 0). N n (n + price of an entry) flops, 8 N n bytes.

References
----------
L. Chen, G. Zhang and H. Zhou, Adv. Neural Inf. Process. Syst. 31 (2018), arXiv:1709.05135
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliquot.progress import Progress, silent

__all__ = ["Conditional", "Pivots", "pivoted_cholesky"]

Vector = NDArray[np.float64]

_TIE = 1e-9  # relative; such conditional variances are equal
_ROUNDING = 64 * float(np.finfo(np.float64).eps)  # of the largest variance; so are such differences


@dataclass(frozen=True, eq=False)
class Pivots:
    """What the factorisation found.

    Parameters
    ----------
    index : (n,) array of int
        Pivots in order; fewer than asked for where the rank is smaller (and ε = 0).
    variance : (n,) array
        Conditional variance of each when it was chosen.
    rest : (candidates,) array
        Conditional variances at the end, -inf for pivots.
    factor : (n, candidates) array
        C.
    """

    index: NDArray[np.int64]
    variance: Vector
    rest: Vector
    factor: NDArray[np.float64]


def pivoted_cholesky(
    diagonal: Vector,
    column: Callable[[int], Vector],
    n: int,
    *,
    order: NDArray[np.int64],
    ridge: float = 0.0,
    progress: Progress = silent,
    stage: str = "select",
) -> Pivots:
    """Choose ``n`` pivots.

    Parameters
    ----------
    diagonal : (candidates,) array
        Of L.
    column : callable
        Column j of L, (candidates,).
    n : int
    order : (candidates,) array of int
        Among equals the smallest is chosen.
    ridge : float
        ε.
    progress, stage
        Reported once a pivot.

    Examples
    --------
    >>> L = np.array([[4.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
    >>> pivots = pivoted_cholesky(np.diag(L), lambda j: L[j], 3, order=np.arange(3))
    >>> pivots.index.tolist(), pivots.variance.tolist()
    ([0, 2, 1], [4.0, 3.0, 1.0])
    """
    state = Conditional(diagonal, column, n, order=order, ridge=ridge)
    index, variance = np.empty(n, np.int64), np.empty(n)
    for t in range(n):
        j = state.best()
        if j is None:
            return Pivots(index[:t], variance[:t], state.h, state.factor)
        index[t], variance[t] = j, state.absorb(j)
        progress(stage, t + 1, n)
    return Pivots(index, variance, state.h, state.factor)


class Conditional:
    """The factorisation under way: conditional variances, and whose is largest.

    Parameters
    ----------
    diagonal, column, order, ridge
        As for :func:`pivoted_cholesky`.
    room : int
        Pivots for which there is room at once; more is made when it is needed.

    Attributes
    ----------
    h : (candidates,) array
        Conditional variances, -inf for pivots.
    rounding : float
        Size of their errors.
    """

    def __init__(
        self,
        diagonal: Vector,
        column: Callable[[int], Vector],
        room: int,
        *,
        order: NDArray[np.int64],
        ridge: float = 0.0,
    ) -> None:
        self.h: Vector = diagonal + ridge
        self.rounding = _ROUNDING * float(self.h.max(initial=0.0))
        self._column, self._order, self._ridge = column, order, ridge
        self._pivots: list[int] = []
        self._factor: NDArray[np.float64] = np.empty((room, len(self.h)))

    @property
    def factor(self) -> NDArray[np.float64]:
        """C so far, (pivots, candidates)."""
        return self._factor[: len(self._pivots)]

    def best(self, among: NDArray[np.bool_] | None = None) -> int | None:
        """The next pivot, among some; None where no variance is left."""
        h = self.h if among is None else np.where(among, self.h, -np.inf)
        top = float(h.max(initial=-np.inf))
        if top <= (0.0 if self._ridge else 2.0 * self.rounding):
            return None
        return self.first(np.flatnonzero(h >= top * (1.0 - _TIE) - self.rounding))

    def first(self, tied: NDArray[np.int64]) -> int:
        """Among equals the one of the smallest order."""
        return int(tied[np.argmin(self._order[tied])])

    def absorb(self, j: int) -> float:
        """Make j a pivot; return the variance that it had."""
        t, variance = len(self._pivots), float(self.h[j])
        if t == len(self._factor):
            self._factor = np.vstack((self._factor, np.empty((t + 1, len(self.h)))))
        c = self._column(j) - self._factor[:t, j] @ self._factor[:t]
        c[j] += self._ridge
        c /= np.sqrt(variance)
        self._factor[t] = c
        self._pivots.append(j)
        self.h = np.maximum(self.h - np.square(c), self._ridge)
        self.h[self._pivots] = -np.inf
        return variance
