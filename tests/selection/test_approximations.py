"""Approximations of entropy-greedy held to their guarantees, against all sets of small pools."""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

from aliquot import table as table_module
from aliquot.errors import SelectionError
from aliquot.features.opening import open_store, save_store
from aliquot.selection import Bayes, Selection
from aliquot.selection.approximation import opening, prior_of
from aliquot.selection.request import Request
from aliquot.selection.sieve import Sieve, _Stream
from aliquot.selection.sketch import Sketch
from aliquot.selection.two_level import TwoLevel
from aliquot.table import Features

GREEDY = 1 - 1 / math.e
METHODS = {
    "two-level": TwoLevel(),
    "two-level of many": TwoLevel(parts=5),
    "sieve": Sieve(),
    "coarse sieve": Sieve(epsilon=0.4),
    "sketch": Sketch(dimension=3),
    "gaussian sketch": Sketch(projection="gaussian", dimension=3),
    "count sketch": Sketch(projection="count", dimension=3),
}


def ask(
    selector: Any, pool: Features, n: int, known: Features | None = None, seed: int = 0, **more: Any
) -> Selection:
    return selector.select(pool, n, known=known, rng=np.random.default_rng(seed), **more)


def weighted(table: Features, some: tuple[int, ...] | None = None) -> np.ndarray:
    """Weighted rows of some candidates, smoothness-scaled; of all by default."""
    which = range(len(table)) if some is None else some
    rows = [np.arange(table.offsets[i], table.offsets[i + 1]) for i in which]
    index = np.concatenate([np.empty(0, int), *rows]).astype(int)
    return np.asarray(table.rows[index], float) / table.prior * table.weight[index][:, None]


def information(pool: Features, some: tuple[int, ...], known: Features | None, precision: float) -> float:
    """F from two log-determinants."""
    P = precision * np.eye(pool.n_features)
    if known is not None:
        P += weighted(known).T @ weighted(known)
    x = weighted(pool, some)
    return 0.5 * float(np.linalg.slogdet(P + x.T @ x)[1] - np.linalg.slogdet(P)[1])


def optimum(pool: Features, n: int, known: Features | None, precision: float) -> float:
    """The most that any n new candidates bring."""
    new = [] if known is None else known.ids.hash.tolist()
    free = [i for i, h in enumerate(pool.ids.hash.tolist()) if h not in new]
    return max(information(pool, s, known, precision) for s in itertools.combinations(free, n))


def reshuffled(pool: Features, seed: int) -> Features:
    """The same rows with other content hashes: other parts, and another order within tiles."""
    digits = np.random.default_rng(seed).integers(0, 16, (len(pool), 32))
    hashes = np.array(["".join(f"{d:x}" for d in row) for row in digits], dtype="S32")
    return replace(pool, ids=replace(pool.ids, hash=hashes))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("given", [0, 4])
def test_gains_and_certificates_are_those_of_the_real_objective(pool_of, method: str, given: int) -> None:
    for kind in ("random", "clustered", "ragged blocks", "energy and forces"):
        pool = pool_of(kind, n=11)
        known, rest = pool[:given], pool[given:]
        answer = ask(replace(METHODS[method], precision=0.05), rest, 3, known)
        worth = information(rest, tuple(answer.index.tolist()), known, 0.05)
        assert answer.gain is not None
        assert answer.gain.sum() == pytest.approx(worth, rel=1e-9)
        assert answer.certificate is not None
        assert answer.certificate.upper_bound >= optimum(rest, 3, known, 0.05) - 1e-9


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("parts", [2, 3])
def test_two_levels_keep_both_guarantees(small_pool: Features, n: int, parts: int) -> None:
    best = optimum(small_pool, n, None, 0.05)
    selector = TwoLevel(parts=parts, precision=0.05)
    reached = [ask(selector, reshuffled(small_pool, seed), n) for seed in range(12)]
    shares = np.array([answer.gain.sum() / best for answer in reached if answer.gain is not None])
    assert shares.min() >= GREEDY / parts
    assert shares.mean() >= 0.5 * GREEDY


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("epsilon", [0.05, 0.3])
@pytest.mark.parametrize("tile_rows", [2, 4096])
def test_a_sieve_keeps_its_guarantee_in_every_order(
    small_pool: Features, n: int, epsilon: float, tile_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "TILE_ROWS", tile_rows)
    best = optimum(small_pool, n, None, 0.05)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(small_pool))
        pool = reshuffled(small_pool, seed)[order]
        request = Request.check(pool, n, known=None)
        stream = _Stream(pool, opening(request, 0.05), n, epsilon)
        for some, _ in pool.tiles():
            stream.pass_by(some, request.distinct[some])
        _, gain, _, (plain, _) = stream.settle(request)
        assert plain >= (0.5 - epsilon) * best  # the sieve of the paper, before it is filled up
        assert gain.sum() >= plain * (1 - 1e-12)
        answer = ask(Sieve(epsilon=epsilon, precision=0.05), pool, n)
        assert len(answer) == n


