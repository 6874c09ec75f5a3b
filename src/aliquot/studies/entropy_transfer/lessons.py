r"""What are students taught, and on which scale? The same for all of them.

.. math:: \text{loss} = \frac1n \sum_s \Big[ w_E^2 \Big(\frac{\Delta E_s}{N_s}\Big)^2
          + \frac1m \sum_k (v_{sk} \cdot \Delta F_s)^2 \Big]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.entropy_transfer.environments import Environments

__all__ = ["Familiar", "Lessons", "Scale", "scale_of", "scale_of_all"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: A direction of less than this fraction of the largest variance is rounding (values are single precision).
FLAT: Final = 1e-10


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
    return _of_rows(_rows_of(parts))


def scale_of_all(seen: Environments) -> Scale:
    """Mean and standard deviation of all environments of a set."""
    return _of_rows(np.asarray(seen.values, np.float64))


def _of_rows(rows: Array) -> Scale:
    spread = rows.std(axis=0)
    return Scale(rows.mean(axis=0), 1.0 / np.maximum(spread, 1e-12 * np.abs(rows).max(axis=0)))


@dataclass(frozen=True, eq=False)
class Familiar:
    """The Gaussian of the environments that teach, which tells how far away another is.

    Parameters
    ----------
    mean : (d,) array
    whiten : (d, k) array
        To coordinates of unit variance, along directions that vary at all.
    reach : float
        Distance within which all but one in a thousand of them lie.
    """

    mean: Array
    whiten: Array
    reach: float

    @classmethod
    def of(cls, parts: list[tuple[Environments, Lessons]]) -> Familiar:
        """Of what teaches."""
        rows, scale = _rows_of(parts), scale_of(parts)
        x = scale(rows)
        variance, axes = np.linalg.eigh(x.T @ x / len(x))
        varies = variance > FLAT * variance[-1]
        whiten = scale.inverse[:, None] * axes[:, varies] / np.sqrt(variance[varies])
        squares = np.sum(((rows - scale.mean) @ whiten) ** 2, axis=1)
        return cls(scale.mean, whiten, float(np.sqrt(np.quantile(squares, 0.999))))

    def strange(self, seen: Environments, chosen: Index) -> float:
        """Share of the environments of these structures that lie beyond the reach."""
        rows = np.asarray(seen.values, np.float64)[_atoms_of(seen, chosen)]
        return float(np.mean(np.sum(((rows - self.mean) @ self.whiten) ** 2, axis=1) > self.reach**2))


def _rows_of(parts: list[tuple[Environments, Lessons]]) -> Array:
    """Environments that teach, (n, d)."""
    return np.concatenate(
        [np.asarray(seen.values, np.float64)[_atoms_of(seen, lessons.train)] for seen, lessons in parts]
    )


def _atoms_of(seen: Environments, chosen: Index) -> NDArray[np.bool_]:
    """Atoms of these structures."""
    taught = np.zeros(len(seen.offsets) - 1, bool)
    taught[chosen] = True
    return np.repeat(taught, np.diff(seen.offsets))
