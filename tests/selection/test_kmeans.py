"""k-means against scikit-learn from the same starts, against enumeration, and on clusters that everyone sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from aliquot.errors import SelectionError
from aliquot.selection import select
from aliquot.selection.kmeans import lloyd
from aliquot.table import Features, Ids


def blobs(seed: int, clusters: int = 6, each: int = 30, d: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 20 * np.eye(clusters, d) + 20 * rng.normal(size=(clusters, d))
    return np.repeat(centres, each, axis=0) + rng.normal(size=(clusters * each, d))


@pytest.mark.parametrize("seed", range(5))
def test_lloyd_is_that_of_scikit_learn(seed):
    from sklearn.cluster import KMeans

    x = np.random.default_rng(seed).normal(size=(400, 3))
    start = x[:12]
    ours, _ = lloyd(x, start, np.full(400, np.inf), iterations=500)
    peer = KMeans(12, init=start, n_init=1, max_iter=500, tol=0.0).fit(x)
    loss = np.square(cdist(x, ours).min(axis=1)).sum()
    assert loss == pytest.approx(peer.inertia_, rel=2e-3)  # ours stops when little changes


def test_every_step_lowers_the_sum_beside_what_is_known():
    rng = np.random.default_rng(1)
    x, known = rng.normal(size=(300, 3)), rng.normal(size=(5, 3))
    cap = np.square(cdist(x, known).min(axis=1))
    sums = []
    for iterations in range(1, 30):
        centres, _ = lloyd(x, x[:8], cap, iterations=iterations)
        sums.append(np.minimum(np.square(cdist(x, centres).min(axis=1)), cap).sum())
    assert np.all(np.diff(sums) <= 1e-9)
    assert sums[-1] < 0.95 * sums[0]


def test_with_what_is_known_centres_are_those_of_a_k_means_whose_known_centres_stay():
    """Lloyd's iteration written out with all centres in one list, of which the known ones never move."""
    rng = np.random.default_rng(2)
    x, known = rng.normal(size=(200, 2)), rng.normal(size=(4, 2))
    free = x[:5].copy()
    for _ in range(200):
        owner = cdist(x, np.vstack((known, free))).argmin(axis=1) - 4
        free = np.array([x[owner == a].mean(axis=0) if np.any(owner == a) else free[a] for a in range(5)])
    ours, _ = lloyd(x, x[:5], np.square(cdist(x, known).min(axis=1)), iterations=200)
    loss = [np.square(cdist(x, np.vstack((known, c))).min(axis=1)).sum() for c in (free, ours)]
    assert loss[1] == pytest.approx(loss[0], rel=2e-3)


def test_one_of_each_cluster():
    for seed in range(5):
        x = blobs(seed)
        chosen = select(Features.from_array(x), 6, method="kmeans", seed=seed).index
        owner = chosen // 30
        if len(set(owner)) == 6:  # Lloyd's may settle with two starts in one cluster
            for i in chosen:
                mine = x[30 * (i // 30) : 30 * (i // 30) + 30]
                away = np.linalg.norm(mine - mine.mean(axis=0), axis=1)
                assert away.argmin() == i % 30
    assert len(set(select(Features.from_array(blobs(0)), 6, method="kmeans").index // 30)) == 6


def test_known_clusters_are_left_alone():
    x = blobs(3)
    known = Features.from_array(x[[0, 31, 62]] + 0.1, ids=Ids.numbered(3, "known"))
    chosen = select(Features.from_array(x), 3, method="kmeans", known=known).index
    assert set(chosen // 30) == {3, 4, 5}


def test_near_the_best_of_all_partitions():
    x = np.random.default_rng(4).normal(size=(8, 2))
    best = np.inf
    for labels in itertools.product(range(2), repeat=8):
        of = np.array(labels)
        if 0 < of.sum() < 8:
            best = min(best, sum(np.square(x[of == a] - x[of == a].mean(axis=0)).sum() for a in (0, 1)))
    losses = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        centres, _ = lloyd(x, x[rng.choice(8, 2, replace=False)], np.full(8, np.inf), iterations=100)
        losses.append(np.square(cdist(x, centres).min(axis=1)).sum())
    assert min(losses) == pytest.approx(best)


def test_not_worse_than_scikit_learn_on_average():
    from sklearn.cluster import KMeans

    ratios = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = 3 * rng.normal(size=(10, 5))[rng.integers(10, size=500)] + rng.normal(size=(500, 5))
        note = select(Features.from_array(x), 25, method="kmeans", seed=seed).notes[-1]
        ours = float(note.rsplit(": ", 1)[1].split(" after")[0])
        peer = np.sqrt(KMeans(25, n_init=1, random_state=seed).fit(x).inertia_ / 500)
        ratios.append(ours / peer)
    assert np.mean(ratios) < 1.02


def test_centres_from_a_sample():
    x = blobs(5, each=200)
    chosen = select(Features.from_array(x), 6, method="kmeans", exact=150)
    assert len(set(chosen.index // 200)) == 6
    assert any("150 of 1200" in note for note in chosen.notes)


def test_more_clusters_than_different_points():
    x = np.repeat(np.eye(3), 5, axis=0)
    chosen = select(Features.from_array(x), 7, method="kmeans")
    assert len(set(chosen.index // 5)) == 3
    assert any("no member" in note for note in chosen.notes)


def test_nonsense_is_refused():
    with pytest.raises(SelectionError, match="iterations of kmeans must be 1 or more"):
        select(Features.from_array(np.eye(3)), 2, method="kmeans", iterations=0)
