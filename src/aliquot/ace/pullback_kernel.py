r"""Compiled loop: the derivative of any function of site values, without forming rows.

Given cotangents :math:`g_{ik} = \partial f / \partial B_{ik}`, different for every atom, forces and virial are those
of the scalar :math:`f`,

.. math:: F_a = -\sum_{ik} g_{ik} \frac{\partial B_{ik}}{\partial r_a}, \qquad
          W = -\sum_{ij} r_{ij} \otimes \frac{\partial f}{\partial r_{ij}} .

The product list of the basis is run backwards for eight atoms at once, of whatever species, with their cotangents
as lanes; from the densities to the atoms the way is that of :mod:`aliquot.ace.forces_kernel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aliquot.ace.environment import densities, look_around
from aliquot.ace.forces_kernel import pair_forces, pair_slopes, spread
from aliquot.ace.jit import jit
from aliquot.ace.simd import LANES, load, multiply, multiply_add, splat, store
from aliquot.ace.workspace import new_workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aliquot.ace.program import Program, Radials

__all__ = ["pullback"]


@jit
def _density_slopes(
    program: Program,
    cotangent: NDArray[np.float64],
    density: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> None:
    """Derivative of Σₖ g B by the densities, (n_density, LANES), from g (n_functions, LANES)."""
    slope[:] = 0.0
    first, factor, order = program.term_first, program.term_factor, program.order_first
    for v in range(4):
        for k in range(order[v], order[v + 1]):
            g = load(cotangent, LANES * k)
            for t in range(first[k], first[k + 1]):
                c = multiply(splat(program.term_coefficient[t]), g)
                at_a = LANES * factor[t, 0]
                if v == 0:
                    store(slope, at_a, multiply_add(splat(1.0), c, load(slope, at_a)))
                    continue
                at_b = LANES * factor[t, 1]
                ca, cb = multiply(c, load(density, at_a)), multiply(c, load(density, at_b))
                if v == 1:
                    store(slope, at_a, multiply_add(splat(1.0), cb, load(slope, at_a)))
                    store(slope, at_b, multiply_add(splat(1.0), ca, load(slope, at_b)))
                    continue
                at_d = LANES * factor[t, 2]
                d, cab = load(density, at_d), multiply(ca, load(density, at_b))
                if v == 2:
                    store(slope, at_a, multiply_add(cb, d, load(slope, at_a)))
                    store(slope, at_b, multiply_add(ca, d, load(slope, at_b)))
                    store(slope, at_d, multiply_add(splat(1.0), cab, load(slope, at_d)))
                    continue
                at_e = LANES * factor[t, 3]
                e = load(density, at_e)
                de = multiply(d, e)
                store(slope, at_a, multiply_add(cb, de, load(slope, at_a)))
                store(slope, at_b, multiply_add(ca, de, load(slope, at_b)))
                store(slope, at_d, multiply_add(cab, e, load(slope, at_d)))
                store(slope, at_e, multiply_add(cab, d, load(slope, at_e)))


@jit
def pullback(
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    cotangent: NDArray[np.float64],
    forces: NDArray[np.float64],
    virial: NDArray[np.float64],
) -> None:
    """Add −∂f/∂r to ``forces`` (n_atoms, 3) and −Σ r ⊗ ∂f/∂r to ``virial`` (3, 3).

    Parameters
    ----------
    cotangent : (n_atoms, n_functions) array
        ∂f/∂B of every function of every atom.
    """
    n_atoms, n_functions = cotangent.shape
    work = new_workspace(first, radials, program, True)
    most = work.x.shape[0]
    density, slope = np.zeros((program.n_density, LANES)), np.empty((program.n_density, LANES))
    lanes = np.zeros((n_functions, LANES))
    pair_slope = np.empty(program.pair_first[-1])
    along, turn, stretch, gradient = np.empty(most), np.empty(most), np.empty(most), np.zeros((most, 4))
    for start in range(0, n_atoms, LANES):
        stop = min(start + LANES, n_atoms)
        for i in range(start, stop):
            densities(i, first, index, vectors, species, radials, program, work, i - start, density)
            for k in range(n_functions):
                lanes[k, i - start] = cotangent[i, k]
        _density_slopes(program, lanes, density, slope)
        for i in range(start, stop):
            for other in range(program.channel_weights.shape[1]):
                count = look_around(i, other, first, index, vectors, species, radials, program, work)
                if count == 0:
                    continue
                pair_slopes(other, i - start, program, slope, pair_slope)
                pair_forces(count, program, pair_slope, work, along, turn, stretch, gradient)
                spread(i, count, work, gradient, forces, virial)
    virial[2, 1], virial[2, 0], virial[1, 0] = virial[1, 2], virial[0, 2], virial[0, 1]
