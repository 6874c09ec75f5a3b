"""What does a campaign's TOML file say? Read strictly: an unknown word is an error, told with the likely one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from aliquot.campaign.settings import Settings, Structures
from aliquot.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_settings", "settings_from"]

Table = TypeVar("Table")

_NAMED = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    tuple[float, ...]: "a list of numbers",
    tuple[str, ...]: "a text in quotes, or a list of them",
    Mapping[str, Any]: "a table",
}


def read_settings(path: Path | str) -> Settings:
    """The settings in a file; names of files in it are meant from where the file lies.

    Raises
    ------
    InputError
        If it cannot be read, is not TOML, or has a word or a value that is not understood.
    """
    place = Path(path)
    try:
        table = tomllib.loads(place.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {place}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{place} is not TOML: {error}") from error
    settings = settings_from(table, source=str(place))
    folder = place.parent

    def whole(some: Structures) -> Structures:
        return replace(some, structures=tuple(str(folder / name) for name in some.structures))

    explore = settings.explore
    return replace(
        settings,
        start=whole(settings.start),
        test=whole(settings.test),
        explore=replace(explore, structures=tuple(str(folder / name) for name in explore.structures)),
    )


def settings_from(table: Mapping[str, Any], *, source: str = "the settings") -> Settings:
    """The settings in a nested dictionary.

    Examples
    --------
    >>> told = settings_from({"start": {"structures": "cells.xyz"}, "goal": {"rounds": 3}})
    >>> told.start.structures, told.goal.rounds, told.select.method
    (('cells.xyz',), 3, 'bayes')

    Raises
    ------
    InputError
    """
    kinds = get_type_hints(Settings)
    sections: dict[str, Any] = {}
    _known(source, table, [field.name for field in fields(Settings)])
    for field in fields(Settings):
        given, kind = table.get(field.name), kinds[field.name]
        if field.name == "seed":
            if given is not None:
                sections["seed"] = _value(f"{source}: seed", given, int)
        elif field.name in table:
            sections[field.name] = _section(f"{source}: [{field.name}]", given, kind)
        elif field.name in ("start", "goal"):
            raise InputError(f"{source} has no [{field.name}]; a campaign needs [start] and [goal]")
    try:
        return Settings(**sections)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _section(where: str, given: Any, kind: type[Table]) -> Table:
    if not isinstance(given, Mapping):
        raise InputError(f"{where} is {given!r}; it must be a table")
    hints = get_type_hints(kind)
    _known(where, given, list(hints))
    try:
        return kind(**{name: _value(f"{where} {name}", value, hints[name]) for name, value in given.items()})
    except InputError as error:
        raise (error if str(error).startswith(where) else InputError(f"{where}: {error}")) from error


def _known(where: str, given: Mapping[str, Any], names: list[str]) -> None:
    for name in given:
        if name not in names:
            likely = get_close_matches(name, names, 1)
            hint = f"did you mean {likely[0]}?" if likely else f"there are {', '.join(names)}"
            raise InputError(f"{where} {name} is not known; {hint}")


def _value(where: str, given: Any, hint: Any) -> Any:
    """A value of the type that is asked for."""
    options = [one for one in get_args(hint) if one is not NoneType] if NoneType in get_args(hint) else [hint]
    kind = options[0]
    if kind == tuple[str, ...]:
        listed = [given] if isinstance(given, str) else given
        if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
            return tuple(listed)
    elif kind == tuple[float, ...]:
        if isinstance(given, list) and all(_is_number(one) for one in given):
            return tuple(map(float, given))
    elif get_origin(kind) is not None:
        if isinstance(given, Mapping):
            return dict(given)
    elif kind is float:
        if _is_number(given):
            return float(given)
    elif isinstance(given, kind) and (kind is bool or not isinstance(given, bool)):
        return given
    raise InputError(f"{where} is {given!r}; it must be {_NAMED[kind]}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
