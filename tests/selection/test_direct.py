"""DIRECT against the pipeline of scikit-learn that the paper describes, and with what is known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import Birch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from aliquot.errors import SelectionError
from aliquot.selection import select
from aliquot.selection.direct import Components, _joined
from aliquot.table import Features, Ids


def blobs(seed: int, clusters: int = 6, each: int = 40, d: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 30 * rng.normal(size=(clusters, d))
    rows = np.repeat(centres, each, axis=0) + rng.normal(size=(clusters * each, d))
    return rows * np.geomspace(0.1, 100, d) + 7.0


def hashed(x: np.ndarray) -> Features:
    """Content hashes in the order of the rows: BIRCH sees them as the peer does."""
    from dataclasses import replace

    hashes = np.array([f"{i:032x}" for i in range(len(x))], "S32")
    return replace(Features.from_array(x), ids=replace(Ids.numbered(len(x)), hash=hashes))


def published(x: np.ndarray, n: int, threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Weighted components and labels as the paper makes them, with scikit-learn."""
    scaled = StandardScaler().fit_transform(x)
    pca = PCA().fit(scaled)
    m = int(np.sum(pca.explained_variance_ > 1))
    z = pca.transform(scaled)[:, :m] * pca.explained_variance_ratio_[:m]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are too few subclusters is what the loop looks for
        model = Birch(n_clusters=n, threshold=threshold).fit(z)
        while len(model.subcluster_labels_) < n:
            threshold *= len(model.subcluster_labels_) / n
            model = Birch(n_clusters=n, threshold=threshold).fit(z)
    return z, model.predict(z)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [3, 6, 20])
def test_it_is_the_published_pipeline(seed, n):
    x = blobs(seed)
    z, labels = published(x, n, threshold=0.02)
    chosen = select(hashed(x), n, method="direct", threshold=0.02).index
    assert sorted(labels[chosen].tolist()) == sorted(np.unique(labels).tolist())
    for i in chosen:
        mine = z[labels == labels[i]]
        away = np.linalg.norm(mine - mine.mean(axis=0), axis=1)
        assert np.linalg.norm(z[i] - mine.mean(axis=0)) <= away.min() + 1e-9


def test_components_are_those_of_scikit_learn():
    x = blobs(1)
    z, _ = published(x, 2)
    ours = Components.of(hashed(x), np.arange(len(x)))(x)
    assert ours.shape == z.shape
    signs = np.sign(np.sum(ours * z, axis=0))
    np.testing.assert_allclose(ours * signs, z, atol=1e-10)


def test_clusters_are_cut_where_scipy_cuts_them():
    centres = np.random.default_rng(0).normal(size=(40, 3))
    ours = _joined(centres, np.empty(0, np.int64), 7)
    theirs = fcluster(linkage(centres, "ward"), 7, "maxclust")
    assert len(set(zip(ours.tolist(), theirs.tolist(), strict=True))) == 7


@pytest.mark.parametrize("wanted", [1, 4, 9])
def test_joining_leaves_as_many_free_clusters_as_are_wanted(wanted):
    rng = np.random.default_rng(wanted)
    centres, held = rng.normal(size=(30, 2)), rng.choice(30, 6, replace=False)
    label = _joined(centres, held, wanted)
    assert len(np.setdiff1d(label, label[held])) == wanted
    tree = linkage(centres, "ward")
    cuts = {tuple(np.unique(fcluster(tree, c, "maxclust"), return_inverse=True)[1]) for c in range(1, 31)}
    as_cut = {
        len(set(zip(label.tolist(), cut, strict=True))) == len(set(label.tolist())) == len(set(cut))
        for cut in cuts
    }
    assert True in as_cut


def test_known_clusters_are_passed_over():
    x = blobs(2)
    known = Features.from_array(x[[0, 45, 90]] + 0.01, ids=Ids.numbered(3, "known"))
    chosen = select(hashed(x), 3, method="direct", known=known)
    assert set((chosen.index // 40).tolist()) == {3, 4, 5}
    assert any("beside 3 that hold a known structure" in note for note in chosen.notes)


def test_several_of_a_cluster_are_taken_at_equal_intervals():
    x = blobs(3)
    chosen = select(hashed(x), 18, method="direct", per_cluster=3).index
    assert np.bincount(chosen // 40).tolist() == [3] * 6
    z = Components.of(hashed(x), np.arange(len(x)))(x)
    for c in range(6):
        mine = z[40 * c : 40 * c + 40]
        rank = np.linalg.norm(mine - mine.mean(axis=0), axis=1).argsort().argsort()
        assert sorted(rank[chosen[chosen // 40 == c] % 40].tolist()) == [0, 19, 39]


def test_exactly_n_whatever_the_clusters():
    x = np.repeat(np.eye(4), [1, 2, 3, 14], axis=0)
    for n in range(1, 20):
        chosen = select(hashed(x), n, method="direct", per_cluster=3).index
        assert len(set(chosen.tolist())) == n


def test_a_coarse_threshold_is_lowered_and_a_fine_one_raised(monkeypatch):
    x = blobs(4)
    coarse = select(hashed(x), 30, method="direct", threshold=100.0)
    assert len(coarse) == 30
    monkeypatch.setattr("aliquot.selection.direct._MOST", 100)
    fine = select(hashed(x), 6, method="direct", threshold=1e-6)
    assert len(set((fine.index // 40).tolist())) == 6
    joined = int(fine.notes[-1].split("joined from ")[1].split()[0])
    assert 6 <= joined <= 100


def test_nonsense_is_refused():
    with pytest.raises(SelectionError, match="threshold of direct must be positive"):
        select(hashed(np.eye(3)), 2, method="direct", threshold=0.0)
    with pytest.raises(SelectionError, match="per_cluster"):
        select(hashed(np.eye(3)), 2, method="direct", per_cluster=0)
