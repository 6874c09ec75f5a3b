"""How strong a prior the labels of known structures ask for."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.fitting.references import reference_energies
from aliquot.progress import Progress, silent
from aliquot.solvers import Evidence, Triangle, best_prior
from aliquot.structures.frames import Frames
from aliquot.table import KINDS, Features

__all__ = ["LEAST_LABELS", "prior_from_labels"]

#: Fewer labelled energies than this decide nothing.
LEAST_LABELS: Final = 10


def prior_from_labels(frames: Frames, table: Features, *, progress: Progress = silent) -> Evidence | None:
    """Prior precision and noise of the largest evidence, from the labels that belong to the rows of a table.

    Parameters
    ----------
    frames : Frames
        Labelled structures.
    table : Features
        Their rows: energies (per atom), forces, virials. Rows without a label are left out.

    Returns
    -------
    Evidence or None
        None where fewer than :data:`LEAST_LABELS` energies are known, or the rows observe atoms.

    Notes
    -----
    2 m d² flops for m rows; a triangle of d² doubles.
    """
    if len(table) != len(frames):
        raise InputError(f"{len(table)} candidates and {len(frames)} frames cannot be the same structures")
    energy_rows = np.count_nonzero(table.kind == KINDS.index("energy"))
    if energy_rows != len(frames) or np.count_nonzero(frames.energy.present) < LEAST_LABELS:
        return None
    reference = reference_energies(frames)
    free = np.array([reference[int(z)] for z in frames.elements])
    per_atom = free[np.searchsorted(np.array(frames.elements), frames.numbers)]
    energy = np.where(frames.energy.present, frames.energy.values, np.nan)
    binding = (energy - np.add.reduceat(per_atom, frames.offsets[:-1])) / frames.sizes
    triangle = Triangle(table.n_features)
    for some, rows in table.tiles():
        y = [_labels(frames, i, table, float(binding[i])) for i in range(some.start, some.stop)]
        target = np.concatenate(y) * table.weight[rows]
        x = np.asarray(table.rows[rows], np.float64) / table.prior * table.weight[rows, None]
        there = np.isfinite(target)
        triangle.absorb(x[there], target[there])
        progress("prior", some.stop, len(table))
    return best_prior(triangle)


def _labels(frames: Frames, i: int, table: Features, binding: float) -> NDArray[np.float64]:
    """Labels of the rows of one frame, NaN where there are none."""
    kind = table.kind[table.offsets[i] : table.offsets[i + 1]]
    out = np.full(len(kind), np.nan)
    out[kind == KINDS.index("energy")] = binding
    forces, virial = kind == KINDS.index("force"), kind == KINDS.index("virial")
    if forces.any() and frames.forces.present[i]:
        out[forces] = frames.forces.values[frames.offsets[i] : frames.offsets[i + 1]].ravel()
    if virial.any() and frames.virial.present[i]:
        out[virial] = frames.virial.values[i][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return out
