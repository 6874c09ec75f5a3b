r"""How new is an atom, which way does it become newer, and what is new after it was seen? Grade and leverage.

The grade :math:`\gamma = \max_j |b A^{-1}|_j` has the gradient :math:`\pm A^{-1}_{\cdot j}` by the features b,
j that of the maximum; the leverage :math:`h = |b M|` has :math:`M M^\top b / h`. Both are the coefficients of one
pullback of one atom.

Seen atoms enter the active set by MaxVol's swaps, or the information (:func:`~aliquot.explore.bias.condition`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from aliquot.explore.bias import condition
from aliquot.uncertainty import Uncertainty
from aliquot.uncertainty.active import grades
from aliquot.uncertainty.leverage import leverage
from aliquot.uncertainty.sites import Block

__all__ = ["GradeMeasure", "LeverageMeasure", "Measure"]

Array = NDArray[np.float64]

#: Swaps stop where none enlarges the volume by more.
TOLERANCE: Final = 1.001


class Measure(Protocol):
    """How new atoms are."""

    def of(self, blocks: list[Block], n: int) -> Array:
        """Of all atoms of a structure, (n,)."""
        ...

    def slope(self, element: int, row: Array) -> Array:
        """Derivative by the features of one atom."""
        ...

    def seen(self, blocks: list[Block]) -> Measure:
        """The same after these atoms."""
        ...


@dataclass(frozen=True, eq=False)
class GradeMeasure:
    """γ. ``inverses``: of the square block of each element, from features to coefficients."""

    inverses: tuple[Array, ...]

    @classmethod
    def start(cls, known: Uncertainty) -> GradeMeasure:
        """Of the active sets."""
        return cls(tuple(one.inverse for one in known.active))

    def of(self, blocks: list[Block], n: int) -> Array:
        """γ of all atoms."""
        out = np.zeros(n)
        for block in blocks:
            out[block.atoms] = grades(block.rows, self.inverses[block.element])
        return out

    def slope(self, element: int, row: Array) -> Array:
        """± the column of the largest coefficient."""
        coefficients = row @ self.inverses[element]
        j = int(np.argmax(np.abs(coefficients)))
        return np.sign(coefficients[j]) * self.inverses[element][:, j]

    def seen(self, blocks: list[Block]) -> GradeMeasure:
        """MaxVol on the active set and these atoms."""
        inverses = list(self.inverses)
        for block in blocks:
            inverses[block.element] = _swapped(inverses[block.element], block.rows)
        return GradeMeasure(tuple(inverses))


@dataclass(frozen=True, eq=False)
class LeverageMeasure:
    """h. ``roots``: of the inverse information of each element."""

    roots: tuple[Array, ...]

    @classmethod
    def start(cls, known: Uncertainty) -> LeverageMeasure:
        """Of all training atoms."""
        return cls(known.leverages)

    def of(self, blocks: list[Block], n: int) -> Array:
        """Leverage of all atoms."""
        out = np.zeros(n)
        for block in blocks:
            out[block.atoms] = leverage(block.rows, self.roots[block.element])
        return out

    def slope(self, element: int, row: Array) -> Array:
        """The gradient of a norm."""
        root = self.roots[element]
        flat = row @ root
        size = float(np.linalg.norm(flat))
        return root @ (flat / size) if size > 0 else np.zeros_like(row)

    def seen(self, blocks: list[Block]) -> LeverageMeasure:
        """With the information of these atoms."""
        roots = list(self.roots)
        for block in blocks:
            roots[block.element] = condition(roots[block.element], block.rows)[0]
        return LeverageMeasure(tuple(roots))


def _swapped(inverse: Array, rows: Array) -> Array:
    """The inverse of the block of locally largest volume among its own rows and these.

    Stand-ins for directions that nothing spanned are rows of the block like others, and leave it like others.
    """
    k = len(inverse)
    coefficients = np.concatenate((np.eye(k), rows @ inverse))
    while True:
        i, j = np.unravel_index(int(np.argmax(np.abs(coefficients))), coefficients.shape)
        largest = coefficients[i, j]
        if abs(largest) <= TOLERANCE:
            return inverse
        step = coefficients[i].copy()
        step[j] -= 1.0
        step /= largest
        coefficients = coefficients - coefficients[:, j, None] * step
        inverse = inverse - inverse[:, j, None] * step
