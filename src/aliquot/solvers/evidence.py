r"""How strong a prior do the data themselves ask for? The one under which they are most probable.

Targets are :math:`y = A c + e` with independent noise of standard deviation σ and coefficients of standard
deviation τ. Everything depends on the ratio :math:`\lambda = \sigma^2/\tau^2`, since for given λ the best noise is
explicit: with the singular values s of A, :math:`b = U^\top y` and what no coefficients explain, ρ²,

.. math:: \sigma^2(\lambda) = \frac{1}{m} \Big[ \sum_k \frac{\lambda b_k^2}{s_k^2 + \lambda} + \rho^2 \Big], \qquad
   \log p = -\frac{m}{2} [1 + \log 2\pi \sigma^2(\lambda)] - \frac12 \sum_k \log \frac{s_k^2 + \lambda}{\lambda} .

One singular value decomposition of the triangle, then one number is searched for.

References
----------
D. J. C. MacKay, Neural Comput. 4, 415 (1992), doi:10.1162/neco.1992.4.3.415
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (SciPy brings no types)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.threads import one_thread_if_small
from aliquot.solvers.triangle import Triangle

__all__ = ["Evidence", "best_of_spectrum", "best_prior", "prior_of"]

#: Range of λ that is searched, as fractions of the largest squared singular value.
SPAN: Final = (1e-22, 1e2)

_GRID = 241  # about ten values a decade: no optimum is missed between them

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What the data say about the prior.

    Parameters
    ----------
    precision : float
        λ, prior precision in units of the inverse noise variance.
    noise : float
        σ, standard deviation of the weighted targets about the model.
    log_evidence : float
        Natural logarithm.
    effective : float
        Directions that the data decide, Σ s²/(s² + λ).
    stationary : bool
        Whether the optimum lies inside the range searched; if not, the data do not determine λ.
    n_rows : int
    """

    precision: float
    noise: float
    log_evidence: float
    effective: float
    stationary: bool
    n_rows: int


def best_prior(triangle: Triangle) -> Evidence:
    """The λ of the largest evidence, noise included.

    Parameters
    ----------
    triangle : Triangle
        Of weighted rows, in coordinates in which the prior is isotropic, and weighted targets.

    Raises
    ------
    InputError
        If there are no rows, or all targets are zero.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((2000, 50))
    >>> triangle = Triangle(50)
    >>> triangle.absorb(A, A @ rng.normal(scale=2.0, size=50) + rng.normal(scale=0.1, size=2000))
    >>> found = best_prior(triangle)
    >>> round(found.noise, 2), round(found.noise / found.precision**0.5), found.stationary
    (0.1, 2, True)
    """
    factor, m = triangle.factor, triangle.n_rows
    with one_thread_if_small(triangle.n_columns):
        u, s, _ = np.linalg.svd(factor[:-1, :-1])
    return best_of_spectrum(np.square(s), np.square(u.T @ factor[:-1, -1]), float(factor[-1, -1] ** 2), m)


def prior_of(problem: LeastSquares) -> Evidence:
    """The λ of the largest evidence in the scaled coordinates of a problem, one noise for all rows."""
    with one_thread_if_small(problem.n_columns):
        u, s, _ = np.linalg.svd(problem.X)
    return best_of_spectrum(np.square(s), np.square(u.T @ problem.b), problem.rest, problem.n_rows)


def best_of_spectrum(squares: Array, b: Array, rest: float, m: int) -> Evidence:
    """The best λ for squared singular values, squared rotated targets, ρ² and m rows."""
    if m == 0 or not (b.any() or rest):
        raise InputError(f"{m} rows with nothing but zero targets say nothing about a prior")
    largest = float(squares.max(initial=0.0)) or 1.0

    def noise(log_precision: float) -> float:
        precision = np.exp(log_precision)
        return max(float(np.sum(precision * b / (squares + precision))) + rest, np.finfo(float).tiny) / m

    def minus_log_evidence(log_precision: float) -> float:
        fit = 0.5 * m * (1.0 + np.log(2.0 * np.pi * noise(log_precision)))
        return float(fit + 0.5 * np.sum(np.log1p(squares * np.exp(-log_precision))))

    grid = np.log(largest) + np.linspace(np.log(SPAN[0]), np.log(SPAN[1]), _GRID)
    k = int(np.argmin([minus_log_evidence(x) for x in grid.tolist()]))
    inside = 0 < k < _GRID - 1
    best = float(grid[k])
    if inside:
        search: Any = scipy.optimize.minimize_scalar(
            minus_log_evidence, bounds=(grid[k - 1], grid[k + 1]), method="bounded", options={"xatol": 1e-6}
        )
        best = float(search.x)
    precision = float(np.exp(best))
    return Evidence(
        precision=precision,
        noise=float(np.sqrt(noise(best))),
        log_evidence=-minus_log_evidence(best),
        effective=float(np.sum(squares / (squares + precision))),
        stationary=inside,
        n_rows=m,
    )
