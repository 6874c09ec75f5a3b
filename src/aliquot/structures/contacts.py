"""Do two atoms of a frame overlap? A sweep along one axis finds the worst pair of every frame.

A sweep along one axis: atoms sorted by their fractional coordinate on the longest axis, each compared with those
within reach ahead of it. For thresholds shorter than half the height of the cell the nearest image is found by
rounding, which is then exact; smaller cells are searched image by image.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.structures.frames import Frames

__all__ = ["contacts"]


def contacts(
    frames: Frames, sound: NDArray[np.bool_], fraction: float, closest: float
) -> dict[int, tuple[int, int, float, float]]:
    """The worst overlap of every frame that has one: two atoms, their distance and the threshold, Å.

    Parameters
    ----------
    frames : Frames
    sound : (n_frames,) array of bool
        Frames to look at; their positions and cells must be finite and their periodic axes span a volume.
    fraction : float
        Of the sum of covalent radii, below which two atoms overlap.
    closest : float
        Distance below which they overlap whatever they are, Å.

    Notes
    -----
    About 0.1 µs per atom and neighbour in reach.
    """
    if not len(frames) or not sound.any():
        return {}
    from ase.data import covalent_radii

    cells = _completed(frames.cells, frames.pbc)
    cells[~sound] = np.eye(3)
    worst = _kernel()(
        frames.positions,
        np.minimum(covalent_radii, 5.0)[frames.numbers] * fraction,
        frames.offsets,
        cells,
        np.linalg.inv(cells),
        frames.pbc,
        sound,
        closest,
    )
    hit = np.flatnonzero(worst[:, 2] < np.inf)
    return {int(i): (int(worst[i, 0]), int(worst[i, 1]), float(worst[i, 2]), float(worst[i, 3])) for i in hit}


def _completed(cells: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Cells in which axes that are not periodic are replaced by unit vectors normal to the others."""
    cells = cells.copy()
    for i in np.flatnonzero(~pbc.all(axis=1)):
        free = np.flatnonzero(~pbc[i])
        cells[i, free] = 0.0
        _, _, basis = np.linalg.svd(cells[i])  # the last rows span what the periodic axes do not
        cells[i, free] = basis[3 - len(free) :]
    return cells


@lru_cache(maxsize=1)
def _kernel() -> Any:
    """The compiled sweep; numba is imported when it is first needed."""
    from aliquot.structures import contacts_kernel

    return contacts_kernel.worst_contacts
