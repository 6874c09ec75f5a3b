r"""Compiled loop: energy, force and virial rows of one structure, that is, the derivatives of every function.

With :math:`B_{ik}` function k around atom i, the row of function k of the energy is :math:`\sum_i B_{ik}`, of the
force on atom a :math:`-\sum_i \partial B_{ik} / \partial r_a`, of the virial
:math:`-\sum_{ij} r_{ij} \otimes \partial B_{ik} / \partial r_{ij}`. The chain goes through the densities:

.. math:: \frac{\partial B_{ik}}{\partial r_{ij}}
          = \sum_a \frac{\partial B_{ik}}{\partial A_{ia}} \frac{\partial \phi_a(r_{ij})}{\partial r_{ij}},

where :math:`\partial B / \partial A` is sparse (seven to nine entries per function). It is evaluated for eight
atoms at once; the sum over a is then a sparse combination of rows of :math:`\partial\phi`, which stand in blocks
of 24 doubles: six *quads* (x, y, z, 0), one per neighbour, that stay in three registers. The centre atom and the
strain derivative are further quads: minus the sum over neighbours, and the sum of :math:`r \otimes`.

Operations per atom with m neighbours and J entries of the Jacobian: about 4 (m + 3) J multiply–adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aliquot.ace.environment import densities, look_around
from aliquot.ace.jit import jit
from aliquot.ace.simd import (
    LANES,
    axpy,
    load,
    load4,
    multiply,
    multiply_add,
    splat,
    splat4,
    store,
    subtract_halves,
    voigt,
)
from aliquot.ace.workspace import new_workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aliquot.ace.program import Jacobian, Program, Radials
    from aliquot.ace.workspace import Workspace

__all__ = ["rows"]

QUADS = 6  # per block
BLOCK = 4 * QUADS


@jit
def _products_with_jacobian(
    program: Program,
    jacobian: Jacobian,
    density: NDArray[np.float64],
    out: NDArray[np.float64],
    slopes: NDArray[np.float64],
) -> None:
    """Values (n_functions, LANES) and the entries of dB/dA (n_entries, LANES) of all lanes."""
    slopes[:] = 0.0
    first, factor, entry = program.term_first, program.term_factor, jacobian.term_entry
    for v in range(4):
        for k in range(program.order_first[v], program.order_first[v + 1]):
            value = splat(0.0)
            for t in range(first[k], first[k + 1]):
                c = splat(program.term_coefficient[t])
                a = load(density, LANES * factor[t, 0])
                e0 = LANES * entry[t, 0]
                if v == 0:
                    value = multiply_add(c, a, value)
                    store(slopes, e0, axpy(1.0, c, load(slopes, e0)))
                    continue
                b = load(density, LANES * factor[t, 1])
                e1 = LANES * entry[t, 1]
                ca, cb = multiply(c, a), multiply(c, b)
                if v == 1:
                    value = multiply_add(ca, b, value)
                    store(slopes, e0, axpy(1.0, cb, load(slopes, e0)))
                    store(slopes, e1, axpy(1.0, ca, load(slopes, e1)))
                    continue
                d = load(density, LANES * factor[t, 2])
                e2 = LANES * entry[t, 2]
                if v == 2:
                    cab = multiply(ca, b)
                    value = multiply_add(cab, d, value)
                    store(slopes, e0, multiply_add(cb, d, load(slopes, e0)))
                    store(slopes, e1, multiply_add(ca, d, load(slopes, e1)))
                    store(slopes, e2, axpy(1.0, cab, load(slopes, e2)))
                    continue
                e = load(density, LANES * factor[t, 3])
                e3 = LANES * entry[t, 3]
                cab, de = multiply(ca, b), multiply(d, e)
                value = multiply_add(cab, de, value)
                store(slopes, e0, multiply_add(cb, de, load(slopes, e0)))
                store(slopes, e1, multiply_add(ca, de, load(slopes, e1)))
                store(slopes, e2, multiply_add(cab, e, load(slopes, e2)))
                store(slopes, e3, multiply_add(cab, d, load(slopes, e3)))
            store(out, LANES * k, value)


@jit
def _pair_gradients(
    count: int,
    program: Program,
    work: Workspace,
    unit: NDArray[np.float64],
    arm: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """dφ/dr of every pair sum into ``out`` (blocks, n_pair_sums, BLOCK): strain (2 quads), centre, neighbours."""
    n_sums, ld = program.pair_first[-1], work.gradients.shape[1]
    for j in range(count):
        x, y, z, r = work.x[j], work.y[j], work.z[j], work.r[j]
        unit[j, 0], unit[j, 1], unit[j, 2] = x, y, z
        arm[j, 0], arm[j, 1], arm[j, 2], arm[j, 3], arm[j, 4], arm[j, 5] = (
            r * x,
            r * y,
            r * z,
            r * y,
            r * x,
            r * x,
        )
    last = (count + 2) // QUADS
    for pair in range(program.pair_l.shape[0]):
        n, l, start = program.pair_row[pair], program.pair_l[pair], program.pair_first[pair]
        for m in range(2 * l + 1):
            lm, row = l * l + m, start + m
            for q in range(count + 3 - last * QUADS, QUADS):
                store(out, (last * n_sums + row) * BLOCK + 4 * q, splat4(0.0))
            centre, strain = splat4(0.0), splat(0.0)
            for j in range(count):
                turn = work.radial[n, j] / work.r[j]
                stretch = (work.slope[n, j] - l * turn) * work.harmonics[lm, j]
                along = multiply(splat4(turn), load4(work.gradients, 4 * (lm * ld + j)))
                gradient = axpy(stretch, load4(unit, 4 * j), along)
                quad = j + 3
                store(out, ((quad // QUADS) * n_sums + row) * BLOCK + 4 * (quad % QUADS), gradient)
                centre = axpy(-1.0, gradient, centre)
                strain = multiply_add(load(arm, LANES * j), voigt(gradient), strain)
            store(out, row * BLOCK, strain)
            store(out, row * BLOCK + LANES, centre)


@jit
def _combine(
    channel: int,
    blocks: int,
    jacobian: Jacobian,
    slope: NDArray[np.float64],
    gradients: NDArray[np.float64],
    place: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Subtract (dB/dA)(dA/dr) of one channel from the rows at ``place`` (one flat position per quad)."""
    n_sums = gradients.shape[1]
    for b in range(blocks):
        base, p = b * n_sums * BLOCK, b * QUADS
        p0, p1, p2, p3, p4, p5 = (
            place[p],
            place[p + 1],
            place[p + 2],
            place[p + 3],
            place[p + 4],
            place[p + 5],
        )
        for g in range(jacobian.channel_first[channel], jacobian.channel_first[channel + 1]):
            one, two, three = splat(0.0), splat(0.0), splat(0.0)
            for e in range(jacobian.entry_first[g], jacobian.entry_first[g + 1]):
                at, s = base + BLOCK * jacobian.pair_sum[e], slope[e]
                one = axpy(s, load(gradients, at), one)
                two = axpy(s, load(gradients, at + LANES), two)
                three = axpy(s, load(gradients, at + 2 * LANES), three)
            k = 4 * jacobian.function[g]
            subtract_halves(out, p0 + k, p1 + k, one)
            subtract_halves(out, p2 + k, p3 + k, two)
            subtract_halves(out, p4 + k, p5 + k, three)


