r"""What evaluating a set of functions costs when they share work.

Function j needs resources :math:`U_j` (products, atomic base functions, radial functions …), each paid once however
many functions use it, and work :math:`e_j` of its own:

.. math:: C(S) = \sum_{j \in S} e_j + \sum_{p \in \cup_{j \in S} U_j} \pi_p .
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (SciPy brings no types)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from aliquot.errors import InputError

__all__ = ["SharedCost"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class SharedCost:
    """A cost model of shared resources; satisfies :class:`aliquot.solvers.CostModel`.

    Parameters
    ----------
    uses : sequence of sequences of int
        Resources that each function needs, by number from 0.
    price : (resources,) array
        Cost of each resource, not negative.
    own : float or (d,) array
        Cost of each function itself, positive.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    Two functions share resource 0: the second is cheap once the first is there.

    >>> cost = SharedCost([[0], [0, 1], [2]], price=[5.0, 1.0, 3.0], own=1.0)
    >>> cost.marginal(np.array([], int)).tolist(), cost.marginal(np.array([0])).tolist()
    ([6.0, 7.0, 4.0], [6.0, 2.0, 4.0])
    >>> cost.total(np.array([0, 1]))
    8.0
    """

    def __init__(self, uses: Sequence[Sequence[int]], price: ArrayLike, own: ArrayLike = 1.0) -> None:
        d = len(uses)
        self.price = np.array(price, np.float64)
        self.own = np.broadcast_to(np.array(own, np.float64), d).copy()
        columns = np.array([p for one in uses for p in dict.fromkeys(one)], np.int64)
        rows = np.repeat(np.arange(d), [len(dict.fromkeys(one)) for one in uses])
        if columns.size and not (columns.min() >= 0 and columns.max() < len(self.price)):
            raise InputError(
                f"resources are numbered 0 to {len(self.price) - 1}; a function uses {columns.max()}"
            )
        if not (np.all(self.own > 0) and np.all(self.price >= 0) and np.all(np.isfinite(self.price))):
            raise InputError(
                "prices of resources must not be negative, and functions must cost something themselves"
            )
        shape = (d, len(self.price))
        self._uses: Any = scipy.sparse.csr_array((np.ones(len(columns)), (rows, columns)), shape=shape)

    def _users(self, support: Index) -> Array:
        chosen = np.zeros(len(self.own))
        chosen[support] = 1.0
        return self._uses.T @ chosen

    def total(self, support: Index) -> float:
        """Cost of evaluating the functions of ``support``."""
        return float(self.own[support].sum() + self.price[self._users(support) > 0].sum())

    def marginal(self, support: Index) -> Array:
        """What each function would add to ``support``; of members, what leaving them out would save. (d,)."""
        users = self._users(support)
        out: Array = self.own + self._uses @ (self.price * (users == 0))
        alone: Array = self._uses @ (self.price * (users == 1))
        out[support] = self.own[support] + alone[support]
        return out
