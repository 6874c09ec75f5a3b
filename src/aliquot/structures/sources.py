"""How do the bytes of a file come in, packed or not? Once, from front to back.

Packed files (.gz, .xz) are read once from front to back; nothing ever seeks in them. Whoever needs to jump
gets the file unpacked into the cache.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Final

from aliquot.errors import FrameError, InputError
from aliquot.progress import Progress, silent
from aliquot.structures.cache import cache_folder, file_key

__all__ = ["PACKED", "Source", "existing_file", "plain_file"]

#: Endings of packed files.
PACKED: Final = (".gz", ".xz")

#: What a damaged packed file raises.
_DAMAGE: Final = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def existing_file(path: str | os.PathLike[str]) -> Path:
    """The path, if it is a file.

    Raises
    ------
    InputError
        If there is nothing, or a folder.
    """
    place = Path(path)
    if place.is_dir():
        raise InputError(f"{path} is a folder; name the files in it, for instance {path}/*.xyz")
    if not place.exists():
        raise InputError(f"{path} does not exist")
    if not os.access(place, os.R_OK):
        raise InputError(f"{path} cannot be read: permission denied")
    return place


class Source:
    """A file read from front to back, unpacked on the way.

    ``position`` and ``size`` count bytes of the file on disk. ``damage`` says what was wrong with packed data, after
    which no more bytes come; ``ended_open`` whether the last line has no end.
    """

    def __init__(self, path: Path) -> None:
        self._raw: IO[bytes] = path.open("rb")  # closed by __exit__
        self.size = path.stat().st_size
        self.damage = ""
        self._last = b"\n"
        self._file: IO[bytes] = self._raw
        if path.suffix == ".gz":
            self._file = gzip.GzipFile(fileobj=self._raw, mode="rb")  # type: ignore[assignment]
        elif path.suffix == ".xz":
            self._file = lzma.LZMAFile(self._raw, mode="rb")  # type: ignore[assignment]  # noqa: SIM115

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._raw.close()

    @property
    def position(self) -> int:
        """Bytes of the file on disk used so far."""
        return self._raw.tell()

    @property
    def ended_open(self) -> bool:
        """Whether the text read so far stops within a line."""
        return self._last != b"\n"

    def read(self, n: int) -> bytes:
        """The next ``n`` bytes or fewer; none at the end."""
        if self.damage:
            return b""
        try:
            text = self._file.read(n)
        except _DAMAGE as error:
            self.damage = f"the packed data are damaged or cut off ({error})"
            return b""
        if text:
            self._last = text[-1:]
        return text


def plain_file(path: Path, *, progress: Progress = silent) -> Path:
    """The file itself, or what it unpacks to, kept in the cache until the file changes.

    Raises
    ------
    FrameError
        If the packed data are damaged.
    """
    if path.suffix not in PACKED:
        return path
    folder = cache_folder("unpacked")
    unpacked = folder / f"{file_key(path)}.{path.stem[-40:]}"
    if unpacked.exists():
        return unpacked
    if shutil.disk_usage(folder).free < 4 * path.stat().st_size:
        raise InputError(f"no room to unpack {path} in {folder}; set ALIQUOT_CACHE to a larger disk")
    handle, name = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(handle, "wb") as out, Source(path) as source:
            while text := source.read(2**22):
                out.write(text)
                progress("unpacking", source.position, source.size)
            if source.damage:
                raise FrameError(str(path), -1, source.damage)
        os.replace(name, unpacked)
    finally:
        Path(name).unlink(missing_ok=True)
    return unpacked
