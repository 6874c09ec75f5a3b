"""What all tasks share, written once: blocks for fits, descriptors of three sizes and two small networks, slabs.

========== ============================================================================================================
blocks/    :mod:`aliquot.studies.blocks` of all structures at the degree of the fit
grams      weighted sums of every candidate, upper triangles: a fit is then a sum of what was chosen
rows       energy (per atom), force and virial rows of every candidate at degree S, for the methods that heed forces
core_rows  the triangle that stands for all weighted rows of the core at degree S
X-values   descriptors of the atoms of the candidates, X one of M, S, L, net-core, net-total
X-means    mean descriptors of all structures, X-moment the sum of outer products over the atoms of the core
X-slabs    mean descriptors of the ideal slabs and the crystal
========== ============================================================================================================
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.fitting.baseline import Baseline
from aliquot.fitting.weights import Weights
from aliquot.progress import Progress, silent
from aliquot.solvers.triangle import Triangle
from aliquot.structures import Frames
from aliquot.studies.blocks import Blocks, Sums, write_blocks
from aliquot.studies.data import Data
from aliquot.studies.silicon_surfaces.network import learned_descriptor
from aliquot.studies.silicon_surfaces.settings import CORE, E0, WEIGHTS, Settings, candidates_of
from aliquot.studies.silicon_surfaces.slabs import SURFACES, crystal, ideal_slab

__all__ = ["Stock", "basis_of", "needed", "prepare"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_NAME: Final = "stock"

#: Of its noise: what is left to learn from a row that is still kept.
_TENTH: Final = 0.1

#: Forces alone.
_FORCES: Final = Weights(0.0, 1.0, 0.0)

#: Features that a group of tasks needs.
_FEATURES: Final = {
    "points": "M",
    "rows": "M",
    "cost": "M",
    "published": "M",
    "rows-more": "M",
    "whole": "M",
    "slow": "M",
    "streams": "M",
    "small": "S",
    "large": "L",
    "net-core": "net-core",
    "net-total": "net-total",
}


def basis_of(settings: Settings, features: str = "M") -> AceBasis:
    """The basis of features M (that of the fit), S or L."""
    degree = {"M": settings.degree, "S": settings.small, "L": settings.large}[features]
    return AceBasis(elements=(14,), cutoff=settings.cutoff, degree=(degree,) * 3)


def needed(settings: Settings) -> tuple[str, ...]:
    """Features that the groups of these settings need; M always."""
    return tuple(dict.fromkeys(("M", *(_FEATURES[group] for group in settings.groups))))


def prepare(settings: Settings, data: Data, place: Path, progress: Progress = silent) -> None:
    """Write everything, complete or not at all; nothing where it is there."""
    if (place / _NAME).exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=place))
    try:
        _write(settings, data.read(settings.sets[0]), aside, progress)
        aside.rename(place / _NAME)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _write(settings: Settings, frames: Frames, place: Path, progress: Progress) -> None:
    basis = basis_of(settings)
    baseline = Baseline({14: E0})
    write_blocks(place / "blocks", basis, frames, baseline=baseline, weights=WEIGHTS, progress=progress)
    blocks = Blocks(place / "blocks")
    which = candidates_of(frames)
    core = np.setdiff1d(np.arange(len(frames)), which)
    _write_sums(place, blocks, frames, core, which, progress)
    precision = float(np.load(place / "core_fit.npy")[0])
    _write_rows(place, settings, precision, frames, which, progress)
    wanted = needed(settings)
    slabs = Frames.from_atoms([*(ideal_slab(name) for name in SURFACES), crystal()])
    small: tuple[Array, Array] | None = None
    for name in ("M", "S", "L"):
        if name in wanted or name == "S":
            evaluator = AceEvaluator(basis_of(settings, name))
            values, of_slabs = _values(evaluator, frames, progress), _values(evaluator, slabs, silent)
            _write_features(place, name, values, of_slabs, frames, slabs, core, which)
            small = (values, of_slabs) if name == "S" else small
    energies = np.asarray(frames.energy.values / frames.sizes - E0, np.float64)
    for name in (w for w in wanted if w.startswith("net") and small is not None):
        shown = core if name == "net-core" else np.arange(len(frames))
        train = shown[frames.sizes[shown] > 1]  # the free atom is no neighbourhood to learn from
        values, of_slabs = small  # type: ignore[misc]
        offsets = np.concatenate((frames.offsets, frames.offsets[-1] + slabs.offsets[1:]))
        hidden, left = learned_descriptor(
            np.vstack((values, of_slabs)),
            offsets,
            np.concatenate((energies, np.zeros(len(slabs)))),
            train=train,
            epochs=settings.epochs,
            seed=settings.seed,
        )
        n = len(values)
        _write_features(place, name, hidden[:n], hidden[n:], frames, slabs, core, which)
        np.save(place / f"{name}-left.npy", left)
        progress("networks", 1, 1)


def _write_sums(
    place: Path, blocks: Blocks, frames: Frames, core: Index, which: Index, progress: Progress
) -> None:
    groups = frames.config_type
    known = blocks.sums(core, WEIGHTS, groups)
    forces = blocks.sums(core, _FORCES, groups)
    np.savez(
        place / "core.npz",
        matrix=known.matrix,
        n_rows=known.n_rows,
        forces=forces.matrix,
        components=forces.n_rows,
    )
    fitted = blocks.fit(known)
    np.save(place / "core_fit.npy", np.array([fitted.evidence.precision, fitted.evidence.noise]))
    width = blocks.directions + 1
    upper = np.triu_indices(width)
    grams = np.lib.format.open_memmap(place / "grams.npy", "w+", np.float64, (len(which), len(upper[0])))
    rows = np.zeros(len(which), np.int64)
    for k, i in enumerate(which.tolist()):
        sums = blocks.sums([i], WEIGHTS, groups)
        grams[k], rows[k] = sums.matrix[upper], sums.n_rows
        progress("candidates", k + 1, len(which))
    grams.flush()
    np.save(place / "gram_rows.npy", rows)


def _write_rows(
    place: Path, settings: Settings, precision: float, frames: Frames, which: Index, progress: Progress
) -> None:
    """Rows of basis S in coordinates of isotropic prior: energy (per atom), forces, virial of every candidate.

    Force rows of a candidate are turned among themselves (which leaves every posterior as it is) so that they are
    independent given the core, and those of which the core leaves less than a tenth of their noise to learn are left
    out.
    """
    evaluator = AceEvaluator(basis_of(settings, "S"))
    prior, root = evaluator.basis.prior, Triangle(evaluator.n_columns)
    chosen = np.isin(np.arange(len(frames)), which)
    for i in np.flatnonzero(~chosen).tolist():
        weighted = np.concatenate([w * one for one, w in _weighted(evaluator, frames, i)]) / prior
        root.absorb(weighted, np.zeros(len(weighted)))
    core = np.array(root.R)
    lower = np.linalg.cholesky(core.T @ core + precision * np.eye(len(prior)))
    rows: list[Array] = []
    for k, i in enumerate(which.tolist()):
        (energy, _), (forces, _), (virial, _) = (
            (one / prior, w) for one, w in _weighted(evaluator, frames, i)
        )
        left = solve_triangular(lower, forces.T, lower=True).T
        values, vectors = np.linalg.eigh(left @ left.T)
        turned = vectors[:, values > _TENTH**2].T @ forces
        rows.append(np.concatenate((energy, turned, virial)))
        progress("rows", k + 1, len(which))
    np.save(place / "core_rows.npy", core)
    np.save(place / "rows.npy", np.concatenate(rows))
    np.save(place / "row_offsets.npy", np.concatenate(([0.0], np.cumsum([len(one) for one in rows]))))


def _weighted(evaluator: AceEvaluator, frames: Frames, i: int) -> Iterator[tuple[Array, float]]:
    """Rows of one structure with their weights: energy per atom, forces, virial (whether it has labels or not)."""
    made, n = evaluator.rows(frames, i), int(frames.sizes[i])
    yield made.energy[None] / n, WEIGHTS.energy * np.sqrt(n)
    yield made.forces.reshape(3 * n, -1), WEIGHTS.forces
    yield made.virial, WEIGHTS.virial / np.sqrt(n)


def _values(evaluator: AceEvaluator, frames: Frames, progress: Progress) -> Array:
    """Descriptors of all atoms."""
    out = np.empty((int(frames.offsets[-1]), len(evaluator.basis.functions)))
    for i in range(len(frames)):
        out[frames.offsets[i] : frames.offsets[i + 1]] = evaluator.site_values(frames, i)
        progress("descriptors", i + 1, len(frames))
    return out


def _write_features(
    place: Path,
    name: str,
    values: Array,
    of_slabs: Array,
    frames: Frames,
    slabs: Frames,
    core: Index,
    which: Index,
) -> None:
    means = np.add.reduceat(values, frames.offsets[:-1], axis=0) / frames.sizes[:, None]
    known = values[np.isin(np.repeat(np.arange(len(frames)), frames.sizes), core)]
    np.save(place / f"{name}-means.npy", means)
    np.save(place / f"{name}-moment.npy", known.T @ known)
    np.save(
        place / f"{name}-values.npy",
        np.concatenate([values[frames.offsets[i] : frames.offsets[i + 1]] for i in which.tolist()]),
    )
    np.save(
        place / f"{name}-slabs.npy",
        np.add.reduceat(of_slabs, slabs.offsets[:-1], axis=0) / slabs.sizes[:, None],
    )


@dataclass(frozen=True, eq=False)
class Stock:
    """What :func:`prepare` wrote, and the structures.

    Parameters
    ----------
    settings : Settings
    frames : Frames
    place : Path
        Of the study.
    """

    settings: Settings
    frames: Frames
    place: Path

    def array(self, name: str) -> NDArray[np.float64]:
        """An array by name, memory-mapped."""
        return np.load(self.place / _NAME / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def blocks(self) -> Blocks:
        """Of all structures."""
        return Blocks(self.place / _NAME / "blocks")

    @cached_property
    def basis(self) -> AceBasis:
        """Of the fit."""
        return basis_of(self.settings)

    @cached_property
    def candidates(self) -> Index:
        """Positions of all candidates in the set."""
        return candidates_of(self.frames)

    @cached_property
    def core(self) -> Index:
        """Positions of the core."""
        return np.flatnonzero(np.isin(self.frames.config_type, CORE))

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Place of a candidate among the candidates, by its position in the set."""
        return {int(i): k for k, i in enumerate(self.candidates)}

    @cached_property
    def known(self) -> tuple[Sums, Array, int]:
        """Sums of the core; sum over its forces alone, and how many components those are."""
        with np.load(self.place / _NAME / "core.npz", allow_pickle=False) as kept:
            return (
                Sums(kept["matrix"], int(kept["n_rows"])),
                np.array(kept["forces"]),
                int(kept["components"]),
            )

    @cached_property
    def precision(self) -> float:
        """Of the prior, by the evidence of the labels of the core."""
        return float(self.array("core_fit")[0])

    @cached_property
    def row_offsets(self) -> Index:
        """Where the rows of each candidate begin."""
        return np.array(self.array("row_offsets"), np.int64)

    @cached_property
    def atom_offsets(self) -> Index:
        """Where the atoms of each candidate begin among those of candidates."""
        return np.concatenate(([0], np.cumsum(self.frames.sizes[self.candidates])))

    def prior(self, features: str) -> Array:
        """Smoothness prior of features; ones for those of a network."""
        if features in ("M", "S", "L"):
            return basis_of(self.settings, features).prior
        return np.ones(self.array(f"{features}-means").shape[1])

    def sums(self, chosen: Index) -> Sums:
        """Of core and chosen candidates (positions in the set)."""
        known = self.known[0]
        where = [self.row_of[int(i)] for i in chosen]
        width = self.blocks.directions + 1
        packed = np.zeros(width * (width + 1) // 2)
        grams = self.array("grams")
        for k in where:
            packed += grams[k]
        full = np.zeros((width, width))
        full[np.triu_indices(width)] = packed
        rows = int(self.array("gram_rows")[where].sum())
        return known + Sums(full + np.triu(full, 1).T, rows)
