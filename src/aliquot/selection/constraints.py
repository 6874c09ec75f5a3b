r"""Who may be chosen, and with whom: exclusions, groups, distances.

- *Exclude*: these candidates do not take part.
- *Deduplicate* at a tolerance: in the order of content hashes, a candidate nearer than the tolerance to a known
  structure or to a candidate already kept does not take part.
- *At most* so many of a group; *at least* so many of a group. Groups are labels. Known structures do not count.
- *Apart*: no two picks, and no pick and known structure, are nearer than this.

Distances are Euclidean in smoothness-scaled coordinates, the distances of farthest-point sampling; a candidate of
several rows is the mean of its observable rows.

Greedy heeds them without looking ahead and without repair: the next pick is the best candidate after which the
quotas can still be met with the picks (and the money) that are left. Sets that can be so completed form a
matroid, so greedy still reaches half of the best for a monotone submodular objective. A candidate refused once is
refused for good, and whether a pick is far enough from the others is asked only when it is about to be chosen:
no pass over the pool is needed. Distances do not form a matroid: with *apart* there is no guarantee, and greedy
may run into a dead end where another choice would have been possible. It then says so.

References
----------
M. L. Fisher, G. L. Nemhauser and L. A. Wolsey, Math. Program. Stud. 8, 73 (1978), doi:10.1007/BFb0121195
M. El Halabi, S. Mitrović, A. Norouzi-Fard, J. Tardos and J. Tarnawski, NeurIPS 33, 13609 (2020),
doi:10.48550/arXiv.2010.07431
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Distance, gather
from aliquot.table import Features

__all__ = ["ANY_GROUP", "Constraints", "distinct_at", "scale_of"]

#: Stands for every group that is not named.
ANY_GROUP: Final = "*"

_TILE = 256  # candidates compared with each other at a time

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Constraints:
    """What a choice must keep to.

    Parameters
    ----------
    labels : (candidates,) array of str, optional
        Group of each candidate.
    at_least, at_most : dict of str to int
        Picks of a group; ``"*"`` stands for every group not named.
    exclude : (candidates,) array of bool, optional
        Who does not take part.
    apart : float
        Least distance between any two picks, and of picks from known structures.
    tolerance : float
        Candidates nearer than this to one that is kept, or to a known structure, do not take part.

    Examples
    --------
    >>> from aliquot.selection import select
    >>> pool = Features.from_array(np.diag([4.0, 3.0, 2.0, 1.0]))
    >>> at_most_one = Constraints(labels=np.array(["a", "a", "b", "b"]), at_most={"*": 1})
    >>> select(pool, 2, groups=at_most_one).index.tolist()
    [0, 2]
    """

    labels: NDArray[np.str_] | None = None
    at_least: Mapping[str, int] = field(default_factory=dict[str, int])
    at_most: Mapping[str, int] = field(default_factory=dict[str, int])
    exclude: Mask | None = None
    apart: float = 0.0
    tolerance: float = 0.0

    @classmethod
    def of(cls, given: Any, candidates: Features) -> Constraints | None:
        """Constraints as given, checked against the pool.

        Raises
        ------
        SelectionError
        """
        if given is None:
            return None
        if not isinstance(given, Constraints):
            raise SelectionError(f"groups must be a Constraints record; got {type(given).__name__}")
        for name, array in (("labels", given.labels), ("exclude", given.exclude)):
            if array is not None and len(array) != len(candidates):
                raise SelectionError(f"{name} has {len(array)} entries for {len(candidates)} candidates")
        for name, value in (("apart", given.apart), ("tolerance", given.tolerance)):
            if not (math.isfinite(value) and value >= 0):
                raise SelectionError(f"{name} is a distance, 0 or more; got {value}")
        given._check_quotas()
        return given

    @property
    def binding(self) -> bool:
        """Whether picks limit each other, so that not every set of allowed candidates is a choice."""
        return bool(self.at_least or self.at_most or self.apart)

    def quotas(self) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Names of the groups; group of each candidate; least and most picks of each group (-1: no limit)."""
        assert self.labels is not None
        names, codes = np.unique(self.labels, return_inverse=True)
        least = [self.at_least.get(str(g), self.at_least.get(ANY_GROUP, 0)) for g in names]
        most = [self.at_most.get(str(g), self.at_most.get(ANY_GROUP, -1)) for g in names]
        return names, codes.astype(np.int64), np.array(least, np.int64), np.array(most, np.int64)

    def words(self) -> dict[str, Any]:
        """What goes into the recipe of a choice."""
        said: dict[str, Any] = {}
        if self.at_least:
            said["at_least"] = dict(self.at_least)
        if self.at_most:
            said["at_most"] = dict(self.at_most)
        if self.exclude is not None:
            said["excluded"] = int(self.exclude.sum())
        if self.apart:
            said["apart"] = self.apart
        if self.tolerance:
            said["tolerance"] = self.tolerance
        return said

    def _check_quotas(self) -> None:
        asked = {**self.at_least, **self.at_most}
        if not asked:
            return
        if self.labels is None:
            raise SelectionError("at_least and at_most need labels that say which group a candidate is of")
        names: list[str] = np.unique(self.labels).tolist()
        for group in asked:
            if group != ANY_GROUP and group not in names:
                some = ", ".join(repr(g) for g in names[:12]) + (", …" if len(names) > 12 else "")
                raise SelectionError(f"no candidate is of group {group!r}; there are {some}")
            least, most = self.at_least.get(group, 0), self.at_most.get(group, math.inf)
            if least < 0 or most < 0 or least > most:
                raise SelectionError(
                    f"group {group!r}: at least {least} and at most {most} cannot both be met; both are 0 or more"
                )


