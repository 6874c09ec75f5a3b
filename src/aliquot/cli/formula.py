"""Numbers for every structure, as arithmetic over what a frame is made of; nothing is ever executed.

========================  =====================================================================
``atoms``                 number of atoms
``electrons``             all electrons: the sum of atomic numbers
``volume``                of the cell, Å³
``Si``, ``O``, …          number of atoms of that element: ``(4*Si + 6*O)^3`` counts valence electrons
``column:NAME``           a number that each frame has under this key
========================  =====================================================================

with ``+ - * / ^`` (or ``**``), parentheses and numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from aliquot.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aliquot.structures import Frames

__all__ = ["check_formula", "evaluate"]

_LONGEST: Final = 200
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|column:(?:\"(?P<quoted>[^\"]+)\"|(?P<column>[\w.:]+))"
    r"|(?P<name>[A-Za-z]+)|(?P<sign>\*\*|[-+*/^()]))"
)

Lookup = Callable[[str, str], Any]


def evaluate(text: str, frames: Frames, *, option: str) -> NDArray[np.float64]:
    """The value for every frame, (frames,); whatever is not finite is left to the caller.

    Parameters
    ----------
    text : str
    frames : Frames
    option : str
        What the user calls it, for messages: ``"--cost"``.

    Raises
    ------
    InputError
        If the text is no such arithmetic, or a frame lacks a column.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from aliquot.structures import Frames
    >>> evaluate("2*atoms^3", Frames.from_atoms([bulk("Si"), bulk("Cu")]), option="--cost")
    array([16.,  2.])
    """
    import numpy as np

    def lookup(kind: str, name: str) -> Any:
        if kind == "column":
            return _column(frames, name, option)
        _known_name(name, option, text)
        return _count(frames, name)

    with np.errstate(all="ignore"):
        worth = np.asarray(_Reader(text, lookup, option).value(), np.float64)
    return np.broadcast_to(worth, (len(frames),))


def check_formula(text: str, *, option: str) -> None:
    """Refuse what is no arithmetic, before any file is read.

    Raises
    ------
    InputError

    Examples
    --------
    >>> check_formula("atoms^", option="--cost")
    Traceback (most recent call last):
        ...
    aliquot.errors.InputError: --cost 'atoms^' ends where a number, a name or ( was expected
    """

    def lookup(kind: str, name: str) -> float:
        if kind == "name":
            _known_name(name, option, text)
        return 1.0

    _Reader(text, lookup, option).value()


class _Reader:
    """Reads an expression from left to right; every rule returns what its part is worth."""

    def __init__(self, text: str, lookup: Lookup, option: str) -> None:
        if len(text) > _LONGEST:
            raise InputError(f"{option} is longer than {_LONGEST} characters")
        self.text, self.lookup, self.option = text, lookup, option
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise InputError(f"{option} {text!r}: {text[at:].strip()[:20]!r} is not understood")
            kind = str(found.lastgroup)
            self.tokens.append(("column" if kind == "quoted" else kind, found[kind]))
            at = found.end()
        self.at = 0

    def value(self) -> Any:
        worth = self._sum()
        if self.at < len(self.tokens):
            raise InputError(
                f"{self.option} {self.text!r}: {self.tokens[self.at][1]!r} was not expected there"
            )
        return worth

    def _next_is(self, *signs: str) -> str:
        """Step over one of these signs and return it; empty where something else follows."""
        if self.at < len(self.tokens) and self.tokens[self.at] in [("sign", s) for s in signs]:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return ""

    def _sum(self) -> Any:
        worth = self._product()
        while sign := self._next_is("+", "-"):
            term = self._product()
            worth = worth + term if sign == "+" else worth - term
        return worth

    def _product(self) -> Any:
        worth = self._power()
        while sign := self._next_is("*", "/"):
            factor = self._power()
            worth = worth * factor if sign == "*" else _divide(worth, factor)
        return worth

    def _power(self) -> Any:
        base = self._part()
        if self._next_is("^", "**"):
            return _raise(base, self._power())
        return base

    def _part(self) -> Any:
        if self._next_is("("):
            worth = self._sum()
            if not self._next_is(")"):
                raise InputError(f"{self.option} {self.text!r}: a ) is missing")
            return worth
        if self.at == len(self.tokens):
            raise InputError(f"{self.option} {self.text!r} ends where a number, a name or ( was expected")
        kind, token = self.tokens[self.at]
        if kind == "sign":
            raise InputError(
                f"{self.option} {self.text!r}: {token!r} stands where a number, a name or ( was expected"
            )
        self.at += 1
        return float(token) if kind == "number" else self.lookup(kind, token)


def _divide(a: Any, b: Any) -> Any:
    import numpy as np

    with np.errstate(all="ignore"):
        return np.divide(a, b)


def _raise(a: Any, b: Any) -> Any:
    import numpy as np

    with np.errstate(all="ignore"):
        return np.power(np.asarray(a, np.float64), b)


def _known_name(name: str, option: str, text: str) -> None:
    from ase.data import atomic_numbers

    if name not in ("atoms", "electrons", "volume") and name not in atomic_numbers:
        raise InputError(
            f"{option} {text!r}: {name!r} is not atoms, electrons, volume, the symbol of an element or column:NAME"
        )


def _count(frames: Frames, name: str) -> NDArray[np.float64]:
    import numpy as np

    if name == "atoms":
        return frames.sizes.astype(np.float64)
    if name == "volume":
        return frames.volumes
    from ase.data import atomic_numbers

    each = frames.numbers if name == "electrons" else frames.numbers == atomic_numbers[name]
    owner = np.repeat(np.arange(len(frames)), frames.sizes)
    return np.bincount(owner, weights=each, minlength=len(frames)).astype(np.float64)


def _column(frames: Frames, name: str, option: str) -> NDArray[np.float64]:
    import numpy as np

    column = frames.frame_columns.get(name)
    if column is None:
        has = ", ".join(sorted(frames.frame_columns)) or "none"
        raise InputError(f"{option} column:{name}: no frame has this key; keys per frame: {has}")
    if not column.present.all():
        first = int(np.argmin(column.present))
        missing = int(np.sum(~column.present))
        raise InputError(
            f"{option} column:{name}: {missing} of {len(frames)} frames lack this key; the first is"
            f" {frames.ids_name(first)}"
        )
    try:
        values = np.asarray(column.values, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (len(frames),):
        raise InputError(f"{option} column:{name}: the values under this key are not one number per frame")
    return values
