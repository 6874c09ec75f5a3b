r"""What does it mean that two structures are far apart? Metrics, each a map to points whose Euclidean distance it is.

In smoothness-scaled coordinates x, of one point per candidate:

``euclidean``
    :math:`|x - y|`. The prior decides which differences are large.
``standardised``
    :math:`|(x - y)/s|` with the standard deviation s of each feature over the pool. Where one direction holds nearly
    all of the variance, as in smoothness-scaled rows, Euclidean distances see it alone, and these see every feature
    alike. Features that do not vary in the pool play no part.
``mahalanobis``
    :math:`\sqrt{(x-y)^\top (C + \varepsilon I)^{-1} (x-y)}` with the covariance C of pool and known structures
    together: every direction alike, whatever the correlations. ε is ``ridge`` times the mean variance of a feature;
    directions of less variance than ε are quietened, as is the rounding in them.
``cosine``
    :math:`|x/|x| - y/|y|| = \sqrt{2 - 2 \cos(x, y)}`: directions from the origin of the coordinates, whatever the
    lengths. The origin, and not the mean of the pool, is the centre, since seen from the mean the most ordinary
    structures have no direction but that of their noise, and would be far from everything. A point at the origin
    stays there.

Statistics take one pass over the pool. Nothing is stored: rows are mapped when they are read, so that a pool on disk
stays there.

References
----------
P. C. Mahalanobis, Proc. Natl. Inst. Sci. India 2, 49 (1936)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.information.blocks import gather
from aliquot.table import Features

__all__ = ["METRICS", "Metric"]

METRICS: Final = ("euclidean", "standardised", "mahalanobis", "cosine")

_FLAT: Final = 1e-12  # a standard deviation below this fraction of the largest value is rounding

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Metric:
    """A map to points whose Euclidean distance is the metric.

    Parameters
    ----------
    name : str
        One of :data:`METRICS`.
    factor : (features,) or (features, features) array, optional
        What points are multiplied by.

    Examples
    --------
    >>> Metric("cosine")(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """

    name: str
    factor: Vector | Matrix | None = None

    def __post_init__(self) -> None:
        if self.name not in METRICS:
            raise InputError(f"metric {self.name!r} is not known; choose one of {', '.join(METRICS)}")

    @classmethod
    def of(cls, name: str, points: Features, known: Features | None, *, ridge: float) -> Metric:
        """The metric of a pool.

        Parameters
        ----------
        name : str
        points, known : Features
            One row per candidate; at least one.
        ridge : float
            For ``mahalanobis``.
        """
        if name == "standardised":
            return cls(name, _inverse_deviation(points))
        if name == "mahalanobis":
            tables = [points] if known is None else [points, known]
            return cls(name, _whitening(tables, ridge))
        return cls(name)

    def __call__(self, x: Matrix) -> Matrix:
        """The points that x becomes."""
        if self.name == "cosine":
            length = np.sqrt(np.einsum("ij,ij->i", x, x))
            return x / np.where(length > 0.0, length, 1.0)[:, None]
        if self.factor is None:
            return x
        return x * self.factor if self.factor.ndim == 1 else x @ self.factor

    def applied(self, table: Features) -> Features:
        """The same candidates, of one row each, whose rows are mapped when they are read."""
        if self.name == "euclidean":
            return table
        rows: Any = _Mapped(
            table.rows, table.prior, self
        )  # as good as an array: shape, dtype, rows by position
        return replace(table, rows=rows, prior=np.ones(table.n_features))


class _Mapped:
    """Rows that are scaled and mapped when they are read; where those it reads from pickle as a path, so does it."""

    ndim = 2
    dtype = np.dtype(np.float64)

    def __init__(self, rows: Any, prior: Vector, metric: Metric) -> None:
        self.rows, self.prior, self.metric = rows, prior, metric
        self.shape = tuple(rows.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Matrix:
        return self.metric(np.asarray(self.rows[key], np.float64) / self.prior)


def _inverse_deviation(points: Features) -> Vector:
    """1/s of each feature; 0 where it does not vary."""
    count, _, moments, largest = _moments([points], full=False)
    deviation = np.sqrt(np.maximum(moments, 0.0) / max(1, count))
    return np.divide(1.0, deviation, out=np.zeros(len(deviation)), where=deviation > _FLAT * largest)


def _whitening(tables: list[Features], ridge: float) -> Matrix:
    r"""W with :math:`W W^\top = (C + \varepsilon I)^{-1}`."""
    count, _, moments, _ = _moments(tables, full=True)
    covariance = moments / max(1, count)
    d = len(covariance)
    epsilon = ridge * float(np.trace(covariance)) / d
    if not epsilon > 0.0:  # all points are the same
        return np.eye(d)
    values, vectors = np.linalg.eigh(covariance)
    return vectors / np.sqrt(np.maximum(values, 0.0) + epsilon)


def _moments(tables: Iterable[Features], *, full: bool) -> tuple[int, Vector, Any, Vector]:
    """Number, mean, sums of squares (or of products) about the mean, and largest values; one pass.

    Tiles are joined by the formula of Chan, Golub and LeVeque, so that a common offset costs no digits.
    """
    count, mean, moments, largest = 0, np.zeros(0), np.zeros(0), np.zeros(0)
    for table in tables:
        for some, _ in table.tiles():
            x = gather(table, some).x
            if count == 0:
                d = x.shape[1]
                mean, largest = np.zeros(d), np.zeros(d)
                moments = np.zeros((d, d) if full else d)
            m = len(x)
            largest = np.maximum(largest, np.abs(x).max(axis=0))
            here = x.mean(axis=0)
            x -= here
            step = here - mean
            between = count * m / (count + m)
            if full:
                moments += x.T @ x + between * np.outer(step, step)
            else:
                moments += np.einsum("ij,ij->j", x, x) + between * np.square(step)
            mean = mean + step * (m / (count + m))
            count += m
    return count, mean, moments, largest
