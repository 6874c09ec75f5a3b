r"""Rows of the largest determinant: the active set in terms of which all others have small coefficients.

The *environments* of a candidate are its energy rows, or all of its rows (its atoms) where it has none, in
smoothness-scaled coordinates; noise weights play no part. What is chosen depends on how many there are:

- **As many as the rank, or blocks of atoms.** Square MaxVol over all environments
  (:mod:`aliquot.information.volume`): no coefficient of any environment in terms of the r pivots exceeds the
  tolerance. Structures are ranked by how many pivots they hold, equals by the information they add.
- **More.** Rectangular MaxVol goes on with the environment of the longest coefficients,
  :math:`\arg\max_i c_i (\sum_{j \in S} c_j^\top c_j)^{-1} c_i^\top`, until exactly n structures hold a pivot. With a
  structure, all of its environments enter the sum: all will be labelled.
- **Fewer, of one environment each.** n rows span no square block. The volume is then that of the box they span
  (:mod:`aliquot.information.exchanges`): greedy, then exchanges until none enlarges it by more than the tolerance.

Environments of known structures are in the block at the beginning, as far as they are independent, and leave it only
where another enlarges it by more than the tolerance; all known ones count before rectangular MaxVol goes on. Only
directions above rounding count: singular values of at least ``resolution`` of the largest.

The published selections by MaxVol rank structures in the same way but need as many environments as features, and take
the leading structures of equals as they come; here equals are ordered by log-det gain.

References
----------
S. A. Goreinov, I. V. Oseledets, D. V. Savostyanov, E. E. Tyrtyshnikov and N. L. Zamarashkin, in Matrix Methods: Theory,
Algorithms and Applications, 247 (2010), doi:10.1142/9789812836021_0015
A. Mikhalev and I. V. Oseledets, Linear Algebra Appl. 538, 187 (2018), doi:10.1016/j.laa.2017.10.014
E. V. Podryabinkin and A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017), doi:10.1016/j.commatsci.2017.08.031
Y. Lysogorskiy, A. Bochkarev, M. Mrovec and R. Drautz, Phys. Rev. Mater. 7, 043801 (2023),
doi:10.1103/PhysRevMaterials.7.043801
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import Blocks, Energy, Entropy, Posterior, WeightedSum, default_precision, gather
from aliquot.information.exchanges import exchange
from aliquot.information.volume import TOLERANCE, Volume, independent, maxvol, row_space
from aliquot.progress import Progress, silent
from aliquot.selection.greedy import greedy
from aliquot.selection.method import Method
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import IN_MEMORY, Features

__all__ = ["CATALOGUE", "MaxVol"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Indices = NDArray[np.int64]

_REFERENCES = (
    "S. A. Goreinov et al., in Matrix Methods: Theory, Algorithms and Applications, 247 (2010),"
    " doi:10.1142/9789812836021_0015",
    "A. Mikhalev and I. V. Oseledets, Linear Algebra Appl. 538, 187 (2018), doi:10.1016/j.laa.2017.10.014",
    "E. V. Podryabinkin and A. V. Shapeev, Comput. Mater. Sci. 140, 171 (2017),"
    " doi:10.1016/j.commatsci.2017.08.031",
    "Y. Lysogorskiy et al., Phys. Rev. Mater. 7, 043801 (2023), doi:10.1103/PhysRevMaterials.7.043801",
)

_NOTHING = 1e-9  # a prior beside a block of unit vectors
_RESOLUTION = {"float64": 1e-11, "float32": 1e-6}  # what rounding of the rows themselves leaves


@dataclass(frozen=True)
class MaxVol:
    """Structures that hold the rows of locally maximal volume.

    Parameters
    ----------
    tolerance : float
        Swaps are made while one enlarges the volume by more than this factor; at least 1.
    resolution : float, optional
        Directions of singular values below this fraction of the largest do not count; 10⁻¹¹ by default, and 10⁻⁶ for
        features in single precision.
    """

    tolerance: float = TOLERANCE
    resolution: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tolerance) and self.tolerance >= 1.0):
            raise SelectionError(f"the tolerance of maxvol must be at least 1; got {self.tolerance}")
        if self.resolution is not None and not 0.0 < self.resolution < 1.0:
            raise SelectionError(f"the resolution of maxvol must be between 0 and 1; got {self.resolution}")

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
        >>> pool = Features.from_array(np.array([[3.0, 0.0], [3.0, 0.1], [0.0, 1.0]]))
        >>> MaxVol().select(pool, 2, rng=np.random.default_rng(0)).index.tolist()
        [1, 2]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        resolution = self.resolution or _RESOLUTION[str(candidates.rows.dtype)]
        members = np.flatnonzero(request.distinct)
        first = min(n, len(members))
        picks, gain, notes = np.empty(0, np.int64), np.empty(0), ()
        if first:
            search = _Search(request, members, self.tolerance, resolution, progress)
            count, notes = search.counts(first)
            picks, gain = _ranked(request, count, first)
        repeated = np.flatnonzero(~request.distinct)
        repeated = repeated[np.argsort(candidates.ids.hash[repeated], kind="stable")][: n - first]
        return request.answer(
            np.concatenate((picks, repeated)),
            method="maxvol",
            recipe={"method": "maxvol", "tolerance": self.tolerance, "resolution": resolution},
            gain=np.concatenate((gain, np.zeros(n - first))),
            gain_unit="nat",
            nested=False,
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
        )


class _Environments:
    """The environments of some candidates by number: rows, and whose they are."""

    def __init__(self, table: Features, members: Indices) -> None:
        self.table = table
        observed = Blocks(np.empty((len(table.rows), 0)), table.weight, table.kind, table.offsets).observed
        owner = np.repeat(np.arange(len(table)), np.diff(table.offsets))
        mine = np.zeros(len(table), bool)
        mine[members] = True
        self.position = np.flatnonzero(observed & mine[owner])
        if (
            8 * len(table.rows) * table.n_features <= IN_MEMORY
        ):  # on disk, the order of the hashes would be slow
            self.position = self.position[np.argsort(table.ids.hash[owner[self.position]], kind="stable")]
        self.owner = owner[self.position]

    def __len__(self) -> int:
        return len(self.position)

    def __call__(self, some: Any) -> Matrix:
        """Rows by slice or positions, scaled, float64."""
        x = np.asarray(self.table.rows[self.position[some]])
        return np.divide(x, self.table.prior, dtype=np.float64)


class _Joined:
    """Known environments, then those of the candidates; a table that makes rows when they are asked for.

    With ``inverse`` it is the table of their coefficients, which the greedy engine reads like any other.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, known: Matrix, pool: _Environments, inverse: Matrix | None = None) -> None:
        self.known, self.pool, self.inverse = known, pool, inverse
        self.shape = (len(known) + len(pool), known.shape[1] if inverse is None else inverse.shape[1])
        self.ndim = 2

    def __call__(self, some: Any) -> Matrix:
        k = len(self.known)
        if isinstance(some, slice):
            a, b, _ = some.indices(self.shape[0])
            parts = (self.known[min(a, k) : min(b, k)], self.pool(slice(max(a - k, 0), max(b - k, 0))))
            x = parts[1] if len(parts[0]) == 0 else np.concatenate(parts)
        else:
            some = np.asarray(some)
            if k == 0:
                x = self.pool(some)
            else:
                x = np.empty((len(some), self.known.shape[1]))
                old = some < k
                x[old], x[~old] = self.known[some[old]], self.pool(some[~old] - k)
        return x if self.inverse is None else x @ self.inverse

    __getitem__ = __call__


