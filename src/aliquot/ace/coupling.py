r"""How products of spherical harmonics couple to invariants.

A product of :math:`\nu` harmonics :math:`Y_{l_1 m_1} \cdots Y_{l_\nu m_\nu}` becomes invariant under
rotations when contracted with a tensor :math:`C_{m_1 \ldots m_\nu}` that couples :math:`l_1 \ldots l_\nu`
to zero. For three factors this is the Wigner 3j symbol; for four there is one tensor per intermediate L:

.. math:: C^{L}_{m_1 m_2 m_3 m_4} = \sqrt{2L+1} \sum_M
          T^{l_1 l_2 L}_{m_1 m_2 M}\, T^{L l_3 l_4}_{M m_3 m_4}.

All tensors here are in the basis of *real* harmonics and have unit Frobenius norm. Only
:math:`\sum_i l_i` even is kept: odd sums change sign under inversion.

References
----------
R. Drautz, Phys. Rev. B 99, 014104 (2019), doi:10.1103/PhysRevB.99.014104.
G. Dusson et al., J. Comput. Phys. 454, 110946 (2022), doi:10.1016/j.jcp.2022.110946.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import permutations
from math import factorial, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["complex_harmonics", "invariants", "wigner_3j"]

#: Singular values of the symmetrised couplings of one class below this (of unit vectors) count as dependent.
RANK_TOLERANCE = 1e-8


@cache
def wigner_3j(l1: int, l2: int, l3: int, m1: int, m2: int, m3: int) -> float:
    """Wigner 3j symbol by Racah's formula in exact integers; one rounding at the end.

    Examples
    --------
    >>> wigner_3j(1, 1, 0, 0, 0, 0) == -(3**-0.5)
    True
    """
    if m1 + m2 + m3 != 0 or abs(m1) > l1 or abs(m2) > l2 or abs(m3) > l3 or not abs(l1 - l2) <= l3 <= l1 + l2:
        return 0.0
    f = factorial
    total = Fraction(0)
    for t in range(max(0, l2 - l3 - m1, l1 - l3 + m2), min(l1 + l2 - l3, l1 - m1, l2 + m2) + 1):
        denominator = (
            f(t)
            * f(l3 - l2 + t + m1)
            * f(l3 - l1 + t - m2)
            * f(l1 + l2 - l3 - t)
            * f(l1 - t - m1)
            * f(l2 - t + m2)
        )
        total += Fraction((-1) ** t, denominator)
    triangle = Fraction(f(l1 + l2 - l3) * f(l1 - l2 + l3) * f(-l1 + l2 + l3), f(l1 + l2 + l3 + 1))
    ms = f(l1 + m1) * f(l1 - m1) * f(l2 + m2) * f(l2 - m2) * f(l3 + m3) * f(l3 - m3)
    squared = triangle * ms * total * total
    sign = (-1) ** (l1 - l2 - m3) * (1 if total > 0 else -1)
    return sign * sqrt(squared)


@cache
def complex_harmonics(l: int) -> NDArray[np.complex128]:
    """Rows m, columns μ: complex harmonic (Condon–Shortley) m as a combination of real harmonics μ."""
    u = np.zeros((2 * l + 1, 2 * l + 1), complex)
    u[l, l] = 1.0
    for m in range(1, l + 1):
        phase = (-1) ** m / sqrt(2)
        u[l + m, l + m], u[l + m, l - m] = phase, 1j * phase
        u[l - m, l + m], u[l - m, l - m] = 1 / sqrt(2), -1j / sqrt(2)
    return u


@cache
def _three(l1: int, l2: int, l3: int) -> NDArray[np.float64]:
    """Real 3j tensor (2l₁+1, 2l₂+1, 2l₃+1) of unit norm; where l₁+l₂+l₃ is odd a phase i is dropped."""
    tensor = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1))
    for m1 in range(-l1, l1 + 1):
        for m2 in range(-l2, l2 + 1):
            if abs(m1 + m2) <= l3:
                tensor[m1 + l1, m2 + l2, l3 - m1 - m2] = wigner_3j(l1, l2, l3, m1, m2, -m1 - m2)
    real = np.einsum(
        "abc,ax,by,cz->xyz",
        tensor,
        complex_harmonics(l1),
        complex_harmonics(l2),
        complex_harmonics(l3),
        optimize=True,
    )
    part = real.imag if (l1 + l2 + l3) % 2 else real.real
    return np.ascontiguousarray(part)


def _couplings(ls: tuple[int, ...]) -> list[tuple[int, NDArray[np.float64]]]:
    """All coupling tensors of a tuple of l, each with its intermediate L (−1 where there is none)."""
    if sum(ls) % 2:
        return []
    if len(ls) == 1:
        return [(-1, np.ones(1))] if ls == (0,) else []
    if len(ls) == 2:
        return [(-1, np.eye(2 * ls[0] + 1) / sqrt(2 * ls[0] + 1))] if ls[0] == ls[1] else []
    if len(ls) == 3:
        return [(-1, _three(*ls))] if abs(ls[0] - ls[1]) <= ls[2] <= ls[0] + ls[1] else []
    if len(ls) == 4:
        a, b, c, d = ls
        return [
            (big, sqrt(2 * big + 1) * np.einsum("abM,Mcd->abcd", _three(a, b, big), _three(big, c, d)))
            for big in range(max(abs(a - b), abs(c - d)), min(a + b, c + d) + 1)
        ]
    raise ValueError(f"correlation order {len(ls)} is not implemented; orders 1 to 4 are")


@cache
def invariants(
    ls: tuple[int, ...], same: tuple[int, ...]
) -> tuple[tuple[int, tuple[tuple[tuple[int, ...], float], ...]], ...]:
    """Linearly independent invariants of one class of products.

    Parameters
    ----------
    ls : tuple of int
        l of each factor.
    same : tuple of int
        Equal entries mark factors that are the same function, whose order cannot matter.

    Returns
    -------
    tuple of (L, terms)
        One entry per invariant; L is the intermediate angular momentum (−1 below order 4) and ``terms`` are
        ((position of m in 0 … 2l for each factor), coefficient) with factors that are the same in ascending
        order of m, so that every distinct product appears once.

    Notes
    -----
    Couplings of repeated factors can coincide or vanish once symmetrised. The largest independent subset is
    found by pivoted orthogonalisation of the symmetrised tensors, in ascending L.

    Examples
    --------
    >>> [L for L, _ in invariants((1, 1, 1, 1), (0, 1, 2, 3))]
    [0, 1, 2]
    >>> [L for L, _ in invariants((1, 1, 1, 1), (0, 0, 0, 0))]
    [0]
    """
    swaps = [p for p in permutations(range(len(ls))) if all(same[i] == same[j] for i, j in enumerate(p))]
    kept: list[NDArray[np.float64]] = []
    out: list[tuple[int, tuple[tuple[tuple[int, ...], float], ...]]] = []
    for big, tensor in _couplings(ls):
        symmetric = np.mean([np.transpose(tensor, p) for p in swaps], axis=0)
        residual = symmetric.ravel().copy()
        for _ in range(2):  # twice is enough for orthogonality
            for q in kept:
                residual -= (q @ residual) * q
        norm = float(np.linalg.norm(residual))
        if norm > RANK_TOLERANCE:
            kept.append(residual / norm)
            out.append((big, _terms(symmetric, same)))
    return tuple(out)


def _terms(tensor: NDArray[np.float64], same: tuple[int, ...]) -> tuple[tuple[tuple[int, ...], float], ...]:
    """Distinct products of a symmetrised tensor with their summed coefficients."""
    total: dict[tuple[int, ...], float] = {}
    for position in zip(*np.nonzero(np.abs(tensor) > 1e-13), strict=True):
        where = [int(p) for p in position]
        for group in set(same):
            slots = [i for i, s in enumerate(same) if s == group]
            for slot, m in zip(slots, sorted(where[i] for i in slots), strict=True):
                where[slot] = m
        key = tuple(where)
        total[key] = total.get(key, 0.0) + float(tensor[position])
    return tuple(sorted((k, c) for k, c in total.items() if abs(c) > 1e-13))
