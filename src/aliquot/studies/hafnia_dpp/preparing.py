"""What all tasks share, on disk: mean descriptors in two sizes, labels, and blocks for fits with forces."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.fitting.baseline import Baseline
from aliquot.fitting.references import reference_energies
from aliquot.progress import Progress, silent
from aliquot.structures import Frames
from aliquot.studies.blocks import Blocks, write_blocks
from aliquot.studies.data import Data
from aliquot.studies.hafnia_dpp.solving import Structures

__all__ = ["basis_of", "load", "mean_descriptors", "prepare", "thinned"]

Array = NDArray[np.float64]


def basis_of(frames: Frames, degree: int, cutoff: float) -> AceBasis:
    """Order 3, functions of each element apart."""
    return AceBasis(elements=tuple(frames.elements), cutoff=cutoff, degree=(degree,) * 3)


def thinned(frames: Frames, every: int) -> Frames:
    """One of ``every`` structures of each group, along its trajectory."""
    rank = np.empty(len(frames), np.int64)
    for group in np.unique(frames.config_type):
        mine = np.flatnonzero(frames.config_type == group)
        rank[mine] = np.arange(len(mine))
    return frames[np.flatnonzero(rank % every == 0)]


def mean_descriptors(basis: AceBasis, frames: Frames, *, progress: Progress = silent) -> Array:
    """Mean over the atoms of each structure, element by element: its energy row per atom, (n, d)."""
    evaluator = AceEvaluator(basis)
    out = np.empty((len(frames), evaluator.n_columns))
    for i in range(len(frames)):
        values = evaluator.site_values(frames, i)
        numbers = frames.numbers[frames.offsets[i] : frames.offsets[i + 1]]
        parts = [values[numbers == z].sum(axis=0) for z in basis.elements]
        out[i] = np.concatenate(parts) / len(numbers)
        progress("descriptors", i + 1, len(frames))
    return out


def prepare(
    place: Path,
    data: Data,
    name: str,
    *,
    every: int,
    degrees: tuple[int, ...],
    cutoff: float,
    progress: Progress,
) -> None:
    """Write what is missing; blocks are those of the first degree."""
    labels = place / "structures.npz"
    missing = [d for d in degrees if not (place / f"means-{d}.npz").exists()]
    if labels.exists() and not missing and (place / "blocks").exists():
        return
    frames = thinned(data.read(name), every)
    if not labels.exists():
        _save(labels, **_labels(frames))
    for degree in missing:
        basis = basis_of(frames, degree, cutoff)
        rows = mean_descriptors(basis, frames, progress=progress)
        prior = np.tile(basis.prior, len(basis.elements))
        _save(place / f"means-{degree}.npz", rows=rows, prior=prior)
    if not (place / "blocks").exists():
        # every fit takes its own reference energies; these only keep numbers small
        baseline = Baseline(reference_energies(frames))
        basis = basis_of(frames, degrees[0], cutoff)
        write_blocks(place / "blocks", basis, frames, baseline=baseline, progress=progress)


def load(place: Path, degree: int, *, with_blocks: bool) -> tuple[Structures, dict[str, NDArray[np.generic]]]:
    """Structures as fits see them, and what else is known of them: groups, force amplitudes."""
    labels = dict(np.load(place / "structures.npz", allow_pickle=False))
    means = np.load(place / f"means-{degree}.npz", allow_pickle=False)
    structures = Structures(
        means["rows"],
        means["prior"],
        labels["energy"],
        labels["shares"],
        labels["sizes"],
        Blocks(place / "blocks") if with_blocks else None,
    )
    return structures, labels


def _labels(frames: Frames) -> dict[str, NDArray[np.generic]]:
    starts = frames.offsets[:-1]
    counts = [np.add.reduceat(frames.numbers == z, starts, dtype=np.int64) for z in frames.elements]
    amplitude = np.linalg.norm(frames.forces.values, axis=1)
    return {
        "energy": frames.energy.values / frames.sizes,
        "shares": np.stack(counts, axis=1) / frames.sizes[:, None],
        "sizes": frames.sizes,
        "groups": np.asarray(frames.config_type, str),
        "force_rms": np.sqrt(np.add.reduceat(amplitude**2, starts) / frames.sizes),
        "force_max": np.maximum.reduceat(amplitude, starts),
    }


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    aside = path.with_name(f".{path.stem}-{os.getpid()}.npz")
    np.savez(aside, allow_pickle=False, **arrays)
    aside.rename(path)
