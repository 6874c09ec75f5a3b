"""Which method needs the fewest labels? Learning curves on labelled structures, the labels unseen by the methods.

Each repeat sets aside the same share of every group, the same structures for all methods. Methods choose among the
others, given what is known; the linear ACE model of the largest evidence is fitted to known and chosen, and judged by
those set aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from aliquot.errors import InputError, SelectionError
from aliquot.progress import Progress
from aliquot.studies.data import Data
from aliquot.studies.learning_curve.contenders import RANDOM, Contender, check, picks
from aliquot.studies.learning_curve.own import study_of
from aliquot.studies.learning_curve.pools import Pool, prepare_pool
from aliquot.studies.record import Conclusion
from aliquot.studies.results import Results

__all__ = ["REVISION", "Settings", "conclude", "cost", "prepare", "study_of", "tasks", "work"]

REVISION: Final = 1

#: What a row calls all structures set aside together.
ALL: Final = "all"

#: Candidates of a set that is not thinned, for times in advance.
_FEW: Final = 400


@dataclass(frozen=True)
class Settings:
    """A comparison.

    Parameters
    ----------
    sets : tuple of str
        Files; each is a pool, except ``train``.
    seed : int
    train : str
        Labelled structures that are known from the beginning, if any; one of ``sets``.
    known : tuple of str
        ``SET:GROUP``: structures of a pool that are known. Free atoms always are.
    methods : tuple of str
        As in ``bayes:score=energy``, and ``with forces`` behind those that should see force rows.
    default : str
        The method of ``methods`` that others are compared with besides a random choice; none where it is empty.
    features : str
        What methods see.
    force_functions : int
        Functions that those with forces see at most, in place of these features.
    functions : int
        Coefficients that the fitted model has at most.
    weights : tuple of float
        Of energies, forces and virials.
    group : str
        Key that divides structures into types.
    test : float
        Share set aside.
    shares : tuple of float
        Budgets, in parts of the candidates; each at least two structures.
    budgets : tuple of int
        Budgets, in structures, in place of shares.
    reference : tuple of float
        Larger shares to which a random choice is followed, to say what a method saves.
    repeats : int
    most : int
        Candidates taken of a set, drawn at random; 0 for all.
    by_group : bool
        Whether errors of every group are kept.
    """

    sets: tuple[str, ...]
    seed: int = 0
    train: str = ""
    known: tuple[str, ...] = ()
    methods: tuple[str, ...] = (RANDOM, "bayes", "fps")
    default: str = ""
    features: str = "ace"
    force_functions: int = 120
    functions: int = 400
    weights: tuple[float, ...] = (30.0, 1.0, 1.0)
    group: str = "config_type"
    test: float = 0.25
    shares: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    budgets: tuple[int, ...] = ()
    reference: tuple[float, ...] = (0.4, 0.7, 1.0)
    repeats: int = 10
    most: int = 0
    by_group: bool = False

    def __post_init__(self) -> None:
        check(self.methods)
        if self.default and self.default not in self.methods:
            raise InputError(f"default {self.default!r} is not among the methods {', '.join(self.methods)}")
        if self.train and self.train not in self.sets:
            raise InputError(f"train {self.train!r} is not among the sets {', '.join(self.sets)}")
        if not self.pools:
            raise InputError("there is no pool; name a file of labelled structures")
        if not 0 < self.test < 1 or any(not 0 < share <= 1 for share in (*self.shares, *self.reference)):
            raise InputError("test must lie between 0 and 1, shares above 0 and not above 1")
        if self.repeats < 2:
            raise InputError(
                f"{self.repeats} repeats say nothing of how sure a difference is; use 10 or more"
            )
        if any(n < 1 for n in self.budgets) or not (self.budgets or self.shares):
            raise InputError("budgets are numbers of structures, at least one of them, at least 1 each")
        if len(self.weights) != 3:
            raise InputError("weights are three numbers, of energies, forces and virials")

    @property
    def pools(self) -> tuple[str, ...]:
        """Sets that are chosen from."""
        return tuple(name for name in self.sets if name != self.train)

    def sizes(self, candidates: int) -> tuple[int, ...]:
        """Budgets, ascending, in structures.

        Raises
        ------
        InputError
            If a budget is larger than the pool.
        """
        if self.budgets and max(self.budgets) > candidates:
            raise InputError(
                f"a budget of {max(self.budgets)} is more than the {candidates} candidates that are left when"
                f" {self.test:.0%} of the pool are set aside"
            )
        told = self.budgets or tuple(max(2, round(share * candidates)) for share in self.shares)
        return tuple(sorted(set(told)))


def tasks(settings: Settings) -> list[dict[str, Any]]:
    """One repeat on one set."""
    return [{"set": name, "repeat": r} for r in range(settings.repeats) for name in settings.pools]


def cost(settings: Settings, task: Mapping[str, Any]) -> float:
    """Choices from pools of a few hundred structures where no number says more, and fits."""
    return float(len(settings.methods) * max(settings.most, _FEW))


def prepare(settings: Settings, data: Data, place: Path, progress: Progress) -> None:
    """Features, blocks and divisions of every set."""
    for number, name in enumerate(settings.pools, 1):
        if not _folder(place, settings, name).exists():
            prepare_pool(settings, data, name, _folder(place, settings, name), progress)
        progress("sets", number, len(settings.pools))


def _folder(place: Path, settings: Settings, name: str) -> Path:
    return place / f"pool-{settings.pools.index(name)}"


@lru_cache(maxsize=2)
def _pool(place: Path) -> Pool:
    return Pool(place)


def work(settings: Settings, data: Data, place: Path, task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every method, every budget, one division of one set."""
    pool = _pool(_folder(place, settings, task["set"]))
    repeat = int(task["repeat"])
    candidates, aside = pool.split(repeat)
    sizes = settings.sizes(len(candidates))
    rows: list[dict[str, Any]] = []
    for one in check(settings.methods):
        if one.forces and not pool.told["forces"]:
            continue
        wanted = sizes if one.label != RANDOM else _longer(settings, sizes, len(candidates))
        try:
            chosen = _choices(pool, one, candidates, wanted, repeat)
        except SelectionError as error:
            rows.append({"method": one.label, "failed": str(error)})
            continue
        rows += _curve(settings, pool, one, candidates, aside, chosen)
    return rows


