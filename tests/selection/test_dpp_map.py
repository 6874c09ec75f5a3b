"""Likeliest sets against brute force, and every step of greedy and exchange against determinants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information.kernel import Kernel
from aliquot.information.likelihood import likelihood
from aliquot.selection import Bayes, Constraints, Cost, DPPMap, Selection, select
from aliquot.selection.dpp_exchange import Exchanges
from aliquot.table import Features, Ids

Matrix = NDArray[np.float64]
RIDGE = 1e-3


def _regularised(x: Matrix, kernel: str, ridge: float) -> tuple[Matrix, float]:
    k = Kernel.parse(kernel)
    L = k.fitted(x).between(x, x)
    epsilon = ridge * float(np.trace(L)) / len(L)
    return L + epsilon * np.eye(len(L)), epsilon


def _log_det(M: Matrix, some: NDArray[np.int64] | tuple[int, ...]) -> float:
    return float(np.linalg.slogdet(M[np.ix_(some, some)])[1])


def _choose(x: Matrix, n: int, **parameters: object) -> Selection:
    selector = DPPMap(**parameters)  # type: ignore[arg-type]
    return selector.select(Features.from_array(x), n, rng=np.random.default_rng(0))


@pytest.mark.parametrize("kernel", ["linear", "cosine", "cosine:exponent=2", "polynomial", "rbf"])
@pytest.mark.parametrize("n", [2, 4])
def test_against_brute_force(kernel: str, n: int) -> None:
    """Every greedy pick is the best next one; exchanges end where none helps; the bound holds for all sets."""
    found = 0
    for seed in range(12):
        x = np.random.default_rng([seed, n]).normal(size=(9, 4))
        M, epsilon = _regularised(x, kernel, RIDGE)
        best = max(_log_det(M, s) for s in itertools.combinations(range(9), n)) - n * np.log(epsilon)
        greedy = _choose(x, n, kernel=kernel, ridge=RIDGE)
        for t in range(n):
            now = 0.0 if t == 0 else _log_det(M, greedy.index[:t])
            steps = [_log_det(M, (*greedy.index[:t], j)) for j in range(9) if j not in greedy.index[:t]]
            step = _log_det(M, greedy.index[: t + 1])
            assert step == pytest.approx(max(steps), abs=1e-9)
            assert greedy.gain is not None
            assert greedy.gain[t] == pytest.approx(step - now - np.log(epsilon), abs=1e-9)
        swapped = _choose(x, n, kernel=kernel, ridge=RIDGE, swaps=50)
        assert greedy.certificate is not None
        assert swapped.certificate is not None
        reached = swapped.certificate.achieved
        assert reached == pytest.approx(_log_det(M, swapped.index) - n * np.log(epsilon), abs=1e-8)
        assert greedy.certificate.achieved - 1e-9 <= reached <= best + 1e-9
        for certificate in (greedy.certificate, swapped.certificate):
            assert certificate.upper_bound >= best - 1e-9
        others = [j for j in range(9) if j not in swapped.index]
        exchanged = [_log_det(M, (*np.delete(swapped.index, s), j)) for s in range(n) for j in others]
        assert max(exchanged) <= _log_det(M, swapped.index) + 1.1e-3
        found += reached > best - 2e-3
    assert found >= 8  # a local optimum need not be the global one, but mostly is


def test_long_runs_of_exchanges_stay_exact() -> None:
    """From a poor start: each exchange multiplies the determinant by what was promised, and updates lose little."""
    x = np.random.default_rng(1).normal(size=(300, 12))
    M, epsilon = _regularised(x, "linear", 0.01)
    L = likelihood(Features.from_array(x), np.arange(300), kernel=Kernel())
    state = Exchanges(L, np.argsort(np.square(x).sum(axis=1))[:40], epsilon, np.arange(300))
    made, before = 0, _log_det(M, state.picks)
    while state.improve():
        made, after = made + 1, _log_det(M, state.picks)
        assert after > before + 0.9e-3
        before = after
    assert made > 30
    fresh = Exchanges(L, state.picks, epsilon, np.arange(300))
    assert pytest.approx(np.linalg.inv(M[np.ix_(state.picks, state.picks)]), rel=1e-6, abs=1e-6) == fresh.B
    for now, anew in ((state.A, fresh.A), (state.B, fresh.B), (state.h, fresh.h)):
        assert now == pytest.approx(anew, rel=1e-7, abs=1e-7)


def test_linear_without_noise_is_energy_variance_with_that_prior() -> None:
    """The same greedy, one in kernel and one in coefficient space."""
    x = np.random.default_rng(2).normal(size=(80, 10))
    pool, epsilon = Features.from_array(x), RIDGE * float(np.square(x).sum()) / 80
    bayes = Bayes(score="energy", precision=epsilon).select(pool, 25, rng=np.random.default_rng(0))
    assert _choose(x, 25, ridge=RIDGE).index.tolist() == bayes.index.tolist()


@pytest.mark.parametrize("kernel", ["linear", "rbf:length=1.5"])
def test_known_structures(kernel: str) -> None:
    """The pair that, joined to the known ones, has the largest determinant."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(3, 4))
    known = Features.from_array(y, ids=Ids.numbered(3, "known"))
    chosen = DPPMap(kernel=kernel, precision=0.05, ridge=1e-9, swaps=20).select(
        Features.from_array(x), 2, known=known, rng=rng
    )
    everything = np.vstack((y, x))
    joint = Kernel.parse(kernel).between(everything, everything) + np.diag([0.05] * 3 + [0.0] * 9)
    values = {s: _log_det(joint, (0, 1, 2, 3 + s[0], 3 + s[1])) for s in itertools.combinations(range(9), 2)}
    assert tuple(sorted(chosen.index.tolist())) == max(values, key=lambda s: values[s])


