"""Environments: which of them a candidate brings, and how far they are from each other.

The environments of a candidate are its energy rows, or all of its rows (its atoms) where it has none, in
smoothness-scaled coordinates. Noise weights play no part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliquot.information.blocks import Blocks, gather
from aliquot.table import Features

__all__ = ["distances", "environments", "sizes"]

Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]


def environments(blocks: Blocks) -> tuple[Matrix, Indices]:
    """The environments of each candidate, and their offsets.

    Examples
    --------
    >>> from aliquot.information import gather
    >>> x, offsets = environments(gather(Features.from_array(np.eye(2)), slice(2)))
    >>> offsets
    array([0, 1, 2])
    """
    if blocks.single:
        return blocks.x, blocks.offsets
    observed = blocks.observed
    count = np.add.reduceat(observed.astype(np.int64), blocks.offsets[:-1])
    return blocks.x[observed], np.concatenate(([0], np.cumsum(count))).astype(np.int64)


def sizes(table: Features) -> Indices:
    """How many environments each candidate of a table brings."""
    if table.single_rows:
        return np.ones(len(table), np.int64)
    counts = [np.diff(environments(gather(table, some))[1]) for some, _ in table.tiles()]
    return np.concatenate((np.zeros(0, np.int64), *counts))


def distances(x: Matrix, y: Matrix) -> Matrix:
    """Euclidean distances, from squared differences and without cancellation; 3 m n d flops."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(x, y), np.float64)
