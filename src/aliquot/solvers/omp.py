r"""Orthogonal matching pursuit: take the function that the residual resembles most, solve again, repeat.

With the support S and the least-squares residual r of its functions,

.. math:: j^* = \arg\max_{j \notin S} |X_j^\top r| , \qquad S \leftarrow S \cup \{j^*\} .

Columns are scaled by the smoothness prior and not brought to unit length: of two functions that explain as much, the
smoother comes first. (With unit columns errors of silicon models are half as large again.)

A penalty λ‖θ‖² may be added; columns then carry √λ below them, and the evidence of every support comes out of the
same factorisation for nothing,

.. math:: \log p = -\tfrac{m}{2}[1 + \log 2\pi\sigma^2] - \sum_k \log T_{kk} + \tfrac{|S|}{2} \log \lambda, \quad
   m \sigma^2 = \min_\theta \|X\theta - b\|^2 + \lambda\|\theta\|^2 + \rho^2 .

Beyond the papers: where the problem has a cost model, the score is :math:`(X_j^\top r)^2` per what function j adds to
the cost of evaluation (functions that share products are cheap once the products are there); where it has groups, they
come whole, by the sum of these squares over the sum of these costs.

References
----------
Y. C. Pati, R. Rezaiifar and P. S. Krishnaprasad, Asilomar Conf. Signals 27, 40 (1993), doi:10.1109/ACSSC.1993.342465
T. Torabi, M. Militzer, M. P. Friedlander and C. Ortner, arXiv:2504.16418
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.solvers.candidates import check_stop, members, overdue, scores
from aliquot.solvers.evidence import prior_of
from aliquot.solvers.judge import Judge, Model
from aliquot.solvers.path import Path, Point, Step
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.protocol import Method
from aliquot.solvers.threads import one_thread
from aliquot.solvers.triangle import Triangle
from aliquot.solvers.updated_qr import UpdatedQR, triangular_product

__all__ = ["CATALOGUE", "OMP"]

Array = NDArray[np.float64]

_REFERENCES = (
    "Y. C. Pati, R. Rezaiifar and P. S. Krishnaprasad, Asilomar Conf. Signals 27, 40 (1993),"
    " doi:10.1109/ACSSC.1993.342465",
    "T. Torabi, M. Militzer, M. P. Friedlander and C. Ortner, arXiv:2504.16418",
)

_DEPENDENT = 1e-10  # a column of which a smaller share is new adds nothing but rounding
_BATCH = 32  # models whose errors are computed at once


@dataclass(frozen=True)
class OMP:
    """Orthogonal matching pursuit; every step gives a point.

    Parameters
    ----------
    max_size : int, optional
        Functions of the largest model; by default as many as there are, or rows.
    penalty : float or "evidence"
        λ; "evidence" takes the one under which the targets are most probable with all functions.
    stop : {"size", "validation", "evidence"}
        Ends the path when the validation error, or the evidence, has not improved for ``patience`` points.
    patience : int
    """

    max_size: int | None = None
    penalty: float | str = 0.0
    stop: str = "size"
    patience: int = 100

    def __post_init__(self) -> None:
        if self.max_size is not None and self.max_size < 1:
            raise InputError(f"max_size must be at least 1; got {self.max_size}")
        if self.penalty != "evidence" and not (isinstance(self.penalty, (int, float)) and self.penalty >= 0):
            raise InputError(f"penalty must be a number, not negative, or 'evidence'; got {self.penalty!r}")

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
        >>> rng = np.random.default_rng(0)
        >>> A = rng.normal(size=(100, 10))
        >>> triangle = Triangle(10)
        >>> triangle.absorb(A, 3 * A[:, 7] - 2 * A[:, 2] + 0.01 * rng.normal(size=100))
        >>> OMP(max_size=2).solve(triangle)[-1].support.tolist()
        [7, 2]
        """
        start = perf_counter()
        problem = LeastSquares.of(problem)
        judge = Judge(problem, validation)
        penalty = prior_of(problem).precision if self.penalty == "evidence" else float(self.penalty)
        check_stop(self.stop, self.patience, validation=validation is not None, evidence=penalty > 0)
        d = problem.n_columns
        most = min(d, self.max_size or d, d if penalty else problem.n_rows)
        pursuit = _Pursuit(problem, most, penalty)
        with one_thread():
            points = self._walk(pursuit, judge, progress)
        return Path(
            "omp",
            asdict(self),
            d,
            problem.n_rows,
            tuple(points),
            tuple(pursuit.steps),
            pursuit.stopped,
            tuple(pursuit.notes()),
            perf_counter() - start,
            {"penalty": penalty},
        )

    def _walk(self, pursuit: _Pursuit, judge: Judge, progress: Progress) -> list[Point]:
        """Points until the path ends."""
        points: list[Point] = []
        waiting: list[Model] = []
        while pursuit.advance():
            waiting.append(pursuit.model())
            if len(waiting) == _BATCH:
                points += judge.points(waiting)
                waiting = []
                progress("omp", pursuit.qr.size, pursuit.most)
                if overdue(points, self.stop, self.patience):
                    pursuit.stopped = f"{self.stop} has not improved for {self.patience} points"
                    break
        points += judge.points(waiting)
        progress("omp", pursuit.qr.size, pursuit.qr.size)
        return points