def test_the_sieve_evaluates_as_one_candidate_at_a_time(pool_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "TILE_ROWS", 7)
    pool, n, epsilon, precision = pool_of("random"), 5, 0.2, 0.05
    request = Request.check(pool, n, known=None)
    stream = _Stream(pool, opening(request, precision), n, epsilon)
    sieves: dict[int, list[int]] = {}
    for some, _ in pool.tiles():
        stream.pass_by(some, request.distinct[some])
        tile = sorted(range(some.start, some.stop), key=lambda i: pool.ids.hash[i])
        largest = max(information(pool, (i,), None, precision) for i in range(some.stop))
        guesses = {
            i: (1 + epsilon) ** i
            for i in range(-200, 200)
            if largest * (1 - 1e-12) <= (1 + epsilon) ** i <= 2 * n * largest * (1 + 1e-12)
        }
        sieves = {i: sieves.get(i, []) for i in guesses}
        for i, kept in sieves.items():
            for c in tile:
                worth = information(pool, tuple(kept), None, precision)
                gain = information(pool, (*kept, c), None, precision) - worth
                if len(kept) < n and gain >= (guesses[i] / 2 - worth) / (n - len(kept)):
                    kept.append(c)
        assert {i: sieve.picks for i, sieve in stream.sieves.items()} == sieves


