r"""How uncertain are the coefficients of a model? Their posterior precision, as a triangle.

With the functions of the model given, prior :math:`\theta \sim N(0, \tau^2)` in smoothness-scaled coordinates and
noise σ of weighted rows, both of the largest evidence, the precision of the coefficients c is

.. math:: U^\top U = \Gamma \, (X^\top X + \lambda I) \, \Gamma / \sigma^2, \qquad \lambda = \sigma^2 / \tau^2 .

The variance of a prediction :math:`b^\top c` is :math:`\|U^{-\top} b\|^2`. It is that of the model, were its form true;
until it is compared with held-out errors it is not calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from aliquot.solvers import LeastSquares, Triangle, best_prior

__all__ = ["Posterior", "posterior_of"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Precision of some coefficients.

    Parameters
    ----------
    support : (k,) array of int
        Columns.
    factor : (k, k) array
        U, upper triangular.
    noise : float
        σ of weighted targets.
    """

    support: NDArray[np.int64]
    factor: Array
    noise: float

    def variance(self, rows: Array) -> Array:
        """Variance of the predictions of rows, (m, d), by the model alone: (m,)."""
        solved = scipy.linalg.solve_triangular(
            self.factor, rows[:, self.support].T, trans=1, check_finite=False
        )
        return np.einsum("ij,ij->j", solved, solved)

    def ordered(self) -> Array:
        """U of the same coefficients in ascending order of their columns."""
        return np.asarray(np.linalg.qr(self.factor[:, np.argsort(self.support)], mode="r"))


def posterior_of(problem: LeastSquares, support: NDArray[np.int64]) -> Posterior:
    """The posterior of the coefficients of these functions.

    Notes
    -----
    O(d k²): one factorisation of the columns, and a singular value decomposition of k columns.
    """
    X = problem.X[:, support]
    small = Triangle(len(support))
    small.absorb(X, problem.b)
    small.absorb(np.zeros((1, len(support))), np.array([np.sqrt(problem.rest)]))
    small.n_rows = problem.n_rows
    found = best_prior(small)
    stacked = np.vstack((small.R, np.sqrt(found.precision) * np.eye(len(support))))
    factor = np.linalg.qr(stacked, mode="r") * problem.prior[support] / found.noise
    return Posterior(support, factor, found.noise)
