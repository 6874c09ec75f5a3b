r"""How the cell of a structure becomes a LAMMPS box, and how vectors come back.

LAMMPS wants the first lattice vector along x and the second in the xy plane. Any cell H (lattice vectors as rows)
is such a lower triangular L turned, :math:`H = L Q` with Q orthogonal (the QR decomposition of Hᵀ). Q is a
reflection for a left-handed cell, which changes neither energies nor dynamics. Axes that are not periodic have no
lattice vector: theirs is taken normal to the others and long enough for the atoms; in the turned frame it lies
along a Cartesian axis, as LAMMPS demands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from aliquot.ace.verlet_list import spanning_cell
from aliquot.errors import InputError

__all__ = ["Box", "make_box"]

Array = NDArray[np.float64]

#: Room on both sides of the atoms along an axis that is not periodic, Å; LAMMPS shrinks it.
MARGIN = 1.0


@dataclass(frozen=True, eq=False)
class Box:
    """A LAMMPS box and the way to it.

    Parameters
    ----------
    low : (3,) array, Å
        Its lower corner.
    vectors : (3, 3) array, Å
        Edges as rows, lower triangular.
    rotation : (3, 3) array
        Orthogonal Q: a vector v (row) of the box is v Q in the structure.
    periodic : (3,) array of bool
    """

    low: Array
    vectors: Array
    rotation: Array
    periodic: NDArray[np.bool_]

    @property
    def tilted(self) -> bool:
        """Whether an edge leans."""
        return bool(np.any(self.vectors[np.tril_indices(3, -1)] != 0.0))

    def commands(self, n_types: int) -> list[str]:
        """LAMMPS commands that make the box."""
        edges, high = self.vectors, self.low + np.diag(self.vectors)
        bounds = " ".join(f"{a:.17g} {b:.17g}" for a, b in zip(self.low, high, strict=True))
        tilts = f"{edges[1, 0]:.17g} {edges[2, 0]:.17g} {edges[2, 1]:.17g}"
        return [
            "boundary " + " ".join("p" if p else "s" for p in self.periodic),
            "box tilt large",
            f"region aliquot prism {bounds} {tilts}" if self.tilted else f"region aliquot block {bounds}",
            f"create_box {n_types} aliquot",
            "region aliquot delete",
        ]


def make_box(atoms: Atoms) -> Box:
    """The LAMMPS box of a structure.

    Raises
    ------
    InputError
        If a position is not finite, or the lattice vectors of the periodic axes do not span a cell.
    """
    periodic = np.asarray(atoms.pbc, bool)
    cell = spanning_cell(atoms.cell.array, periodic)
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise InputError(f"position of atom {bad[0]} is {atoms.positions[bad[0]]}; it must be finite")
    q, upper = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(upper))
    vectors, rotation = (upper * signs[:, None]).T, (q * signs).T
    vectors[np.abs(vectors) < 1e-13 * np.abs(vectors).max()] = 0.0  # rounding of the decomposition
    positions, low = atoms.positions @ rotation.T, np.zeros(3)
    for axis in np.flatnonzero(~periodic):
        low[axis] = positions[:, axis].min() - MARGIN
        vectors[axis, axis] = np.ptp(positions[:, axis]) + 2 * MARGIN
    return Box(low, vectors, rotation, periodic)
