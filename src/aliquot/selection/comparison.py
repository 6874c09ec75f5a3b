r"""How do several choices from one pool differ? Measured with one yardstick for all, whatever each set out to do.

- *Overlap* of two choices: the Jaccard index :math:`|A \cap B| / |A \cup B|`.
- *Information*: :math:`\tfrac12\log\det P_S - \tfrac12\log\det P_\varnothing` in nat, with one posterior for all:
  the prior of Bayesian selection and the known structures.
- *Covering radius* and *mean distance*: the largest and the mean Euclidean distance, in smoothness-scaled
  coordinates, of a candidate to its nearest chosen or known structure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Distance, Posterior, default_precision, gather
from aliquot.progress import Progress, silent
from aliquot.selection.record import Selection
from aliquot.table import Features

__all__ = ["Comparison", "compare"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several choices, m of them, measured alike.

    Parameters
    ----------
    names : tuple of str
    common : (m, m) array of int
        Picks that two choices share; the number of picks on the diagonal.
    overlap : (m, m) array
        Jaccard index.
    information : tuple of arrays
        For each choice, the information of its first 1, 2, … picks, nat.
    radius, mean_distance : (m,) arrays
    precision : float
        Prior precision of the posterior.
    known_radius, known_mean : float
        Covering radius and mean distance before any pick; NaN where nothing is known.
    """

    names: tuple[str, ...]
    common: NDArray[np.int64]
    overlap: Vector
    information: tuple[Vector, ...]
    radius: Vector
    mean_distance: Vector
    precision: float
    known_radius: float
    known_mean: float

    @property
    def total_information(self) -> Vector:
        """Information of all picks of each choice, (m,), nat."""
        return np.array([curve[-1] if len(curve) else 0.0 for curve in self.information])

    def to_dict(self) -> dict[str, Any]:
        """For JSON, choice by choice."""
        known = np.isfinite(self.known_radius)
        return {
            "overlap": self.overlap.tolist(),
            "common": self.common.tolist(),
            "precision": self.precision,
            "known_radius": self.known_radius if known else None,
            "known_mean_distance": self.known_mean if known else None,
            "choices": {
                name: {
                    "information": float(self.total_information[i]),
                    "radius": float(self.radius[i]),
                    "mean_distance": float(self.mean_distance[i]),
                    "information_curve": self.information[i].tolist(),
                }
                for i, name in enumerate(self.names)
            },
        }


def compare(
    candidates: Features,
    choices: Mapping[str, Selection],
    *,
    known: Features | None = None,
    precision: float | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Measure choices from the same pool with the same yardsticks.

    Parameters
    ----------
    candidates : Features
        The pool that all were chosen from.
    choices : dict of str to Selection
    known : Features, optional
        What was known to all.
    precision : float, optional
        Prior precision; by default that of Bayesian selection.
    progress : Progress

    Raises
    ------
    SelectionError
        If there are no choices, or one was made from another pool.

    Notes
    -----
    For each choice one pass over the pool, 2 N d n flops, and O(n d²) for the information.

    Examples
    --------
    >>> from aliquot.selection import select
    >>> pool = Features.from_array(np.diag([3.0, 2.0, 1.0]))
    >>> both = compare(pool, {m: select(pool, 2, method=m) for m in ("bayes", "fps")})
    >>> both.common.tolist(), round(float(both.overlap[0, 1]), 3)
    ([[2, 1], [1, 2]], 0.333)
    """
    if not choices:
        raise SelectionError("there is nothing to compare; name at least one method")
    digest = candidates.ids.digest()
    for name, choice in choices.items():
        if choice.pool_hash != digest:
            raise SelectionError(
                f"the choice {name!r} was made from another pool; choose again from this one"
            )
    known = None if known is None or len(known) == 0 else known
    precision = default_precision(candidates) if precision is None else precision
    posterior = Posterior(np.full(candidates.n_features, precision))
    away = np.full(len(candidates), np.inf)
    if known is not None:
        for some, _ in known.tiles():
            posterior.absorb(gather(known, some).weighted)
        away = _distances(candidates, known)
    curves: list[Vector] = []
    radius, mean = np.zeros(len(choices)), np.zeros(len(choices))
    for i, choice in enumerate(choices.values()):
        curves.append(_information(posterior.copy(), candidates, choice.index))
        left = np.minimum(away, _distances(candidates, candidates, choice.index))
        radius[i], mean[i] = left.max(initial=0.0), left.mean()
        progress("compare", i + 1, len(choices))
    common, overlap = _overlaps([choice.index for choice in choices.values()])
    return Comparison(
        names=tuple(choices),
        common=common,
        overlap=overlap,
        information=tuple(curves),
        radius=radius,
        mean_distance=mean,
        precision=precision,
        known_radius=float("nan") if known is None else float(away.max(initial=0.0)),
        known_mean=float("nan") if known is None else float(away.mean()),
    )


def _overlaps(picks: list[NDArray[np.int64]]) -> tuple[NDArray[np.int64], Vector]:
    """Picks in common, and Jaccard indices; two empty choices are equal."""
    common = np.array([[len(np.intersect1d(a, b)) for b in picks] for a in picks], np.int64)
    size = np.diag(common)
    either = size[:, None] + size - common
    return common, np.where(either > 0, common / np.maximum(either, 1), 1.0)


def _information(posterior: Posterior, candidates: Features, index: NDArray[np.int64]) -> Vector:
    """Running sum of what each pick adds."""
    gains = np.zeros(len(index))
    for k, i in enumerate(index):
        rows = gather(candidates, np.array([i])).weighted
        gains[k] = posterior.logdet_gain(rows)
        posterior.absorb(rows)
    return np.cumsum(gains)


def _distances(candidates: Features, others: Features, index: NDArray[np.int64] | None = None) -> Vector:
    """Distance of every candidate to the nearest of the others (named ones, or all)."""
    distance = Distance(candidates.n_features)
    if index is not None:
        if len(index):
            distance.absorb(gather(others, index))
    else:
        for some, _ in others.tiles():
            distance.absorb(gather(others, some))
    out = np.empty(len(candidates))
    for some, _ in candidates.tiles():
        out[some] = distance.gain(gather(candidates, some))
    return out
