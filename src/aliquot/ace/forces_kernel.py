"""Compiled loop: energies, forces and virial of a potential, without forming rows.

The derivative of the energy by the densities is found by the hand-written adjoint of the contraction, for eight
atoms of one species at once; the force on each neighbour is then a sum over (n, l, m), one vector loop over
neighbours per harmonic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aliquot.ace.environment import densities, look_around
from aliquot.ace.jit import jit
from aliquot.ace.simd import LANES, axpy, load, load4, multiply, multiply_add, splat, store
from aliquot.ace.values_kernel import products
from aliquot.ace.workspace import new_workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aliquot.ace.contraction import Contraction
    from aliquot.ace.program import Program, Radials
    from aliquot.ace.workspace import Workspace

__all__ = ["adjoint", "forces", "forces_and_values", "pair_forces", "pair_slopes", "spread"]


@jit
def adjoint(
    z: int,
    contraction: Contraction,
    density: NDArray[np.float64],
    slope: NDArray[np.float64],
    energy: NDArray[np.float64],
) -> None:
    """Energy (LANES,) and its derivative by the densities (n_density, LANES) of atoms of species ``z``."""
    slope[:] = 0.0
    total = splat(0.0)
    for p in range(contraction.single_first[z], contraction.single_first[z + 1]):
        at, c = LANES * contraction.single[p], contraction.single_c[p]
        total = axpy(c, load(density, at), total)
        store(slope, at, axpy(1.0, splat(c), load(slope, at)))
    for p in range(contraction.couple_first[z], contraction.couple_first[z + 1]):
        at_a, at_b = LANES * contraction.couple[p, 0], LANES * contraction.couple[p, 1]
        a, b = load(density, at_a), load(density, at_b)
        ab, inner = multiply(a, b), splat(contraction.couple_c[p])
        for t in range(contraction.third_first[p], contraction.third_first[p + 1]):
            at, c = LANES * contraction.third[t], contraction.third_c[t]
            inner = axpy(c, load(density, at), inner)
            store(slope, at, axpy(c, ab, load(slope, at)))
        for t in range(contraction.fourth_first[p], contraction.fourth_first[p + 1]):
            at_d, at_e = LANES * contraction.fourth[t, 0], LANES * contraction.fourth[t, 1]
            d, e, c = load(density, at_d), load(density, at_e), contraction.fourth_c[t]
            inner = axpy(c, multiply(d, e), inner)
            cab = multiply(splat(c), ab)
            store(slope, at_d, multiply_add(cab, e, load(slope, at_d)))
            store(slope, at_e, multiply_add(cab, d, load(slope, at_e)))
        total = multiply_add(inner, ab, total)
        store(slope, at_a, multiply_add(inner, b, load(slope, at_a)))
        store(slope, at_b, multiply_add(inner, a, load(slope, at_b)))
    store(energy, 0, total)


@jit
def pair_slopes(
    other: int, lane: int, program: Program, slope: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Derivative of the energy by the pair sums of species ``other``, (n_pair_sums,)."""
    out[:] = 0.0
    for channel in range(program.channel_weights.shape[0]):
        weight = program.channel_weights[channel, other]
        if weight == 0.0:
            continue
        for entry in range(program.channel_first[channel], program.channel_first[channel + 1]):
            pair, start = program.channel_pair[entry], program.channel_density[entry]
            target = program.pair_first[pair]
            for m in range(2 * program.pair_l[pair] + 1):
                out[target + m] += weight * slope[start + m, lane]