class _Pursuit:
    """The state of a pursuit: factorisation, residual, and what may still come."""

    def __init__(self, problem: LeastSquares, most: int, penalty: float) -> None:
        self.problem, self.most, self.penalty = problem, most, penalty
        d = problem.n_columns
        self.d, self.tail = d, most if penalty else 0
        self.qr = UpdatedQR(d + self.tail, most)
        self.residual: Array = np.concatenate((problem.b, np.zeros(self.tail)))
        self.coordinates: list[float] = []
        self.support: list[int] = []
        self.free: NDArray[np.bool_] = np.ones(d, np.bool_)
        self.steps: list[Step] = []
        self.dependent = 0
        self.stopped = ""

    def advance(self) -> bool:
        """Take one step; False when there is none to take, and ``stopped`` says why."""
        added: list[int] = []
        height = 0.0
        while not added:
            if self.qr.size >= self.most:
                self.stopped = f"{self.qr.size} functions"
                return False
            if not self.free.any():
                self.stopped = "the other functions depend on those chosen"
                return False
            correlations = triangular_product(self.problem.X, self.residual[: self.d])
            score = scores(self.problem, correlations, np.array(self.support, np.int64), self.free)
            best = int(np.argmax(score))
            height = float(score[best])
            if height <= 0:
                self.stopped = "no function is correlated with the residual"
                return False
            added = [j for j in members(self.problem, best, self.free, correlations) if self._push(j)]
        self.steps.append(Step(float(np.sqrt(height)), tuple(added)))
        return True

    def _push(self, j: int) -> bool:
        k = self.qr.size
        if k >= self.most:
            return False
        column = np.concatenate((self.problem.X[:, j], np.zeros(self.tail)))
        if self.tail:
            column[self.d + k] = np.sqrt(self.penalty)
        self.free[j] = False
        if not self.qr.push(column, _DEPENDENT):
            self.dependent += 1
            return False
        q = self.qr.Q[:, k]
        along = float(q @ self.residual)
        self.residual -= along * q
        self.coordinates.append(along)
        self.support.append(j)
        return True

    def model(self) -> Model:
        """The model of the present support."""
        theta = self.qr.solve(np.array(self.coordinates))
        evidence = self._log_evidence() if self.penalty else None
        step = len(self.steps)
        return Model(theta, np.array(self.support, np.int64), step, self.steps[-1].penalty, evidence)

    def _log_evidence(self) -> float:
        m, k = self.problem.n_rows, self.qr.size
        variance = (float(self.residual @ self.residual) + self.problem.rest) / m
        volume = float(np.sum(np.log(np.diag(self.qr.T)))) - 0.5 * k * np.log(self.penalty)
        return -0.5 * m * (1.0 + np.log(2.0 * np.pi * max(variance, np.finfo(float).tiny))) - volume

    def notes(self) -> list[str]:
        """What the user should know."""
        if not self.dependent:
            return []
        return [
            f"{self.dependent} functions were passed over: all but {_DEPENDENT:g} of their columns lies in the span of"
            " those chosen before"
        ]


CATALOGUE = {
    "omp": Method(
        OMP,
        "orthogonal matching pursuit: functions one by one, each the one most like the residual",
        "k (d² + 4 k d) flops",
        _REFERENCES,
        sparse=True,
        heeds=("costs", "groups"),
    )
}
