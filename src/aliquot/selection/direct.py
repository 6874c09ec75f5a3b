r"""DIRECT: dimensionality reduction, clustering, and a few structures of every cluster.

1. Features of the new candidates are standardised; those that do not vary are left out.
2. Principal components of variance above 1 are kept (Kaiser's rule), the first at least, each multiplied by the share
   of the variance that it explains.
3. BIRCH makes subclusters, Ward's method joins them. The threshold begins at 0.5 and falls, times subclusters found per
   subcluster wanted, until there are enough.
4. Of each cluster, members are ranked by their distance to its centroid, and ``per_cluster`` of them taken at equal
   intervals of rank; where that is 1, the nearest.

What was left open, or is done otherwise than in the published code:

- *Known structures* take part in the clustering, by the map that the candidates have set. Clusters that hold one are
  passed over, and joining stops when as many others are left as are wanted; where nothing is known that is the
  published number.
- The centroid is the mean of the members. The published code measures from the centre of whichever of the cluster's
  subclusters comes last.
- Exactly n are chosen: where clusters have too few members, or n is no multiple of ``per_cluster``, quotas are dealt
  out in rounds, to the largest cluster first; clusters that hold known structures come last.
- Subclusters are at most 10,000 (or 2 n), so that Ward's method fits into memory; where 0.5 would make more, the
  threshold is doubled until they are fewer. After ten steps down it falls by a tenth at least.
- BIRCH depends on the order of its input, which here is that of the content hashes.

References
----------
J. Qi, T. W. Ko, B. C. Wood, T. A. Pham and S. P. Ong, npj Comput. Mater. 10, 43 (2024),
doi:10.1038/s41524-024-01227-4
T. Zhang, R. Ramakrishnan and M. Livny, SIGMOD Rec. 25, 103 (1996), doi:10.1145/235968.233324
"""

# pyright: reportMissingTypeStubs=false
# (scipy and scikit-learn bring no types)

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.progress import Progress, silent
from aliquot.selection.method import Method
from aliquot.selection.points import by_hash, points_at
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "DIRECT", "Components"]

_REFERENCES: Final = (
    "J. Qi, T. W. Ko, B. C. Wood, T. A. Pham and S. P. Ong, npj Comput. Mater. 10, 43 (2024),"
    " doi:10.1038/s41524-024-01227-4",
    "T. Zhang, R. Ramakrishnan and M. Livny, SIGMOD Rec. 25, 103 (1996), doi:10.1145/235968.233324",
)

