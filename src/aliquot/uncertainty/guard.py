r"""Which training atoms should not say what is known? Outliers of the force error.

An atom whose force the model misses by far more than usual may have a wrong label, or stand for a structure that
was never meant to be there; in the active set it would make all that is like it look known. As published, atoms with

.. math:: |F_i - F_i^{label}| > Q_3 + 1.5\,(Q_3 - Q_1)

among the force errors of their element are left out. Atoms without a force label cannot be judged, and stay.

References
----------
Y. Lysogorskiy, A. Bochkarev, M. Mrovec and R. Drautz, Phys. Rev. Materials 7, 043801 (2023),
doi:10.1103/PhysRevMaterials.7.043801
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames

__all__ = ["believable", "force_errors"]


def force_errors(
    potential: AcePotential, frames: Frames, *, threads: int | None = None, progress: Progress = silent
) -> NDArray[np.float64]:
    """Length of the force error of every atom, eV/Å, (n_atoms,); NaN where there is no label."""
    out = np.full(frames.n_atoms, np.nan)
    for i in range(len(frames)):
        if frames.forces.present[i]:
            atoms = slice(frames.offsets[i], frames.offsets[i + 1])
            wrong = potential(frames, i, threads=threads).forces - frames.forces.values[atoms]
            out[atoms] = np.linalg.norm(wrong, axis=1)
        progress("forces", i + 1, len(frames))
    return out


def believable(numbers: NDArray[np.integer], errors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which atoms stay, (n_atoms,), judged among those of their element.

    Examples
    --------
    >>> believable(np.full(6, 29), np.array([0.1, 0.12, 0.09, 0.11, 4.0, np.nan])).tolist()
    [True, True, True, True, False, True]
    """
    keep = np.ones(len(numbers), bool)
    for z in np.unique(numbers):
        own = (numbers == z) & np.isfinite(errors)
        if own.any():
            low, high = np.quantile(errors[own], (0.25, 0.75))
            keep[own] = errors[own] <= high + 1.5 * (high - low)
    return keep
