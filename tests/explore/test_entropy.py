"""Entropies and their slopes: against formulas, the information room's covariance and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.explore.entropy import Gaussians, Standard, local_entropy
from aliquot.information import gather
from aliquot.information.covariance import Covariance, Reference
from aliquot.table import Features


@pytest.fixture
def sets():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(40, 6)) * np.arange(1, 7), rng.normal(size=(9, 6)) + 0.5
    kinds = np.array([0, 1, 0, 0, 1, 1, 0, 0, 1])
    known = Gaussians.empty(2, 6, ridge=1e-3).joined(first, np.arange(40) % 2)
    return known, first, second, kinds


def test_one_element_is_the_covariance_of_selection(sets):
    _, first, second, _ = sets
    known = Gaussians.empty(1, 6, ridge=1e-3).joined(first, np.zeros(40, int))
    theirs = Covariance(Reference(np.zeros(6), np.ones(6)), np.array([9, 40]), ridge=1e-3)
    theirs.absorb(_block(first))
    assert known.entropy == pytest.approx(theirs.value / 6, rel=1e-12)
    before = theirs.value
    theirs.absorb(_block(second))
    after = known.joined(second, np.zeros(9, int))
    assert after.entropy == pytest.approx(theirs.value / 6, rel=1e-12)
    assert known.gain(second, np.zeros(9, int)) == pytest.approx(49 * (theirs.value - before) / 6, rel=1e-9)


def _block(rows):
    table = Features.from_array(rows, offsets=np.array([0, len(rows)]))
    return gather(table, np.array([0]))


def test_elements_count_by_their_environments(sets):
    known, first, _, _ = sets
    each = [
        0.5 * np.linalg.slogdet(first[k::2].T @ first[k::2] / 20 + 1e-3 * np.eye(6))[1] / 6 for k in range(2)
    ]
    assert known.entropy == pytest.approx(np.mean(each), rel=1e-12)


def test_nothing_known_has_the_entropy_of_the_ridge():
    assert Gaussians.empty(1, 4, ridge=1e-4).entropy == pytest.approx(0.5 * np.log(1e-4))


def test_order_of_joining_does_not_matter(sets):
    known, _, second, kinds = sets
    one, other = second[:4], second[4:]
    there = known.joined(one, kinds[:4]).joined(other, kinds[4:])
    back = known.joined(other, kinds[4:]).joined(one, kinds[:4])
    assert there.entropy == pytest.approx(back.entropy, rel=1e-13)
    assert there.entropy == pytest.approx(known.joined(second, kinds).entropy, rel=1e-13)


def test_slope_of_the_global_entropy(sets):
    known, _, second, kinds = sets
    _, slope = known.slope(second, kinds)
    assert slope == pytest.approx(
        _differences(lambda z: known.slope(z, kinds)[0], second), rel=1e-6, abs=1e-8
    )
    assert slope == pytest.approx(_differences(lambda z: known.gain(z, kinds), second), rel=1e-6, abs=1e-8)


def test_slope_without_a_set():
    rows = np.random.default_rng(0).normal(size=(3, 6))  # fewer than dimensions: the ridge carries it
    empty, kinds = Gaussians.empty(1, 6, ridge=1e-2), np.zeros(3, int)
    _, slope = empty.slope(rows, kinds)
    assert slope == pytest.approx(_differences(lambda z: empty.slope(z, kinds)[0], rows), rel=1e-6, abs=1e-8)


def test_local_entropy_by_brute_force(sets):
    _, _, rows, kinds = sets
    logs = []
    for i in range(9):
        others = [j for j in range(9) if j != i and kinds[j] == kinds[i]]
        nearest = min(float(np.sum((rows[i] - rows[j]) ** 2)) for j in others)
        logs.append(0.5 * np.log(nearest + 6e-6))
    value, slope = local_entropy(rows, kinds)
    assert value == pytest.approx(np.mean(logs) + np.log(9), rel=1e-12)
    assert slope == pytest.approx(
        _differences(lambda z: local_entropy(z, kinds)[0], rows), rel=1e-6, abs=1e-8
    )


def test_local_entropy_of_equal_environments_and_of_a_single_atom():
    value, slope = local_entropy(np.ones((4, 5)), np.zeros(4, int))
    assert np.isfinite(value)
    assert not slope.any()
    value, slope = local_entropy(np.ones((1, 5)), np.zeros(1, int))
    assert value == 0.0
    assert not slope.any()


def test_standard_of_features_that_do_not_vary():
    rows = np.random.default_rng(1).normal(size=(30, 3)) * [1.0, 5.0, 0.0] + 2.0
    kinds = np.repeat([0, 1], 15)
    standard = Standard.of(rows, kinds, 3)
    z = standard(rows, kinds)
    for k in range(2):
        assert z[kinds == k].mean(axis=0) == pytest.approx(0.0, abs=1e-12)
        assert z[kinds == k].std(axis=0) == pytest.approx([1.0, 1.0, 0.0])
    assert standard.mean[2] == pytest.approx(rows.mean(axis=0))  # an element that was not among them


def _differences(function, at, h=1e-6):
    out = np.empty_like(at)
    for place in np.ndindex(at.shape):
        ends = []
        for step in (h, -h):
            moved = at.copy()
            moved[place] += step
            ends.append(function(moved))
        out[place] = (ends[0] - ends[1]) / (2 * h)
    return out
