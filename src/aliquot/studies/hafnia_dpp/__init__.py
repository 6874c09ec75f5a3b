"""Diverse subsets by determinantal point processes on hafnia, and what is left of their advantage in a proper fit.

Each repeat divides the structures, mostly by trajectory, chooses subsets of the pool by every method, and fits each
subset in all the ways of :mod:`aliquot.studies.hafnia_dpp.solving`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress
from aliquot.studies.data import Data
from aliquot.studies.hafnia_dpp import preparing
from aliquot.studies.hafnia_dpp.choosing import DETERMINISTIC, Pool, likeness_as_published
from aliquot.studies.hafnia_dpp.conclusion import conclude
from aliquot.studies.hafnia_dpp.covering import coverage, overlap, span
from aliquot.studies.hafnia_dpp.solving import Trial

__all__ = ["REVISION", "Settings", "conclude", "cost", "divide", "prepare", "tasks", "work"]

REVISION = 1

Index = NDArray[np.int64]

_CHEAP: Final = ("random", "dpp", "kdpp-cosine", "kdpp-smooth")
_HEAVY: Final = ("kdpp-cosine2", "kdpp-rbf")

#: What is compared in each scene: methods, and whether the regime with forces is among the fits. The second has the
#: divisions of the first.
SCENES: Final = {
    "trajectories": ((*_CHEAP, *_HEAVY, "kmeans", "maxvol", "dpp-map", "bayes", "fps", "kmedoids"), True),
    "firm": (("bayes-firm", "bayes-goal"), True),
    "redundant": (("random", "kdpp-cosine", "kmeans", "bayes", "fps"), True),
    "structures": (("random", "kdpp-cosine", "kmeans", "bayes"), True),
    "wide": (("random", "kdpp-cosine", "bayes", "maxvol"), False),
}


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Parameters
    ----------
    sets : tuple of str
        One set.
    every : int
        One of so many structures of each group takes part.
    cutoff : float
        Å.
    degree, wide_degree : int
        Of the descriptors; the second only for energies.
    budgets : tuple of int
        N; the number of descriptors is one more.
    held_out : float
        Share of the structures that judge.
    splits, redundant_splits, structure_splits, wide_splits : int
        Divisions by trajectory, the same with a redundant pool, of single structures, and by trajectory with the wide
        descriptors.
    whole : float
        Of a redundant pool some trajectories stay whole, with this share of the structures of the pool.
    sparse : int
        Structures that stay of each of the other trajectories.
    draws, wide_draws : int
        Of each cheap random method in each division.
    heavy_splits, heavy_draws : int
        Divisions in which kernels are decomposed N × N, and draws in each of them.
    energy_weight : float
        Of energies beside forces, as in :class:`aliquot.fitting.Weights`.
    """

    sets: tuple[str, ...] = ("hfo2_subset",)
    seed: int = 0
    every: int = 1
    cutoff: float = 5.0
    degree: int = 7
    wide_degree: int = 10
    budgets: tuple[int, ...] = (100, 200, 400, 800, 1600)
    held_out: float = 0.2
    splits: int = 20
    redundant_splits: int = 10
    whole: float = 0.4
    sparse: int = 2
    structure_splits: int = 10
    wide_splits: int = 5
    draws: int = 5
    wide_draws: int = 2
    heavy_splits: int = 10
    heavy_draws: int = 2
    energy_weight: float = 30.0


def tasks(settings: Settings) -> list[dict[str, Any]]:
    """One division each, all its methods and budgets."""
    many = {
        "trajectories": settings.splits,
        "firm": settings.splits,
        "redundant": settings.redundant_splits,
        "structures": settings.structure_splits,
        "wide": settings.wide_splits,
    }
    return [{"scene": scene, "split": k} for scene in SCENES for k in range(many[scene])]


def cost(settings: Settings, task: Mapping[str, Any]) -> float:
    """About the seconds of one core."""
    if task["scene"] == "trajectories":
        return 45.0 if task["split"] < settings.heavy_splits else 28.0
    return {"wide": 65.0, "structures": 12.0}.get(str(task["scene"]), 10.0)


def prepare(settings: Settings, data: Data, place: Path, progress: Progress) -> None:
    """Descriptors, labels and blocks."""
    if len(settings.sets) != 1:
        raise InputError(f"this study is about one set; got {', '.join(settings.sets)}")
    degrees = (settings.degree, settings.wide_degree) if settings.wide_splits else (settings.degree,)
    preparing.prepare(
        place,
        data,
        settings.sets[0],
        every=settings.every,
        degrees=degrees,
        cutoff=settings.cutoff,
        progress=progress,
    )


