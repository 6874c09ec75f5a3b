"""The engine against slow, obvious versions: dense inverses, every candidate at every pick, all subsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from aliquot.selection import select
from aliquot.table import KINDS, Features, Ids

Maker = Callable[..., Features]


def like(pool: Features, known: Features) -> Features:
    """Known structures near, but not equal to, some of the pool, under names of their own."""
    shift = np.random.default_rng(5).normal(size=known.rows.shape) * np.abs(pool.rows).max(axis=0) * 0.01
    ids = Ids.numbered(len(known), "known")
    return replace(known, rows=(known.rows + shift).astype(known.rows.dtype), ids=ids)


def mild_precision(pool: Features) -> float:
    """A prior precision at which the dense inverses below are accurate."""
    x = pool.weight[:, None] * scaled(pool)
    return 1e-6 * float(np.linalg.eigvalsh(x.T @ x / len(x))[-1])


def distinct_rows(pool: Features) -> Features:
    """Leave out repetitions, whose gains a dense inverse cannot tell apart."""
    if not pool.single_rows:
        return pool
    return pool[np.sort(np.unique(pool.rows, axis=0, return_index=True)[1])]


def scaled(table: Features) -> np.ndarray:
    return np.asarray(table.rows, np.float64) / table.prior


def block(table: Features, i: int) -> slice:
    return slice(int(table.offsets[i]), int(table.offsets[i + 1]))


def observed_rows(table: Features, i: int) -> np.ndarray:
    rows = np.arange(table.offsets[i], table.offsets[i + 1])
    energies = rows[table.kind[rows] == KINDS.index("energy")]
    return energies if len(energies) else rows


def score(table: Features, x: np.ndarray, i: int, covariance: np.ndarray, kind: str) -> float:
    if kind == "energy":
        rows = x[observed_rows(table, i)]
        return float(np.mean(np.einsum("ij,jk,ik->i", rows, covariance, rows)))
    X = table.weight[block(table, i), None] * x[block(table, i)]
    return float(0.5 * np.linalg.slogdet(np.eye(len(X)) + X @ covariance @ X.T)[1])


def naive_bayes(
    table: Features, n: int, precision: float, *, kind: str, known: Features | None = None
) -> tuple[list[int], list[float]]:
    """Every candidate at every pick, with an inverted precision."""
    P = precision * np.eye(table.n_features)
    if known is not None:
        X = known.weight[:, None] * scaled(known)
        P += X.T @ X
    x, picks, gains = scaled(table), [], []
    for _ in range(n):
        covariance = np.linalg.inv(P)
        left = [i for i in range(len(table)) if i not in picks]
        values = np.array([score(table, x, i, covariance, kind) for i in left])
        tied = [left[k] for k in np.flatnonzero(values >= values.max() * (1 - 1e-9))]
        pick = min(tied, key=lambda i: (bytes(table.ids.hash[i]), i))
        picks.append(pick)
        gains.append(values[left.index(pick)])
        X = table.weight[block(table, pick), None] * x[block(table, pick)]
        P += X.T @ X
    return picks, gains


def points(table: Features) -> np.ndarray:
    x = scaled(table)
    return np.array([x[observed_rows(table, i)].mean(axis=0) for i in range(len(table))])


def naive_fps(table: Features, n: int, *, known: Features | None = None) -> tuple[list[int], list[float]]:
    """Distances to everything chosen, at every pick; the first as the method states it."""
    x, picks, gains = points(table), [], []
    centres = [] if known is None else list(points(known))
    while len(picks) < n:
        left = [i for i in range(len(table)) if i not in picks]
        if centres:
            values = np.array([min(np.linalg.norm(x[i] - c) for c in centres) for i in left])
        else:
            values = -np.linalg.norm(x[left] - x.mean(axis=0), axis=1)
        best = values.max()
        tied = [left[k] for k in np.flatnonzero(values >= best - 1e-9 * abs(best))]
        pick = min(tied, key=lambda i: (bytes(table.ids.hash[i]), i))
        picks.append(pick)
        gains.append(values[left.index(pick)])
        centres.append(x[pick])
    return picks, gains


def information(table: Features, subset: tuple[int, ...], precision: float, known: Features | None) -> float:
    """Information of a subset given the known set, from log-determinants of dense matrices."""
    P = precision * np.eye(table.n_features)
    if known is not None:
        X = known.weight[:, None] * scaled(known)
        P += X.T @ X
    x, Q = scaled(table), P.copy()
    for i in subset:
        X = table.weight[block(table, i), None] * x[block(table, i)]
        Q += X.T @ X
    return float(0.5 * (np.linalg.slogdet(Q)[1] - np.linalg.slogdet(P)[1]))


def best_information(table: Features, n: int, precision: float, known: Features | None) -> float:
    """Over all subsets."""
    subsets = combinations(range(len(table)), n)
    return max(information(table, subset, precision, known) for subset in subsets)


def covering_radius(table: Features, subset: tuple[int, ...], known: Features | None) -> float:
    x = points(table)
    centres = x[list(subset)] if known is None else np.vstack((x[list(subset)], points(known)))
    return float(np.linalg.norm(x[:, None] - centres, axis=2).min(axis=1).max())


def best_radius(table: Features, n: int, known: Features | None) -> float:
    """Over all subsets."""
    return min(covering_radius(table, subset, known) for subset in combinations(range(len(table)), n))


@pytest.mark.parametrize("kind", ["entropy", "energy"])
@pytest.mark.parametrize("given", [False, True])
def test_bayes_is_naive_greedy(pool: Features, kind: str, given: bool, pool_of: Maker) -> None:
    pool = distinct_rows(pool)
    known = like(pool, pool[np.arange(0, len(pool), 7)]) if given else None
    n = min(25, len(pool))
    precision = mild_precision(pool)
    answer = select(pool, n, known=known, score=kind, precision=precision)
    picks, gains = naive_bayes(pool, n, precision, kind=kind, known=known)
    assert answer.gain is not None
    np.testing.assert_allclose(answer.gain, gains, rtol=1e-5)
    assert answer.index.tolist() == picks


@pytest.mark.parametrize("given", [False, True])
def test_fps_is_naive_fps(pool: Features, given: bool) -> None:
    known = like(pool, pool[np.arange(0, len(pool), 7)]) if given else None
    n = len(pool) // 2
    answer = select(pool, n, method="fps", known=known)
    picks, gains = naive_fps(pool, n, known=known)
    assert answer.index.tolist() == picks
    assert answer.gain is not None
    start = 0 if given else 1
    np.testing.assert_allclose(answer.gain[start:], gains[start:], rtol=1e-9, atol=1e-12)
    if not given:
        assert answer.gain[0] == pytest.approx(covering_radius(pool, (picks[0],), None))


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("n", [1, 2, 4, 7, 8])
def test_entropy_certificate_and_guarantee(small_pool: Features, n: int, given: bool) -> None:
    known = like(small_pool, small_pool[np.array([2, 5])]) if given else None
    precision = mild_precision(small_pool)
    answer = select(small_pool, n, known=known, precision=precision)
    optimum = best_information(small_pool, n, precision, known)
    reached = information(small_pool, tuple(answer.index.tolist()), precision, known)
    certificate = answer.certificate
    assert certificate is not None
    assert certificate.achieved == pytest.approx(reached, rel=1e-7)
    assert certificate.upper_bound >= optimum - 1e-7 * (1 + optimum)
    assert reached >= (1 - 1 / np.e) * optimum
    if n == len(small_pool):
        assert certificate.upper_bound == pytest.approx(optimum, rel=1e-7)


@pytest.mark.parametrize("precision", [1e-3, 1.0, 100.0])
def test_both_arguments_of_the_certificate_are_needed(precision: float, pool_of: Maker) -> None:
    arguments = set()
    for seed in range(8):
        table = pool_of("random", n=8, d=3, seed=seed)
        for n in (2, 4, 6):
            answer = select(table, n, precision=precision)
            assert answer.certificate is not None
            optimum = best_information(table, n, precision, None)
            assert optimum <= answer.certificate.upper_bound + 1e-9
            arguments.add(answer.certificate.argument.split(":")[0])
    assert arguments <= {"submodularity", "concavity"}
    if precision == 1.0:
        assert arguments == {"submodularity", "concavity"}


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("n", [1, 3, 5, 8])
def test_covering_radius_is_within_twice_the_best(small_pool: Features, n: int, given: bool) -> None:
    known = like(small_pool, small_pool[np.array([2, 5])]) if given else None
    answer = select(small_pool, n, method="fps", known=known)
    certificate = answer.certificate
    assert certificate is not None
    radius = covering_radius(small_pool, tuple(answer.index.tolist()), known)
    assert -certificate.achieved == pytest.approx(radius, abs=1e-9)
    best = best_radius(small_pool, n, known)
    assert -best <= certificate.upper_bound + 1e-9
    assert radius <= 2 * best + 1e-9


def test_other_scores_have_no_certificate(pool_of: Maker) -> None:
    assert select(pool_of("random"), 5, score="energy").certificate is None
    assert select(pool_of("random"), 5, method="random").certificate is None


@pytest.mark.parametrize("kind", ["random", "clustered", "offset", "float32"])
def test_default_prior_beyond_the_rank_is_exact(kind: str, pool_of: Maker) -> None:
    """The default prior is 12 orders below the data: only a factor made by orthogonal steps can judge."""
    pool = pool_of(kind, n=400, d=24)
    answer = select(pool, 80, sensitivity=False)
    x, precision = pool.weight[:, None] * scaled(pool), float(answer.recipe["precision"])
    root, picks = np.sqrt(precision) * np.eye(24), list[int]()
    for _ in range(80):
        R = np.linalg.qr(np.vstack((root, x[picks])), mode="r")
        h = np.square(np.linalg.solve(R.T, x.T)).sum(axis=0)
        h[picks] = -1.0
        picks.append(int(np.argmax(h)))
    assert answer.index.tolist() == picks
