"""Which files does a command write? Claimed before the work begins, written aside, put in place together.

Every file is first written into a hidden folder beside its place and renamed at the very end, so that a
command that fails or is interrupted leaves no half of a result, and an old result stays whole until then.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from aliquot.errors import InputError

__all__ = ["Outputs"]


class Outputs:
    """The files of one command, as a context: left normally, they appear; left by an exception, nothing does.

    Parameters
    ----------
    force : bool
        Whether existing files may be replaced. An input is never replaced.
    inputs : iterable of Path
        Files that the command reads.
    """

    def __init__(self, *, force: bool, inputs: Iterable[Path] = ()) -> None:
        self._force = force
        self._inputs = {_named_in_text(path).resolve() for path in inputs}
        self._staged: dict[Path, Path] = {}  # place -> where it is written meanwhile
        self._aside: dict[Path, Path] = {}  # folder -> hidden folder in it

    def claim(self, place: Path) -> Path:
        """Reserve ``place`` and return the path to write to meanwhile.

        Raises
        ------
        InputError
            If the place is taken, is an input, or cannot be written to.
        """
        whole = _named_in_text(place).resolve()
        if whole in self._inputs:
            raise InputError(f"{place} is an input of this command and will not be overwritten; name another")
        if whole in {p.resolve() for p in self._staged}:
            raise InputError(f"{place} is asked for twice; give every output its own name")
        self._check_free(place)
        folder = place.parent
        if folder not in self._aside:
            try:
                self._aside[folder] = Path(tempfile.mkdtemp(prefix=".aliquot-", dir=folder))
            except OSError as error:
                raise InputError(f"cannot write to the folder of {place}: {error.strerror}") from error
        self._staged[place] = self._aside[folder] / place.name
        return self._staged[place]

    def _check_free(self, place: Path) -> None:
        if not os.path.lexists(place):
            return
        if place.is_dir():
            kept = [entry.name for entry in place.iterdir() if not entry.name.startswith("POSCAR")]
            if kept:
                raise InputError(f"{place} is a folder that holds {kept[0]!r}; name a new or empty folder")
            if self._force or not any(place.iterdir()):
                return
        elif self._force:
            return
        raise InputError(f"{place} exists already; name another output, or give --force to overwrite it")

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with _uninterrupted():
                    self._put_in_place()
        finally:
            for aside in self._aside.values():
                shutil.rmtree(aside, ignore_errors=True)

    def _put_in_place(self) -> None:
        for place in self._staged:
            self._check_free(place)  # someone may have written there meanwhile
        for place, staged in self._staged.items():
            if staged.exists():
                if place.is_dir():
                    place.rename(staged.parent / f"{place.name}.old")
                os.replace(staged, place)


def _named_in_text(path: Path) -> Path:
    """Records, structures and pages name their files in UTF-8; a name that is not text has no place in them."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"the file name {os.fsencode(path)!r} is not UTF-8 text; rename the file") from None
    return path


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C for the moment of renaming."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
