"""What does a feature store say about itself? One JSON file: the recipe, and the shards with their checksums.

The manifest names no path. A shard's folder follows from its number; ``files`` are the names of the structures'
sources, which are shown and compared, and opened only when someone asks for the structures themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.features.shards import SHARD_ARRAYS, shard_folder
from aliquot.table import Features, recipe_hash

__all__ = ["MANIFEST", "Manifest", "Shard", "Source", "checksum", "is_intact", "is_store"]

MANIFEST: Final = "manifest.json"

#: Raised when a key or a file changes its meaning.
SCHEMA: Final = 1

_FORMAT: Final = "aliquot-store"


@dataclass(frozen=True)
class Shard:
    """One folder of arrays: how much it holds, from which files, and the checksum of all its bytes."""

    candidates: int
    rows: int
    files: tuple[str, ...]
    checksum: str


@dataclass(frozen=True)
class Source:
    """How the features can be made again for other structures: what was asked, and of which elements."""

    spec: str
    pooling: str
    elements: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Manifest:
    """Everything about a store but its numbers.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    names, prior, recipe, notes
        As of :class:`aliquot.table.Features`.
    shard_rows : int
        Rows that a shard holds at most, unless one candidate alone has more.
    shards : tuple of Shard
    source : Source or None
    complete : bool
        False while it is being written.
    base : int
        Candidates that were there before those that are being appended; 0 where nothing is.
    """

    dtype: str
    names: tuple[str, ...]
    prior: NDArray[np.float64]
    recipe: Mapping[str, Any]
    shard_rows: int
    notes: tuple[str, ...] = ()
    shards: tuple[Shard, ...] = field(default=())
    source: Source | None = None
    complete: bool = False
    base: int = 0

    @classmethod
    def of(cls, table: Features, *, dtype: str, shard_rows: int, source: Source | None) -> Manifest:
        """A manifest without shards for tables like this one."""
        return cls(dtype, table.names, table.prior, table.recipe, shard_rows, table.notes, (), source)

    @property
    def n_features(self) -> int:
        """Length of a row."""
        return len(self.names)

    @property
    def n_candidates(self) -> int:
        """Candidates in all shards."""
        return sum(shard.candidates for shard in self.shards)

    def differs_from(self, other: Manifest | Features) -> str:
        """Why the two cannot be one table; empty if they can."""
        if why := self.other_recipe(other.recipe):
            return why
        if self.names != other.names:
            return f"{len(self.names)} and {len(other.names)} features are not the same by name"
        if not np.array_equal(self.prior, other.prior):
            return "the smoothness priors differ"
        return ""

    def other_recipe(self, recipe: Mapping[str, Any]) -> str:
        """How a recipe differs; empty if it does not."""
        mine, other = recipe_hash(self.recipe), recipe_hash(recipe)
        if mine == other:
            return ""
        return f"the recipes {mine} and {other} differ in {_difference(dict(self.recipe), dict(recipe))}"

    def save(self, folder: Path) -> None:
        """Write the manifest of this folder; complete or not at all."""
        record = {
            "format": _FORMAT,
            "schema": SCHEMA,
            "complete": self.complete,
            "base": self.base,
            "dtype": self.dtype,
            "shard_rows": self.shard_rows,
            "recipe": dict(self.recipe),
            "names": list(self.names),
            "prior": self.prior.tolist(),
            "notes": list(self.notes),
            "source": None if self.source is None else vars(self.source),
            "shards": [vars(shard) for shard in self.shards],
        }
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        _write_aside(folder / MANIFEST, text.encode())

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read and check the manifest of a store.

        Raises
        ------
        InputError
            If there is none, or one that this version does not understand.
        """
        path = folder / MANIFEST
        try:
            if path.is_symlink() or folder.joinpath(MANIFEST).resolve().parent != folder.resolve():
                raise ValueError("its manifest is a link")
            record: Any = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(record, dict) or record.get("format") != _FORMAT:
                raise ValueError(f"its manifest is not of the format {_FORMAT!r}")
            if record.get("schema") != SCHEMA:
                raise ValueError(
                    f"schema {record.get('schema')!r} is not known here; this version reads {SCHEMA}"
                )
            return _from_record(cast(dict[str, Any], record))
        except FileNotFoundError:
            raise InputError(f"{folder} is not a feature store: it has no {MANIFEST}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{folder} is not a feature store that can be read: {error}") from error

    def with_shard(self, shard: Shard) -> Manifest:
        """One more shard."""
        return replace(self, shards=(*self.shards, shard))


def is_store(path: Path) -> bool:
    """Whether this looks like a store."""
    return (path / MANIFEST).is_file()


def checksum(folder: Path) -> str:
    """BLAKE2b of the names, sizes and bytes of all arrays of a shard, 32 hexadecimal digits; about 1 GB/s."""
    total = hashlib.blake2b(digest_size=16)
    for name in SHARD_ARRAYS:
        path = folder / f"{name}.npy"
        total.update(f"{name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                total.update(part)
    return total.hexdigest()


def is_intact(store: Path, number: int, shard: Shard) -> bool:
    """Whether a shard is there, with the bytes that its checksum is of."""
    try:
        return checksum(shard_folder(store, number)) == shard.checksum
    except OSError:
        return False


def _write_aside(path: Path, content: bytes) -> None:
    """Write under a hidden name in the same folder, then rename; there is one writer at a time."""
    aside = path.with_name(f".{path.name}")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a power cut leaves the old manifest or the new one
    os.replace(aside, path)


def _from_record(record: dict[str, Any]) -> Manifest:
    if record["dtype"] not in ("float32", "float64"):
        raise ValueError(f"rows of {record['dtype']!r} are not understood")
    shards = tuple(
        Shard(int(s["candidates"]), int(s["rows"]), tuple(map(str, s["files"])), str(s["checksum"]))
        for s in record["shards"]
    )
    source = record["source"]
    return Manifest(
        dtype=record["dtype"],
        names=tuple(map(str, record["names"])),
        prior=np.array(record["prior"], np.float64),
        recipe=dict(record["recipe"]),
        shard_rows=int(record["shard_rows"]),
        notes=tuple(map(str, record["notes"])),
        shards=shards,
        source=None
        if source is None
        else Source(str(source["spec"]), str(source["pooling"]), tuple(map(int, source["elements"]))),
        complete=record["complete"] is True,
        base=int(record["base"]),
    )


def _difference(one: Any, other: Any, where: str = "") -> str:
    """Where two recipes first differ, with both values: ``basis.degree: [8,8,8] and [12,12,12]``."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in (*one, *(key for key in other if key not in one)):
            if one.get(key) != other.get(key):
                return _difference(one.get(key), other.get(key), f"{where}.{key}" if where else str(key))
    said = [json.dumps(value, separators=(",", ":")) for value in (one, other)]
    short = [text if len(text) <= 80 else f"{text[:79]}…" for text in said]
    return f"{where}: {short[0]} and {short[1]}"
