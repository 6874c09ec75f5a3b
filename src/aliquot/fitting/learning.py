"""Would more data help? Models fitted to growing shares of the training structures, judged by the same others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHUNKS", "Lesson", "chunks", "shares"]

#: The training structures are cut into so many pieces; shares are 1, 2, 4, … of them.
CHUNKS: Final = 8


@dataclass(frozen=True)
class Lesson:
    """What a share of the training structures teaches.

    Parameters
    ----------
    structures, rows : int
        That taught.
    size : int
        Functions that the rule chose.
    errors : dict of str to dict of str to (float, float)
        Mean absolute and root-mean-square error by part and quantity.
    """

    structures: int
    rows: int
    size: int
    errors: Mapping[str, Mapping[str, tuple[float, float]]]

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        errors = {part: {q: list(e) for q, e in of.items()} for part, of in self.errors.items()}
        return {"structures": self.structures, "rows": self.rows, "functions": self.size, "errors": errors}


def chunks(groups: NDArray[np.str_], *, seed: int = 0) -> NDArray[np.int64]:
    """Cut structures into :data:`CHUNKS` pieces at random, each group evenly: piece of each structure.

    Examples
    --------
    >>> np.bincount(chunks(np.array(["a"] * 8 + ["b"] * 16))).tolist()
    [3, 3, 3, 3, 3, 3, 3, 3]
    """
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    out = np.empty(len(groups), np.int64)
    out[order] = np.arange(len(groups)) % CHUNKS
    return out


def shares() -> tuple[int, ...]:
    """How many pieces teach at each point of the curve.

    Examples
    --------
    >>> shares()
    (1, 2, 4, 8)
    """
    return tuple(2**k for k in range(CHUNKS.bit_length()))