class _Search:
    """How many pivots each candidate holds."""

    def __init__(
        self, request: Request, members: Indices, tolerance: float, resolution: float, progress: Progress
    ) -> None:
        self.table, self.members = request.candidates, members
        self.tolerance, self.resolution, self.progress = tolerance, resolution, progress
        self.pool = _Environments(request.candidates, members)
        old = request.known
        every = None if old is None else _Environments(old, np.arange(len(old)))
        known = np.empty((0, self.table.n_features)) if every is None else every(slice(0, len(every)))
        self.rows = _Joined(known, self.pool)
        self.n_known, self.n = len(known), len(known) + len(self.pool)

    def counts(self, n: int) -> tuple[Indices, tuple[str, ...]]:
        """Pivots of each candidate, at least one of at least ``n`` of them; and what to say."""
        d = self.table.n_features
        if len(self.pool) == len(self.members) and n < min(d, self.n):
            rank = row_space(self.rows, self.n, resolution=self.resolution).shape[1]
            if n + len(independent(self.rows.known)) < rank:
                return self._box(n, rank)
        hold = max(1 << 26, min(IN_MEMORY << 1, self.n * d * self.table.rows.dtype.itemsize))
        volume = maxvol(
            self.rows,
            self.n,
            start=np.arange(self.n_known),
            tolerance=self.tolerance,
            resolution=self.resolution,
            hold=hold,
            progress=self.progress,
        )
        count = self._held(volume.pivots)
        said = [self._rank_words(volume.rank), self._pivot_words(volume, count)]
        if (held := int(np.count_nonzero(count))) < n:
            count[self._further(volume, n, count)] = 1
            said.append(
                f"{held} candidates hold pivots of the square block: rectangular MaxVol went on to {n} candidates"
            )
        return count, tuple(said)

    def _held(self, chosen: Indices) -> Indices:
        """How many of these environments each candidate holds."""
        mine = chosen[chosen >= self.n_known] - self.n_known
        return np.bincount(self.pool.owner[mine], minlength=len(self.table))

    def _box(self, n: int, rank: int) -> tuple[Indices, tuple[str, ...]]:
        """Fewer rows than the rank: greedy, then exchanges."""
        start = independent(self.rows.known)
        table = self._singles(self.rows)
        scale = self.resolution * max(float(np.abs(self.rows(s)).max()) for s, _ in table.tiles())
        energy = Energy(Posterior(np.full(self.table.n_features, max(scale, 1e-150) ** 2)))
        if self.n_known:
            energy.absorb(gather(table, np.arange(self.n_known)))
        new = np.arange(self.n) >= self.n_known
        trace = greedy(energy, table, n, allowed=new, progress=self.progress)
        found = exchange(
            self.rows,
            self.n,
            np.concatenate((start, trace.index)),
            ridge=0.0,
            tolerance=self.tolerance**2,
            order=np.arange(self.n),
            progress=self.progress,
        )
        picks = found.picks[found.picks >= self.n_known]
        if len(picks) < n:  # known rows came back into the block: go on greedily
            energy.absorb(gather(table, picks))
            new[picks] = False
            picks = np.concatenate((picks, greedy(energy, table, n - len(picks), allowed=new).index))
        said = (
            f"{n} rows cannot span the {rank} directions of the pool: their volume is that of the box they span"
            f" with {len(start)} independent known ones; {found.exchanges} exchanges enlarged it"
            f" by {0.5 * found.log_det:.4g} nat over greedy"
        )
        return self._held(picks), (self._rank_words(rank), said)

    def _further(self, volume: Volume, n: int, count: Indices) -> Indices:
        """Rectangular MaxVol: candidates that bring further environments, until ``n`` hold one."""
        start = np.flatnonzero(
            np.diff(self.pool.owner, prepend=-1)
        )  # environments of a candidate are neighbours
        owner = self.pool.owner[start]
        has = count[owner] > 0
        lacking = n - int(has.sum())
        if volume.rank == 0:  # nothing but zeros
            return owner[~has][:lacking]
        coefficients = _Joined(self.rows.known[:0], self.pool, volume.inverse)
        table = Features.from_array(
            cast(Any, coefficients),
            kind="force",  # rows of which the score below takes the largest
            offsets=np.concatenate((start, [len(self.pool)])),
            ids=self.table.ids[owner],
        )
        longest = WeightedSum(Posterior(np.full(volume.rank, _NOTHING)), (("force-max", 1.0),))
        longest.posterior.absorb(self.rows.known @ volume.inverse)
        for i in np.flatnonzero(has):
            longest.absorb(gather(table, slice(int(i), int(i) + 1)))
        return owner[greedy(longest, table, lacking, allowed=~has, progress=self.progress).index]

    def _singles(self, rows: Any) -> Features:
        """Environments as candidates of one row each."""
        ids = self.table.ids[np.concatenate((np.zeros(self.n_known, np.int64), self.pool.owner))]
        return Features.from_array(rows, ids=ids)

    def _rank_words(self, rank: int) -> str:
        return (
            f"the features have {rank} of {self.table.n_features} directions above {self.resolution:g} of the"
            " largest singular value; the others are rounding and do not count"
            if rank < self.table.n_features
            else f"the features are of full rank, {rank}"
        )

    def _pivot_words(self, volume: Volume, count: Indices) -> str:
        stayed = int(np.sum(volume.pivots < self.n_known))
        known = f", and {stayed} are known environments" if self.n_known else ""
        return (
            f"{int(count.sum())} of the {volume.rank} pivots are environments of"
            f" {int(np.count_nonzero(count))} candidates{known}; {volume.swaps} swaps,"
            f" {volume.passes} passes over the pool"
        )


