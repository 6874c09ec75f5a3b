"""How do the values that many frames have under one key become one column? Without changing any.

Values of one type and shape become a flat array; anything else an object array with one entry per frame. No
value changes on the way: integers join reals only where a double holds them exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Column", "atom_column", "frame_columns", "stack"]

#: Longest text kept in a fixed-width array; one long text must not blow up the column of every frame.
_LONGEST_TEXT: Final = 512


@dataclass(frozen=True, eq=False)
class Column:
    """One key of a file: its values and which frames have it.

    Parameters
    ----------
    values : array
        Per frame ``(n_frames, ...)`` or per atom ``(n_atoms, ...)``. Where frames disagree in shape or type:
        an object array with one entry per frame.
    present : (n_frames,) array of bool
        False where the frame's file does not have the key; the value there means nothing.
    """

    values: NDArray[Any]
    present: NDArray[np.bool_]


def frame_columns(items: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """One column per key that any frame has.

    Examples
    --------
    >>> columns = frame_columns([{"energy": -1.0}, {"energy": -2, "tag": "a"}])
    >>> columns["energy"].values, columns["tag"].present
    (array([-1., -2.]), array([False,  True]))
    """
    columns: dict[str, Column] = {}
    for key in dict.fromkeys(key for item in items for key in item):
        present = np.array([key in item for item in items], bool)
        column = stack([item[key] for item in items if key in item])
        columns[key] = Column(column if present.all() else _spread(column, present), present)
    return columns


def atom_column(values: Sequence[NDArray[Any] | None], sizes: NDArray[np.int64]) -> Column:
    """Per-atom arrays of many frames, None where a frame has none, as one column.

    Parameters
    ----------
    values : sequence of arrays
        One (n_atoms of the frame, ...) array per frame.
    sizes : (n_frames,) array of int
        Atoms per frame.
    """
    present = np.array([v is not None for v in values], bool)
    held = [v for v in values if v is not None]
    if len({(v.shape[1:], v.dtype.kind) for v in held}) > 1 or held[0].dtype.kind == "O":
        ragged = np.empty(len(values), object)
        for i, value in enumerate(values):
            ragged[i] = value
        return Column(ragged, present)
    flat = np.concatenate(held)
    return Column(flat if present.all() else _spread(flat, np.repeat(present, sizes)), present)


def _spread(values: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[Any]:
    """Values at the places where ``present``, blanks elsewhere."""
    out = np.empty(len(present), object) if values.dtype == object else None
    if out is None:
        out = np.zeros((len(present), *values.shape[1:]), values.dtype)
    out[present] = values
    return out


def stack(values: Sequence[Any]) -> NDArray[Any]:
    """One array with an entry per value: flat where all have one type and shape, else of objects.

    >>> stack([1, 2.5]), stack([True, 2]).dtype, stack([[1, 2], "x"]).dtype
    (array([1. , 2.5]), dtype('O'), dtype('O'))
    """
    kinds = {_kind(value) for value in values}
    if kinds == {"float", "int"}:
        exact = all(isinstance(v, float) or abs(v) <= 2**53 for v in values)
        kinds = {"float"} if exact else {"mixed"}
    if len(kinds) == 1:
        kind = kinds.pop()
        if kind in ("float", "int", "bool"):
            return np.array(values, {"float": np.float64, "int": np.int64, "bool": np.bool_}[kind])
        if kind == "str" and max(map(len, values)) <= _LONGEST_TEXT and not any("\0" in v for v in values):
            return np.array(values, np.str_)
        if isinstance(kind, tuple):
            return np.array(values)
    out = np.empty(len(values), object)
    for i, value in enumerate(values):
        out[i] = value
    return out


def _kind(value: Any) -> str | tuple[Any, ...]:
    """What must agree between values that share a flat array; unique for objects that cannot."""
    kind = type(value)
    if kind is float or kind is str or kind is bool:
        return kind.__name__
    if kind is int:
        return "int" if -(2**63) <= value < 2**63 else "object"
    if isinstance(value, np.ndarray) and value.dtype.kind in "ifbU":
        return (value.dtype.kind, value.shape)
    return "object"
