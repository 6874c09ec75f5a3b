"""The enumeration, its names, prior and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.ace.basis import AceBasis, Factor, count_functions
from aliquot.errors import InputError


@pytest.mark.parametrize(
    ("degree", "size"),
    [
        ((12, 12, 12), 211),
        ((16, 16, 16), 668),
        ((19, 19, 19), 1429),
        ((16, 12, 8), 106),
        ((20, 16, 12), 299),
        ((25, 21, 17), 1016),
        ((28, 24, 20), 2001),
    ],
)
def test_sizes_are_those_of_the_community(degree, size):
    assert len(AceBasis(elements=(14,), cutoff=5.5, degree=degree).functions) == size


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_count_agrees_with_enumeration(channels):
    basis = AceBasis(elements=tuple(range(1, channels + 1)), cutoff=5.0, degree=(8, 7, 6))
    assert len(basis.functions) == count_functions(basis.degree, channels)
    assert len(set(basis.functions)) == len(basis.functions)
    assert len(set(basis.names)) == len(basis.names)


def test_every_function_is_within_its_degree_and_couples():
    basis = AceBasis(elements=(13, 22), cutoff=5.0, degree=(9, 8, 7, 6))
    for function in basis.functions:
        assert sum(f.n + 1.5 * f.l for f in function.factors) <= basis.degree[function.order - 1] + 1e-9
        assert sum(f.l for f in function.factors) % 2 == 0
        assert (function.L >= 0) == (function.order == 4)
    orders = [f.order for f in basis.functions]
    assert orders == sorted(orders)
    assert set(orders) == {1, 2, 3, 4}


def test_prior_is_the_algebraic_smoothness():
    basis = AceBasis(elements=(14,), cutoff=5.0, degree=(6, 6))
    k = next(i for i, f in enumerate(basis.functions) if f.factors == (Factor(0, 1, 1), Factor(0, 2, 1)))
    assert basis.prior[k] == pytest.approx(1 + 1.5**4 + 2**4 + 1.5**4)


def test_specification_identifies_the_basis():
    one = AceBasis(elements=(14,), cutoff=5.0, degree=(6, 6))
    assert one.hash == AceBasis(elements=(14,), cutoff=5.0, degree=(6, 6)).hash
    assert one.hash != AceBasis(elements=(14,), cutoff=5.1, degree=(6, 6)).hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutoff": 0.0}, "cutoff"),
        ({"cutoff": float("nan")}, "cutoff"),
        ({"degree": ()}, "order 0"),
        ({"degree": (6,) * 5}, "order 5"),
        ({"degree": (6, 1)}, "leaves an order without functions"),
        ({"elements": (14, 14)}, "distinct"),
        ({"elements": (29, 14)}, "ascending"),
        ({"weight_l": 0.0}, "weight of l"),
        ({"embedding": ((1.0, 2.0),)}, "columns"),
        ({"elements": tuple(range(1, 31)), "degree": (14, 14, 14)}, r"functions per element \(at least"),
    ],
)
def test_bad_specifications_are_refused(change, message):
    settings = {"elements": (14,), "cutoff": 5.0, "degree": (6, 6)} | change
    with pytest.raises(InputError, match=message):
        AceBasis(**settings)


def test_unknown_element_is_named():
    basis = AceBasis(elements=(13, 22), cutoff=5.0, degree=(4,))
    np.testing.assert_array_equal(basis.species(np.array([22, 13, 22])), [1, 0, 1])
    with pytest.raises(InputError, match="atom 1 has atomic number 14"):
        basis.species(np.array([13, 14]))
