"""Which score is meant: ``energy + 0.1*force-mean`` read, checked, and made into a measure of information."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from aliquot.errors import SelectionError
from aliquot.information import TERMS, Energy, Entropy, Posterior, WeightedSum
from aliquot.table import KINDS, Features

__all__ = ["SCORES", "Terms", "check_forces", "information_of", "terms_of"]

#: Scores by name.
SCORES = (*TERMS, "goal")

#: Names and weights of what a score adds up.
Terms: TypeAlias = tuple[tuple[str, float], ...]

_FORCE = KINDS.index("force")


def terms_of(score: str) -> Terms:
    """What a score adds up; nothing for ``goal``.

    >>> terms_of("energy + 0.1*force-mean")
    (('energy', 1.0), ('force-mean', 0.1))
    """
    if score == "goal":
        return ()
    terms: list[tuple[str, float]] = []
    for part in score.split("+"):
        factor, star, name = part.rpartition("*")
        try:
            weight = float(factor) if star else 1.0
        except ValueError:
            weight = math.nan
        if name.strip() not in TERMS or not (math.isfinite(weight) and weight > 0):
            raise SelectionError(
                f"score {score!r} is not known; choose one of {', '.join(SCORES)}, or a sum such as"
                " energy + 0.1*force-mean with positive factors"
            )
        terms.append((name.strip(), weight))
    if len({name for name, _ in terms}) < len(terms):
        raise SelectionError(f"score {score!r} names a term twice")
    return tuple(terms)


def check_forces(candidates: Features) -> None:
    """Refuse candidates without force rows."""
    force = candidates.kind == _FORCE
    without = np.flatnonzero(np.add.reduceat(force.astype(np.int64), candidates.offsets[:-1]) == 0)
    if len(without):
        raise SelectionError(
            f"{len(without)} of {len(candidates)} candidates have no force rows, the first"
            f" {candidates.ids.name(int(without[0]))}; a score of forces needs features such as ace:rows=energy+forces"
        )


def information_of(terms: Terms, posterior: Posterior) -> Entropy | Energy | WeightedSum:
    """The measure whose gains the engine compares."""
    if len(terms) == 1 and terms[0][0] in ("entropy", "energy"):
        return Entropy(posterior) if terms[0][0] == "entropy" else Energy(posterior)
    return WeightedSum(posterior, terms)
