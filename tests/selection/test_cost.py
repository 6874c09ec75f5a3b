"""Costs and budgets against slow, obvious versions: every candidate at every pick, all subsets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest

from aliquot.errors import InputError, SelectionError
from aliquot.selection import Constraints, Cost, Selection, select
from aliquot.selection.cost import GUARANTEE, knapsack
from aliquot.table import Features, Ids

Maker = Callable[..., Features]
PRECISION = 1e-3
MILD = {"precision": PRECISION, "sensitivity": False}


def precisions(table: Features, picks: list[int], known: Features | None = None) -> np.ndarray:
    P = PRECISION * np.eye(table.n_features)
    for part in [table[np.array(picks, int)]] + ([known] if known is not None else []):
        X = part.weight[:, None] * part.rows / part.prior
        P += X.T @ X
    return P


def information(table: Features, picks: list[int], known: Features | None = None) -> float:
    """Half the log-determinant that the picks add."""
    return 0.5 * float(
        np.linalg.slogdet(precisions(table, picks, known))[1]
        - np.linalg.slogdet(precisions(table, [], known))[1]
    )


def naive(
    table: Features, cost: np.ndarray, budget: float, *, per_cost: bool, known: Features | None = None
) -> list[int]:
    """Every affordable candidate at every pick."""
    picks: list[int] = []
    while True:
        spent = cost[picks].sum()
        left = [i for i in range(len(table)) if i not in picks and spent + cost[i] <= budget * (1 + 1e-12)]
        if not left:
            return picks
        now = information(table, picks, known)
        gain = np.array([information(table, [*picks, i], known) - now for i in left])
        picks.append(left[int(np.argmax(gain / cost[left] if per_cost else gain))])


@pytest.mark.parametrize("kind", ["random", "clustered", "ragged blocks", "energy and forces"])
@pytest.mark.parametrize("given", [False, True])
def test_a_budget_is_spent_as_the_better_of_two_naive_runs(kind: str, given: bool, pool_of: Maker) -> None:
    table = pool_of(kind, n=40, d=4)
    known = None
    if given:
        known, table = table[:6], table[6:]
    cost = np.random.default_rng(8).uniform(1, 20, len(table))
    strategies = set()
    for budget in (9.0, 40.0, 75.0):
        answer = select(table, known=known, cost=Cost(cost, budget), **MILD)
        runs = [naive(table, cost, budget, per_cost=p, known=known) for p in (True, False)]
        best = max(runs, key=lambda picks: round(information(table, picks, known), 6))
        assert answer.index.tolist() == best
        assert answer.spent == pytest.approx(cost[best].sum())
        assert answer.spent <= budget
        assert answer.gain is not None
        assert answer.gain.sum() == pytest.approx(information(table, best, known), rel=1e-6)
        assert answer.nested is False
        strategies.add(runs.index(best))
    assert strategies, "at least one of the two answers"


def test_both_ways_of_spending_are_needed(pool_of: Maker) -> None:
    won = set()
    for seed in range(30):
        table = pool_of("random", n=12, d=3, seed=seed)
        cost = np.random.default_rng(seed).uniform(1, 20, 12)
        runs = [naive(table, cost, 22.0, per_cost=p) for p in (True, False)]
        reached = [information(table, picks) for picks in runs]
        answer = select(table, cost=Cost(cost, 22.0), **MILD)
        assert information(table, answer.index.tolist()) == pytest.approx(max(reached), rel=1e-9)
        if abs(reached[0] - reached[1]) > 1e-6:
            won.add(int(np.argmax(reached)))
    assert won == {0, 1}


def best_within(table: Features, cost: np.ndarray, budget: float) -> float:
    """Over all subsets."""
    every = chain.from_iterable(combinations(range(len(table)), k) for k in range(1, len(table) + 1))
    return max((information(table, list(s)) for s in every if cost[list(s)].sum() <= budget), default=0.0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spread", [1.5, 100.0])
def test_guarantee_and_certificate_of_a_budget(seed: int, spread: float, pool_of: Maker) -> None:
    table = pool_of("random", n=9, d=3, seed=seed)
    cost = np.random.default_rng(seed).permutation(np.geomspace(1, spread, 9))
    for share in (0.15, 0.4, 0.8):
        budget = max(share * cost.sum(), cost.min())
        optimum = best_within(table, cost, budget)
        answer = select(table, cost=Cost(cost, budget), **MILD)
        reached = information(table, answer.index.tolist())
        assert reached >= GUARANTEE * optimum
        assert reached >= max(information(table, [i]) for i in range(9) if cost[i] <= budget) - 1e-9
        assert answer.certificate is not None
        assert answer.certificate.achieved == pytest.approx(reached, rel=1e-6)
        assert answer.certificate.upper_bound >= optimum * (1 - 1e-9)
        assert any("31.6%" in note for note in answer.notes)


def test_gain_per_cost_alone_would_fail() -> None:
    """A trifle that is cheaper still, and what would have taught all no longer fits."""
    table = Features.from_array(np.array([[0.02, 0.0], [0.0, 1000.0]]))
    cost = np.array([1e-3, 100.0])
    answer = select(table, cost=Cost(cost, 100.0), precision=1.0, sensitivity=False)
    assert naive(table, cost, 100.0, per_cost=True) == [0]
    assert answer.index.tolist() == [1]


@pytest.mark.parametrize("score", ["entropy", "energy"])
def test_n_picks_by_gain_per_cost(score: str, pool_of: Maker) -> None:
    """Lazy, with the front, on a pool of some size: against updates of all candidates at every pick."""
    table = pool_of("random", n=3000, d=10)
    table = replace(table, weight=np.ones(3000))
    cost = np.random.default_rng(1).uniform(1, 30, 3000)
    answer = select(table, 60, cost=cost, score=score, **MILD)
    x = table.rows / table.prior
    inverse, picks = np.eye(10) / PRECISION, list[int]()
    for _ in range(60):
        h = np.einsum("ij,jk,ik->i", x, inverse, x)
        worth = (0.5 * np.log1p(h) if score == "entropy" else h) / cost
        worth[picks] = -1.0
        pick = int(np.argmax(worth))
        picks.append(pick)
        v = inverse @ x[pick]
        inverse -= np.outer(v, v) / (1.0 + x[pick] @ v)
    assert answer.index.tolist() == picks
    assert answer.nested is True
    assert answer.budget is None
    np.testing.assert_array_equal(answer.cost, cost[picks])


@pytest.mark.parametrize("given", [False, True])
def test_fps_within_a_budget_is_the_better_of_two_naive_runs(given: bool, pool_of: Maker) -> None:
    table = pool_of("random", n=60, d=3)
    known = None
    if given:
        known, table = table[:3], table[3:]
    x = table.rows / table.prior
    cost = np.random.default_rng(2).uniform(1, 9, len(table))
    answers = []
    for per_cost in (True, False):
        start = np.linalg.norm(x - x.mean(axis=0), axis=1)
        centres = [] if known is None else list(known.rows / known.prior)
        picks = [] if known is not None else [int(np.argmin(start))]
        while True:
            fits = cost[picks].sum() + cost <= 45.0
            fits[picks] = False
            if not fits.any():
                break
            away = np.min([np.linalg.norm(x - c, axis=1) for c in [*centres, *x[picks]]], axis=0)
            picks.append(int(np.argmax(np.where(fits, away / cost if per_cost else away, -1.0))))
        radius = np.min([np.linalg.norm(x - c, axis=1) for c in [*centres, *x[picks]]], axis=0).max()
        answers.append((radius, picks))
    answer = select(table, method="fps", known=known, cost=Cost(cost, 45.0))
    assert answer.index.tolist() == min(answers)[1]
    assert answer.certificate is None
    assert any(f"{min(answers)[0]:.4g}" in note for note in answer.notes)


def test_equal_costs_change_nothing_and_units_do_not_matter(pool_of: Maker) -> None:
    table = pool_of("clustered", n=50)
    plain = select(table, 12, **MILD)
    for cost in (1.0, 0.37, 1e6):
        within = select(table, cost=Cost(np.full(50, cost), 12 * cost), **MILD)
        assert within.index.tolist() == plain.index.tolist()
        assert within.certificate is not None
        assert plain.certificate is not None
        assert within.certificate.upper_bound == pytest.approx(plain.certificate.upper_bound, rel=1e-9)
    cost = np.random.default_rng(4).uniform(1, 5, 50)
    a = select(table, cost=Cost(cost, 30.0), **MILD)
    b = select(table, cost=Cost(1e5 * cost, 30e5), **MILD)
    assert a.index.tolist() == b.index.tolist()


@pytest.mark.parametrize("method", ["bayes", "fps"])
def test_what_is_known_or_repeated_is_never_bought(method: str, pool_of: Maker) -> None:
    table = pool_of("random", n=20)
    twice = table[np.arange(40) % 20]
    answer = select(twice, method=method, known=table[:5], cost=Cost(np.ones(40), 1000.0))
    assert sorted(answer.ids.hash) == sorted(table.ids.hash[5:])
    assert answer.spent == 15.0


def test_money_is_not_spent_on_nothing(pool_of: Maker) -> None:
    rows = np.zeros((6, 3))
    rows[2] = 1.0
    answer = select(Features.from_array(rows), cost=Cost(np.ones(6), 6.0))
    assert answer.index.tolist() == [2]
    assert "what else it could buy teaches nothing" in answer.stop


def test_the_stop_tells_what_was_spent(pool_of: Maker) -> None:
    table = pool_of("random", n=10)
    answer = select(table, cost=Cost(np.full(10, 8.0), 30.0, "atoms^3"), **MILD)
    assert answer.stop == (
        "3 of 10 candidates chosen for 24 of a budget of 30 atoms^3; the cheapest other costs 8"
    )
    assert answer.recipe["n"] is None
    assert answer.cost_unit == "atoms^3"


def test_a_record_with_costs_survives_json_and_one_without_is_read(pool_of: Maker) -> None:
    table = pool_of("random", n=10)
    answer = select(table, cost=Cost(np.arange(1.0, 11.0), 20.0, "s"), **MILD)
    again = Selection.from_json(answer.to_json())
    assert again.to_json() == answer.to_json()
    assert (again.spent, again.budget, again.cost_unit) == (answer.spent, 20.0, "s")
    old = json.loads(select(table, 3, **MILD).to_json())
    for key in ("cost", "cost_unit", "budget"):
        del old[key]
    assert Selection.from_json(json.dumps(old)).spent is None
    with pytest.raises(InputError, match="costs and picks"):
        replace(answer, cost=np.ones(1))


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (np.ones(4), r"shape \(4,\) for 10 candidates"),
        (np.r_[np.ones(9), 0.0], "candidate array#9 is 0; costs are positive"),
        (Cost(np.r_[np.ones(9), np.nan], 3.0, "h"), "is nan h; costs are positive"),
        (Cost(np.ones(10), -1.0), "budget must be positive"),
        (
            Cost(np.full(10, 7.5), 3.0, "h"),
            "a budget of 3 h buys none of 10 candidates; the cheapest costs 7.5",
        ),
    ],
)
def test_costs_that_make_no_sense_are_refused(cost: object, message: str, pool_of: Maker) -> None:
    table = replace(pool_of("random", n=10), ids=Ids.numbered(10))
    with pytest.raises(SelectionError, match=message):
        select(table, 3, cost=cost)  # type: ignore[arg-type]


def test_the_front_door_wants_a_number_or_a_budget(pool_of: Maker) -> None:
    table = pool_of("random", n=10)
    with pytest.raises(SelectionError, match="neither n nor a budget"):
        select(table, cost=np.ones(10))
    with pytest.raises(SelectionError, match="random cannot heed costs; leave them out or use bayes, fps"):
        select(table, 3, method="random", cost=np.ones(10))
    with pytest.raises(SelectionError, match="cannot heed constraints"):
        select(table, 3, method="random", groups=Constraints(apart=1.0))
    both = select(table, 3, cost=Cost(np.ones(10), 8.0), **MILD)
    assert len(both) == 3


def test_knapsack_bounds_every_whole_choice() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        values, cost = rng.uniform(0, 1, 9), rng.uniform(0.1, 1, 9)
        every = chain.from_iterable(combinations(range(9), k) for k in range(10))
        whole = max(values[list(s)].sum() for s in every if cost[list(s)].sum() <= 1.5)
        assert knapsack(values, cost, 1.5) >= whole - 1e-12
    assert knapsack(np.ones(4), np.ones(4), 2.5) == pytest.approx(2.5)
