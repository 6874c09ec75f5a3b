"""Which element does a symbol mean? One of 118, in any spelling; anything else is refused."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["atomic_numbers", "symbols", "type_numbers"]


@lru_cache(maxsize=1)
def _table() -> NDArray[np.int64]:
    """Atomic number by the codes of the two letters of a symbol; -1 where there is no such element."""
    from ase.data import chemical_symbols

    table = np.full((128, 128), -1, np.int64)
    for number, symbol in enumerate(chemical_symbols[1:], start=1):
        for spelling in (symbol, symbol.upper(), symbol.lower()):
            table[ord(spelling[0]), ord(spelling[1]) if len(spelling) > 1 else 0] = number
    for number in range(1, 100):
        digits = str(number)
        table[ord(digits[0]), ord(digits[1]) if len(digits) > 1 else 0] = number
    return table


def atomic_numbers(names: NDArray[Any]) -> NDArray[np.int64]:
    """Atomic numbers of symbols (or of numbers), -1 where there is no such element.

    >>> atomic_numbers(np.array(["Si", "O", "CL", "Xx", "14"]))
    array([14,  8, 17, -1, 14])
    """
    if names.dtype.kind in "iu":
        return np.where((names >= 1) & (names <= 118), names, -1).astype(np.int64)
    width = max(names.dtype.itemsize // 4 + 1, 2) // 2 * 2
    pairs = np.ascontiguousarray(names, dtype=f"<U{width}").view("<u8").reshape(len(names), width // 2)
    first = pairs[:, 0]  # two letters of 32 bits each
    plain = (first & ~np.uint64(127 | 127 << 32)) == 0
    if pairs[:, 1:].any():
        plain &= ~pairs[:, 1:].any(axis=1)
    return np.where(plain, _table()[first & np.uint64(127), (first >> np.uint64(32)) & np.uint64(127)], -1)


def symbols(numbers: NDArray[np.integer[Any]]) -> NDArray[np.str_]:
    """Chemical symbols of atomic numbers.

    >>> symbols(np.array([14, 8]))
    array(['Si', 'O'], dtype='<U2')
    """
    from ase.data import chemical_symbols

    return np.array(chemical_symbols, "U2")[np.asarray(numbers)]


def type_numbers(type_map: dict[int, str]) -> dict[int, int]:
    """Atomic number of every LAMMPS atom type.

    Raises
    ------
    InputError
        If a type is mapped to something that is no element.
    """
    numbers = {t: int(atomic_numbers(np.array([name]))[0]) for t, name in type_map.items()}
    for t, number in numbers.items():
        if number < 1:
            raise InputError(f"the type map says {t}={type_map[t]}, but there is no such element")
    return numbers
