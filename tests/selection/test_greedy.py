"""The engine: the same picks wherever the table lies, few passes, and no trust where none is declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.information import Blocks, Distance, Energy, Entropy, Information, Posterior, gather
from aliquot.selection import front as front_module
from aliquot.selection import greedy as greedy_module
from aliquot.selection.front import Front
from aliquot.selection.greedy import greedy
from aliquot.table import Features

Maker = Callable[..., Features]


def fresh(kind: str, table: Features) -> Information:
    d = table.n_features
    if kind == "distance":
        distance = Distance(d)
        distance.absorb(gather(table, np.array([0])))
        return distance
    posterior = Posterior(np.full(d, 1e-3))
    return Entropy(posterior) if kind == "entropy" else Energy(posterior)


def exhaustive(information: Information, table: Features, n: int) -> tuple[list[int], list[float]]:
    """Evaluate every candidate exactly at every pick."""
    picks: list[int] = []
    gains: list[float] = []
    for _ in range(n):
        values = information.gain(gather(table, slice(0, len(table))))
        values[picks] = -np.inf
        tied = np.flatnonzero(values >= values.max() * (1 - 1e-9))
        picks.append(min(tied.tolist(), key=lambda i: (bytes(table.ids.hash[i]), i)))
        gains.append(float(values[picks[-1]]))
        information.absorb(gather(table, np.array(picks[-1:])))
    return picks, gains


@pytest.mark.parametrize("kind", ["entropy", "energy", "distance"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_lazy_is_exhaustive(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 120)), int(rng.integers(1, 9))
    rows = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, d)
    if rng.random() < 0.5:
        rows = rows[rng.integers(n, size=n)]
    table = Features.from_array(rows, weight=rng.uniform(0.1, 10, n))
    asked = int(rng.integers(1, n + 1)) if kind != "distance" else int(rng.integers(1, n))
    allowed = np.ones(n, bool)
    trace = greedy(fresh(kind, table), table, asked, allowed=allowed)
    picks, gains = exhaustive(fresh(kind, table), table, asked)
    np.testing.assert_allclose(trace.gain, gains, rtol=1e-8, atol=1e-12 * gains[0])
    decided = np.flatnonzero(np.array(gains) > 1e-9 * gains[0])  # below, rounding may order equal rows
    assert trace.index[decided].tolist() == np.array(picks)[decided].tolist()
    assert len(set(trace.index.tolist())) == asked
    assert np.all(trace.bound[trace.index] == -np.inf)


@pytest.mark.parametrize("kind", ["entropy", "energy", "distance"])
def test_small_fronts_and_parts_change_nothing(
    kind: str, pool_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pool_of("clustered", n=700, d=12)
    expected = greedy(fresh(kind, table), table, 80)
    monkeypatch.setattr(front_module, "_BYTES", 0)
    monkeypatch.setattr(front_module, "_LEAST", 8)
    monkeypatch.setattr(greedy_module, "_PART_ROWS", 37)
    monkeypatch.setattr(greedy_module, "_FIRST_FAR", 3)
    monkeypatch.setattr(greedy_module, "_FIRST_NEAR", 1)
    squeezed = greedy(fresh(kind, table), table, 80)
    assert squeezed.index.tolist() == expected.index.tolist()
    np.testing.assert_allclose(squeezed.gain, expected.gain, rtol=1e-9)


@pytest.mark.parametrize("kind", ["entropy", "distance"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_picks_from_disk_and_at_any_position(
    kind: str, dtype: type, pool_of: Maker, tmp_path: Path
) -> None:
    table = pool_of("clustered", n=900, d=12)
    table = replace(table, rows=table.rows.astype(dtype))
    expected = greedy(fresh(kind, table), table, 60)
    np.save(tmp_path / "rows.npy", table.rows)
    stored = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert (
        greedy(fresh(kind, table), replace(table, rows=stored), 60).index.tolist() == expected.index.tolist()
    )
    order = np.random.default_rng(1).permutation(900)
    shuffled = greedy(fresh(kind, table), table[order], 60)
    assert order[shuffled.index].tolist() == expected.index.tolist()


def test_bounds_left_behind_are_bounds(pool_of: Maker) -> None:
    table = pool_of("clustered", n=500, d=10)
    entropy = fresh("entropy", table)
    trace = greedy(entropy, table, 40)
    left = trace.bound > -np.inf
    exact = entropy.gain(gather(table, np.flatnonzero(left)))
    assert left.sum() == 460
    assert np.all(trace.bound[left] >= exact * (1 - 1e-9))
    assert np.all(trace.stamp[left] <= entropy.absorbed)


def test_few_passes_over_a_pool_with_structure() -> None:
    rng = np.random.default_rng(0)
    spectrum = np.arange(1, 61) ** -1.5
    table = Features.from_array((rng.normal(size=(8000, 60)) * spectrum).astype(np.float32))
    trace = greedy(fresh("entropy", table), table, 200)
    assert trace.rows_read < 30 * len(table)
    assert np.all(np.diff(trace.gain) <= 1e-9 * trace.gain[:-1]), "gains must not rise"


def test_gains_are_not_trusted_where_no_bound_is_declared(pool_of: Maker) -> None:
    """Two rows that are worth something only together: a stale zero must not hide the second."""

    class Pairs(Entropy):
        """Worth nothing until the partner is known."""

        bound = False  # type: ignore[misc]
        objective = False  # type: ignore[misc]
        seen: list[float]

        def gain(self, blocks: Blocks) -> Any:
            label = blocks.x[:, 0]
            return np.where(np.isin(label, [s + 1 for s in SEEN]), 100.0, 1.0 / label)

        def absorb(self, blocks: Blocks) -> None:
            SEEN.append(float(blocks.x[0, 0]))
            super().absorb(blocks)

    SEEN: list[float] = []
    table = Features.from_array(np.array([[1.0], [5.0], [2.0], [9.0], [6.0], [3.0]]))
    trace = greedy(Pairs(Posterior(np.ones(1))), table, 4)
    assert table.rows[trace.index, 0].tolist() == [1.0, 2.0, 3.0, 5.0]
    assert trace.gain.tolist() == [1.0, 100.0, 100.0, 0.2]


def test_ties_go_to_the_smaller_hash(pool_of: Maker) -> None:
    table = pool_of("random", n=40, d=5)
    table = replace(table, rows=np.tile(table.rows[:1], (40, 1)), weight=np.ones(40))
    by_hash = np.argsort(table.ids.hash).tolist()
    assert greedy(fresh("entropy", table), table, 40).index.tolist() == by_hash
    assert greedy(fresh("distance", table), table, 40).index.tolist() == by_hash  # all at distance 0


def test_progress_and_rows_of_each_pick_are_reported(pool_of: Maker) -> None:
    table = pool_of("ragged blocks", n=12, d=4)
    steps: list[tuple[str, int, int]] = []
    seen: list[int] = []
    trace = greedy(
        fresh("entropy", table),
        table,
        5,
        before=lambda block: seen.append(len(block.x)),
        progress=lambda stage, done, total: steps.append((stage, done, total)),
        stage="testing",
    )
    assert steps == [("testing", k, 5) for k in range(1, 6)]
    assert seen == np.diff(table.offsets)[trace.index].tolist()


def test_the_front_keeps_the_best(pool_of: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_module, "_BYTES", 0)
    monkeypatch.setattr(front_module, "_LEAST", 8)
    table = pool_of("random", n=30, d=3)
    front, bound = Front(table), np.arange(30.0)
    assert front.capacity == 8
    assert front.admit(np.arange(6), bound) == 6
    assert front.admit(np.arange(6), bound) == 0, "what is there is not read again"
    assert front.admit(np.array([20, 28, 29]), bound) == 3, "half the room, filled with the best"
    assert np.flatnonzero(front.holds(np.arange(30))).tolist() == [5, 20, 28, 29]
    part = front.find(np.array([29, 5]))
    assert part is not None
    np.testing.assert_array_equal(part.blocks().x, gather(table, np.array([29, 5])).x)
    assert front.find(np.array([29, 3])) is None
