"""How does a block of extended XYZ become Frames? Comment by comment, and all tables at once.

Comment lines are parsed in Python, the atom lines of all frames with the same columns by one call of a C parser.
A frame that is wrong is named and left out; its neighbours are not touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.structures.columns import Column, frame_columns
from aliquot.structures.comment import parse_comment, parse_value
from aliquot.structures.elements import atomic_numbers
from aliquot.structures.frames import Frames, LabelKeys
from aliquot.structures.framing import Block, Fault, Place
from aliquot.structures.tables import PLAIN, Field, parse_glued, parse_lines, parse_properties

__all__ = ["SIDECAR", "parse_blocks"]

#: Key under which the writer keeps what the format has no place for: odd names, tensors, text with spaces.
SIDECAR: Final = "aliquot_extra"


class _Header(NamedTuple):
    """What the comment line of one frame says."""

    place: Place
    fields: tuple[Field, ...]
    items: dict[str, Any]
    cell: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]
    extra: dict[str, Any]


def parse_blocks(
    source: Iterable[Block], file: str, label_keys: LabelKeys
) -> Iterator[tuple[Frames | None, list[Fault]]]:
    """Frames and faults of each block in turn.

    Notes
    -----
    About 25 µs per frame of 64 atoms: a third for the comment lines, a third for the atom lines, both proportional to
    the text.
    """
    for block in source:
        faults = list(block.faults)
        parts: list[Frames] = []
        for headers in _alike(block, faults):
            for some, columns in _tables(block, headers, faults):
                part = _assemble(some, columns, file, label_keys, faults)
                if part is not None:
                    parts.append(part)
        faults.sort(key=lambda fault: fault.frame)
        frames = Frames.concatenate(parts) if parts else None
        if frames is not None and len(parts) > 1:
            frames = frames[np.argsort(frames.frame, kind="stable")]
        yield frames, faults


def _alike(block: Block, faults: list[Fault]) -> list[list[_Header]]:
    """The headers of a block, those together whose atom lines have the same columns."""
    groups: dict[str, list[_Header]] = {}
    for place in block.places:
        try:
            header, kind = _header(block.text, place)
            groups.setdefault(kind, []).append(header)
        except ValueError as error:  # noqa: PERF203  (costs nothing unless it happens)
            faults.append(Fault(place.number, str(error)))
    return list(groups.values())


def _parse(block: Block, headers: Sequence[_Header]) -> list[NDArray[Any]] | None:
    """The atom lines of some frames, glued and parsed at once; None where the fast parser refuses them."""
    lines = b"".join([block.text[h.place.table : h.place.vectors] for h in headers])
    n_atoms = sum(h.place.n_atoms for h in headers)
    return parse_glued(lines, n_atoms, headers[0].fields, longest_line=block.longest_line)


# --- comment lines ------------------------------------------------------------------------------------------


def _header(text: bytes, place: Place) -> tuple[_Header, str]:
    """The header of one frame, and what it must have in common with frames that are parsed together with it."""
    if place.n_atoms == 0:
        raise ValueError("has no atoms")
    items = parse_comment(_decoded(text[place.comment : place.table]))
    lattice = items.pop("Lattice", None)
    if lattice is None:
        lattice = next((items.pop(k) for k in ("lattice", "LATTICE", "Cell", "cell") if k in items), None)
    if place.vectors < place.stop:
        cell, given = _vectors(text[place.vectors : place.stop])
    else:
        cell, given = _cell(lattice), (lattice is not None,) * 3
    pbc = _pbc(items.pop("pbc", given))
    properties = items.pop("Properties", None) or items.pop("properties", None)
    kind = PLAIN if properties is None else str(properties)
    fields = parse_properties(kind)
    if properties is None:
        fields += _unnamed(text, place)
        kind = f"{kind} {fields[2:]}"
    extra = items.pop(SIDECAR, None)
    if extra is None:
        return _Header(place, fields, items, cell, pbc, {}), kind
    items.update({key: parse_value(value) for key, value in extra.get("info", {}).items()})
    columns = extra.get("columns", {})
    # values kept in the comment line belong to one frame, so such a frame is parsed on its own
    alone = any("values" in c for c in columns.values())
    return _Header(place, fields, items, cell, pbc, columns), f"{kind} {place.number if alone else columns}"


def _decoded(comment: bytes) -> str:
    """Text in UTF-8, or else in the one-byte encoding that older programs write."""
    try:
        return comment.decode()
    except UnicodeDecodeError:
        return comment.decode("latin-1")


def _cell(lattice: Any) -> NDArray[np.float64]:
    """Lattice vectors as rows, from nine numbers, three, or a matrix with the vectors as columns."""
    if lattice is None:
        return np.zeros((3, 3))
    if not isinstance(lattice, np.ndarray) or lattice.dtype.kind not in "if":
        raise ValueError(f"Lattice is not nine numbers: {lattice!r}")
    if lattice.shape == (9,):
        return lattice.reshape(3, 3)
    if lattice.shape not in ((3,), (3, 3)):
        raise ValueError(f"Lattice is not nine numbers: {lattice.tolist()!r}")
    return np.diag(lattice) if lattice.shape == (3,) else lattice.T


def _pbc(value: Any) -> tuple[bool, bool, bool]:
    if isinstance(value, tuple):
        return value
    if isinstance(value, np.ndarray) and value.dtype == bool and value.shape == (3,):
        return tuple(value.tolist())
    flags = np.ravel(value).tolist()
    if len(flags) not in (1, 3) or not all(flag in (0, 1) for flag in flags):
        raise ValueError(f"pbc is not three of T and F: {value!r}")
    return bool(flags[0]), bool(flags[len(flags) // 2]), bool(flags[-1])


def _vectors(text: bytes) -> tuple[NDArray[np.float64], tuple[bool, bool, bool]]:
    """Cell and periodicity from lines ``VEC1 x y z``."""
    cell, pbc = np.zeros((3, 3)), [False] * 3
    for line in text.decode().splitlines():
        name, *numbers = line.split()
        axis = name[3:]
        if axis not in ("1", "2", "3") or len(numbers) != 3:
            raise ValueError(f"not a lattice vector: {line.strip()!r}")
        cell[int(axis) - 1] = [float(x) for x in numbers]
        pbc[int(axis) - 1] = True
    return cell, (pbc[0], pbc[1], pbc[2])


def _unnamed(text: bytes, place: Place) -> tuple[Field, ...]:
    """Columns after the position in a file that names none: kept under the key ``extra``."""
    words = text[place.table : text.index(b"\n", place.table)].replace(b",", b" ").split()
    n_extra = len(words) - 4
    if n_extra <= 0:
        return ()
    try:
        [float(w) for w in words[4:]]
    except ValueError:
        return (Field("extra", "S", n_extra),)
    return (Field("extra", "R", n_extra),)


# --- atoms --------------------------------------------------------------------------------------------------


def _tables(
    block: Block, headers: list[_Header], faults: list[Fault]
) -> Iterator[tuple[list[_Header], list[NDArray[Any]]]]:
    """Columns of headers that are alike, in as few pieces as part the good frames from the bad."""
    pending = [headers]
    while pending:
        some = pending.pop()
        columns = _parse(block, some)
        if columns is not None:
            yield some, columns
        elif len(some) > 1:
            middle = len(some) // 2
            pending += [some[middle:], some[:middle]]
        else:
            place = some[0].place
            try:
                columns = parse_lines(block.text[place.table : place.vectors], place.n_atoms, some[0].fields)
            except ValueError as error:
                faults.append(Fault(place.number, str(error)))
            else:
                yield some, columns


def _assemble(
    headers: list[_Header],
    arrays: list[NDArray[Any]],
    file: str,
    label_keys: LabelKeys,
    faults: list[Fault],
) -> Frames | None:
    """Frames of one table; those whose elements or geometry cannot be told are left out."""
    columns = {f.name: a for f, a in zip(headers[0].fields, arrays, strict=True)}
    sizes = np.array([h.place.n_atoms for h in headers], np.int64)
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    numbers, problem = _take_numbers(columns)
    positions = columns.pop("pos", None)
    if positions is None or positions.shape[1:] != (3,) or positions.dtype.kind not in "fi":
        problem = "has no column pos:R:3, so the atoms have no positions"
    if problem or numbers is None or positions is None:
        faults.extend(Fault(h.place.number, problem) for h in headers)
        return None
    known = np.logical_and.reduceat(numbers.values >= 0, offsets[:-1])
    for i in np.flatnonzero(~known):
        atom = int(np.argmax(numbers.values[offsets[i] : offsets[i + 1]] < 0))
        name = numbers.names[offsets[i] + atom]
        faults.append(
            Fault(headers[i].place.number, f"atom {atom} is {str(name)!r}, which is no chemical element")
        )
    everywhere = np.ones(len(headers), bool)
    frames = Frames(
        numbers=numbers.values.astype(np.int32),
        positions=positions.astype(np.float64, copy=False),
        cells=np.array([h.cell for h in headers], np.float64),
        pbc=np.array([h.pbc for h in headers], bool),
        offsets=offsets,
        files=(file,),
        file=np.zeros(len(headers), np.int32),
        frame=np.array([h.place.number for h in headers], np.int64),
        frame_columns=frame_columns([h.items for h in headers]),
        atom_columns={
            k: Column(v, everywhere) for k, v in _restore(columns, headers[0].extra, sizes).items()
        },
        label_keys=label_keys,
    )
    return frames if known.all() else frames[known] if known.any() else None


@dataclass
class _Numbers:
    values: NDArray[np.int64]
    names: NDArray[Any]


def _take_numbers(columns: dict[str, NDArray[Any]]) -> tuple[_Numbers | None, str]:
    """Atomic numbers from the column of symbols, or of numbers; -1 where unknown."""
    for key in ("species", "symbols", "symbol", "element", "Z", "numbers"):
        names = columns.get(key)
        if names is not None and names.ndim == 1 and names.dtype.kind in "Ui":
            del columns[key]
            return _Numbers(atomic_numbers(names), names), ""
    return None, "has no column species:S:1 or Z:I:1, so the elements are not known"


def _restore(
    columns: dict[str, NDArray[Any]], extra: dict[str, Any], sizes: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Columns under the names and in the shapes they had before they were written."""
    restored = {name: array for name, array in columns.items() if name not in extra}
    for stored, about in extra.items():
        array = np.array(about["values"]) if "values" in about else columns[stored]
        if "shape" in about:
            array = array.reshape(int(sizes.sum()), *about["shape"])
        restored[about.get("name", stored)] = array
    return restored
