"""What do the labels say, and what has the model learned from them? The stages label, fit and test."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from aliquot.ace.potential import AcePotential
from aliquot.campaign.choosing import costs
from aliquot.campaign.folder import Folder
from aliquot.campaign.settings import Settings
from aliquot.errors import InputError
from aliquot.fitting import TRAIN, Recipe, Weights, candidate_basis, compare, fit
from aliquot.oracle import Labelled, Limits, Oracle, label
from aliquot.progress import Progress, silent
from aliquot.solvers import SOLVERS
from aliquot.structures import Frames, read, write
from aliquot.uncertainty import Uncertainty

#: What to do where labels are missing.
_REMEDY = "mend the oracle, set retry_failed or other limits in [label], and run again"

__all__ = ["fit_model", "judge_model", "label_batch", "label_start"]


def label_batch(
    place: Folder,
    number: int,
    settings: Settings,
    oracle: Oracle | Callable[[], Any],
    *,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Label ``selected.xyz`` of the round into ``labelled.xyz``; what failed is told and never asked again.

    Raises
    ------
    InputError
        If the oracle seems broken, or nothing could be labelled.
    """
    here = place.round(number)
    return _label(place, read(here / "selected.xyz"), here, settings, oracle, executor, progress)


def label_start(
    place: Folder,
    settings: Settings,
    oracle: Oracle | Callable[[], Any],
    *,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Labels of the start and of the test structures, from the oracle or from their files."""
    began = time.perf_counter()
    if (place.place / "test.xyz").exists():
        _test_labels(place, settings, oracle, executor, progress)
    here, start = place.round(0), read(place.place / "start.xyz")
    write(here / "selected.xyz", start, force=True)
    if settings.start.labels == "file":
        labelled = start[np.flatnonzero(start.energy.present & start.forces.present)]
        if not len(labelled):
            raise InputError(
                'no structure of [start] has energy and forces in its file; set labels = "oracle"'
            )
        write(here / "labelled.xyz", labelled, force=True)
        return {
            "asked": len(start),
            "labelled": len(labelled),
            "cost": float(costs(start, settings.select.cost_power).sum()),
            "failed": [],
            "oracle_seconds": 0.0,
            "seconds": time.perf_counter() - began,
        }
    found = _label(place, start, here, settings, oracle, executor, progress)
    return found | {"seconds": time.perf_counter() - began}


def _test_labels(
    place: Folder,
    settings: Settings,
    oracle: Oracle | Callable[[], Any],
    executor: Executor | None,
    progress: Progress,
) -> None:
    frames = read(place.place / "test.xyz")
    if settings.test.labels == "file":
        if not (frames.forces.present & frames.energy.present).any():
            raise InputError(
                'no structure of [test] has energy and forces in its file; set labels = "oracle"'
            )
        labelled = frames
    else:
        found = _asked(place, frames, settings, oracle, executor, progress)
        labelled = found.frames
        if not len(labelled):
            raise InputError(
                f"none of {len(frames)} structures of [test] was labelled; the first: {found.unlabelled[0]};"
                f" {_REMEDY}"
            )
    write(place.place / "test-labelled.xyz", labelled, force=True)


def _label(
    place: Folder,
    frames: Frames,
    here: Path,
    settings: Settings,
    oracle: Oracle | Callable[[], Any],
    executor: Executor | None,
    progress: Progress,
) -> dict[str, Any]:
    began = time.perf_counter()
    found = _asked(place, frames, settings, oracle, executor, progress)
    if not len(found.frames):
        raise InputError(
            f"none of {len(frames)} structures of {here / 'selected.xyz'} was labelled; the first:"
            f" {found.unlabelled[0]}; {_REMEDY}"
        )
    write(here / "labelled.xyz", found.frames, force=True)
    return {
        "asked": len(frames),
        "labelled": len(found.frames),
        "cost": float(costs(frames, settings.select.cost_power).sum()),
        "failed": [f"{one.kind}: {one.reason}" for one in found.unlabelled],
        "oracle_seconds": found.seconds,
        "seconds": time.perf_counter() - began,
    }


def _asked(
    place: Folder,
    frames: Frames,
    settings: Settings,
    oracle: Oracle | Callable[[], Any],
    executor: Executor | None,
    progress: Progress,
) -> Labelled:
    told = settings.label
    found = label(
        frames,
        oracle,
        folder=place.place / "labels",
        executor=executor,
        workers=told.workers,
        timeout=told.timeout,
        retries=told.retries,
        retry_failed=told.retry_failed,
        scratch=told.scratch,
        limits=Limits(told.max_force or None, told.energy_spreads or None),
        energy=told.energy,
        progress=progress,
    )
    if waiting := found.of_kind("pending"):
        failed = found.of_kind("failed")
        first = f"; the first: {failed[0].reason}" if failed else ""
        raise InputError(
            f"{len(waiting)} structures have no label yet; {waiting[0].reason}{first}. What there is, is kept:"
            f" {_REMEDY}"
        )
    return found


def fit_model(
    place: Folder, number: int, settings: Settings, *, progress: Progress = silent
) -> dict[str, Any]:
    """Fit to everything labelled: ``model.ace``, and ``model.active``, which grades with it."""
    began = time.perf_counter()
    frames, told = place.labelled(number + 1), settings.fit
    recipe = Recipe(
        basis=candidate_basis(
            _elements(place),
            order=told.order,
            degree=told.degree or None,
            cutoff=told.cutoff,
            pair=told.pair,
        ),
        solver=SOLVERS[told.solver].solver(**told.parameters),
        choice=told.choice,
        weights=Weights(told.weights[0], told.weights[1], told.weights[2]),
        repulsion=told.repulsion,
        posterior=True,
    )
    done = fit(frames, recipe, parts=np.full(len(frames), TRAIN), progress=progress)
    known = Uncertainty.build(done.potential, frames, progress=progress)
    here = place.round(number)
    done.potential.save(here / "model.ace", force=True)
    known.save(here / "model.active", force=True)
    return {
        "structures": len(frames),
        "size": done.size,
        "candidates": len(recipe.basis.functions) if recipe.basis else 0,
        "reason": done.reason,
        "errors": {e.quantity: {"mae": e.mae, "rmse": e.rmse} for e in done.errors() if not e.group},
        "notes": [*done.notes, *known.notes],
        "seconds": time.perf_counter() - began,
    }


def _elements(place: Folder) -> tuple[int, ...]:
    """Of everything that the campaign began with: the same functions in every round."""
    paths = [place.place / name for name in ("start.xyz", "test.xyz", "cells.xyz")]
    return tuple(sorted({z for path in paths if path.exists() for z in read(path).elements}))


def judge_model(
    place: Folder, number: int, before: Path | None, *, progress: Progress = silent
) -> dict[str, Any]:
    """Errors on the test structures; and of the model before on what was labelled since, which it had not seen."""
    began = time.perf_counter()
    out: dict[str, Any] = {"errors": {}, "before": {}}
    judges = place.place / "test-labelled.xyz"
    here = place.round(number)
    if judges.exists():
        out["errors"] = _errors(here / "model.ace", read(judges), progress)
    if before is not None:
        out["before"] = _errors(before, read(here / "labelled.xyz"), progress)
    return out | {"seconds": time.perf_counter() - began}


def _errors(model: Path, frames: Frames, progress: Progress) -> dict[str, dict[str, float]]:
    found = compare(AcePotential.load(model), frames, threads=1, progress=progress)
    return {e.quantity: {"mae": e.mae, "rmse": e.rmse} for e in found.table() if not e.group}
