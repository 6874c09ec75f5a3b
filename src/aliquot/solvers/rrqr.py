r"""Rank-revealing QR: functions in the order in which they are new, as far as they are, whatever the targets.

.. math:: X \Pi = Q\,T, \qquad |T_{11}| \ge |T_{22}| \ge \dots

Each pivot is the column that is longest beside those before it. Least squares on the first k columns is one triangular
system; the path goes through sizes until pivots fall below a tolerance. Unsupervised: it does not look at y.

References
----------
P. Businger and G. H. Golub, Numer. Math. 7, 269 (1965), doi:10.1007/BF01436084
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (SciPy brings no types)

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.solvers.judge import Judge, Model
from aliquot.solvers.path import Path, Step
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.protocol import Method
from aliquot.solvers.triangle import Triangle

__all__ = ["CATALOGUE", "RRQR"]

_SCIPY: Any = scipy.linalg

_REFERENCES = ("P. Businger and G. H. Golub, Numer. Math. 7, 269 (1965), doi:10.1007/BF01436084",)


@dataclass(frozen=True)
class RRQR:
    """Pivoted QR; least squares on the first columns.

    Parameters
    ----------
    tolerance : float
        The path ends where a pivot is smaller than this share of the first.
    max_size : int, optional
        And at this many functions.
    points : int
        Models at most, evenly spread over sizes.
    """

    tolerance: float = 1e-15
    max_size: int | None = None
    points: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1 or (self.max_size is not None and self.max_size < 1) or self.points < 1:
            raise InputError(
                f"tolerance must be between 0 and 1, max_size and points at least 1; got {self.tolerance},"
                f" {self.max_size} and {self.points}"
            )

    def solve(
        self,
        problem: LeastSquares | Triangle,
        *,
        validation: Triangle | None = None,
        progress: Progress = silent,
    ) -> Path:
        """Find the path; see :class:`aliquot.solvers.Solver`.

        Examples
        --------
        >>> triangle = Triangle(3)
        >>> triangle.absorb(np.diag([1.0, 3.0, 2.0]), np.array([1.0, 6.0, 6.0]))
        >>> path = RRQR().solve(triangle)
        >>> path[-1].support.tolist(), path.coefficients().tolist()
        ([1, 2, 0], [1.0, 2.0, 3.0])
        """
        start = perf_counter()
        problem = LeastSquares.of(problem)
        judge = Judge(problem, validation)
        (product, factor), pivots = _pivoted(problem)
        size = np.abs(np.diag(factor))
        rank = int(np.count_nonzero(size > self.tolerance * size[0])) if size[0] else 0
        most = min(rank, self.max_size or rank, problem.n_rows)
        sizes = np.unique(np.linspace(1, most, self.points).round()).astype(int).tolist() if most else []
        models = [
            Model(_SCIPY.solve_triangular(factor[:k, :k], product[:k]), pivots[:k], i + 1, float(size[k - 1]))
            for i, k in enumerate(sizes)
        ]
        steps = [
            Step(float(size[k - 1]), tuple(pivots[before:k].tolist()))
            for before, k in zip([0, *sizes], sizes, strict=False)
        ]
        progress("rrqr", 1, 1)
        return Path(
            "rrqr",
            asdict(self),
            problem.n_columns,
            problem.n_rows,
            tuple(judge.points(models)),
            tuple(steps),
            f"{most} functions"
            if most < rank
            else f"the next pivot is below {self.tolerance:g} of the first",
            seconds=perf_counter() - start,
            findings={"rank": float(rank)},
        )


def _pivoted(
    problem: LeastSquares,
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], NDArray[np.int64]]:
    """(Qᵀ b, T) and the order of the columns."""
    product, factor, pivots = _SCIPY.qr_multiply(problem.X, problem.b, mode="right", pivoting=True)
    return (product, factor), pivots.astype(np.int64)


CATALOGUE = {
    "rrqr": Method(
        RRQR,
        "rank-revealing QR: the functions that are most independent, whatever the targets",
        "4 d³/3 flops",
        _REFERENCES,
        sparse=True,
    )
}
