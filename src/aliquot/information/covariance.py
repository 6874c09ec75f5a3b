r"""How much wider a candidate makes a set of environments: the entropy of the Gaussian that fits them.

Of M environments, standardised to :math:`z = (x - \mu)/s` by the mean and standard deviation of a fixed reference,

.. math:: J = \tfrac12 \log\det\Big(\tfrac1M \sum z z^\top + \varepsilon I\Big)

in nat, a constant left out. :math:`\tfrac12\log\det(\varepsilon I)` where there are none. An m-row candidate with
rows Z leads to :math:`A + Z^\top Z + (M + m)\,\varepsilon I` with :math:`A = \sum z z^\top`, and hence to

.. math:: J' = \tfrac12 \log\det B_m + \tfrac12 \log\det(I + Z B_m^{-1} Z^\top) - \tfrac d2 \log(M + m),
   \qquad B_m = A + (M + m)\,\varepsilon I .

J is neither monotone nor submodular: dividing by M lets ordinary environments narrow what extreme ones have
widened. But all that separates candidates of equal size is the second term, and :math:`B_m` only grows from pick
to pick, so that this term can only shrink. Where all candidates are of one size, it is the gain, and a stale gain
is an upper bound. Otherwise the gain adds what the sizes alone do, less the least of it, and is not a bound.

References
----------
A. P. A. Subramanyam and D. Perez, npj Comput. Mater. 11, 218 (2025), doi:10.1038/s41524-025-01602-9
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.information.blocks import Blocks, Part, gather
from aliquot.information.environments import environments
from aliquot.information.posterior import logdet_gains
from aliquot.information.protocol import SLACK
from aliquot.table import Features

__all__ = ["Covariance", "Reference"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]

_FLAT = 1e-12  # a standard deviation below this fraction of the largest value is rounding


@dataclass(frozen=True, eq=False)
class Reference:
    """By what environments are standardised.

    Parameters
    ----------
    mean, inverse : (features,) array
        Mean, and inverse standard deviation; 0 for features that do not vary.
    """

    mean: Vector
    inverse: Vector

    @classmethod
    def of(cls, table: Features) -> Reference:
        """Mean and standard deviation of all environments of a table; two passes in tiles."""
        d, count = table.n_features, 0
        total, largest = np.zeros(d), np.zeros(d)
        for some, _ in table.tiles():
            x, _ = environments(gather(table, some))
            total += x.sum(axis=0)
            largest = np.maximum(largest, np.abs(x).max(axis=0, initial=0.0))
            count += len(x)
        mean, square = total / max(1, count), np.zeros(d)
        for some, _ in table.tiles():
            x, _ = environments(gather(table, some))
            square += np.square(x - mean).sum(axis=0)
        deviation = np.sqrt(square / max(1, count))
        varies = deviation > _FLAT * largest
        return cls(mean, np.divide(1.0, deviation, out=np.zeros(d), where=varies))

    def standardise(self, x: Matrix) -> Matrix:
        """Rows less the mean, over the standard deviation."""
        return (x - self.mean) * self.inverse


class Covariance:
    """Entropy of the Gaussian fitted to all absorbed environments.

    Parameters
    ----------
    reference : Reference
    sizes : array of int
        Every number of environments that a candidate may bring.
    ridge : float
        ε, positive.

    Attributes
    ----------
    n_rows : int
        M.
    value : float
        J in nat.

    Notes
    -----
    A gain takes O(d²) a row, an absorbed candidate O(sizes · d³).

    Examples
    --------
    >>> reference = Reference(np.zeros(2), np.ones(2))
    >>> covariance = Covariance(reference, np.array([1]), ridge=0.5)
    >>> covariance.absorb(Blocks.from_rows([[1.0, 0.0]]))
    >>> bool(np.isclose(covariance.value, 0.5 * np.log(1.5 * 0.5)))
    True
    """

    objective = False
    unit = "nat"

    def __init__(self, reference: Reference, sizes: Indices, *, ridge: float) -> None:
        d = len(reference.mean)
        self.reference, self.ridge = reference, ridge
        self.sizes: list[int] = np.unique(sizes).tolist()
        self.bound = len(self.sizes) <= 1
        self.n_rows, self.absorbed = 0, 0
        self.value = 0.5 * d * float(np.log(ridge))
        self._sum: Matrix = np.zeros((d, d))
        self._factors: dict[int, Matrix] = {}
        self._directions: list[Vector] = []
        self._first = 0  # clock of the first direction

    def gain(self, blocks: Blocks) -> Vector:
        """What the rows bring, and what the size of each candidate does beside the least favourable size."""
        x, offsets = environments(blocks)
        z, count = self.reference.standardise(x), np.diff(offsets)
        gains = np.empty(len(blocks))
        for m in np.unique(count).tolist():
            some = np.flatnonzero(count == m)
            rows = z if len(some) == len(count) else z[np.repeat(count == m, count)]
            gains[some] = self._brought(rows, m)
        if self.bound:
            return gains
        alone = {m: self._alone(m) for m in self.sizes}
        least = min(alone.values())
        return gains + np.array([alone[m] - least for m in count.tolist()])

    def tighten(self, blocks: Blocks, bound: Vector, *, since: Indices) -> Vector:
        """Upper bounds now: O(d) a row and pick for candidates of one row each, else from scratch."""
        oldest = int(since.min())
        picks = self.absorbed - oldest
        if oldest < self._first or 2 * picks > len(self.reference.mean):
            return self.gain(blocks) * (1.0 + SLACK)
        h = np.expm1(2.0 * bound)
        x, _ = environments(blocks)
        V = np.array(self._directions[oldest - self._first :]).reshape(picks, len(self.reference.mean))
        along: Matrix = self.reference.standardise(x) @ V.T
        along[np.arange(oldest, self.absorbed) < since[:, None]] = 0.0
        h = np.maximum(h - np.einsum("ij,ij->i", along, along), 0.0) + SLACK * h
        return 0.5 * np.log1p(h)

    def lower(self, part: Part, bound: Vector, *, since: NDArray[np.int64]) -> None:
        """Not from stored rows."""

    def absorb(self, blocks: Blocks) -> None:
        """Add the environments of these candidates."""
        from aliquot.information.triangular import solve, whiten

        x, _ = environments(blocks)
        z = self.reference.standardise(x)
        m = len(z)
        factor = self._factor(m)
        self.value = self._alone(m) + float(self._brought(z, m)[0])
        self._sum += z.T @ z
        self.n_rows += m
        self.absorbed += 1
        self._factors = {}
        if m == 1 and self.sizes == [1]:  # B only grows, and what z zᵀ takes from x B⁻¹ xᵀ is (x v)²
            v = whiten(factor, z)[0]
            v /= np.sqrt(1.0 + v @ v)
            solve(factor, v)
            self._directions.append(v)
        else:
            self._directions, self._first = [], self.absorbed

    def merge(self, other: Covariance) -> Covariance:
        """Environments of both."""
        merged = Covariance(self.reference, np.array([*self.sizes, *other.sizes]), ridge=self.ridge)
        merged._sum, merged.n_rows = self._sum + other._sum, self.n_rows + other.n_rows
        if merged.n_rows:
            merged.value = merged._alone(0)
        return merged

    def copy(self) -> Covariance:
        """An independent copy."""
        twin = Covariance(self.reference, np.array(self.sizes), ridge=self.ridge)
        twin._sum, twin.n_rows, twin.absorbed = self._sum.copy(), self.n_rows, self.absorbed
        twin.value, twin._directions, twin._first = self.value, list(self._directions), self._first
        return twin

    def reader(self, since: int) -> Covariance:
        """What another process needs: a copy."""
        return self.copy()

    def _factor(self, m: int) -> Matrix:
        """Upper Cholesky factor of B_m."""
        if m not in self._factors:
            B = self._sum.copy()
            B[np.diag_indices_from(B)] += (self.n_rows + m) * self.ridge
            lower: Any = np.linalg.cholesky(B)
            self._factors[m] = np.ascontiguousarray(lower.T)
        return self._factors[m]

    def _alone(self, m: int) -> float:
        """J' less what the rows themselves bring: what m rows at the mean would lead to."""
        d = len(self.reference.mean)
        log_det = float(np.sum(np.log(np.diagonal(self._factor(m)))))
        return log_det - 0.5 * d * float(np.log(self.n_rows + m))

    def _brought(self, z: Matrix, m: int) -> Vector:
        """½ log det(I + Z B⁻¹ Zᵀ) of blocks of m rows each."""
        from aliquot.information.triangular import whiten  # numba: imported when needed

        white = whiten(self._factor(m), z)
        return logdet_gains(white, np.arange(0, len(z) + 1, m, dtype=np.int64))
