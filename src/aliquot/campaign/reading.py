"""What does a campaign's TOML file say? Read strictly: an unknown word is an error, told with the likely one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from aliquot.campaign.settings import Settings, Structures
from aliquot.declared import known_words, read_toml, section, value_of
from aliquot.errors import InputError

__all__ = ["read_settings", "settings_from"]


def read_settings(path: Path | str) -> Settings:
    """The settings in a file; names of files in it are meant from where the file lies.

    Raises
    ------
    InputError
        If it cannot be read, is not TOML, or has a word or a value that is not understood.
    """
    place = Path(path)
    settings = settings_from(read_toml(place), source=str(place))
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
    known_words(source, table, [field.name for field in fields(Settings)])
    for field in fields(Settings):
        given, kind = table.get(field.name), kinds[field.name]
        if field.name == "seed":
            if given is not None:
                sections["seed"] = value_of(f"{source}: seed", given, int)
        elif field.name in table:
            sections[field.name] = section(f"{source}: [{field.name}]", given, kind)
        elif field.name in ("start", "goal"):
            raise InputError(f"{source} has no [{field.name}]; a campaign needs [start] and [goal]")
    try:
        return Settings(**sections)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
