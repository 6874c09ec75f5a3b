"""How do Frames become files? Under a temporary name, renamed when whole; nothing overwritten unasked.

The format follows the ending: .xyz and .extxyz (also .gz and .xz), .traj, .db. A path without ending, or one that ends
with a slash, is a folder with one POSCAR per frame, named by us, and one extended-XYZ file with the keys that a POSCAR
cannot hold.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from aliquot.errors import InputError
from aliquot.structures.ase_formats import KEPT_ARRAYS
from aliquot.structures.extended_xyz_writer import lines
from aliquot.structures.frames import Frames
from aliquot.structures.sources import PACKED

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["write"]

#: In a folder of POSCARs: all frames with all their keys.
_KEYS_FILE: Final = "POSCARS.extxyz"

#: Per-atom arrays for which .traj and .db have a place of their own.
_NATIVE: Final = frozenset({"tags", "momenta", "initial_magmoms", "initial_charges", "masses"})


def write(path: str | os.PathLike[str], frames: Frames, *, force: bool = False) -> None:
    """Write frames to a file or, one POSCAR each, to a folder.

    Parameters
    ----------
    path : str or Path
        Its ending says the format: .xyz, .extxyz, either with .gz or .xz; .traj; .db; none: a folder of POSCARs.
    frames : Frames
    force : bool
        Whether an existing file, or the POSCARs in an existing folder, may be replaced.

    Raises
    ------
    InputError
        If there is nothing to write, the format is not known, or the place is taken.

    Examples
    --------
    >>> write("selected.xyz", frames)                                                       # doctest: +SKIP
    """
    if not len(frames):
        raise InputError(f"there are no frames to write to {path}")
    place = Path(path)
    if not place.resolve().parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {place.parent} does not exist")
    if str(path).endswith(("/", os.sep)) or place.is_dir() or not place.suffix:
        _write_folder(place, frames, force=force)
        return
    if place.exists() and not force:
        raise InputError(f"{path} exists; choose another name, or force=True to overwrite it")
    ending = Path(place.stem).suffix.lower() if place.suffix in PACKED else place.suffix.lower()
    packed = place.suffix in PACKED
    if ending in (".xyz", ".extxyz", ".exyz"):
        with _renamed(place) as name, _opened(name, place.suffix) as out:
            for text in lines(frames):
                out.write(text.encode())
    elif ending == ".traj" and not packed:
        with _renamed(place) as name:
            _write_trajectory(name, frames)
    elif ending == ".db" and not packed:
        with _renamed(place) as name:
            _write_database(name, frames)
    else:
        raise InputError(
            f"cannot write {path}: use .xyz, .extxyz (or .gz, .xz), .traj, .db, or a folder for POSCARs"
        )


@contextmanager
def _renamed(place: Path) -> Iterator[Path]:
    """A name beside ``place`` to write to, moved there when all went well and removed otherwise."""
    handle, text = tempfile.mkstemp(dir=place.resolve().parent, prefix=".aliquot-", suffix=place.suffix)
    os.close(handle)
    name = Path(text)
    try:
        yield name
        name.chmod(0o666 & ~_umask())
        os.replace(name, place)
    finally:
        name.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _opened(name: Path, ending: str) -> Iterator[IO[bytes]]:
    with name.open("wb") as raw:
        if ending == ".gz":
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as out:
                yield out  # type: ignore[misc]
        elif ending == ".xz":
            with lzma.LZMAFile(raw, "wb") as out:
                yield out  # type: ignore[misc]
        else:
            yield raw


# --- through ASE --------------------------------------------------------------------------------------------


def _write_trajectory(name: Path, frames: Frames) -> None:
    from ase.io.trajectory import TrajectoryWriter

    with TrajectoryWriter(str(name), "w") as out:
        for frame in frames:
            atoms, extra = _for_ase(frame)
            if extra:
                atoms.info[KEPT_ARRAYS] = extra
            _check_json(frame, atoms.info)
            out.write(atoms)


def _check_json(frame: Frames, items: dict[str, Any]) -> None:
    """Refuse what ASE's JSON cannot hold; ASE would drop it with a warning."""
    from ase.io.jsonio import encode

    key, value = "", None
    try:
        for key, value in items.items():  # noqa: B007  (key is for the message)
            encode(value)
    except TypeError:
        kind = type(value).__name__
        raise InputError(
            f"{frame.ids_name(0)}: this format cannot hold the key {key} ({kind}); remove it"
        ) from None


