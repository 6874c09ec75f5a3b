"""Kernels against scikit-learn, posterior kernels against Gaussian processes, spectra against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.metrics.pairwise import cosine_similarity, polynomial_kernel, rbf_kernel

from aliquot.errors import InputError
from aliquot.information.kernel import Kernel
from aliquot.information.likelihood import likelihood
from aliquot.information.pivoted import pivoted_cholesky
from aliquot.information.spectrum import Spectrum
from aliquot.table import Features, Ids

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(9, 4)), RNG.normal(size=(6, 4))
TEXTS = [
    "linear",
    "cosine:exponent=1",
    "cosine:exponent=3",
    "polynomial:degree=2,offset=0.5,length=2.0",
    "rbf:length=1.3",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linear", X @ Y.T),
        ("cosine", cosine_similarity(X, Y)),
        ("cosine:exponent=3", cosine_similarity(X, Y) ** 3),
        ("polynomial:degree=3,offset=0.5,length=2", polynomial_kernel(X, Y, degree=3, gamma=0.25, coef0=0.5)),
        ("rbf:length=1.3", rbf_kernel(X, Y, gamma=1 / (2 * 1.3**2))),
    ],
)
def test_values(text: str, expected: np.ndarray) -> None:
    assert Kernel.parse(text).between(X, Y) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("text", TEXTS)
def test_diagonal_text_and_sign(text: str) -> None:
    kernel = Kernel.parse(text)
    L = kernel.between(X, X)
    assert kernel.diagonal(X) == pytest.approx(np.diag(L), abs=1e-13)
    assert np.linalg.eigvalsh(L).min() > -1e-12
    assert str(kernel) == text
    if kernel.has_features:
        assert kernel.features(X) @ kernel.features(X).T == pytest.approx(L, abs=1e-13)


def test_distances_far_from_the_origin_keep_their_digits() -> None:
    kernel = Kernel.parse("rbf:length=1.0")
    assert kernel.between(X + 1e6, Y + 1e6) == pytest.approx(kernel.between(X, Y), abs=1e-8)


def test_default_lengths() -> None:
    squared = np.mean([np.sum((a - b) ** 2) for a in X for b in X])
    assert Kernel("rbf").fitted(X).length == pytest.approx(np.sqrt(squared))
    assert Kernel("polynomial").fitted(X).length == pytest.approx(np.sqrt(np.mean(np.sum(X**2, axis=1))))
    assert Kernel("rbf").fitted(np.ones((3, 2))).length == 1.0
    with pytest.raises(InputError, match="length of kernel rbf is not set"):
        Kernel("rbf").between(X, Y)


def test_cosine_of_zeros_and_of_extremes() -> None:
    rows = np.array([[0.0, 0.0], [1e-200, 0.0], [3e200, 4e200]])
    values = Kernel("cosine").between(rows, rows)
    assert values == pytest.approx(np.array([[0, 0, 0], [0, 1, 0.6], [0, 0.6, 1]]))


@pytest.mark.parametrize("precision", [1e-6, 0.2])
def test_posterior_kernel_is_the_covariance_of_a_gaussian_process(precision: float) -> None:
    pool, known = Features.from_array(X), Features.from_array(Y, ids=Ids.numbered(6, "known"))
    L = likelihood(
        pool, np.arange(9), kernel=Kernel.parse("rbf:length=1.3"), known=known, precision=precision
    )
    process = GaussianProcessRegressor(RBF(1.3), alpha=precision, optimizer=None).fit(Y, np.zeros(6))
    _, covariance = process.predict(X, return_cov=True)
    assert L.columns(np.arange(9)) == pytest.approx(covariance, abs=1e-8)
    assert L.diagonal == pytest.approx(np.diag(covariance), abs=1e-8)


def test_posterior_kernel_of_short_rows_is_that_of_pairs() -> None:
    """The cosine with exponent 1 goes through a d × d precision; written as pairs, it must be the same."""
    pool, known = Features.from_array(X), Features.from_array(Y, ids=Ids.numbered(6, "known"))
    L = likelihood(pool, np.arange(9), kernel=Kernel("cosine"), known=known, precision=0.1)
    K = cosine_similarity(np.vstack((X, Y)))
    expected = K[:9, :9] - K[:9, 9:] @ np.linalg.solve(K[9:, 9:] + 0.1 * np.eye(6), K[9:, :9])
    assert L.columns(np.arange(9)) == pytest.approx(expected, abs=1e-12)


def test_everything_known_leaves_little() -> None:
    pool = Features.from_array(X)
    known = Features.from_array(X, ids=Ids.numbered(9, "known"))
    for kernel in ("linear", "rbf:length=1.3"):
        L = likelihood(pool, np.arange(9), kernel=Kernel.parse(kernel), known=known, precision=1e-4)
        assert np.all(L.diagonal <= 1.0001e-4)


def test_spectrum_of_rows_keeps_small_eigenvalues() -> None:
    """Ten orders of magnitude apart in the singular values, twenty in the eigenvalues."""
    U = np.linalg.qr(RNG.normal(size=(9000, 5)))[0]
    V = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    s = np.array([1.0, 1e-3, 1e-6, 1e-8, 1e-13])
    F = (U * s) @ V.T
    spectrum = Spectrum.of_rows(lambda some: F[some], 9000)
    assert spectrum.rank == 4
    assert np.sqrt(spectrum.values) == pytest.approx(s[:4], rel=1e-6)
    vectors = spectrum.vectors(slice(None))
    assert vectors.T @ vectors == pytest.approx(np.eye(4), abs=1e-6)
    assert np.abs(np.sum(vectors * U[:, :4], axis=0)) == pytest.approx(np.ones(4), abs=1e-6)


def test_entries_of_eigenvectors() -> None:
    pool, some, which = Features.from_array(X), np.array([[1, 3], [8, 0]]), np.array([2, 0])
    for kernel in ("linear", "rbf:length=1.3"):
        spectrum = likelihood(pool, np.arange(9), kernel=Kernel.parse(kernel)).spectrum
        every = spectrum.vectors(slice(None))
        assert spectrum.entries(some, which) == pytest.approx(every[some, which[:, None]], abs=1e-14)
        L = Kernel.parse(kernel).between(X, X)
        assert (every * spectrum.values) @ every.T == pytest.approx(L, abs=1e-12)


def test_pivots_are_greedy_and_the_factor_is_exact() -> None:
    L = rbf_kernel(X, X, gamma=0.3)
    pivots = pivoted_cholesky(np.diag(L), lambda j: L[j], 9, order=np.arange(9)[::-1], ridge=0.1)
    assert pivots.index[0] == 8  # all equal: the smallest order
    M = L + 0.1 * np.eye(9)
    for t in range(1, 9):
        S = pivots.index[:t]
        h = np.diag(M) - np.einsum("ij,ji->i", M[:, S], np.linalg.solve(M[np.ix_(S, S)], M[S]))
        h[S] = 0
        assert pivots.variance[t] == pytest.approx(h.max(), abs=1e-12)
        assert pivots.index[t] == np.argmax(h)
    C = pivots.factor
    assert pytest.approx(M, abs=1e-12) == C.T @ C


def test_pivots_end_with_the_rank() -> None:
    L = X[:, :2] @ X[:, :2].T
    pivots = pivoted_cholesky(np.diag(L), lambda j: L[j], 9, order=np.arange(9))
    assert len(pivots.index) == 2
    assert pivots.factor.T @ pivots.factor == pytest.approx(L, abs=1e-12)
