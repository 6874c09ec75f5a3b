r"""What are students taught, and on which scale? The same for all of them.

.. math:: \text{loss} = \frac1n \sum_s \Big[ w_E^2 \Big(\frac{\Delta E_s}{N_s}\Big)^2
          + \frac1m \sum_k (v_{sk} \cdot \Delta F_s)^2 \Big]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.entropy_transfer.environments import Environments

__all__ = ["Lessons", "Scale", "scale_of", "scale_of_all"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Lessons:
    """Labels of one set, and who is taught by which.

    Parameters
    ----------
    energies : (n_frames,) array, eV per atom
    slopes : (n_frames, m) array, eV/Å
        v · F.
    train, validation : array of int
        Structures.
    energy_weight : float, 1/Å
        Of an energy per atom against a force component.
    """

    energies: Array
    slopes: Array
    train: Index
    validation: Index
    energy_weight: float


@dataclass(frozen=True, eq=False)
class Scale:
    """Site values less their mean, over their spread.

    Parameters
    ----------
    mean, inverse : (d,) array
    """

    mean: Array
    inverse: Array

    def __call__(self, values: NDArray[np.floating]) -> Array:
        """Scaled values."""
        return (np.asarray(values, np.float64) - self.mean) * self.inverse

    def slope(self, slopes: NDArray[np.floating]) -> Array:
        """Slopes of scaled values."""
        return np.asarray(slopes, np.float64) * self.inverse


def scale_of(parts: list[tuple[Environments, Lessons]]) -> Scale:
    """Mean and standard deviation of the environments that teach, every structure by its atoms."""
    rows = np.concatenate(
        [np.asarray(seen.values, np.float64)[_atoms_of(seen, lessons.train)] for seen, lessons in parts]
    )
    return _of_rows(rows)


def scale_of_all(seen: Environments) -> Scale:
    """Mean and standard deviation of all environments of a set."""
    return _of_rows(np.asarray(seen.values, np.float64))


def _of_rows(rows: Array) -> Scale:
    spread = rows.std(axis=0)
    return Scale(rows.mean(axis=0), 1.0 / np.maximum(spread, 1e-12 * np.abs(rows).max(axis=0)))


def _atoms_of(seen: Environments, chosen: Index) -> NDArray[np.bool_]:
    """Atoms of these structures."""
    taught = np.zeros(len(seen.offsets) - 1, bool)
    taught[chosen] = True
    return np.repeat(taught, np.diff(seen.offsets))