def work(settings: Settings, data: Data, place: Path, task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Choose and fit in one division."""
    scene, split = str(task["scene"]), int(task["split"])
    wide = scene == "wide"
    methods, with_forces = SCENES[scene]
    degree = settings.wide_degree if wide else settings.degree
    structures, labels = preparing.load(place, degree, with_blocks=with_forces)
    by = np.arange(len(structures.energy)) if scene == "structures" else labels["groups"]
    rng = np.random.default_rng([settings.seed, split, scene == "structures"])
    pool, test = divide(by, settings.held_out, rng)
    if scene == "redundant":
        pool = pool[redundant(by[pool], settings.whole, settings.sparse, rng)]
    candidates = Pool(structures.rows[pool], structures.prior)
    d = structures.rows.shape[1]
    budgets = [(n, False) for n in settings.budgets if n < len(pool)]
    budgets += [(d, True)] if d < len(pool) else []
    rows: list[dict[str, Any]] = []
    sets: list[Index] = []
    for m, method in enumerate(methods):
        for n, square in budgets:
            if method == "maxvol" and not square:  # as published
                continue
            for draw in range(_draws(settings, scene, method, split)):
                own = np.random.default_rng([settings.seed, split, list(SCENES).index(scene), m, n, draw])
                chosen = candidates.choose(method, n, max(n for n, _ in budgets), own)
                rows.append(
                    {"method": method, "budget": n, "square": square, "draw": draw, "chosen": len(chosen)}
                    | {"uniform_share": candidates.uniform_share(method, n)}
                )
                sets.append(pool[chosen])
    trial = Trial(structures, test, energy_weight=settings.energy_weight)
    errors = trial.force_errors(sets) if with_forces else [{}] * len(sets)
    told = {"descriptors": d, "pool": len(pool), "test": len(test)}
    out = [
        told | row | trial.energy_errors(chosen) | error | _covered(labels, pool, chosen)
        for row, chosen, error in zip(rows, sets, errors, strict=True)
    ]
    if scene == "trajectories":
        likeness = likeness_as_published(structures.rows[pool])
        out.append(told | {"method": "rbf-as-published", "likeness": likeness})
    return out


def divide(by: NDArray[Any], held_out: float, rng: np.random.Generator) -> tuple[Index, Index]:
    """Pool and test: whole groups, in random order, until so large a share of the structures is set aside.

    Examples
    --------
    >>> pool, test = divide(np.array(["a", "a", "b", "b"]), 0.4, np.random.default_rng(0))
    >>> len(pool), len(test)
    (2, 2)
    """
    groups, member = np.unique(by, return_inverse=True)
    order = rng.permutation(len(groups))
    filled = np.cumsum(np.bincount(member)[order])
    aside = order[: int(np.searchsorted(filled, held_out * len(by))) + 1]
    held = np.isin(member, aside)
    return np.flatnonzero(~held), np.flatnonzero(held)


def redundant(groups: NDArray[Any], whole: float, sparse: int, rng: np.random.Generator) -> Index:
    """Positions that stay: some groups as they are, a few structures, evenly spaced, of every other.

    Examples
    --------
    >>> redundant(np.repeat(["a", "b"], 6), 0.5, 2, np.random.default_rng(0))
    array([ 0,  1,  2,  3,  4,  5,  6, 11])
    """
    rest, aside = divide(groups, whole, rng)
    few = [
        members[np.linspace(0, len(members) - 1, min(sparse, len(members))).astype(np.int64)]
        for members in (rest[groups[rest] == group] for group in np.unique(groups[rest]))
    ]
    return np.sort(np.concatenate((aside, *few)))


def _draws(settings: Settings, scene: str, method: str, split: int) -> int:
    if method in DETERMINISTIC or method == "kmeans":
        return 1
    if method in _HEAVY:
        return settings.heavy_draws if split < settings.heavy_splits else 0
    return settings.wide_draws if scene == "wide" else settings.draws


def _covered(labels: Mapping[str, NDArray[Any]], pool: Index, chosen: Index) -> dict[str, float]:
    """Of energies per atom, root-mean-square and largest forces of structures, and trajectories; per cent."""
    out: dict[str, float] = {}
    for name, key in (("energy", "energy"), ("force", "force_rms"), ("largest_force", "force_max")):
        mine, all_ = labels[key][chosen], labels[key][pool]
        out[f"{name}_bins_percent"] = 100.0 * coverage(mine, all_)
        out[f"{name}_span_percent"] = 100.0 * span(mine, all_)
        out[f"{name}_overlap_percent"] = 100.0 * overlap(mine, all_)
    groups = labels["groups"]
    out["groups_percent"] = 100.0 * len(np.unique(groups[chosen])) / len(np.unique(groups[pool]))
    return out
