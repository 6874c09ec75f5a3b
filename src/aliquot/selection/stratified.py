r"""Does every group get its share? Quotas by group, and chance within.

With :math:`N_g` new candidates in group g and n picks, the share of g is

.. math:: s_g = \mathrm{clip}\big(c\, N_g - K_g,\; l_g,\; N_g\big), \qquad \sum_g s_g = n,

which is :math:`n N_g / N` where nothing is clipped. Whole quotas follow by largest remainders (Hamilton): the integer
part of each share, and one more for those with the largest fractions, equal fractions in the order of the names of
their groups. :math:`l_g` is 1 where there are at least as many picks as groups, else 0: then the smallest groups may
get none. :math:`K_g`, the known structures of the group, is 0 unless they are asked to count: then known structures
and picks together have the shares of the pool, as far as picks alone can bring that about, and a group of which some
are known needs none.

Within a group candidates are drawn uniformly without replacement; picks are in random order, so that no prefix prefers
a group. Largest remainders are not nested: one more pick can cost a group one of its own.

References
----------
M. L. Balinski and H. P. Young, Fair Representation (Yale University Press, 1982)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.progress import Progress, silent
from aliquot.selection.method import Method
from aliquot.selection.points import by_hash
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "Stratified", "shares"]

_REFERENCES: Final = ("M. L. Balinski and H. P. Young, Fair Representation (Yale University Press, 1982)",)

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Stratified:
    """A random choice with a quota for every group.

    Parameters
    ----------
    labels : (candidates,) array of str, optional
        Group of each candidate; by default the file it comes from. On the command line the key of ``--group-by``.
    known_labels : (known,) array of str, optional
        Groups of the known structures, where these count.
    count_known : bool
        Whether known structures count towards the quotas.
    """

    labels: Sequence[str] | NDArray[np.str_] | None = None
    known_labels: Sequence[str] | NDArray[np.str_] | None = None
    count_known: bool = False

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
        """Draw ``n`` candidates; see :class:`aliquot.selection.Selector`.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.eye(6))
        >>> labels = np.array(["bulk"] * 4 + ["slab"] * 2)
        >>> chosen = Stratified(labels).select(pool, 3, rng=np.random.default_rng(0))
        >>> chosen.recipe["quotas"]
        {'bulk': 2, 'slab': 1}
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        labels = _labels("candidates", self.labels, candidates)
        names, codes = np.unique(labels, return_inverse=True)
        room = np.bincount(codes[request.distinct], minlength=len(names))
        there = self._counted(request, names)
        quota = shares(room, min(n, int(room.sum())), there=there)
        index = np.concatenate((self._draw(request, codes, quota, rng), _others(request, rng)))
        progress("select", n, n)
        return request.answer(
            index,
            method="stratified",
            recipe={
                "method": "stratified",
                "quotas": dict(zip(map(str, names), quota.tolist(), strict=True)),
                "groups": "files" if self.labels is None else "given",
                "count_known": self.count_known,
            },
            timings={"select": perf_counter() - start},
            references=_REFERENCES,
            notes=_notes(names, room, quota, there, by_file=self.labels is None),
            nested=False,
        )

    def _counted(self, request: Request, names: NDArray[np.str_]) -> Indices:
        """Known structures of each group, where they count."""
        if not self.count_known or request.known is None:
            return np.zeros(len(names), np.int64)
        if self.labels is not None and self.known_labels is None:
            raise SelectionError(
                f"{len(request.known)} known structures are to count, but known_labels, which say what group each is"
                " of, are not given"
            )
        of = _labels("known structures", self.known_labels, request.known)
        return np.array([np.count_nonzero(of == name) for name in names], np.int64)

    def _draw(self, request: Request, codes: Indices, quota: Indices, rng: np.random.Generator) -> Indices:
        """So many of each group, at random and in random order."""
        members = by_hash(request.candidates, request.distinct)
        drawn = [
            rng.choice(members[codes[members] == g], int(k), replace=False)
            for g, k in enumerate(quota.tolist())
            if k
        ]
        return rng.permutation(np.concatenate((np.empty(0, np.int64), *drawn)))


def _labels(what: str, given: Sequence[str] | NDArray[np.str_] | None, table: Features) -> NDArray[np.str_]:
    """A group for each structure of a table, checked; by default its file."""
    if given is None:
        return np.array(table.ids.files or ("",))[table.ids.file]
    labels = np.asarray(given, np.str_)
    if labels.shape != (len(table),):
        raise SelectionError(
            f"{len(table)} {what} need one label each, which says what group they are of; got shape {labels.shape}"
        )
    return labels


def _others(request: Request, rng: np.random.Generator) -> Indices:
    """Repetitions, where all that is new is not enough."""
    extra = request.n - min(request.n, int(request.distinct.sum()))
    return rng.permutation(by_hash(request.candidates, ~request.distinct))[:extra]


def shares(room: Indices, n: int, *, there: Indices) -> Indices:
    """How many of the n go to each group.

    Parameters
    ----------
    room : (groups,) array of int
        Candidates of each group.
    n : int
        At most as many as there is room for.
    there : (groups,) array of int
        Structures that each group has already.

    Examples
    --------
    >>> shares(np.array([60, 30, 1]), 9, there=np.array([0, 0, 0])).tolist()
    [5, 3, 1]
    >>> shares(np.array([60, 30, 10]), 10, there=np.array([6, 0, 0])).tolist()
    [4, 5, 1]
    """
    needy = (room > 0) & (there == 0)
    least = needy.astype(np.float64) * (n >= np.count_nonzero(needy))
    low, high = 0.0, float(np.max((room + there) / np.maximum(room, 1), initial=0.0))
    for _ in range(200):  # the sum of shares grows with c
        c = 0.5 * (low + high)
        share = np.clip(c * room - there, least, room)
        low, high = (c, high) if share.sum() < n else (low, c)
    share = np.clip(high * room - there, least, room)
    quota = np.floor(share + 1e-9).astype(np.int64)
    fraction = np.round(share - quota, 9)
    for g in np.argsort(-fraction, kind="stable")[: max(0, n - int(quota.sum()))]:
        quota[g] += 1
    return quota


def _notes(
    names: NDArray[np.str_], room: Indices, quota: Indices, there: Indices, *, by_file: bool
) -> tuple[str, ...]:
    what = "the groups are the files of the candidates; " if by_file else ""
    said = ", ".join(
        f"{name or '(none)'} {k}" for name, k in list(zip(map(str, names), quota, strict=True))[:20]
    )
    notes = [f"{what}quotas: {said}{', …' if len(names) > 20 else ''}"] if len(names) else []
    left = [str(name) or "(none)" for name in names[(quota == 0) & (there == 0) & (room > 0)]]
    if left and quota.sum():
        some = ", ".join(left[:5]) + (", …" if len(left) > 5 else "")
        notes.append(f"too few picks for all groups: none of {some} ({len(left)} of {len(names)} groups)")
    return tuple(notes)


CATALOGUE: Mapping[str, Method] = {
    "stratified": Method(
        Stratified,
        "at random, with a quota for every group: its share of the pool, at least one",
        "N",
        "a label a candidate",
        (),
    ),
}
