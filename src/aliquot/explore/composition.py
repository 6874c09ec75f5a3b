"""Which atoms does a structure hold? ``W``, ``HfO2`` (fixed ratio) or ``W-Be`` (any ratio), and how many of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from math import gcd

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["Composition"]


@dataclass(frozen=True)
class Composition:
    """What structures are made of.

    Parameters
    ----------
    text : str
        An element, a formula whose ratio every structure has, or elements joined by ``-`` that mix in any ratio.

    Raises
    ------
    InputError
        If the text names no element, one that does not exist, or an element twice.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Composition("HfO2").draw(12, rng).tolist(), Composition("W-Be").elements
    ([8, 8, 8, 8, 8, 8, 8, 8, 72, 72, 72, 72], (4, 74))
    """

    text: str

    def __post_init__(self) -> None:
        _ = self._parts  # says what is wrong with it

    @cached_property
    def _parts(self) -> tuple[dict[int, int], bool]:
        """Atomic numbers with their share in one formula unit, and whether they mix in any ratio."""
        from ase.data import atomic_numbers

        mixed = "-" in self.text
        pattern = r"([A-Z][a-z]?)(?:-|\Z)" if mixed else r"([A-Z][a-z]?)(\d{0,3})"
        found = re.findall(pattern, self.text)
        whole = "-".join(found) if mixed else "".join(a + b for a, b in found)
        if not found or whole != self.text:
            raise InputError(
                f"{self.text!r} is not a composition; give an element (W), a formula (HfO2) or elements that mix in"
                " any ratio (W-Be)"
            )
        parts: dict[int, int] = {}
        for item in found:
            symbol, times = (item, "1") if mixed else item
            z = atomic_numbers.get(symbol, 0)
            if z == 0:
                raise InputError(f"{symbol!r} in {self.text!r} is not an element")
            if z in parts or times == "0":
                raise InputError(f"{self.text!r} names {symbol} twice or no times; name every element once")
            parts[z] = int(times or 1)
        common = gcd(*parts.values())
        return {z: n // common for z, n in sorted(parts.items())}, mixed

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers, ascending."""
        return tuple(self._parts[0])

    @property
    def unit(self) -> int:
        """Atoms in the smallest structure; every other holds a multiple of it."""
        parts, mixed = self._parts
        return 1 if mixed else sum(parts.values())

    def sizes(self, low: int, high: int) -> tuple[int, ...]:
        """Numbers of atoms from ``low`` to ``high`` that a structure can have.

        Raises
        ------
        InputError
            If there is none.
        """
        sizes = tuple(n for n in range(low, high + 1) if n % self.unit == 0)
        if not sizes:
            raise InputError(
                f"no structure of {low} to {high} atoms has the composition {self.text}: it takes multiples of"
                f" {self.unit} atoms"
            )
        return sizes

    def draw(self, n_atoms: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Atomic numbers of one structure, ascending; every ratio of a mixture is equally probable."""
        parts, mixed = self._parts
        elements = np.array(list(parts), np.int32)
        if not mixed:
            return np.repeat(elements, np.array(list(parts.values())) * (n_atoms // self.unit))
        places = n_atoms + len(elements) - 1  # atoms, and bars between the elements
        bars = np.sort(rng.choice(places, len(elements) - 1, replace=False))
        return np.repeat(elements, np.diff(bars, prepend=-1, append=places) - 1)
