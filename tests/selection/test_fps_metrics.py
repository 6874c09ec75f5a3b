"""Farthest points in other metrics: against the definition, step by step, from memory and from disk."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from aliquot.errors import InputError, SelectionError
from aliquot.information.metric import METRICS, Metric
from aliquot.selection import FPS, select
from aliquot.selection.points import one_row_each, points_at
from aliquot.table import Features, Ids

OTHERS = [name for name in METRICS if name != "euclidean"]


def distances(name: str, x: np.ndarray, known: np.ndarray | None, ridge: float) -> np.ndarray:
    """All pairs among x, then known, by the formula of the metric and SciPy."""
    both = x if known is None else np.vstack((x, known))
    if name == "cosine":
        return np.sqrt(2 * np.maximum(cdist(both, both, "cosine"), 0))
    if name == "standardised":
        varies = x.std(axis=0) > 1e-12 * np.abs(x).max(axis=0)
        return cdist(both[:, varies], both[:, varies], "seuclidean", V=x[:, varies].var(axis=0))
    covariance = np.cov(both.T, bias=True)
    epsilon = ridge * np.trace(covariance) / len(covariance)
    inverse = np.linalg.inv(covariance + epsilon * np.eye(len(covariance)))
    return cdist(both, both, "mahalanobis", VI=inverse)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("metric", OTHERS)
def test_distances_are_those_of_the_formula(metric, given):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 5)) * np.geomspace(0.01, 10, 5) + rng.normal(size=5)
    known = rng.normal(size=(7, 5)) if given else None
    pool, there = Features.from_array(x), None if known is None else Features.from_array(known)
    own = Metric.of(metric, pool, there, ridge=1e-3)
    y = own(x if known is None else np.vstack((x, known)))
    np.testing.assert_allclose(cdist(y, y), distances(metric, x, known, 1e-3), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("metric", OTHERS)
def test_each_pick_is_farthest(metric, given):
    rng = np.random.default_rng(2)
    prior = rng.uniform(1, 3, 4)
    x, known = rng.normal(size=(50, 4)) + 1.0, rng.normal(size=(6, 4)) + 1.0
    pool = Features.from_array(x, prior=prior)
    there = Features.from_array(known, prior=prior, ids=Ids.numbered(6, "known")) if given else None
    chosen = select(pool, 12, method="fps", metric=metric, ridge=1e-4, known=there)
    D = distances(metric, x / prior, known / prior if given else None, 1e-4)
    near = D[:50, 50:].min(axis=1) if given else D[:50, chosen.index[0]]
    for k, i in enumerate(chosen.index.tolist()):
        if given or k:
            assert near[i] == pytest.approx(near.max(), rel=1e-6)
            assert chosen.gain[k] == pytest.approx(near[i], rel=1e-6)
        near = np.minimum(near, D[:50, i])
    assert -chosen.certificate.achieved == pytest.approx(near.max(), rel=1e-6)
    assert chosen.recipe["metric"] == metric


@pytest.mark.parametrize("metric", OTHERS)
def test_the_same_from_disk(metric, tmp_path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(9000, 6)).astype(np.float32) * np.geomspace(1, 100, 6).astype(np.float32)
    np.save(tmp_path / "rows.npy", x)
    memory = Features.from_array(x)
    disk = Features.from_array(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    known = Features.from_array(x[:5] + 1, ids=Ids.numbered(5, "known"))
    one, other = (select(p, 30, method="fps", metric=metric, known=known) for p in (memory, disk))
    assert one.index.tolist() == other.index.tolist()


def test_a_direction_that_holds_nearly_all_variance_is_not_all_that_counts():
    """100 structures along a long axis, and one aside by a little: Euclid does not see it, the others do."""
    rng = np.random.default_rng(4)
    x = np.column_stack((1000 * rng.normal(size=101), rng.normal(size=101)))
    x[100] = (0.0, 9.0)
    pool = Features.from_array(x)
    assert 100 not in select(pool, 5, method="fps").index
    for metric in ("standardised", "mahalanobis"):
        assert 100 in select(pool, 5, method="fps", metric=metric, ridge=1e-9).index


def test_euclidean_is_untouched(pool):
    assert one_row_each(pool).rows is pool.rows or not pool.single_rows
    plain = FPS()._mapped(_request(pool))[0]
    assert plain.rows is one_row_each(pool).rows or not pool.single_rows
    np.testing.assert_array_equal(points_at(pool, slice(None)), points_at(plain, slice(None)))


def _request(pool: Features):
    from aliquot.selection.request import Request

    return Request.check(pool, 3, known=None)


def test_nonsense_is_refused():
    with pytest.raises(SelectionError, match="metric 'manhattan' is not known; choose one of euclidean"):
        FPS(metric="manhattan")
    with pytest.raises(SelectionError, match="ridge of fps must be positive"):
        FPS(metric="mahalanobis", ridge=0.0)
    with pytest.raises(InputError, match="metric"):
        Metric("taxicab")


@pytest.mark.parametrize(
    ("method", "more"),
    [("kmedoids", {}), ("kmeans", {}), ("direct", {}), ("stratified", {})]
    + [("fps", {"metric": metric}) for metric in OTHERS],
)
def test_the_same_from_a_store_of_shards(method, more, tmp_path):
    from aliquot.features.opening import open_store
    from aliquot.features.writing import StoreWriter

    rng = np.random.default_rng(5)
    pool = Features.from_array(rng.normal(size=(600, 5)) * np.geomspace(1, 30, 5))
    with StoreWriter(tmp_path / "store", shard_rows=70) as writer:
        writer.append(pool)
        writer.finish()
    stored = open_store(tmp_path / "store")
    one, other = (select(p, 20, method=method, **more) for p in (pool, stored))
    assert one.index.tolist() == other.index.tolist()
