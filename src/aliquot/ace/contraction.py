r"""A potential as the flat arrays of its energy: coefficients contracted with the couplings once.

With fixed coefficients the energy of an atom is a polynomial in its densities A. Products that several functions
share are added up, and those of order 3 and 4 are nested under their first pair,

.. math:: E = \sum_a c_a A_a + \sum_{ab} A_a A_b \Big( c_{ab} + \sum_d c_{abd} A_d
              + \sum_{de} c_{abde} A_d A_e \Big),

so that energy and gradient cost a few operations per distinct product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.program import Program

__all__ = ["Contraction", "contract"]


class Contraction(NamedTuple):
    """Distinct products of every species of centre, one after another.

    ``single_first`` (Z + 1,) into ``single`` and ``single_c``: order 1. ``couple_first`` (Z + 1,) into
    ``couple`` (·, 2) and ``couple_c``: order 2; couple p has third factors ``third_first[p]:third_first[p + 1]``
    of ``third``, ``third_c`` and further pairs ``fourth_first[p]:fourth_first[p + 1]`` of ``fourth`` (·, 2),
    ``fourth_c``.
    """

    single_first: NDArray[np.int64]
    single: NDArray[np.int64]
    single_c: NDArray[np.float64]
    couple_first: NDArray[np.int64]
    couple: NDArray[np.int64]
    couple_c: NDArray[np.float64]
    third_first: NDArray[np.int64]
    third: NDArray[np.int64]
    third_c: NDArray[np.float64]
    fourth_first: NDArray[np.int64]
    fourth: NDArray[np.int64]
    fourth_c: NDArray[np.float64]


def contract(program: Program, coefficients: NDArray[np.float64]) -> Contraction:
    """Contract the coefficients of every species of centre with the couplings of a compiled basis.

    Parameters
    ----------
    program : Program
    coefficients : (n_species, n_functions) array
    """
    function = np.repeat(np.arange(len(program.term_first) - 1), np.diff(program.term_first))
    order = np.searchsorted(program.order_first[1:], function, side="right") + 1
    out = _Builder()
    for row in coefficients:
        weights = row[function] * program.term_coefficient
        used = weights != 0.0
        tables = [
            _distinct(program.term_factor[used & (order == v), :v], weights[used & (order == v)])
            for v in (1, 2, 3, 4)
        ]
        out.add_species(tables)
    return out.finish()


def _distinct(
    factors: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Distinct products in lexicographic order, with summed weights."""
    if len(factors) == 0:
        return factors, weights
    products, where = np.unique(np.sort(factors, axis=1), axis=0, return_inverse=True)
    return products, np.bincount(where.ravel(), weights, len(products)).astype(np.float64)


class _Builder:
    """Collects the arrays of a contraction species by species."""

    def __init__(self) -> None:
        self.single_first, self.couple_first = [0], [0]
        self.single: list[NDArray[np.int64]] = []
        self.single_c: list[NDArray[np.float64]] = []
        self.couple: list[NDArray[np.int64]] = []
        self.couple_c: list[NDArray[np.float64]] = []
        self.thirds: list[NDArray[np.int64]] = []
        self.third: list[NDArray[np.int64]] = []
        self.third_c: list[NDArray[np.float64]] = []
        self.fourths: list[NDArray[np.int64]] = []
        self.fourth: list[NDArray[np.int64]] = []
        self.fourth_c: list[NDArray[np.float64]] = []

    def add_species(self, tables: list[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> None:
        (one, one_c), (two, two_c), (three, three_c), (four, four_c) = tables
        heads = np.concatenate([two, three[:, :2], four[:, :2]])
        couples, where = (
            np.unique(heads, axis=0, return_inverse=True) if len(heads) else (heads, np.zeros(0, int))
        )
        where = where.ravel()
        n, split = len(couples), [len(two), len(two) + len(three)]
        of_two, of_three, of_four = np.split(where, split)
        self.single.append(one[:, 0])
        self.single_c.append(one_c)
        self.couple.append(couples)
        self.couple_c.append(np.bincount(of_two, two_c, n).astype(np.float64))
        self.thirds.append(np.bincount(of_three, minlength=n))  # heads are sorted, so are their products
        self.third.append(three[:, 2])
        self.third_c.append(three_c)
        self.fourths.append(np.bincount(of_four, minlength=n))
        self.fourth.append(four[:, 2:])
        self.fourth_c.append(four_c)
        self.single_first.append(self.single_first[-1] + len(one))
        self.couple_first.append(self.couple_first[-1] + n)

    def finish(self) -> Contraction:
        def starts(counts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
            return np.concatenate(([0], np.cumsum(np.concatenate(counts)))).astype(np.int64)

        def joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
            return np.ascontiguousarray(np.concatenate(parts), np.int64)

        return Contraction(
            single_first=np.array(self.single_first, np.int64),
            single=joined(self.single),
            single_c=np.concatenate(self.single_c),
            couple_first=np.array(self.couple_first, np.int64),
            couple=joined(self.couple),
            couple_c=np.concatenate(self.couple_c),
            third_first=starts(self.thirds),
            third=joined(self.third),
            third_c=np.concatenate(self.third_c),
            fourth_first=starts(self.fourths),
            fourth=joined(self.fourth),
            fourth_c=np.concatenate(self.fourth_c),
        )
