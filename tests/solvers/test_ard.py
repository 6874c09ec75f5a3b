"""Relevance determination against the density of the data, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from sklearn.linear_model import ARDRegression

from aliquot.errors import InputError
from aliquot.solvers import ARD, OMP, EvidenceRidge, LeastSquares, SharedCost
from aliquot.solvers.ard import _Relevance

from .problems import ill_conditioned, triangle_of, well_conditioned


def log_density(A: np.ndarray, y: np.ndarray, alpha: np.ndarray, variance: float) -> float:
    covariance = variance * (np.eye(len(A)) + (A / alpha) @ A.T)
    return float(scipy.stats.multivariate_normal(np.zeros(len(A)), covariance).logpdf(y))


@pytest.fixture
def machine() -> tuple[np.ndarray, np.ndarray, _Relevance]:
    A, y = well_conditioned(60, 10)
    machine = _Relevance(LeastSquares.of(triangle_of(A, y)))
    machine.sweep(remove=False)
    return A, y, machine


def test_what_follows_from_the_precisions(machine) -> None:
    A, y, relevance = machine
    inverse = np.linalg.inv(A.T @ A + np.diag(relevance.alpha))
    np.testing.assert_allclose(relevance.mu, inverse @ A.T @ y, rtol=1e-9)
    np.testing.assert_allclose(relevance.v, np.diag(inverse), rtol=1e-9)
    profile = y @ np.linalg.solve(np.eye(60) + (A / relevance.alpha) @ A.T, y) / 60
    assert relevance.log_evidence == pytest.approx(log_density(A, y, relevance.alpha, profile), rel=1e-9)
    assert relevance.log_evidence > log_density(A, y, relevance.alpha, 1.1 * profile)


def test_losses_and_relevance_are_those_of_the_density(machine) -> None:
    A, y, relevance = machine
    here = log_density(A, y, relevance.alpha, relevance.variance)
    for j in range(10):
        without = np.delete(np.arange(10), j)
        left = log_density(A[:, without], y, relevance.alpha[without], relevance.variance)
        assert relevance.losses()[j] == pytest.approx(here - left, abs=1e-7)
        others = []
        for value in relevance.alpha[j] * np.geomspace(1e-3, 1e9, 61):
            alpha = relevance.alpha.copy()
            alpha[j] = value
            others.append(log_density(A, y, alpha, relevance.variance))
        assert bool(relevance.relevant()[j]) == (max(others) > left + 1e-9)


def test_orthogonal_transformations_say_what_cholesky_says(machine) -> None:
    _, _, relevance = machine
    W, volume = relevance._inverse()
    other, same = relevance._orthogonal()
    np.testing.assert_allclose(other.T @ other, W.T @ W, rtol=1e-9, atol=1e-14)
    assert volume == pytest.approx(same)


def test_a_removed_function_comes_back_if_the_data_ask_for_it(machine) -> None:
    _, _, relevance = machine
    best = relevance.log_evidence
    strongest = int(np.argmax(relevance.losses()))
    relevance.without(np.array([strongest]))
    assert relevance.log_evidence < best
    assert relevance.recall() >= 1
    assert strongest in relevance.active


def test_coefficients_are_scikit_learns_where_few_functions_matter() -> None:
    rng = np.random.default_rng(3)
    A = rng.normal(size=(300, 20))
    c = np.where(np.arange(20) < 5, 3.0, 0.0)
    y = A @ c + 0.2 * rng.normal(size=300)
    path = ARD(tolerance=1e-6, max_sweeps=2000).solve(triangle_of(A, y))
    peer = ARDRegression(fit_intercept=False, tol=1e-8, max_iter=2000).fit(A, y)
    assert set(range(5)) <= set(path[-1].support.tolist())
    np.testing.assert_allclose(path.coefficients(), peer.coef_, atol=5e-3)
    assert path.findings["noise"] == pytest.approx(0.2, rel=0.1)
    assert path.findings["stationary"]
    assert path.findings["imbalance"] < 1e-2


def test_the_path_goes_down_to_the_smallest_and_the_evidence_beats_ridge() -> None:
    A, y = well_conditioned(300, 60)
    problem = LeastSquares.of(triangle_of(A, y), prior=np.linspace(1, 3, 60))
    path = ARD(smallest=4, share=0.1).solve(problem, validation=triangle_of(A[:40], y[:40]))
    assert path.sizes[0] == 4
    assert np.all(np.diff(path.sizes) > 0)
    assert path[-1].log_evidence > EvidenceRidge().solve(problem)[0].log_evidence
    assert np.argmax(path.errors("log_evidence")) >= len(path) - 3
    here: set[int] = set()
    for point, step in zip(path.points, path.steps, strict=True):
        here = (here | set(step.added)) - set(step.dropped)
        assert here == set(point.support.tolist())
        wrong = A[:40] @ point.coefficients(60) - y[:40]
        assert point.validation == pytest.approx(np.sqrt(np.mean(wrong**2)))
    assert len(ARD(smallest=0).solve(problem)) == 1


def test_elimination_saves_costs_and_takes_groups_whole() -> None:
    rng = np.random.default_rng(4)
    A = rng.normal(size=(300, 24))
    y = A @ np.linspace(1, 2, 24) + 0.5 * rng.normal(size=300)
    cost = SharedCost([[j] for j in range(12)] + [[12]] * 12, [20.0] * 12 + [10.0])
    triangle = triangle_of(A, y)
    plain = ARD(smallest=12).solve(triangle)[0]
    frugal = ARD(smallest=12).solve(LeastSquares.of(triangle, costs=cost))
    assert plain.size == frugal[0].size == 12
    assert frugal[0].cost == cost.total(frugal[0].support) < 0.5 * cost.total(plain.support)
    of = np.arange(24) % 6
    loud = triangle_of(A, A @ np.where(of >= 4, 3.0, 1.0) + 0.5 * rng.normal(size=300))
    grouped = ARD(smallest=7).solve(LeastSquares.of(loud, groups=of))
    assert grouped.sizes.tolist() == [8, 12, 16, 20, 24]
    for point in grouped.points:
        assert point.size == np.isin(of, of[point.support]).sum()
    assert set(of[grouped[0].support].tolist()) == {4, 5}


def test_elimination_at_equal_size_is_no_worse_than_pursuit_by_much() -> None:
    A, y = ill_conditioned()
    path, pursuit = ARD(smallest=5).solve(triangle_of(A, y)), OMP().solve(triangle_of(A, y))
    ratio = [p.training / pursuit[p.size - 1].training for p in path.points]
    assert np.median(ratio) < 1.2


def test_unsettled_runs_are_said_and_bad_settings_refused() -> None:
    A, y = well_conditioned()
    path = ARD(max_sweeps=1).solve(triangle_of(A, y))
    assert not path.findings["stationary"]
    assert "had not settled" in path.notes[0]
    with pytest.raises(InputError, match="max_sweeps"):
        ARD(share=2.0)


def test_copies_and_columns_of_zeros() -> None:
    A, y = well_conditioned(d=10)
    A = np.hstack([A, A[:, :5], np.zeros((300, 1))])
    path = ARD().solve(triangle_of(A, y))
    assert 15 not in path[-1].support
    assert path[-1].training < 0.32
