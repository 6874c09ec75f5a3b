r"""What does a function cost at evaluation? Mostly the densities that nothing else has needed yet.

One atom with n neighbours evaluates each density :math:`A_{nlm}` it uses over all neighbours, forwards and for the
forces, and each product once per term. The model counts multiplications,

.. math:: C(S) = 10\, n \, |A(S)| + 16 \, |T(S)|,

with the densities |A| and the terms |T| that the functions S of a centre use, averaged over elements. Densities
are shared: a function whose densities are there already costs its terms alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis

__all__ = ["EvaluationCost"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_PER_NEIGHBOUR: Final = 10.0
_PER_TERM: Final = 16.0


@dataclass(frozen=True, eq=False)
class EvaluationCost:
    """Multiplications per atom of a model, for :class:`aliquot.solvers.LeastSquares`.

    Parameters
    ----------
    basis : AceBasis
    neighbours : float
        Of an atom.

    Examples
    --------
    >>> cost = EvaluationCost(AceBasis(elements=(14,), cutoff=5.5, degree=(6, 6)))
    >>> alone = cost.total(np.array([0]))
    >>> bool(cost.marginal(np.array([0]))[0] < alone)
    True
    """

    basis: AceBasis
    neighbours: float = 40.0

    @cached_property
    def _uses(self) -> tuple[Array, Array, Array]:
        """Which densities (n, l, channel) each function uses, (functions, densities); 2l + 1 of each; terms."""
        functions = self.basis.functions
        names = sorted({factor for f in functions for factor in f.factors})
        place = {factor: k for k, factor in enumerate(names)}
        uses = np.zeros((len(functions), len(names)))
        for i, f in enumerate(functions):
            for factor in f.factors:
                uses[i, place[factor]] = 1.0
        size = np.array([2.0 * max(factor.l, 0) + 1.0 for factor in names])
        terms = np.array([len(f.terms()) for f in functions], float)
        return uses, size, terms

    def _split(self, support: Index) -> list[Index]:
        """Functions of each centre."""
        n = len(self.basis.functions)
        return [support[support // n == z] % n for z in range(len(self.basis.elements))]

    def total(self, support: Index) -> float:
        """Multiplications per atom, averaged over elements."""
        uses, size, terms = self._uses
        cost = 0.0
        for own in self._split(np.asarray(support)):
            used = uses[own].any(axis=0)
            cost += _PER_NEIGHBOUR * self.neighbours * float(size[used].sum()) + _PER_TERM * float(
                terms[own].sum()
            )
        return cost / len(self.basis.elements)

    def marginal(self, support: Index) -> Array:
        """What each coefficient would add, (d,)."""
        uses, size, terms = self._uses
        parts: list[Array] = []
        for own in self._split(np.asarray(support)):
            missing = size * ~uses[own].any(axis=0)
            parts.append(_PER_NEIGHBOUR * self.neighbours * (uses @ missing) + _PER_TERM * terms)
        return np.concatenate(parts) / len(self.basis.elements)
