"""Rows of labelled structures, compressed as they come: one triangle per quantity and kind of structure.

Kept apart by quantity (energy, forces, virial) and by group (usually the config type), the triangles answer every
later question about weights and errors without another pass over the structures: reweighting scales them,
errors per group are residuals. Rows of a few structures are in memory at a time.

Energy rows and targets are per √atom, as the fit weighs them: total energy less the reference energies and the
repulsion, divided by √N; virials likewise by √N.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.solvers.triangle import Gram, Triangle
from aliquot.structures.frames import Frames

__all__ = ["QUANTITIES", "accumulate", "grams", "labelled_rows"]

Array = NDArray[np.float64]
Labelled = dict[str, tuple[Array, Array]]

QUANTITIES: Final = ("energy", "forces", "virial")

#: Structures whose rows may wait for the factorisation.
AHEAD: Final = 4


def labelled_rows(
    evaluator: AceEvaluator,
    frames: Frames,
    i: int,
    *,
    baseline: Callable[[Frames, int], Labelled] | None = None,
) -> Labelled:
    """Rows and targets of one structure by quantity; only quantities that it is labelled with.

    Parameters
    ----------
    evaluator : AceEvaluator
    frames : Frames
    i : int
    baseline : callable, optional
        ``baseline(frames, i)`` gives {quantity: (anything, values)} to subtract from the labels: reference
        energies (eV, total), forces and virial of a repulsion.

    Returns
    -------
    dict of str to ((m, d) array, (m,) array)
        ``energy`` 1 row (eV/√atom), ``forces`` 3N rows (eV/Å), ``virial`` 6 rows (eV/√atom; xx, yy, zz, yz, xz, xy).
    """
    n = int(frames.sizes[i])
    atoms = slice(frames.offsets[i], frames.offsets[i + 1])
    rows = evaluator.rows(frames, i)
    shift = baseline(frames, i) if baseline else {}
    root = np.sqrt(n)
    out: Labelled = {}
    if frames.energy.present[i]:
        target = np.array([frames.energy.values[i]]) - _shift(shift, "energy", (1,))
        out["energy"] = rows.energy[None] / root, target / root
    if frames.forces.present[i]:
        target = (frames.forces.values[atoms] - _shift(shift, "forces", (n, 3))).ravel()
        out["forces"] = rows.forces.reshape(3 * n, -1), target
    if frames.virial.present[i]:
        virial = frames.virial.values[i] - _shift(shift, "virial", (3, 3))
        out["virial"] = rows.virial / root, virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / root
    for quantity, (_, target) in out.items():
        if not np.all(np.isfinite(target)):
            raise InputError(
                f"{frames.ids_name(i)}: the {quantity} label is not finite; remove it or the frame"
            )
    return out


def _shift(baseline: Labelled, quantity: str, shape: tuple[int, ...]) -> Array:
    return baseline[quantity][1].reshape(shape) if quantity in baseline else np.zeros(shape)


def _in_order(
    evaluator: AceEvaluator,
    frames: Frames,
    baseline: Callable[[Frames, int], Labelled] | None,
    threads: int | None,
) -> Iterator[Labelled]:
    """Labelled rows frame by frame, computed a few frames ahead in threads."""
    waiting: deque[Future[Labelled]] = deque()
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for i in range(len(frames)):
            waiting.append(pool.submit(labelled_rows, evaluator, frames, i, baseline=baseline))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def accumulate(
    evaluator: AceEvaluator,
    frames: Frames,
    *,
    groups: Sequence[str] | NDArray[np.str_] | None = None,
    baseline: Callable[[Frames, int], Labelled] | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> dict[tuple[str, str], Triangle]:
    """One triangle per (quantity, group) of everything that the frames are labelled with.

    Parameters
    ----------
    evaluator : AceEvaluator
    frames : Frames
    groups : (n_frames,) sequence of str, optional
        The config types by default.
    baseline : callable, optional
        See :func:`labelled_rows`.
    threads : int, optional
    progress : callable

    Notes
    -----
    Memory: a triangle of (d + 1)² doubles and a buffer of as many for every (quantity, group) that occurs, and
    the rows of a few structures.
    """
    names = np.asarray(frames.config_type if groups is None else groups).astype(str)
    if len(names) != len(frames):
        raise InputError(f"{len(names)} groups for {len(frames)} frames")
    out: dict[tuple[str, str], Triangle] = {}
    for i, labelled in enumerate(_in_order(evaluator, frames, baseline, threads)):
        for quantity, (rows, target) in labelled.items():
            key = (quantity, str(names[i]))
            if key not in out:
                out[key] = Triangle(evaluator.n_columns)
            out[key].absorb(rows, target)
        progress("rows", i + 1, len(frames))
    return out


def grams(
    evaluator: AceEvaluator,
    frames: Frames,
    *,
    baseline: Callable[[Frames, int], Labelled] | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Iterator[dict[str, Gram]]:
    """The Gram matrices of each frame by quantity, frame by frame."""
    for i, labelled in enumerate(_in_order(evaluator, frames, baseline, threads)):
        yield {quantity: Gram.of(rows, target) for quantity, (rows, target) in labelled.items()}
        progress("rows", i + 1, len(frames))
