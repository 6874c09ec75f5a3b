"""Some models of a path, with errors in physical units and their measured speed: what size buys."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.fitting.accumulate import Baseline, Compressed
from aliquot.fitting.errors import errors_of_path
from aliquot.fitting.record import Rung
from aliquot.fitting.splits import TRAIN
from aliquot.progress import Progress, silent
from aliquot.solvers import Path
from aliquot.structures.frames import Frames
from aliquot.structures.neighbours import neighbours

__all__ = ["judge", "ladder_of", "rungs"]

Array = NDArray[np.float64]
Errors = dict[str, dict[str, tuple[float, float]]]

#: Models of a ladder, about.
RUNGS: Final = 24

#: Atoms on which time is measured, about, and how often.
TIMED_ATOMS: Final = 400
REPEATS: Final = 3


def rungs(path: Path, chosen: int, *, count: int = RUNGS) -> list[int]:
    """Points of the path, evenly spread over the logarithm of their sizes, the chosen one among them.

    Paths of one size are spread over their points.
    """
    sizes = path.sizes
    order = np.argsort(sizes, kind="stable")
    if len(np.unique(sizes)) <= 1:
        picked = np.linspace(0, len(path) - 1, min(count, len(path))).round().astype(int)
    else:
        wanted = np.geomspace(max(1, sizes.min()), sizes.max(), count)
        picked = order[np.minimum(np.searchsorted(sizes[order], wanted), len(order) - 1)]
    return sorted({*picked.tolist(), chosen} - {i for i in range(len(path)) if sizes[i] == 0 and i != chosen})


def ladder_of(
    evaluator: AceEvaluator,
    frames: Frames,
    path: Path,
    parts: NDArray[np.str_],
    groups: NDArray[np.str_],
    chosen: int,
    *,
    build: Callable[[Array], AcePotential],
    baseline: Baseline | None = None,
    offsets: Collection[str] = (),
    held: Compressed,
    teaching: Sequence[str] = (TRAIN,),
    threads: int | None = None,
    progress: Progress = silent,
) -> tuple[Rung, ...]:
    """Errors and speed of some models of the path.

    Parameters
    ----------
    evaluator, frames, path, parts, groups, chosen
        Of the fit. Structures that did not teach judge; training structures where there are no others.
    build : callable
        From coefficients to a potential.
    baseline, offsets, held, teaching
        Of the fit.
    threads, progress
    """
    which = rungs(path, chosen)
    coefficients = path.matrix(which)
    judged = judge(
        evaluator,
        frames,
        coefficients,
        parts,
        groups,
        baseline=baseline,
        offsets=offsets,
        held=held,
        teaching=teaching,
        threads=threads,
        progress=progress,
    )
    clock = _Stopwatch(frames, evaluator)
    out: list[Rung] = []
    for column, (point, errors) in enumerate(zip(which, judged, strict=True)):
        out.append(Rung(point, path[point].size, errors, clock(build(coefficients[:, column]))))
        progress("speed", column + 1, len(which))
    return tuple(sorted(out, key=lambda r: (r.size, r.point)))


def judge(
    evaluator: AceEvaluator,
    frames: Frames,
    coefficients: Array,
    parts: NDArray[np.str_],
    groups: NDArray[np.str_],
    *,
    held: Compressed,
    baseline: Baseline | None = None,
    offsets: Collection[str] = (),
    teaching: Sequence[str] = (TRAIN,),
    threads: int | None = None,
    progress: Progress = silent,
) -> list[Errors]:
    """Errors of several models, (d, models), on structures that did not teach; on all where there are no others."""
    judges = np.flatnonzero(parts != TRAIN)
    if len(judges) == 0:
        judges = np.arange(len(frames))
    shift = {g: np.array([held.offset(teaching, g, c) for c in coefficients.T]) for g in offsets}
    found = errors_of_path(
        evaluator,
        frames,
        coefficients,
        parts,
        which=judges,
        groups=groups,
        offsets=shift,
        baseline=baseline,
        threads=threads,
        progress=progress,
    )
    out: list[Errors] = [{} for _ in coefficients.T]
    for key, mae in found.mae.items():
        if key.group == "":
            for errors, one, two in zip(out, mae.tolist(), found.rmse[key].tolist(), strict=True):
                errors.setdefault(key.part, {})[key.quantity] = (one, two)
    return out


class _Stopwatch:
    """Times potentials on one structure of the data."""

    def __init__(self, frames: Frames, evaluator: AceEvaluator) -> None:
        sizes = np.where(frames.sizes <= TIMED_ATOMS, frames.sizes, 0)
        i = int(np.argmax(sizes)) if sizes.max(initial=0) else int(np.argmin(frames.sizes))
        atoms = slice(frames.offsets[i], frames.offsets[i + 1])
        self.numbers = frames.numbers[atoms]
        cutoff = evaluator.basis.max_cutoff
        self.pairs = neighbours(frames.positions[atoms], frames.cells[i], frames.pbc[i], cutoff)

    def __call__(self, potential: AcePotential) -> float | None:
        """Microseconds per atom, the best of a few."""
        if len(self.pairs.index) == 0 or potential.range > potential.basis.max_cutoff:
            return None
        best = np.inf
        for _ in range(1 + REPEATS):  # the first prepares the potential
            start = time.perf_counter()
            potential.evaluate(self.numbers, self.pairs, threads=1)
            best = min(best, time.perf_counter() - start)
        return 1e6 * best / len(self.numbers)