def test_beyond_the_rank() -> None:
    x = np.random.default_rng(4).normal(size=(30, 3))
    chosen = _choose(x, 10)
    assert len(set(chosen.index.tolist())) == 10
    assert chosen.gain is not None
    assert np.all(chosen.gain[3:] < 5) and np.all(chosen.gain[:3] > 20)  # noqa: PT018


def test_quality_tips_the_balance() -> None:
    x, q = np.eye(4), np.array([1.0, 3.0, 2.0, 1.0])
    assert _choose(x, 2, quality=q).index.tolist() == [1, 2]


def _naive(
    M: Matrix, epsilon: float, cost: NDArray[np.float64], budget: float, *, per_cost: bool
) -> list[int]:
    """Every affordable candidate at every pick, by determinants."""
    picks, reached = list[int](), 0.0
    while True:
        left = [i for i in range(len(M)) if i not in picks and cost[[*picks, i]].sum() <= budget]
        if not left:
            return picks
        values = np.array([_log_det(M, (*picks, i)) - np.log(epsilon) * (len(picks) + 1) for i in left])
        worth = (values - reached) / (cost[left] if per_cost else 1.0)
        picks.append(left[int(np.argmax(worth))])
        reached = float(values[np.argmax(worth)])


@pytest.mark.parametrize("kernel", ["linear", "polynomial"])  # an rbf is equal for all at the first pick
@pytest.mark.parametrize("seed", range(4))
def test_a_budget_is_spent_as_the_better_of_two_naive_runs(kernel: str, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(10, 4))
    M, epsilon = _regularised(x, kernel, RIDGE)
    cost = np.random.default_rng(seed).uniform(1, 20, 10)
    for budget in (15.0, 40.0):
        runs = [_naive(M, epsilon, cost, budget, per_cost=p) for p in (True, False)]
        reached = [_log_det(M, tuple(r)) - len(r) * np.log(epsilon) for r in runs]
        chosen = select(
            Features.from_array(x), method="dpp-map", kernel=kernel, ridge=RIDGE, cost=Cost(cost, budget)
        )
        assert chosen.index.tolist() == runs[int(np.argmax(reached))]
        assert chosen.certificate is not None
        assert chosen.certificate.achieved == pytest.approx(max(reached))
        subsets = itertools.chain.from_iterable(itertools.combinations(range(10), k) for k in range(1, 11))
        best = max(
            _log_det(M, s) - len(s) * np.log(epsilon) for s in subsets if cost[list(s)].sum() <= budget
        )
        assert chosen.certificate.upper_bound >= best - 1e-9
        assert chosen.spent == pytest.approx(cost[chosen.index].sum())


def test_n_picks_by_gain_per_cost_and_quotas() -> None:
    x = np.random.default_rng(7).normal(size=(200, 6))
    M, epsilon = _regularised(x, "linear", RIDGE)
    cost = np.random.default_rng(1).uniform(1, 30, 200)
    chosen = select(Features.from_array(x), 9, method="dpp-map", ridge=RIDGE, cost=cost)
    assert chosen.index.tolist() == _naive(M, epsilon, cost, np.inf, per_cost=True)[:9]
    assert chosen.nested is True
    labels = np.array(list("abcd") * 50)
    limits = Constraints(labels=labels, at_least={"d": 4}, at_most={"a": 1}, exclude=np.arange(200) < 100)
    kept = select(Features.from_array(x), 9, method="dpp-map", groups=limits)
    groups = labels[kept.index].tolist()
    assert groups.count("d") >= 4
    assert groups.count("a") <= 1
    assert kept.index.min() >= 100
    apart = select(Features.from_array(x), 9, method="dpp-map", groups=Constraints(apart=3.0))
    between = np.linalg.norm(x[apart.index][:, None] - x[apart.index], axis=2)
    assert between[~np.eye(9, dtype=bool)].min() >= 3.0
    with pytest.raises(SelectionError, match="swaps=5: exchanges cannot heed"):
        select(Features.from_array(x), 9, method="dpp-map", groups=limits, swaps=5)


def test_money_is_not_spent_on_nothing() -> None:
    x = np.zeros((6, 3))
    x[2] = 1.0
    chosen = select(Features.from_array(x), method="dpp-map", cost=Cost(np.ones(6), 6.0))
    assert chosen.index.tolist() == [2]


@pytest.mark.parametrize(
    ("wrong", "message"), [({"ridge": 0.0}, "must be positive"), ({"swaps": -1}, "0 or more")]
)
def test_wrong_parameters(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        DPPMap(**wrong)  # type: ignore[arg-type]
