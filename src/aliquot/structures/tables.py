"""What stands in the atom lines of a frame? What ``Properties`` says, parsed at the speed of the digits.

``Properties=species:S:1:pos:R:3:forces:R:3`` says what the columns are. The lines of many frames with the same
columns are glued and parsed by one call of the ``extxyz`` C parser, which costs what the digits cost. What it
refuses (NaN, ``0``/``1`` logicals, commas, text that is not ASCII, …) goes line by line through Python,
which says what is wrong with which atom.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.structures.comment import LOGICALS

__all__ = ["PLAIN", "Field", "parse_glued", "parse_lines", "parse_properties"]

#: The columns of a file that does not name them.
PLAIN: Final = "species:S:1:pos:R:3"

#: The parser cuts the property string with ``strtok``, so only one thread at a time may be inside.
_PARSER: Final = threading.Lock()

_EXACT: Final = 2.0**53

#: Longest word given to the C parser.
_LONGEST_WORD: Final = 400


class Field(NamedTuple):
    """One property: its name, type (S, R, I or L) and number of columns."""

    name: str
    kind: str
    width: int


@lru_cache(maxsize=1024)
def parse_properties(text: str) -> tuple[Field, ...]:
    """Fields named by a ``Properties`` value.

    Raises
    ------
    ValueError
        If it is not made of ``name:type:columns``, or names a field twice.

    Examples
    --------
    >>> parse_properties("species:S:1:pos:R:3")[1]
    Field(name='pos', kind='R', width=3)
    """
    words = text.split(":")
    if len(words) % 3 or len(words) < 3:
        raise ValueError(f"Properties={text} is not a list of name:type:columns")
    fields: list[Field] = []
    for name, kind, width in zip(words[::3], words[1::3], words[2::3], strict=True):
        if kind.upper() not in "SRIL" or len(kind) != 1 or not width.strip().isdecimal() or int(width) < 1:
            raise ValueError(f"Properties={text}: {name}:{kind}:{width} is not name:type:columns")
        fields.append(Field(name, kind.upper(), int(width)))
    if len({f.name for f in fields}) != len(fields):
        raise ValueError(f"Properties={text} names a column twice")
    return tuple(fields)


# --- the fast way -------------------------------------------------------------------------------------------


def parse_glued(
    lines: bytes, n_atoms: int, fields: Sequence[Field], *, longest_line: int | None = None
) -> list[NDArray[Any]] | None:
    """Columns of ``n_atoms`` lines by the C parser, one array per field; None where it refuses them.

    ``longest_line`` is the length of the longest line or more, bytes; it is measured if not given.

    Notes
    -----
    The parser quotes a word that it refuses in a message of fixed size, so words that would not fit are kept from it.
    Integers are parsed as reals and turned back, because the parser's are 32 bits wide and wrap silently.
    """
    from extxyz import cextxyz

    opener = _opener()
    if opener is None or not lines.isascii() or any(x in lines and b"0" + x in lines for x in (b"x", b"X")):
        return None  # the parser takes hexadecimal numbers and mistakes the encoding of other text
    if longest_line is None:
        longest_line = max(map(len, lines.split(b"\n")))
    if longest_line > _LONGEST_WORD and max(map(len, lines.split())) > _LONGEST_WORD:
        return None
    kinds = {"I": "R"}
    layout = ":".join(f"c{i}:{kinds.get(f.kind, f.kind)}:{f.width}" for i, f in enumerate(fields))
    text = b"%d\n\n%s" % (n_atoms, lines)
    with _PARSER:
        handle = cextxyz.FILE_ptr(opener(text, len(text), b"r"))
        try:
            _, _, arrays = cextxyz.read_frame_dicts(handle, comment=f"Properties={layout}", use_cleri=False)
        except (cextxyz.ExtXYZError, EOFError, UnicodeDecodeError):
            return None
        finally:
            cextxyz.cfclose(handle)
    columns = [_as_declared(arrays[f"c{i}"], f) for i, f in enumerate(fields)]
    return None if any(c is None for c in columns) else [c for c in columns if c is not None]


@lru_cache(maxsize=1)
def _opener() -> Any:
    """``fmemopen`` of the C library, with which bytes are read as a file; None where there is none."""
    from extxyz import cextxyz

    opener = getattr(cextxyz._stdio, "fmemopen", None)
    if opener is not None:
        opener.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
        opener.restype = ctypes.c_void_p
    return opener


def _as_declared(column: NDArray[Any], field: Field) -> NDArray[Any] | None:
    """The column with the type and width of its field; None where an integer is none."""
    if field.kind == "I":
        if not np.all((np.abs(column) < _EXACT) & (column == np.floor(column))):
            return None
        column = column.astype(np.int64)
    return column.reshape(len(column), field.width) if field.width > 1 else column.reshape(len(column))


# --- the tolerant way ---------------------------------------------------------------------------------------


def parse_lines(lines: bytes, n_atoms: int, fields: Sequence[Field]) -> list[NDArray[Any]]:
    """Columns of ``n_atoms`` lines, one array per field, in plain Python.

    Raises
    ------
    ValueError
        Naming the atom (from 0) and what it has.
    """
    rows = [line.split() for line in lines.decode().split("\n")[:n_atoms]]
    width = sum(f.width for f in fields)
    for atom, row in enumerate(rows):
        if len(row) != width or all(word.endswith(",") for word in row[:-1]):
            row[:] = " ".join(row).replace(",", " ").split()
        if len(row) != width:
            raise ValueError(
                f"atom {atom} has {len(row)} columns where {width} are announced ({_names(fields)}):"
                f" {' '.join(row)[:80]!r}"
            )
    columns: list[NDArray[Any]] = []
    start = 0
    for field in fields:
        cells = [row[start : start + field.width] for row in rows]
        column = _convert(cells, field)
        columns.append(column if field.width > 1 else column[:, 0])
        start += field.width
    return columns


def _names(fields: Sequence[Field]) -> str:
    return ":".join(f"{f.name}:{f.kind}:{f.width}" for f in fields)


def _convert(cells: list[list[str]], field: Field) -> NDArray[Any]:
    """Words of one field, atom by atom, as numbers, logicals or text."""
    convert, dtype = {
        "R": (_real, np.float64),
        "I": (_integer, np.int64),
        "L": (_logical, np.bool_),
        "S": (str, np.str_),
    }[field.kind]
    atom = 0
    values: list[list[Any]] = []
    try:
        for atom, words in enumerate(cells):  # noqa: B007  (atom is for the message)
            values.append([convert(word) for word in words])
    except (ValueError, KeyError):
        kind = {"R": "a number", "I": "an integer", "L": "a logical (T or F)"}[field.kind]
        words = " ".join(cells[atom])[:80]
        raise ValueError(f"{field.name} of atom {atom} is not {kind}: {words!r}") from None
    return np.array(values, dtype).reshape(len(cells), field.width)


def _real(word: str) -> float:
    if "_" in word:
        raise ValueError(word)
    try:
        return float(word)
    except ValueError:  # Fortran's exponent letter
        return float(word.replace("D", "E").replace("d", "e"))


def _integer(word: str) -> int:
    number = int(word)
    if "_" in word or not -(2**63) <= number < 2**63:
        raise ValueError(word)
    return number


def _logical(word: str) -> bool:
    return bool(int(word)) if word in ("0", "1") else LOGICALS[word]
