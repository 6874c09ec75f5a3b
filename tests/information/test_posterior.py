"""The posterior against dense linear algebra."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.errors import InputError
from aliquot.information import Posterior, default_precision
from aliquot.information.posterior import PRIOR_FRACTION, logdet_gains
from aliquot.information.triangular import solve, update, whiten
from aliquot.table import TILE_ROWS, Features


def dense(posterior: Posterior) -> np.ndarray:
    prior = posterior.prior
    return posterior.data + (np.diag(prior) if prior.ndim == 1 else prior)


@pytest.mark.parametrize("d", [1, 2, 31, 32, 33, 100])
def test_triangular_routines(d: int) -> None:
    rng = np.random.default_rng(d)
    A = rng.normal(size=(2 * d, d))
    P = A.T @ A + np.eye(d)
    R = np.ascontiguousarray(np.linalg.cholesky(P).T)
    x = rng.normal(size=(5, d))
    np.testing.assert_allclose(whiten(R, x) @ R, x, atol=1e-12 * d)
    y = x[0].copy()
    solve(R, y)
    np.testing.assert_allclose(R @ y, x[0], atol=1e-12 * d)
    changed = R.copy()
    update(changed, x[1].copy())
    np.testing.assert_allclose(changed, np.linalg.cholesky(P + np.outer(x[1], x[1])).T, atol=1e-11 * d)


@pytest.mark.parametrize("full", [False, True])
def test_against_dense_formulas(full: bool) -> None:
    rng = np.random.default_rng(0)
    d = 12
    spread = rng.uniform(0.5, 2.0, d)
    A = rng.normal(size=(d, d))
    posterior = Posterior(A @ A.T + np.eye(d) if full else spread)
    for m in (1, 1, 7, 1, 30, 1, 1):
        posterior.absorb(rng.normal(size=(m, d)))
    P = dense(posterior)
    x = rng.normal(size=(9, d))
    covariance = x @ np.linalg.inv(P) @ x.T
    np.testing.assert_allclose(posterior.variance(x), np.diag(covariance), rtol=1e-11)
    np.testing.assert_allclose(posterior.whiten(x) @ posterior.whiten(x).T, covariance, atol=1e-12)
    assert posterior.log_det() == pytest.approx(np.linalg.slogdet(P)[1], rel=1e-12)
    expected = 0.5 * np.linalg.slogdet(np.eye(9) + covariance)[1]
    assert posterior.logdet_gain(x) == pytest.approx(expected, rel=1e-11)
    assert (posterior.n_rows, posterior.absorbed) == (42, 7)


def test_gain_is_the_difference_of_log_determinants() -> None:
    rng = np.random.default_rng(1)
    posterior = Posterior(np.full(8, 1e-6))
    for m in (3, 1, 20):
        x = rng.normal(size=(m, 8))
        before, gain = posterior.log_det(), posterior.logdet_gain(x)
        posterior.absorb(x)
        assert gain == pytest.approx(0.5 * (posterior.log_det() - before), rel=1e-10)


def test_rank_updates_stay_accurate_over_many_picks() -> None:
    rng = np.random.default_rng(2)
    scale = np.geomspace(1, 1e-4, 40)
    rows = rng.normal(size=(2000, 40)) * scale
    one, all_at_once = Posterior(np.full(40, 1e-8)), Posterior(np.full(40, 1e-8))
    for row in rows:
        one.absorb(row[None])
    all_at_once.absorb(rows)
    np.testing.assert_allclose(one.variance(rows[:50]), all_at_once.variance(rows[:50]), rtol=1e-9)


def test_directions_lower_the_inverse() -> None:
    rng = np.random.default_rng(3)
    posterior = Posterior(np.ones(6))
    posterior.absorb(rng.normal(size=(4, 6)))
    before = np.linalg.inv(dense(posterior))
    for _ in range(20):
        posterior.absorb(rng.normal(size=(1, 6)))
    V = posterior.directions(1)
    assert V is not None
    assert V.shape == (20, 6)
    np.testing.assert_allclose(before - V.T @ V, np.linalg.inv(dense(posterior)), atol=1e-13)
    assert posterior.directions(0) is None, "a block of several rows leaves no direction"


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_merging_is_absorbing_one_after_the_other(seed: int, m: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    prior, x, y = rng.uniform(0.1, 1, 4), rng.normal(size=(m, 4)), rng.normal(size=(k, 4))
    a, b, both = Posterior(prior), Posterior(prior), Posterior(prior)
    a.absorb(x)
    b.absorb(y)
    both.absorb(x)
    both.absorb(y)
    for merged in (a.merge(b), b.merge(a)):
        np.testing.assert_allclose(merged.data, both.data, atol=1e-13)
        np.testing.assert_array_equal(merged.prior, prior)  # once, not twice
        np.testing.assert_allclose(merged.variance(x), both.variance(x), rtol=1e-10)
        assert merged.n_rows == m + k


def test_merging_different_priors_is_refused() -> None:
    with pytest.raises(InputError, match="different priors"):
        Posterior(np.ones(2)).merge(Posterior(np.full(2, 2.0)))


def test_copies_are_independent() -> None:
    a = Posterior(np.ones(3))
    a.absorb(np.eye(3)[:1])
    b = a.copy()
    b.absorb(np.eye(3)[1:2])
    np.testing.assert_allclose(a.variance(np.eye(3)), [0.5, 1, 1])
    np.testing.assert_allclose(b.variance(np.eye(3)), [0.5, 0.5, 1])


@pytest.mark.parametrize(
    "prior", [np.zeros(2), np.array([1.0, np.nan]), np.ones((2, 3)), -np.eye(2), np.array([1.0, -1.0])]
)
def test_bad_priors_are_refused(prior: np.ndarray) -> None:
    with pytest.raises(InputError, match="precision"):
        Posterior(prior)


def test_log_determinants_of_ragged_blocks() -> None:
    rng = np.random.default_rng(4)
    lengths = [1, 3, 0, 3, 9, 1]  # shorter and longer than a row
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    z = rng.normal(size=(offsets[-1], 5))
    expected = [0.5 * np.linalg.slogdet(np.eye(b - a) + z[a:b] @ z[a:b].T)[1] for a, b in pairwise(offsets)]
    np.testing.assert_allclose(logdet_gains(z, offsets), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_default_precision_is_the_stated_fraction_of_the_stated_eigenvalue(dtype: type) -> None:
    rng = np.random.default_rng(5)
    n = 2 * TILE_ROWS + 17
    rows = rng.normal(size=(n, 6)).astype(dtype)
    weight, prior = rng.uniform(0.5, 2, n), rng.uniform(1, 3, 6)
    pool = Features.from_array(rows, weight=weight, prior=prior)
    x = weight[:, None] * rows.astype(np.float64) / prior
    assert default_precision(pool) == pytest.approx(
        PRIOR_FRACTION * np.linalg.eigvalsh(x.T @ x / n)[-1], rel=1e-12
    )
    assert default_precision(Features.from_array(np.zeros((3, 2)))) == PRIOR_FRACTION
