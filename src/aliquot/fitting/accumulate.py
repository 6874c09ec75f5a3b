r"""Rows of labelled structures, compressed as they come: one triangle per part, quantity and kind of structure.

Kept apart by part (training, validation, …), quantity (energy, forces, virial) and group (usually the config type),
the triangles answer every later question about weights and errors without another pass over the structures:
reweighting scales them, errors per group are residuals. Where so many triangles would not fit into the stated memory
there is one per part, of rows that are weighted once and for all. Rows of a few structures are in memory at a time.

Energy rows and targets are per √atom, as the fit weighs them: total energy less the baseline, divided by √N; virials
likewise by √N.

A group whose energies have an unknown offset :math:`\delta` per atom (another functional, say) has one column more,
:math:`\sqrt N`, in front of the others. The first row of its triangle alone contains that column: without it, what is
left is the least-squares problem with δ optimal for every c.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.fitting.weights import Weights
from aliquot.progress import Progress, silent
from aliquot.solvers.triangle import Gram, Triangle
from aliquot.structures.frames import Frames

__all__ = ["Compressed", "Key", "Labelled", "accumulate", "each", "grams", "labelled_rows"]

Array = NDArray[np.float64]
Labelled = dict[str, tuple[Array, Array]]

#: Subtracted from the labels of frame i: {quantity: values}.
Baseline = Callable[[Frames, int], Mapping[str, Array]]

#: Multiplies rows and targets of frame i, row by row; rows of factor 0 are left out: {quantity: factors}.
Factors = Callable[[Frames, int], Mapping[str, Array]]

#: Structures whose rows may wait for the factorisation.
AHEAD: Final = 4

#: Wide rows are compressed in as many lanes, structure by structure in turn, whatever the number of cores.
LANES: Final = 2
WIDE: Final = 1500

#: Bytes that triangles may take.
MEMORY: Final = 2_000_000_000

ALL: Final = "all"


class Key(NamedTuple):
    """Which rows a triangle stands for."""

    part: str
    quantity: str
    group: str


@dataclass(frozen=True, eq=False)
class Compressed:
    """Triangles of rows that have passed.

    Parameters
    ----------
    triangles : dict of Key to Triangle
        Without weights; or, where ``weights`` is given, one per part of weighted rows.
    weights : Weights or None
        With which rows were weighted before they were compressed.
    offsets : dict of Key to Triangle
        Of energies with one unknown offset: its column is the first.
    """

    triangles: Mapping[Key, Triangle]
    weights: Weights | None = None
    offsets: Mapping[Key, Triangle] = field(default_factory=dict[Key, Triangle])

    @property
    def n_columns(self) -> int:
        """Columns of the rows."""
        one = next(iter(self.triangles.values()), None)
        return one.n_columns if one is not None else next(iter(self.offsets.values())).n_columns - 1

    def weighted(self, parts: Collection[str], weights: Weights) -> Triangle:
        """One triangle of all weighted rows of these parts.

        Raises
        ------
        InputError
            If there are none, or rows were compressed with other weights.
        """
        if self.weights is not None and self.weights != weights:
            raise InputError("rows were weighted before they were compressed; they cannot be weighted anew")
        total: Triangle | None = None
        for factor, n_rows in self._factors(parts, weights):
            if total is None:
                whole = np.zeros((self.n_columns + 1,) * 2, order="F")
                whole[: len(factor)] = factor
                total = Triangle.from_factor(whole, n_rows)
            else:
                count = total.n_rows + n_rows
                _absorb(total, factor)
                total.n_rows = count
        if total is None:
            raise InputError(
                f"no weighted row in {', '.join(parts)}: there are no labels, or weights are zero"
            )
        total.settle()
        return total

    def _factors(self, parts: Collection[str], weights: Weights) -> Iterator[tuple[Array, int]]:
        """Weighted triangles of these parts, without the zeros below, and how many rows each stands for."""
        for key, triangle in self.triangles.items():
            w = 1.0 if self.weights is not None else weights.of(key.quantity, key.group)
            if key.part in parts and w > 0:
                yield w * triangle.factor[: triangle.n_rows], triangle.n_rows
        for key, triangle in self.offsets.items():
            w = weights.of(key.quantity, key.group)
            if key.part in parts and w > 0:  # one energy tells the offset
                yield w * triangle.factor[1 : triangle.n_rows, 1:], triangle.n_rows - 1

    def offset(self, parts: Collection[str], group: str, coefficients: Array) -> float:
        """The energy per atom (eV) by which labels of a group lie above what coefficients predict."""
        top = [t.factor[0] for key, t in self.offsets.items() if key.part in parts and key.group == group]
        own = np.array([row[0] for row in top])
        left = np.array([row[-1] - row[1:-1] @ coefficients for row in top])
        return float(own @ left / (own @ own))


def _absorb(total: Triangle, factor: Array) -> None:
    total.absorb(factor[:, :-1], factor[:, -1])


def labelled_rows(
    evaluator: AceEvaluator,
    frames: Frames,
    i: int,
    *,
    baseline: Baseline | None = None,
    factors: Factors | None = None,
) -> Labelled:
    """Rows and targets of one structure by quantity; only quantities that it is labelled with.

    Parameters
    ----------
    evaluator : AceEvaluator
    frames : Frames
    i : int
    baseline : callable, optional
        ``baseline(frames, i)`` gives {quantity: values} to subtract from the labels, such as
        :class:`~aliquot.fitting.Baseline`.
    factors : callable, optional
        ``factors(frames, i)`` gives {quantity: (m,) factors} of rows and targets; rows of factor 0 are left out.

    Returns
    -------
    dict of str to ((m, d) array, (m,) array)
        ``energy`` 1 row (eV/√atom), ``forces`` 3N rows (eV/Å), ``virial`` 6 rows (eV/√atom; xx, yy, zz, yz, xz, xy).

    Raises
    ------
    InputError
        If a label is not finite.
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
    for quantity, factor in (factors(frames, i) if factors else {}).items():
        if quantity in out:
            some = factor > 0
            row, target = out.pop(quantity)
            if some.any():
                out[quantity] = row[some] * factor[some, None], target[some] * factor[some]
    return out


