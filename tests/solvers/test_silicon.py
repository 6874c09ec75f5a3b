"""Paths on rows of real silicon structures, whose condition is beyond what doubles hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.fitting import Baseline, Weights, accumulate, reference_energies, split_by_column
from aliquot.solvers import ARD, ASP, OMP, EvidenceRidge, LeastSquares, Triangle
from aliquot.structures import read


@pytest.fixture(scope="module")
def silicon(data_folder: Path) -> tuple[LeastSquares, Triangle]:
    """Every fourth training structure of Zuo et al. (2020), 1041 functions; and every test structure."""
    frames = read(data_folder / "zuo2020_Si.xyz.xz")
    parts = split_by_column(frames, "split")
    train = np.flatnonzero(parts == "train")
    keep = np.sort(np.concatenate((train[::4], np.flatnonzero(parts == "test"))))
    frames, parts = frames[keep], parts[keep]
    basis = AceBasis((14,), 6.0, degree=(25, 21, 17), pair_degree=25)
    compressed = accumulate(
        AceEvaluator(basis), frames, parts=parts, baseline=Baseline(reference_energies(frames))
    )
    weights = Weights(30, 1, 0)
    problem = LeastSquares.of(compressed.weighted({"train"}, weights), prior=basis.prior)
    return problem, compressed.weighted({"test"}, weights)


def violation_in_long_doubles(problem: LeastSquares, c: np.ndarray, penalty: float) -> float:
    """Of the conditions of optimality, in units of λ."""
    factor = problem.joined.factor.astype(np.longdouble)
    R, z = factor[:-1, :-1], factor[:-1, -1]
    correlation = R.T @ (z - R @ c.astype(np.longdouble)) / (penalty * problem.prior.astype(np.longdouble))
    wrong = np.where(c != 0, np.abs(correlation - np.sign(c)), np.abs(correlation) - 1)
    return float(wrong.max())


def test_every_stored_point_of_the_lasso_path_is_optimal(silicon) -> None:
    problem, _ = silicon
    scaled = problem.joined.R / problem.prior
    assert np.linalg.cond(scaled) > 1e15
    path = ASP(max_size=400, points=60, debias="none").solve(problem)
    assert path[-1].size == 400
    assert path.findings["dropped"] > 100
    assert not path.notes
    assert path.findings["violation"] <= 1e-8
    # an independent look, in arithmetic of eleven more bits where the machine has it
    limit = 1e-6 if np.finfo(np.longdouble).eps < 1e-18 else 1e-2
    for point in (path[i] for i in range(0, len(path), 6)):
        c = point.coefficients(problem.n_columns)
        assert violation_in_long_doubles(problem, c, point.penalty) <= limit


def test_few_functions_do_what_many_do(silicon) -> None:
    problem, test = silicon
    dense = EvidenceRidge().solve(problem, validation=test)[0]
    paths = {solver: solver.solve(problem, validation=test) for solver in (OMP(max_size=400), ARD())}
    for path in paths.values():
        chosen = path[int(np.argmin(np.abs(path.sizes - 350)))]
        assert chosen.size <= 520
        assert chosen.validation < 1.25 * dense.validation
    sizes = paths[ARD()].sizes
    small = paths[ARD()][int(np.argmin(np.abs(sizes - 100)))]
    assert small.training < paths[OMP(max_size=400)][small.size - 1].training
