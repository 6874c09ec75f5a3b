"""Which studies are there, and what does each one do? A small file declares each; a protocol carries it out."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Protocol, cast

from aliquot.declared import known_words, read_toml, section
from aliquot.errors import InputError
from aliquot.progress import Progress
from aliquot.studies.data import Data
from aliquot.studies.record import Conclusion
from aliquot.studies.results import Results

__all__ = ["SIZES", "Protocol_", "Study", "studies", "study_named"]

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
    "settings",
    "sizes",
)

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
        Module of this room.
    settings : dict of str to dict
        By size.
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

    @property
    def carried_out_by(self) -> Protocol_:
        """The module of the protocol."""
        return cast(Protocol_, importlib.import_module(f"aliquot.studies.{self.protocol}"))

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
    if not str(told["protocol"]).isidentifier():
        raise InputError(f"{place}: protocol {told['protocol']!r} is not a name")
    sizes = told.get("sizes", {})
    known_words(f"{place} [sizes]", sizes, SIZES)
    words = {word: str(told.get(word, "")).strip() for word in _WORDS[:7] if word != "protocol"}
    return Study(
        name=place.stem,
        protocol=told["protocol"],
        settings={size: {**told["settings"], **sizes.get(size, {})} for size in SIZES},
        **words,
    )
