r"""Rows that carry most of the k leading directions of the table: CUR by leverage scores.

With the singular value decomposition :math:`Z = U \Sigma V^\top` of the rows in smoothness-scaled coordinates, the
rank-k leverage score of row i is :math:`\ell_i = \sum_{m \le k} U_{im}^2`. k must be smaller than the rank: with all
directions, a square table gives every row the score 1, and the choice would be arbitrary (a published trap).

- ``removal``: the row of the largest score is chosen, its direction is taken out of all rows, and the scores are
  computed again; what is alike is not taken twice. With k = 1, the default here, this is the CUR of scikit-matter, and
  chooses the same rows. When nothing is left, it begins anew with the rows not yet chosen.
- ``top``: the n largest scores, once. Nothing forbids alike structures.
- ``sampled``: n different rows drawn one after another in proportion to their scores.

A candidate of several rows is one row, the mean of its observable rows (``level="structure"``), or all of its
environments (its energy rows, or all rows, that is atoms, where it has none), whose scores are added up or of which
the largest counts (``level="atom"``, ``aggregate``); its choice then removes the direction of the environment of the
largest score: the span of all of them is often everything.

With known structures, rows are first whitened by what a linear model knows of them
(:math:`z = x R^{-1}`, :math:`R^\top R = \lambda I + \sum_{known} w^2 x x^\top`): directions that are known weigh
little.

Cost of ``removal``: a product of the table with k vectors for each pick, and work on d × d numbers
(:mod:`aliquot.information.leading`), where the table itself was decomposed before.

References
----------
M. W. Mahoney and P. Drineas, Proc. Natl. Acad. Sci. 106, 697 (2009), doi:10.1073/pnas.0803205106
G. Imbalzano, A. Anelli, D. Giofré, S. Klees, J. Behler and M. Ceriotti, J. Chem. Phys. 148, 241730 (2018),
doi:10.1063/1.5024611
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

from aliquot.errors import SelectionError
from aliquot.information import Posterior, default_precision, gather
from aliquot.information.environments import environments
from aliquot.information.leading import Remaining
from aliquot.information.spectrum import SMALLEST, triangle_of
from aliquot.progress import Progress, silent
from aliquot.selection.greedy import TIE
from aliquot.selection.method import Method
from aliquot.selection.points import by_hash, points_at
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import TILE_ROWS, Features

__all__ = ["CATALOGUE", "CUR"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Indices = NDArray[np.int64]

_REFERENCES = (
    "M. W. Mahoney and P. Drineas, Proc. Natl. Acad. Sci. 106, 697 (2009), doi:10.1073/pnas.0803205106",
    "G. Imbalzano et al., J. Chem. Phys. 148, 241730 (2018), doi:10.1063/1.5024611",
)

_CHOICES = {
    "variant": ("removal", "top", "sampled"),
    "level": ("structure", "atom"),
    "aggregate": ("sum", "max"),
}

_SHARE = 0.99  # of the sum of squares, that k directions must hold where k is not given
_SMALL = 1 << 24  # entries of a table below which threads of BLAS cost more than they bring


@dataclass(frozen=True)
class CUR:
    """Selection by rank-k leverage scores.

    Parameters
    ----------
    variant : {"removal", "top", "sampled"}
    rank : int, optional
        k, smaller than the rank of the table. By default 1 for ``removal``, and for the others the smallest that
        holds 99 % of the sum of squares of the table.
    level : {"structure", "atom"}
    aggregate : {"sum", "max"}
        How the scores of the environments of a candidate become its own.
    """

    variant: str = "removal"
    rank: int | None = None
    level: str = "structure"
    aggregate: str = "sum"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise SelectionError(
                    f"{name} {value!r} of cur is not known; choose one of {', '.join(choices)}"
                )
        if self.rank is not None and not (int(self.rank) == self.rank and self.rank >= 1):
            raise SelectionError(f"the rank of cur must be a whole number from 1 on; got {self.rank}")

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
        """Choose ``n`` candidates; see :class:`aliquot.selection.Selector`. Only ``sampled`` uses ``rng``.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.array([[3.0, 0.0], [3.0, 0.1], [0.0, 1.0]]))
        >>> CUR().select(pool, 2, rng=np.random.default_rng(0)).index.tolist()
        [1, 2]
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        members = by_hash(candidates, request.distinct)
        first = min(n, len(members))
        some, score, notes, k = np.empty(0, np.int64), np.empty(0), (), self.rank
        if first:
            rows = _Rows.of(request, members, self.level, self.aggregate)
            k, said = self._directions(rows)
            if self.variant == "removal":
                some, score, more = _by_removal(rows, first, k, progress)
            else:
                some, score, more = _at_once(rows, first, k, rng if self.variant == "sampled" else None)
            notes = (said, *more)
        repeated = by_hash(candidates, ~request.distinct)[: n - first]
        return request.answer(
            np.concatenate((members[some], repeated)),
            method="cur",
            recipe={
                "method": "cur",
                "variant": self.variant,
                "rank": None if k is None else int(k),
                "level": self.level,
                "aggregate": self.aggregate,
            },
            gain=np.concatenate((score, np.zeros(n - first))),
            gain_unit="leverage",
            nested=self.variant != "sampled",
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=notes,
        )

    def _directions(self, rows: _Rows) -> tuple[int, str]:
        """k, and what to say about it."""
        s = np.linalg.svd(rows.triangle, compute_uv=False)
        rank = int(np.sum(s > SMALLEST * s.max(initial=0.0)))
        if self.rank is not None and self.rank >= max(2, rank):
            raise SelectionError(
                f"cur was asked for leverage scores of rank {self.rank}, but the table has rank {rank}; with all"
                " directions the scores say little or nothing: lower the rank"
            )
        share = np.cumsum(np.square(s)) / max(float(np.square(s).sum()), 1e-300)
        if self.rank is not None:
            k = int(self.rank)
        elif self.variant == "removal":
            k = 1
        else:
            k = max(1, min(int(np.searchsorted(share, _SHARE)) + 1, rank - 1))
        held = 100 * float(share[min(k, len(share)) - 1]) if len(share) else 0.0
        return (
            k,
            f"leverage scores of rank {k} of {rank}: {k} directions hold {held:.4g} % of the sum of squares",
        )


