r"""What candidates cost, and how a budget in that unit is spent.

With costs :math:`c_i > 0`, a greedy method takes the candidate of the largest gain *per cost*,
:math:`\arg\max_i g_i / c_i`. An upper bound of a gain stays one when both are divided by the same cost, so the
engine stays exact.

A budget B admits every set with :math:`\sum_{i \in S} c_i \le B`. Gain per cost alone can be arbitrarily bad: a
cheap trifle is taken, and what would have taught all no longer fits. So the budget is spent twice, by gain per
cost and by plain gain, and the better of the two is the answer; candidates that no longer fit are passed over.
Plain greedy begins with the best single candidate that fits, so that the answer is also at least as good as
that. For a monotone submodular objective F (``entropy``, and no other score) it follows that

.. math:: F(S) \ge \tfrac12 (1 - 1/e)\, F(S^*), \qquad S^* \text{ the best set within the budget:}

the picks by gain per cost, together with the first candidate on which they differ for want of money from what
they would have been, reach :math:`(1 - 1/e) F(S^*)`; that candidate alone is worth at most the best single.

References
----------
S. Khuller, A. Moss and J. Naor, Inf. Process. Lett. 70, 39 (1999), doi:10.1016/S0020-0190(99)00031-9
J. Leskovec, A. Krause, C. Guestrin, C. Faloutsos, J. VanBriesen and N. Glance, KDD '07, 420 (2007),
doi:10.1145/1281192.1281239
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.table import Features

__all__ = ["BUDGET_REFERENCES", "GUARANTEE", "Cost", "knapsack", "most"]

#: Share of the optimum that the better of two greedy runs reaches within a budget, for ``entropy``.
GUARANTEE: Final = 0.5 * (1.0 - 1.0 / math.e)

BUDGET_REFERENCES: Final = (
    "S. Khuller, A. Moss and J. Naor, Inf. Process. Lett. 70, 39 (1999), doi:10.1016/S0020-0190(99)00031-9",
    "J. Leskovec et al., KDD '07, 420 (2007), doi:10.1145/1281192.1281239",
)

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cost:
    """What each candidate costs, and perhaps how much may be spent.

    Parameters
    ----------
    values : (candidates,) array
        Positive and finite, in any unit.
    budget : float, optional
        The most that all picks together may cost; the number asked for is then only an upper limit.
    unit : str
        What the costs are measured in, for messages and records: ``"atoms^3"``.

    Examples
    --------
    >>> pool = Features.from_array(np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
    >>> from aliquot.selection import select
    >>> chosen = select(pool, cost=Cost(np.array([5.0, 1.0, 2.0]), budget=3.0))
    >>> chosen.index.tolist(), chosen.spent
    ([1, 2], 3.0)
    """

    values: Vector
    budget: float | None = None
    unit: str = ""

    @classmethod
    def of(cls, cost: Any, candidates: Features) -> Cost | None:
        """A cost as given, checked against the pool; a plain array is one without a budget.

        Raises
        ------
        SelectionError
        """
        if cost is None:
            return None
        given = cost if isinstance(cost, Cost) else cls(cost)
        values = np.asarray(given.values, np.float64)
        if values.shape != (len(candidates),):
            raise SelectionError(
                f"costs have shape {values.shape} for {len(candidates)} candidates; give one number each"
            )
        bad: list[int] = np.flatnonzero(~(np.isfinite(values) & (values > 0))).tolist()
        if bad:
            raise SelectionError(
                f"the cost of candidate {candidates.ids.name(bad[0])} is {values[bad[0]]:g}"
                f"{given.in_units()}; costs are positive and finite"
            )
        if given.budget is not None and not (math.isfinite(given.budget) and given.budget > 0):
            raise SelectionError(f"the budget must be positive and finite; got {given.budget:g}")
        return cls(values, given.budget, given.unit)

    def in_units(self) -> str:
        """The unit after a number, with the space before it."""
        return f" {self.unit}" if self.unit else ""

    def check_affordable(self, allowed: NDArray[np.bool_]) -> None:
        """Refuse a budget in which no candidate fits.

        Raises
        ------
        SelectionError
        """
        if self.budget is None or not allowed.any():
            return
        cheapest = float(self.values[allowed].min())
        if cheapest > self.budget:
            raise SelectionError(
                f"a budget of {self.budget:g}{self.in_units()} buys none of {int(allowed.sum())} candidates;"
                f" the cheapest costs {cheapest:g}"
            )


def knapsack(values: Vector, cost: Vector, budget: float) -> float:
    """The most value within a budget when candidates may be cut: an upper bound for whole ones.

    Examples
    --------
    >>> knapsack(np.array([6.0, 4.0]), np.array([2.0, 4.0]), 4.0)
    8.0
    """
    order = np.argsort(-values / cost, kind="stable")
    before = np.concatenate(([0.0], np.cumsum(cost[order])[:-1]))
    share = np.clip((budget - before) / cost[order], 0.0, 1.0)
    return float(share @ values[order])


def most(values: Vector, n: int, cost: Cost | None, *, among: NDArray[Any] | None = None) -> float:
    """The largest sum of ``n`` values; with a budget, of as many as it buys when candidates may be cut.

    Parameters
    ----------
    values : (candidates,) array
        Not negative.
    n : int
    cost : Cost or None
    among : (…,) array of int or (candidates,) array of bool, optional
        Who counts, where ``cost`` is of more candidates than that; ``values`` are then theirs alone.

    Examples
    --------
    >>> most(np.array([1.0, 5.0, 2.0]), 2, None)
    7.0
    """
    if cost is None or cost.budget is None:
        return float(np.sort(values)[::-1][:n].sum())
    price = cost.values if among is None else cost.values[among]
    within = price <= cost.budget
    return knapsack(values[within], price[within], cost.budget)
