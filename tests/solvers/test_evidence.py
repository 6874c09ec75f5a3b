"""The best prior against the density of the data written out in full."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from aliquot.errors import InputError
from aliquot.solvers import Triangle, best_prior


def data(m: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(m, d)) * np.geomspace(1, 1e-3, d)
    return A, A @ rng.normal(scale=3.0, size=d) + rng.normal(scale=0.05, size=m)


@pytest.mark.parametrize(("m", "d"), [(60, 8), (40, 40)])
def test_no_other_prior_or_noise_makes_the_data_more_probable(m: int, d: int) -> None:
    A, y = data(m, d)
    triangle = Triangle(d)
    triangle.absorb(A, y)
    found = best_prior(triangle)

    def log_density(precision: float, noise: float) -> float:
        covariance = noise**2 * (np.eye(m) + A @ A.T / precision)
        return float(scipy.stats.multivariate_normal(np.zeros(m), covariance).logpdf(y))

    best = log_density(found.precision, found.noise)
    assert found.stationary
    assert found.log_evidence == pytest.approx(best, rel=1e-8)
    for factor in (0.8, 0.99, 1.01, 1.25):
        assert log_density(found.precision * factor, found.noise) < best
        assert log_density(found.precision, found.noise * factor) < best
    s = np.linalg.svd(A, compute_uv=False) ** 2
    assert found.effective == pytest.approx(np.sum(s / (s + found.precision)))


def test_data_without_noise_leave_the_prior_open() -> None:
    A, _ = data(100, 5)
    triangle = Triangle(5)
    triangle.absorb(A, A @ np.arange(1.0, 6.0))
    found = best_prior(triangle)
    assert not found.stationary
    assert found.noise < 1e-8


def test_nothing_to_go_by_is_refused() -> None:
    with pytest.raises(InputError, match="0 rows"):
        best_prior(Triangle(3))
    triangle = Triangle(3)
    triangle.absorb(np.eye(3), np.zeros(3))
    with pytest.raises(InputError, match="zero targets"):
        best_prior(triangle)
