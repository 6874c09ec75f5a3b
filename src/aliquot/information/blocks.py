r"""Which numbers the mathematics sees: rows of some candidates, in memory, float64, smoothness-scaled.

All of the information wing works in the coordinates :math:`x_k = \phi_k / \Gamma_k`, in which the prior of a
linear model is isotropic until labels say otherwise. A table may be float32 and on disk; only the few
candidates at hand are ever brought here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.table import KINDS, Features

__all__ = ["Blocks", "Part", "gather"]

_ENERGY = KINDS.index("energy")


@dataclass(frozen=True, eq=False)
class Blocks:
    """Scaled rows of a few candidates.

    Parameters
    ----------
    x : (rows, features) array of float64
        Rows in smoothness-scaled coordinates.
    weight : (rows,) array of float64
        Inverse noise of each row.
    kind : (rows,) array of uint8
        What each row observes: position in :data:`aliquot.table.KINDS`.
    offsets : (candidates + 1,) array of int
        Rows ``offsets[i]:offsets[i + 1]`` belong to candidate ``i`` of this block.
    """

    x: NDArray[np.float64]
    weight: NDArray[np.float64]
    kind: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.offsets) - 1

    @property
    def single(self) -> bool:
        """Whether every candidate is exactly one row."""
        return len(self) == len(self.x) and bool(np.all(np.diff(self.offsets) == 1))

    @property
    def weighted(self) -> NDArray[np.float64]:
        """Rows divided by their noise: what a fit, and hence the posterior, absorbs."""
        return self.x * self.weight[:, None]

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Rows that are the observable of their candidate: its energy rows, or all its rows where it has none."""
        energy = self.kind == _ENERGY
        if energy.all() or not energy.any():
            return np.ones(len(self.kind), bool)
        has_energy = np.logical_or.reduceat(energy, self.offsets[:-1])
        return energy | ~np.repeat(has_energy, np.diff(self.offsets))

    def observed_mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of ``values`` (one entry, or one row, per row) over the observable rows of each candidate."""
        if self.single:
            return values
        observed = self.observed
        kept = values * (observed if values.ndim == 1 else observed[:, None])
        count = np.add.reduceat(observed.astype(np.float64), self.offsets[:-1])
        total: NDArray[np.float64] = np.add.reduceat(kept, self.offsets[:-1], axis=0)
        return total / (count if values.ndim == 1 else count[:, None])

    @classmethod
    def from_rows(cls, x: NDArray[np.floating[Any]], *, weight: float = 1.0) -> Blocks:
        """One candidate per row, all with the same weight.

        >>> len(Blocks.from_rows(np.eye(3)))
        3
        """
        n = len(x)
        kind = np.full(n, _ENERGY, np.uint8)
        return cls(np.asarray(x, np.float64), np.full(n, weight), kind, np.arange(n + 1))


def gather(table: Features, candidates: slice | NDArray[np.int64]) -> Blocks:
    """Bring the rows of some candidates of a table into memory, scaled, in the order given.

    Every candidate must have at least one row.

    Examples
    --------
    >>> table = Features.from_array(np.eye(3, dtype=np.float32), prior=np.array([1.0, 2.0, 4.0]))
    >>> gather(table, np.array([2, 0])).x
    array([[0.  , 0.  , 0.25],
           [1.  , 0.  , 0.  ]])
    """
    rows: Any  # a slice or positions
    if isinstance(candidates, slice):
        start, stop, _ = candidates.indices(len(table))
        rows = slice(int(table.offsets[start]), int(table.offsets[stop]))
        offsets = table.offsets[start : stop + 1] - table.offsets[start]
    else:
        starts = table.offsets[candidates]
        lengths = table.offsets[candidates + 1] - starts
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        rows = np.repeat(starts - offsets[:-1], lengths) + np.arange(int(offsets[-1]))
    return Blocks(_scaled(table.rows[rows], table.prior), table.weight[rows], table.kind[rows], offsets)


@dataclass(frozen=True, eq=False)
class Part:
    """Some candidates of a table, whose rows are read when they are asked for.

    Parameters
    ----------
    rows : array-like
        As they are stored: of these candidates, and perhaps of others.
    index : (rows,) array of int or None
        Which of them; all where it is None.
    kind, weight, prior, offsets
        As of a table of these candidates alone.
    """

    rows: Any
    index: NDArray[np.int64] | None
    kind: NDArray[np.uint8]
    weight: NDArray[np.float64]
    prior: NDArray[np.float64]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, table: Features, some: NDArray[np.int64]) -> Part:
        """These candidates."""
        index = table.row_index(some)
        offsets = np.concatenate(([0], np.cumsum(table.offsets[some + 1] - table.offsets[some])))
        return cls(
            table.rows, index, table.kind[index], table.weight[index], table.prior, offsets.astype(np.int64)
        )

    def read(self) -> NDArray[Any]:
        """The rows, as they are stored."""
        return np.asarray(self.rows if self.index is None else self.rows[self.index])

    def here(self) -> Part:
        """The same with its rows in memory, or in a file that is mapped to it."""
        return self if isinstance(self.rows, np.ndarray) else replace(self, rows=self.read(), index=None)

    def stored(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Rows in memory as compiled code reads them, and which of them."""
        held = isinstance(self.rows, np.ndarray)
        rows: NDArray[Any] = np.asarray(self.rows if held else self.read())
        index = self.index if held else None
        if not (rows.flags.c_contiguous and rows.dtype.isnative):
            rows = np.array(rows if index is None else rows[index], rows.dtype.newbyteorder("="), order="C")
            index = None
        return rows, np.arange(len(rows), dtype=np.int64) if index is None else index

    def blocks(self) -> Blocks:
        """Scaled rows."""
        return Blocks(_scaled(self.read(), self.prior), self.weight, self.kind, self.offsets)


def _scaled(rows: NDArray[np.floating[Any]], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows over the smoothness prior, float64; always a copy."""
    # A slice of a memory map is one too, and so would be everything computed from it, slowly.
    x = np.array(rows, np.float64, order="C", subok=False)
    if np.any(prior != 1.0):
        x /= prior
    return x
