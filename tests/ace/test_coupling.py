"""Coupling tensors against group theory: orthogonality, invariance, and the number of invariants."""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement
from math import pi, prod

import numpy as np
import pytest

from aliquot.ace.coupling import _couplings, invariants, wigner_3j
from aliquot.ace.reference import real_harmonics


def test_wigner_3j_is_orthogonal():
    l1, l2 = 2, 3
    for l3 in range(1, 6):
        for other in range(1, 6):
            total = sum(
                wigner_3j(l1, l2, l3, m1, m2, -m1 - m2) * wigner_3j(l1, l2, other, m1, m2, -m1 - m2)
                for m1 in range(-l1, l1 + 1)
                for m2 in range(-l2, l2 + 1)
                if m1 + m2 == 1
            )
            assert total == pytest.approx((1 / (2 * l3 + 1)) if l3 == other else 0.0, abs=1e-14)


def test_wigner_3j_known_values():
    assert wigner_3j(2, 2, 2, 0, 0, 0) == pytest.approx(-((2 / 35) ** 0.5), rel=1e-15)
    assert wigner_3j(1, 1, 2, 1, -1, 0) == pytest.approx((1 / 30) ** 0.5, rel=1e-15)


@pytest.mark.parametrize("ls", [(3, 3), (1, 2, 3), (2, 2, 4), (1, 1, 2, 2), (1, 2, 2, 3), (2, 2, 2, 2)])
def test_couplings_are_orthonormal_and_contract_harmonics_to_invariants(ls):
    rng = np.random.default_rng(0)
    tensors = [tensor for _, tensor in _couplings(ls)]
    gram = [[np.sum(a * b) for b in tensors] for a in tensors]
    np.testing.assert_allclose(gram, np.eye(len(tensors)), atol=1e-13)

    directions = rng.normal(size=(len(ls), 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))  # may be improper: the sum of l is even
    for tensor in tensors:
        values = []
        for where in (directions, directions @ rotation):
            out = tensor
            for d, l in zip(where, ls, strict=True):
                y = real_harmonics(d[None], l)[0, l * l :]
                out = np.tensordot(y, out, axes=(0, 0))
            values.append(float(out))
        assert values[0] == pytest.approx(values[1], abs=1e-13)


def _symmetric_power_character(l: int, power: int, angle: np.ndarray) -> np.ndarray:
    """Character of the symmetric power of the (2l+1)-dimensional representation, by Newton's recursion."""

    def power_sum(j: int) -> np.ndarray:
        return sum(np.cos(m * j * angle) for m in range(-l, l + 1))

    h = [np.ones_like(angle)]
    for n in range(1, power + 1):
        h.append(sum(power_sum(j) * h[n - j] for j in range(1, n + 1)) / n)
    return h[power]


@pytest.mark.parametrize("order", [2, 3, 4])
def test_number_of_invariants_agrees_with_character_theory(order):
    angle = (np.arange(2000) + 0.5) * pi / 2000
    measure = (1 - np.cos(angle)) / 2000  # Haar measure of rotation angles on (0, π)
    for ls in combinations_with_replacement(range(4), order):
        if sum(ls) % 2:
            continue
        patterns = {
            tuple(range(order)),
            tuple(ls.index(l) for l in ls),
        }  # all different, and all equal l the same
        for same in patterns:
            character = prod(
                _symmetric_power_character(ls[first], n, angle) for first, n in Counter(same).items()
            )
            expected = round(float(np.sum(character * measure)))
            assert len(invariants(ls, same)) == expected, (ls, same)


def test_terms_name_every_distinct_product_once():
    ((_, terms),) = invariants((1, 1, 2), (0, 0, 1))
    positions = [ms for ms, _ in terms]
    assert len(set(positions)) == len(positions)
    assert all(ms[0] <= ms[1] for ms in positions)


def test_order_five_is_refused():
    with pytest.raises(ValueError, match="order 5"):
        invariants((0,) * 5, tuple(range(5)))
