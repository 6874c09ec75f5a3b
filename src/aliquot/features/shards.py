"""How are ten million rows read without being held? From shards, a slice or a few rows at a time.

A shard is a folder of plain ``.npy`` arrays; the rows of all shards in order are one table. Every read opens the
shards that it needs, copies what was asked for and closes them again, so that the memory of a process is that of
the rows it works on, whatever has been read before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["SHARD_ARRAYS", "ShardedRows", "array_header", "is_shard", "shard_folder"]

#: The arrays of a shard, by file name without ``.npy``: dtype of each; that of the rows is the store's.
SHARD_ARRAYS: Final = {
    "rows": None,
    "offsets": "<i8",
    "kind": "|u1",
    "weight": "<f8",
    "hash": "|S32",
    "file": "<i4",
    "frame": "<i8",
}


def shard_folder(store: Path, number: int) -> Path:
    """Where shard ``number`` is: the name follows from the number, never from a file.

    >>> shard_folder(Path("store"), 12).as_posix()
    'store/000012'
    """
    return store / f"{number:06d}"


def is_shard(entry: Path) -> bool:
    """Whether a folder has the name of a shard, or of one being written, and holds arrays of a shard alone."""
    number = entry.name.removeprefix(".")
    if not (number.isdigit() and len(number) >= 6) or entry.is_symlink() or not entry.is_dir():
        return False
    return {inside.name for inside in entry.iterdir()} <= {f"{name}.npy" for name in SHARD_ARRAYS}


def array_header(path: Path, dtype: str, shape: tuple[int, ...]) -> int:
    """Where the numbers of a ``.npy`` file begin, in bytes; nothing in the file is executed.

    Raises
    ------
    InputError
        If it is not there, is a link, or does not hold exactly the array that is expected.
    """
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path} is missing or not a plain file; build the store again")
    with path.open("rb") as file:
        try:
            major, _ = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            found_shape, fortran, found_dtype = read(file)
        except ValueError as error:
            raise InputError(f"{path} is not a .npy file: {error}") from error
        begin = file.tell()
    expected = np.dtype(dtype)
    if found_shape != shape or fortran or found_dtype != expected:
        raise InputError(
            f"{path} holds {found_dtype} of shape {found_shape}; the manifest says {expected} of shape {shape}"
        )
    if path.stat().st_size != begin + expected.itemsize * int(np.prod(shape)):
        raise InputError(f"{path} is cut off; build the store again")
    return begin


class ShardedRows:
    """Rows of all shards as one table on disk: ``shape``, ``dtype``, and ``rows[slice or positions]``.

    Parameters
    ----------
    folder : Path
        The store.
    first : int
        Number of the first of these shards; the others follow it.
    starts : (n_shards + 1,) array of int
        Rows ``starts[k]:starts[k + 1]`` are in shard ``first + k``.
    begins : tuple of int
        Where the numbers of each shard begin in its file, bytes.
    n_features : int
    dtype : numpy.dtype
    reopen : callable
        ``reopen(folder, first, n_rows)`` gives these rows again: in another process, from the folder alone.

    Notes
    -----
    A pickle holds the path of the folder and these two numbers. ``numpy.asarray`` reads everything.
    """

    ndim: Final = 2

    def __init__(
        self,
        folder: Path,
        *,
        first: int,
        starts: NDArray[np.int64],
        begins: tuple[int, ...],
        n_features: int,
        dtype: np.dtype[Any],
        reopen: Callable[[str, int, int], ShardedRows],
    ) -> None:
        self.folder, self.starts, self.dtype = folder, starts, dtype
        self.shape = (int(starts[-1]), n_features)
        self._first, self._begins, self._reopen = first, begins, reopen

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"ShardedRows({str(self.folder)!r}, {self.shape[0]} × {self.shape[1]} {self.dtype})"

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reopen, (str(self.folder.absolute()), self._first, self.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("rows on disk cannot be seen as an array without a copy")
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    @property
    def nbytes(self) -> int:
        """Size on disk."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Rows (and columns) in memory, as indexing an array gives them."""
        if isinstance(key, tuple):
            rows, *columns = key
            return self[rows][(..., *columns)]
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self._span(start, max(start, stop))
            return self._some(np.arange(start, stop, step))
        if key is Ellipsis:
            return self._span(0, len(self))
        index = np.asarray(key)
        if index.dtype == bool:
            if index.shape != (len(self),):
                raise IndexError(f"a mask of shape {index.shape} for {len(self)} rows")
            index = np.flatnonzero(index)
        if index.ndim == 0:
            return self[np.atleast_1d(index)][0]
        return self._some(index if index.size else index.astype(np.int64))

    def _span(self, start: int, stop: int) -> NDArray[Any]:
        """Consecutive rows, read straight into the answer."""
        out = np.empty((stop - start, self.shape[1]), self.dtype)
        if out.size == 0:
            return out
        first = int(np.searchsorted(self.starts, start, side="right")) - 1
        last = int(np.searchsorted(self.starts, stop, side="left"))
        for k in range(first, last):
            low, high = max(start, int(self.starts[k])), min(stop, int(self.starts[k + 1]))
            if high > low:
                self._read_into(k, low - int(self.starts[k]), out[low - start : high - start])
        return out

    def _path(self, k: int) -> Path:
        return shard_folder(self.folder, self._first + k) / "rows.npy"

    def _read_into(self, k: int, first: int, out: NDArray[Any]) -> None:
        path = self._path(k)
        left = memoryview(out).cast("B")
        with path.open("rb", buffering=0) as file:
            file.seek(self._begins[k] + first * self.shape[1] * self.dtype.itemsize)
            while len(left):
                count = file.readinto(left)
                if not count:
                    raise InputError(f"{path} is cut off; build the store again")
                left = left[count:]

    def _some(self, index: NDArray[Any]) -> NDArray[Any]:
        """Rows in any order, each shard mapped once."""
        if index.dtype.kind not in "iu" or index.ndim != 1:
            raise IndexError(
                f"rows are named by integers in one axis; got {index.dtype} of shape {index.shape}"
            )
        index = np.where(index < 0, index + len(self), index).astype(np.int64)
        if len(index) and not (index.min() >= 0 and index.max() < len(self)):
            raise IndexError(f"row {index.min()} or {index.max()} is outside {len(self)} rows")
        if len(index) > 1 and index[-1] - index[0] == len(index) - 1 and np.all(np.diff(index) == 1):
            return self._span(int(index[0]), int(index[-1]) + 1)
        out = np.empty((len(index), self.shape[1]), self.dtype)
        if out.size == 0:
            return out
        owner = np.searchsorted(self.starts, index, side="right") - 1
        for k in np.unique(owner).tolist():
            here = np.flatnonzero(owner == k) if len(index) > 1 else slice(None)
            begin, end = int(self.starts[k]), int(self.starts[k + 1])
            mapped = np.memmap(
                self._path(k),
                self.dtype,
                mode="r",
                offset=self._begins[k],
                shape=(end - begin, self.shape[1]),
            )
            out[here] = mapped[index[here] - begin]
        return out