def _shift(baseline: Mapping[str, Array], quantity: str, shape: tuple[int, ...]) -> Array:
    return baseline[quantity].reshape(shape) if quantity in baseline else np.zeros(shape)


def each(
    evaluator: AceEvaluator,
    frames: Frames,
    which: Iterable[int] | None = None,
    *,
    baseline: Baseline | None = None,
    factors: Factors | None = None,
    threads: int | None = None,
) -> Iterator[tuple[int, Labelled]]:
    """Labelled rows frame by frame, computed a few frames ahead in threads."""
    waiting: deque[tuple[int, Future[Labelled]]] = deque()
    workers = threads or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        try:
            for i in range(len(frames)) if which is None else which:
                make = pool.submit(labelled_rows, evaluator, frames, i, baseline=baseline, factors=factors)
                waiting.append((i, make))
                if len(waiting) > max(AHEAD, workers):
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def accumulate(
    evaluator: AceEvaluator,
    frames: Frames,
    *,
    parts: Sequence[str] | NDArray[np.str_] | None = None,
    groups: Sequence[str] | NDArray[np.str_] | None = None,
    offsets: Collection[str] = (),
    weights: Weights | None = None,
    baseline: Baseline | None = None,
    factors: Factors | None = None,
    memory: int = MEMORY,
    threads: int | None = None,
    progress: Progress = silent,
) -> Compressed:
    """Compress everything that the frames are labelled with.

    Parameters
    ----------
    evaluator : AceEvaluator
    frames : Frames
    parts : (n_frames,) sequence of str, optional
        Training, validation, …; one part ``all`` by default.
    groups : (n_frames,) sequence of str, optional
        The config types by default.
    offsets : collection of str
        Groups whose energies are known up to a constant per atom.
    weights : Weights, optional
        Used where triangles do not fit into ``memory``.
    baseline, factors : callable, optional
        See :func:`labelled_rows`.
    memory : int
        Bytes that triangles may take before rows are weighted and joined.
    threads : int, optional
    progress : callable

    Raises
    ------
    InputError
        If the memory is exceeded and no weights are given.

    Notes
    -----
    2 m d² flops for m rows. Memory: a triangle of (d + 1)² doubles and a buffer of as many for every key, and the rows
    of a few structures.
    """
    part_of = _names(parts, frames, ALL)
    group_of = _names(frames.config_type if groups is None else groups, frames, "")
    d = evaluator.n_columns
    several = len({key for i in range(len(frames)) for key in _keys(frames, i, part_of, group_of)})
    needed = several * 16 * (d + 1) ** 2 * (LANES if d >= WIDE else 1)
    joined = needed > memory
    if joined and weights is None:
        raise InputError(
            f"{several} triangles of {d} columns take {needed / 1e9:.1f} GB, more than {memory / 1e9:.1f} GB; give"
            " weights, so that rows can be joined, or more memory"
        )
    lanes = LANES if d >= WIDE else 1
    counted = _Counted(progress, len(frames))

    def lane(first: int) -> _Lane:
        some = range(first, len(frames), lanes)
        workers = max(1, (threads or os.cpu_count() or 1) // lanes)
        held = _Lane(d, frozenset(offsets), weights if joined else None)
        for i, labelled in each(evaluator, frames, some, baseline=baseline, factors=factors, threads=workers):
            held.absorb(str(part_of[i]), str(group_of[i]), int(frames.sizes[i]), labelled)
            counted()
        return held

    # the cores are busy with rows: threads of BLAS would only wait for one another
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(lanes) as pool:
        total, *others = pool.map(lane, range(lanes))
        for other in others:
            total.join(other)
        total.settle()
    return Compressed(total.triangles, weights if joined else None, total.offsets)


class _Counted:
    """Counts structures of all lanes."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.done, self.lock = progress, total, 0, threading.Lock()

    def __call__(self) -> None:
        with self.lock:
            self.done += 1
            self.progress("rows", self.done, self.total)


class _Lane:
    """Triangles of some of the structures."""

    def __init__(self, d: int, shifted: frozenset[str], weights: Weights | None) -> None:
        self.d, self.shifted, self.weights = d, shifted, weights
        self.triangles: dict[Key, Triangle] = {}
        self.offsets: dict[Key, Triangle] = {}

    def absorb(self, part: str, group: str, size: int, labelled: Labelled) -> None:
        """Take in the rows of one structure."""
        for quantity, (rows, target) in labelled.items():
            key = Key(part, quantity, group)
            if quantity == "energy" and group in self.shifted:
                column = np.full((len(rows), 1), np.sqrt(size))
                self._of(self.offsets, key, self.d + 1).absorb(np.hstack((column, rows)), target)
            elif self.weights is None:
                self._of(self.triangles, key, self.d).absorb(rows, target)
            elif w := self.weights.of(quantity, group):
                self._of(self.triangles, Key(part, ALL, ALL), self.d).absorb(w * rows, w * target)

    @staticmethod
    def _of(held: dict[Key, Triangle], key: Key, width: int) -> Triangle:
        if key not in held:
            held[key] = Triangle(width)
        return held[key]

    def settle(self) -> None:
        """Keep triangles alone."""
        for triangle in (*self.triangles.values(), *self.offsets.values()):
            triangle.settle()

    def join(self, other: _Lane) -> None:
        """Take in what another lane holds."""
        for mine, theirs in ((self.triangles, other.triangles), (self.offsets, other.offsets)):
            while theirs:
                key, triangle = theirs.popitem()
                triangle.settle()
                if key in mine:
                    count = mine[key].n_rows + triangle.n_rows
                    _absorb(mine[key], triangle.factor[: triangle.n_rows])
                    mine[key].n_rows = count
                else:
                    mine[key] = triangle


def _names(names: Any, frames: Frames, default: str) -> NDArray[np.str_]:
    out = np.full(len(frames), default) if names is None else np.asarray(names).astype(str)
    if len(out) != len(frames):
        raise InputError(f"{len(out)} groups for {len(frames)} frames")
    return out


def _keys(frames: Frames, i: int, part_of: NDArray[np.str_], group_of: NDArray[np.str_]) -> Iterator[Key]:
    for quantity in ("energy", "forces", "virial"):
        if getattr(frames, quantity).present[i]:
            yield Key(str(part_of[i]), quantity, str(group_of[i]))


def grams(
    evaluator: AceEvaluator,
    frames: Frames,
    *,
    baseline: Baseline | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Iterator[dict[str, Gram]]:
    """The Gram matrices of each frame by quantity, frame by frame."""
    for i, labelled in each(evaluator, frames, baseline=baseline, threads=threads):
        yield {quantity: Gram.of(rows, target) for quantity, (rows, target) in labelled.items()}
        progress("rows", i + 1, len(frames))
