r"""How our functions and those of PACE (pacemaker, LAMMPS ML-PACE) translate into each other.

PACE writes the energy of an atom in complex densities,

.. math:: E_i = E_0 + \mathrm{Re} \sum_{m_1 \ldots m_\nu} \tilde c_{m_1 \ldots m_\nu}
          \prod_t \mathcal A_{z_t n_t l_t m_t},
          \quad \mathcal A_{znlm} = \sqrt{4\pi} \sum_{j \in z} R_{znl}(r_{ij})\, Y_{lm}(\hat r_{ij}),

in a ``.yace`` file through the :math:`\tilde c` themselves, in a ``.yaml`` file through coefficients of functions
B that are coupled by Clebsch–Gordan coefficients. The condition :math:`\sum m = 0` makes the products at m and −m
complex conjugates, so that half of them are enough. A function of order ν of ours, in orthonormal real harmonics
and with couplings of unit norm, is PACE's B times :math:`s (4\pi)^{-\nu/2}`, :math:`s = (-1)^l` for ν = 2 and 1 for
ν = 1 and 3; at ν = 4 the two choices of couplings span the same space.

Everything here is a table *products of m → coefficient* of one class of products, brought to one canonical form:
factors in our order, the m of factors that are the same in descending order, and of m and −m the larger.

References
----------
Y. Lysogorskiy et al., npj Comput. Mater. 7, 97 (2021), doi:10.1038/s41524-021-00559-9.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import Factor
from aliquot.ace.coupling import complex_harmonics, invariants, wigner_3j
from aliquot.errors import InputError

__all__ = ["Table", "b_table", "canonical", "class_tables", "couplings_of_class", "project", "same_factors"]

#: m of every factor → coefficient of that product of densities.
Table = dict[tuple[int, ...], float]

#: What an imported function may have outside the space of invariants, relative to its coefficients.
RESIDUAL_TOLERANCE = 1e-8


def same_factors(factors: tuple[Factor, ...]) -> tuple[int, ...]:
    """Equal entries mark factors that are the same function."""
    return tuple(factors.index(f) for f in factors)


def canonical(table: Mapping[tuple[int, ...], float], same: tuple[int, ...]) -> Table:
    """Add up the products that are equal, or complex conjugates, once repeated factors are exchanged."""
    groups = [[i for i, s in enumerate(same) if s == g] for g in sorted(set(same))]

    def ordered(ms: tuple[int, ...]) -> tuple[int, ...]:
        out = list(ms)
        for slots in groups:
            for slot, m in zip(slots, sorted((ms[i] for i in slots), reverse=True), strict=True):
                out[slot] = m
        return tuple(out)

    folded: Table = {}
    for ms, coefficient in table.items():
        key = max(ordered(ms), ordered(tuple(-m for m in ms)))
        folded[key] = folded.get(key, 0.0) + coefficient
    return folded


@cache
def class_tables(ls: tuple[int, ...], same: tuple[int, ...]) -> tuple[tuple[int, Table], ...]:
    """Our invariants of a class, each as (intermediate L, canonical table in PACE's densities)."""
    rotations = [np.conj(complex_harmonics(l)) / sqrt(4 * pi) for l in ls]
    out: list[tuple[int, Table]] = []
    for big, terms in invariants(ls, same):
        tensor = np.zeros([2 * l + 1 for l in ls], complex)
        for position, coefficient in terms:
            tensor[position] = coefficient
        for axis, rotation in enumerate(rotations):
            tensor = np.moveaxis(np.tensordot(rotation, tensor, axes=(1, axis)), 0, axis)
        real = np.real(tensor)  # the even sum of l makes it real
        limit = 1e-13 * np.abs(real).max()
        table = {
            tuple(int(p) - l for p, l in zip(where, ls, strict=True)): float(real[tuple(where)])
            for where in np.argwhere(np.abs(real) > limit)
        }
        out.append((big, canonical(table, same)))
    return tuple(out)


def _clebsch_gordan(l1: int, m1: int, l2: int, m2: int, big: int) -> float:
    m = m1 + m2
    if abs(m) > big:
        return 0.0
    return (-1) ** (l1 - l2 + m) * sqrt(2 * big + 1) * wigner_3j(l1, l2, big, m1, m2, -m)


def b_table(ls: tuple[int, ...], intermediate: tuple[int, ...]) -> Table:
    """PACE's function B of unit coefficient: m of its factors, in the order given, → coupling.

    Parameters
    ----------
    ls : tuple of int
        l of each factor.
    intermediate : tuple of int
        Of order 3 the L of the first two factors (the l of the third), of order 4 the equal L of the first two
        and of the last two.

    Raises
    ------
    InputError
        If these do not couple to an invariant.

    Examples
    --------
    >>> b_table((1, 1), ())[0, 0] == -(3**-0.5)
    True
    """
    order = len(ls)
    if order == 1:
        table = {(0,): 1.0} if ls == (0,) else {}
    elif order == 2:
        table = {(m, -m): _clebsch_gordan(ls[0], m, ls[1], -m, 0) for m in range(-ls[0], ls[0] + 1)}
        table = table if ls[0] == ls[1] else {}
    else:
        third, fourth = ls[2:] if order == 4 else (0, ls[2])  # order 3: as if one more factor had l = 0
        big = intermediate[0] if intermediate else -1
        fits = big >= 0 and len(set(intermediate)) == 1 and (order == 4 or big == ls[2])
        table = _four(ls[0], ls[1], third, fourth, big) if fits else {}
        table = table if order == 4 else {(a, b, d): c for (a, b, _, d), c in table.items()}
    if not table or sum(ls) % 2:
        raise InputError(f"l = {list(ls)} with intermediate L = {list(intermediate)} is not an invariant")
    return table


def _four(a: int, b: int, c: int, d: int, big: int) -> Table:
    """Factors a, b coupled to L, c, d to L, both to zero."""
    out: Table = {}
    for m1, m2, m3 in product(*(range(-l, l + 1) for l in (a, b, c))):
        m4, m = -m1 - m2 - m3, m1 + m2
        if abs(m4) > d or abs(m) > big:
            continue
        first, second = _clebsch_gordan(a, m1, b, m2, big), _clebsch_gordan(c, m3, d, m4, big)
        coefficient = first * second * _clebsch_gordan(big, m, big, -m, 0)
        if coefficient != 0.0:
            out[m1, m2, m3, m4] = coefficient
    return out


def _columns(tables: list[Table]) -> tuple[list[tuple[int, ...]], NDArray[np.float64]]:
    """Keys of any table, and the tables as columns over them."""
    keys = sorted({key for table in tables for key in table})
    return keys, np.array([[table.get(key, 0.0) for table in tables] for key in keys]).reshape(len(keys), -1)


@cache
def _inverse(
    ls: tuple[int, ...], same: tuple[int, ...]
) -> tuple[dict[tuple[int, ...], int], NDArray[np.float64], NDArray[np.float64]]:
    """Where each product stands, our invariants as columns, and their pseudo-inverse."""
    keys, matrix = _columns([table for _, table in class_tables(ls, same)])
    return {key: row for row, key in enumerate(keys)}, matrix, np.asarray(np.linalg.pinv(matrix), np.float64)


def project(table: Table, ls: tuple[int, ...], same: tuple[int, ...]) -> dict[int, float]:
    """Coefficients of our invariants, by intermediate L, that make up a canonical table.

    Raises
    ------
    InputError
        If the table is not a combination of invariants.
    """
    scale = max((abs(c) for c in table.values()), default=0.0)
    if scale == 0.0:
        return {}
    rows, matrix, inverse = _inverse(ls, same)
    right = np.zeros(len(rows))
    outside = 0.0
    for key, coefficient in table.items():
        if key in rows:
            right[rows[key]] += coefficient
        else:
            outside = max(outside, abs(coefficient))
    solution = inverse @ right
    residual = max(outside, float(np.abs(matrix @ solution - right).max(initial=0.0)))
    if residual > RESIDUAL_TOLERANCE * scale:
        raise InputError(
            f"the products of l = {list(ls)} are not invariant under rotations: {residual:.1e} of {scale:.1e}"
            " is left over; the file is damaged or of another convention"
        )
    return {big: float(c) for (big, _), c in zip(class_tables(ls, same), solution, strict=True) if c != 0.0}


@cache
def couplings_of_class(
    ls: tuple[int, ...], same: tuple[int, ...]
) -> tuple[tuple[tuple[int, ...], Table], ...]:
    """Independent functions B of PACE of a class: (intermediate L as ``.yaml`` wants it, canonical table)."""
    if len(ls) < 4:
        intermediate = (ls[2],) if len(ls) == 3 else ()
        return ((intermediate, canonical(b_table(ls, intermediate), same)),)
    a, b, c, d = ls
    kept: list[tuple[tuple[int, ...], Table]] = []
    for big in range(max(abs(a - b), abs(c - d)), min(a + b, c + d) + 1):
        table = canonical(b_table(ls, (big, big)), same)
        if max(abs(v) for v in table.values()) < 1e-10:
            continue
        _, matrix = _columns([t for _, t in kept] + [table])
        if np.linalg.matrix_rank(matrix / np.linalg.norm(matrix, axis=0), tol=1e-8) == len(kept) + 1:
            kept.append(((big, big), table))
    return tuple(kept)
