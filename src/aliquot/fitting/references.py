"""What a free atom of each element costs: subtracted from labels, so that a model describes binding alone."""

from __future__ import annotations

import numpy as np

from aliquot.errors import InputError
from aliquot.structures.frames import Frames

__all__ = ["reference_energies"]


def reference_energies(frames: Frames) -> dict[int, float]:
    """Energy of one atom of each element, eV, by atomic number.

    Labelled frames of a single atom are believed where every element has one (their mean, if several); otherwise
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
    alone = counts.sum(axis=1) == 1
    if np.all(counts[alone].any(axis=0)):
        values = [float(energy[alone & (counts[:, k] == 1)].mean()) for k in range(counts.shape[1])]
    else:
        values = np.linalg.lstsq(counts.astype(np.float64), energy, rcond=None)[0].tolist()
    return dict(zip((int(z) for z in frames.elements), values, strict=True))
