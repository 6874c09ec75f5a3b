"""What each information declares about itself is true, and its cheap answers are bounds of its exact ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.errors import InputError
from aliquot.information import Blocks, Distance, Energy, Entropy, Information, Posterior, gather
from aliquot.table import KINDS, Features

D = 4
MAKE: dict[str, Callable[[], Information]] = {
    "entropy": lambda: Entropy(Posterior(np.full(D, 1e-3))),
    "energy": lambda: Energy(Posterior(np.full(D, 1e-3))),
    "distance": lambda: Distance(D),
}


def some_table(seed: int, *, blocks: bool, hard: bool = True) -> Features:
    """Rows with repetitions, low rank and different scales, in blocks of energy and force rows if asked."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 7, 12) if blocks else np.ones(12, np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    rows = rng.normal(size=(offsets[-1], D))
    if hard:
        rows = rows @ np.diag(10.0 ** rng.integers(-4, 4, D))
        rows[rng.integers(len(rows), size=4)] = rows[0]
        rows[:, -1] = rows[:, 0]
    kind = np.full(len(rows), KINDS.index("force"), np.uint8)
    kind[offsets[:-1][rng.random(12) < 0.7]] = KINDS.index("energy")
    return Features(
        rows=rows,
        offsets=offsets,
        kind=kind if blocks else np.full(len(rows), KINDS.index("energy"), np.uint8),
        weight=rng.uniform(0.1, 10.0, len(rows)),
        prior=rng.uniform(1.0, 3.0, D),
        names=tuple("abcd"),
        recipe={},
        ids=Features.from_array(np.zeros((12, 1))).ids,
    )


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("blocks", [False, True])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_stale_gains_are_bounds_and_so_are_tightened_ones(name: str, blocks: bool, seed: int) -> None:
    table, information = some_table(seed, blocks=blocks), MAKE[name]()
    assert information.bound
    everyone = gather(table, slice(0, 12))
    information.absorb(gather(table, np.array([0])))
    bound = information.gain(everyone) * (1 + 1e-9)
    since = np.full(12, information.absorbed)
    rng = np.random.default_rng(seed)
    for _ in range(8):
        information.absorb(gather(table, rng.integers(12, size=1)))
        exact = information.gain(everyone)
        assert np.all(exact >= 0)
        assert np.all(bound >= exact * (1 - 1e-9)), "a stale bound must stay a bound"
        some = rng.random(12) < 0.5  # bounds of different ages
        if some.any():
            part = gather(table, np.flatnonzero(some))
            bound[some] = information.tighten(part, bound[some], since=since[some])
            since[some] = information.absorbed
        assert np.all(bound >= exact * (1 - 1e-9)), "a tightened bound must stay a bound"


@pytest.mark.parametrize("name", MAKE)
def test_tightening_is_nearly_exact(name: str) -> None:
    rng = np.random.default_rng(0)
    posterior = Posterior(np.full(30, 1e-3))
    information = {"entropy": Entropy(posterior), "energy": Energy(posterior), "distance": Distance(30)}[name]
    table = Features.from_array(rng.normal(size=(50, 30)))
    everyone = gather(table, slice(0, 50))
    information.absorb(gather(table, np.array([0])))
    bound, since = information.gain(everyone), np.full(50, information.absorbed)
    for k in range(1, 8):
        information.absorb(gather(table, np.array([k])))
    tight = information.tighten(everyone, bound, since=since)
    np.testing.assert_allclose(tight[8:], information.gain(everyone)[8:], rtol=1e-6)


