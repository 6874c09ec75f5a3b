r"""Where do the chosen structures lie in the pool? Its two widest directions in feature space.

Principal components of the structure means of the scaled rows :math:`\phi_k/\Gamma_k`, the columns in which
all the mathematics is done, over candidates and known structures together. A large pool is represented by a
fixed number of structures, evenly spaced in file order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.table import KINDS, TILE_ROWS, Features

__all__ = ["MAP_POINTS", "PoolMap", "evenly", "pool_map", "principal_axes", "structure_means"]

#: Structures of each sort (candidates, known, chosen) that take part at most.
MAP_POINTS: Final = 20_000
#: The same where a row is so long that the decomposition is paid by the number of structures.
WIDE_POINTS: Final = 2_000

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PoolMap:
    """Coordinates in the plane of the two widest directions.

    Parameters
    ----------
    candidates, chosen, known : (m, 2) arrays
        Candidates that were not chosen, chosen ones in order of choice, known ones.
    rank : (n_chosen,) array of int
        Pick number of each chosen one, from 1.
    explained : (2,) array
        Share of the total variance along each axis.
    n_candidates, n_chosen, n_known : int
        How many there are, of which those above are shown.
    per_atom : bool
        Whether the means run over several rows of a structure.
    """

    candidates: FloatArray
    chosen: FloatArray
    known: FloatArray
    rank: IntArray
    explained: FloatArray
    n_candidates: int
    n_chosen: int
    n_known: int
    per_atom: bool


def evenly(n: int, most: int) -> IntArray:
    """At most ``most`` of ``range(n)``, evenly spaced; the first one always among them.

    >>> evenly(10, 3).tolist(), evenly(2, 3).tolist()
    ([0, 3, 6], [0, 1])
    """
    return np.arange(n, dtype=np.int64) if n <= most else np.arange(most, dtype=np.int64) * n // most


def structure_means(features: Features, which: IntArray) -> FloatArray:
    """Mean scaled row of each named candidate, (len(which), n_features); NaN where it has no row to average.

    Force and virial rows are signed and average to nothing: where a table has atom or energy rows, only
    those are averaged.
    """
    value_kinds = [KINDS.index("atom"), KINDS.index("energy")]
    values_only = bool(np.any(np.isin(features.kind, value_kinds)))
    out = np.full((len(which), features.n_features), np.nan)
    rows_each = max(1, features.rows.shape[0] // max(1, len(features)))
    step = max(1, TILE_ROWS // rows_each)
    for start in range(0, len(which), step):
        part = which[start : start + step]
        rows = features.row_index(part)
        owner = np.repeat(np.arange(start, start + len(part)), np.diff(features.offsets)[part])
        if values_only:
            keep = np.isin(features.kind[rows], value_kinds)
            rows, owner = rows[keep], owner[keep]
        if not len(rows):
            continue
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        sums = np.add.reduceat(np.asarray(features.rows[rows], np.float64), first, axis=0)
        counts = np.diff(np.append(first, len(owner)))
        out[owner[first]] = sums / counts[:, None] / features.prior
    return out


def principal_axes(points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Centre (d,), the two widest directions (d, 2) and their shares of the variance (2,).

    The smaller Gram matrix of the centred points is diagonalised. The largest entry of a direction is
    positive, so that the same points give the same picture. Directions without variance are zero.
    """
    from scipy.linalg import eigh

    m, d = points.shape
    axes, explained = np.zeros((d, 2)), np.zeros(2)
    centre = points.mean(axis=0) if m else np.zeros(d)
    X = points - centre
    # Lengths of 1e±200 must not overflow when squared.
    largest = float(np.max(np.abs(X), initial=0.0))
    if largest == 0.0:
        return centre, axes, explained
    X = X / largest
    total, side = float(np.sum(X * X)), min(m, d)
    k = min(2, side)
    gram: Any = X.T @ X if d <= m else X @ X.T
    w, v = eigh(gram, subset_by_index=[side - k, side - 1])
    for j in range(k):
        variance, direction = float(w[k - 1 - j]), v[:, k - 1 - j]
        if variance <= 1e-12 * total:
            continue
        axis = direction if d <= m else X.T @ direction / np.sqrt(variance)
        axes[:, j] = axis * np.sign(axis[np.argmax(np.abs(axis))])
        explained[j] = round(variance / total, 9)  # all of it is 1, not 0.999…
    return centre, axes, explained


def pool_map(features: Features, index: IntArray, known: Features | None) -> PoolMap:
    """Map of the candidates ``features``, of which ``index`` were chosen, and the known ones.

    Structures whose mean row is not finite cannot be placed and are left out of the counts shown.
    """
    most = MAP_POINTS if features.n_features <= WIDE_POINTS else WIDE_POINTS
    others = np.setdiff1d(np.arange(len(features), dtype=np.int64), index)
    groups = [(features, others[evenly(len(others), most)])]
    rank = evenly(len(index), most)
    groups.append((features, np.asarray(index, np.int64)[rank]))
    if known is not None:
        groups.append((known, evenly(len(known), most)))
    means = [structure_means(table, which) for table, which in groups]
    finite = [np.all(np.isfinite(m), axis=1) for m in means]
    means = [m[ok] for m, ok in zip(means, finite, strict=True)]
    centre, axes, explained = principal_axes(np.concatenate(means))
    placed = [(m - centre) @ axes for m in means]
    return PoolMap(
        candidates=placed[0],
        chosen=placed[1],
        known=placed[2] if known is not None else np.zeros((0, 2)),
        rank=rank[finite[1]] + 1,
        explained=explained,
        n_candidates=len(others),
        n_chosen=len(index),
        n_known=0 if known is None else len(known),
        per_atom=not features.single_rows,
    )
