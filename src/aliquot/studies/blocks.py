r"""Thousands of fits to parts of one set: rows of every structure once on disk, as small as they can be kept.

With the smoothness prior Γ and the singular values s and vectors V of all weighted rows of the set in the coordinates
:math:`\Gamma c`, the model is told by :math:`z = S V^\top \Gamma c`, for which every direction counts alike: rows stay
well scaled although s spans ten decades, all of which the evidence uses. Directions with s below :math:`10^{-12}` of
the largest are left out. Each structure keeps its energy row, its six virial rows, and of its force rows the smaller of
the rows themselves and the upper triangle of their Gram matrix, targets as one more column. A fit is then a weighted
sum of what is on disk and some Cholesky factorisations, an error a quadratic form. Labels have no part in S and V.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.fitting.accumulate import Baseline, each
from aliquot.fitting.weights import Weights
from aliquot.progress import Progress, silent
from aliquot.solvers.evidence import Evidence
from aliquot.solvers.triangle import Triangle
from aliquot.structures import Frames

__all__ = ["Blocks", "Errors", "Fitted", "Sums", "fitted", "size_of", "write_blocks"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Singular values below this share of the largest are of no direction that counts.
CUT: Final = 1e-12

#: Decades of the prior's precision, relative to the largest squared singular value, that are searched.
DECADES: Final = (-24.0, 0.0)

_VIRIAL: Final = 6

#: Gram matrices that are multiplied together.
_TILE: Final = 64


@dataclass(frozen=True, eq=False)
class Sums:
    """Weighted sums over structures of outer products of rows with their target, (r + 1, r + 1); they add."""

    matrix: Array
    n_rows: int

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.matrix + other.matrix, self.n_rows + other.n_rows)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A Bayesian ridge fit: coordinates (r,), and the prior that the labels ask for."""

    z: Array
    evidence: Evidence


