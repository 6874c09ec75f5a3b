"""Entropy-greedy picks against determinants and distances computed from nothing but their definitions."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from aliquot.errors import SelectionError
from aliquot.information import gather
from aliquot.information.covariance import Covariance, Reference
from aliquot.information.environments import environments
from aliquot.selection import Constraints
from aliquot.selection.entropy import MaxEntropy
from aliquot.selection.neighbour_entropy import Neighbours
from aliquot.table import KINDS, Features

RIDGE = 1e-4


def rows_of(table: Features, some: list[int]) -> np.ndarray:
    """Environments of some candidates: energy rows, or all where there are none; smoothness-scaled."""
    parts = [np.empty((0, table.n_features))]
    for i in some:
        x = np.asarray(table.rows[table.offsets[i] : table.offsets[i + 1]], float) / table.prior
        energy = table.kind[table.offsets[i] : table.offsets[i + 1]] == KINDS.index("energy")
        parts.append(x[energy] if energy.any() else x)
    return np.vstack(parts)


def covariance_entropy(x: np.ndarray, pool: Features, ridge: float = RIDGE) -> float:
    """J from its definition."""
    everything = rows_of(pool, list(range(len(pool))))
    deviation = everything.std(axis=0)
    z = (x - everything.mean(axis=0)) / np.where(
        deviation > 1e-12 * np.abs(everything).max(axis=0), deviation, np.inf
    )
    d = pool.n_features
    normal = z.T @ z / len(z) if len(z) else np.zeros((d, d))
    return 0.5 * float(np.linalg.slogdet(normal + ridge * np.eye(d))[1])


def neighbour_entropy(x: np.ndarray, floor: float) -> float:
    """H from all pairs, one by one."""
    M, total = len(x), 0.0
    for i in range(M):
        nearest = min(math.dist(x[i], x[j]) for j in range(M) if j != i)
        total += math.log(M * max(nearest, floor))
    return total / M


def floor_of(pool: Features) -> float:
    everything = rows_of(pool, list(range(len(pool))))
    return 1e-9 * math.sqrt(np.square(everything - everything.mean(axis=0)).sum(axis=1).mean())


def objective(score: str, pool: Features, x: np.ndarray) -> float:
    if score == "covariance":
        return covariance_entropy(x, pool)
    return neighbour_entropy(x, floor_of(pool)) if len(x) > 1 else -math.inf


@pytest.mark.parametrize("score", ["covariance", "neighbour"])
@pytest.mark.parametrize("given", [0, 1, 9])
def test_every_pick_is_the_best_by_brute_force(pool: Features, score: str, given: int) -> None:
    known, rest = pool[:given], pool[given:]
    picks = MaxEntropy(score=score).select(rest, 8, known=known, rng=np.random.default_rng(0)).index.tolist()
    fixed = rows_of(known, list(range(given)))
    taken = set(known.ids.hash.tolist())
    for k, pick in enumerate(picks):
        sofar = np.vstack((fixed, rows_of(rest, picks[:k])))
        allowed = [c for c in range(len(rest)) if c not in picks[:k] and rest.ids.hash[c] not in taken]
        values = {c: objective(score, rest, np.vstack((sofar, rows_of(rest, [c])))) for c in allowed}
        best = max(values.values())
        if best == -math.inf:
            continue  # nothing has a neighbour yet; see test_start
        assert values[pick] >= best - 1e-7 * max(1.0, abs(best))


def test_start_is_the_most_ordinary(pool_of) -> None:
    pool = pool_of("random")
    first = MaxEntropy(score="neighbour").select(pool, 1, rng=np.random.default_rng(0)).index[0]
    x = pool.rows / pool.prior
    assert first == np.argmin(np.linalg.norm(x - x.mean(axis=0), axis=1))


@pytest.mark.parametrize("m", [2, 9])
def test_blocks_of_one_size_have_a_bound(m: int) -> None:
    rng = np.random.default_rng(m)
    rows = rng.normal(size=(40 * m, 6)) * np.repeat(rng.uniform(0.3, 3, 40), m)[:, None]
    pool = Features.from_array(rows, offsets=np.arange(0, 40 * m + 1, m), kind="atom")
    assert Covariance(Reference.of(pool), np.diff(pool.offsets), ridge=RIDGE).bound
    picks = MaxEntropy().select(pool, 12, rng=np.random.default_rng(0)).index.tolist()
    for k, pick in enumerate(picks):
        values = {
            c: covariance_entropy(rows_of(pool, [*picks[:k], c]), pool)
            for c in range(40)
            if c not in picks[:k]
        }
        assert values[pick] >= max(values.values()) - 1e-9


@pytest.mark.parametrize("score", ["covariance", "neighbour"])
def test_what_the_notes_say_is_the_entropy_of_the_set(pool: Features, score: str) -> None:
    answer = MaxEntropy(score=score).select(pool[6:], 12, known=pool[:6], rng=np.random.default_rng(0))
    chosen = np.vstack((rows_of(pool, list(range(6))), rows_of(pool[6:], answer.index.tolist())))
    said = re.search(r"went from (\S+) to (\S+) nat", answer.notes[-1])
    assert said is not None
    assert float(said[2]) == pytest.approx(objective(score, pool[6:], chosen), rel=1e-4, abs=1e-4)
    before = objective(score, pool[6:], rows_of(pool, list(range(6))))
    assert float(said[1]) == pytest.approx(before, rel=1e-4, abs=1e-4)


def test_neighbour_entropy_against_all_pairs(pool: Features) -> None:
    floor = floor_of(pool)
    state = Neighbours(pool, floor=floor)
    order = np.random.default_rng(1).permutation(len(pool))[:15].tolist()
    for k, c in enumerate(order):
        state.absorb(environments(gather(pool, np.array([c])))[0])
        x = rows_of(pool, order[: k + 1])
        if len(x) > 1:
            assert state.value() == pytest.approx(neighbour_entropy(x, floor), abs=1e-9)
            joined = state.values()
            other = order[-1] if k < 14 else order[0]
            if k < 14:
                x = np.vstack((x, rows_of(pool, [other])))
                assert joined[other] == pytest.approx(neighbour_entropy(x, floor), abs=1e-9)


def test_a_bound_stays_a_bound(pool_of) -> None:
    pool = pool_of("clustered")
    information = Covariance(Reference.of(pool), np.array([1]), ridge=RIDGE)
    blocks = gather(pool, slice(0, len(pool)))
    clock = np.zeros(len(pool), np.int64)
    start = information.gain(blocks)
    bound = start.copy()
    for c in (3, 17, 40, 8):
        information.absorb(gather(pool, np.array([c])))
        exact = information.gain(blocks)
        since_start = information.tighten(blocks, start, since=clock * 0)
        bound = information.tighten(blocks, bound, since=clock)
        clock[:] = information.absorbed
        assert np.all(since_start >= exact)
        assert np.all(bound >= exact)
        assert np.all(bound <= start * (1 + 1e-7))


def test_covariances_merge(pool: Features) -> None:
    reference, sizes = Reference.of(pool), np.diff(pool.offsets)
    parts = [Covariance(reference, sizes, ridge=RIDGE) for _ in range(3)]
    for part, some in zip(parts, (slice(0, 5), slice(5, 9), slice(0, 9)), strict=True):
        part.absorb(gather(pool, some))
    merged = parts[0].merge(parts[1])
    assert merged.value == pytest.approx(parts[2].value, rel=1e-9)
    assert merged.n_rows == parts[2].n_rows
    rest = gather(pool, slice(9, 20))
    np.testing.assert_allclose(merged.gain(rest), parts[2].gain(rest), rtol=1e-6, atol=1e-9)
    assert parts[2].copy().value == parts[2].value


@pytest.mark.parametrize("score", ["covariance", "neighbour"])
def test_quotas_are_kept(pool_of, score: str) -> None:
    pool = pool_of("clustered")
    labels = np.array(["a", "b", "c"])[np.arange(60) % 3]
    limits = Constraints(labels=labels, at_least={"a": 5}, at_most={"b": 1})
    answer = MaxEntropy(score=score).select(pool, 9, groups=limits, rng=np.random.default_rng(0))
    chosen = labels[answer.index].tolist()
    assert chosen.count("a") >= 5
    assert chosen.count("b") <= 1
    assert len(chosen) == 9


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(SelectionError, match="covariance, neighbour"):
        MaxEntropy(score="shannon")
    with pytest.raises(SelectionError, match="positive"):
        MaxEntropy(ridge=0.0)
