"""One attempt at one structure: drawn, packed, driven apart, judged. Its number alone decides its random numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.explore.census import look
from aliquot.explore.entropy import Gaussians, Standard
from aliquot.explore.landscape import Landscape, soft_core
from aliquot.explore.packing import Packing, draw_packing
from aliquot.explore.recipe import Recipe
from aliquot.solvers.threads import one_thread

__all__ = ["ALONE", "CLOSE", "Attempt", "Drive", "attempts", "compile_loops", "packings"]

Array = NDArray[np.float64]

#: What may be wrong with the geometry.
CLOSE: Final = "atoms too close"
ALONE: Final = "an atom alone"

#: An atom without a neighbour within so many bond lengths is alone.
REACH: Final = 1.5

#: Streams of random numbers.
_REFERENCE, _ATTEMPT = 0, 1


@dataclass(frozen=True, eq=False)
class Drive:
    """What drives the atoms of one round of attempts.

    Parameters
    ----------
    standard : Standard
    known : Gaussians
        The set before the round.
    weight : float
        K; 0 for packings alone.
    """

    standard: Standard
    known: Gaussians
    weight: float


@dataclass(frozen=True, eq=False)
class Attempt:
    """What came of one attempt.

    Parameters
    ----------
    number : int
    packing : Packing
        With the final positions, inside the cell.
    species : (n_atoms,) array of int
    rows, packed : (n_atoms, d) array
        Standardised environments at the end, and of the random packing it began with.
    seen, seen_packed : (4,) array
        :data:`~aliquot.explore.census.COLUMNS` of both.
    problem : str
        :data:`CLOSE`, :data:`ALONE` or nothing.
    """

    number: int
    packing: Packing
    species: NDArray[np.int64]
    rows: Array
    packed: Array
    seen: Array
    seen_packed: Array
    problem: str


@lru_cache(maxsize=4)
def _evaluator(recipe: Recipe) -> AceEvaluator:
    """One per process."""
    return AceEvaluator(recipe.basis)


def packings(recipe: Recipe, numbers: list[int]) -> list[tuple[NDArray[np.int64], Array]]:
    """Species and site values of random packings, by which environments are standardised."""
    out = []
    with one_thread():
        for number in numbers:
            packing = draw_packing(recipe, np.random.default_rng([recipe.seed, _REFERENCE, number]))
            core = Landscape(_evaluator(recipe), packing, recipe.repel_below)
            positions, _ = core.relax(packing.positions, recipe.steps)
            out.append((core.species, core.values(positions)))
    return out


def compile_loops(recipe: Recipe) -> bool:
    """Have every compiled loop on disk before other processes look for it; whether this process compiled any.

    Code that was just compiled may order sums otherwise than the same code read from disk, and relaxations make two
    structures of that: for the same answer, all who work have to read it.
    """
    from aliquot.ace import pullback_kernel, values_kernel, verlet_kernel

    with one_thread():
        ((species, values),) = packings(recipe, [0])
        standard = Standard.of(values, species, len(recipe.basis.elements))
        empty = Gaussians.empty(len(recipe.basis.elements), values.shape[1], ridge=recipe.ridge)
        _attempt(replace(recipe, steps=1), Drive(standard, empty, 1.0), 0)
    loops: tuple[Any, ...] = (
        pullback_kernel.pullback,
        values_kernel.site_values,
        verlet_kernel.follow,
        verlet_kernel.within,
    )
    return any(sum(loop.stats.cache_misses.values()) for loop in loops)


def attempts(recipe: Recipe, drive: Drive, numbers: list[int]) -> list[Attempt]:
    """These attempts, one after another."""
    with one_thread():
        return [_attempt(recipe, drive, number) for number in numbers]


def _attempt(recipe: Recipe, drive: Drive, number: int) -> Attempt:
    evaluator, repel_below = _evaluator(recipe), recipe.repel_below
    packing = draw_packing(recipe, np.random.default_rng([recipe.seed, _ATTEMPT, number]))
    core = Landscape(evaluator, packing, repel_below)
    positions, _ = core.relax(packing.positions, recipe.steps)
    packed, seen_packed, _ = _seen(recipe, drive, core, positions)
    if drive.weight > 0.0:
        known = drive.known if recipe.objective != "local" else None
        local = recipe.objective != "global"
        driven = Landscape(evaluator, packing, repel_below, drive.standard, known, local, drive.weight)
        positions, _ = driven.relax(positions, recipe.steps)
    inside = positions @ np.linalg.inv(packing.cell)
    positions = (inside - np.floor(inside)) @ packing.cell
    rows, seen, problem = _seen(recipe, drive, core, positions)
    final = Packing(packing.numbers, positions, packing.cell, packing.shape)
    return Attempt(number, final, core.species, rows, packed, seen, seen_packed, problem)


def _seen(recipe: Recipe, drive: Drive, here: Landscape, positions: Array) -> tuple[Array, Array, str]:
    """Standardised environments, what is told of the structure, and what is wrong with it."""
    pairs = here.around(positions)
    z = drive.standard(here.evaluator.values_near(here.species, pairs), here.species)
    volume = abs(float(np.linalg.det(here.packing.cell)))
    seen = look(volume, here.species, pairs, z, recipe.basis.r0)
    _, _, shortest = soft_core(here.species, pairs, recipe.repel_below)
    if not (np.isfinite(z).all() and shortest >= recipe.closest):
        return z, seen, CLOSE
    centre = np.repeat(np.arange(len(here.species)), np.diff(pairs.first))
    bonds = recipe.basis.r0[here.species[centre], here.species[pairs.index]]
    near = np.linalg.norm(pairs.vectors, axis=1) < REACH * bonds
    return z, seen, "" if len(np.unique(centre[near])) == len(here.species) else ALONE
