"""Triangles and Gram matrices against dense least squares."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.errors import InputError
from aliquot.solvers import Gram, Triangle


def ill_conditioned(m: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(m, d)) * np.geomspace(1, 1e-6, d)
    return rows, rows @ rng.normal(size=d) + 1e-8 * rng.normal(size=m)


@pytest.mark.parametrize("sizes", [(1,) * 50, (7, 1, 600, 3, 900), (2000,)])
def test_triangle_holds_what_least_squares_needs(sizes):
    rows, targets = ill_conditioned(sum(sizes), 20, seed=1)
    triangle, start = Triangle(20), 0
    for size in sizes:
        triangle.absorb(rows[start : start + size], targets[start : start + size])
        start += size
    assert triangle.n_rows == len(rows)
    R, z = triangle.R, triangle.z
    assert np.array_equal(R, np.triu(R))
    np.testing.assert_allclose(R.T @ R, rows.T @ rows, rtol=1e-12, atol=1e-13)
    solution, (left,), *_ = np.linalg.lstsq(rows, targets, rcond=None)
    np.testing.assert_allclose(np.linalg.solve(R, z), solution, rtol=1e-6)
    assert triangle.rest == pytest.approx(left, rel=1e-6)
    c = np.random.default_rng(2).normal(size=20)
    assert triangle.residual(c) == pytest.approx(np.sum((rows @ c - targets) ** 2), rel=1e-12)


def test_small_directions_keep_their_digits_where_the_gram_loses_them():
    rows, targets = ill_conditioned(300, 12, seed=3)
    rows[:, -1] *= 1e-4
    triangle = Triangle(12)
    triangle.absorb(rows, targets)
    exact = np.linalg.svd(rows, compute_uv=False)[-1]
    assert np.linalg.svd(triangle.R, compute_uv=False)[-1] == pytest.approx(exact, rel=1e-4)


def test_merging_is_absorbing_both():
    rows, targets = ill_conditioned(700, 15, seed=4)
    one, two, both = Triangle(15), Triangle(15), Triangle(15)
    one.absorb(rows[:300], targets[:300])
    two.absorb(rows[300:], targets[300:])
    both.absorb(rows, targets)
    merged = one.merge(two)
    assert merged.n_rows == both.n_rows
    c = np.linspace(-1, 1, 15)
    assert merged.residual(c) == pytest.approx(both.residual(c), rel=1e-12)
    np.testing.assert_allclose(np.abs(merged.factor), np.abs(both.factor), rtol=1e-7, atol=1e-12)


def test_fewer_rows_than_columns_and_no_rows_at_all():
    triangle = Triangle(5)
    assert triangle.residual(np.ones(5)) == 0
    triangle.absorb(np.ones((2, 5)), np.array([5.0, 5.0]))
    assert triangle.residual(np.ones(5)) == pytest.approx(0, abs=1e-20)
    assert triangle.residual(np.zeros(5)) == pytest.approx(50)


def test_gram_agrees_and_merges():
    rows, targets = ill_conditioned(50, 4, seed=5)
    gram = Gram.of(rows[:20], targets[:20]).merge(Gram.of(rows[20:], targets[20:]))
    c = np.array([1.0, -2.0, 0.5, 3.0])
    assert gram.n_rows == 50
    assert gram.residual(c) == pytest.approx(np.sum((rows @ c - targets) ** 2), rel=1e-9)


@pytest.mark.parametrize(
    ("rows", "targets"),
    [(np.ones((2, 3)), np.ones(2)), (np.ones((2, 4)), np.ones(3)), (np.full((2, 4), np.nan), np.ones(2))],
)
def test_wrong_rows_are_refused(rows, targets):
    with pytest.raises(InputError):
        Triangle(4).absorb(rows, targets)
    with pytest.raises(InputError, match="cannot be merged"):
        Triangle(4).merge(Triangle(5))
