"""From a request to draws: new candidates by a determinantal process, repetitions uniformly where it takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.information.likelihood import Likelihood
from aliquot.progress import Progress, silent
from aliquot.selection.dpp_sampling import FixedSize, VariableSize
from aliquot.selection.request import Request

__all__ = ["DOI", "REFERENCES", "Drawing"]

Indices = NDArray[np.int64]

#: Papers to cite for a draw.
REFERENCES: Final = (
    "A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044",
    "J. Zou and Y. Marzouk, arXiv:2603.22160",
)
DOI: Final = ("doi:10.1561/2200000044", "arXiv:2603.22160")


@dataclass(frozen=True, eq=False)
class Drawing:
    """What is drawn from which candidates; prepared once, drawn from as often as wanted.

    Parameters
    ----------
    pool_size : int
    members : (…,) array of int
        Candidates that the process draws from.
    process : FixedSize or VariableSize or None
        None where there is nothing to choose between.
    L : Likelihood or None
        Its kernel.
    plain : list of ((…,) array, int)
        So many of these candidates besides, uniformly.
    """

    pool_size: int
    members: Indices = field(default_factory=lambda: np.empty(0, np.int64))
    process: FixedSize | VariableSize | None = None
    L: Likelihood | None = None
    plain: tuple[tuple[Indices, int], ...] = ()

    @classmethod
    def of(
        cls,
        request: Request,
        make: Callable[[Indices, int], tuple[FixedSize | VariableSize, Likelihood]],
    ) -> Drawing:
        """The process that ``make`` makes of the new candidates; repetitions only when these are used up."""
        n, plain = len(request.candidates), list[tuple[Indices, int]]()
        for phase, (k, mask) in enumerate(request.phases()):
            members = np.flatnonzero(mask)
            if not phase and k < len(members) and request.distinct.any():
                return cls(n, members, *make(members, k))
            plain.append((members, k))
        return cls(n, plain=tuple(plain))

    def draw(self, *, rng: np.random.Generator, progress: Progress = silent) -> tuple[Indices, int]:
        """Positions in the pool, and how many of them, the first j, the kernel has drawn."""
        if self.process is not None:
            some, j = self.process.draw(rng=rng, progress=progress)
            return self.members[some], j
        some = [rng.permutation(members)[:k] for members, k in self.plain]
        return np.concatenate((np.empty(0, np.int64), *some)), 0

    def inclusion(self) -> NDArray[np.float64]:
        """Probability of each candidate of the pool, (pool_size,)."""
        probability = np.zeros(self.pool_size)
        if self.process is not None:
            probability[self.members] = self.process.inclusion()
        for members, k in self.plain:
            probability[members] = k / len(members)
        return probability

    def account(self, n: int, drawn: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """What to know about a draw of ``n``, ``drawn`` of them by the kernel: for the recipe, and in words."""
        if self.process is None or self.L is None:
            return {"drawn_by_kernel": drawn}, ()
        L, ridge = self.L, self.process.ridge
        recipe: dict[str, Any] = {
            "kernel": str(L.kernel),
            "rank": L.spectrum.rank,
            "ridge": ridge,
            "drawn_by_kernel": drawn,
            "drawn_uniformly": n - drawn,
        }
        if L.precision is not None:
            recipe["precision"] = L.precision
        said = f"the kernel matrix of {L.n} new candidates has rank {L.spectrum.rank}"
        if ridge:
            said += (
                f"; with {ridge:.3g} added to its diagonal, {drawn} of the {n} were drawn from it"
                f" ({self.process.expected_from_kernel:.4g} on average) and the last {n - drawn} uniformly at random"
                " from the rest"
            )
        return recipe, (*L.notes, said)
