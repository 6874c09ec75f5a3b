"""Compiled loops: the basis of a structure first, then the forces of two sets of coefficients at once.

The coefficients of a bias depend on the functions of all atoms, and so are known only after a first pass. That
pass keeps the densities; the second one goes from them to forces, and shares what both sets need of the neighbours.
Together they cost one and a half force calls at 211 functions; two calls one after the other cost more than two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aliquot.ace.environment import densities, look_around
from aliquot.ace.forces_kernel import adjoint, pair_forces, pair_slopes, spread
from aliquot.ace.jit import jit
from aliquot.ace.simd import LANES
from aliquot.ace.values_kernel import products
from aliquot.ace.workspace import new_workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aliquot.ace.contraction import Contraction
    from aliquot.ace.program import Program, Radials

__all__ = ["gather_functions", "in_lanes", "pull_two"]


def in_lanes(species: NDArray[np.int64], n_species: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Atoms of one species, as many as there are lanes at a time: (blocks, LANES), −1 where none; species (blocks,)."""
    members: list[NDArray[np.int64]] = []
    element: list[int] = []
    for z in range(n_species):
        atoms = np.flatnonzero(species == z)
        for start in range(0, len(atoms), LANES):
            block = np.full(LANES, -1, np.int64)
            some = atoms[start : start + LANES]
            block[: len(some)] = some
            members.append(block)
            element.append(z)
    return np.array(members, np.int64).reshape(-1, LANES), np.array(element, np.int64)


@jit
def gather_functions(
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    members: NDArray[np.int64],
    density: NDArray[np.float64],
    values: NDArray[np.float64],
) -> None:
    """Densities (blocks, n_density, LANES) and functions (n_atoms, n_functions) of all atoms; overwritten."""
    work = new_workspace(first, radials, program, False)
    site = np.empty((values.shape[1], LANES))
    for b in range(members.shape[0]):
        density[b] = 0.0
        for lane in range(LANES):
            if members[b, lane] >= 0:
                densities(
                    members[b, lane],
                    first,
                    index,
                    vectors,
                    species,
                    radials,
                    program,
                    work,
                    lane,
                    density[b],
                )
        products(program, density[b], site)
        for lane in range(LANES):
            i = members[b, lane]
            if i >= 0:
                for k in range(values.shape[1]):
                    values[i, k] = site[k, lane]


@jit
def pull_two(
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    members: NDArray[np.int64],
    element: NDArray[np.int64],
    density: NDArray[np.float64],
    one: Contraction,
    two: Contraction,
    energies: NDArray[np.float64],
    out: NDArray[np.float64],
    virial: NDArray[np.float64],
) -> None:
    """Energies, forces and virial of two sets of coefficients; of the first alone where ``out`` has room for one.

    Parameters
    ----------
    members, element, density
        From :func:`in_lanes` and :func:`gather_functions`.
    energies : (1 or 2, n_atoms) array
        Overwritten.
    out : (1 or 2, n_atoms, 3) array
        Forces, added to.
    virial : (1 or 2, 3, 3) array
        −Σ r ⊗ dE/dr, added to.
    """
    sets = out.shape[0]
    work = new_workspace(first, radials, program, True)
    most = work.x.shape[0]
    slope, energy = np.empty((sets, program.n_density, LANES)), np.empty(LANES)
    pair_slope = np.empty(program.pair_first[-1])
    along, turn, stretch = np.empty(most), np.empty(most), np.empty(most)
    gradient = np.zeros((most, 4))
    for b in range(members.shape[0]):
        z = element[b]
        for s in range(sets):
            if s == 0:
                adjoint(z, one, density[b], slope[0], energy)
            else:
                adjoint(z, two, density[b], slope[1], energy)
            for lane in range(LANES):
                if members[b, lane] >= 0:
                    energies[s, members[b, lane]] = energy[lane]
        for lane in range(LANES):
            i = members[b, lane]
            if i < 0:
                continue
            for other in range(program.channel_weights.shape[1]):
                count = look_around(i, other, first, index, vectors, species, radials, program, work)
                if count == 0:
                    continue
                for s in range(sets):
                    pair_slopes(other, lane, program, slope[s], pair_slope)
                    pair_forces(count, program, pair_slope, work, along, turn, stretch, gradient)
                    spread(i, count, work, gradient, out[s], virial[s])
    for s in range(sets):
        virial[s, 2, 1], virial[s, 2, 0], virial[s, 1, 0] = virial[s, 1, 2], virial[s, 0, 2], virial[s, 0, 1]
