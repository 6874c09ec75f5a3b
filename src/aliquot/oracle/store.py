"""Where are labels kept? One file per structure, complete or absent, in a folder per oracle.

``FOLDER/ORACLE-FINGERPRINT/KEY.json`` is an answer, ``KEY.failed.json`` what went wrong so far. The key is the content
hash of the structure (and of its charge and spin, where it has them). Each file is written under a hidden name,
brought to the disk and renamed: a kill or a power cut leaves it whole or leaves nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aliquot.errors import InputError
from aliquot.oracle.record import Answer

__all__ = ["Failure", "LabelStore", "write_whole"]

_LOCK: Final = ".lock"
_TEMPORARY: Final = ".writing-"

#: Folders that this process holds; a file lock does not keep out the process that has it.
_HELD: Final[set[Path]] = set()
_HELD_GUARD: Final = threading.Lock()


@dataclass(frozen=True)
class Failure:
    """Why a structure has no answer yet, and how often it was tried."""

    reason: str
    attempts: int


class LabelStore:
    """The answers of one oracle; a context, so that the folder is let go of.

    Parameters
    ----------
    folder : Path
        May hold the answers of several oracles.
    name : str
        Of the oracle, for people.
    fingerprint : str
        Of the oracle: two with the same fingerprint give the same answers.
    about : mapping
        What the fingerprint was made of, written beside the answers.

    Raises
    ------
    InputError
        If the folder cannot be written to, or another process is labelling into it.
    """

    def __init__(self, folder: Path | str, name: str, fingerprint: str, *, about: Mapping[str, Any]) -> None:
        plain = re.sub(r"[^A-Za-z0-9.+_-]+", "-", name).strip("-.")[:40] or "oracle"
        self.place = Path(folder) / f"{plain}-{fingerprint[:16]}"
        try:
            self.place.mkdir(parents=True, exist_ok=True)
            self._release = _locked(self.place)
        except OSError as error:
            raise InputError(
                f"labels cannot be kept in {folder}: {error.strerror or error}; name a folder that can be written to"
            ) from error
        try:
            for rest in self.place.glob(f"{_TEMPORARY}*"):
                rest.unlink(missing_ok=True)
            write_whole(self.place / "oracle.json", json.dumps(about, indent=1))
        except OSError as error:
            self._release()
            raise InputError(f"labels cannot be kept in {folder}: {error.strerror or error}") from error

    def __enter__(self) -> LabelStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    def answer(self, key: str) -> Answer | None:
        """The answer for a structure, if there is one.

        Raises
        ------
        InputError
            If its file is damaged.
        """
        path = self.place / f"{key}.json"
        values = _read(path)
        if values is None:
            return None
        try:
            return Answer.from_dict(values)
        except InputError as error:
            raise InputError(f"{path}: {error}; delete it, and its structure is labelled again") from error

    def failure(self, key: str) -> Failure | None:
        """What went wrong with a structure, if anything did."""
        path = self.place / f"{key}.failed.json"
        values = _read(path)
        if values is None:
            return None
        try:
            return Failure(str(values["reason"]), int(values["attempts"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is damaged; delete it, and its structure is tried again") from error

    def keep(self, key: str, answer: Answer) -> None:
        """Write an answer; an earlier failure is forgotten."""
        write_whole(self.place / f"{key}.json", answer.to_json())
        (self.place / f"{key}.failed.json").unlink(missing_ok=True)

    def keep_failure(self, key: str, failure: Failure) -> None:
        """Write what went wrong."""
        write_whole(self.place / f"{key}.failed.json", json.dumps(vars(failure), indent=1))

    def answers(self, keys: Iterable[str]) -> dict[str, Answer]:
        """Those that there are."""
        found = {key: self.answer(key) for key in keys}
        return {key: answer for key, answer in found.items() if answer is not None}


def write_whole(path: Path, text: str) -> None:
    """Write a file under a hidden name beside it, to the disk, and rename it."""
    aside = path.parent / f"{_TEMPORARY}{os.getpid()}-{threading.get_ident()}-{path.name}"
    try:
        with aside.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is damaged; delete it, and its structure is labelled again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} is damaged; delete it, and its structure is labelled again")
    return values


def _locked(folder: Path) -> Callable[[], None]:
    """Keep others out of the folder; call the answer to let them in.

    A POSIX lock: it ends with this process, however that ends, and is not handed down to the processes it
    started, which may outlive it.
    """
    whole = folder.resolve()
    taken = InputError(f"something else is labelling into {folder}; wait for it, or name another folder")
    with _HELD_GUARD:
        if whole in _HELD:
            raise taken
        handle = os.open(whole / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            os.close(handle)
            raise taken from error
        except OSError:  # some network file systems have no locks
            os.close(handle)
            raise
        _HELD.add(whole)

    def release() -> None:
        with _HELD_GUARD:
            _HELD.discard(whole)
            os.close(handle)

    return release
