"""Exchanges of structures: against all subsets, against all exchanges, and never worse than greedy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.selection import Bayes, Exchange, Selection, select
from aliquot.table import Features, Ids

Matrix = NDArray[np.float64]
RNG = np.random.default_rng(0)


def _pool(seed: int, n: int, d: int, *, blocks: bool, prior: bool = False) -> Features:
    rng = np.random.default_rng([seed, n, d])
    lengths = rng.integers(1, 4, n) if blocks else np.ones(n, np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return Features.from_array(
        rng.normal(size=(offsets[-1], d)),
        offsets=offsets,
        weight=rng.uniform(0.5, 2.0, offsets[-1]),
        prior=np.geomspace(1, 3, d) if prior else None,
    )


def _information(pool: Features, picks: Any, precision: float, known: Matrix | None = None) -> float:
    x = np.asarray(pool.rows) / pool.prior * pool.weight[:, None]
    P = precision * np.eye(pool.n_features)
    if known is not None:
        P = P + known.T @ known
    mine = x[pool.row_index(np.asarray(picks, np.int64))]
    return 0.5 * float(np.linalg.slogdet(P + mine.T @ mine)[1] - np.linalg.slogdet(P)[1])


def _choose(pool: Features, n: int, known: Features | None = None, **more: Any) -> Selection:
    return Exchange(**more).select(pool, n, known=known, rng=RNG)


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.parametrize("with_known", [False, True])
@pytest.mark.parametrize("n", [1, 3, 6])
def test_against_brute_force(n: int, with_known: bool, blocks: bool) -> None:
    found = 0
    for seed in range(8):
        pool = _pool(seed, 11, 4, blocks=blocks, prior=True)
        y = np.random.default_rng(seed).normal(size=(3, 4)) if with_known else None
        known = (
            None
            if y is None
            else Features.from_array(y * pool.prior, prior=pool.prior, ids=Ids.numbered(3, "known"))
        )
        chosen = _choose(pool, n, known, precision=0.3)
        greedy = Bayes(precision=0.3).select(pool, n, known=known, rng=RNG)
        value = _information(pool, chosen.index, 0.3, y)
        assert value >= _information(pool, greedy.index, 0.3, y) - 1e-9
        assert chosen.gain is not None
        assert chosen.gain.sum() == pytest.approx(value)
        for out, new in itertools.product(chosen.index.tolist(), set(range(11)) - set(chosen.index.tolist())):
            other = [*(set(chosen.index.tolist()) - {out}), new]
            assert _information(pool, other, 0.3, y) <= value + 0.5 * np.log(1.0001) + 1e-9
        best = max(_information(pool, s, 0.3, y) for s in itertools.combinations(range(11), n))
        found += value > best - 1e-3
        assert chosen.certificate is not None
        assert chosen.certificate.upper_bound >= best - 1e-9
    assert found >= 6  # a local optimum need not be the global one, but mostly is


def test_better_than_greedy_on_larger_pools() -> None:
    """From the default prior, whose determinants span many orders of magnitude."""
    raised = 0
    for seed in range(4):
        pool = _pool(seed, 300, 20, blocks=False)
        chosen = _choose(pool, 20)
        greedy = Bayes(sensitivity=False).select(pool, 20, rng=RNG)
        assert chosen.gain is not None
        assert greedy.gain is not None
        assert chosen.gain.sum() >= greedy.gain.sum() - 1e-6
        raised += chosen.gain.sum() > greedy.gain.sum() + 1e-2
        assert "no exchange of two would raise it further" in " ".join(chosen.notes)
    assert raised >= 3


def test_as_many_swaps_as_allowed() -> None:
    pool = _pool(0, 300, 20, blocks=False)
    none, one = _choose(pool, 20, swaps=0), _choose(pool, 20, swaps=1)
    assert none.index.tolist() == Bayes(sensitivity=False).select(pool, 20, rng=RNG).index.tolist()
    assert len(set(none.index.tolist()) & set(one.index.tolist())) == 19
    assert "1 exchanges" in one.notes[-1]
    assert "as many as allowed" in one.notes[-1]


@pytest.mark.parametrize("wrong", [{"precision": -1.0}, {"tolerance": 1.0}, {"swaps": -1}])
def test_refusals(wrong: dict[str, Any]) -> None:
    with pytest.raises(SelectionError):
        select(Features.from_array(np.eye(3)), 2, method="exchange", **wrong)
