"""MaxVol of structures: pivots recomputed from the definition, blocks, known rows, fewer and more than the rank."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Entropy, Posterior, default_precision, gather
from aliquot.information.volume import maxvol
from aliquot.selection import MaxVol, Selection, select
from aliquot.table import KINDS, Features, Ids

Matrix = NDArray[np.float64]


def _choose(pool: Features, n: int, *, known: Features | None = None, **parameters: object) -> Selection:
    return MaxVol(**parameters).select(pool, n, known=known, rng=np.random.default_rng(0))  # type: ignore[arg-type]


def _old(rows: Matrix) -> Features:
    return Features.from_array(rows, ids=Ids.numbered(len(rows), "known"))


def _spread(C: Matrix) -> float:
    return float(np.abs(C).max())


def test_as_many_as_features() -> None:
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=(200, 12)) * np.geomspace(1, 1e-4, 12)
        chosen = _choose(Features.from_array(x), 12)
        assert _spread(np.linalg.solve(x[chosen.index].T, x.T)) <= 1.01 + 1e-8
        assert chosen.nested is False


def test_a_prior_scales_and_weights_do_not_matter() -> None:
    x = np.random.default_rng(0).normal(size=(80, 6))
    pool = Features.from_array(x, weight=np.geomspace(0.1, 10, 80))
    scaled = Features.from_array(x * np.geomspace(1, 1e3, 6), prior=np.geomspace(1, 1e3, 6))
    assert set(_choose(pool, 6).index.tolist()) == set(_choose(scaled, 6).index.tolist())


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_than_the_rank_against_all_subsets(n: int) -> None:
    best = 0
    for seed in range(12):
        x = np.random.default_rng([seed, n]).normal(size=(11, 5))
        chosen = _choose(Features.from_array(x), n).index.tolist()

        def volume(s: list[int] | tuple[int, ...], x: Matrix = x) -> float:
            return float(np.prod(np.linalg.svd(x[list(s)], compute_uv=False)))

        for out, new in itertools.product(chosen, set(range(11)) - set(chosen)):
            assert volume([*(set(chosen) - {out}), new]) <= 1.01 * volume(chosen) * (1 + 1e-9)
        best += volume(chosen) > max(volume(s) for s in itertools.combinations(range(11), n)) / 1.02
    assert best >= 7


def test_more_than_the_rank_goes_on_with_the_longest_coefficients() -> None:
    x = np.random.default_rng(1).normal(size=(150, 6))
    chosen = _choose(Features.from_array(x), 20)
    square = [i for i in chosen.index.tolist() if i in set(_choose(Features.from_array(x), 6).index.tolist())]
    assert len(square) == 6
    picks = list(square)
    for _ in range(14):  # the published recurrence, from scratch
        P = np.linalg.inv(x[picks].T @ x[picks])
        length = np.einsum("ij,jk,ik->i", x, P, x)
        length[picks] = 0.0
        picks.append(int(length.argmax()))
    assert set(picks) == set(chosen.index.tolist())


def _blocks(seed: int, count: int, d: int) -> Features:
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(rng.integers(1, 9, count))))
    return Features.from_array(rng.normal(size=(offsets[-1], d)), offsets=offsets, kind="atom")


@pytest.mark.parametrize("n", [2, 5, 20])
def test_blocks_are_ranked_by_their_pivots(n: int) -> None:
    pool = _blocks(0, 25, 7)
    chosen = _choose(pool, n)
    x, owner = np.asarray(pool.rows), np.repeat(np.arange(25), np.diff(pool.offsets))
    order = np.argsort(pool.ids.hash[owner], kind="stable")
    count = np.bincount(owner[order[maxvol(x[order]).pivots]], minlength=25)
    taken = count[chosen.index]
    assert np.all(np.diff(taken) <= 0) or n > np.count_nonzero(count)
    if n <= np.count_nonzero(count):
        assert taken.min() >= np.sort(count)[::-1][n - 1]
    else:
        assert set(np.flatnonzero(count).tolist()) <= set(chosen.index.tolist())
    entropy = Entropy(
        Posterior(np.full(7, default_precision(pool)))
    )  # gains are those of all rows, one by one
    assert chosen.gain is not None
    for k, i in enumerate(chosen.index.tolist()):
        gains = entropy.gain(gather(pool, np.arange(25)))
        assert chosen.gain[k] == pytest.approx(gains[i], rel=1e-9)
        equal = [j for j in chosen.index[k:].tolist() if count[j] == count[i]]
        if n <= np.count_nonzero(count):
            assert gains[i] >= max(gains[equal]) * (1 - 1e-8)
        entropy.absorb(gather(pool, np.array([i])))


def test_energy_rows_stand_for_their_structure() -> None:
    pool = _blocks(0, 25, 4)
    kind = np.full(len(pool.rows), KINDS.index("force"), np.uint8)
    kind[pool.offsets[:-1]] = KINDS.index("energy")
    mixed, energies = replace(pool, kind=kind), pool.rows[pool.offsets[:-1]]
    alone = Features.from_array(energies, ids=pool.ids)
    assert set(_choose(mixed, 4).index.tolist()) == set(_choose(alone, 4).index.tolist())


def test_known_rows_may_stay_and_may_go() -> None:
    x = np.random.default_rng(2).normal(size=(60, 5))
    far = np.eye(5)[:3] * 100.0
    chosen = _choose(Features.from_array(x), 2, known=_old(far))
    block = np.vstack((far, x[chosen.index]))
    assert abs(np.linalg.det(block)) >= max(
        abs(np.linalg.det(np.vstack((far, x[list(s)])))) for s in itertools.combinations(range(60), 2)
    ) * (1 / 1.01**2 - 1e-9)
    near = _choose(Features.from_array(x), 5, known=_old(far * 1e-4))
    assert _spread(np.linalg.solve(x[near.index].T, x.T)) <= 1.01 + 1e-8
    full = _choose(Features.from_array(x), 4, known=_old(100.0 * np.eye(5)))
    assert "5 are known" in " ".join(full.notes)
    assert len(full) == 4


def test_a_known_block_is_not_chosen_again() -> None:
    """What known rows span is worth nothing; picks lie in the other directions."""
    rng = np.random.default_rng(3)
    x = np.zeros((40, 6))
    x[:20, :3], x[20:, 3:] = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    chosen = _choose(Features.from_array(x), 3, known=_old(np.hstack((10.0 * np.eye(3), np.zeros((3, 3))))))
    assert chosen.index.min() >= 20


def test_the_rank_is_said() -> None:
    x = np.random.default_rng(4).normal(size=(50, 3)) @ np.random.default_rng(5).normal(size=(3, 9))
    for rows, few in ((x, "1e-11"), (x.astype(np.float32), "1e-06")):
        chosen = _choose(Features.from_array(rows), 3)
        assert "3 of 9 directions" in " ".join(chosen.notes)
        assert few in " ".join(chosen.notes)
        assert _spread(x @ np.linalg.pinv(x[chosen.index])) <= 1.01 + 1e-4
    assert "full rank, 9" in " ".join(_choose(Features.from_array(x + np.eye(50, 9)), 9).notes)


@pytest.mark.parametrize("wrong", [{"tolerance": 0.5}, {"tolerance": np.nan}, {"resolution": 0.0}])
def test_refusals(wrong: dict[str, float]) -> None:
    with pytest.raises(SelectionError, match="must be"):
        select(Features.from_array(np.eye(3)), 2, method="maxvol", **wrong)


def test_more_blocks_than_hold_pivots() -> None:
    """Each further structure holds the longest environment given all environments of those before it."""
    pool = _blocks(1, 25, 3)
    x, owner = np.asarray(pool.rows), np.repeat(np.arange(25), np.diff(pool.offsets))
    few = next(k for k in range(1, 4) if "went on" in " ".join(_choose(pool, k + 1).notes))
    held = set(_choose(pool, few).index.tolist())
    for n in range(few + 1, few + 8):
        P = np.linalg.inv(x[np.isin(owner, list(held))].T @ x[np.isin(owner, list(held))])
        length = np.einsum("ij,jk,ik->i", x, P, x)
        length[np.isin(owner, list(held))] = 0.0
        held |= {int(owner[length.argmax()])}
        assert held == set(_choose(pool, n).index.tolist())
