"""Matching pursuit against scikit-learn, and against its definition."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import orthogonal_mp_gram

from aliquot.errors import InputError
from aliquot.solvers import OMP, LeastSquares, Path, SharedCost, Triangle, best_prior

from .problems import ill_conditioned, triangle_of, well_conditioned


@pytest.mark.parametrize("seed", range(5))
def test_supports_and_coefficients_are_scikit_learns(seed: int) -> None:
    A, y = well_conditioned(seed=seed)
    path = OMP(max_size=25).solve(triangle_of(A, y))
    gram, moment = A.T @ A, A.T @ y
    for k in (1, 5, 12, 25):
        expected = orthogonal_mp_gram(gram, moment, n_nonzero_coefs=k)
        point = path[k - 1]
        assert point.size == point.step == k
        assert set(point.support.tolist()) == set(np.flatnonzero(expected).tolist())
        np.testing.assert_allclose(path.coefficients(k - 1), expected, atol=1e-10)
        assert point.training == pytest.approx(np.sqrt(np.mean((A @ expected - y) ** 2)))
    assert [s.added for s in path.steps] == [(int(j),) for j in path[-1].support]


def test_the_prior_scales_columns_and_not_their_length() -> None:
    A, y = well_conditioned()
    gamma = np.linspace(1, 20, 40)
    path = OMP(max_size=10).solve(LeastSquares.of(triangle_of(A, y), prior=gamma))
    expected = orthogonal_mp_gram(
        (A / gamma).T @ (A / gamma), (A / gamma).T @ y, n_nonzero_coefs=10, copy_Gram=True
    )
    np.testing.assert_allclose(path.coefficients() * gamma, expected, atol=1e-10)


def test_every_step_takes_the_largest_correlation_of_an_ill_conditioned_problem() -> None:
    A, y = ill_conditioned()
    path = OMP(max_size=50).solve(triangle_of(A, y))
    for i in range(len(path) - 1):
        residual = y - A @ path.coefficients(i)
        scores = np.abs(A.T @ residual)
        chosen = path[i].support
        left = np.setdiff1d(np.arange(60), chosen)
        assert scores[chosen].max() <= 1e-9 * np.linalg.norm(A) * np.linalg.norm(y)
        assert scores[path[i + 1].support[-1]] == pytest.approx(
            scores[left].max(), rel=1e-6, abs=1e-14 * np.linalg.norm(A) * np.linalg.norm(y)
        )
        best = np.linalg.lstsq(A[:, chosen], y, rcond=None)[0]
        assert np.linalg.norm(residual) == pytest.approx(np.linalg.norm(y - A[:, chosen] @ best), rel=1e-9)


def test_with_a_penalty_coefficients_are_ridge_and_the_evidence_is_that_of_the_support() -> None:
    A, y = well_conditioned(80, 12)
    held, truth = well_conditioned(80, 12, seed=9)
    path = OMP(penalty=0.7).solve(triangle_of(A, y), validation=triangle_of(held, truth))
    for i in (0, 5, 11):
        S = path[i].support
        gram = A[:, S].T @ A[:, S] + 0.7 * np.eye(len(S))
        expected = np.linalg.solve(gram, A[:, S].T @ y)
        np.testing.assert_allclose(path[i].values, expected, rtol=1e-8)
        covariance = np.eye(80) + A[:, S] @ A[:, S].T / 0.7
        variance = y @ np.linalg.solve(covariance, y) / 80
        log = -40 * (1 + np.log(2 * np.pi * variance)) - 0.5 * np.linalg.slogdet(covariance)[1]
        assert path[i].log_evidence == pytest.approx(log, rel=1e-9)
        wrong = held[:, S] @ expected - truth
        assert path[i].validation == pytest.approx(np.sqrt(np.mean(wrong**2)), rel=1e-9)
    whole = OMP(penalty="evidence").solve(triangle_of(A, y))
    assert whole[-1].log_evidence == pytest.approx(best_prior(triangle_of(A, y)).log_evidence, rel=1e-9)


def test_paths_stop_when_the_evidence_or_the_validation_error_turns() -> None:
    rng = np.random.default_rng(3)
    A = rng.normal(size=(400, 200))
    y = A[:, :8] @ np.full(8, 2.0) + rng.normal(size=400)
    for stop in ("evidence", "validation"):
        path = OMP(penalty="evidence", stop=stop, patience=20).solve(
            triangle_of(A[:300], y[:300]), validation=triangle_of(A[300:], y[300:])
        )
        assert 8 <= len(path) < 100
        assert stop in path.stopped
        values = path.errors("validation") if stop == "validation" else -path.errors("log_evidence")
        assert np.argmin(values) <= len(path) - 20


def test_groups_come_whole_in_the_order_of_their_correlation() -> None:
    A, y = well_conditioned()
    labels = [f"({j % 7})" for j in range(40)]
    path = OMP(max_size=40).solve(LeastSquares.of(triangle_of(A, y), groups=labels))
    of = np.arange(40) % 7
    gain = np.bincount(of, (A.T @ y) ** 2) / np.bincount(of)
    assert set(path.steps[0].added) == set(np.flatnonzero(of == np.argmax(gain)).tolist())
    assert len(path) == 7
    for point in path.points:
        chosen = set(of[point.support].tolist())
        assert point.size == np.isin(of, list(chosen)).sum()


def test_cheap_functions_come_first_where_functions_explain_alike() -> None:
    A, _ = well_conditioned(d=12)
    A[:, 6:] = 0.95 * A[:, :6] + 1e-3 * np.random.default_rng(1).normal(size=(300, 6))
    y = A[:, :6] @ np.arange(1.0, 7.0) + 0.1 * np.random.default_rng(2).normal(size=300)
    uses = [[j] for j in range(6)] + [[6]] * 6  # the second half shares what it needs
    cost = SharedCost(uses, [50.0] * 6 + [20.0])
    plain = OMP(max_size=5).solve(triangle_of(A, y))
    frugal = OMP(max_size=5).solve(LeastSquares.of(triangle_of(A, y), costs=cost))
    assert frugal[-1].cost == cost.total(frugal[-1].support) < cost.total(plain[-1].support)
    support = np.empty(0, np.int64)
    for point in frugal.points:  # every step is the best gain per added cost
        residual = y - (
            A[:, support] @ np.linalg.lstsq(A[:, support], y, rcond=None)[0] if len(support) else 0
        )
        added = np.array([cost.total(np.append(support, j)) - cost.total(support) for j in range(12)])
        score = (A.T @ residual) ** 2 / np.where(np.isin(np.arange(12), support), np.inf, added)
        assert point.support[-1] == np.argmax(score)
        support = point.support


def test_copies_are_passed_over_and_said() -> None:
    A, y = well_conditioned(d=10)
    A = np.hstack([A, A[:, :4]])
    path = OMP().solve(triangle_of(A, y))
    assert path[-1].size == 10
    assert path.stopped == "the other functions depend on those chosen"
    assert "4 functions were passed over" in path.notes[0]


def test_more_functions_than_rows() -> None:
    A, y = well_conditioned(20, 50)
    path = OMP().solve(triangle_of(A, y))
    assert path[-1].size <= 20
    assert path[-1].training < 1e-8
    assert OMP(penalty=1.0).solve(triangle_of(A, y))[-1].size == 50


def test_the_same_answer_from_json_and_again() -> None:
    A, y = ill_conditioned()
    path = OMP(penalty="evidence").solve(triangle_of(A, y))
    again = OMP(penalty="evidence").solve(triangle_of(A, y))
    np.testing.assert_array_equal(path.matrix(), again.matrix())
    back = Path.from_dict(json.loads(json.dumps(path.thinned(7).to_dict(), allow_nan=False)))
    assert len(back) == 7
    np.testing.assert_array_equal(back.coefficients(), path.coefficients())


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (lambda: OMP(max_size=0), "max_size"),
        (lambda: OMP(penalty=-1.0), "penalty"),
        (lambda: OMP(stop="validation").solve(triangle_of(*well_conditioned())), "validation rows"),
        (lambda: OMP(stop="evidence").solve(triangle_of(*well_conditioned())), "positive penalty"),
        (lambda: OMP(stop="never").solve(triangle_of(*well_conditioned())), "stop is one of"),
        (lambda: OMP().solve(Triangle(3)), "no rows"),
    ],
)
def test_bad_requests_are_refused(solver, words) -> None:
    with pytest.raises(InputError, match=words):
        solver()
