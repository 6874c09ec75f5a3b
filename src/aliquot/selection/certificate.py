r"""How good a choice provably is: two upper bounds on the information that any other choice could bring.

With :math:`F(S) = \tfrac12\log\det P_S - \tfrac12\log\det P_\varnothing`, the information of the chosen set
given the known one, and every candidate i contributing :math:`M_i = \sum w^2 x x^\top` to the precision:

1. F is monotone and submodular: :math:`F(S^*) \le F(S) + \sum_{\text{top }n} [F(S+i) - F(S)]`.
2. F is concave in the weights of a relaxed design, so its tangent at S lies above it: with
   :math:`g_i = \tfrac12 \mathrm{tr}(P_S^{-1} M_i)`,
   :math:`F(S^*) \le F(S) + \sum_{\text{top }n} g_i - \sum_{i \in S} g_i`.

Both cost one pass over the pool and hold for any S, however it was found. With a budget, "top n" becomes the best
that the budget buys of them when candidates may be cut (the fractional knapsack): no rival set costs more.
Constraints only make rivals fewer, and the bounds stay bounds.

References
----------
M. Minoux, Lecture Notes in Control and Information Sciences 7, 234 (1978), doi:10.1007/BFb0006528
F. Pukelsheim, Optimal Design of Experiments (SIAM, 2006), doi:10.1137/1.9780898719109
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.information import Entropy
from aliquot.information.blocks import Part
from aliquot.information.passes import Passes, threads
from aliquot.information.posterior import logdet_gains
from aliquot.selection.cost import knapsack
from aliquot.selection.record import Certificate
from aliquot.selection.request import Request

__all__ = ["entropy_certificate"]

Vector = NDArray[np.float64]


def entropy_certificate(
    entropy: Entropy, request: Request, index: NDArray[np.int64], gain: Vector
) -> Certificate:
    """The smaller of the two bounds.

    Parameters
    ----------
    entropy : Entropy
        After the last pick.
    request : Request
        The rivals are the new candidates, or all of them where more were asked for.
    index : (n,) array of int
        Picks.
    gain : (n,) array
        Their gains, which add up to F(S).
    """
    n, table = len(index), request.candidates
    rival = request.distinct.copy() if n <= request.distinct.sum() else np.ones(len(table), bool)

    def most(values: Vector) -> float:
        if request.cost is None or request.budget is None:
            return _top(values[rival], n)
        price = request.cost.values
        within = rival & (price <= request.budget)
        return knapsack(values[within], price[within], request.budget)

    entropy = entropy.reader(entropy.absorbed)
    with threads() as local:
        passes = Passes(table, request.executor, local)
        further, slope = np.hstack([np.zeros((2, 0)), *passes.over(_rivals, entropy, passes.parts())])
    achieved = float(gain.sum())
    tangent = most(slope) - float(slope[index].sum())
    rival[index] = False
    submodular = most(further)
    if submodular <= tangent:
        argument = "submodularity: the largest remaining gains, added up"
    else:
        argument = "concavity: the tangent of the relaxed design at the chosen set"
    return Certificate(
        achieved=achieved,
        upper_bound=achieved + max(0.0, min(submodular, tangent)),
        objective="half the log-determinant of the posterior precision, gained over the known set",
        argument=argument,
    )


def _rivals(entropy: Any, part: Part) -> NDArray[np.float64]:
    """Gain and slope of each candidate, (2, candidates)."""
    blocks = part.blocks()
    z = entropy.posterior.whiten(blocks.weighted)
    slope = 0.5 * np.add.reduceat(np.einsum("ij,ij->i", z, z), blocks.offsets[:-1])
    return np.stack((logdet_gains(z, blocks.offsets), slope))


def _top(values: Vector, n: int) -> float:
    """Sum of the ``n`` largest."""
    if n >= len(values):
        return float(values.sum())
    return float(np.partition(values, len(values) - n)[len(values) - n :].sum())
