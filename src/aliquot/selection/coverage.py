r"""Which environments of the pool are like some environment of the chosen ones? Maximum coverage, greedily.

A candidate covers every environment of the pool within a distance h of one of its own; so do known structures.

.. math:: F(S) = |\{e : e \text{ is covered by } S \cup K\}| - |\{e : e \text{ is covered by } K\}|

is monotone and submodular, and greedy reaches at least 1 - 1/e of the largest F of any set of as many candidates;
no polynomial algorithm is guaranteed to reach more. All pairs (candidate, environment it covers) are found once and
kept; then a pick lowers the gain of exactly those that cover what it covers, so that all picks together take no
more time than there are pairs.

References
----------
G. L. Nemhauser, L. A. Wolsey and M. L. Fisher, Math. Program. 14, 265 (1978), doi:10.1007/BF01588971
U. Feige, J. ACM 45, 634 (1998), doi:10.1145/285055.285059
"""

# pyright: reportMissingTypeStubs=false
# (scipy brings no types)

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import gather
from aliquot.information.environments import distances, environments, sizes
from aliquot.progress import Progress, silent
from aliquot.table import Features

__all__ = ["Covering", "typical_distance"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]
Pairs = Any  # a sparse matrix of scipy

_MOST_PAIRS: Final = 200_000_000  # twice 4 bytes each
_PROBES: Final = 1000
_ROUNDING: Final = 4.0 * float(np.finfo(np.float64).eps)


class Covering:
    """Who covers what, what is covered, and what each candidate would cover beside it.

    Parameters
    ----------
    table : Features
    known : Features, optional
        Covers from the start.
    bandwidth : float
        h, in smoothness-scaled coordinates.

    Attributes
    ----------
    covered : (environments,) array of bool
    gain : (candidates,) array
        Environments that each candidate would newly cover.

    Raises
    ------
    SelectionError
        If the pairs do not fit into memory.
    """

    def __init__(
        self, table: Features, known: Features | None, *, bandwidth: float, progress: Progress = silent
    ) -> None:
        from scipy.sparse import csr_array

        self.owner: Indices = np.repeat(np.arange(len(table)), sizes(table))
        total, n = len(self.owner), len(table)
        pointers, indices, count = [np.zeros(1, np.int64)], [np.zeros(0, np.int32)], 0
        self.covered = np.zeros(total, bool)
        for some, x in _tiles(table):
            parts: list[Indices] = []
            for other, y in _tiles(table):
                row, column = np.nonzero(_within(x, y, bandwidth))
                parts.append(np.unique(row * n + self.owner[other][column]))
            seen = np.unique(
                np.concatenate(parts)
            )  # a candidate covers with one of its environments or with several
            if known is not None:
                for _, y in _tiles(known):
                    self.covered[some] |= _within(x, y, bandwidth).any(axis=1)
            count += len(seen)
            if count > _MOST_PAIRS:
                raise SelectionError(
                    f"with a bandwidth of {bandwidth:g}, the first {some.stop} of {total} environments are covered"
                    f" {count} times, more than the {_MOST_PAIRS} that are kept in memory; lower the bandwidth"
                )
            pointers.append(pointers[-1][-1] + np.cumsum(np.bincount(seen // n, minlength=len(x))))
            indices.append((seen % n).astype(np.int32))
            progress("cover", some.stop, total)
        column = np.concatenate(indices)
        kept = (np.ones(len(column), bool), column, np.concatenate(pointers))
        self._coverers: Pairs = csr_array(kept, shape=(total, n))
        self._covers: Pairs = self._coverers.T.tocsr()
        self.gain: Vector = np.zeros(n)
        self.gain += np.bincount(self._entries(self._coverers, np.flatnonzero(~self.covered)), minlength=n)

    def absorb(self, pick: int) -> None:
        """Cover what the pick covers."""
        new = self._entries(self._covers, np.array([pick]))
        new = new[~self.covered[new]]
        self.covered[new] = True
        self.gain -= np.bincount(self._entries(self._coverers, new), minlength=len(self.gain))

    @staticmethod
    def _entries(pairs: Pairs, rows: Indices) -> Indices:
        """Columns of the entries of some rows, row after row."""
        start = pairs.indptr[rows].astype(np.int64)
        length = pairs.indptr[rows + 1].astype(np.int64) - start
        first = np.repeat(start - np.concatenate(([0], np.cumsum(length)[:-1])), length)
        return pairs.indices[first + np.arange(int(length.sum()))].astype(np.int64)


def typical_distance(table: Features) -> float:
    """How far environments of different structures that are alike lie apart, to three digits.

    The median, over the first environments of the (at most 1,000) candidates of the smallest content hashes, of the
    distance to the nearest environment of another candidate that is not the same; 1 where there is none.
    """
    probes = np.lexsort((np.arange(len(table)), table.ids.hash))[:_PROBES]
    blocks, starts = (
        environments(gather(table, probes)) if len(probes) else (np.empty((0, 0)), np.zeros(1, int))
    )
    x = blocks[starts[:-1]]
    owner, nearest = np.repeat(np.arange(len(table)), sizes(table)), np.full(len(x), np.inf)
    for other, y in _tiles(table):
        distance = distances(x, y)
        distance[(distance == 0.0) | (owner[other] == probes[:, None])] = np.inf
        nearest = np.minimum(nearest, distance.min(axis=1))
    nearest = nearest[np.isfinite(nearest)]
    return float(f"{np.median(nearest):.3g}") if len(nearest) else 1.0


def _tiles(table: Features) -> Iterator[tuple[slice, Matrix]]:
    """Environments in parts, with their positions among all of them."""
    start = 0
    for some, _ in table.tiles():
        x, _ = environments(gather(table, some))
        yield slice(start, start + len(x)), x
        start += len(x)


def _squares(x: Matrix, y: Matrix) -> tuple[Matrix, Vector, Vector]:
    """|y|² - 2 x·y and |x|², whose sums are squared distances; how far rounding can have moved those of each x."""
    centre = x.mean(axis=0) if len(x) else 0.0
    x, y = x - centre, y - centre
    own: Vector = np.einsum("ij,ij->i", x, x)
    its: Vector = np.einsum("ij,ij->i", y, y)
    shifted: Matrix = (-2.0 * x) @ y.T
    shifted += its
    return shifted, own, _ROUNDING * (x.shape[1] + 8) * (own + its.max(initial=0.0))


def _within(x: Matrix, y: Matrix, radius: float) -> NDArray[np.bool_]:
    """Which pairs are at most so far apart; doubtful ones are decided by their squared differences."""
    shifted, own, allowance = _squares(x, y)
    near: NDArray[np.bool_] = shifted <= (radius**2 - own + allowance)[:, None]
    certain: NDArray[np.bool_] = shifted <= (radius**2 - own - allowance)[:, None]
    i, j = np.nonzero(near ^ certain)
    for some in range(0, len(i), 4096):
        a, b = i[some : some + 4096], j[some : some + 4096]
        near[a, b] = np.square(x[a] - y[b]).sum(axis=1) <= radius**2
    return near
