"""What was asked, checked before any work: every method refuses the same impossible problems in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
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
    notes : tuple of str
        What a user should know about this pool.
    """

    candidates: Features
    n: int
    known: Features | None
    distinct: NDArray[np.bool_]
    notes: tuple[str, ...]

    @classmethod
    def check(
        cls, candidates: Features, n: int, *, known: Features | None, cost: Any = None, groups: Any = None
    ) -> Request:
        """Refuse what cannot be done, with numbers.

        Raises
        ------
        SelectionError
        """
        if cost is not None or groups is not None:
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
        distinct, remarks = _distinct(candidates, n, known)
        return cls(candidates, n, known, distinct, (*notes, *remarks))

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
        more = {"features": dict(pool.recipe), "n": self.n}
        return Selection(
            index=index,
            ids=pool.ids[index],
            recipe={**recipe, **more},
            stop=f"{len(index)} of {len(pool)} candidates chosen, as asked",
            pool_size=len(pool),
            known_size=0 if known is None else len(known),
            pool_hash=pool.ids.digest(),
            known_hash="" if known is None else known.ids.digest(),
            notes=(*self.notes, *notes),
            **fields,
        )


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


def _distinct(
    candidates: Features, n: int, known: Features | None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
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
    if n > distinct.sum():
        notes.append(
            f"only {int(distinct.sum())} candidates are new, so {n - int(distinct.sum())} of the {n} chosen"
            " repeat a structure; they come last"
        )
    return distinct, tuple(notes)


def _passed_over(mask: NDArray[np.bool_], ids: Ids, why: str) -> str:
    which: list[int] = np.flatnonzero(mask).tolist()
    names = ", ".join(ids.name(i) for i in which[:3]) + (", …" if len(which) > 3 else "")
    return f"{len(which)} candidates are {why} ({names}): chosen only after all new ones"