@dataclass(frozen=True, eq=False)
class _Rows:
    """The table in memory: rows of the members in the order of their hashes, and whose they are."""

    z: Matrix
    offsets: Indices
    largest: bool
    triangle: Matrix

    @classmethod
    def of(cls, request: Request, members: Indices, level: str, aggregate: str) -> _Rows:
        table = request.candidates
        if level == "structure" or table.single_rows:
            z, offsets = points_at(table, members), np.arange(len(members) + 1)
        else:
            parts = [
                environments(gather(table, members[a : a + TILE_ROWS // 8]))
                for a in range(0, len(members), TILE_ROWS // 8)
            ]
            z = np.concatenate([x for x, _ in parts])
            lengths = np.concatenate([np.diff(offsets) for _, offsets in parts])
            offsets = np.concatenate(([0], np.cumsum(lengths)))
        if request.known is not None:
            posterior = Posterior(np.full(table.n_features, default_precision(table)))
            for some, _ in request.known.tiles():
                posterior.absorb(gather(request.known, some).weighted)
            z = posterior.whiten(z)
        return cls(z, offsets, aggregate == "max", triangle_of(z.__getitem__, len(z)))

    def scores(self, values: Vector, directions: Matrix) -> tuple[Vector, Vector]:
        """Leverage of each candidate, and of each row, on some directions."""
        if len(values) == 1:
            each = np.square(self.z @ directions[:, 0]) / values[0]
        else:
            each = np.square(self.z @ (directions / np.sqrt(values))).sum(axis=1)
        if len(self.offsets) == len(each) + 1:
            return each, each
        total = np.maximum if self.largest else np.add
        return total.reduceat(each, self.offsets[:-1]), each


def _by_removal(rows: _Rows, n: int, k: int, progress: Progress) -> tuple[Indices, Vector, tuple[str, ...]]:
    """One after another, each taken out of what is left."""
    left = Remaining(rows.triangle)
    index, score = np.empty(n, np.int64), np.zeros(n)
    open_ = np.ones(len(rows.offsets) - 1, bool)
    anew = list[int]()
    with threadpool_limits(1, user_api="blas") if rows.z.size < _SMALL else nullcontext():
        for t in range(n):
            values, directions = left.leading(k)
            if len(values) == 0 and t and (not anew or anew[-1] < t):
                anew.append(t)
                rest = rows.z[np.repeat(open_, np.diff(rows.offsets))]
                left = Remaining(triangle_of(rest.__getitem__, len(rest)))
                values, directions = left.leading(k)
            if len(values) == 0:  # nothing but zeros
                index[t:] = np.flatnonzero(open_)[: n - t]
                break
            own, by_row = rows.scores(values, directions)
            each = np.where(open_, own, -1.0)
            best = float(each.max())
            pick = int(np.argmax(each >= best * (1.0 - TIE)))
            index[t], score[t] = pick, max(best, 0.0)
            open_[pick] = False
            row = int(rows.offsets[pick]) + int(
                np.argmax(by_row[rows.offsets[pick] : rows.offsets[pick + 1]])
            )
            left.remove(rows.z[row : row + 1])
            progress("select", t + 1, n)
    if not anew:
        return index, score, ()
    return (
        index,
        score,
        (
            f"after {anew[0]} picks nothing was left in any direction: the removal began anew {len(anew)} times,"
            " with the candidates not yet chosen",
        ),
    )


def _at_once(
    rows: _Rows, n: int, k: int, rng: np.random.Generator | None
) -> tuple[Indices, Vector, tuple[str, ...]]:
    """The n largest scores, or n drawn in proportion to them."""
    values, directions = Remaining(rows.triangle).leading(k)
    each = rows.scores(values, directions)[0] if len(values) else np.zeros(len(rows.offsets) - 1)
    top = float(each.max())
    if rng is None or top == 0.0:
        order = np.lexsort((np.arange(len(each)), -np.round(each / (top or 1.0), 10)))[:n]
        return order, each[order], ()
    return drawn(each, n, rng)


def drawn(weight: Vector, n: int, rng: np.random.Generator) -> tuple[Indices, Vector, tuple[str, ...]]:
    """Different positions, n, one after another in proportion to their weights; those without come last, uniformly."""
    some = np.flatnonzero(weight > 0.0)
    m = min(n, len(some))
    share = weight[some] / weight.max(initial=1e-300)
    index = rng.choice(some, m, replace=False, p=share / share.sum()) if m else some
    if m == n:
        return index, weight[index], ()
    rest = rng.permutation(np.flatnonzero(~(weight > 0.0)))[: n - m]
    index = np.concatenate((index, rest))
    return index, weight[index], (f"only {m} candidates have a score: {n - m} others were drawn uniformly",)


CATALOGUE = {
    "cur": Method(
        CUR,
        "leverage on the leading directions of the pool: one by one with removal, the top, or sampled",
        "2 N d² flops, and 2 N d k a pick with removal",
        "8 N d bytes",
        ("doi:10.1073/pnas.0803205106", "doi:10.1063/1.5024611"),
        gives=("nested",),
    ),
}
