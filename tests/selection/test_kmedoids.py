"""k-medoids against enumeration, against the package called bare, and against its own definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from aliquot.errors import SelectionError
from aliquot.selection import select
from aliquot.selection.kmedoids import _best_swap, _clipped, _medoids
from aliquot.selection.points import pairwise, points_at
from aliquot.table import Features


def loss_of(x: np.ndarray, chosen: np.ndarray, known: np.ndarray | None = None) -> float:
    """The definition, from all distances."""
    there = x[chosen] if known is None else np.vstack((x[chosen], known))
    return float(cdist(x, there).min(axis=1).sum())


def best_loss(x: np.ndarray, n: int, known: np.ndarray | None = None) -> float:
    return min(loss_of(x, np.array(some), known) for some in itertools.combinations(range(len(x)), n))


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_near_the_best_of_all_subsets(n, given):
    ratios = []
    for seed in range(30):
        rng = np.random.default_rng([seed, n])
        x, known = rng.normal(size=(11, 3)), rng.normal(size=(4, 3)) if given else None
        table = None if known is None else Features.from_array(known, ids=_others(known))
        chosen = select(Features.from_array(x), n, method="kmedoids", known=table).index
        ratios.append(loss_of(x, chosen, known) / best_loss(x, n, known))
    assert min(ratios) > 1 - 1e-12
    assert np.mean(np.array(ratios) < 1 + 1e-9) >= (1.0 if n == 1 else 0.7)
    assert max(ratios) < 1.2


def _others(rows: np.ndarray):
    from aliquot.table import Ids

    return Ids.numbered(len(rows), "known")


def test_no_single_swap_helps(pool):
    chosen = select(pool, 7, method="kmedoids").index
    members = np.unique(pool.ids.hash, return_index=True)[1]
    x = points_at(pool, members)
    at = [int(np.flatnonzero(members == i)[0]) for i in chosen]
    reached = loss_of(x, np.array(at))
    for m in range(7):
        for j in set(range(len(x))) - set(at):
            other = np.array([*at[:m], *at[m + 1 :], j])
            assert loss_of(x, other) >= reached * (1 - 1e-9)


@pytest.mark.parametrize("given", [False, True])
def test_best_swap_is_the_best_of_all(given):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(12, 2))
        cap = rng.uniform(0.3, 2.0, 12) if given else np.full(12, np.inf)
        B = _clipped(x, cap)
        picks = rng.choice(12, 4, replace=False)

        def loss(some: np.ndarray, B: np.ndarray = B) -> float:
            return float(B[some].min(axis=0).sum())

        swaps = {
            (m, j): loss(np.array([*picks[:m], *picks[m + 1 :], j]))
            for m in range(4)
            for j in set(range(12)) - set(picks.tolist())
        }
        least = min(swaps.values())
        found = _best_swap(B, picks)
        if least >= loss(picks) * (1 - 1e-9):
            assert found is None
        else:
            assert swaps[found] == pytest.approx(least, rel=1e-12)


def test_the_start_is_greedy():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 4))
    from aliquot.progress import silent
    from aliquot.selection.kmedoids import _greedy

    B = _clipped(x, np.full(300, np.inf))
    near, plain = np.full(300, np.inf), []
    for _ in range(40):
        plain.append(int(np.argmin(np.minimum(near, B).sum(axis=1))))
        near = np.minimum(near, B[plain[-1]])
    assert _greedy(B, np.full(300, np.inf), 40, silent).tolist() == plain


def test_not_worse_than_the_package_called_bare():
    import kmedoids

    worse = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = 3 * rng.normal(size=(8, 5))[rng.integers(8, size=400)] + rng.normal(size=(400, 5))
        bare = kmedoids.fasterpam(cdist(x, x), 20, random_state=seed, n_cpu=1).loss
        own = loss_of(x, select(Features.from_array(x), 20, method="kmedoids").index)
        worse.append(own / bare - 1)
    assert np.mean(worse) <= 0.0
    assert max(worse) < 0.03


def test_what_is_known_is_not_chosen_again():
    """Three clusters; one is known: two picks go to the others."""
    rng = np.random.default_rng(5)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = np.repeat(centres, 20, axis=0) + 0.3 * rng.normal(size=(60, 2))
    known = Features.from_array(centres[:1], ids=_others(centres[:1]))
    assert set(select(Features.from_array(x), 2, method="kmedoids", known=known).index // 20) == {1, 2}
    assert 0 in select(Features.from_array(x), 3, method="kmedoids").index // 20


def test_samples_come_near_the_whole():
    rng = np.random.default_rng(6)
    x = 4 * rng.normal(size=(6, 4))[rng.integers(6, size=3000)] + rng.normal(size=(3000, 4))
    pool = Features.from_array(x)
    whole = select(pool, 12, method="kmedoids")
    sampled = select(pool, 12, method="kmedoids", exact=1000, sample=600)
    assert loss_of(x, sampled.index) < 1.05 * loss_of(x, whole.index)
    assert any("CLARA" in note for note in sampled.notes)
    assert not any("CLARA" in note for note in whole.notes)
    told = next(note for note in whole.notes if note.startswith("mean distance"))
    assert told.endswith(f"{loss_of(x, whole.index) / 3000:.4g} after")


def test_more_than_samples_can_hold_is_refused():
    pool = Features.from_array(np.random.default_rng(0).normal(size=(200, 2)))
    with pytest.raises(SelectionError, match=r"raise exact to 200"):
        select(pool, 100, method="kmedoids", exact=90)


def test_single_precision_changes_little(monkeypatch):
    rng = np.random.default_rng(8)
    x = rng.normal(size=(400, 6))
    double = _medoids(x, np.full(400, np.inf), 15, lambda *_: None)
    monkeypatch.setattr("aliquot.selection.kmedoids._DOUBLE", 10)
    single = _medoids(x, np.full(400, np.inf), 15, lambda *_: None)
    assert loss_of(x, single) == pytest.approx(loss_of(x, double), rel=0.01)


def test_distances_of_points_that_are_near_and_far():
    rng = np.random.default_rng(9)
    x = 50 + np.repeat(rng.normal(size=(30, 7)), 2, axis=0) + 1e-5 * rng.normal(size=(60, 7))
    out = np.empty((60, 60))
    pairwise(x, out=out)
    np.testing.assert_allclose(out, cdist(x, x), rtol=1e-8, atol=1e-300)
