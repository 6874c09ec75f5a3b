"""Which labels come next? At random, by all functions, or by the functions that the labels so far ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.selection import select
from aliquot.studies.joint.space import Model, Space

__all__ = ["BAYES", "INFORMED", "JOINT", "RANDOM", "Choice", "choices"]

Index = NDArray[np.int64]

RANDOM: Final = "random"

#: Bayesian selection with all functions, no label used.
BAYES: Final = "bayes"

#: The same in batches, the strength of the prior by the evidence of the labels so far.
INFORMED: Final = "bayes in batches"

#: The same with the sparse basis of the labels so far.
JOINT: Final = "joint"


@dataclass(frozen=True, eq=False)
class Choice:
    """What one way of choosing chose.

    Parameters
    ----------
    arm : str
    functions : int
        Of the sparse basis that it chose by; 0 for all.
    solver : str
        That made it sparse; empty for none.
    index : dict of int to (n,) array of int
        Structures by number of labels.
    """

    arm: str
    functions: int
    solver: str
    index: dict[int, Index]


def choices(
    space: Space,
    candidates: Index,
    labels: Sequence[int],
    sparse: Sequence[int],
    solvers: Sequence[str],
    score: str,
    rng: np.random.Generator,
) -> Iterator[Choice]:
    """Every way of choosing; those by Bayesian selection share their first batch.

    Parameters
    ----------
    space : Space
    candidates : (n,) array of int
    labels : sequence of int
        Budgets, rising.
    sparse : sequence of int
        Sizes of the sparse bases of joint selection.
    solvers : sequence of str
        That choose them.
    score : str
    rng : numpy.random.Generator
    """
    drawn = rng.permutation(candidates)
    yield Choice(RANDOM, 0, "", {n: drawn[:n] for n in labels})
    by_all = _chosen(space, candidates, np.empty(0, np.int64), labels[-1], score)
    yield Choice(BAYES, 0, "", {n: by_all[:n] for n in labels})
    ways = ((INFORMED, 0, ""), *((JOINT, k, solver) for k in sparse for solver in solvers))
    for arm, size, solver in ways:
        index = {labels[0]: by_all[: labels[0]]}
        for before, n in pairwise(labels):
            there = index[before]
            rest = np.setdiff1d(candidates, there)
            by = _informed(space, there, size, solver)
            more = _chosen(space, rest, there, n - before, score, by)
            index[n] = np.concatenate((there, more))
        yield Choice(arm, size, solver, index)


def _informed(space: Space, labelled: Index, size: int, solver: str) -> Model:
    """The model that labels ask for: of all functions (size 0), or sparse."""
    sums = space.sums(labelled)
    full = space.full(sums)
    return space.sparse(sums, full.precision, (size,), solver)[size] if size else full


def _chosen(
    space: Space, candidates: Index, labelled: Index, n: int, score: str, by: Model | None = None
) -> Index:
    """The next picks given what is labelled, for a model, or for all functions under the prior of what is known."""
    if by is None and len(space.known):
        by = space.full(space.known_sums)
    sparse = by is not None and len(by.support) < space.functions
    support = by.support if by is not None and sparse else None
    sums = space.sums(labelled)
    found = select(
        space.candidates(candidates, support),
        n,
        known=space.labelled(sums, support) if sums.n_rows else None,
        score=score,
        precision=None if by is None else by.precision,
        sensitivity=False,
    )
    return candidates[found.index]
