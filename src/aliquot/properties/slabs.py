"""How is a crystal cut? Slabs of the smallest surface cell, at every place where it can be cut.

For Miller indices (hkl) the lattice has two shortest vectors v₁, v₂ in the plane and one w that leads from one lattice
plane to the next; together they are a primitive cell. A slab is a number of such planes, each with all atoms of the
primitive cell, and vacuum. Where the planes of atoms inside one lattice plane lie at different heights there are as
many ways to cut, and all slabs have the composition of the crystal.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from math import gcd
from typing import Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["SAME_HEIGHT", "check_miller", "cuts", "slab", "surface_cell"]

Miller = tuple[int, int, int]

#: Largest Miller index: slabs of higher ones are steps rather than surfaces.
HIGHEST: Final = 9

#: Atoms whose heights differ by less than this (Å) are one plane.
SAME_HEIGHT: Final = 1e-3


def surface_cell(primitive: Atoms, conventional: Atoms, miller: Miller) -> Atoms:
    """The primitive cell whose first two vectors span the surface.

    Parameters
    ----------
    primitive, conventional : ase.Atoms
        The crystal; the second is the cell that ``miller`` refers to.
    miller : tuple of int

    Returns
    -------
    ase.Atoms
        First vector along x, second in the xy plane, third upwards by the distance of the lattice planes.

    Raises
    ------
    InputError
        If the indices are all zero or too high.
    """
    check_miller(miller)
    normal = np.linalg.inv(conventional.cell.array) @ np.array(miller, float)
    plane = _smallest_integers(primitive.cell.array @ normal)
    span = range(-max(2, *map(abs, plane)), max(2, *map(abs, plane)) + 1)
    grid = np.array(list(product(span, repeat=3)))
    lengths = np.linalg.norm(grid @ primitive.cell.array, axis=1)
    order = np.lexsort((*grid.T[::-1], np.round(lengths, 6)))
    grid = grid[order]
    level = grid @ np.array(plane)
    within = [v for v in grid[level == 0] if v.any()]
    first, second = next(
        (u, v) for u, v in _by_length(within) if tuple(np.abs(np.cross(u, v))) == tuple(np.abs(plane))
    )
    up = grid[level == 1][0]
    if np.linalg.det(np.array([first, second, up])) < 0:
        second = -second
    return _oriented(primitive, np.array([first, second, up]))


def check_miller(miller: Miller) -> None:
    """Refuse indices that are no surface.

    Raises
    ------
    InputError
        If they are all zero or too high.
    """
    if miller == (0, 0, 0):
        raise InputError("(000) is no surface; give Miller indices such as 100 or 1,-1,0")
    if max(map(abs, miller)) > HIGHEST:
        raise InputError(f"Miller indices up to {HIGHEST} are understood; got {','.join(map(str, miller))}")


def _by_length(vectors: list[NDArray[np.int64]]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs, those of short vectors first (the list is sorted by length)."""
    return (
        (vectors[i], vectors[j]) for j, i in sorted((j, i) for i, j in combinations(range(len(vectors)), 2))
    )


def _smallest_integers(direction: NDArray[np.float64]) -> Miller:
    """The coprime integers in a direction.

    >>> _smallest_integers(np.array([0.0, 0.5, 0.5]))
    (0, 1, 1)
    """
    for factor in range(1, 13):
        scaled = direction * factor
        whole = np.round(scaled)
        if np.abs(scaled - whole).max() < 1e-6:
            common = gcd(*(int(x) for x in whole))
            a, b, c = (int(x) // common for x in whole)
            return a, b, c
    raise InputError(f"no lattice plane has the direction {direction}")


def _oriented(primitive: Atoms, integers: NDArray[np.int64]) -> Atoms:
    """The cell made of these combinations of lattice vectors, turned into place."""
    cell = integers @ primitive.cell.array
    x = cell[0] / np.linalg.norm(cell[0])
    z = np.cross(cell[0], cell[1])
    z /= np.linalg.norm(z)
    axes = np.stack([x, np.cross(z, x), z])  # rows: the new axes
    out = primitive.copy()
    out.positions = primitive.positions @ axes.T
    out.set_cell(cell @ axes.T)
    out.pbc = True
    out.wrap(eps=1e-6)
    return out


def cuts(cell: Atoms) -> list[float]:
    """Heights (Å) between two planes of atoms at which the cell of :func:`surface_cell` can be cut."""
    period = cell.cell.array[2, 2]
    heights = np.sort(cell.positions[:, 2] % period)
    planes = [heights[0]]
    for height in heights[1:]:
        if height - planes[-1] > SAME_HEIGHT:
            planes.append(height)
    if len(planes) > 1 and planes[0] + period - planes[-1] < SAME_HEIGHT:
        planes.pop()
    above = [*planes[1:], planes[0] + period]
    return [(low + high) / 2 % period for low, high in zip(planes, above, strict=True)]


def slab(cell: Atoms, cut: float, *, thickness: float, vacuum: float) -> Atoms:
    """A slab at least ``thickness`` thick, cut at a height, with ``vacuum`` above it (Å).

    The vacuum is what lies between the slab's topmost atoms and the next image's lowest. Periodic in all directions.
    """
    up = cell.cell.array[2]
    period = up[2]
    n_planes = max(1, int(np.ceil(thickness / period - 1e-6)))
    base = cell.copy()
    below = base.positions[:, 2] < cut
    base.positions[below] += up
    out = base.copy()
    for k in range(1, n_planes):
        layer = base.copy()
        layer.positions += k * up
        out += layer
    out.positions[:, 2] -= out.positions[:, 2].min()
    height = out.positions[:, 2].max()
    out.set_cell([*cell.cell.array[:2], [0.0, 0.0, height + vacuum]])
    out.positions[:, 2] += vacuum / 2
    out.wrap(pbc=(True, True, False))
    return out
