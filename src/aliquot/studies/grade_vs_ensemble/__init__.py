"""Is the extrapolation grade as good a warning as an ensemble? What each of them is worth, and what it costs.

Two kinds of task. *Ranking* (:mod:`~aliquot.studies.grade_vs_ensemble.ranking`): a potential is fitted without some
kinds of structure and judged on them, and every indicator is set against the true force error of every atom. *Heating*
(:mod:`~aliquot.studies.grade_vs_ensemble.heating`): a potential that has seen crystals alone drives one until it
breaks, and the time of each alarm is set against the time at which the force error doubles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from aliquot.progress import Progress
from aliquot.studies.data import Data
from aliquot.studies.grade_vs_ensemble.conclusion import conclude
from aliquot.studies.grade_vs_ensemble.heating import run
from aliquot.studies.grade_vs_ensemble.ranking import rank

__all__ = ["REVISION", "Settings", "conclude", "cost", "prepare", "tasks", "work"]

REVISION: Final = 1


@dataclass(frozen=True)
class Settings:
    """What is compared.

    Parameters
    ----------
    sets : tuple of str
        Data whose atoms are ranked.
    repeats : int
        Divisions of each set.
    train_cap, test_cap : int
        Structures of one config type that teach and that judge, at most.
    sizes : tuple of int
        Members of ensembles.
    share : float
        Of the training structures that each member sees.
    noise : float
        On the labels of members, in training errors of the potential.
    heated : tuple of str
        Crystals of :data:`~aliquot.studies.grade_vs_ensemble.heating.CRYSTALS`.
    runs : int
        Of each crystal; each with training structures and an ensemble of its own.
    structures : int
        Labelled structures that teach in each run.
    hold, steps : int
        Steps at the first temperature, and while heating.
    every : int
        Steps between looks.
    members : int
        Of the ensembles beside heated crystals.
    thresholds : tuple of float
        Of the grade.
    margin : float
        AUROC by which the grade may fall behind the ensemble and still be called as good.
    seed : int
    """

    sets: tuple[str, ...]
    repeats: int = 5
    train_cap: int = 60
    test_cap: int = 30
    sizes: tuple[int, ...] = (2, 4, 8)
    share: float = 0.8
    noise: float = 0.5
    heated: tuple[str, ...] = ()
    runs: int = 5
    structures: int = 32
    hold: int = 200
    steps: int = 1600
    every: int = 10
    members: int = 4
    thresholds: tuple[float, ...] = (1.0, 2.0, 5.0)
    margin: float = 0.05
    seed: int = 0


#: Seconds of one ranking, about, and of one heated crystal per look.
_RANKING: Final = {"si_gap18_available": 25.0}
_LOOK: Final = 0.06

#: Few sets have more structures of one config type.
_ENOUGH: Final = 240


def tasks(settings: Settings) -> list[dict[str, Any]]:
    """One per division of a set, one per heated crystal."""
    ranked = [
        {"part": "ranking", "set": name, "repeat": k}
        for k in range(settings.repeats)
        for name in settings.sets
    ]
    heated = [
        {"part": "heating", "crystal": name, "repeat": k}
        for k in range(settings.runs)
        for name in settings.heated
    ]
    return ranked + heated


def cost(settings: Settings, task: Mapping[str, Any]) -> float:
    """Seconds, about."""
    if task["part"] == "ranking":
        share = min(settings.train_cap, _ENOUGH) / 60
        return _RANKING.get(task["set"], 14.0) * share * (1 + max(settings.sizes)) / 9
    return _LOOK * ((settings.hold + settings.steps) / settings.every + 2 * settings.structures)


def prepare(settings: Settings, data: Data, place: Path, progress: Progress) -> None:
    """Nothing: every task makes its own potentials, as that is what is measured."""


def work(settings: Settings, data: Data, place: Path, task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of one task."""
    repeat = int(task["repeat"])
    if task["part"] == "ranking":
        rng = np.random.default_rng([settings.seed, repeat, settings.sets.index(task["set"])])
        return rank(
            task["set"],
            data.read(task["set"]),
            train_cap=settings.train_cap,
            test_cap=settings.test_cap,
            sizes=settings.sizes,
            share=settings.share,
            noise=settings.noise,
            rng=rng,
        )
    rng = np.random.default_rng([settings.seed, repeat, 100 + settings.heated.index(task["crystal"])])
    return run(
        task["crystal"],
        structures=settings.structures,
        hold=settings.hold,
        steps=settings.steps,
        every=settings.every,
        members=settings.members,
        share=settings.share,
        noise=settings.noise,
        thresholds=settings.thresholds,
        rng=rng,
    )
