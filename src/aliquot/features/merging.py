"""How do the stores of many jobs become one? Their shards, in the order of the stores, under one manifest.

Nothing is computed and, on one file system, nothing copied: shards are linked. Stores made by different recipes are
refused, and so is a shard whose bytes are not those of its checksum.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aliquot.errors import InputError
from aliquot.features.manifest import MANIFEST, Manifest, Source, is_intact, is_store
from aliquot.features.shards import SHARD_ARRAYS, is_shard, shard_folder
from aliquot.features.writing import locked
from aliquot.progress import Progress, silent

__all__ = ["merge_stores"]


def merge_stores(stores: Sequence[Path | str], folder: Path | str, *, progress: Progress = silent) -> int:
    """Join complete stores of one recipe; return the number of candidates.

    Parameters
    ----------
    stores : sequence of Path
    folder : Path
        New or empty.
    progress : callable

    Raises
    ------
    InputError
        If a store is unfinished or damaged, if recipes differ (both are named), or if the folder is in use.

    Notes
    -----
    Reads every byte once for the checksums. The same stores in the same order give the same store.
    """
    sources, place = [Path(store) for store in stores], Path(folder)
    if not sources:
        raise InputError("no store to merge")
    manifests = [_complete(store) for store in sources]
    for store, manifest in zip(sources[1:], manifests[1:], strict=True):
        if why := manifests[0].differs_from(manifest):
            raise InputError(f"{sources[0]} and {store} cannot be merged: {why}")
        if manifest.dtype != manifests[0].dtype:
            raise InputError(
                f"{sources[0]} holds {manifests[0].dtype} and {store} {manifest.dtype}; build them alike"
            )
    release = locked(place)
    try:
        _check_free(place)
        shards = [
            (s, k, shard) for s, m in zip(sources, manifests, strict=True) for k, shard in enumerate(m.shards)
        ]
        for number, (store, k, shard) in enumerate(shards):
            if not is_intact(store, k, shard):
                raise InputError(f"shard {k} of {store} is damaged (its checksum differs); build it again")
            _link(shard_folder(store, k), place / f".{number:06d}")
            os.rename(place / f".{number:06d}", shard_folder(place, number))
            progress("merging", number + 1, len(shards))
        merged = replace(
            manifests[0],
            shards=tuple(shard for *_, shard in shards),
            notes=tuple(dict.fromkeys(note for m in manifests for note in m.notes)),
            source=_common([m.source for m in manifests]),
        )
        merged.save(place)
        return merged.n_candidates
    finally:
        release()


def _complete(store: Path) -> Manifest:
    manifest = Manifest.load(store)
    if not manifest.complete:
        raise InputError(
            f"{store} is not finished ({manifest.n_candidates} candidates); run the command that builds it again"
        )
    return manifest


def _check_free(place: Path) -> None:
    """An empty folder, or one that an interrupted merge has left, which has shards but no manifest."""
    if is_store(place):
        raise InputError(f"{place} holds a feature store; name another folder")
    entries = list(place.iterdir())
    for entry in entries:
        if not is_shard(entry) and entry.name != f".{MANIFEST}":
            raise InputError(f"{place} holds {entry.name!r}; name a new or empty folder")
    for entry in entries:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _link(shard: Path, aside: Path) -> None:
    """The same files under another name; copies where the file system cannot link."""
    aside.mkdir()
    for name in SHARD_ARRAYS:
        array = f"{name}.npy"
        try:
            os.link(shard / array, aside / array)
        except OSError:
            shutil.copyfile(shard / array, aside / array)


def _common(sources: list[Source | None]) -> Source | None:
    """How all were made, if all were made alike."""
    return sources[0] if all(source == sources[0] for source in sources) else None
