"""Compiled passes of :mod:`aliquot.ace.verlet_list`: how far have atoms moved, which pairs are near now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from aliquot.ace.jit import jit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["follow", "within"]


@jit
def follow(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    inverse: NDArray[np.float64],
    periodic: NDArray[np.bool_],
    fractional: NDArray[np.float64],
    unwrapped: NDArray[np.float64],
) -> float:
    """Largest distance (Å) from where the cell alone would have carried an atom since ``fractional``.

    ``unwrapped`` (n_atoms, 3) receives the periodic image of each atom that is nearest to its old place.
    """
    largest = 0.0
    for i in range(positions.shape[0]):
        x, y, z = positions[i, 0], positions[i, 1], positions[i, 2]
        dx, dy, dz = 0.0, 0.0, 0.0
        for a in range(3):
            step = x * inverse[0, a] + y * inverse[1, a] + z * inverse[2, a] - fractional[i, a]
            whole = math.floor(step + 0.5) if periodic[a] else 0.0
            if whole != 0.0:
                x -= whole * cell[a, 0]
                y -= whole * cell[a, 1]
                z -= whole * cell[a, 2]
            step -= whole
            dx += step * cell[a, 0]
            dy += step * cell[a, 1]
            dz += step * cell[a, 2]
        unwrapped[i, 0], unwrapped[i, 1], unwrapped[i, 2] = x, y, z
        largest = max(largest, dx * dx + dy * dy + dz * dz)
    return math.sqrt(largest)


@jit
def within(
    first: NDArray[np.int64],
    index: NDArray[np.int32],
    shift: NDArray[np.int32],
    shifts: NDArray[np.float64],
    positions: NDArray[np.float64],
    cutoff_squared: float,
    near_first: NDArray[np.int64],
    near_index: NDArray[np.int64],
    vectors: NDArray[np.float64],
) -> int:
    """Copy the pairs that are closer than the cutoff, with their vectors; their number.

    ``shifts`` (·, 3) are Cartesian here; the last three arrays are filled.
    """
    count = 0
    near_first[0] = 0
    for i in range(first.shape[0] - 1):
        x, y, z = positions[i, 0], positions[i, 1], positions[i, 2]
        for k in range(first[i], first[i + 1]):
            j, s = index[k], shift[k]
            dx = positions[j, 0] - x + shifts[s, 0]
            dy = positions[j, 1] - y + shifts[s, 1]
            dz = positions[j, 2] - z + shifts[s, 2]
            near_index[count] = j
            vectors[count, 0], vectors[count, 1], vectors[count, 2] = dx, dy, dz
            if dx * dx + dy * dy + dz * dz < cutoff_squared:
                count += 1
        near_first[i + 1] = count
    return count
