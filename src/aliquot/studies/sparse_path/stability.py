r"""Do splits of the same data choose the same functions? Overlap of supports, beyond what chance gives.

Two supports of sizes k and l out of d candidates that share r functions have the Jaccard index
:math:`J = r / (k + l - r)`. Supports drawn at random share :math:`E = k l / d` on average; the consistency

.. math:: I = \frac{r - E}{\min(k, l) - E}

is zero then and one for equal supports. For k = l it is Kuncheva's index.

References
----------
L. I. Kuncheva, Proc. 25th IASTED Int. Multi-Conf. Artificial Intelligence and Applications, 390 (2007)
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from aliquot.solvers import Path

__all__ = ["at_size", "consistency", "jaccard", "packed", "pairs_of", "unpacked"]

Mask = NDArray[np.bool_]


def at_size(path: Path, n: int) -> Mask | None:
    """Support of the largest point of at most ``n`` functions, (d,); None where that is below 0.9 n."""
    sizes = np.where(path.sizes <= n, path.sizes, -1)
    if not len(path) or sizes.max() < 0.9 * n:
        return None
    mask = np.zeros(path.n_columns, np.bool_)
    mask[path[int(np.argmax(sizes))].support] = True
    return mask


def jaccard(one: Mask, two: Mask) -> float:
    """Shared over all.

    Examples
    --------
    >>> jaccard(np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)) == 1 / 3
    True
    """
    return float(np.sum(one & two) / max(1, np.sum(one | two)))


def consistency(one: Mask, two: Mask) -> float:
    """Overlap beyond chance; NaN where chance leaves no room.

    Examples
    --------
    >>> a, b = np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)
    >>> consistency(a, a), consistency(a, b)
    (1.0, 0.0)
    """
    k, l = int(one.sum()), int(two.sum())
    by_chance = k * l / len(one)
    room = min(k, l) - by_chance
    return float((np.sum(one & two) - by_chance) / room) if room > 0 else float("nan")


def pairs_of(masks: Sequence[Mask]) -> tuple[list[float], list[float]]:
    """Jaccard index and consistency of every pair."""
    both = list(combinations(masks, 2))
    return [jaccard(*pair) for pair in both], [consistency(*pair) for pair in both]


def packed(mask: Mask) -> str:
    """A support as a text.

    Examples
    --------
    >>> mask = np.array([True, False, True])
    >>> unpacked(packed(mask), 3).tolist()
    [True, False, True]
    """
    return base64.b64encode(np.packbits(mask).tobytes()).decode("ascii")


def unpacked(text: str, d: int) -> Mask:
    """Inverse of :func:`packed`, (d,)."""
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=d).astype(np.bool_)
