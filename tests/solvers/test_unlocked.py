"""LAPACK through pointers, against NumPy."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from aliquot.solvers.unlocked import eliminate, factor, solve_right


def test_elimination_keeps_the_second_moments():
    rng = np.random.default_rng(0)
    triangle = np.zeros((30, 30), order="F")
    every = []
    buffer = np.zeros((64, 30), order="F")
    for m in (5, 64, 1, 40):
        rows = rng.normal(size=(m, 30))
        every.append(rows)
        buffer[:m] = rows  # part of a larger array: columns are not adjacent
        eliminate(triangle, buffer[:m], panel=8)
    A, R = np.vstack(every), np.triu(triangle)
    np.testing.assert_allclose(R.T @ R, A.T @ A, atol=1e-11)


def test_factor_and_solve():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(50, 20))
    matrix = np.asfortranarray(A.T @ A)
    upper = matrix.copy(order="F")
    factor(upper)
    np.testing.assert_allclose(np.triu(upper), np.linalg.cholesky(matrix).T, rtol=1e-10)
    right = np.asfortranarray(rng.normal(size=(7, 20)))
    solved = right.copy(order="F")
    solve_right(upper, solved)
    np.testing.assert_allclose(solved @ np.triu(upper), right, atol=1e-12)


def test_what_cannot_be_factored_or_passed():
    with pytest.raises(np.linalg.LinAlgError, match="leading minor 2"):
        factor(np.asfortranarray(np.diag([1.0, -1.0])))
    with pytest.raises(ValueError, match="Fortran"):
        factor(np.ones((3, 3)))
    with pytest.raises(ValueError, match="rows must be float64"):
        eliminate(np.zeros((3, 3), order="F"), np.ones((2, 3), np.float32, order="F"), panel=2)


def test_other_threads_go_on_meanwhile():
    """The lock is free: a thread that only counts gets its turns while LAPACK works."""
    turns, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            turns[0] += 1
            time.sleep(0.0002)

    other = threading.Thread(target=count)
    other.start()
    rows = np.asfortranarray(np.random.default_rng(0).normal(size=(1500, 900)))
    before, start = turns[0], time.perf_counter()
    eliminate(np.zeros((900, 900), order="F"), rows, panel=32)
    meanwhile, seconds = turns[0] - before, time.perf_counter() - start
    stop.set()
    other.join()
    assert meanwhile > min(10, 100 * seconds)
