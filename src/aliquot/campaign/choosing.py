"""Which candidates are worth their labels? The batch of a round, given everything that is labelled."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.campaign.folder import Folder
from aliquot.campaign.record import Round
from aliquot.campaign.settings import Choosing, Settings
from aliquot.features import featurize
from aliquot.features.ace import AceFeaturizer
from aliquot.features.ace_blocks import AceBlockFeaturizer
from aliquot.progress import Progress, silent
from aliquot.selection import Cost, Selection, select
from aliquot.structures import Frames, read, write
from aliquot.table import Features
from aliquot.uncertainty import Uncertainty

__all__ = ["choose_batch", "costs"]

Array = NDArray[np.float64]


def choose_batch(
    place: Folder, now: Round, settings: Settings, known: Uncertainty, *, progress: Progress = silent
) -> dict[str, Any]:
    """Choose from ``candidates.xyz`` of the round into ``selected.xyz``.

    Parameters
    ----------
    place : Folder
    now : Round
        With what was asked and paid until now.
    settings : Settings
        Of the round; limits of the goal are kept.
    known : Uncertainty
        Of the last model.
    progress : callable

    Returns
    -------
    dict
        What ``select.json`` holds; ``selected`` is 0 where there was nothing to choose or nothing could be paid.
    """
    began = time.perf_counter()
    if now.stages["explore"]["candidates"] == 0:
        walks = now.stages["explore"]["walks"]
        reason = f"no walk met a structure that was not known; the first ended: {walks[0]['reason']}"
        return {"selected": 0, "why": reason, "seconds": 0.0}
    pool = read(place.round(now.number) / "candidates.xyz")
    told, goal = settings.select, settings.goal
    n = min(told.batch, len(pool))
    if goal.labels is not None:
        n = min(n, goal.labels - now.asked)
    cost = None
    if told.cost_power or goal.cost is not None:
        values, left = costs(pool, told.cost_power), None if goal.cost is None else goal.cost - now.cost
        if left is not None and values.min() > left:
            return {"selected": 0, "why": "no candidate can be paid any more", "seconds": 0.0}
        cost = Cost(values, budget=left, unit=f"atoms^{told.cost_power:g}") if told.cost_power else None
        n = n if cost is not None or left is None else min(n, int(left))
    chosen = _chosen(place, pool, n, cost, settings, now.number, known, progress)
    picked = pool[chosen.index]
    write(place.round(now.number) / "selected.xyz", picked, force=True)
    return {
        "selected": len(picked),
        "candidates": len(pool),
        "method": chosen.method,
        "stop": chosen.stop,
        "gamma": [float(g) for g in picked.frame_columns["gamma_max"].values],
        "temperature": [float(t) for t in picked.frame_columns["temperature"].values],
        "seconds": time.perf_counter() - began,
    }


def costs(frames: Frames, power: float) -> Array:
    """Of each label: the number of atoms to a power."""
    return np.asarray(frames.sizes, np.float64) ** power


def _chosen(
    place: Folder,
    pool: Frames,
    n: int,
    cost: Cost | None,
    settings: Settings,
    number: int,
    known: Uncertainty,
    progress: Progress,
) -> Selection:
    told = settings.select
    parameters = dict(told.parameters)
    if told.quality is not None:
        parameters["quality"] = _quality(pool, known, told.quality, progress)
    rows, seen = _tables(
        told, settings.fit.weights, known.potential.basis, pool, place.labelled(number), progress
    )
    return select(
        rows,
        n,
        method=told.method,
        known=seen,
        cost=cost,
        seed=int(np.random.default_rng([settings.seed, number]).integers(2**31)),
        progress=progress,
        **parameters,
    )


def _tables(
    told: Choosing,
    weights: tuple[float, ...],
    basis: AceBasis,
    pool: Frames,
    known: Frames,
    progress: Progress,
) -> tuple[Features, Features]:
    """Features of the candidates and of what is labelled."""
    if told.features != "fit":
        rows, seen = featurize(told.features, pool, known, progress=progress)
        return rows, seen
    if told.method == "bayes":
        energy, forces, virial = weights
        given = {"energy": energy, "forces": forces}
        quantities = tuple(name for name, weight in given.items() if weight > 0)
        make: Any = AceBlockFeaturizer(basis, quantities, (energy or 1.0, forces or 1.0, virial or 1.0))
    else:
        make = AceFeaturizer(basis, np.eye(len(basis.elements)))
    return make(pool, progress=progress), make(known, progress=progress)


def _quality(pool: Frames, known: Uncertainty, name: str, progress: Progress) -> Array:
    """The model's uncertainty about each candidate: the largest of its atoms."""
    out = np.empty(len(pool))
    for i, found in enumerate(known.each(pool, forces=name == "force_std", progress=progress)):
        values = found.force_std if name == "force_std" else getattr(found, name)
        assert values is not None  # campaigns keep the posterior
        out[i] = values.max()
    return np.maximum(out, 1e-6 * out.max())  # a quality is positive
