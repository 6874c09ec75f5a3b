r"""Active-set pursuit: the whole LASSO path, and on each of its supports a fit that is not shrunk.

.. math:: \hat\theta(\lambda) = \arg\min_\theta \tfrac12 \|X\theta - b\|^2 + \lambda \sum_j \omega_j |\theta_j|

for all λ from the largest down, by the dual active-set homotopy (:mod:`aliquot.solvers.homotopy`); ω = 1 without a
cost model. A point is stored where the path is about to exceed a size for the first time. There the coefficients
are refined until the conditions of optimality hold to rounding, and the largest violation, in units of λ, goes with
the point as its certificate: it is computed from the coefficients themselves, with a residual in twice the precision.
Then the support is fitted again without the penalty (:mod:`aliquot.solvers.debias`).

Beyond the papers. Costs: a function's penalty carries :math:`\omega_j`, the square root of what it adds to the cost of
evaluation (over the mean of all), so that it enters when its squared correlation per cost is largest, as in
:class:`~aliquot.solvers.OMP`. ω falls as the support grows and functions share what is there, as far as optimality
allows; each point is the exact solution for the ω of its moment. Groups: each support is completed to whole groups
before it is fitted.

References
----------
M. P. Friedlander and M. A. Saunders, A dual active-set quadratic programming method for finding sparse least-squares
solutions, University of British Columbia (2012)
T. Torabi, M. Militzer, M. P. Friedlander and C. Ortner, arXiv:2504.16418
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.solvers.candidates import check_stop, overdue
from aliquot.solvers.debias import DEBIASES, debiased
from aliquot.solvers.homotopy import Homotopy
from aliquot.solvers.judge import Judge, Model
from aliquot.solvers.path import Path, Point, Step
from aliquot.solvers.problem import CostModel, LeastSquares
from aliquot.solvers.protocol import Method
from aliquot.solvers.rounding import exact_gaps, refined
from aliquot.solvers.threads import one_thread
from aliquot.solvers.triangle import Triangle

__all__ = ["ASP", "CATALOGUE"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_REFERENCES = (
    "M. P. Friedlander and M. A. Saunders, A dual active-set quadratic programming method for finding sparse"
    " least-squares solutions, University of British Columbia (2012)",
    "T. Torabi, M. Militzer, M. P. Friedlander and C. Ortner, arXiv:2504.16418",
)

#: Largest violation of the conditions of optimality, in units of λ, that needs no word.
CERTIFIED: Final = 1e-6

_STEPS = 20  # at most so many times the number of functions


@dataclass(frozen=True)
class ASP:
    """The LASSO path by dual active sets, fitted again on each support.

    Parameters
    ----------
    max_size : int, optional
        Functions of the largest model; by default as many as there are, or rows.
    points : int
        Models that are stored at most, evenly spread over sizes.
    smallest : float
        The path ends at this fraction of its first λ.
    debias : {"least-squares", "tsvd", "evidence", "none"}
        How supports are fitted again; "tsvd" needs validation rows. "none" keeps the coefficients of the LASSO.
    stop : {"size", "validation", "evidence"}
        Ends the path when the validation error, or the evidence, has not improved for ``patience`` points.
    patience : int
    """

    max_size: int | None = None
    points: int = 100
    smallest: float = 1e-12
    debias: str = "least-squares"
    stop: str = "size"
    patience: int = 20

    def __post_init__(self) -> None:
        if (self.max_size is not None and self.max_size < 1) or self.points < 1 or not 0 < self.smallest < 1:
            raise InputError(
                f"max_size and points must be at least 1, smallest between 0 and 1; got {self.max_size},"
                f" {self.points} and {self.smallest}"
            )
        if self.debias not in DEBIASES:
            raise InputError(f"debias is one of {', '.join(DEBIASES)}; got {self.debias!r}")

    def solve(
        self,
        problem: LeastSquares | Triangle,
        *,
        validation: Triangle | None = None,
        start: Path | None = None,
        progress: Progress = silent,
    ) -> Path:
        """Find the path; see :class:`aliquot.solvers.Solver`.

        Parameters
        ----------
        problem, validation, progress
            As for every solver.
        start : Path, optional
            An earlier path of this problem, which is continued from where it ended.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> A = rng.normal(size=(100, 10))
        >>> triangle = Triangle(10)
        >>> triangle.absorb(A, 3 * A[:, 7] - 2 * A[:, 2] + 0.01 * rng.normal(size=100))
        >>> path = ASP(max_size=2).solve(triangle)
        >>> path[-1].support.tolist(), bool(path[-1].violation < 1e-12)
        ([7, 2], True)
        """
        begin = perf_counter()
        problem = LeastSquares.of(problem)
        judge = Judge(problem, validation)
        check_stop(
            self.stop, self.patience, validation=validation is not None, evidence=self.debias == "evidence"
        )
        if self.debias == "tsvd" and validation is None:
            raise InputError(
                "debias='tsvd' needs validation rows, which choose its cut; or use 'least-squares'"
            )
        if self.debias == "none" and problem.groups is not None:
            raise InputError("groups are completed when supports are fitted again; debias cannot be 'none'")
        if start is not None and (start.method != "asp" or not start.state):
            raise InputError("only a path that this solver found on this problem can be continued")
        with one_thread():
            pursuit = _Pursuit(problem, judge, self)
            if start is not None:
                pursuit.resume(start)
            pursuit.walk(progress)
        return replace(pursuit.path(asdict(self)), seconds=perf_counter() - begin)


def _reluctance(costs: CostModel) -> Callable[[list[int]], Array]:
    """ω: square roots of marginal costs, over the mean of those that nothing shares."""
    alone = costs.marginal(np.empty(0, np.int64))
    if not np.all(alone > 0):
        raise InputError(
            "the cost model gives a function that costs nothing; every function must cost something"
        )
    unit = float(alone.mean())
    return lambda active: np.sqrt(costs.marginal(np.array(active, np.int64)) / unit)


class _Pursuit:
    """A homotopy, the points stored along it and the steps it took."""

    def __init__(self, problem: LeastSquares, judge: Judge, settings: ASP) -> None:
        self.problem, self.judge, self.settings = problem, judge, settings
        d = problem.n_columns
        self.most = min(d, settings.max_size or d, problem.n_rows)
        self.R: Array = np.asfortranarray(problem.joined.factor[:-1, :-1])
        reluctance = None if problem.costs is None else _reluctance(problem.costs)
        self.homotopy = Homotopy(problem.X, problem.b, self.most, reluctance)
        self.first = self.homotopy.penalty
        self.points: list[Point] = []
        self.steps: list[Step] = []
        self.sizes = np.unique(np.linspace(1, self.most, settings.points).round()).astype(int).tolist()
        self.passed = 0
        self.stopped = ""

    def resume(self, path: Path) -> None:
        """Take over the state, the points and the steps of an earlier run."""
        self.homotopy.resume(path.state)
        self.first = float(path.findings["first penalty"])
        self.points, self.steps = list(path.points), list(path.steps)
        self.passed = max((p.size for p in path.points), default=0)

    def walk(self, progress: Progress) -> None:
        """From event to event until the path ends."""
        homotopy, last = self.homotopy, self.settings.smallest * self.first
        for _ in range(_STEPS * self.problem.n_columns + 100):
            event = homotopy.find()
            size = len(homotopy.active)
            ended = event.function < 0 or event.penalty <= last
            full = not ended and event.position < 0 and size >= self.most
            exceeds = size > self.passed and (ended or event.position < 0)
            if exceeds and size and (ended or full or size in self.sizes):
                self.points.append(self._point(max(event.penalty, last)))
                self.passed = size
                progress("asp", size, self.most)
                if overdue(self.points, self.settings.stop, self.settings.patience):
                    self.stopped = (
                        f"{self.settings.stop} has not improved for {self.settings.patience} points"
                    )
                    return
            if ended or full:
                self.stopped = (
                    f"{size} functions" if full else f"λ fell below {self.settings.smallest:g} of the first"
                )
                return
            homotopy.take(event)
            one = (event.function,)
            self.steps.append(
                Step(event.penalty, dropped=one) if event.position >= 0 else Step(event.penalty, one)
            )
        self.stopped = f"{len(self.steps)} steps"

    def _point(self, penalty: float) -> Point:
        """The model at this λ of the present segment."""
        homotopy, problem = self.homotopy, self.problem
        support = np.array(homotopy.active, np.int64)
        signs = np.array(homotopy.signs)
        gamma = problem.prior[support]
        target = penalty * homotopy.bounds() * gamma
        c = homotopy.coefficients(penalty) / gamma
        c = refined(self.R, problem.b, support, c, target, homotopy.qr.T * gamma)
        c[c * signs < 0] = 0.0
        violation = self._violation(support, c, penalty)
        values, log_evidence = c, None
        if self.settings.debias != "none":
            values = None
            support, theta, log_evidence = self._fit(support)
        else:
            theta = c * gamma
        model = Model(theta, support, len(self.steps), penalty, log_evidence, violation, values)
        return self.judge.points([model])[0]

    def _violation(self, support: Index, c: Array, penalty: float) -> float:
        """Largest violation of the conditions of optimality by these coefficients, in units of λ."""
        bound = penalty * self.homotopy.omega * self.problem.prior
        aim = np.zeros(len(bound))
        aim[support] = np.sign(c) * bound[support]
        gap = np.abs(exact_gaps(self.R, self.problem.b, support, c, np.arange(len(bound)), aim))
        return float(np.max(np.where(aim != 0, gap, gap - bound) / bound, initial=0.0))

    def _fit(self, support: Index) -> tuple[Index, Array, float | None]:
        """The support (completed to whole groups), and coefficients θ that are not shrunk."""
        problem = self.problem
        if problem.groups is None:
            qr = self.homotopy.qr
            factor, q = qr.T, qr.Q.T @ problem.b
        else:
            rest = np.isin(problem.groups, problem.groups[support])
            rest[support] = False
            support = np.concatenate((support, np.flatnonzero(rest)))
            orthonormal, factor = np.linalg.qr(problem.X[:, support])
            q = orthonormal.T @ problem.b
        rest = float(problem.b @ problem.b - q @ q) + problem.rest
        theta, log_evidence = debiased(self.settings.debias, factor, q, support, rest, self.judge)
        return support, theta, log_evidence

    def path(self, parameters: dict[str, Any]) -> Path:
        """The record."""
        homotopy = self.homotopy
        worst = max((p.violation for p in self.points if p.violation is not None), default=0.0)
        notes: tuple[str, ...] = ()
        if worst > CERTIFIED:
            notes = (
                f"rounding limits this path: conditions of optimality are violated by up to {worst:.1e} λ",
            )
        dropped = sum(len(s.dropped) for s in self.steps)
        return Path(
            "asp",
            parameters,
            self.problem.n_columns,
            self.problem.n_rows,
            tuple(self.points),
            tuple(self.steps),
            self.stopped,
            notes,
            findings={"violation": worst, "dropped": float(dropped), "first penalty": self.first},
            state=homotopy.state(),
        )


CATALOGUE = {
    "asp": Method(
        ASP,
        "active-set pursuit: the exact LASSO path with a certificate, each support fitted again",
        "2 d² + 10 d k flops a step, 2 to 4 k steps; k³ for each stored point",
        _REFERENCES,
        sparse=True,
        heeds=("costs", "groups"),
    )
}
