"""Where in a file is frame 123456? A byte index says, and after that any frame is read by itself.

One pass over the file finds where every frame begins. The index is kept in the cache folder until the file
changes; packed files are unpacked there once.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import FrameError, InputError
from aliquot.progress import Progress, silent
from aliquot.structures.cache import cache_folder, file_key
from aliquot.structures.extended_xyz import parse_blocks
from aliquot.structures.frames import DEFAULT_LABEL_KEYS, Frames, LabelKeys
from aliquot.structures.framing import Block, Fault, blocks
from aliquot.structures.sources import Source, existing_file, plain_file

__all__ = ["FrameIndex"]

#: Raised when the meaning of a stored index changes.
_FORMAT: Final = 1


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Byte positions of the frames of an extended-XYZ file.

    Parameters
    ----------
    file : str
        As the user named it.
    plain : Path
        The text itself: the file, or what it unpacks to.
    number : (n,) array of int
        Frame numbers, ascending; a number is absent where the file has a frame that cannot be delimited.
    start, stop : (n,) arrays of int
        Byte positions in ``plain``.
    n_atoms : (n,) array of int
    faults : tuple of Fault
        What could not be delimited.
    label_keys : LabelKeys

    Examples
    --------
    >>> index = FrameIndex.build("pool.xyz")                                                # doctest: +SKIP
    >>> len(index), index[-1], index[[5, 3]]                                                # doctest: +SKIP
    (120000, Frames(1 frames, 64 atoms, Si), Frames(2 frames, 128 atoms, Si))
    """

    file: str
    plain: Path
    number: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    n_atoms: NDArray[np.int64]
    faults: tuple[Fault, ...] = ()
    label_keys: LabelKeys = DEFAULT_LABEL_KEYS

    def __len__(self) -> int:
        """Frames in the file, counting those that cannot be read."""
        last = [int(self.number[-1])] if len(self.number) else []
        return max([*last, *(f.frame for f in self.faults), -1]) + 1

    @classmethod
    def build(
        cls,
        path: str | os.PathLike[str],
        *,
        label_keys: LabelKeys = DEFAULT_LABEL_KEYS,
        progress: Progress = silent,
    ) -> FrameIndex:
        """Index a file, or take the index from the cache.

        Raises
        ------
        InputError
            If the file does not exist; FrameError if it is empty or no text.

        Notes
        -----
        One pass at the speed of the disk, in bounded memory; 32 bytes per frame.
        """
        file = existing_file(path)
        plain = plain_file(file, progress=progress)
        stored = _stored(file)
        known = _load(stored) if stored is not None and stored.exists() else None
        table, faults = known or _scan(plain, progress)
        if known is None and stored is not None:
            _save(stored, table, faults)
        if table.shape[1] == 0 and not faults:
            raise FrameError(str(path), -1, "holds no frames: it is empty")
        for fault in faults:
            if fault.frame < 0:
                raise FrameError(str(path), -1, fault.problem)
        return cls(str(path), plain, *table, faults=faults, label_keys=label_keys)

    def __getitem__(self, index: Any) -> Frames:
        """The named frames (numbers, slice or mask), in that order; only their bytes are read.

        Raises
        ------
        FrameError
            If one of them cannot be read.
        """
        frames, faults = self.fetch(np.atleast_1d(np.arange(len(self))[index]))
        for fault in faults:
            raise FrameError(self.file, fault.frame, fault.problem)
        return frames

    def fetch(self, numbers: Sequence[int] | NDArray[np.integer[Any]]) -> tuple[Frames, list[Fault]]:
        """The frames of these numbers that can be read, in that order, and the faults of those that cannot."""
        wanted = np.asarray(numbers, np.int64)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            outside = int(wanted[(wanted < 0) | (wanted >= len(self))][0])
            raise InputError(f"{self.file} has no frame {outside}: it has {len(self)}, counted from 0")
        unique = np.unique(wanted)
        known = unique[np.isin(unique, self.number)]
        faults = [f for f in self.faults if f.frame in unique]
        parts: list[Frames] = []
        for frames, bad in parse_blocks(
            self._blocks(np.searchsorted(self.number, known)), self.file, self.label_keys
        ):
            faults.extend(bad)
            parts.extend([frames] if frames is not None else [])
        if not parts:
            return Frames.empty(self.file, label_keys=self.label_keys), faults
        read = Frames.concatenate(parts)
        kept = wanted[np.isin(wanted, read.frame)]
        return read[np.searchsorted(read.frame, kept)], faults

    def _blocks(self, rows: NDArray[np.intp]) -> Iterator[Block]:
        """Blocks made of the bytes of some frames, under the numbers these have in the file."""
        with self.plain.open("rb") as file:
            for some in np.array_split(rows, max(1, len(rows) // 1000)):
                pieces: list[bytes] = []
                for row in some:
                    file.seek(int(self.start[row]))
                    piece = file.read(int(self.stop[row] - self.start[row]))
                    pieces.append(piece if piece.endswith(b"\n") else piece + b"\n")
                done = 0
                for block in blocks(io.BytesIO(b"".join(pieces)).read):
                    here = self.number[some[done : done + len(block.places)]].tolist()
                    places = [p._replace(number=n) for p, n in zip(block.places, here, strict=True)]
                    done += len(places)
                    yield replace(block, places=places)


def _scan(plain: Path, progress: Progress) -> tuple[NDArray[np.int64], tuple[Fault, ...]]:
    """Rows (number, start, stop, n_atoms) of all frames, and the faults met."""
    rows: list[NDArray[np.int64]] = [np.zeros((4, 0), np.int64)]
    faults: list[Fault] = []
    with Source(plain) as source:
        for block in blocks(source.read):
            faults.extend(block.faults)
            if block.places:
                p = block.places
                shift = block.offset
                rows.append(
                    np.array(
                        [
                            [x.number for x in p],
                            [x.start + shift for x in p],
                            [x.stop + shift for x in p],
                            [x.n_atoms for x in p],
                        ],
                        np.int64,
                    )
                )
            progress("indexing", source.position, source.size)
    return np.concatenate(rows, axis=1), tuple(faults)


# --- the cache: an index that cannot be kept is made again --------------------------------------------------


def _stored(file: Path) -> Path | None:
    try:
        return cache_folder("index") / f"{file_key(file)}-{_FORMAT}.npz"
    except OSError:
        return None


def _load(stored: Path) -> tuple[NDArray[np.int64], tuple[Fault, ...]] | None:
    try:
        with np.load(stored, allow_pickle=False) as held:
            faults = zip(held["fault_frames"].tolist(), held["fault_problems"].tolist(), strict=True)
            return held["table"], tuple(Fault(frame, problem) for frame, problem in faults)
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _save(stored: Path, table: NDArray[np.int64], faults: tuple[Fault, ...]) -> None:
    with contextlib.suppress(OSError):
        handle, name = tempfile.mkstemp(dir=stored.parent, suffix=".npz")
        try:
            with os.fdopen(handle, "wb") as out:
                np.savez(
                    out,
                    table=table,
                    fault_frames=np.array([f.frame for f in faults], np.int64),
                    fault_problems=np.array([f.problem for f in faults], np.str_),
                )
            os.replace(name, stored)
        finally:
            Path(name).unlink(missing_ok=True)
