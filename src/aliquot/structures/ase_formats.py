"""Files that ASE reads: trajectories, databases, VASP and LAMMPS.

Labels of these formats come from the calculator ASE attaches (energy, forces without constraints applied,
stress) and become the keys ``energy``, ``forces`` and ``stress``. Two things are not left to ASE: LAMMPS files
that name atom types need a map from type to element, because ASE would take type 1 for hydrogen; and the energy
0.0 that ASE invents for a LAMMPS dump with forces is dropped.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from aliquot.errors import InputError
from aliquot.structures.elements import type_numbers
from aliquot.structures.sources import PACKED, Source

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["EXTENDED_XYZ", "KEPT_ARRAYS", "format_of", "iterate_atoms"]

EXTENDED_XYZ: Final = "extended xyz"

#: Key of a .traj or .db entry under which per-atom keys stand that these formats have no place for.
KEPT_ARRAYS: Final = "aliquot_arrays"

_DUMP: Final = "lammps-dump-text"
_DATA: Final = "lammps-data"


def format_of(path: Path) -> str:
    """Name of a file's format, by its name, or else by how it begins.

    Raises
    ------
    InputError
        If neither tells.
    """
    name = path.name.removesuffix(path.suffix) if path.suffix in PACKED else path.name
    ending = Path(name).suffix.lower()
    if ending in (".xyz", ".extxyz", ".exyz"):
        return EXTENDED_XYZ
    for known, kind in (
        (".traj", "traj"),
        (".db", "db"),
        (".dump", _DUMP),
        (".lammpstrj", _DUMP),
        (".lmp", _DATA),
    ):
        if ending == known:
            return kind
    for pattern, kind in (
        ("XDATCAR", "vasp-xdatcar"),
        ("OUTCAR", "vasp-out"),
        ("POSCAR", "vasp"),
        ("CONTCAR", "vasp"),
        (r"vasprun.*\.xml$", "vasp-xml"),
        (r"^data\.|\.lammps(-data)?$", _DATA),
    ):
        if re.search(pattern, name):
            return kind
    return _sniff(path)


def _sniff(path: Path) -> str:
    with Source(path) as source:
        head = source.read(4096).lstrip()
    first = head.split(b"\n", 1)[0].strip()
    if first.startswith(b"ITEM:"):
        return _DUMP
    if first.isdigit():
        return EXTENDED_XYZ
    if re.search(rb"^\s*\d+\s+atom types", head, re.MULTILINE):
        return _DATA
    from ase.io.formats import UnknownFileTypeError, filetype, ioformats

    try:
        kind = str(filetype(str(path)))
    except (UnknownFileTypeError, OSError, UnicodeDecodeError):
        kind = ""
    if kind not in ioformats or not ioformats[kind].can_read:
        raise InputError(
            f"{path}: the format is not known; use .xyz, .extxyz, .traj, .db, a VASP or a LAMMPS file"
        )
    return kind


def iterate_atoms(path: Path, kind: str, type_map: Mapping[int, str] | None) -> Iterator[Atoms | str]:
    """The structures of a file one after another; a text in place of one says why it cannot be read."""
    if kind == _DUMP:
        yield from _lammps_dump(path, type_map)
    elif kind == _DATA:
        yield _lammps_data(path, type_map)
    elif kind == "db":
        yield from _database(path)
    elif kind == "vasp-xdatcar":
        yield from _xdatcar(path)
    else:
        yield from _any(path, kind)


def _any(path: Path, kind: str) -> Iterator[Atoms | str]:
    from ase.io import iread

    done = 0
    for atoms in iread(str(path), index=slice(None), format=kind):
        kept = atoms.info.pop(KEPT_ARRAYS, None)
        for name, values in (kept or {}).items():
            atoms.set_array(name, values)
        yield atoms
        done += 1
    if kind in _ENDS and _unfinished(path, kind, done):
        yield "the file ends within this step; it is truncated"


#: What a whole file has: at the end (vasprun), or once per step (OUTCAR).
_ENDS: Final = {"vasp-xml": rb"</modeling>", "vasp-out": rb"TOTAL-FORCE"}


def _unfinished(path: Path, kind: str, done: int) -> bool:
    """Whether there is more in the file than ASE, which drops an unfinished last step silently, has read."""
    begun = 0
    with Source(path) as source:
        tail = b""
        while text := source.read(2**22):
            begun += len(re.findall(_ENDS[kind], tail + text)) - len(re.findall(_ENDS[kind], tail))
            tail = text[-32:]
    return begun == 0 if kind == "vasp-xml" else begun > done


def _xdatcar(path: Path) -> Iterator[Atoms | str]:
    """Configurations one at a time, each with the cell and elements last named before it."""
    from ase.io.vasp import read_vasp_xdatcar

    header: list[str] = []
    lines = _lines(path)
    for line in lines:
        if "configuration=" not in line:
            header = [line, *islice(lines, 6)]
            if not "".join(header).strip():
                return
            continue
        try:
            n_atoms = sum(int(word) for word in header[6].split())
            coordinates = list(islice(lines, n_atoms))
            if len(coordinates) < n_atoms:
                raise ValueError(f"{n_atoms} atoms are announced, {len(coordinates)} follow; it is truncated")
            text = "".join([*header, line, *coordinates])
            yield _first(read_vasp_xdatcar(cast(Any, io.StringIO(text)), index=0))
        except (ValueError, IndexError, KeyError, TypeError) as error:
            yield f"not a whole configuration: {error}"


def _first(images: Any) -> Atoms:
    """One structure of what an ASE reader gives: a list, or the structure itself."""
    return images[0] if isinstance(images, list) else images


def _lines(path: Path) -> Iterator[str]:
    """The lines of a text file, packed or not."""
    held = b""
    with Source(path) as source:
        while text := source.read(2**20):
            *whole, held = (held + text).split(b"\n")
            yield from (line.decode(errors="replace") + "\n" for line in whole)
        if held:
            yield held.decode(errors="replace")


def _database(path: Path) -> Iterator[Atoms]:
    """Rows of an ASE database: key–value pairs and data become frame keys."""
    from ase.db import connect

    database: Any = connect(str(path), use_lock_file=False)
    with database as opened:  # closes it
        for row in opened.select():
            atoms = row.toatoms()
            atoms.info.update(row.key_value_pairs)
            data: dict[str, Any] = dict(row.data)
            for name, values in data.pop(KEPT_ARRAYS, {}).items():
                atoms.set_array(name, values)
            atoms.info.update(data)
            yield atoms


# --- LAMMPS -------------------------------------------------------------------------------------------------


def _lammps_dump(path: Path, type_map: Mapping[int, str] | None) -> Iterator[Atoms | str]:
    for text in _snapshots(path):
        yield _snapshot(text, type_map, path)


def _snapshots(path: Path) -> Iterator[str]:
    """The text of each snapshot, one in memory at a time."""
    held = b""
    with Source(path) as source:
        while True:
            more = source.read(2**22)
            held += more
            cuts = [m.start() for m in re.finditer(rb"^ITEM: TIMESTEP", held, re.MULTILINE)]
            ends = cuts[1:] if more else [*cuts[1:], len(held)]
            for start, end in zip(cuts, ends, strict=False):
                yield held[start:end].decode(errors="replace")
            if not more:
                if source.damage:
                    raise ValueError(source.damage)
                return
            held = held[cuts[-1] :] if cuts else held


def _snapshot(text: str, type_map: Mapping[int, str] | None, path: Path) -> Atoms | str:
    try:
        return _whole_snapshot(text, type_map, path)
    except InputError:
        raise
    except (ValueError, RuntimeError, IndexError, KeyError, TypeError) as error:
        return f"not a whole LAMMPS snapshot: {error}"


def _whole_snapshot(text: str, type_map: Mapping[int, str] | None, path: Path) -> Atoms:
    from ase.io.lammpsrun import read_lammps_dump_text

    columns = re.search(r"^ITEM: ATOMS (.*)$", text, re.MULTILINE)
    announced = re.search(r"^ITEM: NUMBER OF ATOMS\s*\n\s*(\d+)", text, re.MULTILINE)
    if columns is None or announced is None:
        raise ValueError("it lacks ITEM: NUMBER OF ATOMS or ITEM: ATOMS")
    options: dict[str, Any] = {}
    names = columns.group(1).split()
    if type_map and "type" in names and "element" not in names:
        numbers = type_numbers(dict(type_map))
        options["specorder"] = [numbers.get(t, 0) for t in range(1, max(numbers) + 1)]
    elif "element" not in names and "mass" not in names:
        raise InputError(
            f"{path} names atom types, not elements; say which is which, e.g. --type-map 1=Si,2=O"
        )
    atoms = _first(read_lammps_dump_text(io.StringIO(text), index=-1, **options))
    if len(atoms) != int(announced.group(1)):
        raise ValueError(f"{announced.group(1)} atoms are announced, {len(atoms)} follow; it is truncated")
    if (atoms.numbers == 0).any():
        lost = sorted(set(atoms.arrays["type"][atoms.numbers == 0].tolist()))
        raise InputError(f"{path}: atom types {lost} are not in the type map")
    if atoms.calc is not None:
        atoms.calc.results.pop("energy", None)  # ASE puts 0.0 where the dump says nothing
    return atoms


def _lammps_data(path: Path, type_map: Mapping[int, str] | None) -> Atoms | str:
    from ase.io.lammpsdata import read_lammps_data

    with Source(path) as source:
        text = source.read(-1).decode(errors="replace")
        if source.damage:
            return source.damage
    named = re.search(r"^\s*(Masses|Atom Type Labels)\b", text, re.MULTILINE)
    if not type_map and not named:
        raise InputError(
            f"{path} names atom types, not elements; say which is which, e.g. --type-map 1=Si,2=O"
        )
    numbers = type_numbers(dict(type_map)) if type_map else None
    try:
        return _first(read_lammps_data(io.StringIO(text), Z_of_type=numbers))
    except KeyError as error:
        raise InputError(f"{path}: atom type {error.args[0]} is not in the type map") from None
    except (ValueError, IndexError, UnboundLocalError, StopIteration) as error:
        return f"not a whole LAMMPS data file: {error}"
