"""Which kernel a determinantal point process uses on a pool: hyper-parameters, checked, and what they make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aliquot.errors import SelectionError
from aliquot.information.kernel import Kernel
from aliquot.information.likelihood import Likelihood, likelihood, nystrom
from aliquot.table import Features

__all__ = ["EXACT_LIMIT", "NYSTROM_RANK", "RIDGE", "KernelChoice", "hash_order"]

#: Largest pool for which an N × N kernel matrix is decomposed.
EXACT_LIMIT: Final = 10_000
#: Rank of what replaces it beyond.
NYSTROM_RANK: Final = 1_000
#: Default ε where one is needed, as a fraction of the mean of the diagonal.
RIDGE: Final = 1e-12


@dataclass(frozen=True)
class KernelChoice:
    """Hyper-parameters that all determinantal methods share; see :class:`aliquot.selection.KDPP`."""

    kernel: str
    quality: ArrayLike | None
    precision: float | None
    ridge: float | None
    exact: int
    rank: int

    def __post_init__(self) -> None:
        _ = self.parsed
        for name, value in (("precision", self.precision), ("ridge", self.ridge)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise SelectionError(f"the {name} must be 0 or more, and finite; got {value}")
        for name, count in (("exact", self.exact), ("rank", self.rank)):
            if count < 1:
                raise SelectionError(f"{name} must be 1 or more; got {count}")

    @cached_property
    def parsed(self) -> Kernel:
        """The kernel, its length perhaps not yet set."""
        return Kernel.parse(self.kernel)

    def ridge_for(self, L: Likelihood, n: float, *, reach: float) -> float:
        """ε for draws of ``n`` where L alone reaches up to ``reach``: as given, or the least that it takes.

        Raises
        ------
        SelectionError
            If a ridge is needed and 0 was asked for.
        """
        if self.ridge is None:
            return RIDGE * L.level if n > reach else 0.0
        if n > reach and self.ridge == 0.0:
            raise SelectionError(
                f"a kernel of rank {L.spectrum.rank} without a ridge cannot draw {n:g} candidates; ask for fewer, give"
                " a positive ridge, or a kernel of higher rank, such as rbf"
            )
        return self.ridge * L.level

    def recipe(self) -> dict[str, Any]:
        """What was asked for, JSON-serialisable."""
        given = "none" if self.quality is None else "given"
        return {"kernel": str(self.parsed), "quality": given}

    def likelihood(
        self, pool: Features, members: NDArray[np.int64], known: Features | None, *, least: int
    ) -> Likelihood:
        """L of these candidates; Nyström's approximation, of rank at least ``least``, where it must be."""
        L = self.exactly(pool, members, known)
        if L.rows is None and L.n > self.exact:
            order = hash_order(pool, members)
            return nystrom(L, min(max(self.rank, least), L.n), order=order)
        return L

    def exactly(self, pool: Features, members: NDArray[np.int64], known: Features | None) -> Likelihood:
        """L of these candidates, whatever their number."""
        return likelihood(
            pool,
            members,
            kernel=self.parsed,
            known=known,
            precision=self.precision,
            quality=self._qualities(pool, members),
        )

    def _qualities(self, pool: Features, members: NDArray[np.int64]) -> NDArray[np.float64] | None:
        if self.quality is None:
            return None
        quality = np.asarray(self.quality, np.float64)
        if quality.shape != (len(pool),):
            raise SelectionError(
                f"quality needs one number for each of {len(pool)} candidates; got shape {quality.shape}"
            )
        bad = np.flatnonzero(~(np.isfinite(quality) & (quality > 0)))
        if len(bad):
            i = int(bad[0])
            raise SelectionError(
                f"the quality of candidate {pool.ids.name(i)} is {quality[i]}; qualities must be positive and finite"
            )
        return quality[members]


def hash_order(pool: Features, members: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each member when they are sorted by content hash, then by position."""
    order = np.empty(len(members), np.int64)
    order[np.lexsort((members, pool.ids.hash[members]))] = np.arange(len(members))
    return order