@jit
def pair_forces(
    count: int,
    program: Program,
    slope: NDArray[np.float64],
    work: Workspace,
    along: NDArray[np.float64],
    turn: NDArray[np.float64],
    stretch: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Derivative of the energy by the vector to each neighbour into ``out`` (neighbours, 4)."""
    ld, n_pairs = work.gradients.shape[1], program.pair_l.shape[0]
    out[:count] = 0.0
    along[:count] = 0.0
    begin = 0
    while begin < n_pairs:  # pairs stand by l, then n
        l, end = program.pair_l[begin], begin
        while end < n_pairs and program.pair_l[end] == l:
            end += 1
        for m in range(2 * l + 1):
            turn[:count] = 0.0
            stretch[:count] = 0.0
            for pair in range(begin, end):
                weight = slope[program.pair_first[pair] + m]
                value, rise = work.radial[program.pair_row[pair]], work.slope[program.pair_row[pair]]
                for j in range(count):
                    turn[j] += weight * value[j]
                    stretch[j] += weight * rise[j]
            harmonic = work.harmonics[l * l + m]
            for j in range(count):
                turn[j] /= work.r[j]
                along[j] += (stretch[j] - l * turn[j]) * harmonic[j]
            if l > 0:
                for j in range(count):
                    gradient = load4(work.gradients, 4 * ((l * l + m) * ld + j))
                    store(out, 4 * j, axpy(turn[j], gradient, load4(out, 4 * j)))
        begin = end
    for j in range(count):
        out[j, 0] += along[j] * work.x[j]
        out[j, 1] += along[j] * work.y[j]
        out[j, 2] += along[j] * work.z[j]


@jit
def spread(
    i: int,
    count: int,
    work: Workspace,
    gradient: NDArray[np.float64],
    out: NDArray[np.float64],
    virial: NDArray[np.float64],
) -> None:
    """What derivatives by the vectors to the neighbours of ``i`` add to forces, and to the upper half of the virial."""
    for j in range(count):
        target, r = work.target[j], work.r[j]
        dx, dy, dz = gradient[j, 0], gradient[j, 1], gradient[j, 2]
        out[target, 0] -= dx
        out[target, 1] -= dy
        out[target, 2] -= dz
        out[i, 0] += dx
        out[i, 1] += dy
        out[i, 2] += dz
        x, y, z = r * work.x[j], r * work.y[j], r * work.z[j]
        virial[0, 0] -= x * dx
        virial[1, 1] -= y * dy
        virial[2, 2] -= z * dz
        virial[1, 2] -= y * dz
        virial[0, 2] -= x * dz
        virial[0, 1] -= x * dy


@jit
def forces(
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    contraction: Contraction,
    start_atom: int,
    stop_atom: int,
    energies: NDArray[np.float64],
    out: NDArray[np.float64],
    virial: NDArray[np.float64],
) -> None:
    """Energies of atoms ``start_atom:stop_atom``, and what they contribute to forces and virial.

    Parameters
    ----------
    energies : (n_atoms,) array
        Overwritten for the named atoms.
    out : (n_atoms, 3) array
        Forces, added to.
    virial : (3, 3) array
        −Σ r ⊗ dE/dr, added to.
    """
    forces_and_values(
        first,
        index,
        vectors,
        species,
        radials,
        program,
        contraction,
        start_atom,
        stop_atom,
        energies,
        out,
        virial,
        np.empty((0, 0)),
    )


@jit
def forces_and_values(
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    contraction: Contraction,
    start_atom: int,
    stop_atom: int,
    energies: NDArray[np.float64],
    out: NDArray[np.float64],
    virial: NDArray[np.float64],
    values: NDArray[np.float64],
) -> None:
    """:func:`forces`, and on the way the functions of the atoms, for a fraction of what they cost alone.

    Parameters
    ----------
    values : (n_atoms, n_functions) array
        Overwritten for the named atoms; an array of no rows asks for none.
    """
    wanted = values.shape[0] > 0
    site = np.empty((values.shape[1], LANES))
    work = new_workspace(first, radials, program, True)
    most = work.x.shape[0]
    density, slope = np.zeros((program.n_density, LANES)), np.empty((program.n_density, LANES))
    pair_slope, energy = np.empty(program.pair_first[-1]), np.empty(LANES)
    along, turn, stretch = np.empty(most), np.empty(most), np.empty(most)
    gradient = np.zeros((most, 4))
    members = np.empty(LANES, np.int64)
    for z in range(program.channel_weights.shape[1]):
        filled = 0
        for atom in range(start_atom, stop_atom + 1):
            if atom < stop_atom:
                if species[atom] != z:
                    continue
                members[filled] = atom
                filled += 1
            if filled == 0 or (filled < LANES and atom < stop_atom):
                continue
            for lane in range(filled):
                densities(
                    members[lane], first, index, vectors, species, radials, program, work, lane, density
                )
            if wanted:
                products(program, density, site)
                for k in range(site.shape[0]):
                    for lane in range(filled):
                        values[members[lane], k] = site[k, lane]
            adjoint(z, contraction, density, slope, energy)
            for lane in range(filled):
                i = members[lane]
                energies[i] = energy[lane]
                for other in range(program.channel_weights.shape[1]):
                    count = look_around(i, other, first, index, vectors, species, radials, program, work)
                    if count == 0:
                        continue
                    pair_slopes(other, lane, program, slope, pair_slope)
                    pair_forces(count, program, pair_slope, work, along, turn, stretch, gradient)
                    for j in range(count):  # what spread does, written out: here a call would cost 5 %
                        target, r = work.target[j], work.r[j]
                        dx, dy, dz = gradient[j, 0], gradient[j, 1], gradient[j, 2]
                        out[target, 0] -= dx
                        out[target, 1] -= dy
                        out[target, 2] -= dz
                        out[i, 0] += dx
                        out[i, 1] += dy
                        out[i, 2] += dz
                        x, y, zz = r * work.x[j], r * work.y[j], r * work.z[j]
                        virial[0, 0] -= x * dx
                        virial[1, 1] -= y * dy
                        virial[2, 2] -= zz * dz
                        virial[1, 2] -= y * dz
                        virial[0, 2] -= x * dz
                        virial[0, 1] -= x * dy
            filled = 0
    virial[2, 1], virial[2, 0], virial[1, 0] = virial[1, 2], virial[0, 2], virial[0, 1]
