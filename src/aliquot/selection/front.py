"""The front of a greedy run: the most promising candidates, their rows kept in memory as they are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.information.blocks import Part
from aliquot.table import Features

__all__ = ["Front"]

_BYTES = 64 << 20
_LEAST, _MOST = 256, 1 << 16


class Front:
    """Rows of candidates of one row each, in a buffer of fixed size.

    Parameters
    ----------
    table : Features
        The pool; may be a memory map.
    """

    def __init__(self, table: Features) -> None:
        self.table = table
        per_row = table.rows.dtype.itemsize * max(1, table.n_features)
        self.capacity = min(len(table), max(_LEAST, min(_MOST, _BYTES // per_row)))
        self._x = np.empty((self.capacity, table.n_features), table.rows.dtype)
        self._holder = np.full(
            self.capacity, -1, np.int64
        )  # which candidate each row of the buffer is; -1 free
        self._place = np.full(len(table), -1, np.int32)  # which row of the buffer a candidate is; -1 outside

    def holds(self, some: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these candidates are in the front."""
        return self._place[some] >= 0

    def find(self, some: NDArray[np.int64]) -> Part | None:
        """These candidates, or None where one of them is not in the front."""
        place = self._place[some].astype(np.int64)
        if np.any(place < 0):
            return None
        offsets = np.arange(len(some) + 1)
        return Part(self._x, place, self.table.kind[some], self.table.weight[some], self.table.prior, offsets)

    def least(self, bound: NDArray[np.float64]) -> float:
        """The bound that a newcomer should exceed: that of the middle of the front, where it is more than half full."""
        members = self._holder[self._holder >= 0]
        half = self.capacity // 2
        if len(members) <= half or half == 0:
            return -np.inf
        return -float(np.partition(-bound[members], half - 1)[half - 1])

    def admit(
        self, newcomers: NDArray[np.int64], bound: NDArray[np.float64], rows: NDArray[Any] | None = None
    ) -> int:
        """Take in newcomers; where there is no room, keep as many as fill half of it, by their bounds.

        ``rows`` are theirs, as they are stored, or are read where they are not given. Returns the number of rows read.
        """
        fresh = np.flatnonzero(self._place[newcomers] < 0)
        if len(fresh) > np.count_nonzero(self._holder < 0):
            self._make_room(newcomers[fresh], bound)
            fresh = fresh[np.argsort(-bound[newcomers[fresh]], kind="stable")]
            fresh = fresh[: max(1, self.capacity // 2) - np.count_nonzero(self._holder >= 0)]
        if len(fresh):
            fresh = fresh[np.argsort(newcomers[fresh])]  # read in the order in which they are stored
            chosen = newcomers[fresh]
            places = np.flatnonzero(self._holder < 0)[: len(chosen)]
            self._x[places] = self.table.rows[chosen] if rows is None else rows[fresh]
            self._holder[places] = chosen
            self._place[chosen] = places
        return 0 if rows is not None else len(fresh)

    def _make_room(self, newcomers: NDArray[np.int64], bound: NDArray[np.float64]) -> None:
        """Evict what is not among the best of old and new, so that these fill half of the room."""
        everyone = np.concatenate((self._holder[self._holder >= 0], newcomers))
        keep = max(1, self.capacity // 2)
        if len(everyone) > keep:
            places = self._place[everyone[np.argpartition(-bound[everyone], keep - 1)[keep:]]]
            evicted = places[places >= 0]
            self._place[self._holder[evicted]] = -1
            self._holder[evicted] = -1
