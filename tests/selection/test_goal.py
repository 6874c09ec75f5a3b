"""Goals and force scores against dense formulas, all subsets, and the obvious slow greedy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from aliquot.errors import SelectionError
from aliquot.information import Posterior, Reduction, Target, gather, reduction
from aliquot.selection import Constraints, Cost, select
from aliquot.table import KINDS, Features

Maker = Callable[..., Features]
PRECISION = 1e-2
FORCE = KINDS.index("force")


def inverse(table: Features, picks: list[int], known: Features | None = None) -> np.ndarray:
    P = PRECISION * np.eye(table.n_features)
    for part in [table[np.array(picks, int)]] + ([known] if known is not None else []):
        X = part.weight[:, None] * part.rows / part.prior
        P += X.T @ X
    return np.linalg.inv(P)


def variance(T: np.ndarray, table: Features, picks: list[int], known: Features | None = None) -> float:
    return float(np.einsum("ij,jk,ik->", T, inverse(table, picks, known), T))


def points(table: Features) -> np.ndarray:
    """Energy rows, or the means of all rows."""
    out = []
    for i in range(len(table)):
        block = slice(table.offsets[i], table.offsets[i + 1])
        energy = table.kind[block] == KINDS.index("energy")
        rows = table.rows[block] / table.prior
        out.append((rows[energy] if energy.any() else rows).mean(axis=0))
    return np.array(out)


MIXED = (
    "random",
    "ragged blocks",
    "energy and forces",
    "duplicated",
    "rank-deficient",
    "float32",
    "clustered",
)


@pytest.mark.parametrize("kind", MIXED)
@pytest.mark.parametrize("lost_digits", [1e-7, 0.0])
def test_gains_stay_those_of_dense_formulas(
    kind: str, lost_digits: float, pool_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reduction, "_LOST_DIGITS", lost_digits)  # 0: new coordinates for every pick
    table = pool_of(kind, n=20, d=7)
    T = np.random.default_rng(1).normal(size=(4, 7))
    state = Reduction(Posterior(np.full(7, PRECISION)), table, T)
    picks: list[int] = []
    for pick in (3, 11, 0):
        now = variance(T, table, picks)
        assert state.variance == pytest.approx(now, rel=1e-8)
        expected = [now - variance(T, table, [*picks, i]) for i in range(len(table))]
        np.testing.assert_allclose(state.gains, expected, rtol=1e-7, atol=1e-8 * now)  # of the dense inverse
        X = [
            table.weight[b, None] * table.rows[b] / table.prior
            for b in map(slice, table.offsets[:-1], table.offsets[1:])
        ]
        slopes = [np.sum((T @ inverse(table, picks) @ x.T) ** 2) for x in X]
        np.testing.assert_allclose(state.slopes, slopes, rtol=1e-6, atol=1e-9 * max(slopes))
        state.absorb(pick)
        picks.append(pick)


def test_a_weak_prior_costs_no_digits(pool_of: Maker) -> None:
    """Twelve orders between prior and data, where differences of variances would have none left."""
    table = pool_of("energy and forces", n=30, d=9)
    T = np.random.default_rng(1).normal(size=(3, 9))
    state = Reduction(Posterior(np.full(9, 1e-12)), table, T)
    exact = Posterior(np.full(9, 1e-12))
    for pick in (4, 9, 20, 1, 7):
        state.absorb(pick)
        exact.absorb(gather(table, np.array([pick])).weighted)
        left = float(np.sum(np.square(exact.whiten(T))))
        assert state.variance == pytest.approx(left, rel=1e-6)
        for i in (0, 15, 29):
            after = exact.copy()
            after.absorb(gather(table, np.array([i])).weighted)
            removed = left - float(np.sum(np.square(after.whiten(T))))
            assert state.gains[i] == pytest.approx(removed, rel=1e-5, abs=1e-9 * left)


@pytest.mark.parametrize("kind", ["random", "energy and forces", "ragged blocks"])
@pytest.mark.parametrize("given", [False, True])
def test_picks_are_those_of_the_obvious_greedy(kind: str, given: bool, pool_of: Maker) -> None:
    table = pool_of(kind, n=24, d=5)
    known = None
    if given:
        known, table = table[:5], table[5:]
    T = points(table) / np.sqrt(len(table))
    chosen = select(table, 6, known=known, score="goal", precision=PRECISION)
    picks: list[int] = []
    before = variance(T, table, [], known)
    for k, pick in enumerate(chosen.index.tolist()):
        now = variance(T, table, picks, known)
        gain = [
            -1.0 if i in picks else now - variance(T, table, [*picks, i], known) for i in range(len(table))
        ]
        assert pick == int(np.argmax(gain))
        assert chosen.gain is not None
        assert chosen.gain[k] == pytest.approx(max(gain) / before, rel=1e-7)
        picks.append(pick)
    assert chosen.gain_unit == "share of variance"
    assert chosen.recipe["goal"][0]["name"] == "pool"


@pytest.mark.parametrize("kind", ["random", "energy and forces", "duplicated"])
def test_no_subset_beats_the_certificate(kind: str, pool_of: Maker) -> None:
    table = pool_of(kind, n=9, d=4)
    T = points(table) / np.sqrt(len(table))
    before = variance(T, table, [])
    for n in (1, 2, 4):
        chosen = select(table, n, score="goal", precision=PRECISION)
        best = max(1.0 - variance(T, table, list(s)) / before for s in combinations(range(len(table)), n))
        assert chosen.certificate is not None
        assert chosen.certificate.achieved <= best + 1e-9 <= chosen.certificate.upper_bound + 2e-9


def test_goals_share_the_importance_that_was_stated(pool_of: Maker) -> None:
    """Each goal is scaled by its own variance before the first pick."""
    table = pool_of("random", n=12, d=4)
    a = Target.combinations(table, np.eye(12)[:1] - np.eye(12)[1:2], name="difference").with_share(3.0)
    b = Target.of(table, name="some", weight=np.arange(12) * 1.0)
    x = points(table)
    roots = {"a": x[:1] - x[1:2], "b": x * np.sqrt(np.arange(12) / 66)[:, None]}
    first = {k: variance(T, table, []) for k, T in roots.items()}
    assert a.variance(Posterior(np.full(4, PRECISION))) == pytest.approx(first["a"])
    assert b.variance(Posterior(np.full(4, PRECISION))) == pytest.approx(first["b"])
    chosen = select(table, 1, score="goal", goal=(a, b), precision=PRECISION)

    def left(i: int) -> float:
        return sum(s * variance(roots[k], table, [i]) / first[k] for k, s in (("a", 0.75), ("b", 0.25)))

    assert chosen.gain is not None
    assert chosen.index[0] == np.argmin([left(i) for i in range(12)])
    assert chosen.gain[0] == pytest.approx(1.0 - left(int(chosen.index[0])), rel=1e-9)
    assert sum("difference" in note or "some" in note for note in chosen.notes) == 2


def test_pairs_are_only_worth_something_together() -> None:
    """The second half of a pair is worth more after the first: no stale value may serve as a bound."""
    table = Features.from_array(np.diag([1.0, 1.0, 1.0]), weight=np.array([100.0, 100.0, 100.0]))
    target = Target.combinations(table, np.array([[1.0, -1.0, 0.0]]), name="difference")
    both = select(table, 2, score="goal", goal=(target,), precision=1.0)
    assert sorted(both.index.tolist()) == [0, 1]
    assert both.gain is not None
    assert both.gain.sum() == pytest.approx(1.0, abs=1e-3)


def test_budgets_and_quotas_hold_for_goals(pool_of: Maker) -> None:
    table = pool_of("energy and forces", n=20, d=4)
    cost = np.random.default_rng(5).uniform(1, 4, 20)
    chosen = select(table, score="goal", precision=PRECISION, cost=Cost(cost, budget=8.0))
    assert cost[chosen.index].sum() <= 8.0
    labels = np.array(["a"] * 10 + ["b"] * 10)
    quota = select(
        table,
        5,
        score="goal",
        precision=PRECISION,
        groups=Constraints(labels=labels, at_least={"a": 2}, at_most={"b": 1}),
    )
    assert np.count_nonzero(labels[quota.index] == "b") <= 1


def test_what_a_goal_cannot_be_is_refused(pool_of: Maker) -> None:
    table = pool_of("random", n=8, d=3)
    other = Target.of(pool_of("random", n=8, d=4), name="other")
    for arguments, said in (
        ({"score": "goal", "goal": (other,)}, "other has 4 features and candidates 3"),
        ({"score": "energy", "goal": ("pool",)}, "use score='goal'"),
        ({"score": "goal", "goal": ("surface",)}, "neither 'pool' nor a Target"),
    ):
        with pytest.raises(SelectionError, match=said):
            select(table, 2, **arguments)  # type: ignore[arg-type]
    with pytest.raises(SelectionError, match="none negative"):
        Target.of(table, name="bad", weight=-np.ones(8))
    with pytest.raises(SelectionError, match="must be positive"):
        other.with_share(0.0)


@pytest.mark.parametrize(
    ("score", "formula"),
    [
        ("force-max", lambda force, energy, nat: force.max()),
        ("force-mean", lambda force, energy, nat: force.mean()),
        ("energy + 0.5*force-max", lambda force, energy, nat: energy + 0.5 * force.max()),
        ("2*entropy + 3*energy", lambda force, energy, nat: 2 * nat + 3 * energy),
    ],
)
def test_force_scores_and_sums_are_what_they_say(
    score: str, formula: Callable[..., float], pool_of: Maker
) -> None:
    table = pool_of("energy and forces", n=24, d=5)
    table = table[np.flatnonzero(np.diff(table.offsets) > 1)]
    chosen = select(table, 5, score=score, precision=PRECISION, sensitivity=False)
    picks: list[int] = []
    for k, pick in enumerate(chosen.index.tolist()):
        covariance = inverse(table, picks)
        value = np.full(len(table), -np.inf)
        for i in set(range(len(table))) - set(picks):
            block = slice(table.offsets[i], table.offsets[i + 1])
            x, w, kind = table.rows[block] / table.prior, table.weight[block], table.kind[block]
            h = np.einsum("ij,jk,ik->i", x, covariance, x)
            X = x * w[:, None]
            nat = 0.5 * np.linalg.slogdet(np.eye(len(X)) + X @ covariance @ X.T)[1]
            value[i] = formula(h[kind == FORCE], h[kind != FORCE].mean(), nat)
        assert pick == int(np.argmax(value))
        assert chosen.gain is not None
        assert chosen.gain[k] == pytest.approx(value.max(), rel=1e-8)
        picks.append(pick)


def test_forces_are_missed_by_name(pool_of: Maker) -> None:
    with pytest.raises(SelectionError, match=r"20 of 20 candidates have no force rows.*rows=energy"):
        select(pool_of("random", n=20), 2, score="force-max")
    for score in ("force", "0*energy", "-1*energy", "energy+energy", "goal+energy", "x*energy", ""):
        with pytest.raises(SelectionError, match="score"):
            select(pool_of("random", n=20), 2, score=score)
