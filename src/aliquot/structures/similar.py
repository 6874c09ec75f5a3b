"""Which frames are almost the same? Each frame against the leaders of its kind, found through distances.

Two frames are near duplicates when they have the same numbers in the same order, cells equal within a tolerance,
and positions equal within the tolerance, periodic images counted as one. Comparing all pairs would be quadratic.
But when atoms and lattice vectors move by at most δ, the distance of an atom to its k-th neighbour moves by at most
a few δ, so near duplicates lie in a small box of the space of such distances; a k-d tree finds the frames in
that box, and only those are compared.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.structures.frames import Frames

__all__ = ["NEAR", "near_duplicates"]

#: Positions and lattice vectors closer than this are the same, Å.
NEAR: Final = 0.01

#: How far a distance between neighbours may move, in tolerances: both atoms, and the cell under a neighbour one image
#: away along all three axes (2 + 3√3 < 8).
_MARGIN: Final = 8.0


def near_duplicates(
    frames: Frames, traits: NDArray[np.float64], *, tolerance: float = NEAR
) -> list[NDArray[np.int64]]:
    """Groups of two or more near-duplicate frames, exact duplicates among them.

    Parameters
    ----------
    frames : Frames
    traits : (n_frames, k) array
        Distances that move by at most :data:`_MARGIN` × ``tolerance`` between near duplicates, Å.
    tolerance : float
        Å.

    Returns
    -------
    list of arrays
        Positions in ``frames``, ascending; groups in the order of their first member. The first member is the leader to
        which the others are near.

    Notes
    -----
    n log n plus the comparisons within boxes; each comparison is one pass over the atoms.
    """
    kinds: dict[bytes, list[int]] = {}
    for i in range(len(frames)):
        numbers = frames.numbers[frames.offsets[i] : frames.offsets[i + 1]]
        kinds.setdefault(numbers.tobytes() + frames.pbc[i].tobytes(), []).append(i)
    groups: list[NDArray[np.int64]] = []
    for members in kinds.values():
        if len(members) > 1:
            groups.extend(_groups(frames, np.array(members), traits, tolerance))
    return sorted(groups, key=lambda g: int(g[0]))


def _groups(
    frames: Frames, members: NDArray[np.int64], traits: NDArray[np.float64], tolerance: float
) -> list[NDArray[np.int64]]:
    """Greedy leaders among frames of one kind: a frame near an earlier leader joins its group."""
    from scipy.spatial import KDTree

    n = int(frames.sizes[members[0]])
    atoms = frames.offsets[members][:, None] + np.arange(n)
    cells, positions = frames.cells[members], frames.positions[atoms]
    tree = KDTree(traits[members])
    free = np.ones(len(members), bool)
    groups: list[NDArray[np.int64]] = []
    for leader in range(len(members)):
        if not free[leader]:
            continue
        free[leader] = False
        near = np.array(
            tree.query_ball_point(traits[members[leader]], _MARGIN * tolerance, p=np.inf), np.int64
        )
        near = near[free[near]]
        if len(near):
            same = _same(cells, positions, frames.pbc[members[leader]], leader, near, tolerance)
            if same.any():
                joined = np.sort(near[same])
                free[joined] = False
                groups.append(members[np.concatenate(([leader], joined))])
    return groups


def _same(
    cells: NDArray[np.float64],
    positions: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    leader: int,
    others: NDArray[np.int64],
    tolerance: float,
) -> NDArray[np.bool_]:
    """Which of the others are the leader within the tolerance."""
    same = (np.abs(cells[others] - cells[leader]) <= tolerance).all(axis=(1, 2))
    if not same.any():
        return same
    shift = positions[others[same]] - positions[leader]
    if pbc.any():
        cell = np.where(pbc[:, None], cells[leader], 0.0)
        images = np.rint(shift @ np.linalg.pinv(cell))
        shift -= images @ cell
    same[same] = (np.linalg.norm(shift, axis=2) <= tolerance).all(axis=1)
    return same