def distinct_at(
    tolerance: float, candidates: Features, allowed: Mask, known: Features | None
) -> tuple[Mask, int]:
    """Who stays when candidates nearer than ``tolerance`` to one another, or to known ones, become one.

    Returns
    -------
    (candidates,) array of bool
        Who stays; the first by content hash of those that are near each other.
    int
        How many of the others were near a known structure.

    Notes
    -----
    At most 2 N d (kept + known) flops.
    """
    from scipy.spatial.distance import cdist

    kept = Distance(candidates.n_features)
    order = np.flatnonzero(allowed)
    order = order[np.lexsort((order, candidates.ids.hash[order]))]
    near_known = np.zeros(len(candidates), bool)
    if known is not None:
        for some, _ in known.tiles():
            kept.absorb(gather(known, some))
        for start in range(0, len(order), _TILE):
            some = order[start : start + _TILE]
            near_known[some] = kept.gain(gather(candidates, some)) < tolerance
        order = order[~near_known[order]]
    stay = np.zeros(len(candidates), bool)
    for start in range(0, len(order), _TILE):
        blocks = gather(candidates, order[start : start + _TILE])
        fresh = np.flatnonzero(kept.gain(blocks) >= tolerance)
        if len(fresh):
            leaders = fresh[_leaders(cdist(x := blocks.observed_mean(blocks.x)[fresh], x), tolerance)]
            stay[order[start + leaders]] = True
            kept.absorb(gather(candidates, order[start + leaders]))
    return stay, int(near_known.sum())


def _leaders(distance: NDArray[Any], tolerance: float) -> NDArray[np.int64]:
    """In order, whoever is not near an earlier leader."""
    free = np.ones(len(distance), bool)
    leaders: list[int] = []
    for i in range(len(distance)):
        if free[i]:
            leaders.append(i)
            free &= distance[i] >= tolerance
    return np.array(leaders, np.int64)


def scale_of(candidates: Features) -> float:
    """Root-mean-square distance of the candidates from their mean: what a distance can be compared with.

    Examples
    --------
    >>> scale_of(Features.from_array(np.array([[1.0], [3.0]])))
    1.0
    """
    mean, squares = np.zeros(candidates.n_features), 0.0
    for some, _ in candidates.tiles():
        blocks = gather(candidates, some)
        mean += blocks.observed_mean(blocks.x).sum(axis=0)
    mean /= max(1, len(candidates))
    for some, _ in candidates.tiles():
        blocks = gather(candidates, some)
        squares += float(np.square(blocks.observed_mean(blocks.x) - mean).sum())
    return math.sqrt(squares / max(1, len(candidates)))
