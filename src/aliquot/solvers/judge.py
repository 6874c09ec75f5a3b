"""From coefficients in scaled coordinates to a point of a path: errors of training and validation, and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.solvers.path import Point
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.triangle import Triangle

__all__ = ["Judge", "Model"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Model:
    """Coefficients θ = γ c of the functions of a support, and what the solver knows of them; see :class:`Point`."""

    theta: Array
    support: Index
    step: int = 0
    penalty: float = 0.0
    log_evidence: float | None = None
    violation: float | None = None
    values: Array | None = None  # c, where θ/γ would round them once more


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
        """Scaled validation triangle: X, b, ρ² and the number of rows; None without validation rows."""
        if self.validation is None:
            return None
        factor = self.validation.factor
        scaled = np.asfortranarray(factor[:-1, :-1] / self.problem.prior)
        return scaled, factor[:-1, -1].copy(), float(factor[-1, -1] ** 2), self.validation.n_rows

    def points(self, models: Sequence[Model]) -> list[Point]:
        """Points of several models; errors of all of them in two matrix products."""
        if not models:
            return []
        problem = self.problem
        theta = np.zeros((problem.n_columns, len(models)), order="F")
        for i, model in enumerate(models):
            theta[model.support, i] = model.theta
        training = _errors(problem.X, problem.b, problem.rest, problem.n_rows, theta)
        validation = [None] * len(models) if self.held_out is None else _errors(*self.held_out, theta)
        costs = problem.costs
        return [
            Point(
                step=model.step,
                penalty=float(model.penalty),
                support=model.support.astype(np.int64),
                values=model.theta / problem.prior[model.support] if model.values is None else model.values,
                training=training[i],
                validation=validation[i],
                log_evidence=model.log_evidence,
                violation=model.violation,
                cost=None if costs is None else float(costs.total(model.support)),
            )
            for i, model in enumerate(models)
        ]


def _errors(X: Array, b: Array, rest: float, n_rows: int, theta: Array) -> list[float]:
    """Root-mean-square errors of coefficients θ, (d, models)."""
    wrong = X @ theta - b[:, None]
    return np.sqrt((np.einsum("ij,ij->j", wrong, wrong) + rest) / n_rows).tolist()
