r"""What do students see? The environment of every atom, and how it changes when atoms move.

Every student is a function of the site values of one small ACE basis; its energy is a sum over atoms. Energies need the
values :math:`q_i`. Forces come in as slopes along random directions: for a unit vector v of all 3N coordinates,

.. math:: v \cdot F = -\sum_i \nabla E_i(q_i) \cdot \dot q_i, \qquad
          \dot q_i = \frac{q_i(x + h v) - q_i(x - h v)}{2h},

and :math:`(v \cdot \Delta F)^2` is on average the mean squared error of a force component. A few directions of every
structure serve linear models, quadratic ones and networks alike, at the price of a few rows. (Errors on test
structures are those of all components, exactly.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.progress import Progress, silent
from aliquot.structures import Frames
from aliquot.structures.neighbours import Neighbours, neighbours

__all__ = ["Environments", "directions_of", "look", "open_environments", "save_environments", "slopes"]

Array = NDArray[np.float64]
Single = NDArray[np.float32]

#: Root mean square displacement of an atom in the differences, Å.
STEP: Final = 1e-4


@dataclass(frozen=True, eq=False)
class Environments:
    """Of all atoms of a set.

    Parameters
    ----------
    offsets : (n_frames + 1,) array of int
    values : (n_atoms, d) array of float32
        q.
    slopes : (n_atoms, m, d) array of float32
        Along m directions of the structure, 1/Å.
    """

    offsets: NDArray[np.int64]
    values: Single
    slopes: Single

    def atoms(self, i: int) -> slice:
        """Atoms of a structure."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))


def directions_of(frames: Frames, m: int, *, seed: int) -> list[Array]:
    """``m`` random unit vectors of all coordinates of each structure, (m, n_atoms, 3)."""
    rng = np.random.default_rng(seed)
    out: list[Array] = []
    for n in frames.sizes:
        v = rng.standard_normal((m, int(n), 3))
        out.append(v / np.sqrt(np.square(v).sum(axis=(1, 2), keepdims=True)))
    return out


def slopes(evaluator: AceEvaluator, frames: Frames, i: int, directions: Array) -> tuple[Array, Array]:
    """Site values (n_atoms, d) of one structure and their slopes along directions, (n_atoms, m, d)."""
    atoms = slice(int(frames.offsets[i]), int(frames.offsets[i + 1]))
    species = evaluator.basis.species(frames.numbers[atoms])
    pairs = neighbours(frames.positions[atoms], frames.cells[i], frames.pbc[i], evaluator.basis.max_cutoff)
    centre = np.repeat(np.arange(len(species)), np.diff(pairs.first))
    h = STEP * np.sqrt(len(species))
    found = np.empty((len(species), len(directions), len(evaluator.basis.functions)))
    for k, v in enumerate(directions):
        change = h * (v[pairs.index] - v[centre])
        up, down = (
            evaluator.values_near(
                species, Neighbours(pairs.first, pairs.index, pairs.vectors + sign * change)
            )
            for sign in (1.0, -1.0)
        )
        found[:, k] = (up - down) / (2 * h)
    return evaluator.values_near(species, pairs), found


def look(
    basis: AceBasis, frames: Frames, directions: list[Array], *, progress: Progress = silent
) -> Environments:
    """Environments of all structures."""
    evaluator, d = AceEvaluator(basis), len(basis.functions)
    values = np.empty((frames.n_atoms, d), np.float32)
    changes = np.empty((frames.n_atoms, len(directions[0]), d), np.float32)
    for i, along in enumerate(directions):
        atoms = slice(int(frames.offsets[i]), int(frames.offsets[i + 1]))
        values[atoms], changes[atoms] = slopes(evaluator, frames, i, along)
        progress("environments", i + 1, len(frames))
    return Environments(frames.offsets, values, changes)


def save_environments(place: Path, seen: Environments) -> None:
    """Into a folder; the values come last."""
    place.mkdir(exist_ok=True)
    for name in ("offsets", "slopes", "values"):
        np.save(place / f"{name}.npy", getattr(seen, name))


def open_environments(place: Path) -> Environments:
    """As they were saved, mapped into memory."""
    return Environments(
        np.load(place / "offsets.npy"),
        np.load(place / "values.npy", mmap_mode="r"),
        np.load(place / "slopes.npy", mmap_mode="r"),
    )