@pytest.mark.parametrize("name", [k for k, make in MAKE.items() if make().objective])
@pytest.mark.parametrize("blocks", [False, True])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_objectives_are_monotone_submodular_set_functions(name: str, blocks: bool, seed: int) -> None:
    table = some_table(seed, blocks=blocks, hard=False)
    rng = np.random.default_rng(seed)

    def value(some: np.ndarray) -> float:
        information, total = MAKE[name](), 0.0
        for i in some:
            block = gather(table, np.array([i]))
            total += float(information.gain(block)[0])
            information.absorb(block)
        return total

    chosen = rng.permutation(12)[:6]
    small, large, extra = chosen[:2], chosen[:5], chosen[5:]
    assert value(large) == pytest.approx(value(rng.permutation(large)), rel=1e-9), "order must not matter"
    assert value(large) >= value(small) - 1e-9
    gain_small = value(np.concatenate((small, extra))) - value(small)
    gain_large = value(np.concatenate((large, extra))) - value(large)
    assert gain_small >= gain_large - 1e-9 * max(1.0, gain_small)


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("blocks", [False, True])
def test_merging_is_absorbing_one_after_the_other(name: str, blocks: bool) -> None:
    table = some_table(1, blocks=blocks)
    a, b, both = MAKE[name](), MAKE[name](), MAKE[name]()
    first, second = gather(table, np.array([0, 5, 7])), gather(table, np.array([2, 3]))
    a.absorb(first)
    b.absorb(second)
    both.absorb(first)
    both.absorb(second)
    everyone = gather(table, slice(0, 12))
    np.testing.assert_allclose(a.merge(b).gain(everyone), both.gain(everyone), rtol=1e-8)
    np.testing.assert_allclose(a.copy().merge(b.copy()).gain(everyone), both.gain(everyone), rtol=1e-8)


def test_energy_is_the_mean_variance_of_observable_rows() -> None:
    table, precision = some_table(2, blocks=True, hard=False), np.full(D, 0.7)
    energy = Energy(Posterior(precision))
    energy.absorb(gather(table, np.array([3])))
    x, w = table.rows / table.prior, table.weight
    known = slice(table.offsets[3], table.offsets[4])
    A = w[known, None] * x[known]
    covariance = np.linalg.inv(np.diag(precision) + A.T @ A)
    gains = energy.gain(gather(table, slice(0, 12)))
    for i in range(12):
        rows = np.arange(table.offsets[i], table.offsets[i + 1])
        energies = rows[table.kind[rows] == KINDS.index("energy")]
        observed = energies if len(energies) else rows
        expected = np.mean([x[r] @ covariance @ x[r] for r in observed])
        assert gains[i] == pytest.approx(expected, rel=1e-10)


def test_entropy_is_the_log_determinant_of_all_weighted_rows() -> None:
    table = some_table(3, blocks=True, hard=False)
    entropy = Entropy(Posterior(np.full(D, 0.7)))
    x = table.weight[:, None] * table.rows / table.prior
    gains = entropy.gain(gather(table, slice(0, 12)))
    for i in range(12):
        X = x[table.offsets[i] : table.offsets[i + 1]]
        expected = 0.5 * np.linalg.slogdet(np.eye(D) + X.T @ X / 0.7)[1]
        assert gains[i] == pytest.approx(expected, rel=1e-10)


def test_distance_survives_cancellation() -> None:
    far = 1e6 * np.ones(3)
    points = far + np.array([[0, 0, 0], [3e-6, 0, 0], [0, 4e-6, 0], [1.0, 0, 0]])
    distance = Distance(3)
    distance.absorb(Blocks.from_rows(points[:1]))
    expected = np.linalg.norm(points - points[0], axis=1)
    np.testing.assert_allclose(distance.gain(Blocks.from_rows(points)), expected, rtol=1e-12)


def test_distance_in_panels_is_distance_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    x, points = rng.normal(size=(20, D)), rng.normal(size=(90, D))
    expected = np.sqrt(np.square(x[:, None] - points).sum(axis=2).min(axis=1))
    monkeypatch.setattr("aliquot.information.distance._PANEL_ENTRIES", 7 * 20)
    distance = Distance(D)
    for k in range(0, 90, 9):
        distance.absorb(Blocks.from_rows(points[k : k + 9]))
    np.testing.assert_allclose(distance.gain(Blocks.from_rows(x)), expected, rtol=1e-12)
    tight = distance.tighten(Blocks.from_rows(x), np.full(20, np.inf), since=np.zeros(20, np.int64))
    np.testing.assert_allclose(tight, expected, rtol=1e-9)
    assert np.all(tight >= expected * (1 - 1e-12))
    with pytest.raises(InputError, match="features"):
        distance.merge(Distance(D + 1))


def test_gathering_follows_the_order_asked_for() -> None:
    table = some_table(7, blocks=True)
    order = np.array([5, 0, 11])
    blocks = gather(table, order)
    np.testing.assert_array_equal(blocks.x, np.asarray(table[order].rows) / table.prior)
    np.testing.assert_array_equal(np.diff(blocks.offsets), np.diff(table.offsets)[order])
    np.testing.assert_array_equal(gather(table, slice(3, 6)).x, gather(table, np.arange(3, 6)).x)
