"""Rows once, splits many: structures fall into chunks, and any split is a merger of what is left of the chunks.

Forces and virials of a chunk are compressed to one triangle. Energies stay as they are, one row per structure: their
targets depend on the energies of free atoms, which every split finds anew from the structures that teach in it. Nothing
that a model learns comes from a structure that judges it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.fitting import TEST, TRAIN, VALIDATION, Baseline, Weights, split_by_column
from aliquot.fitting.accumulate import each
from aliquot.fitting.references import free_atoms
from aliquot.progress import Progress, silent
from aliquot.solvers import Triangle
from aliquot.structures import Frames

__all__ = ["ALWAYS", "NEVER", "Chunks", "chunks_of", "compress", "parts_of"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: In place of the number of a chunk: structures that always teach (free atoms), and that never do (a published test).
ALWAYS, NEVER = -1, -2


def chunks_of(frames: Frames, n_chunks: int, *, published_test: bool = False, seed: int = 0) -> Index:
    """Deal structures into chunks, each config type as evenly as it goes; equal structures stay together.

    Returns
    -------
    (n_frames,) array of int
        Number of the chunk, :data:`ALWAYS` or :data:`NEVER`.
    """
    out = np.full(len(frames), ALWAYS, np.int64)
    free = ~free_atoms(frames)
    if published_test:
        judges = split_by_column(frames, "split") == TEST
        out[judges] = NEVER
        free &= ~judges
    which = np.flatnonzero(free)
    _, first, content = np.unique(frames.hashes[which], return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))  # of contents, whatever the order of the file
    order = order[np.argsort(frames.config_type[which[first[order]]], kind="stable")]
    number = np.empty(len(first), np.int64)
    number[order] = np.arange(len(first)) % n_chunks
    out[which] = number[content]
    return out


def parts_of(chunk: Index, n_chunks: int, *, validation: int, test: int, seed: int) -> NDArray[np.str_]:
    """Which structures teach, decide and judge in one split, (n_frames,).

    Structures judge by published test where there is one, else ``test`` chunks do.
    """
    order = np.random.default_rng([seed, 1]).permutation(n_chunks)
    judges = np.array([NEVER]) if np.any(chunk == NEVER) else order[validation : validation + test]
    out = np.full(len(chunk), TRAIN, "U10")
    out[np.isin(chunk, order[:validation])] = VALIDATION
    out[np.isin(chunk, judges)] = TEST
    return out


def compress(
    place: Path,
    evaluator: AceEvaluator,
    frames: Frames,
    chunk: Index,
    weights: Weights,
    *,
    progress: Progress = silent,
) -> None:
    """Write energy rows and the triangle of each chunk into the folder ``place``, complete or not at all."""
    if place.exists():
        return
    n_chunks, d = int(chunk.max()) + 1, evaluator.n_columns
    energies = np.zeros((len(frames), d))
    triangles = [Triangle(d) for _ in range(n_chunks)]
    which = np.flatnonzero(chunk != NEVER)
    for done, (i, labelled) in enumerate(each(evaluator, frames, which.tolist()), 1):
        for quantity, (rows, target) in labelled.items():
            w = weights.of(quantity, str(frames.config_type[i]))
            if quantity == "energy":
                energies[i] = rows[0]
            elif chunk[i] >= 0 and w:
                triangles[chunk[i]].absorb(w * rows, w * target)
        progress(f"rows of {place.name}", done, len(which))
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        np.save(unfinished / "energies.npy", energies)
        np.save(unfinished / "chunk.npy", chunk)
        np.save(unfinished / "triangles.npy", np.stack([t.factor for t in triangles]))
        np.save(unfinished / "rows.npy", np.array([t.n_rows for t in triangles]))
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@dataclass(frozen=True, eq=False)
class Chunks:
    """What :func:`compress` wrote.

    Parameters
    ----------
    energies : (n_frames, d) array
        Energy rows, per √atom; zero for a published test.
    chunk : (n_frames,) array of int
    triangles : (n_chunks, d + 1, d + 1) array
        Of weighted rows of forces and virials, with targets.
    n_rows : (n_chunks,) array of int
    """

    energies: Array
    chunk: Index
    triangles: Array
    n_rows: Index

    @classmethod
    @lru_cache(maxsize=2)
    def open(cls, place: Path) -> Chunks:
        """Map a folder into memory."""
        return cls(
            np.load(place / "energies.npy"),
            np.load(place / "chunk.npy"),
            np.load(place / "triangles.npy", mmap_mode="r"),
            np.load(place / "rows.npy"),
        )

    def triangle(
        self, frames: Frames, chosen: NDArray[np.bool_], weights: Weights, baseline: Baseline
    ) -> Triangle:
        """Weighted rows of the chosen structures: of whole chunks, and free atoms."""
        whole = np.unique(self.chunk[chosen & (self.chunk >= 0)])
        some = np.flatnonzero(chosen & frames.energy.present)
        root = np.sqrt(frames.sizes[some])
        w = np.array([weights.of("energy", str(frames.config_type[i])) for i in some])
        above = np.array([frames.energy.values[i] - baseline(frames, int(i))["energy"][0] for i in some])
        out = Triangle(self.energies.shape[1])
        out.absorb(self.energies[some] * w[:, None], above / root * w)
        for c in whole.tolist():
            factor = self.triangles[c][: int(self.n_rows[c])]
            out.absorb(factor[:, :-1], factor[:, -1])
        out.settle()
        out.n_rows = len(some) + int(self.n_rows[whole].sum())
        return out
