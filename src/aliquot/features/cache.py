"""Which features have been computed before? Those in the cache, one feature store per table.

A store is named after the recipe and the content hashes of the frames; a changed structure, basis or pooling is
another, and a labelled frame still finds the features of the unlabelled one. Delete the cache at any time.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from aliquot.errors import InputError
from aliquot.features.featurizer import Featurizer
from aliquot.features.opening import open_store, save_store
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.table import Features, recipe_hash

__all__ = ["cached"]


def cached(featurizer: Featurizer, frames: Frames, cache: Path, *, progress: Progress = silent) -> Features:
    """The table of these frames: from the cache if it is there, else computed and kept.

    A damaged entry is computed again and replaced.
    """
    entry = cache / recipe_hash({"recipe": dict(featurizer.recipe), "frames": frames.ids.digest()})
    if entry.exists():
        try:
            table = open_store(entry)
            progress("features", len(frames), len(frames))
            return replace(table, ids=frames.ids)  # the same frames may now stand in other files
        except InputError:
            shutil.rmtree(entry, ignore_errors=True)
    table = featurizer(frames, progress=progress)
    with contextlib.suppress(OSError):  # the disk is full, or not ours: only the next run will be slower
        _keep(table, entry)
    return table


def _keep(table: Features, entry: Path) -> None:
    """Write an entry; complete or not at all. Whoever comes second leaves the first in place."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    working = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    try:
        save_store(working, table)
        working.rename(entry)
    finally:
        shutil.rmtree(working, ignore_errors=True)
