"""How does a feature store come from structure files? In batches, in bounded memory, and on from where it stopped.

A second run of the same command reads the files again, which costs little beside their features, compares the
content hashes of what is in the store, and describes only what is missing. The finished store is the same to the
byte, however often it was stopped.

Jobs of an array share the work: job i of N describes the i-th of N equal runs of consecutive frames
(:func:`aliquot.features.merging.merge_stores` joins their stores). All jobs must agree on the elements: they are
named, or every job reads all files to find them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aliquot.errors import InputError
from aliquot.features import featurizer_of
from aliquot.features.featurizer import Featurizer
from aliquot.features.manifest import Source
from aliquot.features.writing import StoreWriter
from aliquot.progress import Progress, silent
from aliquot.structures import Exclusion, FrameIndex, Frames, Loaded, iter_batches
from aliquot.structures.ase_formats import EXTENDED_XYZ, format_of
from aliquot.structures.sources import existing_file

__all__ = ["Built", "build_store", "elements_in"]

_BATCH_FRAMES = 1000


@dataclass(frozen=True)
class Built:
    """What a build did.

    Parameters
    ----------
    candidates : int
        In the store.
    kept : int
        How many of those asked for an earlier run had described.
    exclusions : tuple of Exclusion
        Frames that could not be used.
    notes : tuple of str
    """

    candidates: int
    kept: int
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Share:
    """Which frames of which files, and how they are read."""

    paths: Sequence[str]
    part: tuple[int, int]
    reading: Mapping[str, Any] = field(default_factory=dict)

    def batches(self) -> Iterator[Loaded]:
        """The frames of this share, in order."""
        i, parts = self.part
        if parts == 1:
            for path in self.paths:
                yield from iter_batches(path, batch_frames=_BATCH_FRAMES, **self.reading)
            return
        sizes = [_frames_in(path, self.reading) for path in self.paths]
        total, before = sum(sizes), 0
        low, high = total * i // parts, total * (i + 1) // parts
        for path, size in zip(self.paths, sizes, strict=True):
            mine = range(max(low - before, 0), min(high - before, size))
            before += size
            if len(mine):
                yield from iter_batches(path, batch_frames=_BATCH_FRAMES, frames=mine, **self.reading)


def build_store(
    paths: Sequence[str | os.PathLike[str]],
    spec: str,
    folder: Path | str,
    *,
    pooling: str = "mean",
    elements: tuple[int, ...] | None = None,
    part: tuple[int, int] = (0, 1),
    dtype: str | None = None,
    shard_rows: int | None = None,
    append: bool = False,
    progress: Progress = silent,
    **reading: Any,
) -> Built:
    """Describe the structures of files in a feature store; go on where an earlier run was stopped.

    Parameters
    ----------
    paths : sequence of path
        Structure files.
    spec : str
        As of :func:`aliquot.features.featurize`, but not ``file:``.
    folder : Path
        New, empty, or a store that the same call has begun.
    pooling : str
    elements : tuple of int, optional
        Atomic numbers of all structures to be described by these features, here and in other stores; by default
        those of all files, which are read once more to find them.
    part : (int, int)
        ``(i, N)`` with i from 0: the i-th of N equal runs of consecutive frames.
    dtype, shard_rows
        See :class:`StoreWriter`.
    append : bool
        Add to a finished store, whose elements must suffice.
    progress : callable
    **reading
        ``label_keys``, ``type_map``, ``on_error`` and ``overlap`` of :func:`aliquot.structures.iter_batches`.

    Returns
    -------
    Built

    Raises
    ------
    InputError
        If the store was begun from other structures or by another recipe: says where they first differ.
    """
    i, parts = part
    if not 0 <= i < parts:
        raise InputError(f"part {i} of {parts} does not exist; parts are counted from 0")
    if spec.startswith("file:"):
        raise InputError(
            f"{spec} is a table already; choose from it with --features {spec}, or put it into a store with StoreWriter"
        )
    share = _Share([str(path) for path in paths], part, reading)
    with StoreWriter(
        folder, mode="append" if append else "resume", dtype=dtype, shard_rows=shard_rows
    ) as writer:
        if elements is None:
            has = writer.source
            elements = has.elements if has is not None else elements_in(share.paths, reading, progress)
        featurizer = featurizer_of(spec, elements, pooling=pooling)
        writer.source = Source(spec, pooling, elements)
        return _describe(share, featurizer, writer, earlier=writer.notes if append else (), progress=progress)


def _describe(
    share: _Share,
    featurizer: Featurizer,
    writer: StoreWriter,
    *,
    earlier: tuple[str, ...],
    progress: Progress,
) -> Built:
    """Describe what is not in the store yet."""
    writer.check_recipe(featurizer.recipe)
    known, was_complete, done = writer.hashes(), writer.complete, 0
    exclusions: list[Exclusion] = []
    notes = dict.fromkeys((*earlier, *featurizer.notes))
    for loaded in share.batches():
        exclusions.extend(loaded.exclusions)
        notes.update(dict.fromkeys(loaded.notes))
        new = _unknown(loaded.frames, known[done : done + len(loaded.frames)], writer)
        done += len(loaded.frames)
        if len(new):
            if was_complete:
                raise InputError(
                    f"{writer.folder} is finished with {len(known)} candidates, and {new.ids_name(0)} is not among"
                    " them; append to the store, or name another"
                )
            writer.append(featurizer(new))
        progress("features", done, 0)
    if done < len(known):
        raise InputError(
            f"{writer.folder} has {len(known)} candidates and the files only {done}: it was begun from others"
        )
    if exclusions:
        notes[f"{len(exclusions)} frames were excluded; the first: {exclusions[0]}"] = None
    if not was_complete:
        writer.finish(tuple(notes))
    return Built(writer.done, len(known), tuple(exclusions), tuple(notes))


def _unknown(frames: Frames, hashes: np.ndarray[Any, Any], writer: StoreWriter) -> Frames:
    """The frames after those in the store, which must be the same."""
    n = len(hashes)
    other = np.flatnonzero(frames.hashes[:n] != hashes)
    if len(other):
        raise InputError(
            f"{frames.ids_name(int(other[0]))} is not the structure that {writer.folder} has in its place: the store"
            " was begun from other files, or they have changed; name another store, or remove this one"
        )
    return frames[n:]


def elements_in(
    paths: Sequence[str | os.PathLike[str]], reading: Mapping[str, Any], progress: Progress = silent
) -> tuple[int, ...]:
    """Atomic numbers of all usable frames of these files; one pass, in bounded memory."""
    found: set[int] = set()
    for path in paths:
        for loaded in iter_batches(path, batch_frames=_BATCH_FRAMES, progress=progress, **reading):
            found.update(loaded.frames.elements)
    if not found:
        raise InputError(f"no usable frame in {', '.join(map(str, paths))}")
    return tuple(sorted(found))


def _frames_in(path: str, reading: Mapping[str, Any]) -> int:
    """How many frames a file has, usable or not."""
    if format_of(existing_file(path)) == EXTENDED_XYZ:
        return len(FrameIndex.build(path))
    last = -1
    for loaded in iter_batches(path, batch_frames=_BATCH_FRAMES, **{**reading, "on_error": "skip"}):
        numbers = [*loaded.frames.frame.tolist(), *(e.frame for e in loaded.exclusions), last]
        last = max(numbers)
    return last + 1
