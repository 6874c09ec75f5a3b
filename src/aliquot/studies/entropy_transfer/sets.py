"""Which structures teach and judge? Those of experts, those of maximum entropy, and random packings as a control.

A split keeps together what belongs together: runs of consecutive structures of the expert set (steps of one
trajectory, neighbouring points of one γ surface), and every exact copy with its original. Structures that are generated
are attempts of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.explore import Recipe, generate
from aliquot.explore.attempt import Drive, attempts, packings
from aliquot.explore.entropy import Gaussians, Standard
from aliquot.progress import Progress, silent
from aliquot.structures import Frames, exact_duplicates
from aliquot.studies.data import Data

__all__ = ["ENTROPY", "EXPERT", "PACKED", "SETS", "draw_parts", "groups_of", "make_set"]

EXPERT: Final = "expert"
ENTROPY: Final = "entropy"
PACKED: Final = "packed"

#: Every set, in the order of tables.
SETS: Final = (EXPERT, ENTROPY, PACKED)

#: Packings that are drawn at a time.
TOGETHER: Final = 64

Index = NDArray[np.int64]


def make_set(
    name: str,
    data: Data,
    *,
    source: str,
    n: int,
    atoms: int,
    seed: int,
    folder: Path,
    progress: Progress = silent,
) -> Frames:
    """The structures of a set.

    Parameters
    ----------
    name : str
        One of :data:`SETS`.
    data : Data
    source : str
        Name of the expert set.
    n : int
        How many, at most; of the expert set evenly spaced ones, so that every kind keeps its share. 0 for all.
    atoms : int
        Of every structure that is made.
    seed : int
    folder : Path
        Where generation keeps what it has.
    """
    if name == EXPERT:
        frames = data.read(source)
        chosen = (
            np.arange(len(frames)) if not n else np.unique(np.linspace(0, len(frames) - 1, n).astype(int))
        )
        return frames[chosen]
    recipe = Recipe("W", atoms=(atoms, atoms), seed=seed)
    if name == ENTROPY:
        return generate(recipe, n, folder=folder, progress=progress).frames
    return _pack(recipe, n, progress)


def _pack(recipe: Recipe, n: int, progress: Progress) -> Frames:
    """What generation begins with: relaxed on the soft core alone, and judged by the same geometry."""
    from ase import Atoms

    ((species, values),) = packings(recipe, [0])
    standard = Standard.of(values, species, 1)
    still = Drive(standard, Gaussians.empty(1, values.shape[1], ridge=recipe.ridge), weight=0.0)
    made: list[Atoms] = []
    begin = 0
    while len(made) < n:
        for one in attempts(recipe, still, list(range(begin, begin + TOGETHER))):
            if not one.problem:
                packing = one.packing
                made.append(Atoms(packing.numbers, packing.positions, cell=packing.cell, pbc=True))
        begin += TOGETHER
        progress("packings", min(len(made), n), n)
    return Frames.from_atoms(made[:n], source="packed")


def groups_of(frames: Frames, *, run: int) -> tuple[Index, NDArray[np.str_]]:
    """What must not be torn apart, and the kind of each such group.

    Parameters
    ----------
    frames : Frames
    run : int
        Consecutive structures of one config type that belong together; 1 where they are independent.

    Returns
    -------
    group : (n_frames,) array of int
    kind : (n_groups,) array of str
        The config type of the first structure of each group.
    """
    kinds = frames.config_type
    change = np.flatnonzero(np.concatenate(([True], kinds[1:] != kinds[:-1])))
    begin = change[np.searchsorted(change, np.arange(len(frames)), side="right") - 1]
    run_of = np.stack([begin, (np.arange(len(frames)) - begin) // run], axis=1)
    group = np.unique(run_of, axis=0, return_inverse=True)[1].ravel()
    for copies in exact_duplicates(frames):  # groups with copies of each other become one
        ours = np.unique(group[copies])
        group[np.isin(group, ours)] = ours[0]
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    return group.ravel().astype(np.int64), kinds[first]


def draw_parts(
    group: Index, kind: NDArray[np.str_], *, test: float, validation: float, rng: np.random.Generator
) -> tuple[Index, Index, Index]:
    """Structures that teach, that decide, and that judge; of every kind of group the same share of groups.

    Examples
    --------
    >>> group, kind = np.arange(8) // 2, np.array(["a", "a", "b", "b"])
    >>> parts = draw_parts(group, kind, test=0.5, validation=0.0, rng=np.random.default_rng(0))
    >>> [len(part) for part in parts]
    [4, 0, 4]
    """
    role = np.zeros(len(kind), np.int64)
    for name in np.unique(kind):
        order = rng.permutation(np.flatnonzero(kind == name))
        n_test, n_validation = (round(share * len(order)) for share in (test, validation))
        role[order[:n_test]] = 2
        role[order[n_test : n_test + n_validation]] = 1
    of = role[group]
    return np.flatnonzero(of == 0), np.flatnonzero(of == 1), np.flatnonzero(of == 2)
