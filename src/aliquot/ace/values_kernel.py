"""Compiled loop: values of every basis function of every atom.

Products are evaluated for eight atoms at once: A is stored as (density, atom), and one term of the basis costs
one vector operation for all of them. Operations per atom with m neighbours, D densities and T terms: about
m (6 n_max + 8 (l_max + 1)²) for the radial and angular tables, 2 m D for the densities, 2 ν T for the products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aliquot.ace.environment import densities
from aliquot.ace.jit import jit
from aliquot.ace.simd import LANES, axpy, load, multiply, multiply_add, splat, store
from aliquot.ace.workspace import new_workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aliquot.ace.program import Program, Radials

__all__ = ["products", "site_values"]


@jit
def products(program: Program, density: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Basis functions of all lanes into ``out`` (n_functions, LANES)."""
    first, factor, coefficient = program.term_first, program.term_factor, program.term_coefficient
    order = program.order_first
    for k in range(order[0], order[1]):
        value = splat(0.0)
        for t in range(first[k], first[k + 1]):
            value = axpy(coefficient[t], load(density, LANES * factor[t, 0]), value)
        store(out, LANES * k, value)
    for k in range(order[1], order[2]):
        value = splat(0.0)
        for t in range(first[k], first[k + 1]):
            a, b = load(density, LANES * factor[t, 0]), load(density, LANES * factor[t, 1])
            value = axpy(coefficient[t], multiply(a, b), value)
        store(out, LANES * k, value)
    for k in range(order[2], order[3]):
        value = splat(0.0)
        for t in range(first[k], first[k + 1]):
            a, b = load(density, LANES * factor[t, 0]), load(density, LANES * factor[t, 1])
            c = multiply(splat(coefficient[t]), load(density, LANES * factor[t, 2]))
            value = multiply_add(multiply(a, b), c, value)
        store(out, LANES * k, value)
    for k in range(order[3], order[4]):
        value = splat(0.0)
        for t in range(first[k], first[k + 1]):
            a, b = load(density, LANES * factor[t, 0]), load(density, LANES * factor[t, 1])
            c, d = load(density, LANES * factor[t, 2]), load(density, LANES * factor[t, 3])
            value = multiply_add(multiply(a, b), multiply(splat(coefficient[t]), multiply(c, d)), value)
        store(out, LANES * k, value)


@jit
def site_values(
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    out: NDArray[np.float64],
) -> None:
    """Basis functions of every atom.

    Parameters
    ----------
    first, index, vectors
        Neighbours grouped by centre (:class:`aliquot.structures.neighbours.Neighbours`).
    species : (n_atoms,) array of int
        Position of each atom's element in the basis.
    radials, program
        The compiled basis.
    out : (n_atoms, n_functions) array
        Overwritten.
    """
    n_atoms = first.shape[0] - 1
    work = new_workspace(first, radials, program, False)
    density = np.zeros((program.n_density, LANES))
    values = np.empty((out.shape[1], LANES))
    for start in range(0, n_atoms, LANES):
        stop = min(start + LANES, n_atoms)
        for i in range(start, stop):
            densities(i, first, index, vectors, species, radials, program, work, i - start, density)
        products(program, density, values)
        for i in range(start, stop):
            row = out[i]
            for k in range(out.shape[1]):
                row[k] = values[k, i - start]
