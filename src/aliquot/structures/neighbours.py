"""Which atoms see which: a full neighbour list, grouped by centre.

The search itself is vesin's cell list; this module fixes the form in which the rest of the package reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Neighbours", "neighbours"]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Neighbours of every atom of one structure.

    Parameters
    ----------
    first : (n_atoms + 1,) array of int64
        Pairs ``first[i]:first[i + 1]`` have atom ``i`` at their centre.
    index : (n_pairs,) array of int64
        The neighbour; may be a periodic image, of the centre too.
    vectors : (n_pairs, 3) array of float64
        From the centre to the neighbour, Å.
    """

    first: NDArray[np.int64]
    index: NDArray[np.int64]
    vectors: NDArray[np.float64]


def neighbours(
    positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_], cutoff: float
) -> Neighbours:
    """All pairs closer than ``cutoff`` (Å), each counted from both ends.

    Parameters
    ----------
    positions : (n_atoms, 3) array, Å
    cell : (3, 3) array, Å
        Lattice vectors as rows; rows of axes that are not periodic may be zero.
    pbc : (3,) array of bool
    cutoff : float, Å

    Notes
    -----
    Time and memory grow with atoms × neighbours. Source: https://github.com/Luthaf/vesin.

    Examples
    --------
    >>> pairs = neighbours(np.array([[0.0, 0, 0]]), np.eye(3) * 2.0, np.ones(3, bool), 2.1)
    >>> len(pairs.index)
    6
    """
    from vesin import NeighborList

    search = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    centre, index, vectors = search.compute(
        points=np.ascontiguousarray(positions, np.float64),
        box=np.ascontiguousarray(cell, np.float64),
        periodic=np.asarray(pbc, bool),
        quantities="ijD",
    )
    first = np.searchsorted(centre, np.arange(len(positions) + 1))
    return Neighbours(first.astype(np.int64), index.astype(np.int64), np.ascontiguousarray(vectors))
