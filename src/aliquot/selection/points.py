"""Where does a candidate lie? One point each, in smoothness-scaled coordinates: what clusters are made of.

The point of a candidate of several rows is the mean of its observable rows (its energy rows, or all of its rows
where it has none). Noise weights play no part.
"""

# pyright: reportMissingTypeStubs=false
# (threadpoolctl brings no types)

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aliquot.information import Distance, gather
from aliquot.table import Features

__all__ = ["by_hash", "distance_to", "one_row_each", "pairwise", "points_at"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]

_NEAR: Final = 1e-6  # squared distances below this share of the squared norms are computed from differences
_TILE: Final = 512


def one_row_each(table: Features) -> Features:
    """One row per candidate: the table itself, or the means of its blocks (candidates × features in memory)."""
    if table.single_rows:
        return table
    return Features.from_array(points_at(table, slice(0, len(table))), ids=table.ids)


def points_at(table: Features, candidates: slice | Indices) -> Matrix:
    """The points of some candidates, (candidates, features), gathered in tiles.

    Examples
    --------
    >>> blocks = Features.from_array(np.array([[0.0], [2.0], [5.0]]), offsets=np.array([0, 2, 3]))
    >>> points_at(blocks, np.array([1, 0]))
    array([[5.],
           [1.]])
    """
    wanted = np.arange(len(table))[candidates]
    points = np.empty((len(wanted), table.n_features))
    for start in range(0, len(wanted), _TILE):
        blocks = gather(table, wanted[start : start + _TILE])
        points[start : start + _TILE] = blocks.observed_mean(blocks.x)
    return points


def by_hash(table: Features, mask: NDArray[np.bool_]) -> Indices:
    """Positions of the candidates of a mask in the order of their content hashes, whatever the order of the pool."""
    members = np.flatnonzero(mask)
    return members[np.lexsort((members, table.ids.hash[members]))]


def distance_to(table: Features, members: Indices, others: Features | None) -> Vector:
    """Distance of each member to the nearest of the others; infinite where there are none."""
    nearest = Distance(table.n_features)
    if others is not None:
        for some, _ in others.tiles():
            nearest.absorb(gather(others, some))
    found = np.empty(len(members))
    for start in range(0, len(members), _TILE):
        found[start : start + _TILE] = nearest.gain(gather(table, members[start : start + _TILE]))
    return found


def pairwise(x: Matrix, *, out: NDArray[Any]) -> None:
    r"""Euclidean distances of all points to each other, into ``out``.

    By :math:`|x|^2 - 2 x\cdot y + |y|^2`, from their mean; where that cancels to less than a millionth of the norms,
    from differences. N² d flops: half of the pairs are those of the other half.

    Examples
    --------
    >>> pairwise(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0 + 1e-9]]), out=(d := np.empty((3, 3))))
    >>> d.round(12)
    array([[0.e+00, 5.e+00, 5.e+00], [5.e+00, 0.e+00, 1.e-09], [5.e+00, 1.e-09, 0.e+00]])
    """
    x = x - x.mean(axis=0)
    squares: Vector = np.einsum("ij,ij->i", x, x)
    tiles = [slice(start, start + _TILE) for start in range(0, len(x), _TILE)]

    def strip(k: int) -> None:
        """Distances of a tile to itself and to those before it."""
        a = tiles[k]
        left = -2.0 * x[a]
        for b in tiles[: k + 1]:
            norms = squares[a, None] + squares[b]
            panel: Matrix = left @ x[b].T
            panel += norms
            norms *= _NEAR
            i, j = np.nonzero(panel <= norms)
            for some in range(0, len(i), _TILE):
                p, q = i[some : some + _TILE], j[some : some + _TILE]
                panel[p, q] = np.square(x[a][p] - x[b][q]).sum(axis=1)
            np.sqrt(panel, out=panel)
            out[a, b] = panel
            out[b, a] = panel.T

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(strip, reversed(range(len(tiles)))):  # the longest first
            pass
