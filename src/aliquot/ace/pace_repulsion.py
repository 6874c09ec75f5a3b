"""The inner repulsion of a potential as a table that LAMMPS overlays on a ``.yace``, which cannot hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.pace_text import check_unwritten, replace_file
from aliquot.ace.potential import AcePotential
from aliquot.ace.repulsion import Repulsion, repel
from aliquot.errors import InputError

__all__ = ["write_repulsion_table"]

Array = NDArray[np.float64]


def write_repulsion_table(path: Path | str, potential: AcePotential, *, force: bool = False) -> list[str]:
    """Write the inner repulsion as a table for LAMMPS, and return the lines that overlay it on the ``.yace``.

    Parameters
    ----------
    path : path
    potential : AcePotential
        With a repulsion.
    force : bool
        Replace an existing file.

    Returns
    -------
    list of str
        ``pair_style`` and ``pair_coeff`` lines, with ``POTENTIAL.yace`` where the file of the potential goes.

    Raises
    ------
    InputError
        If the file exists or the potential has no repulsion.
    """
    from ase.data import chemical_symbols

    path = Path(path)
    check_unwritten(path, force)
    if potential.repulsion is None:
        raise InputError("the potential has no repulsion; there is no table to write")
    symbols = [chemical_symbols[z] for z in potential.basis.elements]
    n = 4000
    text, lines = ["# inner repulsion, eV and Å, written by aliquot"], []
    for a, one in enumerate(symbols):
        for b in range(a, len(symbols)):
            outer = potential.repulsion.outer[a][b]
            r = np.linspace(0.02 * outer, outer, n)
            energy, slope = _pair(potential.repulsion, a, b, r)
            text += ["", f"{one}-{symbols[b]}", f"N {n} R {r[0]:.15g} {outer:.15g}", ""]
            text += [
                f"{i} {x:.15g} {e:.15g} {-s:.15g}"
                for i, (x, e, s) in enumerate(zip(r, energy, slope, strict=True), 1)
            ]
            lines.append(f"pair_coeff {a + 1} {b + 1} table {path.name} {one}-{symbols[b]} {outer:.15g}")
    replace_file(path, "\n".join(text) + "\n")
    names = " ".join(symbols)
    return [
        f"pair_style hybrid/overlay pace table spline {n}",
        f"pair_coeff * * pace POTENTIAL.yace {names}",
        *lines,
    ]


def _pair(repulsion: Repulsion, a: int, b: int, r: Array) -> tuple[Array, Array]:
    """Repulsion of two atoms and its derivative, evaluated by the kernel that the potential uses."""
    n = len(r)
    vectors = np.zeros((2 * n, 3))
    vectors[0::2, 0], vectors[1::2, 0] = r, -r
    index = np.arange(2 * n) ^ 1  # atoms 2i and 2i + 1 see each other
    energies, forces, virial = np.zeros(2 * n), np.zeros((2 * n, 3)), np.zeros((3, 3))
    species, first = np.tile([a, b], n), np.arange(2 * n + 1)
    repel(first, index, vectors, species, repulsion.tables(), energies, forces, virial)
    return energies.reshape(n, 2).sum(axis=1), forces[0::2, 0]
