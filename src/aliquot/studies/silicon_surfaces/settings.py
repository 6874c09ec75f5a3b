"""What can be set, which pieces of work there are, and who is a candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.fitting.weights import Weights
from aliquot.structures import Frames

__all__ = [
    "CONTROLLED",
    "CORE",
    "E0",
    "GROUPS",
    "MAIN",
    "TYPES",
    "WEIGHTS",
    "WHOLE",
    "Settings",
    "candidates_of",
    "cost",
    "set_aside",
    "tasks",
]

#: Energy of the free atom, eV.
E0: Final = -158.54496821

#: Of energies, forces and virials, as published: the virials of the Pandey frames have a key of another name in the
#: published files, so that the published fits never saw them (with them the energy error of the fit to all is 4.2
#: instead of 3.0 meV/atom).
WEIGHTS: Final = Weights(30.0, 1.0, 30.0, groups={"surface_111_pandey": (30.0, 1.0, 0.0)})

#: Config types that are known from the beginning.
CORE: Final = ("isolated_atom", "dia")

#: Config types of the candidates.
TYPES: Final = (
    "decohesion",
    "surface_001",
    "surface_110",
    "surface_111",
    "surface_111_3x3_das",
    "surface_111_pandey",
)

#: Pieces into which a repeat is cut, with what they cost (seconds of one core at standard size).
GROUPS: Final[dict[str, float]] = {
    "points": 25.0,
    "rows": 40.0,
    "published": 12.0,
    "whole": 4.0,
    "cost": 20.0,
    "small": 8.0,
    "net-core": 8.0,
    "net-total": 8.0,
    "rows-more": 60.0,
    "slow": 90.0,
    "large": 40.0,
    "streams": 400.0,
}

#: Groups that all repeats have; the others may have fewer (``extra_repeats``).
MAIN: Final = ("points", "rows", "published", "whole")

#: In place of the features, for choices from all candidates.
WHOLE: Final = "all candidates"

#: Methods whose fits are made a second time, with an unknown offset of the other functional.
CONTROLLED: Final = ("random", "published-bayes", "goal-surfaces-EF")


@dataclass(frozen=True)
class Settings:
    """Settings of the study.

    Parameters
    ----------
    sets : tuple of str
        One set: core and candidates.
    seed : int
    repeats : int
    budgets : tuple of int
        Numbers of candidates to choose.
    degree : int
        Of the potential that is fitted, and of features M.
    small, large : int
        Degrees of features S and L.
    cutoff : float, Å
    held : float
        Share of every config type that is set aside.
    groups : tuple of str
        Some of :data:`GROUPS`.
    extra_repeats : int
        Of the groups that are not among :data:`MAIN`.
    methods : tuple of str
        Names of methods; all of the groups where it is empty.
    control : bool
        Whether some fits are made with an offset of the other functional too.
    epochs : int
        Passes over the structures in which the small network is trained.
    declared : str
        The method that was named before any result, for the comparisons of the goal.
    """

    sets: tuple[str, ...]
    seed: int = 0
    repeats: int = 20
    budgets: tuple[int, ...] = (5, 10, 20, 50, 100)
    degree: int = 16
    small: int = 12
    large: int = 19
    cutoff: float = 5.0
    held: float = 0.25
    groups: tuple[str, ...] = tuple(GROUPS)
    extra_repeats: int = 20
    methods: tuple[str, ...] = ()
    control: bool = True
    epochs: int = 200
    declared: str = "goal-surfaces-EF"

    def __post_init__(self) -> None:
        if unknown := [name for name in self.groups if name not in GROUPS]:
            raise InputError(f"groups {', '.join(unknown)} are not known; use some of {', '.join(GROUPS)}")
        if len(self.sets) != 1:
            raise InputError(f"this study is of one set of structures; got {len(self.sets)}")
        if not 0 < self.held < 1:
            raise InputError(f"the share that is set aside must be between 0 and 1; got {self.held}")


def tasks(settings: Settings) -> list[dict[str, Any]]:
    """One task for every group of methods and repeat; first all repeats of the main groups."""
    repeats = {True: settings.repeats, False: min(settings.repeats, settings.extra_repeats)}
    ordered = sorted(
        (group not in MAIN, repeat, settings.groups.index(group), group)
        for group in settings.groups
        for repeat in range(repeats[group in MAIN])
    )
    return [{"repeat": repeat, "group": group} for _, repeat, _, group in ordered]


def cost(settings: Settings, task: Any) -> float:
    """Seconds at standard size."""
    return GROUPS[str(task["group"])] * len(settings.budgets) / 5 * (settings.degree / 16) ** 3


def set_aside(settings: Settings, frames: Frames, repeat: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Candidates of one repeat (positions in the set): those to choose from, and those set aside.

    Of every config type the same share is set aside, rounded; which of them is drawn anew for every repeat and is the
    same for all methods.
    """
    rng = np.random.default_rng((settings.seed, repeat))
    held: list[NDArray[np.int64]] = []
    for kind in TYPES:
        members = np.flatnonzero(frames.config_type == kind)
        held.append(rng.permutation(members)[: round(settings.held * len(members))])
    aside = np.sort(np.concatenate(held))
    return np.setdiff1d(candidates_of(frames), aside), aside


def candidates_of(frames: Frames) -> NDArray[np.int64]:
    """Positions of all candidates in the set."""
    return np.flatnonzero(~np.isin(frames.config_type, CORE))
