"""Feature tables on disk: a folder of plain arrays that can be memory-mapped, and a cache of such folders.

A table is ``rows.npy`` (the numbers), ``blocks.npz`` (offsets, kinds, weights, prior, ids) and ``table.json``
(names, recipe, notes). No pickle: loading a table runs no code. In the cache a folder is named after the recipe
and the content hashes of the frames; a changed structure, basis or pooling is another folder, and a labelled
frame still finds the features of the unlabelled one. Delete the cache at any time.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from aliquot.errors import InputError
from aliquot.features.featurizer import Featurizer
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.table import Features, Ids, recipe_hash

__all__ = ["cached", "load_features", "save_features"]

#: Raised when a file of the folder changes its meaning.
SCHEMA: Final = 1


def save_features(folder: Path, table: Features) -> None:
    """Write a table as a folder; complete or not at all.

    Raises
    ------
    InputError
        If the folder exists.
    """
    if folder.exists():
        raise InputError(f"{folder} exists; remove it or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    working = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        np.save(working / "rows.npy", table.rows)
        np.savez(
            working / "blocks.npz",
            offsets=table.offsets,
            kind=table.kind,
            weight=table.weight,
            prior=table.prior,
            hash=table.ids.hash,
            file_index=table.ids.file,
            frame=table.ids.frame,
        )
        meta: dict[str, Any] = {
            "format": "aliquot-features",
            "schema": SCHEMA,
            "names": table.names,
            "recipe": table.recipe,
            "notes": table.notes,
            "files": table.ids.files,
        }
        (working / "table.json").write_text(json.dumps(meta, ensure_ascii=False), encoding="utf-8")
        working.rename(folder)
    except BaseException:
        shutil.rmtree(working, ignore_errors=True)
        raise


def load_features(folder: Path) -> Features:
    """Read what :func:`save_features` wrote; the rows are memory-mapped.

    Raises
    ------
    InputError
        If the folder is not a complete table of a schema that this version knows.
    """
    try:
        meta: dict[str, Any] = json.loads((folder / "table.json").read_text(encoding="utf-8"))
        rows = np.load(folder / "rows.npy", mmap_mode="r", allow_pickle=False)
        with np.load(folder / "blocks.npz", allow_pickle=False) as blocks:
            arrays = {name: blocks[name] for name in blocks.files}
        if meta.get("format") != "aliquot-features" or meta.get("schema") != SCHEMA:
            raise InputError(f"schema {meta.get('schema')!r} is not known here; this version reads {SCHEMA}")
        return Features(
            rows=rows,
            offsets=arrays["offsets"],
            kind=arrays["kind"],
            weight=arrays["weight"],
            prior=arrays["prior"],
            names=tuple(meta["names"]),
            recipe=meta["recipe"],
            ids=Ids(arrays["hash"], tuple(meta["files"]), arrays["file_index"], arrays["frame"]),
            notes=tuple(meta["notes"]),
        )
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{folder} is not a complete table of features: {error}") from error


def cached(featurizer: Featurizer, frames: Frames, cache: Path, *, progress: Progress = silent) -> Features:
    """The table of these frames: from the cache if it is there, else computed and kept.

    A damaged entry is computed again and replaced.
    """
    entry = cache / recipe_hash({"recipe": dict(featurizer.recipe), "frames": frames.ids.digest()})
    if entry.exists():
        try:
            table = load_features(entry)
            progress("features", len(frames), len(frames))
            return replace(table, ids=frames.ids)  # the same frames may now stand in other files
        except InputError:
            shutil.rmtree(entry, ignore_errors=True)
    table = featurizer(frames, progress=progress)
    try:
        save_features(entry, table)
    except (
        InputError,
        OSError,
    ):  # somebody else kept the same table first, or the disk is full: not our loss
        return table
    return table
