r"""Choosing towards a goal: each pick removes most of the variance of what the user wants to know.

.. math:: i_{k+1} = \arg\max_i \; \| T P_k^{-1} X_i^\top (I + X_i P_k^{-1} X_i^\top)^{-1/2} \|_F^2

for targets T (energies of named structures, differences of energies, the mean over the pool): c-, I- and
V-optimality by one formula. Several goals are brought to a common scale by the variance that each has before the
first pick, so a gain is a share of what there was to learn.

This gain may grow as others are chosen (two structures may only together decide a difference), so no stale value is a
bound: every candidate is evaluated for every pick, by :class:`aliquot.information.Reduction`. The variance
removed is a concave function of the weights of a relaxed design, so its tangent bounds every other choice:
:math:`F(S^*) \le F(S) + \sum_{\text{top }n} g_i - \sum_{i\in S} g_i` with :math:`g_i = \|T P_S^{-1} X_i^\top\|_F^2`.

References
----------
F. Pukelsheim, Optimal Design of Experiments (SIAM, 2006), doi:10.1137/1.9780898719109
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliquot.information import Posterior, Reduction, Target, gather
from aliquot.progress import Progress
from aliquot.selection.cost import knapsack
from aliquot.selection.greedy import EXHAUSTED, TIE, first_by_hash
from aliquot.selection.record import Certificate
from aliquot.selection.request import Request

__all__ = ["Towards", "goal_certificate", "joint", "left_of", "towards"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Towards:
    """Picks in order, the share of the variance that each removed, and the slopes of all candidates at the end.

    From pick ``exhausted`` on, if any, gains were rounding, and content hashes decided.
    """

    strategy: str
    index: NDArray[np.int64]
    gain: Vector
    slopes: Vector
    exhausted: int | None = None


def joint(targets: tuple[Target, ...], posterior: Posterior) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """One root for all goals, each scaled to its share of one; and the variance of each before the first pick."""
    variances = tuple(target.variance(posterior) for target in targets)
    total = sum(target.share for target, variance in zip(targets, variances, strict=True) if variance > 0)
    roots = [
        target.root * np.sqrt(target.share / (total * variance))
        for target, variance in zip(targets, variances, strict=True)
        if variance > 0
    ]
    moment = Posterior(np.ones(posterior.n_features))
    moment.absorb(np.vstack([np.zeros((0, posterior.n_features)), *roots]))
    return moment.root, variances


def towards(
    reduction: Reduction, request: Request, strategy: str, *, progress: Progress, stage: str = "select"
) -> Towards:
    """Choose greedily until there are enough, or the budget is spent."""
    table = request.candidates
    index, gain = list[int](), list[float]()
    largest, exhausted = 0.0, None
    for k, mask in request.phases():
        ledger = request.ledger(strategy, mask)
        start = len(index)
        remaining = mask.copy()
        while len(index) - start < k:
            if ledger is not None:
                remaining &= ledger.open
            who = np.flatnonzero(remaining)
            if not len(who):
                break
            worth = reduction.gains[who]
            if ledger is not None and ledger.budget is not None and not worth.any():
                break  # nothing that could be bought teaches anything
            largest = max(largest, float(worth.max()))
            if worth.max() <= EXHAUSTED * largest:
                exhausted = len(index) if exhausted is None else exhausted
                worth = np.zeros(len(who))
            elif ledger is not None and ledger.price is not None:
                worth = worth / ledger.price[who]
            pick = first_by_hash(table, who[worth >= worth.max() * (1.0 - TIE)])
            remaining[pick] = False
            if ledger is not None:
                if not ledger.admits(pick):
                    continue
                ledger.enter(pick)
            index.append(pick)
            gain.append(float(reduction.gains[pick]) if exhausted is None else 0.0)
            if exhausted is None:
                reduction.absorb(pick)
            progress(stage, len(index), request.n)
        if ledger is not None:
            ledger.check_complete(request.n)
    return Towards(strategy, np.array(index, np.int64), np.array(gain), reduction.slopes.copy(), exhausted)


def goal_certificate(run: Towards, request: Request) -> Certificate:
    """The tangent of the relaxed design at the chosen set; nothing removes more than there is."""
    n, slopes = len(run.index), run.slopes
    rival = request.distinct if n <= request.distinct.sum() else np.ones(len(slopes), bool)
    if request.cost is not None and request.budget is not None:
        price = request.cost.values
        within = rival & (price <= request.budget)
        most = knapsack(slopes[within], price[within], request.budget)
    else:
        most = float(np.sort(slopes[rival])[::-1][:n].sum())
    achieved = float(run.gain.sum())
    bound = achieved + max(0.0, most - float(slopes[run.index].sum()))
    return Certificate(
        achieved=achieved,
        upper_bound=min(1.0, bound),
        objective="share of the variance of the goals removed",
        argument="concavity: the tangent of the relaxed design at the chosen set",
    )


def left_of(
    targets: tuple[Target, ...],
    variances: tuple[float, ...],
    request: Request,
    index: NDArray[np.int64],
    posterior: Posterior,
) -> tuple[str, ...]:
    """What became of each goal, in words."""
    after = posterior.copy()
    for pick in index.tolist():
        after.absorb(gather(request.candidates, np.array([pick])).weighted)
    notes = list[str]()
    for target, before in zip(targets, variances, strict=True):
        if before <= 0:
            notes.append(f"goal {target.name} has no variance: there is nothing to learn about it")
            continue
        left = np.sqrt(target.variance(after) / before)
        notes.append(
            f"goal {target.name} ({target.size} quantities): the predicted standard deviation falls to {left:.2%} of"
            " what it was before the first pick"
        )
    return tuple(notes)
