"""Compiled loops over the neighbours of one atom: who they are, harmonics, densities.

Everything that belongs to one atom's neighbours is stored with the neighbour index running fastest, so that each
recursion and each sum over neighbours is a vector loop. Gradients of harmonics are those of the solid harmonics
on the unit sphere, as (neighbour, 4) with a zero in the last place, ready to be lane vectors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from aliquot.ace.jit import jit
from aliquot.ace.radial_kernel import radial_functions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aliquot.ace.program import Program, Radials
    from aliquot.ace.workspace import Workspace

__all__ = [
    "densities",
    "gather",
    "harmonic_gradients",
    "harmonic_values",
    "look_around",
]


@jit
def gather(
    i: int,
    other: int,
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    work: Workspace,
) -> int:
    """Unit vectors and distances of the neighbours of atom ``i`` that are of species ``other``; their number."""
    count = 0
    for k in range(first[i], first[i + 1]):
        if species[index[k]] == other:
            dx, dy, dz = vectors[k, 0], vectors[k, 1], vectors[k, 2]
            distance = math.sqrt(dx * dx + dy * dy + dz * dz)
            work.x[count], work.y[count], work.z[count] = dx / distance, dy / distance, dz / distance
            work.r[count] = distance
            work.target[count] = index[k]
            count += 1
    return count


@jit
def harmonic_values(count: int, norm: NDArray[np.float64], work: Workspace) -> None:
    """Real harmonics of the first ``count`` unit vectors, by recursion in Cartesian coordinates."""
    l_max = norm.shape[0] - 1
    x, y, z, out = work.x, work.y, work.z, work.harmonics
    cosine, sine, last, current = work.line[0], work.line[1], work.line[2], work.line[3]
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


@jit
def harmonic_gradients(count: int, norm: NDArray[np.float64], work: Workspace) -> None:
    r"""Gradients of the solid harmonics :math:`r^l Y_{lm}` at the first ``count`` unit vectors.

    Solid harmonics of degree l have gradients that are combinations of those of degree l − 1, so the values of
    :func:`harmonic_values`, which must have been computed, are all that is needed:
    ∂z lowers l and keeps m; ∂x ± i∂y lower l and change m by one.
    """
    l_max = norm.shape[0] - 1
    h, d = work.harmonics, work.gradients
    for l in range(1, l_max + 1):
        here, below = l * l + l, l * l - l  # m = 0 of degree l and of degree l − 1
        for m in range(l + 1):
            f = norm[l, m]
            up = -0.5 * f / norm[l - 1, m + 1] if m + 1 <= l - 1 else 0.0
            level = (l + m) * f / norm[l - 1, m] if m <= l - 1 else 0.0
            down = 0.5 * (l + m) * (l + m - 1) * f / norm[l - 1, m - 1] if m >= 1 else 0.0
            if m == 0:
                up *= 2.0
                for j in range(count):
                    d[here, j, 0] = up * h[below + 1, j] if l > 1 else 0.0
                    d[here, j, 1] = up * h[below - 1, j] if l > 1 else 0.0
                    d[here, j, 2] = level * h[below, j]
                continue
            for j in range(count):
                # cosine and sine parts of degree l − 1 at m + 1 and m − 1; sine of m = 0 is zero
                c_up = h[below + m + 1, j] if m + 1 <= l - 1 else 0.0
                s_up = h[below - m - 1, j] if m + 1 <= l - 1 else 0.0
                c_down = h[below + m - 1, j]
                s_down = h[below - m + 1, j] if m > 1 else 0.0
                d[here + m, j, 0] = up * c_up + down * c_down
                d[here + m, j, 1] = up * s_up - down * s_down
                d[here - m, j, 0] = up * s_up + down * s_down
                d[here - m, j, 1] = -up * c_up + down * c_down
                d[here + m, j, 2] = level * h[below + m, j] if m <= l - 1 else 0.0
                d[here - m, j, 2] = level * h[below - m, j] if m <= l - 1 else 0.0


@jit
def look_around(
    i: int,
    other: int,
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    work: Workspace,
) -> int:
    """Everything about the neighbours of atom ``i`` of species ``other``, derivatives included; their number."""
    count = gather(i, other, first, index, vectors, species, work)
    if count > 0:
        radial_functions(count, species[i], other, radials, work)
        harmonic_values(count, program.harmonic_norm, work)
        harmonic_gradients(count, program.harmonic_norm, work)
    return count


@jit
def densities(
    i: int,
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    radials: Radials,
    program: Program,
    work: Workspace,
    lane: int,
    density: NDArray[np.float64],
) -> None:
    """A of atom ``i`` into column ``lane`` of ``density`` (n_density, LANES)."""
    density[:, lane] = 0.0
    for other in range(program.channel_weights.shape[1]):
        count = gather(i, other, first, index, vectors, species, work)
        if count == 0:
            continue
        radial_functions(count, species[i], other, radials, work)
        harmonic_values(count, program.harmonic_norm, work)
        for pair in range(program.pair_l.shape[0]):
            l, start = program.pair_l[pair], program.pair_first[pair]
            radial = work.radial[program.pair_row[pair]]
            for m in range(2 * l + 1):
                angular = work.harmonics[l * l + m]
                total = 0.0
                for j in range(count):
                    total += radial[j] * angular[j]
                work.pair_sums[start + m] = total
        for channel in range(program.channel_weights.shape[0]):
            weight = program.channel_weights[channel, other]
            if weight == 0.0:
                continue
            for entry in range(program.channel_first[channel], program.channel_first[channel + 1]):
                pair, start = program.channel_pair[entry], program.channel_density[entry]
                source = program.pair_first[pair]
                for m in range(2 * program.pair_l[pair] + 1):
                    density[start + m, lane] += weight * work.pair_sums[source + m]
