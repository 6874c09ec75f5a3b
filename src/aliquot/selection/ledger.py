"""Who may be the next pick? The books of one greedy run: what was spent, which quotas are open, who is too near.

Everything that closes a candidate closes it for good: money only gets less, groups only fill, and distances to
the picks only shrink. See :mod:`aliquot.selection.constraints` for what is kept to, and why greedily.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Distance, gather
from aliquot.selection.constraints import Constraints
from aliquot.selection.cost import Cost
from aliquot.table import Features

__all__ = ["Ledger"]

_ROUNDING = 1e-12  # a budget may be overspent by the rounding of its sum, relatively

Mask = NDArray[np.bool_]
Vector = NDArray[np.float64]


class Ledger:
    """Books of one run.

    Parameters
    ----------
    candidates : Features
    n : int
        Picks to make, or at most with a budget.
    allowed : (candidates,) array of bool
        Who takes part at all.
    cost : Cost, optional
    per_cost : bool
        Whether gains are compared per cost.
    constraints : Constraints, optional
    known : Features, optional
        What picks must keep their distance from.

    Raises
    ------
    SelectionError
        If the quotas cannot be met.
    """

    def __init__(
        self,
        candidates: Features,
        n: int,
        *,
        allowed: Mask,
        cost: Cost | None = None,
        per_cost: bool = False,
        constraints: Constraints | None = None,
        known: Features | None = None,
    ) -> None:
        self.table, self.open, self.left = candidates, allowed.copy(), n
        self.price: Vector | None = cost.values if cost is not None and per_cost else None
        self.budget = None if cost is None else cost.budget
        self._cost = np.ones(len(candidates)) if cost is None else cost.values
        self._unit = "" if cost is None else cost.in_units()
        self.spent = 0.0
        limits = Constraints() if constraints is None else constraints
        self._names: NDArray[np.str_] | None = None
        if limits.labels is not None and (limits.at_least or limits.at_most):
            self._names, self._group, self._need, most = limits.quotas()
            members = np.bincount(self._group[allowed], minlength=len(self._names))
            self._room = np.where(most < 0, members, np.minimum(most, members))
            self._check_quotas(members)
        self.apart = limits.apart
        self._near = Distance(candidates.n_features) if limits.apart else None
        if self._near is not None and known is not None:
            for some, _ in known.tiles():
                self._near.absorb(gather(known, some))
        self._close()

    def admits(self, pick: int) -> bool:
        """Whether an open candidate is far enough from known structures and picks; if not, it is closed."""
        if self._near is not None and self._near.gain(gather(self.table, np.array([pick])))[0] < self.apart:
            self.open[pick] = False
            return False
        return True

    def enter(self, pick: int) -> None:
        """Book a pick."""
        self.open[pick] = False
        self.left -= 1
        self.spent += float(self._cost[pick])
        if self._near is not None:
            self._near.absorb(gather(self.table, np.array([pick])))
        if self._names is not None:
            group = self._group[pick]
            self._room[group] -= 1
            self._need[group] = max(0, self._need[group] - 1)
        self._close()

    def check_complete(self, n: int) -> None:
        """Refuse an answer that falls short of what was asked.

        Raises
        ------
        SelectionError
        """
        if self._names is not None and self._need.any():
            g = int(np.flatnonzero(self._need)[0])
            far = f" that are at least {self.apart:g} apart" if self.apart else ""
            raise SelectionError(
                f"group {str(self._names[g])!r} is {int(self._need[g])} picks short of its least number: no more"
                f" of its candidates can be chosen{far}; lower that number or relax what closes them"
            )
        if self.budget is None and self.left:
            why = (
                f"no other candidate is at least {self.apart:g} from all picks and known structures"
                if self.apart
                else "every group is full"
            )
            raise SelectionError(
                f"cannot select {n} candidates: after {n - self.left} {why}; lower n or relax the constraint"
            )

    # --- who is open ------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Close whoever would make the quotas or the budget impossible."""
        limit = np.inf if self.budget is None else self.budget * (1 + _ROUNDING) - self.spent
        if self._names is None:
            self.open &= (self.left > 0) & (self._cost <= limit)
            return
        fits = (self._room > 0) & ((self._need > 0) | (self.left > self._need.sum()))
        self.open &= fits[self._group]
        if self.budget is not None:
            self.open &= self._cost <= self._affordable(limit)[self._group]

    def _affordable(self, limit: float) -> Vector:
        """The most that a pick of each group may cost, so that the cheapest way to meet all quotas stays payable."""
        whole, but_one = np.zeros(len(self._need)), np.zeros(len(self._need))
        for g in np.flatnonzero(self._need):
            cheapest = np.sort(self._cost[self.open & (self._group == g)])[: self._need[g]]
            whole[g], but_one[g] = cheapest.sum(), cheapest[: self._need[g] - 1].sum()
        return limit - (whole.sum() - whole) - but_one

    def _check_quotas(self, members: NDArray[np.int64]) -> None:
        assert self._names is not None
        for name, need, has in zip(self._names.tolist(), self._need.tolist(), members.tolist(), strict=True):
            if need > has:
                raise SelectionError(
                    f"at least {need} of group {name!r} are wanted, but only {has} of its candidates can take"
                    " part; lower that number"
                )
        if self._need.sum() > self.left:
            raise SelectionError(
                f"the least numbers of the groups add up to {int(self._need.sum())}, more than the {self.left}"
                " to select; raise n or lower them"
            )
        if self.budget is None and self._room.sum() < self.left:
            raise SelectionError(
                f"cannot select {self.left} candidates: with the most per group only {int(self._room.sum())} of"
                f" {int(members.sum())} can be chosen; lower n or raise the limits"
            )
        if self.budget is not None:
            least = sum(
                float(np.sort(self._cost[self.open & (self._group == g)])[: self._need[g]].sum())
                for g in np.flatnonzero(self._need)
            )
            if least > self.budget * (1 + _ROUNDING):
                raise SelectionError(
                    f"the least numbers of the groups cost at least {least:g}{self._unit}, more than the budget"
                    f" of {self.budget:g}; raise it or lower them"
                )
