"""How close do atoms come? Shortest distances between elements, and the distances by which frames are told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.structures.neighbours import neighbours

__all__ = ["REACH", "Distances", "distances"]

#: Neighbours are looked for up to here, Å.
REACH: Final = 4.0

#: Traits: distances of these many atoms, spread over the frame, to their neighbours of these ranks.
_PROBES: Final = 4
_RANKS: Final = (0, 1, 5)


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances found in every frame.

    Parameters
    ----------
    elements : tuple of int
        Atomic numbers, ascending.
    shortest : (n_frames, n_elements, n_elements) array
        Shortest distance between atoms of two elements, Å; infinite where none is within :data:`REACH`.
    traits : (n_frames, k) array
        Distances of some atoms to some of their neighbours, Å, at most :data:`REACH`.
    """

    elements: tuple[int, ...]
    shortest: NDArray[np.float64]
    traits: NDArray[np.float64]


def distances(frames: Frames, *, progress: Progress = silent) -> Distances:
    """Look at the neighbours of every atom of every frame.

    Notes
    -----
    One neighbour list per frame. Frames whose positions or cell are not finite, or whose periodic axes span no
    volume, must have been removed.
    """
    place = {z: k for k, z in enumerate(frames.elements)}
    kind = np.array([place.get(z, 0) for z in range(max(frames.elements, default=0) + 1)])[frames.numbers]
    n = len(frames.elements)
    shortest = np.full((len(frames), n, n), np.inf)
    traits = np.full((len(frames), 1 + _PROBES * len(_RANKS)), REACH)
    for i in range(len(frames)):
        where = slice(frames.offsets[i], frames.offsets[i + 1])
        pairs = neighbours(frames.positions[where], frames.cells[i], frames.pbc[i], REACH)
        lengths = np.linalg.norm(pairs.vectors, axis=1)
        centre = np.repeat(np.arange(len(pairs.first) - 1), np.diff(pairs.first))
        kinds = kind[where]
        np.minimum.at(shortest[i], (kinds[centre], kinds[pairs.index]), lengths)
        traits[i] = _traits(lengths, pairs.first)
        if i % 256 == 0:
            progress("distances", i, len(frames))
    progress("distances", len(frames), len(frames))
    return Distances(frames.elements, shortest, traits)


def _traits(lengths: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.float64]:
    n = len(first) - 1
    nearest = np.full(n, REACH)
    some = np.diff(first) > 0
    if some.any():
        nearest[some] = np.minimum.reduceat(lengths, first[:-1][some])
    traits = [float(nearest.mean())]
    for probe in range(_PROBES):
        atom = probe * n // _PROBES
        own = np.sort(lengths[first[atom] : first[atom + 1]])
        traits += [float(own[rank]) if rank < len(own) else REACH for rank in _RANKS]
    return np.array(traits)
