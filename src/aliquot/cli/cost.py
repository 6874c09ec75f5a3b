"""What does a structure cost? ``--cost`` as arithmetic over what a frame is made of; nothing is ever executed.

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

    from aliquot.selection import Cost
    from aliquot.structures import Frames

__all__ = ["budget_of", "check_cost", "costs"]

_LONGEST: Final = 200
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|column:(?:\"(?P<quoted>[^\"]+)\"|(?P<column>[\w.:]+))"
    r"|(?P<name>[A-Za-z]+)|(?P<sign>\*\*|[-+*/^()]))"
)

Lookup = Callable[[str, str], Any]


def costs(text: str, frames: Frames, budget: float | None) -> Cost:
    """Cost of every frame.

    Raises
    ------
    InputError
        If the text is no such arithmetic, or a frame lacks a column.
    SelectionError
        If a cost is not positive and finite.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from aliquot.structures import Frames
    >>> costs("2*atoms^3", Frames.from_atoms([bulk("Si"), bulk("Cu")]), None).values
    array([16.,  2.])
    """
    import numpy as np

    from aliquot.selection import Cost

    def lookup(kind: str, name: str) -> Any:
        return _column(frames, name) if kind == "column" else _count(frames, name)

    with np.errstate(all="ignore"):  # what is not finite is refused with the name of its frame
        values = np.broadcast_to(np.asarray(_Reader(text, lookup).value(), np.float64), (len(frames),))
    return Cost(values, budget, text.replace(" ", ""))


def check_cost(text: str) -> None:
    """Refuse what is no arithmetic, before any file is read.

    Raises
    ------
    InputError

    Examples
    --------
    >>> check_cost("atoms^")
    Traceback (most recent call last):
        ...
    aliquot.errors.InputError: --cost 'atoms^' ends where a number, a name or ( was expected
    """

    def lookup(kind: str, name: str) -> float:
        if kind == "name":
            _known_name(text, name)
        return 1.0

    _Reader(text, lookup).value()


def budget_of(text: str, total: Callable[[], float]) -> float:
    """``1e6``, or ``10%`` of what the whole pool would cost.

    >>> budget_of("10%", lambda: 500.0)
    50.0
    """
    found = re.fullmatch(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*(%?)\s*", text)
    value = float(found[1]) if found else 0.0
    if found is None or not 0 < value < float("inf") or (found[2] and value > 100):
        raise InputError(
            f"--budget {text}: give a positive number in the unit of --cost, or a share such as 10%"
        )
    return value / 100 * total() if found[2] else value


class _Reader:
    """Reads an expression from left to right; every rule returns what its part is worth."""

    def __init__(self, text: str, lookup: Lookup) -> None:
        if len(text) > _LONGEST:
            raise InputError(f"--cost is longer than {_LONGEST} characters")
        self.text, self.lookup = text, lookup
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise InputError(f"--cost {text!r}: {text[at:].strip()[:20]!r} is not understood")
            kind = str(found.lastgroup)
            self.tokens.append(("column" if kind == "quoted" else kind, found[kind]))
            at = found.end()
        self.at = 0

    def value(self) -> Any:
        worth = self._sum()
        if self.at < len(self.tokens):
            raise InputError(f"--cost {self.text!r}: {self.tokens[self.at][1]!r} was not expected there")
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
                raise InputError(f"--cost {self.text!r}: a ) is missing")
            return worth
        if self.at == len(self.tokens):
            raise InputError(f"--cost {self.text!r} ends where a number, a name or ( was expected")
        kind, token = self.tokens[self.at]
        if kind == "sign":
            raise InputError(
                f"--cost {self.text!r}: {token!r} stands where a number, a name or ( was expected"
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


def _known_name(text: str, name: str) -> None:
    from ase.data import atomic_numbers

    if name not in ("atoms", "electrons", "volume") and name not in atomic_numbers:
        raise InputError(
            f"--cost {text!r}: {name!r} is not atoms, electrons, volume, the symbol of an element or column:NAME"
        )


def _count(frames: Frames, name: str) -> NDArray[np.float64]:
    import numpy as np

    _known_name(name, name)
    if name == "atoms":
        return frames.sizes.astype(np.float64)
    if name == "volume":
        return frames.volumes
    from ase.data import atomic_numbers

    each = frames.numbers if name == "electrons" else frames.numbers == atomic_numbers[name]
    owner = np.repeat(np.arange(len(frames)), frames.sizes)
    return np.bincount(owner, weights=each, minlength=len(frames)).astype(np.float64)


def _column(frames: Frames, name: str) -> NDArray[np.float64]:
    import numpy as np

    column = frames.frame_columns.get(name)
    if column is None:
        has = ", ".join(sorted(frames.frame_columns)) or "none"
        raise InputError(f"--cost column:{name}: no frame has this key; keys per frame: {has}")
    if not column.present.all():
        first = int(np.argmin(column.present))
        missing = int(np.sum(~column.present))
        raise InputError(
            f"--cost column:{name}: {missing} of {len(frames)} frames lack this key; the first is"
            f" {frames.ids_name(first)}"
        )
    try:
        values = np.asarray(column.values, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (len(frames),):
        raise InputError(f"--cost column:{name}: the values under this key are not one number per frame")
    return values
