"""How are Frames written as extended XYZ? So that reading gives back every key, type, shape and bit.

Reals are written with the fewest digits that identify them. What the format has no place for (names with spaces
or colons, per-atom tensors, per-atom text with spaces, keys the format reserves) goes into one JSON value under
the key ``aliquot_extra``, which other programs may ignore.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.structures.atoms import atom_values, frame_values
from aliquot.structures.comment import format_item, value_text, writable_key
from aliquot.structures.elements import symbols
from aliquot.structures.extended_xyz import SIDECAR
from aliquot.structures.frames import Frames

__all__ = ["lines"]

#: Frame keys that mean something else to readers.
_RESERVED: Final = frozenset(
    {"Lattice", "lattice", "LATTICE", "Cell", "cell", "pbc", "Properties", "properties", SIDECAR}
)

_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_KINDS: Final = {"f": ("R", "%r"), "i": ("I", "%d"), "u": ("I", "%d"), "b": ("L", "%s"), "U": ("S", "%s")}


def lines(frames: Frames) -> Iterator[str]:
    """The text of each frame in turn.

    Raises
    ------
    InputError
        If a value is an object that no text can stand for.
    """
    names = symbols(frames.numbers).astype(object)
    for i in range(len(frames)):
        where = slice(frames.offsets[i], frames.offsets[i + 1])
        columns, extra_columns = _columns(atom_values(frames, i))
        try:
            comment = _comment(frames, i, columns, extra_columns)
        except TypeError as error:
            raise InputError(f"{frames.ids_name(i)}: {error}; remove the key or make it text") from None
        yield f"{where.stop - where.start}\n{comment}\n{_table(names[where], frames.positions[where], columns)}"


# --- the comment line ---------------------------------------------------------------------------------------


def _comment(
    frames: Frames, i: int, columns: Mapping[str, NDArray[Any]], extra_columns: Mapping[str, Any]
) -> str:
    items: list[str] = []
    if frames.cells[i].any():
        items.append(f'Lattice="{" ".join(map(repr, frames.cells[i].ravel().tolist()))}"')
    properties = [f":{name}:{_KINDS[a.dtype.kind][0]}:{_width(a)}" for name, a in columns.items()]
    items.append(f"Properties=species:S:1:pos:R:3{''.join(properties)}")
    extra_info: dict[str, str] = {}
    values = frame_values(frames.frame_columns, i)
    key = ""
    try:
        for key, value in values.items():
            if key in _RESERVED or not writable_key(key):
                extra_info[key] = value_text(value)
            else:
                items.append(format_item(key, value))
    except TypeError as error:
        raise TypeError(f"the key {key}: {error}") from None
    items.append('pbc="' + " ".join("T" if axis else "F" for axis in frames.pbc[i]) + '"')
    extra = {k: v for k, v in (("columns", extra_columns), ("info", extra_info)) if v}
    if extra:
        items.append(format_item(SIDECAR, extra))
    return " ".join(items)


def _width(array: NDArray[Any]) -> int:
    return 1 if array.ndim == 1 else array.shape[1]


# --- the atoms ----------------------------------------------------------------------------------------------


def _columns(values: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Columns for the table, each (n,) or (n, width), and what must be said about those that do not fit."""
    columns: dict[str, NDArray[Any]] = {}
    extra: dict[str, Any] = {}
    for name, array in values.items():
        plain = _COLUMN_NAME.match(name) and name not in ("species", "pos")
        stored = name if plain else f"aliquot_column_{len(extra)}"
        about: dict[str, Any] = {} if plain else {"name": name}
        if not _fits(array):
            about["values"] = array.tolist()
        else:
            if array.ndim > 2 or array.shape[1:] == (1,):
                about["shape"] = list(array.shape[1:])
                array = array.reshape(len(array), -1)
            columns[stored] = array
        if about:
            extra[stored] = about
    return columns, extra


def _fits(array: NDArray[Any]) -> bool:
    """Whether the values can stand in a table whose cells are words."""
    if array.dtype.kind not in _KINDS or not array.size:
        return False
    if array.dtype.kind == "u":
        return int(array.max()) < 2**63
    if array.dtype.kind != "U":
        return True
    words = array.ravel().tolist()
    text = " ".join(words)
    return text.isprintable() and len(text.split()) == len(words) and all(words)


def _table(names: NDArray[Any], positions: NDArray[Any], columns: Mapping[str, NDArray[Any]]) -> str:
    """One line per atom, made by a single format of all values at once."""
    arrays = [names, positions, *columns.values()]
    cells = np.empty((len(names), sum(map(_width, arrays))), object)
    start = 0
    for array in arrays:
        width = _width(array)
        if array.dtype.kind == "b":
            array = np.where(array, "T", "F")
        elif array.dtype.kind == "f" and array.dtype != np.float64:
            array = array.astype(np.float64)
        cells[:, start : start + width] = array.reshape(len(names), width)
        start += width
    line = _line("".join(f"{a.dtype.kind}{_width(a)}," for a in arrays[1:]))
    return (line * len(names)) % tuple(cells.ravel().tolist())


@lru_cache(maxsize=256)
def _line(layout: str) -> str:
    """The format of one line, from kinds and widths such as ``f3,f3,b1,``."""
    words = ["%s"]
    for part in layout.rstrip(",").split(","):
        words += [_KINDS[part[0]][1]] * int(part[1:])
    return " ".join(words) + "\n"
