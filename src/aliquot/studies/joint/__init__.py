"""Should data and basis be chosen together? Alternate a sparse basis for the labels and labels for the sparse basis.

A basis of d functions is there from the beginning. *Jointly*: the first labels are chosen with all functions; then, in
turn, the k functions that explain the labels best are found by orthogonal matching pursuit, and as many labels again
are chosen by what they tell a model of these k functions alone. Rivals choose by the full basis and make the model
sparse afterwards, or choose at random. All see the same candidates and are judged on the same structures set aside, at
equal labels and equal numbers of functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from aliquot.errors import InputError
from aliquot.progress import Progress
from aliquot.studies.data import Data
from aliquot.studies.joint.choosing import JOINT, RANDOM, Choice, choices
from aliquot.studies.joint.space import Model, Space, prepare_space
from aliquot.studies.record import Conclusion
from aliquot.studies.results import Results

__all__ = ["REVISION", "Settings", "conclude", "cost", "prepare", "tasks", "work"]

REVISION: Final = 1


@dataclass(frozen=True)
class Settings:
    """Of the comparison.

    Parameters
    ----------
    sets : tuple of str
    seed : int
    known : tuple of str
        ``SET:TYPE``: structures that are known from the beginning; free atoms always are.
    functions : int
        Coefficients that the full basis has at most.
    sparse : tuple of int
        Functions of the sparse models.
    solvers : tuple of str
        That choose these functions: ``omp``, ``ard``.
    labels : tuple of int
        Budgets; labels come in batches between them.
    scores : tuple of str
        What Bayesian selection maximises.
    weights : tuple of float
        Of energies, forces and virials.
    test : float
        Share of the candidates set aside.
    repeats : int
    most : int
        Candidates taken of a set, drawn at random; 0 for all.
    """

    sets: tuple[str, ...]
    seed: int = 0
    known: tuple[str, ...] = ()
    functions: int = 400
    sparse: tuple[int, ...] = (40, 100)
    labels: tuple[int, ...] = (8, 16, 32, 64)
    solvers: tuple[str, ...] = ("omp", "ard")
    scores: tuple[str, ...] = ("energy", "entropy")
    weights: tuple[float, ...] = (30.0, 1.0, 1.0)
    test: float = 0.25
    repeats: int = 10
    most: int = 0

    #: What the division of sets asks for besides.
    group: str = "config_type"
    train: str = ""

    def __post_init__(self) -> None:
        if list(self.labels) != sorted(set(self.labels)) or len(self.labels) < 2 or self.labels[0] < 2:
            raise InputError(f"labels {self.labels} must be two or more rising numbers, the first at least 2")
        unknown = [name for name in self.solvers if name not in ("omp", "ard")]
        if unknown or not self.solvers:
            raise InputError(f"solvers {', '.join(unknown) or '(none)'} cannot be used; use omp, ard or both")
        if not self.sparse or min(self.sparse) < 2:
            raise InputError(f"sparse {self.sparse} must be numbers of functions, at least 2 each")
        if self.repeats < 2:
            raise InputError(
                f"{self.repeats} repeats say nothing of how sure a difference is; use 10 or more"
            )
        if len(self.weights) != 3:
            raise InputError("weights are three numbers, of energies, forces and virials")


def tasks(settings: Settings) -> list[dict[str, Any]]:
    """One repeat on one set with one score."""
    return [
        {"set": name, "repeat": repeat, "score": score}
        for repeat in range(settings.repeats)
        for name in settings.sets
        for score in settings.scores
    ]


def cost(settings: Settings, task: Mapping[str, Any]) -> float:
    """Rows of all functions, squared: choosing by them takes most of the time."""
    return float((len(settings.sparse) + 1) * settings.functions**2)


def prepare(settings: Settings, data: Data, place: Path, progress: Progress) -> None:
    """Rows and divisions of every set."""
    for number, name in enumerate(settings.sets, 1):
        if not _folder(place, settings, name).exists():
            prepare_space(settings, data, name, _folder(place, settings, name), progress)
        progress("sets", number, len(settings.sets))


def _folder(place: Path, settings: Settings, name: str) -> Path:
    return place / f"set-{settings.sets.index(name)}"


@lru_cache(maxsize=4)
def _space(place: Path) -> Space:
    return Space(place)


def work(settings: Settings, data: Data, place: Path, task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every way of choosing, every number of functions and labels, on one division of one set."""
    space = _space(_folder(place, settings, task["set"]))
    repeat = int(task["repeat"])
    candidates, aside = space.split(repeat)
    if settings.labels[-1] > len(candidates):
        raise InputError(
            f"{task['set']} has {len(candidates)} candidates when {settings.test:.0%} are set aside, fewer than"
            f" {settings.labels[-1]} labels"
        )
    rng = np.random.default_rng([settings.seed, repeat])
    rows: list[dict[str, Any]] = []
    ways = (settings.labels, settings.sparse, settings.solvers)
    for choice in choices(space, candidates, *ways, task["score"], rng):
        for told, model in _models(settings, space, choice):
            rows.append({**told, **space.judged(model, aside)})
    return rows


def _models(settings: Settings, space: Space, choice: Choice) -> Iterator[tuple[dict[str, Any], Model]]:
    """Every model that is fitted to what was chosen: full, sparse, and for comparison the smoothest functions."""
    for n, index in choice.index.items():
        sums = space.sums(index)
        full = space.full(sums)
        told = {"data": choice.arm, "labels": n, "chosen_for": choice.functions, "chosen_by": choice.solver}
        yield {**told, "basis": "full", "functions": space.functions}, full
        joint = choice.arm == JOINT
        for solver in (choice.solver,) if joint else settings.solvers:
            sizes = (choice.functions,) if joint else settings.sparse
            for k, model in space.sparse(sums, full.precision, sizes, solver).items():
                yield {**told, "basis": solver, "functions": k}, model
        for k in settings.sparse if choice.arm == RANDOM else ():
            yield {**told, "basis": "smooth", "functions": k}, space.smooth(sums, k)


def conclude(settings: Settings, results: Results) -> Conclusion:
    """Whether choosing together beats choosing apart."""
    from aliquot.studies.joint.conclusion import concluded

    return concluded(settings, results)