def _write_database(name: Path, frames: Frames) -> None:
    """Scalars that ASE accepts become key–value pairs, by which ``ase db`` can search; the rest is data."""
    from ase.db import connect

    name.unlink()  # an empty file is no database
    database: Any = connect(str(name), use_lock_file=False)
    with database as out:
        for frame in frames:
            atoms, extra = _for_ase(frame)
            _check_json(frame, atoms.info)
            pairs = {key: value for key, value in atoms.info.items() if _is_pair(key, value)}
            data = {key: value for key, value in atoms.info.items() if key not in pairs}
            if extra:
                data[KEPT_ARRAYS] = extra
            atoms.info = {}
            out.write(atoms, key_value_pairs=pairs, data=data)


def _is_pair(key: str, value: Any) -> bool:
    from ase.db.core import check

    try:
        check({key: value})
    except (ValueError, TypeError):
        return False
    return True


def _for_ase(frame: Frames) -> tuple[Atoms, dict[str, Any]]:
    """One frame as Atoms with a calculator for the plain label keys, and the arrays ASE's files have no place for."""
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = frame.to_atoms()[0]
    origin = np.asarray(atoms.get_celldisp(), np.float64).ravel()
    if origin.any():
        atoms.info["celldisp"] = origin
    results: dict[str, Any] = {}
    if isinstance(atoms.info.get("energy"), float):
        results["energy"] = atoms.info.pop("energy")
    stress = atoms.info.get("stress")
    if isinstance(stress, np.ndarray) and stress.shape == (3, 3) and np.array_equal(stress, stress.T):
        results["stress"] = atoms.info.pop("stress").ravel()[[0, 4, 8, 5, 2, 1]]
    forces = atoms.arrays.get("forces")
    if forces is not None and forces.shape == (len(atoms), 3) and forces.dtype.kind == "f":
        results["forces"] = atoms.arrays.pop("forces")
    extra = {
        k: atoms.arrays.pop(k)
        for k in list(atoms.arrays)
        if k not in _NATIVE and k not in ("numbers", "positions")
    }
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms, extra


# --- a folder of POSCARs ------------------------------------------------------------------------------------


def _write_folder(place: Path, frames: Frames, *, force: bool) -> None:
    if place.exists() and not place.is_dir():
        raise InputError(f"{place} is a file; name a new folder for the POSCARs")
    held = sorted(p.name for p in place.iterdir()) if place.is_dir() else []
    foreign = [name for name in held if not name.startswith("POSCAR")]
    if foreign:
        raise InputError(
            f"the folder {place} holds {foreign[0]!r}; name a new or empty folder for the POSCARs"
        )
    if held and not force:
        raise InputError(f"the folder {place} holds POSCARs; name another, or force=True to replace them")
    whole = Path(tempfile.mkdtemp(dir=place.resolve().parent, prefix=".aliquot-"))
    old = whole.with_name(whole.name + "-old")
    try:
        digits = max(4, len(str(len(frames) - 1)))
        for i, frame in enumerate(frames):
            _write_poscar(whole / f"POSCAR-{i:0{digits}d}", frame)
        write(whole / _KEYS_FILE, frames)
        whole.chmod(0o777 & ~_umask())
        if place.is_dir():
            place.rename(old)
        whole.rename(place.resolve())
    finally:
        shutil.rmtree(whole, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write_poscar(name: Path, frame: Frames) -> None:
    """Atoms grouped by element, in the order in which the elements first appear."""
    from ase.io.vasp import write_vasp

    if not frame.cells[0].any(axis=1).all() or frame.volumes[0] == 0:
        raise InputError(f"{frame.ids_name(0)}: a POSCAR needs three lattice vectors; write .xyz instead")
    atoms = frame.to_atoms()[0]
    _, first = np.unique(atoms.numbers, return_index=True)
    rank = {int(atoms.numbers[k]): k for k in first}
    grouped = atoms[np.argsort([rank[int(z)] for z in atoms.numbers], kind="stable")]
    with name.open("w") as out:
        write_vasp(out, grouped, direct=False)
