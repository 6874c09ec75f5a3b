"""From coefficients in scaled coordinates to a point of a path: errors of training and validation, and cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.solvers.path import Point
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.triangle import Triangle

__all__ = ["Judge"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Judge:
    """Makes the points of a path.

    Parameters
    ----------
    problem : LeastSquares
    validation : Triangle, optional

    Raises
    ------
    InputError
        If the validation rows have other columns, or there are none.
    """

    problem: LeastSquares
    validation: Triangle | None = None

    def __post_init__(self) -> None:
        if self.validation is None:
            return
        if self.validation.n_columns != self.problem.n_columns:
            raise InputError(
                f"validation rows have {self.validation.n_columns} columns, the problem {self.problem.n_columns}"
            )
        if not self.validation.n_rows:
            raise InputError("there are no validation rows")

    @cached_property
    def held_out(self) -> tuple[Array, Array, float, int] | None:
        """Scaled validation triangle: X, b, ρ² and the number of rows."""
        if self.validation is None:
            return None
        factor = self.validation.factor
        scaled = np.asfortranarray(factor[:-1, :-1] / self.problem.prior)
        return scaled, factor[:-1, -1].copy(), float(factor[-1, -1] ** 2), self.validation.n_rows

    def validation_error(self, theta: Array, support: Index | None = None) -> float | None:
        """Root-mean-square weighted error of the validation rows; None without any."""
        if self.held_out is None:
            return None
        X, b, rest, n = self.held_out
        wrong = _apply(X, theta, support) - b
        return float(np.sqrt((wrong @ wrong + rest) / n))

    def point(
        self,
        theta: Array,
        support: Index | None = None,
        *,
        step: int = 0,
        penalty: float = 0.0,
        log_evidence: float | None = None,
        violation: float | None = None,
    ) -> Point:
        """The point with coefficients θ of the functions of ``support`` (of all by default)."""
        problem = self.problem
        which = np.arange(problem.n_columns) if support is None else support.astype(np.int64)
        return Point(
            step=step,
            penalty=float(penalty),
            support=which.copy(),
            values=problem.natural(theta, support),
            training=problem.training_error(_apply(problem.X, theta, support) - problem.b),
            validation=self.validation_error(theta, support),
            log_evidence=log_evidence,
            violation=violation,
            cost=None if problem.costs is None else float(problem.costs.total(which)),
        )


def _apply(X: Array, theta: Array, support: Index | None) -> Array:
    if support is None:
        return X @ theta
    if 3 * len(support) < X.shape[1]:  # copying the columns is cheaper than multiplying by zeros
        return X[:, support] @ theta
    full = np.zeros(X.shape[1])
    full[support] = theta
    return X @ full
