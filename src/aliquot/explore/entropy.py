r"""How diverse are environments? Entropy of a growing set and within one structure, with slopes.

Environments of the atoms of one element, :math:`q`, are standardised by those of random packings,
:math:`z = (q - \mu) / s`. Both entropies are taken per dimension d, in nat.

*Global*: of the Gaussian that fits all M environments of the set,

.. math:: J = \tfrac{1}{2d} \log\det\Big(\tfrac1M \sum z z^\top + \varepsilon I\Big),

for which :math:`A = \sum z z^\top` and M suffice. A structure with m rows Z leads to
:math:`B = A + Z^\top Z + (M + m)\,\varepsilon I`, and :math:`\partial J / \partial Z = Z B^{-1} / d`. Times M + m,
this is the part of every environment, and it does not fade as the set grows.

*Local*: of the nearest neighbours within one structure,

.. math:: S = \tfrac1m \sum_i \tfrac12 \ln(\rho_i^2 + \delta^2) + \ln m, \qquad
          \rho_i = \min_{j \ne i} |z_i - z_j| ,

where δ, which the published estimate does not have, keeps the slope finite at equal environments.

References
----------
M. Karabin and D. Perez, J. Chem. Phys. 153, 094110 (2020), arXiv:2002.07876
A. P. A. Subramanyam and D. Perez, npj Comput. Mater. 11, 218 (2025), doi:10.1038/s41524-025-01602-9
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

__all__ = ["Gaussians", "Standard", "local_entropy"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

#: δ² in d: environments nearer than this (in standard deviations of a feature) count as equal.
_DELTA_SQUARED = 1e-6

_FLAT = 1e-12  # a standard deviation below this fraction of the largest value is rounding


@dataclass(frozen=True, eq=False)
class Standard:
    """By what environments are standardised, element by element.

    Parameters
    ----------
    mean, inverse : (n_elements, d) array
        Mean, and inverse standard deviation; 0 for features that do not vary.
    """

    mean: Array
    inverse: Array

    @classmethod
    def of(cls, rows: Array, species: Indices, n_elements: int) -> Standard:
        """Mean and standard deviation of these environments; of all elements together where one has none."""
        mean, inverse = np.zeros((n_elements, rows.shape[1])), np.zeros((n_elements, rows.shape[1]))
        for z in range(n_elements):
            some = rows[species == z] if np.sum(species == z) > 1 else rows
            mean[z] = some.mean(axis=0)
            deviation = np.sqrt(np.square(some - mean[z]).mean(axis=0))
            varies = deviation > _FLAT * np.abs(some).max(axis=0)
            inverse[z, varies] = 1.0 / deviation[varies]
        return cls(mean, inverse)

    def __call__(self, rows: Array, species: Indices) -> Array:
        """Standardised rows."""
        return (rows - self.mean[species]) * self.inverse[species]


@dataclass(frozen=True, eq=False)
class Gaussians:
    """What is known of a set of environments: one count and one second moment for every element.

    Parameters
    ----------
    count : (n_elements,) array
        M of each.
    moment : (n_elements, d, d) array
        A of each.
    ridge : float
        ε.

    Examples
    --------
    >>> empty = Gaussians.empty(1, 2, ridge=0.5)
    >>> one = empty.joined(np.array([[1.0, 0.0]]), np.array([0]))
    >>> bool(np.isclose(one.entropy, 0.25 * np.log(1.5 * 0.5)))
    True
    """

    count: Array
    moment: Array
    ridge: float

    @classmethod
    def empty(cls, n_elements: int, d: int, *, ridge: float) -> Gaussians:
        """No environments."""
        return cls(np.zeros(n_elements), np.zeros((n_elements, d, d)), ridge)

    @property
    def d(self) -> int:
        """Numbers that describe an environment."""
        return self.moment.shape[1]

    @property
    def entropy(self) -> float:
        """J in nat per dimension, the mean over all environments; ½ log ε where there are none."""
        M = float(self.count.sum())
        if M == 0.0:
            return 0.5 * float(np.log(self.ridge))
        return float(sum(self.count[z] * self._of(z) for z in np.flatnonzero(self.count).tolist())) / M

    def _of(self, z: int) -> float:
        """J of one element."""
        M = float(self.count[z])
        return _half_log_det(self.moment[z], M, self.ridge)[0] / self.d

    def joined(self, rows: Array, species: Indices) -> Gaussians:
        """The set with these standardised environments in it."""
        count, moment = self.count.copy(), self.moment.copy()
        for z in np.unique(species):
            some = rows[species == z]
            count[z] += len(some)
            moment[z] += some.T @ some
        return Gaussians(count, moment, self.ridge)

    def gain(self, rows: Array, species: Indices) -> float:
        """By how much the environments widen the set, (M + m)(J' − J) in nat per dimension; may be negative."""
        total = 0.0
        for z in np.unique(species).tolist():
            some = rows[species == z]
            M = float(self.count[z]) + len(some)
            after = _half_log_det(self.moment[z] + some.T @ some, M, self.ridge)[0] / self.d
            before = self._of(z) if self.count[z] else 0.5 * float(np.log(self.ridge))
            total += M * (after - before)
        return total

    def slope(self, rows: Array, species: Indices) -> tuple[float, Array]:
        """(M + m) J' summed over the elements present, and its derivative by the rows, (m, d)."""
        total, out = 0.0, np.empty_like(rows)
        for z in np.unique(species).tolist():
            own = species == z
            some = rows[own]
            M = float(self.count[z]) + len(some)
            value, factor = _half_log_det(self.moment[z] + some.T @ some, M, self.ridge)
            total += M * value / self.d
            out[own] = (M / self.d) * cho_solve(factor, some.T, check_finite=False).T
        return total, out


def _half_log_det(A: Array, M: float, ridge: float) -> tuple[float, tuple[Array, bool]]:
    """½ log det(A/M + εI), and the Cholesky factor of A + MεI."""
    B = A.copy()
    B[np.diag_indices_from(B)] += M * ridge
    factor = cho_factor(B, lower=True, overwrite_a=True, check_finite=False)
    log_det = float(np.log(np.diagonal(factor[0])).sum())
    return log_det - 0.5 * len(A) * float(np.log(M)), factor


def local_entropy(rows: Array, species: Indices) -> tuple[float, Array]:
    """S of one structure, and its derivative by the standardised rows, (m, d).

    Only atoms of one element are compared; an atom that is alone of its kind has no part.
    """
    m, d = rows.shape
    squares = np.einsum("ij,ij->i", rows, rows)
    distance = squares[:, None] + squares[None, :] - 2.0 * (rows @ rows.T)
    distance[species[:, None] != species[None, :]] = np.inf
    distance[np.diag_indices(m)] = np.inf
    nearest = distance.argmin(axis=1)
    some = np.flatnonzero(np.isfinite(distance[np.arange(m), nearest]))
    out = np.zeros_like(rows)
    if not len(some):
        return 0.0, out
    apart = rows[some] - rows[nearest[some]]  # again, without cancellation
    square = np.einsum("ij,ij->i", apart, apart) + _DELTA_SQUARED * d
    share = apart / (len(some) * square)[:, None]
    out[some] += share
    np.subtract.at(out, nearest[some], share)
    return float(0.5 * np.log(square).mean() + np.log(len(some))), out
