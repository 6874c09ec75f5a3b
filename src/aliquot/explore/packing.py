"""Where does a structure begin? A random cell of a family, atoms anywhere in it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.explore.composition import Composition
from aliquot.explore.recipe import SHAPES, Recipe

__all__ = ["Packing", "draw_packing"]

Array = NDArray[np.float64]

#: Edges are stretched by up to this factor, either way; angles lie in this range, degrees.
STRETCH: Final = 1.25
ANGLES: Final = (60.0, 120.0)

#: Cells that are tried before the volume range counts as too small.
ATTEMPTS: Final = 1000

_STEPS: Final = np.array([s for s in product((-2, -1, 0, 1, 2), repeat=3) if s > (0, 0, 0)], float)


@dataclass(frozen=True, eq=False)
class Packing:
    """One structure, periodic in all directions.

    Parameters
    ----------
    numbers : (n_atoms,) array of int
        Atomic numbers, ascending.
    positions : (n_atoms, 3) array, Å
    cell : (3, 3) array, Å
    shape : str
        Family of the cell.
    """

    numbers: NDArray[np.int32]
    positions: Array
    cell: Array
    shape: str


def draw_packing(recipe: Recipe, rng: np.random.Generator) -> Packing:
    """Composition, volume, cell and positions, in this order.

    Raises
    ------
    InputError
        If no cell of the smallest volumes keeps an atom and its own images apart.
    """
    composition = Composition(recipe.composition)
    numbers = composition.draw(int(rng.choice(composition.sizes(*recipe.atoms))), rng)
    species = recipe.basis.species(numbers)
    low, high = recipe.volumes[species].sum(axis=0)
    apart = recipe.closest * recipe.repel_below[species, species].max()
    for _ in range(ATTEMPTS):
        shape = str(rng.choice(recipe.shapes))
        volume = rng.uniform(low, high)
        cell = _cell(SHAPES[shape], rng)
        cell *= (volume / abs(np.linalg.det(cell))) ** (1.0 / 3.0)
        if np.linalg.norm(_STEPS @ cell, axis=1).min() >= apart:
            return Packing(numbers, rng.random((len(numbers), 3)) @ cell, cell, shape)
    raise InputError(
        f"no cell of {len(numbers)} atoms and {low / len(numbers):.3g} to {high / len(numbers):.3g} Å³ per atom keeps"
        f" an atom {apart:.3g} Å from its own images; ask for more atoms or more volume"
    )


def _cell(ratio: tuple[float, float, float], rng: np.random.Generator) -> Array:
    """A cell of these edge ratios, roughly; its angles leave it at least half the volume of a brick."""
    from ase.geometry import cellpar_to_cell

    while True:
        edges = np.array(ratio) * STRETCH ** rng.uniform(-1.0, 1.0, 3)
        angles = rng.uniform(*ANGLES, 3)
        cosines = np.cos(np.deg2rad(angles))
        if 1.0 + 2.0 * cosines.prod() - np.square(cosines).sum() > 0.25:
            return np.array(cellpar_to_cell([*edges, *angles]), float)
