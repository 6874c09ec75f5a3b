"""Rank-revealing QR and truncated singular values against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.errors import InputError
from aliquot.solvers import RRQR, TSVD, LeastSquares

from .problems import ill_conditioned, triangle_of, well_conditioned


def test_pivots_are_the_longest_columns_left() -> None:
    A, y = well_conditioned(d=15)
    gamma = np.linspace(1, 4, 15)
    path = RRQR().solve(LeastSquares.of(triangle_of(A, y), prior=gamma))
    left = A / gamma
    for i, point in enumerate(path.points):
        j = int(point.support[i])
        lengths = np.linalg.norm(left, axis=0)
        assert lengths[j] == pytest.approx(lengths.max())
        assert point.penalty == pytest.approx(lengths[j])
        q = left[:, j] / lengths[j]
        left = left - np.outer(q, q @ left)
        expected = np.linalg.lstsq(A[:, point.support], y, rcond=None)[0]
        np.testing.assert_allclose(point.values, expected, rtol=1e-9)
    assert [j for s in path.steps for j in s.added] == path[-1].support.tolist()


def test_the_tolerance_is_the_rank() -> None:
    A, y = ill_conditioned()
    sizes = [RRQR(tolerance=t).solve(triangle_of(A, y))[-1].size for t in (1e-2, 1e-5, 1e-15)]
    assert sizes[0] < sizes[1] < sizes[2] == 60
    assert RRQR(max_size=7).solve(triangle_of(A, y))[-1].size == 7
    assert len(RRQR(points=5).solve(triangle_of(A, y))) == 5
    copies = np.hstack([A[:, :9], A[:, :9]])
    assert RRQR(tolerance=1e-12).solve(triangle_of(copies, y))[-1].size == 9
    with pytest.raises(InputError, match="tolerance"):
        RRQR(tolerance=2.0)


def test_the_cut_predicts_the_validation_rows_best() -> None:
    A, y = ill_conditioned(300, 40)
    A, held, y, truth = A[:200], A[200:], y[:200], y[200:]
    y = y + np.random.default_rng(2).normal(size=200)
    gamma = np.linspace(1, 3, 40)
    path = TSVD().solve(LeastSquares.of(triangle_of(A, y), prior=gamma), validation=triangle_of(held, truth))
    u, s, vt = np.linalg.svd(A / gamma, full_matrices=False)
    trials = [vt[:r].T @ ((u[:, :r].T @ y) / s[:r]) / gamma for r in range(41)]
    errors = [np.sqrt(np.mean((held @ c - truth) ** 2)) for c in trials]
    best = int(np.argmin(errors))
    assert 0 < best < 40
    assert path.findings["cut"] == best
    np.testing.assert_allclose(path.coefficients(), trials[best], rtol=1e-5, atol=1e-8)
    assert path[-1].validation == pytest.approx(errors[best])
    assert path[0].step == 1
    fixed = TSVD(tolerance=float(s[6] / s[0]) * 1.01).solve(LeastSquares.of(triangle_of(A, y), prior=gamma))
    np.testing.assert_allclose(fixed.coefficients(), trials[6], rtol=1e-6)
    with pytest.raises(InputError, match="needs validation rows"):
        TSVD().solve(triangle_of(A, y))
