"""Least-squares problems that several solvers are tested with."""

from __future__ import annotations

import numpy as np

from aliquot.solvers import Triangle


def triangle_of(A: np.ndarray, y: np.ndarray) -> Triangle:
    triangle = Triangle(A.shape[1])
    triangle.absorb(A, y)
    return triangle


def well_conditioned(m: int = 300, d: int = 40, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated columns, a third of them with coefficients, and noise."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(m, d)) + 0.7 * rng.normal(size=(m, 1))
    c = rng.normal(size=d) * (rng.random(d) < 0.33)
    return A, A @ c + 0.3 * rng.normal(size=m)


def ill_conditioned(m: int = 400, d: int = 60, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Condition 1e10, singular vectors at random."""
    rng = np.random.default_rng(seed)
    U, _ = np.linalg.qr(rng.normal(size=(m, d)))
    V, _ = np.linalg.qr(rng.normal(size=(d, d)))
    A = (U * np.geomspace(1e4, 1e-6, d)) @ V.T
    return A, A @ rng.normal(size=d) + 1e-3 * rng.normal(size=m)
