"""Where does a campaign live? In one folder, of which every file is whole at any moment.

``campaign.json`` (the settings), ``start.xyz``, ``test.xyz``, ``cells.xyz`` (copies of what it began with),
``labels/`` (every label, as :mod:`aliquot.oracle` keeps it) and one folder per round: ``round.json`` (the settings of
that round), the files of each stage, and ``STAGE.json``, which is written last: **a stage is done when its JSON is
there**, and is done again when it is not. Whatever a stage does it does the same way again, since its random numbers
follow from the seed and the number of the round.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from aliquot.campaign.reading import settings_from
from aliquot.campaign.record import STAGES, History, Round
from aliquot.campaign.settings import Settings
from aliquot.errors import InputError
from aliquot.oracle.store import write_whole
from aliquot.structures import Frames, read

__all__ = ["Folder", "read_history"]

_SETTINGS: Final = "campaign.json"
_LOCK: Final = ".lock"

#: Beginnings of names under which files are written aside.
_ASIDE: Final = (".aliquot-", ".state-", ".writing-")


class Folder:
    """The folder of a campaign that runs; a context, so that others may have it afterwards.

    Parameters
    ----------
    place : Path
        New or empty, or that of the same campaign.
    settings : Settings
        Structures, oracle, energy and seed are those with which it began, or it is refused.

    Raises
    ------
    InputError
        If the folder cannot be written to, holds something else, or is at work.
    """

    def __init__(self, place: Path | str, settings: Settings) -> None:
        self.place = Path(place)
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.place / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise InputError(
                f"the campaign cannot be kept in {self.place}: {error.strerror}; name a folder that can be written to"
            ) from error
        try:
            _lock(self._handle, self.place)
            _check(self.place, settings)
            for rest in self.place.rglob(".*"):
                if rest.is_file() and rest.name.startswith(_ASIDE):
                    rest.unlink(missing_ok=True)
            write_json(self.place / _SETTINGS, {"format": "aliquot-campaign", "schema": 1} | plain(settings))
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)

    def round(self, number: int) -> Path:
        """The folder of a round."""
        return round_folder(self.place, number)

    def begin(self, number: int, settings: Settings) -> Settings:
        """Open a round, or go on with it: the settings with which it began."""
        place = self.round(number)
        place.mkdir(exist_ok=True)
        path = place / "round.json"
        if not path.exists():
            write_json(path, plain(settings))
        return settings_from(_read_json(path), source=str(path))

    def done(self, number: int, stage: str) -> bool:
        """Whether a stage is done."""
        return (self.round(number) / f"{stage}.json").exists()

    def finish(self, number: int, stage: str, found: Mapping[str, Any]) -> None:
        """Write down that a stage is done."""
        write_json(self.round(number) / f"{stage}.json", found)

    def history(self) -> History:
        """What is done so far."""
        return read_history(self.place)

    def labelled(self, rounds: int) -> Frames:
        """The structures that teach after so many rounds, in the order in which they were labelled."""
        paths = [self.round(k) / "labelled.xyz" for k in range(rounds)]
        return Frames.concatenate([read(path) for path in paths if path.exists()])

    def tried(self, rounds: int) -> set[bytes]:
        """Content hashes of structures whose labels were asked for in so many rounds, or that are for the test."""
        paths = [*(self.round(k) / "selected.xyz" for k in range(rounds)), self.place / "test.xyz"]
        return {bytes(h) for path in paths if path.exists() for h in read(path).hashes}


def read_history(place: Path | str) -> History:
    """What a campaign has done, from its folder; it may be running.

    Raises
    ------
    InputError
        If there is no campaign in the folder, or a file of it is damaged.
    """
    folder = Path(place)
    if not (folder / _SETTINGS).is_file():
        raise InputError(f"there is no campaign in {folder}: {folder / _SETTINGS} does not exist")
    settings = _read_json(folder / _SETTINGS)
    rounds: list[Round] = []
    asked, labelled, cost = 0, 0, 0.0
    while (here := round_folder(folder, len(rounds))).is_dir():
        stages = {
            name: _read_json(here / f"{name}.json") for name in STAGES if (here / f"{name}.json").exists()
        }
        label = stages.get("label", {})
        asked += label.get("asked", 0)
        labelled += label.get("labelled", 0)
        cost += label.get("cost", 0.0)
        rounds.append(Round(len(rounds), stages, asked, labelled, cost))
    return History(folder, settings, tuple(rounds))


def round_folder(place: Path, number: int) -> Path:
    """``round-003``."""
    return place / f"round-{number:03d}"


def plain(settings: Settings) -> dict[str, Any]:
    """As TOML and JSON have it: nothing where nothing is set."""
    return {
        name: {k: v for k, v in table.items() if v is not None} if isinstance(table, dict) else table
        for name, table in asdict(settings).items()
    }


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file, complete or not at all."""
    write_whole(path, json.dumps(values, indent=1, allow_nan=False, default=_number) + "\n")


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it, and its stage is done again") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged; remove it, and its stage is done again")
    return found


def _lock(handle: int, place: Path) -> None:
    """A POSIX lock: it ends with this process, however that ends."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise InputError(
            f"another process is at work in {place}; wait for it, or name another folder"
        ) from error


def _check(place: Path, settings: Settings) -> None:
    """Refuse a folder of something else."""
    if not (place / _SETTINGS).exists():
        others = [
            entry.name
            for entry in place.iterdir()
            if entry.name != _LOCK and not entry.name.startswith(_ASIDE)
        ]
        if others:
            raise InputError(f"{place} holds {others[0]!r} and no campaign; name a new or empty folder")
        return
    if not round_folder(place, 0).exists():
        return  # nothing is done yet that would have to fit
    began, now = _read_json(place / _SETTINGS), json.loads(json.dumps(plain(settings)))
    for table, name in (
        ("start", None),
        ("test", None),
        ("label", "oracle"),
        ("label", "energy"),
        ("seed", None),
    ):
        was, given = began.get(table), now.get(table)
        if name is not None:
            was, given = (was or {}).get(name), given.get(name)
        if was != given:
            raise InputError(
                f"the campaign in {place} began with {table}{'.' + name if name else ''} = {was!r}, and now it is"
                f" {given!r}; labels would not fit together: restore it, or name another folder"
            )
