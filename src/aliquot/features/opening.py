"""How is a feature store opened? As a table whose rows stay on disk.

Offsets, kinds, weights and ids are held: 61 bytes a candidate of one row, 0.6 GB for ten million.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.features.manifest import Manifest, Shard, is_intact
from aliquot.features.shards import SHARD_ARRAYS, ShardedRows, array_header, shard_folder
from aliquot.table import Features, Ids

__all__ = ["open_store", "save_store"]


def open_store(folder: Path | str, *, part: tuple[int, int] = (0, 1), verify: bool = False) -> Features:
    """The table of a complete store; its ``rows`` are a :class:`ShardedRows`.

    Parameters
    ----------
    folder : Path
    part : (int, int)
        ``(i, N)`` with i from 0: the i-th of N runs of consecutive shards.
    verify : bool
        Whether to read all shards and compare their checksums; about 1 GB/s.

    Raises
    ------
    InputError
        If it is no store, is unfinished, or a shard is missing, cut off, damaged or not what the manifest says.
    """
    folder = Path(folder)
    manifest = Manifest.load(folder)
    if not manifest.complete:
        raise InputError(
            f"{folder} is not finished: {manifest.n_candidates} candidates are in it; run the command that"
            " builds it again and it goes on from there"
        )
    i, parts = part
    if not 0 <= i < parts <= max(1, len(manifest.shards)):
        raise InputError(
            f"{folder} has {len(manifest.shards)} shards; it has no part {i} (from 0) of {parts} with a shard each"
        )
    first, stop = (len(manifest.shards) * k // parts for k in (i, i + 1))
    manifest = replace(manifest, shards=manifest.shards[first:stop])
    shards = [_open_shard(folder, first + k, shard, manifest) for k, shard in enumerate(manifest.shards)]
    if verify:
        for k, shard in enumerate(manifest.shards, first):
            if not is_intact(folder, k, shard):
                raise InputError(f"shard {k} of {folder} is damaged (its checksum differs); build it again")
    lengths = _joined([np.diff(s.arrays["offsets"]) for s in shards], np.int64)
    return Features(
        rows=_rows(folder, manifest, first, tuple(s.begin for s in shards)),  # type: ignore[arg-type]
        offsets=np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths))),
        kind=_joined([s.arrays["kind"] for s in shards], np.uint8),
        weight=_joined([s.arrays["weight"] for s in shards], np.float64),
        prior=manifest.prior,
        names=manifest.names,
        recipe=manifest.recipe,
        ids=_ids(manifest, shards),
        notes=manifest.notes,
    )


def save_store(folder: Path | str, table: Features, **options: Any) -> None:
    """Write a table as a store; ``options`` are those of :class:`aliquot.features.writing.StoreWriter`."""
    from aliquot.features.writing import StoreWriter

    with StoreWriter(folder, **options) as writer:
        for start in range(0, len(table), 1 << 14):
            writer.append(table[start : start + (1 << 14)])
        writer.finish()


def _reopen(folder: str, first: int, n_rows: int) -> ShardedRows:
    """Rows of a store by the path of its folder: what a pickle of them holds."""
    place = Path(folder)
    manifest = Manifest.load(place)
    starts = _starts(manifest.shards[first:])
    count = int(np.searchsorted(starts, n_rows))
    if count >= len(starts) or starts[count] != n_rows:
        raise InputError(f"{folder} has changed: it no longer has the {n_rows} rows from shard {first} on")
    manifest = replace(manifest, shards=manifest.shards[first : first + count])
    begins = tuple(
        array_header(
            shard_folder(place, first + k) / "rows.npy",
            np.dtype(manifest.dtype).newbyteorder("<").str,
            (s.rows, manifest.n_features),
        )
        for k, s in enumerate(manifest.shards)
    )
    return _rows(place, manifest, first, begins)


@dataclass(frozen=True, eq=False)
class _Opened:
    """A shard whose small arrays are in memory and whose rows begin at byte ``begin`` of their file."""

    arrays: dict[str, NDArray[Any]]
    begin: int


def _open_shard(store: Path, number: int, shard: Shard, manifest: Manifest) -> _Opened:
    folder = shard_folder(store, number)
    if folder.is_symlink():
        raise InputError(f"{folder} is a link; the shards of a store are folders in it")
    shapes: dict[str, tuple[int, ...]] = {
        "rows": (shard.rows, manifest.n_features),
        "offsets": (shard.candidates + 1,),
        "kind": (shard.rows,),
        "weight": (shard.rows,),
        "hash": (shard.candidates,),
        "file": (shard.candidates,),
        "frame": (shard.candidates,),
    }
    begin, arrays = 0, dict[str, NDArray[Any]]()
    for name, dtype in SHARD_ARRAYS.items():
        path = folder / f"{name}.npy"
        start = array_header(path, dtype or np.dtype(manifest.dtype).newbyteorder("<").str, shapes[name])
        if name == "rows":
            begin = start
        else:
            arrays[name] = np.load(path, allow_pickle=False)
    offsets, file = arrays["offsets"], arrays["file"]
    if offsets[0] != 0 or offsets[-1] != shard.rows or np.any(np.diff(offsets) < 0):
        raise InputError(f"{folder}: offsets do not partition {shard.rows} rows; build the store again")
    if len(file) and not (file.min() >= 0 and file.max() < len(shard.files)):
        raise InputError(f"{folder}: a candidate is of file {file.max()} of {len(shard.files)}")
    return _Opened(arrays, begin)


def _ids(manifest: Manifest, shards: list[_Opened]) -> Ids:
    """Whose rows, with one list of files for all shards."""
    number: dict[str, int] = {}
    file: list[NDArray[np.int32]] = []
    for shard, opened in zip(manifest.shards, shards, strict=True):
        table = [number.setdefault(name, len(number)) for name in shard.files] or [0]
        file.append(np.array(table, np.int32)[opened.arrays["file"]])
    return Ids(
        _joined([s.arrays["hash"] for s in shards], np.dtype("S32")),
        tuple(number),
        _joined(file, np.int32),
        _joined([s.arrays["frame"] for s in shards], np.int64),
    )


def _starts(shards: tuple[Shard, ...]) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum([shard.rows for shard in shards]))).astype(np.int64)


def _rows(folder: Path, manifest: Manifest, first: int, begins: tuple[int, ...]) -> ShardedRows:
    return ShardedRows(
        folder,
        first=first,
        starts=_starts(manifest.shards),
        begins=begins,
        n_features=manifest.n_features,
        dtype=np.dtype(manifest.dtype),
        reopen=_reopen,
    )


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    """All parts in one array, even where there are none."""
    return np.concatenate(parts).astype(dtype, copy=False) if parts else np.empty(0, dtype)
