"""How far from the best subsets? Every subset of twelve functions is tried."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from aliquot.solvers import ARD, ASP, OMP

from .problems import triangle_of, well_conditioned

#: Share of models that are the best of their size, and the worst ratio of errors, that must not get worse.
LIMITS = [(OMP(), 0.8, 1.25), (ASP(), 0.5, 1.5), (ARD(smallest=1), 0.85, 1.1)]


@pytest.fixture(scope="module")
def problems() -> list[tuple[np.ndarray, np.ndarray, dict[int, float]]]:
    """Rows, targets, and the smallest root-mean-square error of each size."""
    out = []
    for seed in range(6):
        A, y = well_conditioned(80, 12, seed=seed)
        gram, moment = A.T @ A, A.T @ y
        best = {}
        for k in range(1, 13):
            subsets = (list(S) for S in combinations(range(12), k))
            explained = max(moment[S] @ np.linalg.solve(gram[np.ix_(S, S)], moment[S]) for S in subsets)
            best[k] = float(np.sqrt((y @ y - explained) / 80))
        out.append((A, y, best))
    return out


@pytest.mark.parametrize(("solver", "exact", "worst"), LIMITS, ids=lambda x: getattr(type(x), "__name__", ""))
def test_models_are_mostly_the_best_of_their_size(problems, solver, exact: float, worst: float) -> None:
    ratios = []
    for A, y, best in problems:
        for point in solver.solve(triangle_of(A, y)).points:
            c = np.linalg.lstsq(A[:, point.support], y, rcond=None)[0]
            error = np.sqrt(np.mean((A[:, point.support] @ c - y) ** 2))
            ratios.append(error / best[point.size])
    assert min(ratios) > 1 - 1e-9
    assert np.mean(np.array(ratios) < 1 + 1e-9) >= exact
    assert max(ratios) <= worst
