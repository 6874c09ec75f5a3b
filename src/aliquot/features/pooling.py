r"""From the values of atoms to the rows of a structure.

Atoms are grouped by centre: with a centre matrix V (groups × elements) the row of a structure with N atoms is

.. math:: \phi_{g k} = \frac{1}{N} \sum_i V_{g z_i} B_{ik},

so that a linear model of the row is a model of the energy per atom. ``mean`` is this; ``sum`` leaves out 1/N;
``element`` divides each group by its own number of atoms; ``none`` keeps one row per atom.

Weights follow the fit: the energy of N atoms has noise growing as √N, so its row per atom has weight √N.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.table import KINDS

__all__ = ["POOLINGS", "Pooling", "PooledRows", "check_pooling", "pool_atoms"]

Pooling = Literal["mean", "sum", "element", "none"]
POOLINGS: Final[tuple[str, ...]] = get_args(Pooling)

#: Atoms whose values are in memory at once, per thread.
BATCH_ATOMS: Final = 2048


def check_pooling(pooling: str) -> Pooling:
    """The pooling, or an error that lists the choices."""
    if pooling not in POOLINGS:
        raise InputError(f"pooling {pooling!r} is not known; choose one of {', '.join(POOLINGS)}")
    return cast(Pooling, pooling)


@dataclass(frozen=True, eq=False)
class PooledRows:
    """Rows, which structure they belong to, what they observe and their weights (see ``Features``)."""

    rows: NDArray[np.float32]
    offsets: NDArray[np.int64]
    kind: NDArray[np.uint8]
    weight: NDArray[np.float64]


def pool_atoms(
    frames: Frames,
    site_values: Callable[[Frames, int], NDArray[np.float64]],
    n_values: int,
    *,
    pooling: Pooling,
    elements: Sequence[int],
    centres: NDArray[np.float64],
    progress: Progress = silent,
    threads: int | None = None,
) -> PooledRows:
    """Evaluate atoms structure by structure and pool them, in threads and bounded memory.

    Parameters
    ----------
    frames : Frames
    site_values : callable
        ``site_values(frames, i)`` gives (n_atoms of frame i, n_values).
    n_values : int
    pooling : {"mean", "sum", "element", "none"}
    elements : sequence of int
        Atomic numbers, ascending; the columns of ``centres``.
    centres : (n_groups, n_elements) array
        The matrix V.
    progress : callable
    threads : int, optional
        The number of processors by default.

    Returns
    -------
    PooledRows
        With n_groups × n_values columns, group by group.

    Raises
    ------
    InputError
        If a value is not finite: names the frame and the atom.
    """
    sizes = frames.sizes
    per_frame = sizes if pooling == "none" else np.ones(len(frames), np.int64)
    offsets = np.concatenate(([0], np.cumsum(per_frame))).astype(np.int64)
    rows = np.empty((int(offsets[-1]), len(centres) * n_values), np.float32)
    table = np.array(elements)

    def one(i: int) -> None:
        numbers = frames.numbers[frames.offsets[i] : frames.offsets[i + 1]]
        values = site_values(frames, i)
        _check_values(frames, i, values, n_values)
        groups = centres[:, np.searchsorted(table, numbers)]
        if pooling == "none":
            rows[offsets[i] : offsets[i + 1]] = (groups.T[:, :, None] * values[:, None, :]).reshape(
                len(numbers), -1
            )
            return
        if pooling == "element":
            groups = groups / np.maximum(np.abs(groups).sum(axis=1, keepdims=True), 1.0)
        elif pooling == "mean":
            groups = groups / len(numbers)
        rows[i] = (groups @ values).reshape(-1)

    def batch(span: tuple[int, int]) -> int:
        for i in range(*span):
            one(i)
        return span[1] - span[0]

    done = 0
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for finished in pool.map(batch, _batches(frames.offsets)):
            done += finished
            progress("features", done, len(frames))

    kind = np.full(len(rows), KINDS.index("atom" if pooling == "none" else "energy"), np.uint8)
    weight = {
        "mean": np.sqrt(sizes),
        "element": np.sqrt(sizes),
        "sum": 1 / np.sqrt(np.maximum(sizes, 1)),
        "none": np.ones(len(rows)),
    }[pooling]
    return PooledRows(rows, offsets, kind, weight.astype(np.float64))


def _batches(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Consecutive frames of about ``BATCH_ATOMS`` atoms."""
    spans, start = [], 0
    while start < len(offsets) - 1:
        stop = int(np.searchsorted(offsets, offsets[start] + BATCH_ATOMS, side="right")) - 1
        stop = min(max(stop, start + 1), len(offsets) - 1)
        spans.append((start, stop))
        start = stop
    return spans


def _check_values(frames: Frames, i: int, values: NDArray[np.float64], n_values: int) -> None:
    expected = (int(frames.offsets[i + 1] - frames.offsets[i]), n_values)
    if values.shape != expected:
        raise InputError(
            f"{frames.ids_name(i)}: the featurizer returned shape {values.shape}, expected {expected}"
        )
    if not np.all(np.isfinite(values)):
        atom, k = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{frames.ids_name(i)}: feature {k} of atom {atom} is {values[atom, k]};"
            " are two atoms at the same place?"
        )
