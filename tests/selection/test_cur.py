"""CUR and leverage: against the singular value decomposition written out, and in distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import default_precision
from aliquot.information.leading import Remaining
from aliquot.selection import CUR, Leverage, Selection, select
from aliquot.table import KINDS, Features, Ids

Matrix = NDArray[np.float64]


def _choose(
    pool: Features, n: int, *, known: Features | None = None, seed: int = 0, **more: Any
) -> Selection:
    return CUR(**more).select(pool, n, known=known, rng=np.random.default_rng(seed))


def _table(seed: int, n: int, d: int, decay: float = 1.0) -> Matrix:
    rng = np.random.default_rng([seed, n, d])
    return (rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -decay) @ np.linalg.qr(rng.normal(size=(d, d)))[
        0
    ]


def _by_hand(x: Matrix, owner: NDArray[np.int64], n: int, k: int, largest: bool = False) -> list[int]:
    """The published loop: decompose, choose, orthogonalise every row to the chosen ones, decompose again."""
    left, picks, taken = x.copy(), list[int](), list[int]()
    for _ in range(n):
        U = np.linalg.svd(left, full_matrices=False)[0][:, :k]
        each = np.square(U).sum(axis=1)
        score = np.zeros(owner.max() + 1)
        (np.maximum if largest else np.add).at(score, owner, each)
        score[picks] = -1.0
        picks.append(int(score.argmax()))
        taken.append(int(np.argmax(np.where(owner == picks[-1], each, -1.0))))
        V = np.linalg.qr(x[taken].T)[0].T
        left = x - (x @ V.T) @ V
        left[taken] = 0.0
    return picks


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("d", [12, 60])
def test_removal_is_the_published_loop(k: int, d: int) -> None:
    x = _table(0, 150, d)
    chosen = _choose(Features.from_array(x), 10, rank=k)
    assert chosen.index.tolist() == _by_hand(x, np.arange(150), 10, k)


@pytest.mark.parametrize("aggregate", ["sum", "max"])
def test_removal_of_blocks_of_atoms(aggregate: str) -> None:
    rng = np.random.default_rng(1)
    offsets = np.concatenate(([0], np.cumsum(rng.integers(1, 4, 30))))
    x = _table(1, int(offsets[-1]), 20)
    pool = Features.from_array(x, offsets=offsets, kind="atom")
    owner = np.repeat(np.arange(30), np.diff(offsets))
    chosen = _choose(pool, 5, rank=2, level="atom", aggregate=aggregate)
    assert chosen.index.tolist() == _by_hand(x, owner, 5, 2, aggregate == "max")
    means = np.add.reduceat(x, offsets[:-1]) / np.diff(offsets)[:, None]
    assert _choose(pool, 5).index.tolist() == _by_hand(means, np.arange(30), 5, 1)


def test_small_directions_keep_their_digits() -> None:
    """Rows along axes of very different lengths come in the order of these, to the last."""
    x = np.diag(np.geomspace(1.0, 1e-8, 60))
    chosen = _choose(Features.from_array(x), 60)
    assert chosen.index.tolist() == list(range(60))
    assert chosen.gain == pytest.approx(1.0)


def test_what_is_left() -> None:
    x, rng = _table(2, 300, 80), np.random.default_rng(0)
    left = Remaining(np.linalg.qr(x, mode="r"))
    rows = np.vstack((x[:3], rng.normal(size=(2, 80)), x[0] + x[1]))
    left.remove(rows[:4])
    left.remove(rows[4:])
    Q = np.linalg.qr(rows[:5].T)[0]
    rest = x - (x @ Q) @ Q.T
    _, s, vt = np.linalg.svd(rest)
    values, directions = left.leading(4)
    assert values == pytest.approx(np.square(s[:4]), rel=1e-9)
    assert np.abs(np.sum(vt[:4].T * directions, axis=0)) == pytest.approx(np.ones(4), abs=1e-6)


def test_begins_anew_when_nothing_is_left() -> None:
    x = _table(3, 30, 4, 0.0)
    chosen = _choose(Features.from_array(x), 10)
    assert len(set(chosen.index.tolist())) == 10
    assert "began anew 2 times" in " ".join(chosen.notes)
    assert chosen.index[:4].tolist() == _by_hand(x, np.arange(30), 4, 1)
    rest = np.setdiff1d(np.arange(30), chosen.index[:4])
    assert rest[_by_hand(x[rest], np.arange(26), 4, 1)].tolist() == chosen.index[4:8].tolist()


def test_top_and_sampled_follow_the_scores() -> None:
    x = _table(4, 40, 6)
    score = np.square(np.linalg.svd(x, full_matrices=False)[0][:, :3]).sum(axis=1)
    pool = Features.from_array(x)
    top = _choose(pool, 7, variant="top", rank=3)
    assert top.index.tolist() == np.argsort(-score)[:7].tolist()
    assert top.gain == pytest.approx(score[top.index])
    first = np.bincount(
        [_choose(pool, 1, variant="sampled", rank=3, seed=s).index[0] for s in range(3000)], minlength=40
    )
    assert np.sum(np.square(first - 1000 * score) / (1000 * score)) < 75  # χ² of 39; 75 has a chance of 5e-4


def test_the_rank_must_leave_something_out() -> None:
    square = np.random.default_rng(0).normal(size=(6, 6))
    for variant in ("removal", "top", "sampled"):
        with pytest.raises(SelectionError, match="rank 6"):
            _choose(Features.from_array(square), 2, variant=variant, rank=6)
    chosen = _choose(Features.from_array(square), 2, variant="top")
    assert chosen.recipe["rank"] < 6
    assert np.ptp(chosen.gain) > 0  # not all alike


def test_known_directions_weigh_little() -> None:
    x = np.zeros((20, 4))
    x[:10, :2], x[10:, 2:] = 10.0 * _table(0, 10, 2), _table(1, 10, 2)
    known = Features.from_array(np.eye(4)[:2], ids=Ids.numbered(2, "known"))
    assert _choose(Features.from_array(x), 2).index.max() < 10
    assert _choose(Features.from_array(x), 2, known=known).index.min() >= 10


@pytest.mark.parametrize(
    "wrong", [{"variant": "best"}, {"level": "cell"}, {"aggregate": "mean"}, {"rank": 0}]
)
def test_refusals(wrong: dict[str, Any]) -> None:
    with pytest.raises(SelectionError, match="cur"):
        select(Features.from_array(np.eye(3)), 2, method="cur", **wrong)


def _mixed() -> Features:
    rng = np.random.default_rng(5)
    offsets = np.concatenate(([0], np.cumsum(rng.integers(2, 6, 15))))
    kind = np.full(offsets[-1], KINDS.index("force"), np.uint8)
    kind[offsets[:-1]] = KINDS.index("energy")
    pool = Features.from_array(
        rng.normal(size=(offsets[-1], 5)), offsets=offsets, weight=rng.uniform(1, 3, offsets[-1])
    )
    return Features(**{**vars(pool), "kind": kind})


@pytest.mark.parametrize("ridge", [None, 0.5])
@pytest.mark.parametrize("rows", ["block", "observable"])
def test_leverage_is_the_diagonal_of_the_hat_matrix(rows: str, ridge: float | None) -> None:
    pool = _mixed()
    chosen = Leverage(variant="top", rows=rows, ridge=ridge).select(pool, 15, rng=np.random.default_rng(0))
    A = np.asarray(pool.rows) * pool.weight[:, None]
    owner = np.repeat(np.arange(15), np.diff(pool.offsets))
    if rows == "observable":
        A, owner = A[pool.offsets[:-1]], np.arange(15)
    ridge = default_precision(pool) if ridge is None else ridge
    hat = np.diag(A @ np.linalg.solve(A.T @ A + ridge * np.eye(5), A.T))
    h = np.bincount(owner, hat)
    assert chosen.index.tolist() == np.argsort(-h).tolist()
    assert chosen.gain == pytest.approx(h[chosen.index])
    assert f"{h.sum():.4g} of 5" in chosen.notes[0]


def test_leverage_given_known_and_repeated() -> None:
    x, y = _table(6, 20, 3), _table(7, 4, 3)
    known = Features.from_array(y, ids=Ids.numbered(4, "known"))
    twice = Features.from_array(x)[np.arange(30) % 20]
    chosen = Leverage(variant="top", ridge=0.1).select(twice, 25, known=known, rng=np.random.default_rng(0))
    P = 0.1 * np.eye(3) + x.T @ x + y.T @ y
    h = np.einsum("ij,jk,ik->i", x, np.linalg.inv(P), x)
    assert chosen.index[:20].tolist() == np.argsort(-h).tolist()
    assert chosen.index[20:].min() >= 20


def test_leverage_is_drawn_in_proportion() -> None:
    x = _table(8, 30, 4)
    pool = Features.from_array(x)
    h = np.square(np.linalg.qr(x)[0]).sum(axis=1)
    draws = [Leverage().select(pool, 2, rng=np.random.default_rng(s)).index for s in range(3000)]
    first = np.bincount([d[0] for d in draws], minlength=30)
    assert np.sum(np.square(first - 750 * h) / (750 * h)) < 62  # χ² of 29; 62 has a chance of 4e-4
    p = h / h.sum()
    second = sum(p[i] * np.where(np.arange(30) == i, 0, p) / (1 - p[i]) for i in range(30))
    found = np.bincount([d[1] for d in draws], minlength=30)
    assert np.sum(np.square(found - 3000 * second) / (3000 * second)) < 62


def test_leverage_refusals() -> None:
    for wrong in ({"variant": "best"}, {"rows": "all"}, {"ridge": 0.0}):
        with pytest.raises(SelectionError, match="leverage"):
            select(Features.from_array(np.eye(3)), 2, method="leverage", **wrong)
