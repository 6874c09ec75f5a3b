"""Where are the reference data? In a folder of the user's; files are named by set and known by their hash."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aliquot.errors import InputError
from aliquot.structures import Frames, read

__all__ = ["VARIABLE", "Data"]

#: Environment variable that names the folder.
VARIABLE = "ALIQUOT_DATA"


@dataclass(frozen=True)
class Data:
    """Labelled sets, one file ``NAME.xyz.xz`` (or ``.xyz``, ``.xyz.gz``) each.

    Parameters
    ----------
    folder : Path
    """

    folder: Path

    @classmethod
    def find(cls, folder: Path | None = None) -> Data:
        """The folder named, or the one of :data:`VARIABLE`.

        Raises
        ------
        InputError
            If there is no such folder.
        """
        place = folder or (Path(named) if (named := os.environ.get(VARIABLE)) else None)
        if place is None:
            raise InputError(
                f"studies need reference data, which are not part of aliquot: name their folder with --data or"
                f" {VARIABLE}; docs/studies/index.md says where each set comes from"
            )
        if not place.is_dir():
            raise InputError(
                f"there is no folder {place}; name the one with the reference data (--data or {VARIABLE})"
            )
        return cls(place.resolve())

    def path(self, name: str) -> Path:
        """The file of a set, or a file named by its whole path.

        Raises
        ------
        InputError
            If there is none.
        """
        candidates = [self.folder / f"{name}{end}" for end in (".xyz", ".xyz.xz", ".xyz.gz", "")]
        for place in candidates:
            if place.is_file():
                return place
        raise InputError(
            f"{self.folder} has no {name}.xyz.xz; docs/studies/index.md says where the set comes from"
        )

    def read(self, name: str) -> Frames:
        """The structures of a set."""
        return read(self.path(name))

    def hash(self, name: str) -> str:
        """SHA-256 of the file."""
        place = self.path(name)
        stat = place.stat()
        return _sha256(place, stat.st_mtime_ns, stat.st_size)


@cache
def _sha256(place: Path, changed: int, size: int) -> str:
    with place.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else _digest(file)
        )


def _digest(file: object) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):  # type: ignore[attr-defined]
        digest.update(block)
    return digest.hexdigest()