def _longer(settings: Settings, sizes: tuple[int, ...], candidates: int) -> tuple[int, ...]:
    more = (round(share * candidates) for share in settings.reference)
    return (*sizes, *(n for n in more if n > sizes[-1]))


def _choices(
    pool: Pool, one: Contender, candidates: Any, sizes: Sequence[int], repeat: int
) -> dict[int, Any]:
    table = pool.table(one.forces)
    return picks(
        one,
        table[candidates],
        table[pool.known] if len(pool.known) else None,
        sizes,
        groups=pool.groups[candidates],
        precision=pool.precision(one.forces),
        seed=repeat,
    )


def _curve(
    settings: Settings, pool: Pool, one: Contender, candidates: Any, aside: Any, chosen: Mapping[int, Any]
) -> list[dict[str, Any]]:
    """Errors of the fits to known and chosen structures, budget by budget."""
    rows: list[dict[str, Any]] = []
    sums, there, near = pool.known_sums, np.empty(0, np.int64), None
    for step, (n, index) in enumerate(chosen.items()):
        if np.array_equal(index[: len(there)], there):
            new = index[len(there) :]
        else:
            sums, new = pool.known_sums, index
        sums = sums + pool.blocks.sums(candidates[new], pool.weights, pool.groups)
        there = index
        fitted = pool.blocks.fit(sums, near=near)
        near = fitted.evidence.precision
        told = {"method": one.label, "step": step, "n": n, "share": n / len(candidates)}
        rows += [{**told, **errors} for errors in _errors(settings, pool, fitted.z, aside)]
    return rows


def _errors(settings: Settings, pool: Pool, z: Any, aside: Any) -> list[dict[str, Any]]:
    """Of all structures set aside; the mean over groups of those of each; and, if asked for, of each group."""
    found = pool.blocks.errors(z, aside)
    groups = pool.groups[aside]
    rows = [{"group": ALL, **_rmse(found.energy, found.force_squares, found.components)}]
    for group in np.unique(groups):
        some = groups == group
        rows.append(
            {
                "group": str(group),
                **_rmse(found.energy[some], found.force_squares[some], found.components[some]),
            }
        )
    for quantity in ("energy", "force"):
        of_groups = np.array([row[f"{quantity}_rmse_meV"] for row in rows[1:]])
        rows[0][f"{quantity}_rmse_groups_meV"] = float(np.sqrt(np.nanmean(of_groups**2)))
    return rows if settings.by_group else rows[:1]


def _rmse(energy: Any, squares: Any, components: Any) -> dict[str, float]:
    n = int(components.sum())
    return {
        "energy_rmse_meV": 1e3 * float(np.sqrt(np.mean(energy**2))),
        "force_rmse_meV": 1e3 * float(np.sqrt(squares.sum() / n)) if n else float("nan"),
    }


def conclude(settings: Settings, results: Results) -> Conclusion:
    """Advice for one set; standings over several."""
    if len(settings.pools) == 1:
        from aliquot.studies.learning_curve.advice import advise

        return advise(settings, results)
    from aliquot.studies.learning_curve.standings import stand

    return stand(settings, results)
