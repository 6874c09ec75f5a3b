r"""How can a few wrong labels be kept from spoiling a fit? Huber's loss, by reweighting rows.

Rows with a residual beyond :math:`k s` count as if their loss grew linearly: their rows and targets are multiplied by
:math:`\sqrt{k s / |r|}`. The scale s of each quantity is robust, 1.4826 times the median of \|r\| in physical units,
and k = 1.345 loses 5 % of efficiency where errors are normal. Rows are computed anew for each round; what is
remembered is one number per label.

References
----------
P. J. Huber, Ann. Math. Stat. 35, 73 (1964), doi:10.1214/aoms/1177703732
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.fitting.errors import Comparison
from aliquot.structures.frames import Frames

__all__ = ["Huber"]

Array = NDArray[np.float64]

#: Times the robust scale.
TUNING: Final = 1.345


@dataclass(frozen=True, eq=False)
class Huber:
    """Factors of rows, for :func:`aliquot.fitting.labelled_rows`.

    Parameters
    ----------
    factors : dict of str to dict of int to array
        By quantity and frame.
    cap : float, optional
        Atoms with a larger force (eV/Å) do not teach.
    """

    factors: Mapping[str, Mapping[int, Array]]
    cap: float | None = None

    def __call__(self, frames: Frames, i: int) -> dict[str, Array]:
        """Factors of the rows of frame ``i``."""
        out = {q: of[i] for q, of in self.factors.items() if i in of}
        if self.cap is not None and frames.forces.present[i]:
            force = frames.forces.values[frames.offsets[i] : frames.offsets[i + 1]]
            below = np.repeat(np.linalg.norm(force, axis=1) <= self.cap, 3).astype(float)
            out["forces"] = out.get("forces", np.ones(len(below))) * below
        return out

    def doubted(self) -> int:
        """Labels that count less."""
        return sum(int(np.count_nonzero(f < 1)) for of in self.factors.values() for f in of.values())

    @classmethod
    def after(cls, comparison: Comparison, *, cap: float | None = None) -> Huber:
        """Factors from the residuals of an earlier fit."""
        factors: dict[str, dict[int, Array]] = {}
        for quantity, frame in comparison.frame.items():
            size = np.abs(comparison.predicted[quantity] - comparison.label[quantity])
            if not len(size):
                continue
            limit = TUNING * 1.4826 * float(np.median(size))
            factor = np.sqrt(np.minimum(1.0, limit / np.maximum(size, 1e-300)))
            starts = np.flatnonzero(np.r_[True, frame[1:] != frame[:-1]])
            pieces = np.split(factor, starts[1:])
            factors[quantity] = {int(frame[s]): piece for s, piece in zip(starts, pieces, strict=True)}
        return cls(factors, cap)
