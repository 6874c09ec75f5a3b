"""What of a contraction depends on the coefficients? Only its numbers, and linearly: found once, a product after.

:func:`~aliquot.ace.contraction.contract` sorts the products of a basis. Coefficients that change at every step of
a simulation, as those of a bias do, only need the sparse matrix from coefficients to the numbers beside those products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from aliquot.ace.contraction import Contraction, contract
from aliquot.ace.program import Program

__all__ = ["LinearContraction", "linear_contraction"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class LinearContraction(NamedTuple):
    """The products of some functions, and the matrix from coefficients to what multiplies them.

    ``matrix`` (numbers, species × functions) gives ``single_c``, ``couple_c``, ``third_c`` and ``fourth_c`` of
    ``pattern``, one after another.
    """

    pattern: Contraction
    matrix: scipy.sparse.csr_matrix

    def __call__(self, coefficients: Array) -> Contraction:
        """The contraction of coefficients (n_species, n_functions) that are zero outside the support."""
        numbers = self.matrix @ coefficients.ravel()
        p = self.pattern
        edges = np.cumsum([len(p.single_c), len(p.couple_c), len(p.third_c)])
        single, couple, third, fourth = np.split(numbers, edges)
        return p._replace(single_c=single, couple_c=couple, third_c=third, fourth_c=fourth)


def linear_contraction(program: Program, support: NDArray[np.bool_]) -> LinearContraction:
    """Prepare for coefficients that may differ from zero where ``support``, (n_species, n_functions), says so."""
    pattern = contract(program, support.astype(np.float64))
    function = np.repeat(np.arange(len(program.term_first) - 1), np.diff(program.term_first))
    order = np.searchsorted(program.order_first[1:], function, side="right") + 1
    sizes = [len(pattern.single_c), len(pattern.couple_c), len(pattern.third_c), len(pattern.fourth_c)]
    begin = np.concatenate(([0], np.cumsum(sizes)))
    rows: list[Indices] = []
    terms: list[Indices] = []
    columns: list[Indices] = []
    for z, row in enumerate(support):
        first_couple = pattern.couple_first[z]
        starts = (
            pattern.single_first[z],
            first_couple,
            pattern.third_first[first_couple],
            pattern.fourth_first[first_couple],
        )
        couples = pattern.couple[first_couple : pattern.couple_first[z + 1]]
        for v in (1, 2, 3, 4):
            some = np.flatnonzero(row[function] & (order == v))
            if not len(some):
                continue
            products, where = np.unique(
                np.sort(program.term_factor[some, :v], axis=1), axis=0, return_inverse=True
            )
            place = _find(couples, products) if v == 2 else np.arange(len(products))
            rows.append(begin[v - 1] + starts[v - 1] + place[where.ravel()])
            terms.append(some)
            columns.append(z * support.shape[1] + function[some])
    shape = (int(begin[-1]), support.size)
    if not rows:
        return LinearContraction(pattern, scipy.sparse.csr_matrix(shape))
    at = (np.concatenate(rows), np.concatenate(columns))
    matrix = scipy.sparse.csr_matrix((program.term_coefficient[np.concatenate(terms)], at), shape=shape)
    return LinearContraction(pattern, matrix)


def _find(table: Indices, rows: Indices) -> Indices:
    """Where in a table of distinct rows each of these stands."""
    place = {tuple(row): p for p, row in enumerate(table.tolist())}
    return np.array([place[tuple(row)] for row in rows.tolist()], np.int64)
