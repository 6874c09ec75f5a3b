"""``aliquot label --write-jobs``: what codes that run elsewhere need, from files of the user's."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aliquot.cli.options import Reading, read_usable
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["write_job_folders"]


def write_job_folders(
    screen: Screen,
    pool: Sequence[Path],
    reading: Reading,
    folder: Path,
    template: str | None,
    parameters: Path | None,
    files: Sequence[Path],
    script: Path | None,
) -> None:
    """Write a job folder per structure, and say so.

    Raises
    ------
    InputError
    """
    from aliquot.oracle import TEMPLATES, write_jobs

    if template is None:
        raise InputError(f"--write-jobs needs --template: {' or '.join(TEMPLATES)}")
    with screen.progress() as progress:
        frames, exclusions, notes = read_usable(pool, reading, progress)
        written = write_jobs(
            frames,
            folder,
            template=template,
            parameters=_read_parameters(parameters),
            files=files,
            script=None if script is None else _read_text(script),
            progress=progress,
        )
    notes = (*notes, *(f"{e} (excluded)" for e in exclusions), *written.notes)
    for note in notes:
        screen.warn(f"note: {note}")
    screen.say(
        f"{written.written} jobs written to {folder}, {written.kept} were there; {folder}/jobs.txt lists all"
    )
    screen.emit(
        {
            "command": "label",
            "jobs": str(folder),
            "written": written.written,
            "kept": written.kept,
            "fingerprint": written.fingerprint,
            "notes": list(notes),
        }
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _read_parameters(path: Path | None) -> dict[str, Any]:
    """What the code is told, as a dictionary; strings that name files stay as they are."""
    if path is None:
        return {}
    text = _read_text(path)
    try:
        if path.suffix == ".json":
            values = json.loads(text)
        elif path.suffix == ".toml":
            values = tomllib.loads(text)
        else:
            raise InputError(f"--parameters {path}: use .toml or .json")
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"--parameters {path}: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"--parameters {path}: a table of parameters is needed; got {type(values).__name__}")
    return values
