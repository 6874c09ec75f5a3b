"""Features that somebody else computes: any callable, or a file of numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.features.pooling import Pooling, pool_atoms
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.table import Features

__all__ = ["ArrayFile", "CallableFeaturizer", "load_callable"]


def load_callable(path: str) -> Callable[..., Any]:
    """Import ``module:function``.

    Raises
    ------
    InputError
        If the module cannot be imported or has no such callable.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise InputError(
            f"'python:{path}' must name a module and a function, as in python:mydescriptors:mace"
        )
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise InputError(f"cannot import {module} for the features python:{path}: {error}") from error
    if not callable(found):
        raise InputError(f"module {module} has no function {name}")
    return found


@dataclass(frozen=True, eq=False)
class CallableFeaturizer:
    """Any function ``atoms -> (n_atoms, d)`` of one ASE ``Atoms``, pooled.

    Parameters
    ----------
    name : str
        What identifies the function in recipes, e.g. ``module:function``.
    function : callable
        Called with one :class:`ase.Atoms`; must return a finite (n_atoms, d) array, d always the same.
    elements : tuple of int
        Atomic numbers of pool and known set together; needed for pooling by element.
    pooling : {"mean", "sum", "element", "none"}
    parameters : dict
        Further identification for the recipe.
    """

    name: str
    function: Callable[..., Any]
    elements: tuple[int, ...]
    pooling: Pooling = "mean"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Name of the function, elements and pooling. A changed function under the same name is not noticed."""
        return {
            "features": self.name,
            "parameters": dict(self.parameters),
            "elements": list(self.elements),
            "pooling": self.pooling,
        }

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """All elements in one group, except when pooling element by element."""
        n = len(self.elements)
        return np.eye(n) if self.pooling == "element" else np.ones((1, n))

    def __call__(self, frames: Frames, *, progress: Progress = silent) -> Features:
        """The table of these frames."""
        if len(frames) == 0:
            raise InputError(f"cannot find out the length of the features {self.name} without any frame")

        def site_values(some: Frames, i: int) -> NDArray[np.float64]:
            return np.asarray(self.function(some[i].to_atoms()[0]), np.float64)

        first = site_values(frames, 0)
        if first.ndim != 2:
            raise InputError(
                f"{self.name} returned shape {first.shape} for {frames.ids_name(0)}, expected two axes"
            )
        pooled = pool_atoms(
            frames,
            site_values,
            first.shape[1],
            pooling=self.pooling,
            elements=self.elements,
            centres=self.centres,
            progress=progress,
            threads=1,  # nothing is known about the thread safety of somebody else's function
        )
        return Features(
            rows=pooled.rows,
            offsets=pooled.offsets,
            kind=pooled.kind,
            weight=pooled.weight,
            prior=np.ones(pooled.rows.shape[1]),
            names=tuple(f"{self.name}[{k}]" for k in range(pooled.rows.shape[1])),
            recipe=self.recipe,
            ids=frames.ids,
            notes=self.notes,
        )


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """Rows from a ``.npy`` file: one row per frame, or one per atom.

    Parameters
    ----------
    path : str
        The file for the frames that this featurizer is called with.
    files : tuple of str
        All files of the same features (pool, known, …): what the recipe names.
    pooling : {"mean", "sum", "element", "none"}
        For one row per atom; rows per frame are taken as means.
    """

    path: str
    files: tuple[str, ...]
    elements: tuple[int, ...]
    pooling: Pooling = "mean"
    notes: tuple[str, ...] = ()

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Names and checksums of all files, and pooling."""
        sums = [_sha256(name) for name in self.files if _exists(name)]
        return {
            "features": "file",
            "files": list(self.files),
            "sha256": sums,
            "elements": list(self.elements),
            "pooling": self.pooling,
        }

    def __call__(self, frames: Frames, *, progress: Progress = silent) -> Features:
        """The table of these frames.

        Raises
        ------
        InputError
            If the file is no table of floats, or its length is neither that of the frames nor of the atoms.
        """
        rows = _load(self.path)
        if len(rows) == frames.n_atoms and (self.pooling == "none" or len(rows) != len(frames)):
            n = len(self.elements)
            pooled = pool_atoms(
                frames,
                lambda some, i: np.asarray(rows[some.offsets[i] : some.offsets[i + 1]], np.float64),
                rows.shape[1],
                pooling=self.pooling,
                elements=self.elements,
                centres=np.eye(n) if self.pooling == "element" else np.ones((1, n)),
                progress=progress,
            )
            kind = "atom" if self.pooling == "none" else "energy"
            rows, offsets, weight = pooled.rows, pooled.offsets, pooled.weight
        elif len(rows) == len(frames):
            kind, weight = "energy", np.sqrt(frames.sizes)
            offsets = np.arange(len(frames) + 1, dtype=np.int64)
        else:
            raise InputError(
                f"{self.path} has {len(rows)} rows, but there are {len(frames)} frames with {frames.n_atoms}"
                " atoms; give one row per frame or one per atom"
            )
        return Features.from_array(
            rows, offsets=offsets, kind=kind, weight=weight, recipe=self.recipe, ids=frames.ids
        )


def _exists(path: str) -> bool:
    if not Path(path).is_file():
        raise InputError(f"the file of features {path} does not exist")
    return True


def _sha256(path: str) -> str:
    """Of a file that may be larger than memory."""
    total = hashlib.sha256()
    with Path(path).open("rb") as file:
        while part := file.read(1 << 20):
            total.update(part)
    return total.hexdigest()


def _load(path: str) -> NDArray[np.floating[Any]]:
    """Memory-map a table of floats; nothing in the file is executed."""
    _exists(path)
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise InputError(f"{path} is not a .npy file of numbers: {error}") from error
    if rows.ndim != 2 or rows.dtype.kind != "f":
        raise InputError(f"{path} holds {rows.dtype} of shape {rows.shape}; expected a table of floats")
    return rows
