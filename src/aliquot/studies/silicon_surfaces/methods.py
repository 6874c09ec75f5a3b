"""Which candidates does each method choose? Our selectors and the published ones, asked the same question.

Labels of the core are known, so its evidence may set the prior (``labels``); those of candidates are never seen. The
number of atoms is the cost, where costs count: the budget of N structures is then N times the mean size of a candidate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Target
from aliquot.selection import METHODS, Cost, select
from aliquot.studies.silicon_surfaces import published
from aliquot.studies.silicon_surfaces.settings import WEIGHTS
from aliquot.studies.silicon_surfaces.slabs import J_PER_M2, SURFACES, area, ideal_slab
from aliquot.studies.silicon_surfaces.stock import Stock
from aliquot.table import KINDS, Features, Ids

__all__ = ["WAYS", "Question", "Way", "choices", "ways_of"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: What the evidence may set, and what else may: nothing.
_LABELS, _DEFAULT = "labels", "default"


@dataclass(frozen=True)
class Way:
    """One line of the comparison.

    Parameters
    ----------
    name : str
    group : str
        Piece of work that it belongs to.
    method : str
        Of :data:`aliquot.selection.METHODS`, or one of :mod:`aliquot.studies.silicon_surfaces.published`.
    rows : {"means", "EF", "EFV"}
        One energy row per structure, or blocks with force (and virial) rows.
    parameters : dict
    prior : {"", "labels", "default"}
        For the Bayesian ones: where the precision of the prior comes from.
    goal : tuple of {"pool", "surfaces"}
    priced : bool
        Whether atoms are the cost.
    features : str
    """

    name: str
    group: str
    method: str
    rows: str = "means"
    parameters: dict[str, Any] = field(default_factory=dict)
    prior: str = ""
    goal: tuple[str, ...] = ()
    priced: bool = False
    features: str = "M"


def _bayes(
    name: str, group: str, score: str, rows: str = "means", prior: str = _LABELS, goal: Any = (), **more: Any
) -> Way:
    return Way(name, group, "bayes", rows, {"score": score, "sensitivity": False}, prior, goal, **more)


_BOTH: Final = ("surfaces", "pool")

#: Every line of the comparison.
WAYS: Final = (
    Way("random", "points", "random"),
    Way("stratified", "points", "stratified"),
    Way("kmedoids", "points", "kmedoids"),
    Way("kmeans", "points", "kmeans"),
    Way("fps", "points", "fps"),
    Way("cur", "points", "cur"),
    Way("leverage", "slow", "leverage"),
    Way("maxvol", "slow", "maxvol"),
    Way("direct", "slow", "direct"),
    Way("entropy", "points", "entropy"),
    Way("msc", "points", "msc"),
    Way("exchange", "slow", "exchange", prior=_LABELS),
    Way("dpp", "slow", "dpp"),
    Way("kdpp", "slow", "kdpp"),
    Way("dpp-map", "slow", "dpp-map"),
    Way("two-level", "points", "two-level", prior=_LABELS),
    Way("sieve", "streams", "sieve", prior=_LABELS),
    Way("sketch", "streams", "sketch", prior=_LABELS),
    _bayes("bayes-energy-E-default", "points", "energy", prior=_DEFAULT),
    _bayes("bayes-energy-E", "points", "energy"),
    _bayes("bayes-entropy-E", "points", "entropy"),
    _bayes("goal-pool-E", "points", "goal", goal=("pool",)),
    _bayes("goal-surfaces-E", "points", "goal", goal=("surfaces",)),
    _bayes("goal-both-E", "points", "goal", goal=_BOTH),
    _bayes("bayes-energy-EF", "rows", "energy", "EF"),
    _bayes("bayes-entropy-EF", "rows", "entropy", "EF"),
    _bayes("bayes-entropy-EFV", "rows-more", "entropy", "EFV"),
    _bayes("goal-pool-EF", "rows", "goal", "EF", goal=("pool",)),
    _bayes("bayes-energy-E-small", "rows", "energy", features="S"),
    _bayes("goal-surfaces-EF", "rows", "goal", "EF", goal=("surfaces",)),
    _bayes("goal-both-EF", "rows", "goal", "EF", goal=_BOTH),
    _bayes("bayes-energy-E-cost", "rows", "energy", priced=True),
    _bayes("goal-surfaces-EF-cost", "cost", "goal", "EF", goal=("surfaces",), priced=True),
    Way("published-bayes", "published", "bayes"),
    Way("published-kmedoids", "published", "kmedoids"),
    Way("published-fps", "published", "fps"),
    Way("published-cur", "published", "cur"),
    Way("random", "whole", "random"),
    Way("kmedoids", "whole", "kmedoids"),
    Way("fps", "whole", "fps"),
    _bayes("bayes-energy-E", "whole", "energy"),
    _bayes("bayes-energy-EF", "whole", "energy", "EF"),
    _bayes("bayes-entropy-EF", "whole", "entropy", "EF"),
    _bayes("goal-pool-E", "whole", "goal", goal=("pool",)),
    _bayes("goal-surfaces-E", "whole", "goal", goal=("surfaces",)),
    _bayes("goal-both-E", "whole", "goal", goal=_BOTH),
    _bayes("goal-pool-EF", "whole", "goal", "EF", goal=("pool",)),
    _bayes("goal-surfaces-EF", "whole", "goal", "EF", goal=("surfaces",)),
    _bayes("goal-both-EF", "whole", "goal", "EF", goal=_BOTH),
    Way("published-bayes", "whole", "bayes"),
    Way("published-kmedoids", "whole", "kmedoids"),
    Way("published-fps", "whole", "fps"),
    *(
        one
        for group, features in (
            ("small", "S"),
            ("large", "L"),
            ("net-core", "net-core"),
            ("net-total", "net-total"),
        )
        for one in (
            Way("kmedoids", group, "kmedoids", features=features),
            Way("fps", group, "fps", features=features),
            _bayes(
                "bayes-energy-E",
                group,
                "energy",
                prior=_LABELS if len(features) == 1 else _DEFAULT,
                features=features,
            ),
            Way("published-bayes", group, "bayes", features=features),
            Way("published-kmedoids", group, "kmedoids", features=features),
            Way("published-fps", group, "fps", features=features),
        )
    ),
)


def ways_of(group: str) -> tuple[Way, ...]:
    """The lines that a piece of work consists of."""
    return tuple(way for way in WAYS if way.group == group)


def choices(stock: Stock, way: Way, pool: Index, repeat: int) -> Iterator[tuple[int, Index]]:
    """What a method chooses of a pool (positions in the set), for every budget.

    Yields
    ------
    (int, array of int)
        The budget, and positions in the set in the order chosen.
    """
    question = Question(stock, way, pool, repeat)
    budgets = [n for n in stock.settings.budgets if n <= len(pool)]
    kept: Index | None = None
    for n in sorted(budgets, reverse=True):
        if kept is not None:
            yield n, pool[kept[:n]]
            continue
        index, nested = question.answer(n)
        kept = index if nested else None
        yield n, pool[index]


@dataclass(frozen=True, eq=False)
class Question:
    """One method and the pool of one repeat.

    Parameters
    ----------
    stock : Stock
    way : Way
    pool : array of int
        Positions in the set.
    repeat : int
    """

    stock: Stock
    way: Way
    pool: Index
    repeat: int

    def answer(self, n: int) -> tuple[Index, bool]:
        """Positions in the pool, and whether fewer would have been the first of them."""
        if self.way.name.startswith("published"):
            return self._published(n)
        way, candidates, known = self.way, self._candidates, self._known
        parameters = dict(way.parameters)
        if way.prior == _LABELS:
            parameters["precision"] = self.stock.precision
        if way.goal:
            parameters["goal"] = self._targets
        if way.method == "stratified":
            parameters["labels"] = self.stock.frames.config_type[self.pool]
        cost = None
        if way.priced:
            atoms = self.stock.frames.sizes[self.pool].astype(np.float64)
            cost = Cost(atoms, budget=n * float(atoms.mean()), unit="atoms")
        chosen = select(
            candidates,
            None if way.priced else n,
            method=way.method,
            known=known,
            cost=cost,
            seed=1000 * self.repeat + n,
            **parameters,
        )
        gives = "nested" in METHODS[way.method].gives and bool(chosen.nested) and not way.priced
        return np.asarray(chosen.index, np.int64), gives and way.method != "random"

    # --- tables ---------------------------------------------------------------------------------------------

    @cached_property
    def _candidates(self) -> Features:
        if self.way.rows != "means":
            return _blocks_table(self.stock, self.pool, virials=self.way.rows == "EFV")
        return _means_table(self.stock, self.way.features, self.pool)

    @cached_property
    def _known(self) -> Features:
        if self.way.rows == "means":
            return _means_table(self.stock, self.way.features, self.stock.core)
        rows = np.array(self.stock.array("core_rows"))
        return Features.from_array(
            rows,
            offsets=np.array([0, len(rows)]),
            recipe=self._candidates.recipe,
            ids=Ids.numbered(1, "core"),
        )

    @cached_property
    def _targets(self) -> tuple[Target | str, ...]:
        made: dict[str, Target | str] = {"pool": "pool"}
        if "surfaces" in self.way.goal:
            made["surfaces"] = _surface_target(self.stock, self.way)
        return tuple(made[name] for name in self.way.goal)

    def _published(self, n: int) -> tuple[Index, bool]:
        stock, name, way = self.stock, self.way.features, self.way.method
        all_means = stock.array(f"{name}-means")
        means = np.array(all_means[self.pool])
        if way == "kmedoids":
            return published.kmedoids(means, n), False
        if way == "fps":
            return published.fps(np.array(all_means[stock.core]), means, n), True
        if way == "cur":
            return published.cur(
                means, n, np.random.default_rng((stock.settings.seed, self.repeat, n))
            ), False
        if way != "bayes":
            raise SelectionError(f"there is no published method {way!r}")
        values = stock.array(f"{name}-values")

        def atoms(k: int) -> Array:
            at = stock.row_of[int(self.pool[k])]
            return np.array(values[stock.atom_offsets[at] : stock.atom_offsets[at + 1]])

        return published.bayes(np.array(stock.array(f"{name}-moment")), means, atoms, n), True


def _means_table(stock: Stock, features: str, which: Index) -> Features:
    """One energy row per structure."""
    return Features.from_array(
        np.array(stock.array(f"{features}-means")[which]),
        weight=WEIGHTS.energy * np.sqrt(stock.frames.sizes[which]),
        prior=stock.prior(features),
        recipe={"features": features},
        ids=stock.frames.ids[which],
    )


def _blocks_table(stock: Stock, which: Index, *, virials: bool) -> Features:
    """Energy, force and perhaps virial rows of basis S, in coordinates of isotropic prior."""
    kind: list[Any] = []
    weight: list[Array] = []
    rows: list[Index] = []
    for i in which.tolist():
        n, at = int(stock.frames.sizes[i]), stock.row_of[i]
        start, stop = int(stock.row_offsets[at]), int(stock.row_offsets[at + 1])
        counts = [1, stop - start - 7, 6 if virials else 0]
        rows.append(np.arange(start, start + sum(counts)))
        kind.append(np.repeat([KINDS.index(k) for k in ("energy", "force", "virial")], counts))
        factors = (WEIGHTS.energy * np.sqrt(n), WEIGHTS.forces, WEIGHTS.virial / np.sqrt(n))
        weight.append(np.repeat(factors, counts))
    table = Features.from_array(
        np.array(stock.array("rows")[np.concatenate(rows)]),
        offsets=np.concatenate(([0], np.cumsum([len(one) for one in rows]))),
        weight=np.concatenate(weight),
        recipe={"features": "S", "virials": virials},
        ids=stock.frames.ids[which],
    )
    return replace(table, kind=np.concatenate(kind).astype(np.uint8))


def _surface_target(stock: Stock, way: Way) -> Target:
    """The three surface energies of the ideal slabs, J/m²."""
    if way.rows == "means":
        table = Features.from_array(
            np.array(stock.array(f"{way.features}-slabs")), prior=stock.prior(way.features)
        )
    else:
        table = Features.from_array(stock.array("S-slabs") / stock.prior("S"))
    slabs = [ideal_slab(name) for name in SURFACES]
    bulk = len(slabs)
    combined = np.zeros((bulk, bulk + 1))
    for k, slab in enumerate(slabs):
        combined[k, k] = len(slab) / (2 * area(slab)) * J_PER_M2
        combined[k, bulk] = -combined[k, k]
    return Target.combinations(table, combined, name="surfaces")
