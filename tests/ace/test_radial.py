"""Radial functions: orthonormal, smooth at the cutoff, derivatives right."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.ace.radial import AgnesiJacobi, AgnesiPair, ChebExpCos, SBessel, bond_length, radial_from_dict
from aliquot.errors import InputError

JACOBI = [AgnesiJacobi(), AgnesiJacobi(p=2, q=2), AgnesiJacobi(p=1, q=3, envelope=3)]
FAMILIES = [*JACOBI, AgnesiPair(), ChebExpCos(), ChebExpCos(3.0, 0.5), SBessel()]


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_derivatives_are_those_of_the_values(family):
    r, h = np.linspace(0.4, 5.3, 301), 1e-5
    _, derivative = family.evaluate(r, 10, r0=2.4, cutoff=5.5)
    up, _ = family.evaluate(r + h, 10, r0=2.4, cutoff=5.5)
    down, _ = family.evaluate(r - h, 10, r0=2.4, cutoff=5.5)
    np.testing.assert_allclose((up - down) / (2 * h), derivative, atol=2e-7 * np.abs(derivative).max())


@pytest.mark.parametrize("family", JACOBI, ids=str)
def test_orthonormal_in_the_transformed_distance(family):
    fine = np.linspace(1e-6, 5.5, 400_001)
    x, _ = family.transform(fine, 2.4, 5.5)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    values, _ = family.evaluate(np.interp(nodes, x, fine), 10, r0=2.4, cutoff=5.5)
    np.testing.assert_allclose((values * weights) @ values.T, np.eye(10), atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_value_and_slope_vanish_at_the_cutoff(family):
    below = np.array([5.5 - 1e-4, 5.5 - 1e-5, 5.5, 5.6])
    values, slopes = family.evaluate(below, 10, r0=2.4, cutoff=5.5)
    largest = np.abs(family.evaluate(np.linspace(1, 5, 100), 10, r0=2.4, cutoff=5.5)[1]).max()
    assert np.all(values[:, 2:] == 0)
    assert np.all(slopes[:, 2:] == 0)
    assert np.all(np.abs(slopes[:, 1]) < 1e-3 * largest)
    assert np.all(np.abs(slopes[:, 1]) < 0.2 * np.abs(slopes[:, 0]) + 1e-12)


def test_the_transform_is_steepest_at_the_bond_length():
    r = np.linspace(0.5, 5.0, 20001)
    _, slope = AgnesiJacobi().transform(r, 2.4, 5.5)
    assert r[np.argmax(slope)] == pytest.approx(2.4, abs=2e-3)


@pytest.mark.parametrize("family", [AgnesiJacobi(envelope=3), SBessel()], ids=str)
def test_curvature_vanishes_at_the_cutoff_where_it_is_said_to(family):
    r = np.linspace(1.0, 5.5, 40_001)
    _, slopes = family.evaluate(r[:-1], 8, r0=2.4, cutoff=5.5)
    curvature = np.abs(np.diff(slopes, axis=1))
    assert np.all(curvature[:, -1] < 5e-3 * curvature.max(axis=1))
    _, kinked = AgnesiJacobi().evaluate(r[:-1], 8, r0=2.4, cutoff=5.5)
    curvature = np.abs(np.diff(kinked, axis=1))
    assert np.all(curvature[:, -1] > 1e-2 * curvature.max(axis=1))  # exponent 2 does have a step there


def test_simplified_bessel_functions_are_orthonormal():
    nodes, weights = np.polynomial.legendre.leggauss(200)
    r = 2.75 * (nodes + 1)
    values, _ = SBessel().evaluate(r, 8, r0=2.4, cutoff=5.5)
    np.testing.assert_allclose((values * weights * 2.75 * r**2) @ values.T, np.eye(8), atol=1e-10)


def test_families_survive_their_description():
    for family in FAMILIES:
        assert radial_from_dict(family.to_dict()) == family
    with pytest.raises(InputError, match="not known"):
        radial_from_dict({"family": "splines"})
    with pytest.raises(InputError, match="agnesi-jacobi"):
        radial_from_dict({"family": "agnesi-jacobi", "depth": 3})


@pytest.mark.parametrize("bad", [{"p": 3, "q": 2}, {"p": 0}, {"envelope": 1}])
def test_bad_shapes_are_refused(bad):
    with pytest.raises(InputError):
        AgnesiJacobi(**bad)


def test_bond_lengths_of_reference_crystals():
    assert bond_length(14) == pytest.approx(5.43 * 3**0.5 / 4, rel=1e-3)
    assert bond_length(26) == pytest.approx(2.87 * 3**0.5 / 2, rel=1e-2)
    assert 0.6 < bond_length(1) < 0.9
    assert all(0.5 < bond_length(z) < 6.5 for z in range(1, 97))
