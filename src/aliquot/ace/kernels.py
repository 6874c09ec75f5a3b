r"""Compiled loops: from the neighbours of atoms to the values of their basis functions.

Layout decides the speed. Everything that belongs to one atom's neighbours (radial functions, harmonics) is
stored with the neighbour index running fastest, so that each recursion and each sum over neighbours is a
vector loop. Products are evaluated for eight atoms at once: A is stored as (density, atom), and one
term of the basis costs one vector operation for all of them.

Operations per atom with m neighbours, D densities and T terms: about m (6 n_max + 8 (l_max + 1)²) for the
radial and angular tables, 2 m D for the densities, 2 ν T for the products.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

from aliquot.ace.simd import LANES, axpy, load, multiply, multiply_add, splat, store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aliquot.ace.program import Program, Radials

__all__ = ["site_values"]

#: Reordering of sums is allowed; NaN and infinity keep their meaning.
FAST: Final = {"reassoc", "contract", "arcp", "nsz"}


def _jit(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")(function)


@_jit
def _power(x: float, n: int) -> float:
    out = 1.0
    for _ in range(n):
        out *= x
    return out


@_jit
def radial_values(
    r: NDArray[np.float64],
    start: int,
    stop: int,
    pair: NDArray[np.float64],
    radials: Radials,
    out: NDArray[np.float64],
) -> None:
    """Radial functions of neighbours start:stop of one species into ``out`` (n_max, neighbours)."""
    r0, cutoff, scale = pair[0], pair[1], pair[2]
    p, q, envelope = radials.shape[0], radials.shape[1], radials.shape[2]
    recursion = radials.recursion
    n_max = recursion.shape[0]
    for j in range(start, stop):
        s = r[j] / r0
        top = _power(s, q)
        y = 1.0 / (1.0 + radials.slope * top / (1.0 + _power(s, q - p)))
        x = scale * (y - 1.0) - 1.0
        value = recursion[0, 1] * _power(1.0 - x * x, envelope) if r[j] < cutoff else 0.0
        before = 0.0
        out[0, j] = value
        for n in range(1, n_max):
            after = recursion[n, 0] * x * value - recursion[n, 2] * before
            before, value = value, after
            out[n, j] = value


@_jit
def harmonic_values(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    count: int,
    norm: NDArray[np.float64],
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Real harmonics of unit vectors into ``out`` ((l_max + 1)², neighbours); ``work`` is (4, neighbours)."""
    l_max = norm.shape[0] - 1
    cosine, sine, last, current = work[0], work[1], work[2], work[3]
    cosine[:count] = 1.0
    sine[:count] = 0.0
    diagonal = 1.0  # (2m − 1)!!
    for m in range(l_max + 1):
        if m > 0:
            diagonal *= 2 * m - 1
            for j in range(count):
                c = x[j] * cosine[j] - y[j] * sine[j]
                sine[j] = x[j] * sine[j] + y[j] * cosine[j]
                cosine[j] = c
        last[:count] = 0.0
        current[:count] = diagonal
        for l in range(m, l_max + 1):
            centre = l * l + l
            f = norm[l, m]
            plus = out[centre + m]
            for j in range(count):
                plus[j] = f * current[j] * cosine[j]
            if m > 0:
                minus = out[centre - m]
                for j in range(count):
                    minus[j] = f * current[j] * sine[j]
            if l < l_max:
                a, b = (2 * l + 1) / (l + 1 - m), (l + m) / (l + 1 - m)
                for j in range(count):
                    after = a * z[j] * current[j] - b * last[j]
                    last[j] = current[j]
                    current[j] = after


@_jit
def _densities(
    i: int,
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    space: NDArray[np.float64],
    g: NDArray[np.float64],
    harmonics: NDArray[np.float64],
    pair_sums: NDArray[np.float64],
    lane: int,
    density: NDArray[np.float64],
) -> None:
    """A of atom ``i`` into column ``lane`` of ``density`` (n_density, LANES)."""
    density[:, lane] = 0.0
    x, y, z, r = space[0], space[1], space[2], space[3]
    for other in range(program.channel_weights.shape[1]):
        count = 0
        for k in range(first[i], first[i + 1]):
            if species[index[k]] == other:
                dx, dy, dz = vectors[k, 0], vectors[k, 1], vectors[k, 2]
                distance = math.sqrt(dx * dx + dy * dy + dz * dz)
                x[count], y[count], z[count], r[count] = dx / distance, dy / distance, dz / distance, distance
                count += 1
        if count == 0:
            continue
        radial_values(r, 0, count, radials.pairs[species[i], other], radials, g)
        harmonic_values(x, y, z, count, program.harmonic_norm, space[4:], harmonics)
        for pair in range(program.pair_n.shape[0]):
            l, start = program.pair_l[pair], program.pair_first[pair]
            radial = g[program.pair_n[pair] - 1]
            for m in range(2 * l + 1):
                angular = harmonics[l * l + m]
                total = 0.0
                for j in range(count):
                    total += radial[j] * angular[j]
                pair_sums[start + m] = total
        for channel in range(program.channel_weights.shape[0]):
            weight = program.channel_weights[channel, other]
            if weight == 0.0:
                continue
            for entry in range(program.channel_first[channel], program.channel_first[channel + 1]):
                pair, start = program.channel_pair[entry], program.channel_density[entry]
                source = program.pair_first[pair]
                for m in range(2 * program.pair_l[pair] + 1):
                    density[start + m, lane] += weight * pair_sums[source + m]


@_jit
def _products(program: Program, density: NDArray[np.float64], out: NDArray[np.float64]) -> None:
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


@_jit
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
    most = 1
    for i in range(n_atoms):
        most = max(most, first[i + 1] - first[i])
    l_max = program.harmonic_norm.shape[0] - 1
    space = np.empty((8, most))
    g = np.empty((radials.recursion.shape[0], most))
    harmonics = np.empty(((l_max + 1) ** 2, most))
    pair_sums = np.empty(program.pair_first[-1])
    density = np.zeros((program.n_density, LANES))
    values = np.empty((out.shape[1], LANES))
    for start in range(0, n_atoms, LANES):
        stop = min(start + LANES, n_atoms)
        for i in range(start, stop):
            _densities(
                i,
                first,
                index,
                vectors,
                species,
                radials,
                program,
                space,
                g,
                harmonics,
                pair_sums,
                i - start,
                density,
            )
        _products(program, density, values)
        for i in range(start, stop):
            row = out[i]
            for k in range(out.shape[1]):
                row[k] = values[k, i - start]
