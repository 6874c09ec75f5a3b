"""Columns that come and go, against the factorisation of those that are there."""

from __future__ import annotations

import numpy as np

from aliquot.solvers.updated_qr import UpdatedQR, triangular_product


def test_columns_come_and_go():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(200, 180)) * np.geomspace(1, 1e-9, 180)
    qr, here = UpdatedQR(200, 150), []
    for j in range(180):
        assert qr.push(A[:, j], 1e-12)
        here.append(j)
        if j % 6 == 5:
            for position in (len(here) - 1, 0, len(here) // 2):
                qr.pop(position)
                del here[position]
    assert qr.size == len(here) == 90
    np.testing.assert_allclose(qr.Q @ qr.T, A[:, here], atol=1e-15)
    np.testing.assert_allclose(qr.Q.T @ qr.Q, np.eye(90), atol=1e-14)
    assert not np.tril(qr.T, -1).any()
    right = rng.normal(size=90)
    np.testing.assert_allclose(qr.T @ qr.solve(right), right, rtol=1e-9)
    np.testing.assert_allclose(qr.T.T @ qr.solve_transposed(right), right, rtol=1e-9)


def test_dependent_columns_are_turned_away():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(30, 5))
    qr = UpdatedQR(30, 6)
    assert all(qr.push(A[:, j], 1e-10) for j in range(5))
    assert not qr.push(A @ np.arange(1.0, 6.0), 1e-10)
    assert qr.push(A @ np.arange(1.0, 6.0) + 1e-6 * rng.normal(size=30), 1e-10)
    assert np.abs(qr.Q.T @ qr.Q - np.eye(6)).max() < 1e-14
    assert UpdatedQR(3, 1).solve(np.empty(0)).shape == (0,)


def test_products_touch_the_upper_half():
    X = np.asfortranarray(np.random.default_rng(2).normal(size=(7, 7)))
    v = np.arange(7.0)
    np.testing.assert_allclose(triangular_product(X, v), np.triu(X).T @ v)
    np.testing.assert_array_equal(v, np.arange(7.0))


def test_as_many_columns_as_rows():
    A = np.random.default_rng(2).normal(size=(6, 6))
    qr = UpdatedQR(6, 6)
    assert all(qr.push(A[:, j], 1e-12) for j in range(6))
    qr.pop(2)
    np.testing.assert_allclose(qr.Q @ qr.T, A[:, [0, 1, 3, 4, 5]], atol=1e-14)
    assert not np.tril(qr.T, -1).any()
