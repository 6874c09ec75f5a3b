"""Ridge against SciPy's dense least squares of the augmented rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.linalg

from aliquot.errors import InputError
from aliquot.solvers import SOLVERS, LeastSquares, Path, Ridge, Triangle

from .problems import triangle_of


@pytest.fixture
def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(120, 15)) * np.geomspace(1, 1e-3, 15)
    return A, A @ rng.normal(size=15) + 0.1 * rng.normal(size=120), np.linspace(1, 30, 15)


def test_every_penalty_is_the_solution_of_the_augmented_rows(problem):
    A, y, gamma = problem
    held, truth = A[:40], y[:40]
    path = Ridge((1.0, 1e-3, 1e-9), absolute=True).solve(
        LeastSquares.of(triangle_of(A, y), prior=gamma), validation=triangle_of(held, truth)
    )
    assert path.penalties.tolist() == [1.0, 1e-3, 1e-9]
    for i, penalty in enumerate(path.penalties):
        rows = np.vstack([A, np.sqrt(penalty) * np.diag(gamma)])
        expected = scipy.linalg.lstsq(rows, np.concatenate([y, np.zeros(15)]))[0]
        np.testing.assert_allclose(path.coefficients(i), expected, rtol=1e-7, atol=1e-10)
        assert path[i].training == pytest.approx(np.sqrt(np.mean((A @ expected - y) ** 2)))
        assert path[i].validation == pytest.approx(np.sqrt(np.mean((held @ expected - truth) ** 2)))


def test_weights_are_reluctance_and_parts_are_joined(problem):
    A, y, gamma = problem
    weights = np.where(np.arange(15) % 2, 3.0, 1.0)
    one = Ridge().solve(LeastSquares.of(triangle_of(A, y), prior=gamma * weights))
    parts = {"energy": triangle_of(A[:50], y[:50]), "forces": triangle_of(A[50:], y[50:])}
    two = Ridge().solve(LeastSquares.of(parts, prior=gamma, weights=weights))
    assert two.n_rows == 120
    np.testing.assert_allclose(two.matrix(), one.matrix(), rtol=1e-6, atol=1e-12)


def test_a_path_survives_json(problem):
    A, y, gamma = problem
    path = Ridge((1e-2, 1e-5)).solve(LeastSquares.of(triangle_of(A, y), prior=gamma))
    back = Path.from_dict(json.loads(json.dumps(path.to_dict(), allow_nan=False)))
    assert back.to_dict() == path.to_dict()
    np.testing.assert_array_equal(back.matrix(), path.matrix())
    with pytest.raises(InputError, match="schema"):
        Path.from_dict({"schema": 99})
    broken = path.to_dict()
    broken["points"][0]["support"][0] = 15
    with pytest.raises(InputError, match="below 15"):
        Path.from_dict(broken)
    del broken["steps"]
    with pytest.raises(InputError, match="record of a path"):
        Path.from_dict({**broken, "points": []})


def test_bad_problems_are_refused(problem):
    A, y, _ = problem
    triangle = triangle_of(A, y)
    with pytest.raises(InputError, match="one positive number"):
        LeastSquares.of(triangle, prior=np.zeros(15))
    with pytest.raises(InputError, match="one number of columns"):
        LeastSquares.of({"a": triangle, "b": Triangle(3)})
    with pytest.raises(InputError, match="no rows"):
        Ridge().solve(Triangle(4))
    with pytest.raises(InputError, match="14 group labels"):
        LeastSquares.of(triangle, groups=["a"] * 14)
    with pytest.raises(InputError, match="validation rows have 3"):
        Ridge().solve(triangle, validation=Triangle(3))
    with pytest.raises(InputError, match="no validation rows"):
        Ridge().solve(triangle, validation=Triangle(15))
    with pytest.raises(InputError, match="positive"):
        Ridge(())


def test_the_catalogue_makes_solvers():
    assert all(method.summary and method.references for method in SOLVERS.values())
    assert SOLVERS["ridge"].solver() == Ridge()
