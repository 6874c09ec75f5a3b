r"""What does a function cost at evaluation? Mostly the densities that nothing else has needed yet.

One atom with n neighbours evaluates each density :math:`A_{nlm}` it uses over all neighbours, forwards and for the
forces, and each product once per term. The model counts multiplications,

.. math:: C(S) = 10\, n \, |A(S)| + 16 \, |T(S)|,

with the densities |A| and the terms |T| that the functions S of a centre use, averaged over elements. Densities
are shared: a function whose densities are there already costs its terms alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from aliquot.ace.basis import AceBasis
from aliquot.solvers import SharedCost

__all__ = ["evaluation_cost"]

_PER_NEIGHBOUR: Final = 10.0
_PER_TERM: Final = 16.0


def evaluation_cost(basis: AceBasis, *, neighbours: float = 40.0) -> SharedCost:
    """Multiplications per atom of a model of these functions, element by element as columns are.

    Parameters
    ----------
    basis : AceBasis
    neighbours : float
        Of an atom.

    Examples
    --------
    >>> basis = AceBasis(elements=(14,), cutoff=5.5, degree=(6, 6))
    >>> cost = evaluation_cost(basis)
    >>> basis.names[6], basis.names[7], cost.marginal(np.array([0, 1]))[6:8].tolist()
    ('Si(1,0)Si(1,0)', 'Si(1,0)Si(2,0)', [16.0, 16.0])
    """
    functions, n = basis.functions, len(basis.elements)
    densities = sorted({factor for f in functions for factor in f.factors})
    place = {factor: k for k, factor in enumerate(densities)}
    price = np.array([_PER_NEIGHBOUR * neighbours * (2 * max(factor.l, 0) + 1) for factor in densities])
    own = np.array([_PER_TERM * len(f.terms()) for f in functions])
    uses = [[z * len(densities) + place[factor] for factor in f.factors] for z in range(n) for f in functions]
    return SharedCost(uses, np.tile(price, n) / n, np.tile(own, n) / n)
