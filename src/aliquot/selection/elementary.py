r"""How likely is each set of eigenvectors? Elementary symmetric polynomials, in logarithms.

.. math:: e_k(\lambda) = \sum_{|J| = k} \prod_{m \in J} \lambda_m, \qquad
          e_k^{(m)} = e_k^{(m-1)} + \lambda_m\, e_{k-1}^{(m-1)}

where :math:`e^{(m)}` uses the first m eigenvalues. All terms are positive, so that sums of logarithms lose no
digits; the polynomials themselves leave the range of double precision at a few hundred eigenvalues.

A *mixture* of sizes gives a set J the probability :math:`c_{|J|} \prod_{m \in J} \lambda_m / Z`, with
:math:`Z = \sum_j c_j e_j(\lambda)`. A single size k is the mixture with one :math:`c_k`.

References
----------
A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_set", "inclusion", "log_polynomials", "size_probabilities"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


def log_polynomials(log_values: Vector, k: int) -> Matrix:
    """Logarithms of e_j of the first m values, (values + 1, k + 1); O(values · k) time and memory.

    Examples
    --------
    >>> np.exp(log_polynomials(np.log([1.0, 2.0, 3.0]), 2)[-1]).round(12)
    array([ 1.,  6., 11.])
    """
    table = np.full((len(log_values) + 1, k + 1), -np.inf)
    table[:, 0] = 0.0
    for m, value in enumerate(log_values):
        np.logaddexp(table[m, 1:], table[m, :-1] + value, out=table[m + 1, 1:])
    return table


def size_probabilities(table: Matrix, log_weight: Vector) -> Vector:
    """Probability of each size j when e_j has the weight ``exp(log_weight[j])``.

    Examples
    --------
    >>> size_probabilities(log_polynomials(np.log([1.0, 2.0]), 2), np.zeros(3)).round(3)
    array([0.167, 0.5  , 0.333])
    """
    total = table[-1] + log_weight
    weights = np.exp(total - total.max())
    return weights / weights.sum()


def draw_set(table: Matrix, log_values: Vector, size: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """A set of ``size`` positions, each with probability the product of its values over e_size."""
    chosen: list[int] = []
    log_uniform = np.log(1.0 - rng.random(len(log_values)))  # in (0, 1]
    left = size
    for m in range(len(log_values), 0, -1):
        if left == 0:
            break
        if log_uniform[m - 1] <= log_values[m - 1] + table[m - 1, left - 1] - table[m, left]:
            chosen.append(m - 1)
            left -= 1
    return np.array(chosen[::-1], np.int64)


def inclusion(table: Matrix, log_values: Vector, log_weight: Vector) -> Vector:
    r"""Sum over sizes j of :math:`c_j \Pr(m \in J \mid j)\, e_j` for every m, over :math:`\sum_j c_j e_j`.

    For one size, the probability that J holds m. Here ``log_weight`` are the logarithms of the :math:`c_j`. Sets
    are cut at m: the table holds what comes before, a second sweep from the end what comes after.

    Examples
    --------
    >>> values = np.log([1.0, 2.0, 3.0])
    >>> inclusion(log_polynomials(values, 2), values, np.array([-np.inf, -np.inf, 0.0])) * 11
    array([5., 8., 9.])
    """
    after = log_weight.copy()  # weight of sets after m, by how many came up to m
    share = np.empty(len(log_values))
    for m in range(len(log_values), 0, -1):
        taken = log_values[m - 1] + after[1:]
        with_m = table[m - 1, :-1] + taken
        without = table[m - 1] + after
        top = max(float(with_m.max(initial=-np.inf)), float(without.max()))
        inside = np.exp(with_m - top).sum()
        share[m - 1] = inside / (inside + np.exp(without - top).sum())
        after[:-1] = np.logaddexp(after[:-1], taken)
    return share
