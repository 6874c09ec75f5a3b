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

__all__ = ["Pivots", "pivoted_cholesky"]

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
    h = diagonal + ridge
    rounding = _ROUNDING * float(h.max(initial=0.0))
    index, variance = np.empty(n, np.int64), np.empty(n)
    factor = np.empty((n, len(h)))
    for t in range(n):
        top = float(h.max())
        if top <= (0.0 if ridge else 2.0 * rounding):
            return Pivots(index[:t], variance[:t], h, factor[:t])
        tied = np.flatnonzero(h >= top * (1.0 - _TIE) - rounding)
        j = int(tied[np.argmin(order[tied])])
        index[t], variance[t] = j, h[j]
        c = column(j) - factor[:t, j] @ factor[:t]
        c[j] += ridge
        c /= np.sqrt(h[j])
        factor[t] = c
        h = np.maximum(h - np.square(c), ridge)
        h[index[: t + 1]] = -np.inf
        progress(stage, t + 1, n)
    return Pivots(index, variance, h, factor)
