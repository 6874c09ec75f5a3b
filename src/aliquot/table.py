"""The table at which the two wings meet: rows of numbers, and whose they are.

The physics wing turns structures into a :class:`Features` table; the mathematics wing turns a table into a
choice. Nothing in this module knows what an atom is: a *candidate* is a block of consecutive rows.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["IN_MEMORY", "KINDS", "TILE_ROWS", "Features", "Ids", "recipe_hash", "room"]

#: What a row observes; ``Features.kind`` stores the position in this tuple.
KINDS: Final = ("atom", "energy", "force", "virial")

#: Rows per tile of every pass over a table. Fixed, so that sums do not depend on where the table is stored.
TILE_ROWS: Final = 4096

#: Bytes beyond which a table of our own making lives in a temporary file.
IN_MEMORY: Final = 1 << 30

FloatArray = NDArray[np.floating[Any]]


def room(shape: tuple[int, ...], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """An uninitialised array: in memory, or mapped from a nameless temporary file where it is large.

    The file lies where ``TMPDIR`` says and is gone when the array is.
    """
    if np.dtype(dtype).itemsize * math.prod(shape) <= IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="aliquot-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def recipe_hash(recipe: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that identify a JSON-serialisable recipe.

    Examples
    --------
    >>> recipe_hash({"a": 1, "b": [2]}) == recipe_hash({"b": [2], "a": 1})
    True
    """
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, eq=False)
class Ids:
    """Whose rows: content hash, file and frame number of every candidate.

    Parameters
    ----------
    hash : (n,) array of bytes, dtype ``S32``
        Content hash, 32 hexadecimal digits; text is made bytes, a quarter of its size.
    files : tuple of str
        File names, as the user gave them.
    file : (n,) array of int
        Position in ``files``.
    frame : (n,) array of int
        Frame number within its file, from 0.
    """

    hash: NDArray[np.bytes_]
    files: tuple[str, ...]
    file: NDArray[np.int32]
    frame: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", np.asarray(self.hash, "S32"))
        if not len(self.hash) == len(self.file) == len(self.frame):
            raise InputError(
                f"ids disagree in length: {len(self.hash)} hashes, {len(self.file)} files,"
                f" {len(self.frame)} frames"
            )

    def __len__(self) -> int:
        return len(self.hash)

    def __getitem__(self, index: Any) -> Ids:
        return replace(self, hash=self.hash[index], file=self.file[index], frame=self.frame[index])

    def name(self, i: int) -> str:
        """``file#frame`` of candidate ``i``, for messages."""
        return f"{self.files[self.file[i]]}#{self.frame[i]}"

    @classmethod
    def numbered(cls, n: int, source: str = "array", *, first: int = 0) -> Ids:
        """Ids of ``n`` candidates that come from no file: numbered in order, from ``first``.

        >>> Ids.numbered(3).name(2)
        'array#2'
        """
        frame = np.arange(first, first + n, dtype=np.int64)
        hashes = np.empty(n, "S32")
        for i, number in enumerate(frame.tolist()):
            hashes[i] = hashlib.blake2b(f"{source}#{number}".encode(), digest_size=16).hexdigest()
        return cls(hashes, (source,), np.zeros(n, np.int32), frame)

    @classmethod
    def concatenate(cls, parts: Sequence[Ids]) -> Ids:
        """Join ids; equal file names become one."""
        files: dict[str, int] = {}
        renumbered: list[NDArray[np.int32]] = []
        for part in parts:
            table = np.array([files.setdefault(name, len(files)) for name in part.files] or [0], np.int32)
            renumbered.append(table[part.file])
        return cls(
            np.concatenate([p.hash for p in parts]),
            tuple(files),
            np.concatenate(renumbered).astype(np.int32),
            np.concatenate([p.frame for p in parts]).astype(np.int64),
        )

    def digest(self) -> str:
        """Hash of the whole list, in order: identifies a pool or a known set in a result file."""
        return hashlib.blake2b(np.ascontiguousarray(self.hash).view(np.uint8), digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class Features:
    r"""Rows of numbers, grouped into one block per candidate.

    A linear model predicts the observable of row :math:`r` as :math:`\phi_r \cdot c`. The posterior absorbs
    the *weighted* row :math:`w_r \phi_r`, where :math:`1/w_r` is the standard deviation of the noise on that
    observable; scores are taken on the observable itself, in its own unit.

    Parameters
    ----------
    rows : (n_rows, n_features) array of float32 or float64
        May be a memory map. Energy rows are per atom.
    offsets : (n_candidates + 1,) array of int
        Rows ``offsets[i]:offsets[i + 1]`` belong to candidate ``i``.
    kind : (n_rows,) array of uint8
        Position in :data:`KINDS`.
    weight : (n_rows,) array of float64
        Inverse noise of each row.
    prior : (n_features,) array of float64
        Smoothness prior :math:`\Gamma`, positive: coefficient k has standard deviation proportional to
        :math:`1/\Gamma_k`. All the mathematics is done in the scaled columns :math:`\phi_k/\Gamma_k`.
    names : tuple of str
        One printable name per feature.
    recipe : dict
        What made these rows: JSON-serialisable, enough to make them again.
    ids : Ids
        One per candidate.

    Raises
    ------
    InputError
        If shapes disagree or offsets are not a partition of the rows.

    Examples
    --------
    >>> table = Features.from_array(np.eye(3))
    >>> len(table), table.n_features, table.single_rows
    (3, 3, True)
    """

    rows: FloatArray
    offsets: NDArray[np.int64]
    kind: NDArray[np.uint8]
    weight: NDArray[np.float64]
    prior: NDArray[np.float64]
    names: tuple[str, ...]
    recipe: Mapping[str, Any]
    ids: Ids
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.rows.ndim != 2:
            raise InputError(f"feature rows must be a table (rows, features); got shape {self.rows.shape}")
        n_rows, n_features = self.rows.shape
        if self.offsets[0] != 0 or self.offsets[-1] != n_rows or np.any(np.diff(self.offsets) < 0):
            raise InputError(f"offsets do not partition {n_rows} rows")
        for name, array, expected in (
            ("kind", self.kind, n_rows),
            ("weight", self.weight, n_rows),
            ("prior", self.prior, n_features),
            ("names", self.names, n_features),
            ("ids", self.ids, len(self.offsets) - 1),
        ):
            if len(array) != expected:
                raise InputError(f"{name} has {len(array)} entries where {expected} are needed")
        if not (np.all(np.isfinite(self.prior)) and np.all(self.prior > 0)):
            raise InputError("the smoothness prior must be positive and finite")

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.offsets) - 1

    @property
    def n_features(self) -> int:
        """Length of a row."""
        return self.rows.shape[1]

    @property
    def single_rows(self) -> bool:
        """Whether every candidate is exactly one row, so that row i is candidate i."""
        return len(self) == self.rows.shape[0] and bool(np.all(np.diff(self.offsets) == 1))

    @classmethod
    def from_array(
        cls,
        rows: FloatArray,
        *,
        offsets: NDArray[np.int64] | None = None,
        kind: str = "energy",
        weight: NDArray[np.float64] | None = None,
        prior: NDArray[np.float64] | None = None,
        recipe: Mapping[str, Any] | None = None,
        ids: Ids | None = None,
    ) -> Features:
        """Wrap a plain table; each row is one candidate unless ``offsets`` says otherwise."""
        rows = rows if hasattr(rows, "dtype") else np.asarray(rows)  # what is on disk stays there
        if rows.ndim != 2:
            raise InputError(f"feature rows must be a table (rows, features); got shape {rows.shape}")
        if rows.dtype.name not in ("float32", "float64"):
            rows = rows.astype(np.float64)
        n_rows, n_features = int(rows.shape[0]), int(rows.shape[1])
        offsets = np.arange(n_rows + 1, dtype=np.int64) if offsets is None else np.asarray(offsets, np.int64)
        return cls(
            rows=rows,
            offsets=offsets,
            kind=np.full(n_rows, KINDS.index(kind), np.uint8),
            weight=np.ones(n_rows) if weight is None else np.asarray(weight, np.float64),
            prior=np.ones(n_features) if prior is None else np.asarray(prior, np.float64),
            names=tuple(f"f{k}" for k in range(n_features)),
            recipe={"features": "array"} if recipe is None else recipe,
            ids=Ids.numbered(len(offsets) - 1) if ids is None else ids,
        )

    def row_index(self, candidates: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Positions of the rows of the named candidates, candidate by candidate."""
        candidates = np.asarray(candidates, np.int64)
        starts = self.offsets[candidates]
        lengths = self.offsets[candidates + 1] - starts
        first = np.repeat(starts - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
        return first + np.arange(int(lengths.sum()), dtype=np.int64)

    def __getitem__(self, index: Any) -> Features:
        """The named candidates (positions, slice or mask), in that order."""
        candidates: NDArray[np.int64] = np.arange(len(self), dtype=np.int64)[index]
        rows = self.row_index(candidates)
        lengths = np.diff(self.offsets)[candidates]
        return replace(
            self,
            rows=np.asarray(self.rows[rows]),
            offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            kind=self.kind[rows],
            weight=self.weight[rows],
            ids=self.ids[candidates],
        )

    def tiles(self) -> Iterator[tuple[slice, slice]]:
        """Consecutive (candidates, rows) slices of about :data:`TILE_ROWS` rows; no candidate is split."""
        start = 0
        while start < len(self):
            stop = int(np.searchsorted(self.offsets, int(self.offsets[start]) + TILE_ROWS, side="right")) - 1
            stop = min(max(stop, start + 1), len(self))
            yield slice(start, stop), slice(int(self.offsets[start]), int(self.offsets[stop]))
            start = stop

    @classmethod
    def concatenate(cls, parts: Sequence[Features]) -> Features:
        """Join tables of the same recipe."""
        first = parts[0]
        for part in parts[1:]:
            if recipe_hash(part.recipe) != recipe_hash(first.recipe):
                raise InputError("tables made by different recipes cannot be joined")
        lengths = np.concatenate([np.diff(p.offsets) for p in parts])
        return replace(
            first,
            rows=np.concatenate([p.rows for p in parts]),
            offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            kind=np.concatenate([p.kind for p in parts]),
            weight=np.concatenate([p.weight for p in parts]),
            ids=Ids.concatenate([p.ids for p in parts]),
        )
