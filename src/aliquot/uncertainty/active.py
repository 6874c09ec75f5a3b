r"""Is an atom inside what the training set spans? The extrapolation grade of D-optimality.

For each element, MaxVol finds k training atoms whose features form the square block A of largest volume
(:mod:`aliquot.information.volume`). Every training atom is then a combination of those k with coefficients of at
most about one, and for any atom with features b

.. math:: \gamma = \max_j |b A^{-1}|_j

says by how much it is not: γ ≤ 1 is interpolation. Scaling or mixing features changes nothing.

Directions in which the training atoms do not differ beyond rounding (``resolution``) cannot be spanned by any of
them. They get a stand-in in A, orthogonal to all else and as long as the largest rounding seen, so that a training
atom still has γ near one and an atom with a true component there a very large grade. A pseudo-inverse would have
called it known.

Environments pass in batches: MaxVol on (block so far ∪ batch), then passes over all of them in which those whose grade
exceeds the tolerance compete with the block, until none does or the passes are spent.

References
----------
E. V. Podryabinkin and A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017), doi:10.1016/j.commatsci.2017.08.031;
Y. Lysogorskiy, A. Bochkarev, M. Mrovec and R. Drautz, Phys. Rev. Materials 7, 043801 (2023),
doi:10.1103/PhysRevMaterials.7.043801
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.information.spectrum import SMALLEST
from aliquot.information.volume import maxvol
from aliquot.progress import Progress, silent
from aliquot.solvers import Triangle
from aliquot.structures.frames import Frames
from aliquot.uncertainty.sites import Block, Sites

__all__ = ["SINGULAR", "ActiveSet", "SiteFactor", "active_sets", "grades"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Swaps stop where none enlarges the volume by more; 1.01 is usual at the command line of pacemaker, 1.001 inside it.
TOLERANCE: Final = 1.001

#: Condition of the site matrix (columns of unit length) beyond which grades are partly rounding.
SINGULAR: Final = 1e8

#: Bytes of environments that compete at a time.
HOLD: Final = 1 << 30

#: Passes over all environments after the first, at most.
REFINEMENTS: Final = 20


@dataclass(frozen=True, eq=False)
class ActiveSet:
    """Training atoms of one element that span the others.

    Parameters
    ----------
    rows : (r, k) array
        Their features; r is the numerical rank.
    origin : (r, 2) array of int
        Frame, and atom in the frame, of each.
    inverse : (k, k) array
        Coefficients of features b are ``b @ inverse``: those of the r atoms, then of the stand-ins.
    condition : float
        Of the site matrix of all environments, columns of unit length.
    environments : int
        Training atoms that competed.
    largest : float
        Largest grade among them; beyond the tolerance where passes were spent, or by rounding.
    """

    rows: Array
    origin: Indices
    inverse: Array
    condition: float
    environments: int
    largest: float

    @property
    def rank(self) -> int:
        """Atoms in the set."""
        return len(self.rows)

    @property
    def n_features(self) -> int:
        """Features of an atom."""
        return self.inverse.shape[0]

    def grade(self, features: Array) -> Array:
        """γ of atoms with these features, (n, k): (n,). A matrix product: 2 k² flops per atom."""
        return grades(features, self.inverse)


def grades(features: Array, inverse: Array) -> Array:
    """Largest absolute coefficient of each row; zero where there are no features."""
    if inverse.shape[1] == 0:
        return np.zeros(len(features))
    coefficients = features @ inverse
    return np.maximum(coefficients.max(axis=1), -coefficients.min(axis=1))


@dataclass
class SiteFactor:
    """Triangle of all features of one element: what spans them, how well, and what they inform about."""

    triangle: Triangle
    count: int = 0

    @property
    def R(self) -> Array:  # noqa: N802
        """RᵀR = Σ bᵀb, (k, k)."""
        return self.triangle.R

    def add(self, rows: Array) -> None:
        """Absorb features."""
        self.count += len(rows)
        self.triangle.absorb(rows, np.zeros(len(rows)))


@dataclass(eq=False)
class _Competition:
    """The block of one element while environments pass."""

    width: int
    scale: Array
    tolerance: float
    resolution: float
    rows: Array = field(default_factory=lambda: np.empty((0, 0)))
    origin: Indices = field(default_factory=lambda: np.empty((0, 2), np.int64))
    waiting: list[tuple[Array, Indices]] = field(default_factory=list[tuple[Array, Indices]])
    rounds: int = 0

    def __post_init__(self) -> None:
        self.rows = np.empty((0, self.width))

    @property
    def bytes(self) -> int:
        """Held by environments that wait."""
        return sum(rows.nbytes for rows, _ in self.waiting)

    def add(self, rows: Array, origin: Indices) -> None:
        """Let environments wait for the next competition."""
        if len(rows):
            self.waiting.append((np.array(rows), origin))

    def compete(self) -> None:
        """MaxVol on the block and those that wait."""
        if not self.waiting:
            return
        rows = np.concatenate([self.rows, *(rows for rows, _ in self.waiting)])
        origin = np.concatenate([self.origin, *(origin for _, origin in self.waiting)])
        self.waiting.clear()
        self.rounds += 1
        found = maxvol(
            rows / self.scale,
            start=np.arange(len(self.rows)),
            tolerance=self.tolerance,
            resolution=self.resolution,
        )
        order = np.sort(found.pivots)
        self.rows, self.origin = rows[order], origin[order]

    def inverse(self, factor: Array) -> Array:
        """From features to coefficients, with stand-ins for directions that the block does not span."""
        block = self.rows / self.scale
        r, k = block.shape
        if r == k:
            return np.linalg.inv(block) / self.scale[:, None]
        left, s, vt = np.linalg.svd(block, full_matrices=True)
        inside = vt[:r].T / s
        # training atoms have at most this much outside the span of the block
        outside = np.linalg.norm((factor / self.scale) @ vt[r:].T, axis=0)
        length = np.maximum(outside, self.resolution * np.linalg.norm(factor / self.scale))
        stand_ins = vt[r:].T / np.where(length > 0, length, 1.0)
        return np.hstack((inside @ left.T, stand_ins)) / self.scale[:, None]


def active_sets(
    sites: Sites,
    frames: Frames,
    *,
    keep: NDArray[np.bool_] | None = None,
    tolerance: float = TOLERANCE,
    resolution: float = SMALLEST,
    hold: int = HOLD,
    refinements: int = REFINEMENTS,
    progress: Progress = silent,
) -> tuple[tuple[ActiveSet, ...], tuple[SiteFactor, ...]]:
    """The active set of every element, and the triangle of its site matrix.

    Parameters
    ----------
    sites : Sites
        Features.
    frames : Frames
        Training structures.
    keep : (n_atoms,) array of bool, optional
        Atoms that may be in the set (:func:`~aliquot.uncertainty.guard.believable`); all by default.
    tolerance : float
        At least 1.
    resolution : float
        Directions of singular values below this fraction of the largest count as not spanned.
    hold : int
        Bytes of environments held at a time.
    refinements : int
        Passes over all environments after the first, at most, where they were not held at once.
    progress : callable

    Raises
    ------
    InputError
        If an element of the model has no environment.

    Notes
    -----
    For N environments and k features about 4 N k² flops; 8 N k bytes, at most ``hold``, and k² doubles.
    """
    if keep is not None and len(keep) != frames.n_atoms:
        raise InputError(f"{len(keep)} marks for {frames.n_atoms} atoms; give one per atom")
    factors = tuple(SiteFactor(Triangle(k)) for k in sites.widths)
    length = [np.zeros(k) for k in sites.widths]
    for block, _ in _pass(sites, frames, keep, "surroundings", progress):
        factors[block.element].add(block.rows)
        top = np.abs(block.rows).max(axis=0, initial=0.0)
        np.maximum(length[block.element], top, out=length[block.element])
    _check(sites, factors)
    held = [
        _Competition(k, np.where(scale > 0, scale, 1.0), tolerance, resolution)
        for k, scale in zip(sites.widths, length, strict=True)
    ]
    for block, origin in _pass(sites, frames, keep, "active set", progress):
        held[block.element].add(block.rows, origin)
        if sum(one.bytes for one in held) > hold:
            _compete(held)
    _compete(held)
    largest = _refine(sites, frames, keep, held, factors, tolerance, hold, refinements, progress)
    sets = [
        ActiveSet(one.rows, one.origin, one.inverse(factor.R), _condition(factor.R), factor.count, top)
        for one, factor, top in zip(held, factors, largest, strict=True)
    ]
    return tuple(sets), factors


def _refine(
    sites: Sites,
    frames: Frames,
    keep: NDArray[np.bool_] | None,
    held: list[_Competition],
    factors: tuple[SiteFactor, ...],
    tolerance: float,
    hold: int,
    refinements: int,
    progress: Progress,
) -> list[float]:
    """Passes in which those above the tolerance compete; the largest grades of the last one."""
    largest: list[float] = []
    for left in range(max(refinements, 0), -1, -1):
        inverse = [one.inverse(factor.R) for one, factor in zip(held, factors, strict=True)]
        largest = [0.0] * len(held)
        for block, origin in _pass(sites, frames, keep, "grades", progress):
            one, grade = held[block.element], grades(block.rows, inverse[block.element])
            largest[block.element] = max(largest[block.element], float(grade.max(initial=0.0)))
            over = grade > tolerance * (1 + 1e-9)
            if left and one.rounds > 1 and over.any() and sum(each.bytes for each in held) < hold:
                one.add(block.rows[over], origin[over])
        if not any(one.waiting for one in held):
            return largest
        _compete(held)
    return largest


def _pass(
    sites: Sites, frames: Frames, keep: NDArray[np.bool_] | None, stage: str, progress: Progress
) -> Iterator[tuple[Block, Indices]]:
    """Features of all kept environments, with where they come from."""
    for i in range(len(frames)):
        for block in sites.blocks(frames, i):
            kept = slice(None) if keep is None else keep[frames.offsets[i] + block.atoms]
            atoms = block.atoms[kept]
            origin = np.stack([np.full(len(atoms), i), atoms], axis=1)
            yield Block(block.element, atoms, block.rows[kept]), origin
        progress(stage, i + 1, len(frames))


def _compete(held: list[_Competition]) -> None:
    for one in held:
        one.compete()


def _condition(R: Array) -> float:
    """Condition number of the rows of a triangle, columns of unit length."""
    if R.size == 0:
        return 1.0
    length = np.linalg.norm(R, axis=0)
    s = np.linalg.svd(R / np.where(length > 0, length, 1.0), compute_uv=False)
    return float(s[0] / s[-1]) if s[-1] > 0 else float("inf")


def _check(sites: Sites, factors: tuple[SiteFactor, ...]) -> None:
    from ase.data import chemical_symbols

    missing = [
        chemical_symbols[z]
        for z, k, factor in zip(sites.elements, sites.widths, factors, strict=True)
        if k and not factor.count
    ]
    if missing:
        raise InputError(
            f"no training structure has an atom of {', '.join(missing)}, for which the model has functions; give the"
            " structures that it was fitted to"
        )
