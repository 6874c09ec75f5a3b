"""Constraints against enumeration: a pick is allowed where some completion keeps to everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from aliquot.errors import SelectionError
from aliquot.selection import Constraints, Cost, select
from aliquot.selection.constraints import distinct_at, scale_of
from aliquot.table import Features, Ids

Maker = Callable[..., Features]
PRECISION = 1e-3
MILD = {"precision": PRECISION, "sensitivity": False}


def information(table: Features, picks: tuple[int, ...]) -> float:
    X = table.weight[list(picks), None] * table.rows[list(picks)] / table.prior
    return 0.5 * float(np.linalg.slogdet(np.eye(len(X)) + X @ X.T / PRECISION)[1])


def keeps(picks: tuple[int, ...], limits: Constraints, cost: np.ndarray, budget: float) -> bool:
    labels = limits.labels
    assert labels is not None
    counts = Counter(labels[list(picks)].tolist())
    least = all(counts[g] >= k for g, k in limits.at_least.items())
    most = all(counts[g] <= k for g, k in limits.at_most.items())
    return least and most and cost[list(picks)].sum() <= budget


def naive(
    table: Features, n: int | None, limits: Constraints, cost: np.ndarray, budget: float, *, per_cost: bool
) -> list[int]:
    """At every pick the best candidate after which a completion exists, found by trying all of them."""
    everyone = range(len(table))
    sizes = everyone if n is None else [n - 1]
    answers = [
        frozenset(s) for k in sizes for s in combinations(everyone, k + 1) if keeps(s, limits, cost, budget)
    ]
    picks: list[int] = []
    while n is None or len(picks) < n:
        left = [i for i in everyone if i not in picks and any({*picks, i} <= answer for answer in answers)]
        if not left:
            break
        now = information(table, tuple(picks))
        gain = np.array([information(table, (*picks, i)) - now for i in left])
        picks.append(left[int(np.argmax(gain / cost[left] if per_cost else gain))])
    return picks


LIMITS = [
    {"at_most": {"a": 1}},
    {"at_most": {"a": 1, "b": 2}},
    {"at_least": {"c": 1}},
    {"at_least": {"b": 2, "c": 2}},
    {"at_least": {"c": 2}, "at_most": {"a": 1, "b": 1}},
    {"at_least": {"b": 1, "c": 1}, "at_most": {"b": 1}},
]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_quotas_are_kept_as_by_enumeration(limits: dict, seed: int, pool_of: Maker) -> None:
    table = pool_of("random", n=9, d=3, seed=seed)
    labels = np.array(list("aaaabbbcc"))
    constraints = Constraints(labels=labels, **limits)
    free = np.full(9, 1.0)
    answer = select(table, 4, groups=constraints, **MILD)
    assert answer.index.tolist() == naive(table, 4, constraints, free, np.inf, per_cost=False)
    picks = tuple(answer.index.tolist())
    assert keeps(picks, constraints, free, np.inf)
    rivals = [s for s in combinations(range(9), 4) if keeps(s, constraints, free, np.inf)]
    optimum = max(information(table, s) for s in rivals)
    assert information(table, picks) >= 0.5 * optimum
    assert answer.certificate is not None
    assert answer.certificate.upper_bound >= optimum * (1 - 1e-9)
    assert answer.nested is not bool(constraints.at_least)
    assert answer.recipe["constraints"] == limits


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_quotas_within_a_budget_are_kept_as_by_enumeration(limits: dict, seed: int, pool_of: Maker) -> None:
    table = pool_of("random", n=8, d=3, seed=seed)
    constraints = Constraints(labels=np.array(list("aaabbbcc")), **limits)
    cost = np.random.default_rng(seed).uniform(1, 10, 8)
    for budget in (16.0, 30.0):
        every = chain.from_iterable(combinations(range(8), k) for k in range(1, 9))
        if not any(keeps(s, constraints, cost, budget) for s in every):
            with pytest.raises(SelectionError, match=r"cost at least .* more than the budget"):
                select(table, cost=Cost(cost, budget), groups=constraints, **MILD)
            continue
        answer = select(table, cost=Cost(cost, budget), groups=constraints, **MILD)
        runs = [naive(table, None, constraints, cost, budget, per_cost=p) for p in (True, False)]
        assert answer.index.tolist() == max(
            runs, key=lambda picks: round(information(table, tuple(picks)), 6)
        )
        assert keeps(tuple(answer.index.tolist()), constraints, cost, budget)


@pytest.mark.parametrize("method", ["bayes", "fps"])
def test_a_star_stands_for_the_groups_not_named(method: str, pool_of: Maker) -> None:
    table = pool_of("clustered", n=60)
    labels = np.array(list("abcdef") * 10)
    constraints = Constraints(labels=labels, at_least={"f": 7}, at_most={"*": 2, "f": 9, "a": 0})
    answer = select(table, 15, method=method, groups=constraints)
    assert Counter(labels[answer.index].tolist()) == Counter({"b": 2, "c": 2, "d": 2, "e": 2, "f": 7})


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("method", ["bayes", "fps"])
def test_picks_keep_their_distance(method: str, given: bool, pool_of: Maker) -> None:
    table = pool_of("clustered", n=80, d=3)
    known = None
    if given:
        known, table = table[:10], table[10:]
    x = table.rows / table.prior
    apart = 0.03 * scale_of(table)
    answer = select(table, 8, method=method, known=known, groups=Constraints(apart=apart))
    assert pdist(x[answer.index]).min() >= apart
    if known is not None:
        assert cdist(x[answer.index], known.rows / known.prior).min() >= apart
    free = select(table, 8, method=method, known=known)
    if method == "fps":
        assert answer.index.tolist() == free.index.tolist(), "the farthest is far enough or none is"
    else:
        assert answer.index.tolist() != free.index.tolist(), "the distance must matter in this test"


def test_picks_apart_are_the_naive_ones(pool_of: Maker) -> None:
    table = pool_of("clustered", n=70, d=3)
    x = table.rows / table.prior
    apart = 0.02 * scale_of(table)
    picks: list[int] = []
    for _ in range(10):
        far = [
            i
            for i in range(70)
            if i not in picks and all(np.linalg.norm(x[i] - x[j]) >= apart for j in picks)
        ]
        picks.append(max(far, key=lambda i: information(table, (*picks, i))))
    assert select(table, 10, groups=Constraints(apart=apart), **MILD).index.tolist() == picks


def test_too_few_apart_is_refused_with_numbers() -> None:
    table = Features.from_array(np.array([[0.0, 1.0], [0.01, 1.0], [1.0, 0.0], [1.01, 0.0]]))
    assert len(select(table, 2, groups=Constraints(apart=0.5))) == 2
    with pytest.raises(
        SelectionError, match=r"cannot select 3 .*after 2 no other candidate is at least 0\.5"
    ):
        select(table, 3, groups=Constraints(apart=0.5))
    labels = np.array(["a", "a", "b", "b"])
    with pytest.raises(SelectionError, match=r"group 'a' is 1 picks short.*at least 0\.5 apart"):
        select(table, 3, groups=Constraints(labels=labels, at_least={"a": 2}, apart=0.5))


@pytest.mark.parametrize("given", [False, True])
def test_near_duplicates_become_one(given: bool, pool_of: Maker) -> None:
    table = pool_of("clustered", n=900, d=2)
    known = None
    if given:
        known, table = table[:50], table[50:]
    x, tolerance = table.rows / table.prior, 0.02
    stay, near_known = distinct_at(tolerance, table, np.ones(len(table), bool), known)
    assert 0 < stay.sum() < len(table)
    assert pdist(x[stay]).min() >= tolerance
    if known is not None:
        gap = cdist(x, known.rows / known.prior).min(axis=1)
        assert near_known == (gap < tolerance).sum() > 0
        assert gap[stay].min() >= tolerance
    reach = np.vstack([x[stay], *([] if known is None else [known.rows / known.prior])])
    assert cdist(x[~stay], reach).min(axis=1).max() < tolerance
    order = np.random.default_rng(0).permutation(len(table))
    again, _ = distinct_at(tolerance, table[order], np.ones(len(table), bool), known)
    np.testing.assert_array_equal(again, stay[order])
    answer = select(table, 20, known=known, groups=Constraints(tolerance=tolerance), sensitivity=False)
    assert stay[answer.index].all()
    assert any(f"{(~stay).sum()} of {len(table)} candidates were left out" in note for note in answer.notes)


@pytest.mark.parametrize("method", ["bayes", "fps"])
def test_excluded_candidates_do_not_take_part(method: str, pool_of: Maker) -> None:
    table = pool_of("random", n=30)
    exclude = np.zeros(30, bool)
    exclude[select(table, 10, method=method).index] = True
    answer = select(table, 20, method=method, groups=Constraints(exclude=exclude))
    assert not exclude[answer.index].any()
    if method == "bayes":
        rest = table[np.flatnonzero(~exclude)]
        alone = select(rest, 5, precision=answer.recipe["precision"])
        assert alone.ids.hash.tolist() == answer.ids.hash[:5].tolist()
    assert "10 candidates were excluded by request" in answer.notes
    with pytest.raises(SelectionError, match="cannot select 21 of 30 candidates: 20 are left"):
        select(table, 21, method=method, groups=Constraints(exclude=exclude))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"at_most": {"a": 1}}, "need labels"),
        ({"labels": "aabb", "at_most": {"z": 1}}, "no candidate is of group 'z'; there are 'a', 'b'"),
        ({"labels": "aabb", "at_least": {"a": 3}}, "at least 3 of group 'a' are wanted, but only 2"),
        ({"labels": "aabb", "at_least": {"a": 2}, "at_most": {"a": 1}}, "at least 2 and at most 1"),
        ({"labels": "aabb", "at_least": {"a": 2, "b": 2}}, "add up to 4, more than the 3 to select"),
        ({"labels": "aabb", "at_most": {"*": 1}}, "cannot select 3 candidates: .* only 2 of 4"),
        ({"labels": "aab", "at_most": {"*": 1}}, "labels has 3 entries for 4 candidates"),
        ({"apart": -1.0}, "apart is a distance"),
        ({"tolerance": float("nan")}, "tolerance is a distance"),
    ],
)
def test_what_cannot_be_kept_is_refused(limits: dict, message: str) -> None:
    table = Features.from_array(np.eye(4))
    more = {**limits, "labels": np.array(list(limits["labels"]))} if "labels" in limits else limits
    with pytest.raises(SelectionError, match=message):
        select(table, 3, groups=Constraints(**more))
    with pytest.raises(SelectionError, match="Constraints record"):
        select(table, 3, groups=np.ones(4))  # type: ignore[arg-type]


def test_quotas_are_met_where_nothing_is_left_to_learn() -> None:
    """Zero gains are no reason to break a rule."""
    rows = np.zeros((12, 3))
    rows[:3] = np.eye(3)
    table = replace(Features.from_array(rows), ids=Ids.numbered(12))
    labels = np.array(["good"] * 3 + ["x"] * 5 + ["y"] * 4)
    constraints = Constraints(labels=labels, at_least={"y": 2}, at_most={"x": 1})
    answer = select(table, 6, groups=constraints)
    assert Counter(labels[answer.index].tolist()) == Counter({"good": 3, "y": 2, "x": 1}) or Counter(
        labels[answer.index].tolist()
    ) == Counter({"good": 3, "y": 3})


@pytest.mark.parametrize("method", ["bayes", "fps"])
def test_order_and_storage_do_not_matter(method: str, pool_of: Maker, tmp_path) -> None:
    table = pool_of("clustered", n=400, d=5)
    labels = np.array(list("abcd") * 100)
    cost = np.random.default_rng(3).uniform(1, 5, 400)

    def choose(order: np.ndarray, rows: np.ndarray | None = None) -> list[str]:
        part = table[order] if rows is None else replace(table, rows=rows)
        constraints = Constraints(labels=labels[order], at_least={"d": 5}, at_most={"a": 3}, tolerance=0.05)
        answer = select(part, method=method, cost=Cost(cost[order], 60.0), groups=constraints)
        return answer.ids.hash.tolist()

    plain = choose(np.arange(400))
    assert choose(np.random.default_rng(4).permutation(400)) == plain
    np.save(tmp_path / "rows.npy", table.rows)
    assert choose(np.arange(400), np.load(tmp_path / "rows.npy", mmap_mode="r")) == plain


def test_scale_is_the_root_mean_square_distance(pool_of: Maker) -> None:
    table = pool_of("ragged blocks", n=20)
    x = table.rows / table.prior
    points = np.array(
        [x[a:b].mean(axis=0) for a, b in zip(table.offsets[:-1], table.offsets[1:], strict=True)]
    )
    expected = np.sqrt(np.square(points - points.mean(axis=0)).sum(axis=1).mean())
    assert scale_of(table) == pytest.approx(expected)