@jit
def rows(
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    jacobian: Jacobian,
    start_atom: int,
    stop_atom: int,
    energy: NDArray[np.float64],
    derivative: NDArray[np.float64],
) -> None:
    """Add the contributions of atoms ``start_atom:stop_atom`` to the rows of a structure.

    Parameters
    ----------
    energy : (n_species, n_functions) array
        Energy row, one block per species of the centre.
    derivative : (n_atoms + 2, n_species, n_functions, 4) array
        Force rows of every atom (x, y, z, unused), then the virial as (xx, yy, zz, yz) and (xz, xy, –, –).
    """
    n_atoms, n_functions = first.shape[0] - 1, energy.shape[1]
    work = new_workspace(first, radials, program, True)
    most, n_sums = work.x.shape[0], program.pair_first[-1]
    density = np.zeros((program.n_density, LANES))
    values = np.empty((n_functions, LANES))
    slopes = np.empty((jacobian.pair_sum.shape[0], LANES))
    slope = np.empty((LANES, jacobian.pair_sum.shape[0]))
    unit, arm = np.zeros((most, 4)), np.zeros((most, LANES))
    gradients = np.zeros(((most + 2) // QUADS + 1, n_sums, BLOCK))
    place = np.empty(gradients.shape[0] * QUADS, np.int64)
    stride = 4 * n_functions
    n_species = energy.shape[0]
    for start in range(start_atom, stop_atom, LANES):
        stop = min(start + LANES, stop_atom)
        for i in range(start, stop):
            densities(i, first, index, vectors, species, radials, program, work, i - start, density)
        _products_with_jacobian(program, jacobian, density, values, slopes)
        for e in range(slopes.shape[0]):
            for lane in range(LANES):
                slope[lane, e] = slopes[e, lane]
        for i in range(start, stop):
            lane, z = i - start, species[i]
            for k in range(n_functions):
                energy[z, k] += values[k, lane]
            for other in range(program.channel_weights.shape[1]):
                count = look_around(i, other, first, index, vectors, species, radials, program, work)
                if count == 0:
                    continue
                _pair_gradients(count, program, work, unit, arm, gradients)
                blocks = (count + 2) // QUADS + 1
                place[0], place[1], place[2] = n_atoms, n_atoms + 1, i
                for j in range(count):
                    place[j + 3] = work.target[j]
                for q in range(count + 3, blocks * QUADS):
                    place[q] = n_atoms + 1  # subtracts zero
                for q in range(blocks * QUADS):
                    place[q] = (place[q] * n_species + z) * stride
                for channel in range(program.channel_weights.shape[0]):
                    if program.channel_weights[channel, other] == 1.0:
                        _combine(channel, blocks, jacobian, slope[lane], gradients, place, derivative)
