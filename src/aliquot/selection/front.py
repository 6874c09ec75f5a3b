"""The front of a greedy run: the most promising candidates, their rows kept in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliquot.information import Blocks, gather
from aliquot.table import Features

__all__ = ["Front"]

_BYTES = 64 << 20
_CANDIDATES = 4096


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
        self.capacity = min(len(table), max(256, min(_CANDIDATES, _BYTES // per_row)))
        self._x = np.empty((self.capacity, table.n_features))
        self._index = np.empty(self.capacity, np.int64)
        self._place = np.full(len(table), -1, np.int32)  # where in the buffer a candidate is
        self._size = 0

    @property
    def index(self) -> NDArray[np.int64]:
        """Candidates in the front."""
        return self._index[: self._size]

    def blocks(self) -> Blocks:
        """Rows of the whole front."""
        return self._view(self._x[: self._size], self.index)

    def find(self, some: NDArray[np.int64]) -> Blocks | None:
        """Rows of these candidates, or None where one of them is not in the front."""
        place = self._place[some]
        return None if np.any(place < 0) else self._view(self._x[place], some)

    def admit(self, newcomers: NDArray[np.int64], bound: NDArray[np.float64]) -> int:
        """Take in newcomers; where there is no room, keep the half buffer of the largest bounds.

        Returns the number of rows read.
        """
        newcomers = newcomers[self._place[newcomers] < 0]
        if self._size + len(newcomers) > self.capacity:
            everyone = np.concatenate((self.index, newcomers))
            keep = max(1, self.capacity // 2)
            if len(everyone) > keep:
                everyone = everyone[np.argpartition(-bound[everyone], keep - 1)[:keep]]
            kept = np.sort(self._place[everyone[self._place[everyone] >= 0]])
            self._restrict(kept)
            newcomers = everyone[self._place[everyone] < 0]
        newcomers = np.sort(newcomers)
        if len(newcomers):
            stop = self._size + len(newcomers)
            self._x[self._size : stop] = gather(self.table, newcomers).x
            self._index[self._size : stop] = newcomers
            self._place[newcomers] = np.arange(self._size, stop)
            self._size = stop
        return len(newcomers)

    def _restrict(self, kept: NDArray[np.int32]) -> None:
        """Keep only these places of the buffer."""
        self._place[self.index] = -1
        self._x[: len(kept)] = self._x[kept]
        self._index[: len(kept)] = self._index[kept]
        self._size = len(kept)
        self._place[self.index] = np.arange(self._size)

    def _view(self, x: NDArray[np.float64], some: NDArray[np.int64]) -> Blocks:
        n = len(some)
        return Blocks(x, self.table.weight[some], np.ones(n, bool), np.arange(n + 1))
