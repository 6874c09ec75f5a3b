"""Which functions may come next, at what cost, and which come together? Shared by the solvers that choose."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.solvers.path import Point
from aliquot.solvers.problem import LeastSquares

__all__ = ["STOPS", "check_stop", "members", "overdue", "scores"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: What may end a path before its largest size.
STOPS: Final = ("size", "validation", "evidence")


def scores(problem: LeastSquares, correlations: Array, support: Index, free: NDArray[np.bool_]) -> Array:
    """Score of each candidate: of groups where the problem has them, of functions otherwise.

    The squared correlations of its free functions, summed, per what evaluating them would add to the cost (the sum
    of what each alone would add, an upper bound where they share work). −1 where no function is free.
    """
    gain = np.where(free, correlations**2, 0.0)
    cost = np.where(free, 1.0, 0.0)
    if problem.costs is not None:
        cost *= problem.costs.marginal(support)
        if not np.all(cost[free] > 0):
            raise InputError(
                "the cost model gives a function that costs nothing; every function must cost something"
            )
    if problem.groups is not None:
        gain = np.bincount(problem.groups, gain)
        cost = np.bincount(problem.groups, cost)
    elif problem.costs is None:
        return np.where(free, gain, -1.0)
    return np.divide(gain, cost, out=np.full(len(gain), -1.0), where=cost > 0)


def members(problem: LeastSquares, candidate: int, free: NDArray[np.bool_], correlations: Array) -> list[int]:
    """The free functions of a candidate, the most correlated first."""
    if problem.groups is None:
        return [candidate]
    some = np.flatnonzero((problem.groups == candidate) & free)
    return some[np.argsort(-np.abs(correlations[some]), kind="stable")].tolist()


def check_stop(stop: str, patience: int, *, validation: bool, evidence: bool) -> None:
    """Refuse a stop rule that has nothing to go by."""
    if stop not in STOPS or patience < 1:
        raise InputError(
            f"stop is one of {', '.join(STOPS)}, with patience at least 1; got {stop!r} and {patience}"
        )
    if stop == "validation" and not validation:
        raise InputError("stop='validation' needs validation rows")
    if stop == "evidence" and not evidence:
        raise InputError("stop='evidence' needs a prior: give a positive penalty, or penalty='evidence'")


def overdue(points: list[Point], stop: str, patience: int) -> bool:
    """Whether the last ``patience`` points are all no better than one before them."""
    if stop == "size" or len(points) <= patience:
        return False
    if stop == "validation":
        values = [p.validation for p in points if p.validation is not None]
    else:
        values = [-p.log_evidence for p in points if p.log_evidence is not None]
    return min(values[:-patience]) <= min(values[-patience:])
