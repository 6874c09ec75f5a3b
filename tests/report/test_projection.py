"""Principal components against numpy's own decomposition, structure means against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.report import projection
from aliquot.report.map_figure import RASTER_POINTS, map_figure, window
from aliquot.report.projection import evenly, pool_map, principal_axes, structure_means
from aliquot.table import KINDS, Features


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (2, 3), (3, 1)])
def test_axes_are_those_of_the_svd(shape):
    rng = np.random.default_rng(0)
    points = rng.normal(size=shape) * np.linspace(1, 3, shape[1]) + 5
    centre, axes, explained = principal_axes(points)
    _u, s, vt = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    k = min(2, int(np.sum(s > 1e-9)))
    np.testing.assert_allclose(centre, points.mean(axis=0))
    np.testing.assert_allclose(explained[:k], (s**2 / np.sum(s**2))[:k], atol=1e-8)
    np.testing.assert_allclose(np.abs(axes[:, :k].T @ vt[:k].T), np.eye(k), atol=1e-7)
    assert np.all(axes[:, k:] == 0)


@pytest.mark.parametrize("scale", [1e-180, 1e180])
def test_axes_of_tiny_and_huge_features(scale):
    points = np.random.default_rng(1).normal(size=(20, 4))
    _, axes, explained = principal_axes(points)
    _, scaled_axes, scaled = principal_axes(points * scale)
    np.testing.assert_allclose(scaled, explained)
    np.testing.assert_allclose(scaled_axes, axes)


def test_means_are_over_value_rows_scaled_by_the_prior(monkeypatch):
    monkeypatch.setattr(projection, "TILE_ROWS", 7)  # several pieces
    rng = np.random.default_rng(2)
    lengths = np.array([3, 0, 1, 5, 2, 4])
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    rows, prior = rng.normal(size=(15, 4)), np.array([1.0, 2.0, 4.0, 0.5])
    table = Features.from_array(rows, offsets=offsets, prior=prior)
    kind = rng.choice([KINDS.index("energy"), KINDS.index("force")], size=15).astype(np.uint8)
    kind[offsets[2]] = KINDS.index("force")  # one candidate has no value row, another no row at all
    object.__setattr__(table, "kind", kind)
    means = structure_means(table, np.array([5, 0, 1, 2, 3, 4]))
    for mean, i in zip(means, [5, 0, 1, 2, 3, 4], strict=True):
        mine = slice(offsets[i], offsets[i + 1])
        used = rows[mine][kind[mine] == KINDS.index("energy")]
        expected = used.mean(axis=0) / prior if len(used) else np.full(4, np.nan)
        np.testing.assert_allclose(mean, expected)


def test_map_places_known_and_chosen_with_the_candidates():
    rng = np.random.default_rng(3)
    pool, known = Features.from_array(rng.normal(size=(50, 3))), Features.from_array(rng.normal(size=(9, 3)))
    points = pool_map(pool, np.array([7, 3]), known)
    everything = np.concatenate([pool.rows, known.rows])
    centre, axes, _ = principal_axes(everything)
    np.testing.assert_allclose(points.chosen, (pool.rows[[7, 3]] - centre) @ axes)
    np.testing.assert_allclose(points.known, (known.rows - centre) @ axes)
    assert len(points.candidates) == 48
    assert points.rank.tolist() == [1, 2]


def test_a_large_pool_is_sampled_and_says_so(monkeypatch):
    monkeypatch.setattr(projection, "MAP_POINTS", 100)
    pool = Features.from_array(np.random.default_rng(4).normal(size=(1000, 3)))
    points = pool_map(pool, np.arange(200), None)
    assert (len(points.candidates), points.n_candidates) == (100, 800)
    assert (len(points.chosen), points.n_chosen) == (100, 200)
    assert points.rank[0] == 1


def test_rows_that_are_not_finite_are_not_placed():
    rows = np.random.default_rng(5).normal(size=(10, 3))
    rows[4] = np.nan
    points = pool_map(Features.from_array(rows), np.array([4, 5]), None)
    assert points.rank.tolist() == [2]
    assert np.all(np.isfinite(points.candidates))


def test_an_outlier_does_not_press_the_rest_into_a_corner():
    rng = np.random.default_rng(6)
    rows = rng.normal(size=(500, 2))
    rows[0] = [1000.0, 0.0]
    points = pool_map(Features.from_array(rows), np.array([5]), None)
    limits, beyond = window(points)
    assert beyond >= 1
    assert np.diff(limits, axis=1).max() < 20
    chosen_outlier = pool_map(Features.from_array(rows), np.array([0]), None)
    assert window(chosen_outlier)[1] == 0  # a pick is never out of sight


def test_many_points_become_pixels():
    pool = Features.from_array(np.random.default_rng(7).normal(size=(RASTER_POINTS + 200, 3)))
    drawn = map_figure(pool_map(pool, np.arange(5), None), ["a pick"] * 5)
    assert "data:image/png;base64," in drawn
    assert len(drawn) < 600_000
    few = map_figure(pool_map(pool[:500], np.arange(5), None), ["<b>&"] * 5)
    assert "data:image" not in few
    assert few.count("<title>&lt;b&gt;&amp;</title>") == 5


def test_evenly_covers_the_whole_range():
    chosen = evenly(1003, 100)
    assert len(np.unique(chosen)) == 100
    assert chosen[0] == 0
    assert chosen[-1] > 980
