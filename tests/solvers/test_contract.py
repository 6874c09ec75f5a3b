"""What every solver of the catalogue keeps to."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aliquot.errors import InputError
from aliquot.solvers import SOLVERS, LeastSquares, Path, Triangle

from .problems import ill_conditioned, triangle_of, well_conditioned

PROBLEMS = {
    "well conditioned": well_conditioned(),
    "condition 1e10": ill_conditioned(),
    "more functions than rows": well_conditioned(20, 50),
    "one function": well_conditioned(50, 1),
    "copies": (lambda A, y: (np.hstack([A, A[:, :3]]), y))(*well_conditioned(d=8)),
    "a column of zeros": (lambda A, y: (A * (np.arange(8) != 3), y))(*well_conditioned(d=8)),
    "no noise": (lambda A, y: (A, A @ np.arange(8.0)))(*well_conditioned(d=8)),
    "large": (lambda A, y: (1e60 * A, 1e40 * y))(*well_conditioned(d=8)),
    "small": (lambda A, y: (1e-60 * A, 1e-40 * y))(*well_conditioned(d=8)),
}

every_solver = pytest.mark.parametrize("name", list(SOLVERS))
every_problem = pytest.mark.parametrize("problem", list(PROBLEMS))


def solve(name: str, A: np.ndarray, y: np.ndarray, prior: np.ndarray | float = 1.0) -> Path:
    problem = LeastSquares.of(triangle_of(A, y), prior=np.broadcast_to(prior, A.shape[1]))
    return SOLVERS[name].solver().solve(problem, validation=triangle_of(A[::3], y[::3]))


@every_solver
@every_problem
def test_points_are_what_they_say(name: str, problem: str) -> None:
    A, y = PROBLEMS[problem]
    path = solve(name, A, y)
    assert path.method == name
    assert len(path) >= 1
    assert path.stopped
    for point in path.points:
        c = point.coefficients(A.shape[1])
        assert np.all(np.isfinite(c))
        assert len(set(point.support.tolist())) == point.size
        scale = np.sqrt(np.mean(y**2))
        assert point.training / scale == pytest.approx(
            np.sqrt(np.mean(((A @ c - y) / scale) ** 2)), rel=1e-6, abs=1e-9
        )
        held = np.sqrt(np.mean(((A[::3] @ c - y[::3]) / scale) ** 2))
        assert point.validation / scale == pytest.approx(held, rel=1e-6, abs=1e-9)
        assert point.training <= scale * (1 + 1e-9)


@every_solver
def test_records_come_back_from_json_and_runs_repeat(name: str) -> None:
    path, again = solve(name, *ill_conditioned()), solve(name, *ill_conditioned())
    back = Path.from_dict(json.loads(json.dumps(path.to_dict(), allow_nan=False)))
    assert back.to_dict() == path.to_dict()
    assert {**path.to_dict(), "seconds": 0} == {**again.to_dict(), "seconds": 0}


@every_solver
def test_columns_and_prior_that_scale_together_change_nothing(name: str) -> None:
    A, y = well_conditioned()
    scale = 2.0 ** np.random.default_rng(0).integers(-20, 20, size=40)
    one, two = (
        solve(name, A, y, np.linspace(1, 3, 40)),
        solve(name, A * scale, y, scale * np.linspace(1, 3, 40)),
    )
    assert one.sizes.tolist() == two.sizes.tolist()
    np.testing.assert_allclose(two.matrix() * scale[:, None], one.matrix(), rtol=1e-6, atol=1e-9)


@every_solver
def test_the_order_of_functions_does_not_matter(name: str) -> None:
    A, y = well_conditioned()
    order = np.random.default_rng(1).permutation(40)
    one, two = solve(name, A, y), solve(name, A[:, order], y)
    assert one.sizes.tolist() == two.sizes.tolist()
    np.testing.assert_allclose(two.matrix(), one.matrix()[order], rtol=1e-6, atol=1e-8)


@every_solver
def test_progress_is_told_and_ends(name: str) -> None:
    told: list[tuple[int, int]] = []
    SOLVERS[name].solver().solve(
        triangle_of(*well_conditioned()),
        validation=triangle_of(*well_conditioned(seed=1)),
        progress=lambda stage, done, total: told.append((done, total)),
    )
    assert told or name == "evidence"
    assert all(0 < done <= total for done, total in told)


@every_solver
def test_targets_of_zero(name: str) -> None:
    A, y = well_conditioned()
    if name in ("evidence", "ard"):
        with pytest.raises(InputError, match="zero targets"):
            solve(name, A, 0.0 * y)
        return
    assert not any(point.values.any() for point in solve(name, A, 0.0 * y).points)


@every_solver
def test_nothing_to_fit_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no rows"):
        SOLVERS[name].solver().solve(Triangle(3), validation=triangle_of(np.eye(3), np.ones(3)))
