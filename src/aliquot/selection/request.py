"""What was asked, checked before any work: every method refuses the same impossible problems in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.selection.constraints import Constraints, distinct_at
from aliquot.selection.cost import Cost
from aliquot.selection.ledger import Ledger
from aliquot.selection.record import Selection
from aliquot.table import Features, Ids

__all__ = ["Request"]

_LARGEST = 1e140  # scaled, weighted entries beyond this overflow when squared and summed


@dataclass(frozen=True, eq=False)
class Request:
    """A problem that can be solved.

    Parameters
    ----------
    candidates, n, known
        As asked; an empty known set is None.
    distinct : (candidates,) array of bool
        Candidates that are neither in the known set nor a repetition of an earlier candidate, by content hash.
        They are chosen before any other: labelling the same structure twice teaches nothing.
        With a budget or constraints, no other is chosen at all.
    notes : tuple of str
        What a user should know about this pool.
    cost, constraints, executor
        Where the method heeds them.
    """

    candidates: Features
    n: int
    known: Features | None
    distinct: NDArray[np.bool_]
    notes: tuple[str, ...]
    cost: Cost | None = None
    constraints: Constraints | None = None
    executor: Executor | None = None

    @classmethod
    def check(
        cls,
        candidates: Features,
        n: int,
        *,
        known: Features | None,
        cost: Any = None,
        groups: Any = None,
        heeds: bool = False,
        executor: Executor | None = None,
    ) -> Request:
        """Refuse what cannot be done, with numbers.

        Parameters
        ----------
        candidates, n, known, cost, groups
            As asked of a selector.
        heeds : bool
            Whether the method heeds costs and constraints; it then chooses with :meth:`ledger`.
        executor : Executor, optional
            For methods that can share their work.

        Raises
        ------
        SelectionError
        """
        if not heeds and (cost is not None or groups is not None):
            asked = " and ".join(k for k, v in (("cost", cost), ("groups", groups)) if v is not None)
            raise SelectionError(f"{asked} given, but this method cannot heed it; leave it out")
        if known is not None and len(known) == 0:
            known = None
        _check_number(candidates, n)
        if known is not None:
            _check_compatible(candidates, known)
        notes = () if len(candidates) == 0 else _check_rows(candidates, "candidate")
        if known is not None:
            _check_rows(known, "known structure")
        price, limits = Cost.of(cost, candidates), Constraints.of(groups, candidates)
        strict = limits is not None or (price is not None and price.budget is not None)
        distinct, remarks = _distinct(candidates, known)
        if limits is not None:
            distinct, more = _allowed(limits, candidates, distinct, known)
            remarks = (*remarks, *more)
        if strict:
            n = _at_most(n, distinct, price)
        elif n > distinct.sum():
            remarks = (*remarks, _repeated(n, int(distinct.sum())))
        return cls(candidates, n, known, distinct, (*notes, *remarks), price, limits, executor)

    @property
    def budget(self) -> float | None:
        """What may be spent, where that decides how many are chosen."""
        return None if self.cost is None else self.cost.budget

    @property
    def strategies(self) -> tuple[str, ...]:
        """How gains are compared, in the runs of which the best is the answer."""
        if self.cost is None:
            return ("plain",)
        return ("per cost",) if self.cost.budget is None else ("per cost", "plain")

    @property
    def binding(self) -> bool:
        """Whether costs or constraints make some sets of new candidates impossible choices."""
        return self.cost is not None or (self.constraints is not None and self.constraints.binding)

    @property
    def nested(self) -> bool:
        """Whether greedy picks of a smaller number would be the first of these."""
        quotas = self.constraints is not None and bool(self.constraints.at_least)
        return self.budget is None and not quotas

    def ledger(self, strategy: str, mask: NDArray[np.bool_]) -> Ledger | None:
        """New books for a run among the candidates of ``mask``; None where nothing is to be kept."""
        if not self.binding:
            return None
        return Ledger(
            self.candidates,
            self.n,
            allowed=mask,
            cost=self.cost,
            per_cost=strategy == "per cost",
            constraints=self.constraints,
            known=self.known,
        )

    def phases(self) -> list[tuple[int, NDArray[np.bool_]]]:
        """How many to choose from which candidates: the distinct ones first, then the others if need be."""
        first = min(self.n, int(self.distinct.sum()))
        return [(k, mask) for k, mask in ((first, self.distinct), (self.n - first, ~self.distinct)) if k]

    def answer(
        self,
        index: NDArray[np.int64],
        *,
        recipe: Mapping[str, Any],
        notes: tuple[str, ...] = (),
        **fields: Any,
    ) -> Selection:
        """The record of a choice, with everything that the problem itself determines filled in."""
        pool, known = self.candidates, self.known
        more: dict[str, Any] = {"features": dict(pool.recipe), "n": self.n if self.budget is None else None}
        if self.constraints is not None:
            more["constraints"] = self.constraints.words()
        price = self.cost
        return Selection(
            index=index,
            ids=pool.ids[index],
            recipe={**recipe, **more},
            stop=self._stop(index),
            cost=None if price is None else price.values[index],
            cost_unit="" if price is None else price.unit,
            budget=self.budget,
            pool_size=len(pool),
            known_size=0 if known is None else len(known),
            pool_hash=pool.ids.digest(),
            known_hash="" if known is None else known.ids.digest(),
            notes=(*self.notes, *notes),
            **fields,
        )

    def _stop(self, index: NDArray[np.int64]) -> str:
        """Why there are no more picks."""
        if self.cost is None or self.budget is None:
            return f"{len(index)} of {len(self.candidates)} candidates chosen, as asked"
        spent, unit = float(self.cost.values[index].sum()), self.cost.in_units()
        left = self.distinct.copy()
        left[index] = False
        said = (
            f"{len(index)} of {len(self.candidates)} candidates chosen for {spent:.6g} of a budget of"
            f" {self.budget:g}{unit}"
        )
        if len(index) == self.n:
            return said
        cheapest = float(self.cost.values[left].min())
        if spent + cheapest > self.budget:
            return f"{said}; the cheapest other costs {cheapest:g}"
        why = "" if self.constraints is None else " or is closed by the constraints"
        return f"{said}; what else it could buy teaches nothing{why}"


def _check_number(candidates: Features, n: int) -> None:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SelectionError(f"the number of candidates to select must be an integer; got {n!r}")
    if n < 0:
        raise SelectionError(f"cannot select {n} candidates; n must be 0 or more")
    if n > len(candidates):
        files = ", ".join(candidates.ids.files[:3]) or "an empty pool"
        raise SelectionError(f"cannot select {n} of {len(candidates)} candidates in {files}; lower n")


def _check_compatible(candidates: Features, known: Features) -> None:
    if candidates.n_features != known.n_features:
        raise SelectionError(
            f"candidates have {candidates.n_features} features and known structures {known.n_features};"
            " make both tables with the same recipe, in one call of featurize"
        )
    if not np.array_equal(candidates.prior, known.prior):
        k = int(np.flatnonzero(candidates.prior != known.prior)[0])
        raise SelectionError(
            f"the smoothness prior of feature {candidates.names[k]} is {candidates.prior[k]:g} for candidates and"
            f" {known.prior[k]:g} for known structures; make both tables with the same recipe"
        )


def _check_rows(table: Features, what: str) -> tuple[str, ...]:
    """Refuse empty blocks, bad weights and rows that are not finite; note features that say nothing."""
    if table.n_features == 0:
        raise SelectionError(f"the rows of each {what} have no features; there is nothing to choose by")
    empty = np.flatnonzero(np.diff(table.offsets) == 0)
    if len(empty):
        raise SelectionError(f"{what} {table.ids.name(int(empty[0]))} has no rows; remove it")
    bad: list[int] = np.flatnonzero(~(np.isfinite(table.weight) & (table.weight > 0))).tolist()
    if bad:
        owner = int(np.searchsorted(table.offsets, bad[0], side="right")) - 1
        raise SelectionError(
            f"a row of {what} {table.ids.name(owner)} has weight {table.weight[bad[0]]}; weights are inverse"
            " noise, positive and finite"
        )
    low, high = np.full(table.n_features, np.inf), np.full(table.n_features, -np.inf)
    limit = _LARGEST * table.prior / table.weight.max()
    for _, rows in table.tiles():
        tile = table.rows[rows]
        low, high = np.minimum(low, tile.min(axis=0)), np.maximum(high, tile.max(axis=0))
        if not np.all(np.maximum(-low, high) <= limit):
            raise _bad_entry(table, rows.start, tile, limit, what)
    return _flat_features(table, low, high)


def _bad_entry(
    table: Features, first: int, tile: NDArray[Any], limit: NDArray[np.float64], what: str
) -> SelectionError:
    """Name the first entry of a tile that cannot be used."""
    row, column = np.argwhere(~(np.abs(tile) <= limit)).tolist()[0]
    owner = int(np.searchsorted(table.offsets, first + row, side="right")) - 1
    value = tile[row, column]
    problem = "too large to be squared" if np.isfinite(value) else "not finite"
    return SelectionError(
        f"feature {table.names[column]} of {what} {table.ids.name(owner)} is {value}, {problem}; remove that"
        " structure or look at what made its features"
    )


def _flat_features(table: Features, low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[str, ...]:
    flat: list[int] = np.flatnonzero(low == high).tolist()
    if len(flat) == 0 or len(table.rows) == 1:
        return ()
    names = ", ".join(table.names[k] for k in flat[:5]) + (", …" if len(flat) > 5 else "")
    return (
        f"{len(flat)} of {table.n_features} features have the same value in every row of the pool ({names});"
        " they tell no candidates apart",
    )


def _distinct(candidates: Features, known: Features | None) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which candidates are new, and what to say about those that are not."""
    hashes = candidates.ids.hash
    first = np.zeros(len(candidates), bool)
    first[np.unique(hashes, return_index=True)[1]] = True
    already = np.zeros(len(candidates), bool) if known is None else np.isin(hashes, known.ids.hash)
    distinct = first & ~already
    notes: list[str] = []
    if already.any():
        notes.append(_passed_over(already, candidates.ids, "already among the known structures"))
    if (repeated := ~first & ~already).any():
        notes.append(_passed_over(repeated, candidates.ids, "an exact repetition of another candidate"))
    return distinct, tuple(notes)


