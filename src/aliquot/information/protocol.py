"""What a measure of information must be able to do, so that greedy selection can spend a budget on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from aliquot.information.blocks import Blocks, Part

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SLACK", "Information"]

#: Relative allowance for rounding that keeps an updated bound a bound. Updates are wrong by the condition number
#: of the Cholesky factor times the machine precision: 6e-10 where prior and data are 12 orders of magnitude apart.
SLACK: Final = 1e-8


class Information(Protocol):
    """What has been absorbed so far, and what one more candidate would add.

    Prior and absorbed data are held apart, so that :meth:`merge` adds data and never counts the prior twice.
    """

    #: Whether gains can only shrink as others are absorbed, so that a stale one is an upper bound.
    bound: ClassVar[bool]
    #: Whether gains are increments of a monotone submodular function: 1 - 1/e, and a certificate.
    objective: ClassVar[bool]
    #: What a gain is measured in.
    unit: ClassVar[str]

    @property
    def absorbed(self) -> int:
        """How many times :meth:`absorb` has been called: the clock of :meth:`tighten`."""
        ...

    def gain(self, blocks: Blocks) -> NDArray[np.float64]:
        """Gain of each candidate, computed from scratch without cancellation; never negative."""
        ...

    def tighten(
        self, blocks: Blocks, bound: NDArray[np.float64], *, since: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Bring upper bounds that were valid at clock ``since`` to now, as cheaply as may be."""
        ...

    def lower(
        self, part: Part, bound: NDArray[np.float64], *, since: NDArray[np.int64]
    ) -> NDArray[np.float64] | None:
        """The same from rows as they are stored; None where :meth:`tighten` must do it."""
        ...

    def absorb(self, blocks: Blocks) -> None:
        """Add all the rows of these candidates to what is known."""
        ...

    def merge(self, other: Self) -> Self:
        """What is known when the data of both are known; the prior, which both must share, counts once."""
        ...

    def copy(self) -> Self:
        """An independent copy."""
        ...

    def reader(self, since: int) -> Self:
        """What another process needs for :meth:`gain`, and to bring bounds from clock ``since`` on to now."""
        ...
