"""What a free atom of each element costs: subtracted from labels, so that a model describes binding alone."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.structures.frames import Frames
from aliquot.structures.neighbours import neighbours

__all__ = ["free_atoms", "reference_energies"]

#: A single atom with no other one, nor an image of itself, closer than this is free, Å; as in a survey of the data.
ALONE: Final = 8.0


def free_atoms(frames: Frames) -> NDArray[np.bool_]:
    """Which frames are one atom and nothing near it, (n_frames,); crystals of one atom per cell are not.

    Examples
    --------
    >>> from ase import Atoms
    >>> from ase.build import bulk
    >>> free_atoms(Frames.from_atoms([Atoms("Fe"), bulk("Fe"), Atoms("Fe", cell=[12.0] * 3, pbc=True)])).tolist()
    [True, False, True]
    """
    out = frames.sizes == 1
    for i in np.flatnonzero(out):
        at = frames.positions[frames.offsets[i] : frames.offsets[i] + 1]
        out[i] = len(neighbours(at, frames.cells[i], frames.pbc[i], ALONE).index) == 0
    return out


def reference_energies(frames: Frames) -> dict[int, float]:
    """Energy of one atom of each element, eV, by atomic number.

    Labelled frames of a free atom are believed where every element has one (their mean, if several); otherwise
    energies are the least-squares solution of minimal norm of total energy = Σ number of atoms × energy.

    Raises
    ------
    InputError
        If no frame has an energy.

    Examples
    --------
    >>> from ase import Atoms
    >>> one = Atoms("H", info={"REF_energy": -13.6})
    >>> two = Atoms("H2", [[0, 0, 0], [0, 0, 0.7]], info={"REF_energy": -31.7})
    >>> reference_energies(Frames.from_atoms([one, two]))
    {1: -13.6}
    """
    labelled = frames.energy.present & np.isfinite(frames.energy.values)
    if not labelled.any():
        raise InputError("reference energies need labelled frames; none of these has an energy")
    energy = frames.energy.values[labelled]
    starts = frames.offsets[:-1]
    counts = np.stack(
        [np.add.reduceat(frames.numbers == z, starts, dtype=np.int64) for z in frames.elements], axis=1
    )
    counts = counts[labelled]
    alone = free_atoms(frames)[labelled]
    if np.all(counts[alone].any(axis=0)):
        values = [float(energy[alone & (counts[:, k] == 1)].mean()) for k in range(counts.shape[1])]
    else:
        values = np.linalg.lstsq(counts.astype(np.float64), energy, rcond=None)[0].tolist()
    return dict(zip((int(z) for z in frames.elements), values, strict=True))
