"""How does a feature store grow? Piece by piece, shard by shard, so that a kill costs one shard at most.

Pieces are gathered until a shard is full, whatever their sizes: the same candidates in the same order give the
same bytes. A shard is written as a hidden folder and renamed, and then entered in the manifest, which is itself
replaced as a whole. So at any moment the manifest lists complete shards only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.features.manifest import MANIFEST, Manifest, Shard, Source, checksum, is_intact, is_store
from aliquot.features.shards import SHARD_ARRAYS, is_shard, shard_folder
from aliquot.table import Features

__all__ = ["SHARD_BYTES", "StoreWriter", "locked"]

#: Size of the rows of a full shard.
SHARD_BYTES: Final = 64 << 20

_ASIDE: Final = f".{MANIFEST}"  # a manifest that was being written


class StoreWriter:
    """Writes a feature store; a context, so that the folder is let go of whatever happens.

    Parameters
    ----------
    folder : Path
        New or empty; or a store, for ``mode``.
    mode : {"new", "resume", "append"}
        ``resume`` goes on with an unfinished store (or begins one), ``append`` with a finished one, after shards
        that stay as they are, or with an earlier ``append`` that was stopped.
    dtype : {"float32", "float64"}, optional
        Of the rows on disk; that of the first piece by default.
    shard_rows : int, optional
        Rows per shard; by default what makes 64 MB.
    source : Source, optional
        How the same features can be made for other structures; that of a store which is continued stays.

    Notes
    -----
    Only one process at a time can write to a folder. Memory: two shards.

    Examples
    --------
    >>> import tempfile
    >>> from aliquot.features.opening import open_store
    >>> place = Path(tempfile.mkdtemp()) / "store"
    >>> with StoreWriter(place, shard_rows=2) as writer:
    ...     writer.append(Features.from_array(np.eye(3)))
    ...     writer.finish()
    >>> open_store(place).rows[[2, 0]]
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        mode: str = "new",
        dtype: str | None = None,
        shard_rows: int | None = None,
        source: Source | None = None,
    ) -> None:
        self.folder = Path(folder)
        if mode not in ("new", "resume", "append"):
            raise InputError(f"a store is written in mode new, resume or append; got {mode!r}")
        if shard_rows is not None and shard_rows < 1:
            raise InputError(f"a shard has at least one row; got shard_rows={shard_rows}")
        if dtype not in (None, "float32", "float64"):
            raise InputError(f"rows are stored as float32 or float64; got {dtype!r}")
        self._dtype, self._shard_rows = dtype, shard_rows
        self.source = source
        self._pieces: list[Features] = []
        self._manifest: Manifest | None = None
        self._made = not self.folder.exists()
        self._release = locked(self.folder)
        try:
            self._open(mode)
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pieces = []
        if self._made and self._manifest is None:  # nothing came of it
            with contextlib.suppress(OSError):
                self.folder.rmdir()
        self._release()

    @property
    def done(self) -> int:
        """Candidates that are in complete shards."""
        return 0 if self._manifest is None else self._manifest.n_candidates

    @property
    def complete(self) -> bool:
        """Whether the store is finished."""
        return self._manifest is not None and self._manifest.complete

    @property
    def notes(self) -> tuple[str, ...]:
        """What the manifest says so far."""
        return () if self._manifest is None else self._manifest.notes

    def check_recipe(self, recipe: Mapping[str, Any]) -> None:
        """Refuse to go on with another recipe, before anything is computed.

        Raises
        ------
        InputError
        """
        if self._manifest is not None and (why := self._manifest.other_recipe(recipe)):
            raise InputError(f"{self.folder} holds other features: {why}; name another store")

    def hashes(self) -> NDArray[np.bytes_]:
        """Content hashes of the candidates in complete shards, but for those before an append."""
        if self._manifest is None:
            return np.empty(0, "S32")
        shards = range(len(self._manifest.shards))
        parts = [np.load(shard_folder(self.folder, k) / "hash.npy", allow_pickle=False) for k in shards]
        return np.concatenate([np.empty(0, "S32"), *parts])[self._manifest.base :]

    def append(self, piece: Features) -> None:
        """Add candidates after those that are there.

        Raises
        ------
        InputError
            If they were made by another recipe.
        """
        if self._manifest is None:
            self._begin(piece)
        assert self._manifest is not None
        if why := self._manifest.differs_from(piece):
            raise InputError(f"this piece does not belong into {self.folder}: {why}")
        if len(piece):
            self._pieces.append(piece)
            self._write_full()

    def finish(self, notes: tuple[str, ...] | None = None) -> None:
        """Write what is left as the last shard, and declare the store complete.

        Raises
        ------
        InputError
            If there is nothing in it.
        """
        if self._manifest is None:
            raise InputError(f"nothing was written to {self.folder}: a store needs at least one candidate")
        if self._pieces:
            self._write(Features.concatenate(self._pieces))
            self._pieces = []
        notes = self._manifest.notes if notes is None else notes
        self._manifest = replace(self._manifest, complete=True, base=0, notes=notes)
        self._manifest.save(self.folder)

    def _open(self, mode: str) -> None:
        if not is_store(self.folder):
            strangers = [e.name for e in self.folder.iterdir() if not (is_shard(e) or e.name == _ASIDE)]
            if strangers or mode == "append":
                found = f"it holds {strangers[0]!r}" if strangers else "it is empty"
                raise InputError(f"{self.folder} is not a feature store: {found}; name another folder")
        elif mode == "new":
            raise InputError(f"{self.folder} holds a feature store; resume it, append to it or name another")
        else:
            self._take_up(Manifest.load(self.folder), mode)
        self._sweep()

    def _take_up(self, manifest: Manifest, mode: str) -> None:
        """Keep the leading shards that are intact; those after the first damaged one are written again."""
        if mode == "append" and not manifest.complete and not manifest.base:
            raise InputError(f"{self.folder} is not finished; finish it before anything is appended")
        if mode == "resume" and manifest.base:
            raise InputError(f"{self.folder} is being appended to; go on with that first (append)")
        for asked, name, has in (
            (self._dtype, "dtype", manifest.dtype),
            (self._shard_rows, "shard_rows", manifest.shard_rows),
        ):
            if asked not in (None, has):
                raise InputError(f"{self.folder} was begun with {name}={has}; got {name}={asked}")
        good = 0
        while good < len(manifest.shards) and is_intact(self.folder, good, manifest.shards[good]):
            good += 1
        if good < len(manifest.shards):
            held = sum(shard.candidates for shard in manifest.shards[:good])
            if mode == "append" and (manifest.complete or held < manifest.base):
                raise InputError(
                    f"shard {good} of {self.folder} is damaged (its checksum differs); build it again"
                )
            manifest = replace(manifest, shards=manifest.shards[:good], complete=False)
        if mode == "append" and manifest.complete:
            manifest = replace(manifest, base=manifest.n_candidates, complete=False)
        self._dtype, self._shard_rows = manifest.dtype, manifest.shard_rows
        self.source = manifest.source
        self._manifest = manifest
        manifest.save(self.folder)

    def _sweep(self) -> None:
        """Remove what an earlier writer began and did not enter."""
        kept = 0 if self._manifest is None else len(self._manifest.shards)
        listed = {shard_folder(self.folder, k) for k in range(kept)}
        (self.folder / _ASIDE).unlink(missing_ok=True)
        for entry in self.folder.iterdir():
            if is_shard(entry) and entry not in listed:
                shutil.rmtree(entry)

    def _begin(self, piece: Features) -> None:
        dtype = self._dtype or piece.rows.dtype.name
        if self._shard_rows is None:
            self._shard_rows = max(1, SHARD_BYTES // (max(1, piece.n_features) * np.dtype(dtype).itemsize))
        self._manifest = Manifest.of(piece, dtype=dtype, shard_rows=self._shard_rows, source=self.source)
        self._manifest.save(self.folder)

    def _write_full(self) -> None:
        """Write shards as long as what is gathered is more than one."""
        assert self._manifest is not None
        limit = self._manifest.shard_rows
        if sum(len(piece.rows) for piece in self._pieces) <= limit:
            return
        whole, start = Features.concatenate(self._pieces), 0
        while len(whole.rows) - int(whole.offsets[start]) > limit:
            end = int(whole.offsets[start]) + limit
            stop = max(start + 1, int(np.searchsorted(whole.offsets, end, side="right")) - 1)
            if stop == len(whole):
                break  # one candidate, larger than a shard, that may yet be the last
            self._write(whole[start:stop])
            start = stop
        self._pieces = [whole[start:]]

    def _write(self, table: Features) -> None:
        assert self._manifest is not None
        number = len(self._manifest.shards)
        aside, place = self.folder / f".{number:06d}", shard_folder(self.folder, number)
        aside.mkdir()
        arrays, files = _arrays(table, self._manifest.dtype)
        for name, array in arrays.items():
            np.save(aside / f"{name}.npy", array, allow_pickle=False)
        shard = Shard(len(table), int(table.offsets[-1]), files, checksum(aside))
        os.rename(aside, place)
        self._manifest = self._manifest.with_shard(shard)
        self._manifest.save(self.folder)


def locked(folder: Path) -> Callable[[], None]:
    """Make the folder if need be and keep other writers out; call the answer to let them in.

    The lock ends with the process, however that ends.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder} is not a folder; name another")
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InputError(f"another process is writing to {folder}; wait for it or name another") from None
    return lambda: os.close(handle)


def _arrays(table: Features, dtype: str) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """The arrays of a shard; files are numbered as they appear, so that pieces leave no trace."""
    used, first = np.unique(table.ids.file, return_index=True)
    order = used[np.argsort(first)]
    number = np.zeros(len(table.ids.files), np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    content: dict[str, Any] = {
        "rows": table.rows,
        "offsets": table.offsets,
        "kind": table.kind,
        "weight": table.weight,
        "hash": table.ids.hash,
        "file": number[table.ids.file],
        "frame": table.ids.frame,
    }
    arrays = {
        name: np.ascontiguousarray(content[name], dtype=kind or np.dtype(dtype).newbyteorder("<"))
        for name, kind in SHARD_ARRAYS.items()
    }
    return arrays, tuple(table.ids.files[k] for k in order.tolist())
