"""Elementary symmetric polynomials and what is drawn by them, against sums over all subsets in exact integers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import chisquare

from aliquot.selection.elementary import draw_set, inclusion, log_polynomials, size_probabilities


def exact(values: list[int], k: int) -> int:
    """e_k in integers, by subsets."""
    return sum(math.prod(some) for some in itertools.combinations(values, k))


def test_small_polynomials() -> None:
    values = [3, 1, 4, 1, 5, 9, 2]
    table = log_polynomials(np.log(values), 7)
    for m, k in itertools.product(range(8), range(8)):
        expected = exact(values[:m], k)
        assert np.exp(table[m, k]) == pytest.approx(expected, rel=1e-12)


def test_no_overflow_and_no_lost_digits() -> None:
    values = [(7 * i * i + 3) ** (1 + i % 9) for i in range(1, 301)]  # up to 10⁵³; e_150 is beyond 10⁴⁰⁰⁰
    product = [1]
    for value in values:  # coefficients of the polynomial with these roots, in integers
        product = [a + value * b for a, b in zip([*product, 0], [0, *product], strict=True)]
    logs = log_polynomials(np.log(np.array(values, float)), 150)[-1]
    for k in (1, 20, 150):
        assert logs[k] == pytest.approx(math.log(product[k]), rel=1e-13)


@pytest.mark.parametrize("k", [0, 1, 3, 6])
def test_inclusion_of_one_size(k: int) -> None:
    values = [3, 1, 4, 1, 5, 9]
    logs = np.log(values)
    weight = np.full(k + 1, -np.inf)
    weight[k] = 0.0
    expected = [
        sum(math.prod(values[i] for i in some) for some in itertools.combinations(range(6), k) if m in some)
        / exact(values, k)
        for m in range(6)
    ]
    assert inclusion(log_polynomials(logs, k), logs, weight) == pytest.approx(expected, abs=1e-14)


def test_mixture_of_sizes() -> None:
    values, weights = [0.5, 2.0, 3.0, 0.1], [0.2, 1.0, 0.0, 5.0]
    table = log_polynomials(np.log(values), 3)
    with np.errstate(divide="ignore"):
        log_weight = np.log(weights)
    e = [sum(math.prod(s) for s in itertools.combinations(values, k)) for k in range(4)]
    total = sum(c * v for c, v in zip(weights, e, strict=True))
    sizes = [c * v / total for c, v in zip(weights, e, strict=True)]
    assert size_probabilities(table, log_weight) == pytest.approx(sizes, abs=1e-15)
    expected = [
        sum(
            weights[k] * math.prod(values[i] for i in some)
            for k in range(4)
            for some in itertools.combinations(range(4), k)
            if m in some
        )
        / total
        for m in range(4)
    ]
    assert inclusion(table, np.log(values), log_weight) == pytest.approx(expected, abs=1e-15)


def test_sets_are_drawn_by_their_products() -> None:
    values = np.array([0.5, 2.0, 3.0, 0.1, 1.0])
    table, rng = log_polynomials(np.log(values), 3), np.random.default_rng(0)
    sets = list(itertools.combinations(range(5), 3))
    count = dict.fromkeys(sets, 0)
    for _ in range(20_000):
        count[tuple(draw_set(table, np.log(values), 3, rng=rng).tolist())] += 1
    expected = np.array([np.prod(values[list(s)]) for s in sets])
    assert chisquare(list(count.values()), expected / expected.sum() * 20_000).pvalue > 1e-3
