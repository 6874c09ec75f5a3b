"""Where does a candidate lie? One point each, in smoothness-scaled coordinates: what clusters are made of.

The point of a candidate of several rows is the mean of its observable rows (its energy rows, or all of its rows
where it has none). Noise weights play no part.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

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


def pairwise(x: Matrix, y: Matrix, *, out: NDArray[Any]) -> None:
    r"""Euclidean distances of all x to all y, into ``out``.

    By :math:`|x|^2 - 2 x\cdot y + |y|^2`; where that cancels to less than a millionth of the norms, from differences.
    2 m n d flops. Origins should be near the points.

    Examples
    --------
    >>> pairwise(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1e-9]]), out=(d := np.empty((1, 2))))
    >>> d
    array([[5.e+00, 1.e-09]])
    """
    its: Vector = np.einsum("ij,ij->i", y, y)
    for start in range(0, len(x), _TILE):
        part = x[start : start + _TILE]
        own: Vector = np.einsum("ij,ij->i", part, part)
        norms = own[:, None] + its
        squares: Matrix = part @ y.T
        squares *= -2.0
        squares += norms
        i, j = np.nonzero(squares <= _NEAR * norms)
        for some in range(0, len(i), _TILE):
            a, b = i[some : some + _TILE], j[some : some + _TILE]
            squares[a, b] = np.square(part[a] - y[b]).sum(axis=1)
        np.sqrt(squares, out=out[start : start + _TILE], casting="same_kind")