_TILE: Final = 4096
_FLAT: Final = 1e-12  # a standard deviation below this fraction of the largest value is rounding
_MOST: Final = 10_000  # subclusters
_TRIES: Final = 60  # thresholds
_GENTLE: Final = 10  # of them lowered as published

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class DIRECT:
    """Dimensionality reduction, clustering and stratified sampling; deterministic.

    Parameters
    ----------
    threshold : float
        Radius of a BIRCH subcluster at the beginning, in weighted principal components.
    per_cluster : int
        Structures taken of each cluster.
    """

    threshold: float = 0.5
    per_cluster: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise SelectionError(f"the threshold of direct must be positive and finite; got {self.threshold}")
        if self.per_cluster < 1:
            raise SelectionError(f"per_cluster of direct must be 1 or more; got {self.per_cluster}")

    def select(
        self,
        candidates: Features,
        n: int,
        *,
        known: Features | None = None,
        cost: Any = None,
        groups: Any = None,
        rng: np.random.Generator,
        progress: Progress = silent,
    ) -> Selection:
        """Choose ``n`` candidates; see :class:`aliquot.selection.Selector`. Deterministic: ``rng`` is not used.

        Examples
        --------
        >>> import numpy as np
        >>> line = Features.from_array(np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]))
        >>> sorted(DIRECT().select(line, 2, rng=np.random.default_rng(0)).index.tolist())
        [1, 4]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        members = by_hash(candidates, request.distinct)
        k, notes = min(n, len(members)), tuple[str, ...]()
        chosen = members[:k]
        if 0 < k < len(members):
            picks, notes = self._choose(candidates, members, request.known, k, progress)
            chosen = members[picks]
        index = np.concatenate((chosen, by_hash(candidates, ~request.distinct)[: n - k]))
        return request.answer(
            index,
            method="direct",
            recipe={"method": "direct", "threshold": self.threshold, "per_cluster": self.per_cluster},
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
            nested=False,
        )

    def _choose(
        self, table: Features, members: Indices, known: Features | None, k: int, progress: Progress
    ) -> tuple[Indices, tuple[str, ...]]:
        components = Components.of(table, members)
        z = np.vstack([components(points_at(table, some)) for some in _tiles(members)])
        progress("select", 1, 3)
        there = np.empty((0, z.shape[1]))
        if known is not None:
            order = by_hash(known, np.ones(len(known), bool))
            there = np.vstack([components(points_at(known, some)) for some in _tiles(order)])
        wanted = -(-k // self.per_cluster)
        tree = _subclusters(np.vstack((z, there)), len(z), self.threshold, wanted)
        progress("select", 2, 3)
        label = _joined(tree.centres, tree.label[len(z) :], wanted)[tree.label]
        picks = _dealt(z, label[: len(z)], np.unique(label[len(z) :]), k, self.per_cluster)
        progress("select", 3, 3)
        held = len(np.unique(label[len(z) :]))
        free = len(np.unique(label)) - held
        beside = f", beside {held} that hold a known structure" if len(there) else ""
        return picks, (
            f"{z.shape[1]} principal components explain {components.explained:.1%} of the variance",
            f"{free} clusters{beside}, joined from {len(tree.centres)} of BIRCH at a threshold of {tree.threshold:.4g}",
        )


@dataclass(frozen=True, eq=False)
class Components:
    """Weighted principal components of standardised features.

    Parameters
    ----------
    mean : (features,) array
    map : (features, components) array
        From what is left of a point without the mean to its components.
    explained : float
        Share of the variance that they explain.
    """

    mean: Vector
    map: Matrix
    explained: float

    @classmethod
    def of(cls, table: Features, members: Indices) -> Components:
        """Those of variance above 1, from one pass over the members."""
        n, d = len(members), table.n_features
        shift = points_at(table, members[:_TILE]).mean(axis=0)
        total, moment, largest = np.zeros(d), np.zeros((d, d)), np.abs(shift)
        for some in _tiles(members):
            x = points_at(table, some) - shift
            total += x.sum(axis=0)
            moment += x.T @ x
            largest = np.maximum(largest, np.abs(x).max(axis=0))
        mean = total / n
        covariance = moment / n - np.outer(mean, mean)
        deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        varies = deviation > _FLAT * largest
        inverse = np.divide(1.0, deviation, out=np.zeros(d), where=varies)
        if not varies.any():
            return cls(mean + shift, np.zeros((d, 1)), 1.0)
        values, vectors = np.linalg.eigh(covariance * inverse[:, None] * inverse)
        values, vectors = values[::-1], vectors[:, ::-1]
        kept = max(1, int(np.count_nonzero(values * n / max(1, n - 1) > 1.0)))
        share = values[:kept] / values.sum()
        return cls(mean + shift, inverse[:, None] * vectors[:, :kept] * share, float(share.sum()))

    def __call__(self, x: Matrix) -> Matrix:
        """Components of some points."""
        return (x - self.mean) @ self.map


@dataclass(frozen=True, eq=False)
class _Subclusters:
    """What BIRCH has found: centres, and the number of each point's subcluster."""

    centres: Matrix
    label: Indices
    threshold: float


