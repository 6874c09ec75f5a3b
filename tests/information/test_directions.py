"""What rows lose to absorbed directions: the compiled sum against plain matrix products."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.information import Energy, Entropy, Posterior, gather
from aliquot.information.blocks import Part
from aliquot.information.directions import lost
from aliquot.table import Features


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 11])
@pytest.mark.parametrize("directions", [0, 1, 3, 4, 9])
def test_lost_is_the_sum_of_squares(dtype: type, n: int, directions: int) -> None:
    rng = np.random.default_rng(n + 100 * directions)
    rows = rng.normal(size=(30, 7)).astype(dtype)
    index, V = rng.integers(30, size=n), rng.normal(size=(directions, 7))
    start = rng.integers(0, directions + 1, n)
    out = np.empty(n)
    lost(rows, index, V, start, out)
    along = rows[index].astype(np.float64) @ V.T
    along[np.arange(directions) < start[:, None]] = 0.0
    np.testing.assert_allclose(out, np.square(along).sum(axis=1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("score", [Entropy, Energy])
@pytest.mark.parametrize("order", ["C", "F", "swapped"])
def test_lowered_bounds_are_bounds_and_tight(score: type, order: str) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 6)).astype(np.float32)
    rows = {"C": rows, "F": np.asfortranarray(rows), "swapped": rows.astype(">f4")}[order]
    table = Features.from_array(rows, weight=rng.uniform(0.5, 2, 40), prior=rng.uniform(1, 9, 6))
    information = score(Posterior(np.full(6, 1e-2)))
    bound, since = np.empty(40), np.zeros(40, np.int64)
    for k in range(4):
        late = np.arange(10 * k, 10 * k + 10)  # looked at after k picks
        bound[late], since[late] = information.gain(gather(table, late)), k
        information.absorb(gather(table, np.array([k])))
    some = rng.permutation(40)
    now = information.lower(Part.of(table, some), bound[some], since=since[some])
    exact = information.gain(gather(table, some))
    assert np.all(now >= exact * (1 - 1e-12))
    np.testing.assert_allclose(now, exact, rtol=1e-5)


def test_blocks_of_several_rows_are_left_to_tighten() -> None:
    table = Features.from_array(np.eye(4), offsets=np.array([0, 2, 4]))
    part = Part.of(table, np.array([0, 1]))
    entropy = Entropy(Posterior(np.ones(4)))
    assert entropy.lower(part, np.ones(2), since=np.zeros(2, np.int64)) is None