class _Counted:
    """Rows that count how many of them are read."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.shape, self.dtype, self.ndim, self.read = rows, rows.shape, rows.dtype, 2, 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        got = self.rows[index]
        self.read += len(got)
        return got


def test_a_sieve_reads_the_pool_once(pool_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "TILE_ROWS", 100)
    pool = pool_of("random", n=1000)
    counted = _Counted(np.asarray(pool.rows))
    Request.check(replace(pool, rows=counted), 3, known=None)
    checked, counted.read = counted.read, 0
    answer = ask(Sieve(precision=0.05, certify=False), replace(pool, rows=counted), 3)
    kept = int(answer.notes[-2].split("kept ")[1].split()[0])
    assert checked == 1000
    assert counted.read <= checked + 1000 + 10 * (kept + 3)


@pytest.mark.parametrize("known", [0, 6])
def test_nothing_is_lost_where_nothing_is_approximated(pool: Features, known: int) -> None:
    exact = ask(Bayes(sensitivity=False), pool[known:], 9, pool[:known])
    for selector in (TwoLevel(parts=1), Sketch(dimension=10)):
        answer = ask(selector, pool[known:], 9, pool[:known])
        assert answer.index.tolist() == exact.index.tolist()
        assert answer.certificate is not None
        assert exact.certificate is not None
        assert answer.certificate.upper_bound == pytest.approx(exact.certificate.upper_bound, rel=1e-9)


def test_parts_run_anywhere(pool_of) -> None:
    for kind in ("clustered", "ragged blocks"):
        pool = pool_of(kind, n=120)
        selector = TwoLevel(parts=20)
        alone = ask(selector, pool[10:], 8, pool[:10])
        with ThreadPoolExecutor(3) as threads:
            assert (
                ask(selector, pool[10:], 8, pool[:10], executor=threads).index.tolist()
                == alone.index.tolist()
            )
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
            elsewhere = ask(selector, pool[10:], 8, pool[:10], executor=processes)
        assert elsewhere.index.tolist() == alone.index.tolist()
        assert elsewhere.notes == alone.notes


def test_parts_of_a_store_run_anywhere(pool_of, tmp_path) -> None:
    pool = pool_of("ragged blocks", n=120)
    save_store(tmp_path / "store", pool, shard_rows=50)
    stored, selector = open_store(tmp_path / "store"), TwoLevel(parts=20)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        elsewhere = ask(selector, stored[10:], 8, stored[:10], executor=processes)
        whole = ask(selector, stored, 8, executor=processes)
    assert elsewhere.index.tolist() == ask(selector, pool[10:], 8, pool[:10]).index.tolist()
    assert whole.index.tolist() == ask(selector, pool, 8).index.tolist()


def test_rows_that_are_no_array_are_read_where_they_are_used(pool_of) -> None:
    pool = pool_of("clustered", n=120)
    for selector in METHODS.values():
        counted = replace(pool, rows=_Counted(np.asarray(pool.rows)))
        assert ask(selector, counted, 8).index.tolist() == ask(selector, pool, 8).index.tolist()


@pytest.mark.parametrize("projection", ["principal", "gaussian", "count"])
def test_what_a_sketch_promises_is_within_its_bound(pool_of, projection: str) -> None:
    pool = pool_of("random", n=40, d=60)
    selector = Sketch(projection=projection, dimension=45, precision=0.05)
    answer = ask(selector, pool, 5)
    Pi = selector._projection(pool, np.random.default_rng(0))
    Pi = Pi if isinstance(Pi, np.ndarray) else Pi.toarray()
    x = weighted(pool, tuple(answer.index.tolist()))
    Q = np.linalg.qr(x.T)[0]
    ratio = np.linalg.eigvalsh(Q.T @ Pi @ Pi.T @ Q)
    delta = max(1 - ratio.min(), ratio.max() - 1)
    promised = float(answer.notes[-1].split("promised ")[1].split()[0])
    assert answer.gain is not None
    assert 0.5 * np.linalg.slogdet(np.eye(5) + x @ Pi @ Pi.T @ x.T / 0.05)[1] == pytest.approx(
        promised, rel=1e-5
    )
    if delta < 1:
        assert abs(promised - answer.gain.sum()) <= 2.5 * math.log(1 / (1 - delta)) + 1e-4


def test_the_principal_projection_is_that_of_the_largest_eigenvalues(pool_of) -> None:
    pool = pool_of("clustered", n=40, d=9)
    Pi = Sketch(dimension=4)._projection(pool, np.random.default_rng(0))
    x = weighted(pool)
    expected = np.linalg.svd(x, full_matrices=False)[2][:4]
    np.testing.assert_allclose(Pi @ Pi.T, expected.T @ expected, atol=1e-9)


def test_the_default_prior_is_that_of_bayes(pool_of) -> None:
    pool = pool_of("random")
    request = Request.check(pool, 3, known=None)
    assert prior_of(request, None)[0] == ask(Bayes(), pool, 3).recipe["precision"]
    assert prior_of(request, 2.0) == (2.0, "given")


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        (TwoLevel, {"parts": 0}, "1 or more"),
        (TwoLevel, {"precision": -1.0}, "positive"),
        (Sieve, {"epsilon": 0.5}, "between 0 and 0.5"),
        (Sieve, {"precision": math.nan}, "positive"),
        (Sketch, {"projection": "fourier"}, "principal, gaussian, count"),
        (Sketch, {"dimension": 0}, "1 or more"),
        (Sketch, {"precision": 0.0}, "positive"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: Any, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SelectionError, match=said):
        kind(**wrong)