def _subclusters(z: Matrix, n: int, threshold: float, wanted: int) -> _Subclusters:
    """Enough subclusters, if there are so many different points, and not too many.

    Parameters
    ----------
    z : (points, components) array
        Of ``n`` candidates, then of known structures.
    n : int
    threshold : float
        To begin with.
    wanted : int
        Subclusters that should hold no known structure.
    """
    from sklearn import cluster

    Birch: Any = cluster.Birch
    found, many = _Subclusters(np.empty((0, 0)), np.empty(0, np.int64), threshold), max(_MOST, 2 * wanted)
    least, shrunk = 1e-12 * float(np.abs(z).max()) + 1e-300, False
    for step in range(_TRIES):
        birch = Birch(threshold=threshold, n_clusters=None).fit(z)
        label = np.asarray(birch.labels_, np.int64)
        found = _Subclusters(np.asarray(birch.subcluster_centers_, np.float64), label, threshold)
        free = len(np.setdiff1d(label[:n], label[n:]))
        if free < wanted:
            if threshold <= least:
                break
            factor = max(free, 0.5) / wanted
            threshold = max(least, threshold * (factor if step < _GENTLE else min(factor, 0.9)))
            shrunk = True
        elif len(found.centres) > many and not shrunk:
            threshold *= 2.0
        else:
            break
    return found


def _joined(centres: Matrix, held: Indices, wanted: int) -> Indices:
    """Cluster of each subcluster: Ward's method, until only ``wanted`` clusters hold no known structure."""
    from scipy.cluster import hierarchy

    scipy: Any = hierarchy
    m = len(centres)
    owner, known = list(range(m)), [False] * m
    for s in np.unique(held).tolist():
        known[s] = True
    free = m - sum(known)
    if m > 1 and free > wanted:
        merges: list[list[int]] = scipy.linkage(centres, "ward")[:, :2].astype(np.int64).tolist()
        for a, b in merges:
            if free == wanted:
                break
            free -= not (known[a] and known[b])  # two become one, or one is no longer free
            known.append(known[a] or known[b])
            owner.append(len(owner))
            owner[a] = owner[b] = len(owner) - 1
    for s in range(len(owner) - 1, -1, -1):  # later clusters hold earlier ones
        owner[s] = owner[owner[s]]
    return np.unique(np.array(owner[:m]), return_inverse=True)[1].astype(np.int64)


def _dealt(z: Matrix, label: Indices, held: Indices, n: int, per_cluster: int) -> Indices:
    """Picks, cluster by cluster: quotas in rounds, to large clusters first, then members at intervals of rank."""
    clusters = [np.flatnonzero(label == c) for c in np.unique(label)]
    is_held = np.isin(np.unique(label), held)
    order = sorted(range(len(clusters)), key=lambda c: (bool(is_held[c]), -len(clusters[c]), clusters[c][0]))
    quota = [0] * len(clusters)
    for some in ([c for c in order if not is_held[c]], [c for c in order if is_held[c]]):
        while sum(quota) < n and any(quota[c] < len(clusters[c]) for c in some):
            for c in some:
                take = min(per_cluster, len(clusters[c]) - quota[c], n - sum(quota))
                quota[c] += take
    picks = [np.empty(0, np.int64)]
    for c in order:
        x = z[clusters[c]]
        away = np.square(x - x.mean(axis=0)).sum(axis=1)
        ranked = clusters[c][
            np.argsort(away.astype(np.float32), kind="stable")
        ]  # two members are equally far
        picks.append(ranked[np.linspace(0, len(ranked) - 1, quota[c]).astype(np.int64)])
    return np.concatenate(picks)


def _tiles(members: Indices) -> Iterator[Indices]:
    for start in range(0, len(members), _TILE):
        yield members[start : start + _TILE]


CATALOGUE = {
    "direct": Method(
        DIRECT,
        "DIRECT: standardise, principal components, BIRCH clusters, the members nearest to their centroids",
        "N d² flops, N log N in m components, and 10,000² for Ward's method",
        "8 N m bytes and 400 MB for Ward's method",
        ("doi:10.1038/s41524-024-01227-4", "doi:10.1145/235968.233324"),
    ),
}
