"""The LASSO path against scikit-learn and against its conditions of optimality in exact arithmetic."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from sklearn.linear_model import lars_path_gram

from aliquot.errors import InputError
from aliquot.solvers import ASP, OMP, LeastSquares, Path, SharedCost, Triangle, best_prior

from .problems import ill_conditioned, triangle_of, well_conditioned


def exact_violation(triangle: Triangle, prior: np.ndarray, c: np.ndarray, penalty: float) -> float:
    """Violation of the conditions of optimality in units of λ, in rational arithmetic."""
    R = [[Fraction(x) for x in row] for row in triangle.R.tolist()]
    x = [Fraction(v) for v in c.tolist()]
    d = len(x)
    r = [
        Fraction(z) - sum((R[i][j] * x[j] for j in range(i, d) if x[j]), Fraction(0))
        for i, z in enumerate(triangle.z.tolist())
    ]
    worst = Fraction(0)
    for j in range(d):
        z = sum((R[i][j] * r[i] for i in range(j + 1)), Fraction(0)) / (
            Fraction(penalty) * Fraction(prior[j])
        )
        sign = (x[j] > 0) - (x[j] < 0)
        worst = max(worst, abs(z - sign) if sign else abs(z) - 1)
    return float(worst)


@pytest.mark.parametrize("seed", range(6))
def test_the_path_is_scikit_learns(seed: int) -> None:
    A, y = well_conditioned(seed=seed)
    alphas, _, coefficients = lars_path_gram(A.T @ y, A.T @ A, n_samples=1, method="lasso")
    path = ASP(points=1000, debias="none", smallest=1e-9).solve(triangle_of(A, y))
    for point in path.points:
        k = int(np.searchsorted(-alphas, -point.penalty))  # between alphas[k - 1] and alphas[k], linear
        if k == len(alphas):
            continue
        share = (alphas[k - 1] - point.penalty) / (alphas[k - 1] - alphas[k])
        expected = (1 - share) * coefficients[:, k - 1] + share * coefficients[:, k]
        np.testing.assert_allclose(point.coefficients(40), expected, atol=1e-9)
    events = np.array([s.penalty for s in path.steps])
    np.testing.assert_allclose(events[: len(alphas) - 1], alphas[: len(events)][: len(alphas) - 1], rtol=1e-7)
    assert np.all(np.diff(events) <= 0)


@pytest.mark.parametrize("seed", range(3))
def test_optimal_in_exact_arithmetic_at_condition_1e10(seed: int) -> None:
    A, y = ill_conditioned(seed=seed)
    gamma = np.geomspace(1, 30, 60)
    triangle = triangle_of(A, y)
    assert 1e9 < np.linalg.cond(A) < 1e11
    path = ASP(debias="none", points=1000, smallest=1e-11).solve(LeastSquares.of(triangle, prior=gamma))
    assert len(path) > 25
    assert path.findings["dropped"] > 0  # the path is not monotone
    for point in path.points[::4] + path.points[-1:]:
        violation = exact_violation(triangle, gamma, point.coefficients(60), point.penalty)
        assert violation <= 1e-6
        assert point.violation == pytest.approx(violation, rel=0.3, abs=1e-12)
    assert not path.notes


def test_steps_lead_to_the_supports() -> None:
    A, y = ill_conditioned()
    path = ASP(points=1000).solve(triangle_of(A, y))
    here: list[int] = []
    taken = 0
    for point in path.points:
        for step in path.steps[taken : point.step]:
            here = [j for j in here if j not in step.dropped] + list(step.added)
        taken = point.step
        assert here == point.support.tolist()
        best = np.linalg.lstsq(A[:, here], y, rcond=None)[0]
        assert point.training == pytest.approx(np.sqrt(np.mean((A[:, here] @ best - y) ** 2)), rel=1e-6)
    assert np.all(np.diff(path.sizes) > 0)


def test_a_continued_path_is_the_path() -> None:
    A, y = ill_conditioned()
    triangle = triangle_of(A, y)
    whole = ASP(max_size=40, points=1000).solve(triangle)
    part = ASP(max_size=15, points=1000).solve(triangle)
    part = Path.from_dict(json.loads(json.dumps(part.to_dict(), allow_nan=False)))
    rest = ASP(max_size=40, points=1000).solve(triangle, start=part)
    assert rest.sizes.tolist() == whole.sizes.tolist()
    assert [s[1:] for s in rest.steps] == [s[1:] for s in whole.steps]
    np.testing.assert_allclose(rest.penalties, whole.penalties, rtol=1e-9)
    assert rest[-1].training == pytest.approx(whole[-1].training)
    with pytest.raises(InputError, match="does not solve this problem"):
        ASP(max_size=40).solve(triangle_of(A, y[::-1].copy()), start=part)
    with pytest.raises(InputError, match="can be continued"):
        ASP().solve(triangle, start=OMP(max_size=3).solve(triangle))


def test_supports_are_fitted_again_as_asked() -> None:
    A, y = ill_conditioned(200, 30)
    A, held, y, truth = A[:150], A[150:], y[:150], y[150:]
    y = y + 0.5 * np.random.default_rng(8).normal(size=150)
    gamma = np.linspace(1, 5, 30)
    problem, validation = LeastSquares.of(triangle_of(A, y), prior=gamma), triangle_of(held, truth)
    runs = {
        kind: ASP(max_size=25, points=1000, debias=kind).solve(problem, validation=validation)
        for kind in ("none", "least-squares", "tsvd", "evidence")
    }
    for cut, ridge, shrunk in zip(
        runs["tsvd"].points, runs["evidence"].points, runs["none"].points, strict=True
    ):
        S = cut.support
        assert S.tolist() == ridge.support.tolist() == shrunk.support.tolist()
        X = A[:, S] / gamma[S]
        u, s, vt = np.linalg.svd(X, full_matrices=False)
        trials = [vt[:r].T @ ((u[:, :r].T @ y) / s[:r]) / gamma[S] for r in range(len(S) + 1)]
        errors = [np.sqrt(np.mean((held[:, S] @ c - truth) ** 2)) for c in trials]
        assert cut.validation == pytest.approx(min(errors), rel=1e-6)
        found = best_prior(triangle_of(X, y))
        assert ridge.log_evidence == pytest.approx(found.log_evidence, rel=1e-7)


def test_paths_stop_when_the_validation_error_turns() -> None:
    rng = np.random.default_rng(3)
    A = rng.normal(size=(400, 200))
    y = A[:, :8] @ np.full(8, 2.0) + rng.normal(size=400)
    train, validation = triangle_of(A[:300], y[:300]), triangle_of(A[300:], y[300:])
    for settings in ({"stop": "validation"}, {"stop": "evidence", "debias": "evidence"}):
        path = ASP(points=1000, patience=10, **settings).solve(train, validation=validation)
        assert 18 <= len(path) < 120
        assert set(range(8)) <= set(path[-1].support.tolist())
        assert settings["stop"] in path.stopped


def test_copies_zeros_and_more_functions_than_rows() -> None:
    A, y = well_conditioned(d=10)
    copies = np.hstack([A, -A[:, :4], np.zeros((300, 1))])
    solver = ASP(debias="none", smallest=1e-7)
    path, plain = solver.solve(triangle_of(copies, y)), solver.solve(triangle_of(A, y))
    assert path.sizes.tolist() == plain.sizes.tolist()
    np.testing.assert_allclose(path.penalties, plain.penalties, rtol=1e-9)
    assert np.all(path.errors("violation") < 1e-9)
    A, y = well_conditioned(20, 50)
    path = ASP(debias="none", points=1000, smallest=1e-7).solve(triangle_of(A, y))
    assert path[-1].size <= 20
    assert np.all(path.errors("violation") < 1e-9)
    empty = ASP().solve(triangle_of(A, np.zeros(20)))
    assert len(empty) == 0


def test_groups_are_completed() -> None:
    A, y = well_conditioned()
    of = np.arange(40) % 8
    path = ASP(points=1000).solve(LeastSquares.of(triangle_of(A, y), groups=of))
    for point in path.points:
        assert point.size == np.isin(of, of[point.support]).sum()
        expected = np.linalg.lstsq(A[:, point.support], y, rcond=None)[0]
        np.testing.assert_allclose(point.values, expected, rtol=1e-8, atol=1e-10)
    with pytest.raises(InputError, match="groups are completed"):
        ASP(debias="none").solve(LeastSquares.of(triangle_of(A, y), groups=of))


def test_costs_are_weights_of_an_exact_path_that_fall_as_work_is_shared() -> None:
    rng = np.random.default_rng(4)
    A = rng.normal(size=(300, 24))
    A[:, 12:] = 0.95 * A[:, :12] + 0.05 * rng.normal(size=(300, 12))
    y = A[:, :12] @ np.linspace(1, 3, 12) + 0.5 * rng.normal(size=300)
    cost = SharedCost([[j] for j in range(12)] + [[12]] * 12, [20.0] * 12 + [10.0])
    triangle = triangle_of(A, y)
    frugal = ASP(max_size=12, debias="none").solve(LeastSquares.of(triangle, costs=cost))
    plain = ASP(max_size=12).solve(triangle)
    omega = np.array(frugal.state["omega"])
    unit = cost.marginal(np.empty(0, int)).mean()
    assert np.all(omega <= np.sqrt(cost.marginal(np.empty(0, int)) / unit) + 1e-12)
    last = frugal[-1]
    assert exact_violation(triangle, omega, last.coefficients(24), last.penalty) < 1e-9
    assert np.all(frugal.errors("violation") < 1e-9)
    assert all(point.cost == cost.total(point.support) for point in frugal.points)
    assert frugal[-1].cost < 0.5 * cost.total(plain[-1].support)


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (lambda: ASP(max_size=0), "max_size"),
        (lambda: ASP(debias="prayer"), "debias is one of"),
        (lambda: ASP(debias="tsvd").solve(triangle_of(*well_conditioned())), "needs validation rows"),
        (lambda: ASP(stop="validation").solve(triangle_of(*well_conditioned())), "validation rows"),
        (lambda: ASP(stop="evidence").solve(triangle_of(*well_conditioned())), "stop='evidence'"),
    ],
)
def test_bad_requests_are_refused(solver, words) -> None:
    with pytest.raises(InputError, match=words):
        solver()
