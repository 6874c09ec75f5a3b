"""What are structures like? Volume, shortest distance, coordination and diversity of every structure of a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.explore.entropy import Gaussians, Standard, local_entropy
from aliquot.explore.recipe import Recipe
from aliquot.progress import Progress, silent
from aliquot.structures import Frames
from aliquot.structures.neighbours import Neighbours, neighbours

__all__ = ["COLUMNS", "Census", "look", "take_census"]

Array = NDArray[np.float64]

#: What :func:`look` says of a structure.
COLUMNS: Final = ("volume", "shortest", "coordination", "local")

#: Atoms nearer than this are neighbours, in bond lengths.
BONDED: Final = 1.25


@dataclass(frozen=True, eq=False)
class Census:
    """A set of structures in the space of a recipe.

    Parameters
    ----------
    name : str
    numbers : (n_structures, 4) array
        :data:`COLUMNS`: volume per atom (Å³), shortest distance (in bond lengths), neighbours of an atom within 1.25
        bond lengths, entropy of the environments within the structure (nat per dimension).
    means : (n_structures, d) array
        Mean standardised environment.
    entropy : float
        Of all environments together, nat per dimension.
    environments : int
    """

    name: str
    numbers: Array
    means: Array
    entropy: float
    environments: int

    def __len__(self) -> int:
        """Number of structures."""
        return len(self.numbers)

    def column(self, name: str) -> Array:
        """One of :data:`COLUMNS`."""
        return self.numbers[:, COLUMNS.index(name)]

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable: quantiles of every column; None where no structure has a number."""
        out: dict[str, Any] = {
            "name": self.name,
            "structures": len(self),
            "environments": self.environments,
            "entropy": self.entropy,
        }
        for name in COLUMNS:
            some = self.column(name)
            some = some[np.isfinite(some)]
            at = np.quantile(some, [0.0, 0.05, 0.5, 0.95, 1.0]).tolist() if len(some) else None
            out[name] = at and dict(zip(("least", "5%", "median", "95%", "most"), at, strict=True))
        return out


def look(
    volume: float, species: NDArray[np.int64], pairs: Neighbours, z: Array, bonds: Array
) -> NDArray[np.float64]:
    """The :data:`COLUMNS` of one structure, from its neighbours and its standardised environments."""
    n = len(species)
    centre = np.repeat(np.arange(n), np.diff(pairs.first))
    distance = np.linalg.norm(pairs.vectors, axis=1) / bonds[species[centre], species[pairs.index]]
    shortest = float(distance.min(initial=np.inf))
    bonded = float(np.sum(distance < BONDED)) / n
    return np.array([volume / n, shortest, bonded, local_entropy(z, species)[0]])


def take_census(
    name: str, frames: Frames, recipe: Recipe, standard: Standard, *, progress: Progress = silent
) -> Census:
    """Any frames of the recipe's elements, as if they had been generated.

    Raises
    ------
    InputError
        If a frame has another element, or there is none.
    """
    if not len(frames):
        raise InputError(f"{name} holds no structure to compare with")
    evaluator, bonds = AceEvaluator(recipe.basis), recipe.basis.r0
    known = Gaussians.empty(len(bonds), len(recipe.basis.functions), ridge=recipe.ridge)
    numbers, means, waiting = [], [], []
    for i in range(len(frames)):
        atoms = slice(frames.offsets[i], frames.offsets[i + 1])
        try:
            species = recipe.basis.species(frames.numbers[atoms])
        except InputError as error:
            raise InputError(
                f"{frames.ids_name(i)}: {error}; compare with sets of the same elements"
            ) from None
        pairs = neighbours(frames.positions[atoms], frames.cells[i], frames.pbc[i], recipe.basis.max_cutoff)
        z = standard(evaluator.values_near(species, pairs), species)
        volume = abs(float(np.linalg.det(frames.cells[i]))) if frames.pbc[i].all() else np.nan
        numbers.append(look(volume, species, pairs, z, bonds))
        means.append(z.mean(axis=0))
        waiting.append((z, species))
        if len(waiting) == 256 or i == len(frames) - 1:
            rows, kinds = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
            known, waiting = known.joined(rows, kinds), []
            progress(f"looking at {name}", i + 1, len(frames))
    return Census(name, np.array(numbers), np.array(means), known.entropy, frames.n_atoms)