def _ranked(request: Request, count: Indices, n: int) -> tuple[Indices, Vector]:
    """The candidates of most pivots, equals by log-det gain given all before; and these gains."""
    pool = request.candidates
    entropy = Entropy(Posterior(np.full(pool.n_features, default_precision(pool))))
    if request.known is not None:
        for some, _ in request.known.tiles():
            entropy.absorb(gather(request.known, some))
    index, gain = [np.empty(0, np.int64)], [np.empty(0)]
    for c in np.unique(count[count > 0])[::-1]:
        equal = np.flatnonzero(count == c)
        lacking = n - sum(len(i) for i in index)
        trace = greedy(entropy, pool[equal], min(lacking, len(equal)))
        index.append(equal[trace.index])
        gain.append(trace.gain)
    return np.concatenate(index), np.concatenate(gain)


CATALOGUE = {
    "maxvol": Method(
        MaxVol,
        "largest determinant: the active set of which all others are short combinations",
        "2 N d² flops and 2 N d a swap, for N rows (atoms); more than d picks: 2 N d² and as bayes",
        "8 N d bytes, at most 2 GB",
        (
            "doi:10.1142/9789812836021_0015",
            "doi:10.1016/j.laa.2017.10.014",
            "doi:10.1103/PhysRevMaterials.7.043801",
        ),
    ),
}
