"""The front of a greedy run: the most promising candidates, their rows kept in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliquot.information import Blocks, gather
from aliquot.table import Features

__all__ = ["Front"]

_BYTES = 64 << 20
_LEAST, _MOST = 256, 1 << 16


class Front:
    """Scaled rows of candidates of one row each, in a buffer of fixed size.

    Parameters
    ----------
    table : Features
        The pool; may be a memory map.
    """

    def __init__(self, table: Features) -> None:
        self.table = table
        per_row = 8 * max(1, table.n_features)
        self.capacity = min(len(table), max(_LEAST, min(_MOST, _BYTES // per_row)))
        self._x = np.empty((self.capacity, table.n_features))
        self._holder = np.full(
            self.capacity, -1, np.int64
        )  # which candidate each row of the buffer is; -1 free
        self._place = np.full(len(table), -1, np.int32)  # which row of the buffer a candidate is; -1 outside

    def holds(self, some: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these candidates are in the front."""
        return self._place[some] >= 0

    def find(self, some: NDArray[np.int64]) -> Blocks | None:
        """Rows of these candidates, or None where one of them is not in the front."""
        place = self._place[some]
        if np.any(place < 0):
            return None
        n = len(some)
        return Blocks(self._x[place], self.table.weight[some], self.table.kind[some], np.arange(n + 1))

    def admit(self, newcomers: NDArray[np.int64], bound: NDArray[np.float64]) -> int:
        """Take in newcomers; where there is no room, keep as many as fill half of it, by their bounds.

        Returns the number of rows read.
        """
        newcomers = newcomers[self._place[newcomers] < 0]
        if len(newcomers) > np.count_nonzero(self._holder < 0):
            newcomers = self._make_room(newcomers, bound)
        if len(newcomers):
            newcomers = np.sort(newcomers)  # read in the order in which they are stored
            places = np.flatnonzero(self._holder < 0)[: len(newcomers)]
            self._x[places] = gather(self.table, newcomers).x
            self._holder[places] = newcomers
            self._place[newcomers] = places
        return len(newcomers)

    def _make_room(self, newcomers: NDArray[np.int64], bound: NDArray[np.float64]) -> NDArray[np.int64]:
        """Evict what is not among the best of old and new; return the newcomers that are."""
        everyone = np.concatenate((self._holder[self._holder >= 0], newcomers))
        keep = max(1, self.capacity // 2)
        if len(everyone) > keep:
            order = np.argpartition(-bound[everyone], keep - 1)
            evicted = everyone[order[keep:]]
            places = self._place[evicted]
            self._holder[places[places >= 0]] = -1
            self._place[evicted] = -1
            everyone = everyone[order[:keep]]
        return everyone[self._place[everyone] < 0]