def _repeated(n: int, new: int) -> str:
    return f"only {new} candidates are new, so {n - new} of the {n} chosen repeat a structure; they come last"


def _allowed(
    limits: Constraints, candidates: Features, distinct: NDArray[np.bool_], known: Features | None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which of the new candidates take part, and how many do not for which reason."""
    notes: list[str] = []
    if limits.exclude is not None:
        notes.append(f"{int(limits.exclude.sum())} candidates were excluded by request")
        distinct = distinct & ~limits.exclude
    if limits.tolerance:
        before = int(distinct.sum())
        distinct, near_known = distinct_at(limits.tolerance, candidates, distinct, known)
        notes.append(
            f"{before - int(distinct.sum())} of {before} candidates were left out as near duplicates, closer than"
            f" {limits.tolerance:.4g} in feature space: {near_known} to known structures, the others to a candidate"
            " that is kept"
        )
    return distinct, tuple(notes)


def _at_most(n: int, distinct: NDArray[np.bool_], cost: Cost | None) -> int:
    """How many can be chosen at most where repetitions are not."""
    available = int(distinct.sum())
    if cost is not None and cost.budget is not None:
        cost.check_affordable(distinct)
        return min(n, available)
    if n > available:
        raise SelectionError(
            f"cannot select {n} of {len(distinct)} candidates: {available} are left after repetitions, known"
            " structures and exclusions; lower n or relax what excludes them"
        )
    return n


def _passed_over(mask: NDArray[np.bool_], ids: Ids, why: str) -> str:
    which: list[int] = np.flatnonzero(mask).tolist()
    names = ", ".join(ids.name(i) for i in which[:3]) + (", …" if len(which) > 3 else "")
    return f"{len(which)} candidates are {why} ({names}): chosen only after all new ones"
