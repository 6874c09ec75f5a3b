"""What does a TOML file say? Read strictly into dataclasses: an unknown word is an error, told with the likely one."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from aliquot.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["known_words", "read_toml", "section", "value_of"]

Table = TypeVar("Table")

_NAMED = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    tuple[int, ...]: "a list of whole numbers",
    tuple[float, ...]: "a list of numbers",
    tuple[str, ...]: "a text in quotes, or a list of them",
}


def read_toml(path: Path | str) -> dict[str, Any]:
    """The tables of a file.

    Raises
    ------
    InputError
        If it cannot be read or is not TOML.
    """
    place = Path(path)
    try:
        return tomllib.loads(place.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {place}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{place} is not TOML: {error}") from error


def section(where: str, given: Any, kind: type[Table]) -> Table:
    """A dataclass from a table; ``where`` begins every message.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Walk:
    ...     steps: int = 10
    ...     temperatures: tuple[float, ...] = ()
    >>> section("[walk]", {"temperatures": [300, 600]}, Walk)
    Walk(steps=10, temperatures=(300.0, 600.0))
    >>> section("[walk]", {"step": 3}, Walk)
    Traceback (most recent call last):
    aliquot.errors.InputError: [walk] step is not known; did you mean steps?
    """
    if not isinstance(given, Mapping):
        raise InputError(f"{where} is {given!r}; it must be a table")
    hints = get_type_hints(kind)
    known_words(where, given, list(hints))
    try:
        return kind(
            **{name: value_of(f"{where} {name}", value, hints[name]) for name, value in given.items()}
        )
    except InputError as error:
        raise (error if str(error).startswith(where) else InputError(f"{where}: {error}")) from error


def known_words(where: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse a word that is not among ``names``."""
    for name in given:
        if name not in names:
            likely = get_close_matches(name, names, 1)
            hint = f"did you mean {likely[0]}?" if likely else f"there are {', '.join(names)}"
            raise InputError(f"{where} {name} is not known; {hint}")


def value_of(where: str, given: Any, hint: Any) -> Any:
    """A value of the type that is asked for; whole numbers pass for numbers, one text for a list of texts."""
    if get_origin(hint) in (Union, UnionType):
        hint = next(one for one in get_args(hint) if one is not NoneType)
    if get_origin(hint) is tuple:
        kind = get_args(hint)[0]
        listed = [given] if kind is str and isinstance(given, str) else given
        if isinstance(listed, list | tuple) and all(_is(one, kind) for one in listed):
            return tuple(map(kind, listed))
    elif get_origin(hint) is not None:
        if isinstance(given, Mapping):
            return dict(given)
    elif _is(given, hint):
        return hint(given)
    raise InputError(f"{where} is {given!r}; it must be {_NAMED.get(hint, 'a table')}")


def _is(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
