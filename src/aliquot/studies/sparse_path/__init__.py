"""How few functions does a linear ACE need, and how fast is it then? Paths of solvers over random splits.

T. Torabi, M. Militzer, M. P. Friedlander and C. Ortner, arXiv:2504.16418, with repeats, bands, evaluation time and
stability of the selected functions. Rows of every set are computed once (:mod:`~aliquot.studies.sparse_path.chunks`);
a task is one split of one set, in which all methods (:mod:`~aliquot.studies.sparse_path.solving`) are given the same
problem, chosen from by the same validation and judged by the same test
(:mod:`~aliquot.studies.sparse_path.judging`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from aliquot.ace.basis import count_functions
from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.fitting import (
    TRAIN,
    VALIDATION,
    Baseline,
    candidate_basis,
    evaluation_cost,
    reference_energies,
)
from aliquot.progress import Progress
from aliquot.solvers import Path as ModelPath
from aliquot.structures import Frames
from aliquot.studies.data import Data
from aliquot.studies.declaration import Task
from aliquot.studies.sparse_path.chunks import Chunks, chunks_of, compress, parts_of
from aliquot.studies.sparse_path.conclusion import conclude
from aliquot.studies.sparse_path.judging import compared, judged, surroundings
from aliquot.studies.sparse_path.sets import SETS, Labelled
from aliquot.studies.sparse_path.settings import Settings
from aliquot.studies.sparse_path.solving import DENSE, solved
from aliquot.studies.sparse_path.stability import at_size, packed

__all__ = ["REVISION", "Settings", "conclude", "cost", "prepare", "tasks", "work"]

REVISION = 1


def tasks(settings: Settings) -> list[dict[str, Any]]:
    """One per set and split."""
    if DENSE not in settings.methods:
        raise InputError(f"methods must have {DENSE!r}, which the others are compared with")
    return [{"set": name, "seed": seed} for name in settings.sets for seed in settings.seeds_of(name)]


def cost(settings: Settings, task: Task) -> float:
    """Cube of the number of candidates, in thousands, times the number of methods."""
    elements = _how(task["set"]).n_elements
    d = elements * count_functions(settings.degree_of(task["set"]), elements)
    return len(settings.methods) * (d / 1000) ** 3


def prepare(settings: Settings, data: Data, place: Path, progress: Progress) -> None:
    """Rows of every set, compressed by chunks."""
    for name in settings.sets:
        how = _how(name)
        frames, evaluator = _loaded(data, name, settings.degree_of(name), settings.power_of(name))
        chunk = chunks_of(frames, settings.chunks, published_test=how.published_test, seed=settings.seed)
        compress(place / name, evaluator, frames, chunk, how.weights, progress=progress)


def work(settings: Settings, data: Data, place: Path, task: Task) -> list[dict[str, Any]]:
    """All methods on one split of one set.

    Returns
    -------
    list of dict
        Rows of four kinds. ``budget``: the best model of at most n functions. ``match``, ``match-equal``: the smallest
        model whose validation error is not larger than that of the dense model of at most n functions. ``support``:
        which functions a method chose at a size.
    """
    name, weights = task["set"], _how(task["set"]).weights
    frames, evaluator = _loaded(data, name, settings.degree_of(name), settings.power_of(name))
    chunks = Chunks.open(place / name)
    split = {"validation": settings.validation, "test": settings.test, "seed": task["seed"]}
    parts = parts_of(chunks.chunk, settings.chunks, **split)
    baseline = Baseline(reference_energies(frames[parts == TRAIN]))
    training = chunks.triangle(frames, parts == TRAIN, weights, baseline)
    validation = chunks.triangle(frames, parts == VALIDATION, weights, baseline)
    timed = surroundings(frames, evaluator.basis.max_cutoff)
    costs = evaluation_cost(evaluator.basis, neighbours=timed.neighbours)
    paths = {
        method: solved(method, evaluator.basis, training, validation, costs, settings)
        for method in settings.methods
    }
    chosen = compared(paths, settings)
    models = list(dict.fromkeys(chosen.values()))
    facts = judged(evaluator, frames, parts, paths, models, baseline, timed)
    counts = {"candidates": evaluator.n_columns, "teaching": int(np.sum(parts == TRAIN))}
    return [
        *(
            {"kind": kind, "method": method, "n": n, **counts, **facts[model]}
            for (kind, method, n), model in chosen.items()
        ),
        *_supports(paths, settings),
    ]


def _supports(paths: Mapping[str, ModelPath], settings: Settings) -> Iterator[dict[str, Any]]:
    """Rows of what was chosen, as texts."""
    for n in settings.stability:
        for method, path in paths.items():
            if (mask := at_size(path, n)) is not None:
                chosen = {"candidates": path.n_columns, "support": packed(mask), "seconds": path.seconds}
                yield {"kind": "support", "method": method, "n": n, "functions": int(mask.sum()), **chosen}


def _how(name: str) -> Labelled:
    return SETS.get(name, Labelled())


@lru_cache(maxsize=2)
def _loaded(data: Data, name: str, degree: tuple[float, ...], power: float) -> tuple[Frames, AceEvaluator]:
    """Structures of a set that are used, and its candidate functions."""
    how = _how(name)
    frames = data.read(name)
    frames = frames[~np.isin(frames.config_type, how.without)]
    basis = candidate_basis(frames.elements, degree=degree, cutoff=how.cutoff, smoothness=power)
    return frames, AceEvaluator(basis)
