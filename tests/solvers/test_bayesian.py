"""Bayesian ridge against the density of the data written out in full."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from aliquot.errors import InputError
from aliquot.solvers import EvidenceRidge, LeastSquares

from .problems import ill_conditioned, triangle_of, well_conditioned


def two_quantities() -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(5)
    rows = [rng.normal(size=(30, 8)) * np.geomspace(1, 1e-2, 8), rng.normal(size=(70, 8))]
    c = rng.normal(scale=2.0, size=8)
    return rows, [A @ c + s * rng.normal(size=len(A)) for A, s in zip(rows, (0.02, 0.5), strict=True)]


def test_separate_noises_make_the_data_most_probable() -> None:
    rows, targets = two_quantities()
    gamma = np.linspace(1, 2, 8)
    parts = {name: triangle_of(A, y) for name, A, y in zip("EF", rows, targets, strict=True)}
    path = EvidenceRidge("separate").solve(LeastSquares.of(parts, prior=gamma))
    found = path.findings
    X, y = np.vstack(rows) / gamma, np.concatenate(targets)

    def log_density(prior: float, energy: float, forces: float) -> float:
        noise = np.repeat([energy**2, forces**2], [30, 70])
        covariance = np.diag(noise) + prior**2 * X @ X.T
        return float(scipy.stats.multivariate_normal(np.zeros(100), covariance).logpdf(y))

    best = found["prior"], found["noise of E"], found["noise of F"]
    assert found["stationary"]
    assert path[0].log_evidence == pytest.approx(log_density(*best), rel=1e-9)
    for k in range(3):
        for factor in (0.9, 0.99, 1.01, 1.1):
            assert (
                log_density(*(b * (factor if i == k else 1) for i, b in enumerate(best)))
                < path[0].log_evidence
            )
    noise = np.repeat([best[1] ** 2, best[2] ** 2], [30, 70])
    precision = (X / noise[:, None]).T @ X + np.eye(8) / best[0] ** 2
    np.testing.assert_allclose(
        path.coefficients(), np.linalg.solve(precision, X.T @ (y / noise)) / gamma, rtol=1e-8
    )
    decided = [
        np.trace(np.linalg.solve(precision, (A / gamma).T @ (A / gamma))) / s**2
        for A, s in zip(rows, best[1:], strict=True)
    ]
    assert [found["effective of E"], found["effective of F"]] == pytest.approx(decided, rel=1e-8)


def test_shared_noise_is_ridge_with_the_best_prior() -> None:
    A, y = well_conditioned()
    path = EvidenceRidge().solve(triangle_of(A, y), validation=triangle_of(A[:50], y[:50]))
    penalty = path[0].penalty
    expected = np.linalg.solve(A.T @ A + penalty * np.eye(40), A.T @ y)
    np.testing.assert_allclose(path.coefficients(), expected, rtol=1e-8)
    assert path[0].validation == pytest.approx(np.sqrt(np.mean((A[:50] @ expected - y[:50]) ** 2)))
    covariance = path.findings["noise"] ** 2 * (np.eye(300) + A @ A.T / penalty)
    direct = scipy.stats.multivariate_normal(np.zeros(300), covariance).logpdf(y)
    assert path[0].log_evidence == pytest.approx(direct, rel=1e-9)


def test_separate_noises_cancel_weights_and_say_so() -> None:
    rows, targets = two_quantities()
    paths = [
        EvidenceRidge("separate").solve(
            LeastSquares.of(
                {"E": triangle_of(w * rows[0], w * targets[0]), "F": triangle_of(rows[1], targets[1])}
            )
        )
        for w in (1.0, 30.0)
    ]
    np.testing.assert_allclose(paths[0].coefficients(), paths[1].coefficients(), rtol=1e-4)
    assert paths[1].findings["noise of E"] == pytest.approx(30 * paths[0].findings["noise of E"], rel=1e-4)
    assert any("weights between quantities" in note for note in paths[0].notes)


def test_condition_of_ten_billion() -> None:
    A, y = ill_conditioned()
    parts = {"E": triangle_of(A[:200], y[:200]), "F": triangle_of(A[200:], y[200:])}
    for noise in ("shared", "separate"):
        path = EvidenceRidge(noise).solve(LeastSquares.of(parts))
        assert path.findings["stationary"]
        assert path[0].training == pytest.approx(1e-3, rel=0.2)


def test_unsettled_strengths_are_said() -> None:
    A, _ = well_conditioned()
    path = EvidenceRidge().solve(triangle_of(A, A @ np.ones(40)))
    assert not path.findings["stationary"]
    assert "do not settle" in path.notes[-1]
    with pytest.raises(InputError, match="noise is"):
        EvidenceRidge("none")
