"""Which studies are there, and what does each one do? A small file declares each; a protocol carries it out."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Protocol, cast

from aliquot.declared import known_words, read_toml, section, value_of
from aliquot.errors import InputError
from aliquot.progress import Progress
from aliquot.studies.data import Data
from aliquot.studies.record import Conclusion
from aliquot.studies.results import Results

__all__ = ["SIZES", "Protocol_", "Study", "protocol_named", "studies", "study_named"]

#: Quick takes a minute, standard up to three quarters of an hour on two cores, full what it takes.
SIZES: Final = ("quick", "standard", "full")

_WORDS: Final = (
    "title",
    "protocol",
    "paper",
    "question",
    "method",
    "published",
    "discussion",
    "minutes",
    "settings",
    "sizes",
)

#: Beginning of the name of a protocol that is a module of one's own.
_OWN: Final = "python:"

#: What one piece of work is told: names and plain values.
Task = Mapping[str, Any]


class Protocol_(Protocol):  # noqa: N801
    """What a module of this room defines to carry out studies.

    ``Settings`` is a frozen dataclass, ``REVISION`` a number that is raised when results of old are no longer right.
    Functions: see the modules. ``prepare`` writes into ``place`` what all tasks share, complete or not at all, and does
    nothing where it is there already; ``work`` may run in another process, reads it from there, and returns rows of
    plain values, the same for the same settings, data and task. ``cost`` is the time of a task in a unit of its own.
    """

    Settings: type[Any]
    REVISION: int

    def tasks(self, settings: Any) -> Sequence[Task]: ...  # noqa: D102
    def cost(self, settings: Any, task: Task) -> float: ...  # noqa: D102
    def prepare(self, settings: Any, data: Data, place: Path, progress: Progress) -> None: ...  # noqa: D102
    def work(self, settings: Any, data: Data, place: Path, task: Task) -> list[dict[str, Any]]: ...  # noqa: D102
    def conclude(self, settings: Any, results: Results) -> Conclusion: ...  # noqa: D102


@dataclass(frozen=True)
class Study:
    """A study as declared.

    Parameters
    ----------
    name : str
    title, paper, question, method, published, discussion : str
        Markdown. ``discussion`` was written about the run of standard size.
    protocol : str
        Module of this room, or ``python:module``, one of one's own.
    settings : dict of str to dict
        By size.
    minutes : dict of str to float
        Time in one process, as measured; by size, where it is known.
    """

    name: str
    title: str
    paper: str
    question: str
    method: str
    published: str
    discussion: str
    protocol: str
    settings: Mapping[str, Mapping[str, Any]]
    minutes: Mapping[str, float] = field(default_factory=dict)

    @property
    def carried_out_by(self) -> Protocol_:
        """The module of the protocol."""
        return protocol_named(self.protocol)

    def settings_of(self, size: str) -> Any:
        """Settings of one size.

        Raises
        ------
        InputError
            If the size is not known or a setting is wrong.
        """
        if size not in SIZES:
            raise InputError(f"size {size!r} is not known; use {', '.join(SIZES)}")
        return section(f"{self.name} [{size}]", self.settings[size], self.carried_out_by.Settings)


def protocol_named(name: str) -> Protocol_:
    """The module that carries out studies of this protocol: of this room, or of one's own (``python:module``).

    Raises
    ------
    InputError
        If there is none, or it is none.
    """
    own = name.startswith(_OWN)
    module = name.removeprefix(_OWN) if own else f"aliquot.studies.{name}"
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # something that the protocol imports
        raise InputError(
            f"there is no protocol {name!r}: no module {error.name!r} can be imported"
        ) from error
    words = ("Settings", "REVISION", "tasks", "cost", "prepare", "work", "conclude")
    lacking = [word for word in words if not hasattr(found, word)]
    if lacking:
        raise InputError(f"module {module} is no protocol: it does not define {', '.join(lacking)}")
    return cast(Protocol_, found)


def studies() -> tuple[str, ...]:
    """Names of all studies."""
    folder = files("aliquot.studies").joinpath("declared")
    return tuple(
        sorted(one.name.removesuffix(".toml") for one in folder.iterdir() if one.name.endswith(".toml"))
    )


def study_named(name: str) -> Study:
    """The study of this name, or declared by a file of one's own (``NAME.toml``).

    Raises
    ------
    InputError
        If there is none, or the file is not understood.
    """
    if name.endswith(".toml"):
        place = Path(name)
    elif name in studies():
        place = Path(str(files("aliquot.studies").joinpath("declared", f"{name}.toml")))
    else:
        raise InputError(f"there is no study {name!r}; there are {', '.join(studies())}, or a file NAME.toml")
    told = read_toml(place)
    known_words(str(place), told, _WORDS)
    missing = [word for word in ("title", "protocol", "question", "settings") if word not in told]
    if missing:
        raise InputError(f"{place} lacks {', '.join(missing)}")
    if not all(part.isidentifier() for part in str(told["protocol"]).removeprefix(_OWN).split(".")):
        raise InputError(f"{place}: protocol {told['protocol']!r} is not a name")
    sizes = told.get("sizes", {})
    minutes = told.get("minutes", {})
    for table, given in (("sizes", sizes), ("minutes", minutes)):
        known_words(f"{place} [{table}]", given, SIZES)
    words = {word: str(told.get(word, "")).strip() for word in _WORDS[:7] if word != "protocol"}
    return Study(
        name=place.stem,
        protocol=told["protocol"],
        settings={size: {**told["settings"], **sizes.get(size, {})} for size in SIZES},
        minutes={
            size: value_of(f"{place} [minutes] {size}", value, float) for size, value in minutes.items()
        },
        **words,
    )
