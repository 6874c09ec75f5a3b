"""Scratch arrays of the kernels, one row per quantity and one column per neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from aliquot.ace.jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aliquot.ace.program import Program, Radials

__all__ = ["Workspace", "new_workspace"]


class Workspace(NamedTuple):
    """Scratch for the neighbours of one atom; the last axis of most arrays is the neighbour.

    ``x``, ``y``, ``z`` unit vector, ``r`` distance, ``target`` the neighbour's index, ``line`` (4, ·) for
    recursions, ``radial`` and ``slope`` (n_rows, ·) values and derivatives, ``harmonics`` ((l_max + 1)², ·),
    ``gradients`` ((l_max + 1)², ·, 4), ``pair_sums`` (n_pair_sums,).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    r: NDArray[np.float64]
    target: NDArray[np.int64]
    line: NDArray[np.float64]
    radial: NDArray[np.float64]
    slope: NDArray[np.float64]
    harmonics: NDArray[np.float64]
    gradients: NDArray[np.float64]
    pair_sums: NDArray[np.float64]


@jit
def new_workspace(first: NDArray[np.int64], radials: Radials, program: Program, gradients: bool) -> Workspace:
    """Scratch for the atom with the most neighbours; without room for harmonic gradients unless asked."""
    most = 1
    for i in range(first.shape[0] - 1):
        most = max(most, first[i + 1] - first[i])
    n_rows = radials.recursion.shape[0] + radials.pair_recursion.shape[0] + radials.mix.shape[2]
    n_lm = program.harmonic_norm.shape[0] ** 2
    more = most if gradients else 1
    return Workspace(
        np.empty(most),
        np.empty(most),
        np.empty(most),
        np.empty(most),
        np.empty(most, np.int64),
        np.empty((4, most)),
        np.empty((n_rows, most)),
        np.empty((n_rows, most)),
        np.empty((n_lm, most)),
        np.zeros((n_lm, more, 4)),
        np.empty(program.pair_first[-1]),
    )