@dataclass(frozen=True, eq=False)
class _Solved:
    """Coordinates, Cholesky factor of the system, noise, and log evidence under one prior."""

    z: Array
    lower: Array
    noise: float
    log_evidence: float


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of one fit on some structures.

    Parameters
    ----------
    energy : (n,) array, eV/atom
        Predicted less labelled.
    force_squares : (n,) array, (eV/Å)²
        Sums over the components of a structure.
    components : (n,) array of int
    """

    energy: Array
    force_squares: Array
    components: NDArray[np.int64]

    @property
    def energy_rmse(self) -> float:
        """eV/atom."""
        return float(np.sqrt(np.mean(self.energy**2))) if len(self.energy) else float("nan")

    @property
    def force_rmse(self) -> float:
        """eV/Å, of components."""
        n = int(self.components.sum())
        return float(np.sqrt(self.force_squares.sum() / n)) if n else float("nan")


def write_blocks(
    place: Path,
    basis: AceBasis,
    frames: Frames,
    *,
    baseline: Baseline | None = None,
    weights: Weights | None = None,
    progress: Progress = silent,
) -> None:
    """Write the blocks of all structures into a folder that is not there yet, complete or not at all.

    Parameters
    ----------
    place : Path
    basis : AceBasis
    frames : Frames
        With energies; forces and virials where they have them.
    baseline : callable, optional
        Subtracted from labels; see :class:`aliquot.fitting.Baseline`.
    weights : Weights, optional
        Of the sum that says which directions count.
    progress : callable

    Notes
    -----
    Two passes over the rows, 2 m d² flops each. Memory: d² numbers and the rows of a few structures.
    """
    evaluator, weights = AceEvaluator(basis), weights or Weights()
    prior = np.tile(basis.prior, len(basis.elements))  # columns are element by element
    if not frames.energy.present.all():
        i = int(np.argmin(frames.energy.present))
        raise InputError(f"{frames.ids_name(i)} has no energy; studies need labelled structures")
    total = Triangle(evaluator.n_columns)
    for i, labelled in each(evaluator, frames, baseline=baseline):
        kind = str(frames.config_type[i])
        rows = np.concatenate([weights.of(q, kind) * a for q, (a, _) in labelled.items()]) / prior
        total.absorb(rows, np.zeros(len(rows)))
        progress("directions", i + 1, len(frames))
    _, singular, right = np.linalg.svd(total.R)
    counted = singular > CUT * singular[0]
    singular = np.ascontiguousarray(singular[counted])
    transform = np.ascontiguousarray(right[counted].T / prior[:, None] / singular)
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=place.parent))
    try:
        _write(aside, evaluator, frames, transform, baseline, progress)
        np.save(aside / "singular.npy", singular)
        aside.rename(place)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def size_of(frames: Frames, directions: int) -> int:
    """Bytes that the blocks take on disk with so many directions."""
    width, packed = directions + 1, (directions + 1) * (directions + 2) // 2
    forces = np.minimum(3 * frames.sizes * width, packed)[frames.forces.present].sum()
    return 8 * int(len(frames) * width + frames.virial.present.sum() * _VIRIAL * width + forces)


def _write(
    place: Path, evaluator: AceEvaluator, frames: Frames, transform: Array, baseline: Any, progress: Progress
) -> None:
    width = transform.shape[1] + 1
    upper = np.triu_indices(width)
    packed = len(upper[0])
    has_forces = frames.forces.present
    as_rows = has_forces & (3 * frames.sizes * width <= packed)
    as_gram = has_forces & ~as_rows
    starts = np.concatenate(([0], np.cumsum(np.where(as_rows, 3 * frames.sizes, 0))))
    energy = np.zeros((len(frames), width))
    virial = np.zeros((int(frames.virial.present.sum()), _VIRIAL, width))
    rows = _array(place / "rows.npy", (int(starts[-1]), width))
    grams = _array(place / "grams.npy", (int(as_gram.sum()), packed))
    at_virial, at_gram = np.cumsum(frames.virial.present) - 1, np.cumsum(as_gram) - 1
    stage = f"blocks, {size_of(frames, width - 1) / 1e9:.2g} GB"
    progress(stage, 0, len(frames))
    for i, labelled in each(evaluator, frames, baseline=baseline):
        turned = {q: np.column_stack((a @ transform, y)) for q, (a, y) in labelled.items()}
        energy[i] = turned["energy"][0]
        if "virial" in turned:
            virial[at_virial[i]] = turned["virial"]
        if as_rows[i]:
            rows[starts[i] : starts[i + 1]] = turned["forces"]
        elif as_gram[i]:
            grams[at_gram[i]] = (turned["forces"].T @ turned["forces"])[upper]
        progress(stage, i + 1, len(frames))
    for array in (rows, grams):
        if isinstance(array, np.memmap):
            array.flush()
    np.save(place / "energy.npy", energy)
    np.save(place / "virial.npy", virial)
    np.save(place / "transform.npy", transform)
    kind = np.where(as_rows, 1, np.where(as_gram, 2, 0)).astype(np.int8)
    np.save(
        place / "forces.npy", np.column_stack((kind, frames.sizes, frames.virial.present)).astype(np.int64)
    )
    (place / "blocks.json").write_text(
        json.dumps({"structures": len(frames), "columns": evaluator.n_columns})
    )


def _array(path: Path, shape: tuple[int, int]) -> Array:
    """A new array on disk; one without elements cannot be mapped."""
    if 0 in shape:
        np.save(path, np.zeros(shape))
        return np.zeros(shape)
    return np.lib.format.open_memmap(path, "w+", np.float64, shape)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of the structures of one set, memory-mapped.

    Parameters
    ----------
    place : Path
        Written by :func:`write_blocks`.
    """

    place: Path

    def _load(self, name: str) -> Array:
        return np.load(self.place / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def transform(self) -> Array:
        """From coordinates to coefficients, (d, r): c = transform @ z."""
        return np.array(self._load("transform"))

    @cached_property
    def singular(self) -> Array:
        """Singular values of the weighted rows of the whole set in coordinates of isotropic prior, (r,)."""
        return np.array(self._load("singular"))

    @cached_property
    def energy(self) -> Array:
        """Energy rows and targets, eV/√atom, (n, r + 1)."""
        return np.array(self._load("energy"))

    @cached_property
    def _virial(self) -> Array:
        return self._load("virial")

    @cached_property
    def _rows(self) -> Array:
        return self._load("rows")

    @cached_property
    def _grams(self) -> Array:
        return self._load("grams")

    @cached_property
    def _layout(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Index, Index, Index]:
        kind, sizes, virial = np.array(self._load("forces"), np.int64).T
        starts = np.concatenate(([0], np.cumsum(np.where(kind == 1, 3 * sizes, 0))))
        return kind, sizes, starts, np.cumsum(kind == 2) - 1, np.where(virial > 0, np.cumsum(virial) - 1, -1)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Atoms of each structure, (n,)."""
        return self._layout[1]

    @property
    def directions(self) -> int:
        """Number r of directions that count."""
        return self.energy.shape[1] - 1

    @cached_property
    def _upper(self) -> tuple[Index, Index]:
        return np.triu_indices(self.directions + 1)

    def sums(self, which: ArrayLike, weights: Weights, groups: Sequence[str] | NDArray[np.str_]) -> Sums:
        """Weighted sums over some structures; those named twice count twice.

        Parameters
        ----------
        which : (k,) array of int
        weights : Weights
        groups : (n,) sequence of str
            Config type of every structure of the set.
        """
        index = np.asarray(which, np.int64)
        kind, sizes, starts, at_gram, at_virial = self._layout
        w = np.array([[weights.of(q, str(groups[i])) for q in ("energy", "forces", "virial")] for i in index])
        w = w.reshape(-1, 3)
        width = self.directions + 1
        stacked = [w[:, :1] * self.energy[index]]
        n_rows = int((w[:, 0] > 0).sum())
        by_gram = (kind[index] == 2) & (w[:, 1] > 0)
        by_rows = (kind[index] == 1) & (w[:, 1] > 0)
        with_virial = (at_virial[index] >= 0) & (w[:, 2] > 0)
        for i, one in zip(index[by_rows], w[by_rows, 1], strict=True):
            stacked.append(one * self._rows[starts[i] : starts[i + 1]])
        if with_virial.any():
            some = self._virial[at_virial[index[with_virial]]] * w[with_virial, 2][:, None, None]
            stacked.append(some.reshape(-1, width))
        rows = np.concatenate(stacked)
        matrix = rows.T @ rows
        if by_gram.any():
            packed = np.zeros(len(self._upper[0]))
            for i, one in zip(at_gram[index[by_gram]], w[by_gram, 1], strict=True):
                packed += one**2 * self._grams[i]
            full = np.zeros((width, width))
            full[self._upper] = packed
            matrix += full + np.triu(full, 1).T
        has_forces = by_gram | by_rows
        n_rows += int(3 * sizes[index[has_forces]].sum()) + _VIRIAL * int(with_virial.sum())
        return Sums(matrix, n_rows)

    def sums_of(
        self, sets: Sequence[ArrayLike], weights: Weights, groups: Sequence[str] | NDArray[np.str_]
    ) -> list[Sums]:
        """:meth:`sums` over each of many sets; one product with all Gram matrices instead of one pass for each set."""
        kind, sizes, _, at_gram, _ = self._layout
        if not np.all(kind == 2):
            return [self.sums(which, weights, groups) for which in sets]
        w = np.array([weights.of("forces", str(group)) for group in groups])
        counts = np.stack([np.bincount(np.asarray(s, np.int64), minlength=len(kind)) for s in sets]) * (w > 0)
        share = np.empty((len(sets), len(kind)))
        share[:, at_gram] = counts * w**2
        packed = np.zeros((len(sets), len(self._upper[0])))
        for tile in (slice(k, k + _TILE) for k in range(0, len(kind), _TILE)):
            packed += share[:, tile] @ self._grams[tile]
        others = {name: (energy, 0.0, virial) for name, (energy, _, virial) in weights.groups.items()}
        rest = Weights(weights.energy, 0.0, weights.virial, others)
        out: list[Sums] = []
        for which, gram, count in zip(sets, packed, counts, strict=True):
            full = np.zeros((self.directions + 1,) * 2)
            full[self._upper] = gram
            forces = Sums(full + np.triu(full, 1).T, 3 * int(count @ sizes))
            out.append(forces + self.sums(which, rest, groups))
        return out

    def fit(self, sums: Sums, *, near: float | None = None, tolerance: float = 0.02) -> Fitted:
        """The most probable coordinates under the prior of the largest evidence; see :func:`fitted`."""
        return fitted(sums, self.singular, near=near, tolerance=tolerance)

    def ridge(self, sums: Sums, precision: float) -> Array:
        """Coordinates under a prior of given precision."""
        return _solve(sums, self.singular, float(np.log(precision))).z

    def errors(self, z: Array, which: ArrayLike) -> Errors:
        """Errors on some structures.

        Parameters
        ----------
        z : (r,) array
        which : (k,) array of int
        """
        index = np.asarray(which, np.int64)
        kind, sizes, starts, at_gram, _ = self._layout
        u = np.append(z, -1.0)
        energy = (self.energy[index] @ u) / np.sqrt(sizes[index])
        quadratic = np.outer(u, u)
        quadratic = (2.0 * quadratic - np.diag(np.diag(quadratic)))[self._upper]
        squares = np.zeros(len(index))
        for k, i in enumerate(index.tolist()):
            if kind[i] == 1:
                squares[k] = np.sum((self._rows[starts[i] : starts[i + 1]] @ u) ** 2)
            elif kind[i] == 2:
                squares[k] = max(float(self._grams[at_gram[i]] @ quadratic), 0.0)
        return Errors(energy, squares, np.where(kind[index] > 0, 3 * sizes[index], 0))


def _lower(system: Array) -> Array:
    """Cholesky factor; where rounding has cost a tiny eigenvalue its sign, that of the nearest matrix that has one."""
    try:
        return np.asarray(np.linalg.cholesky(system), np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(system)
        root = np.sqrt(np.maximum(values, np.finfo(float).eps * values[-1]))
        upper: Any = np.linalg.qr(root[:, None] * vectors.T, mode="r")
        return np.asarray(upper.T * np.sign(np.diag(upper)), np.float64)


def fitted(sums: Sums, singular: Array, *, near: float | None = None, tolerance: float = 0.02) -> Fitted:
    """The most probable coordinates z under the prior of the largest evidence.

    Parameters
    ----------
    sums : Sums
    singular : (r,) array
        S: standard deviations of z under a prior of precision one.
    near : float, optional
        A precision known to be within two decades of the best, from a fit to most of the same structures.
    tolerance : float
        To how much of its logarithm the precision is found.

    Notes
    -----
    r³/3 flops for every precision that is tried: about 25, with ``near`` 10.
    """
    largest = 2 * np.log(singular[0])
    if near is None:
        grid = largest + np.log(10) * np.arange(DECADES[0], DECADES[1] + 1, 2.0)
        k = int(np.argmin([-_solve(sums, singular, x).log_evidence for x in grid.tolist()]))
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]
    else:
        low, high = np.log(near) - np.log(100.0), np.log(near) + np.log(100.0)
    search: Any = scipy.optimize.minimize_scalar(
        lambda x: -_solve(sums, singular, x).log_evidence,
        bounds=(low, high),
        method="bounded",
        options={"xatol": tolerance},
    )
    best = _solve(sums, singular, float(search.x))
    edges = np.array([low, high]) if near is not None else largest + np.log(10) * np.array(DECADES)
    inside = bool(edges[0] + 0.1 < search.x < edges[1] - 0.1)
    if near is not None and not inside:
        return fitted(sums, singular, tolerance=tolerance)
    inverse = solve_triangular(best.lower, np.eye(len(singular)), lower=True)
    precision = float(np.exp(search.x))
    undecided = precision * float(np.sum(np.square(inverse) / np.square(singular)))
    return Fitted(
        best.z,
        Evidence(precision, best.noise, best.log_evidence, len(singular) - undecided, inside, sums.n_rows),
    )


def _solve(sums: Sums, singular: Array, log_precision: float) -> _Solved:
    gram, b, square = sums.matrix[:-1, :-1], sums.matrix[:-1, -1], float(sums.matrix[-1, -1])
    diagonal = np.exp(log_precision - 2 * np.log(singular))
    scale = 1 / np.sqrt(np.diag(gram) + diagonal)  # a Cholesky factor of unit diagonal loses no digits
    system = gram * scale * scale[:, None]
    np.fill_diagonal(system, 1.0)
    lower = _lower(system) / scale[:, None]
    half = solve_triangular(lower, b, lower=True)
    left = max(square - float(half @ half), np.finfo(float).eps * square)
    m = sums.n_rows
    log_det = 2 * float(np.sum(np.log(np.diag(lower)))) - float(np.sum(np.log(diagonal)))
    log_evidence = -0.5 * m * (1 + np.log(2 * np.pi * left / m)) - 0.5 * log_det
    z = solve_triangular(lower, half, lower=True, trans=1)
    return _Solved(z, lower, float(np.sqrt(left / m)), float(log_evidence))
