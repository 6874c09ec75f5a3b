r"""Automatic relevance determination: every function has a prior of its own, and most of them learn that they are zero.

Coefficients have precisions :math:`\alpha_j` in units of the noise, and the evidence of the data is climbed by
MacKay's updates on the compressed system,

.. math:: P = X^\top X + \mathrm{diag}(\alpha), \quad \mu = P^{-1} X^\top b, \quad v = \mathrm{diag}\,P^{-1}, \quad
   \gamma_j = 1 - \alpha_j v_j, \quad
   \sigma^2 = \frac{\|X\mu - b\|^2 + \rho^2 + \sum_j \alpha_j \mu_j^2}{m}, \quad
   \alpha_j \leftarrow \frac{\gamma_j \sigma^2}{\mu_j^2} .

(This σ is the best for given α; MacKay's, with :math:`m - \sum_j \gamma_j` below, is the same where the evidence is
stationary, and fails where functions outnumber rows.)

A function with :math:`\mu_j^2 \le \sigma^2 v_j \gamma_j` makes the data most probable at :math:`\alpha_j = \infty`, all
else equal (Faul and Tipping); the updates would send it there step by step. It is removed as soon as the data say
little about it, :math:`\gamma_j` below a hundredth. When the evidence has settled, every removed function is asked
again whether it would raise the evidence, and comes back if so.

Then the path is walked backwards: the functions whose removal costs least evidence are removed, a few at a time, and
the others learn again, down to the smallest size asked for. Points go from small to large. Where the problem has a
cost model, evidence is counted per cost of evaluation that a removal saves; groups go whole, by the sums of both.

P is factored by Cholesky with unit diagonal, and by orthogonal transformations where rounding makes that fail.

References
----------
D. J. C. MacKay, Neural Comput. 4, 415 (1992), doi:10.1162/neco.1992.4.3.415
M. E. Tipping, J. Mach. Learn. Res. 1, 211 (2001)
A. C. Faul and M. E. Tipping, Adv. Neural Inf. Process. Syst. 14, 383 (2001)
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (SciPy brings no types)

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
import scipy.linalg.lapack
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.solvers.evidence import prior_of
from aliquot.solvers.judge import Judge, Model
from aliquot.solvers.path import Path, Step
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.protocol import Method
from aliquot.solvers.threads import one_thread_if_small
from aliquot.solvers.triangle import Triangle

__all__ = ["ARD", "CATALOGUE"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_LAPACK: Any = scipy.linalg.lapack

_REFERENCES = (
    "D. J. C. MacKay, Neural Comput. 4, 415 (1992), doi:10.1162/neco.1992.4.3.415",
    "M. E. Tipping, J. Mach. Learn. Res. 1, 211 (2001)",
    "A. C. Faul and M. E. Tipping, Adv. Neural Inf. Process. Syst. 14, 383 (2001)",
)

_LITTLE = 1e-2  # share of a direction that the data decide, below which an irrelevant function goes
_NOTHING = 1e-12  # a share that is rounding
_ROUNDS = 10  # times that removed functions may be asked again


@dataclass(frozen=True)
class ARD:
    """Relevance determination, then elimination down to small models.

    Parameters
    ----------
    max_sweeps : int
        Updates of all precisions.
    tolerance : float
        The evidence has settled when one sweep raises its logarithm by less.
    smallest : int
        Functions of the smallest model of the path; 0 leaves elimination out.
    share : float
        Part of the functions eliminated at a time.
    """

    max_sweeps: int = 300
    tolerance: float = 1e-2
    smallest: int = 10
    share: float = 0.04

    def __post_init__(self) -> None:
        if self.max_sweeps < 1 or not self.tolerance > 0 or self.smallest < 0 or not 0 < self.share < 1:
            raise InputError(
                f"max_sweeps must be at least 1, tolerance positive, smallest not negative and share between 0 and 1;"
                f" got {self.max_sweeps}, {self.tolerance:g}, {self.smallest} and {self.share:g}"
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
        >>> rng = np.random.default_rng(0)
        >>> A = rng.normal(size=(200, 10))
        >>> triangle = Triangle(10)
        >>> triangle.absorb(A, 3 * A[:, 7] - 2 * A[:, 2] + 0.01 * rng.normal(size=200))
        >>> 7 in ARD().solve(triangle)[-1].support
        True
        """
        start = perf_counter()
        problem = LeastSquares.of(problem)
        judge = Judge(problem, validation)
        with one_thread_if_small(problem.n_columns):
            return self._solve(problem, judge, progress, start)

    def _solve(self, problem: LeastSquares, judge: Judge, progress: Progress, start: float) -> Path:
        machine = _Relevance(problem)
        settled, sweeps = _climb(machine, self, progress)
        models, steps = [machine.model()], []
        findings: dict[str, float | bool] = {
            "noise": float(np.sqrt(machine.variance)),
            "effective": float(machine.gamma.sum()),
            "sweeps": float(sweeps),
            "orthogonal sweeps": float(machine.rescued),
            "imbalance": machine.imbalance(),
            "stationary": settled,
        }
        if self.smallest:
            models = _eliminate(machine, models, self) if machine.size > self.smallest else models
        points = judge.points(models[::-1])
        steps = _steps(models[::-1])
        notes = (
            ()
            if settled
            else (f"the evidence had not settled after {sweeps} sweeps; raise max_sweeps or the tolerance",)
        )
        return Path(
            "ard",
            asdict(self),
            problem.n_columns,
            problem.n_rows,
            tuple(points),
            steps,
            "the evidence has settled" if settled else f"{sweeps} sweeps",
            notes,
            perf_counter() - start,
            findings,
        )


class _Relevance:
    """Precisions of the functions that are left, and what follows from them."""

    def __init__(self, problem: LeastSquares) -> None:
        self.problem = problem
        self.gram: Array = problem.X.T @ problem.X
        self.moment: Array = problem.X.T @ problem.b
        self.active: Index = np.arange(problem.n_columns)[np.diag(self.gram) > 0]
        self.alpha: Array = np.full(len(self.active), prior_of(problem).precision)
        self.rescued = 0
        self.update()

    @property
    def size(self) -> int:
        return len(self.active)

    def update(self) -> None:
        """Everything that follows from the precisions."""
        problem, S = self.problem, self.active
        inverse, volume = self._inverse()
        self.inverse = inverse  # rows: P⁻¹ = inverseᵀ inverse
        self.v: Array = np.einsum("ij,ij->j", inverse, inverse)
        self.mu: Array = inverse.T @ (inverse @ self.moment[S])
        self.gamma: Array = np.maximum(1.0 - self.alpha * self.v, 0.0)
        theta = np.zeros(problem.n_columns)
        theta[S] = self.mu
        wrong = problem.X @ theta - problem.b
        squares = float(wrong @ wrong) + problem.rest
        m = problem.n_rows
        tiny = float(np.finfo(float).tiny)
        self.variance = max(squares + float(self.alpha @ self.mu**2), tiny) / m
        volume -= float(np.sum(np.log(self.alpha)))
        self.log_evidence = -0.5 * m * (1.0 + np.log(2.0 * np.pi * self.variance)) - 0.5 * volume

    def _inverse(self) -> tuple[Array, float]:
        """A matrix W with P⁻¹ = Wᵀ W, and log det P."""
        S = self.active
        precision: Array = self.gram[np.ix_(S, S)]
        precision[np.diag_indices(len(S))] += self.alpha
        scale = 1.0 / np.sqrt(np.diag(precision))
        precision *= scale[:, None]
        precision *= scale
        factor, info = _LAPACK.dpotrf(precision, lower=1, overwrite_a=1)
        if info:
            return self._orthogonal()
        inverse, info = _LAPACK.dtrtri(factor, lower=1)
        volume = 2.0 * float(np.sum(np.log(np.diag(factor))) - np.sum(np.log(scale)))
        return np.tril(inverse) * scale, volume

    def _orthogonal(self) -> tuple[Array, float]:
        self.rescued += 1
        R = np.linalg.qr(np.vstack((self.problem.X[:, self.active], np.diag(np.sqrt(self.alpha)))), mode="r")
        inverse, _ = _LAPACK.dtrtri(R)
        return np.triu(inverse).T, 2.0 * float(np.sum(np.log(np.abs(np.diag(R)))))

    def relevant(self) -> NDArray[np.bool_]:
        """Whether some finite precision of a function is better than none."""
        return (self.mu**2 > self.variance * self.v * self.gamma) & (self.gamma > _NOTHING)

    def losses(self) -> Array:
        """Log evidence that each removal would cost, all else equal."""
        informed = np.maximum(1.0 - self.gamma, np.finfo(float).tiny)  # α/(α + s)
        return 0.5 * (self.mu**2 / (self.variance * self.v) + np.log(informed))

    def sweep(self, *, remove: bool) -> None:
        """Update all precisions once."""
        keep = self.relevant() | (self.gamma > _LITTLE) if remove else np.ones(self.size, np.bool_)
        if not keep.any():
            keep[np.argmax(self.losses())] = True
        told = (self.gamma > _NOTHING) & (self.mu != 0)
        alpha = np.divide(self.gamma * self.variance, self.mu**2, out=self.alpha.copy(), where=told)
        self.alpha = np.minimum(alpha[keep], 1e30 * float(np.diag(self.gram).max()))
        self.active = self.active[keep]
        self.update()

    def without(self, gone: Index) -> None:
        """Remove functions by position."""
        keep = np.ones(self.size, np.bool_)
        keep[gone] = False
        self.active, self.alpha = self.active[keep], self.alpha[keep]
        self.update()

    def recall(self) -> int:
        """Bring removed functions back that would raise the evidence; returns how many."""
        X, S = self.problem.X, self.active
        out = np.setdiff1d(np.flatnonzero(np.diag(self.gram) > 0), S)
        if not len(out):
            return 0
        across = self.inverse @ self.gram[np.ix_(S, out)]
        s = np.diag(self.gram)[out] - np.einsum("ij,ij->j", across, across)
        theta = np.zeros(self.problem.n_columns)
        theta[S] = self.mu
        q = X[:, out].T @ (self.problem.b - X @ theta)
        s = np.maximum(s, 1e-12 * np.diag(self.gram)[out])
        gain = q**2 / self.variance - s
        back = np.flatnonzero(0.5 * gain / s > 1.0)  # worth about one unit of log evidence or more
        self.active = np.concatenate((S, out[back]))
        self.alpha = np.concatenate((self.alpha, s[back] ** 2 / gain[back]))
        if len(back):
            self.update()
        return len(back)

    def imbalance(self) -> float:
        """Largest |γ − α μ²/σ²|: zero where the evidence is stationary."""
        return float(np.max(np.abs(self.gamma - self.alpha * self.mu**2 / self.variance), initial=0.0))

    def model(self) -> Model:
        """The present model."""
        order = np.argsort(self.active)
        return Model(self.mu[order], self.active[order], log_evidence=float(self.log_evidence))


def _climb(machine: _Relevance, settings: ARD, progress: Progress) -> tuple[bool, int]:
    """Sweep until the evidence has settled and nothing that was removed would raise it."""
    rounds = 0
    for sweep in range(settings.max_sweeps):
        before, size = machine.log_evidence, machine.size
        machine.sweep(remove=True)
        progress("ard", sweep + 1, settings.max_sweeps)
        if machine.size == size and abs(machine.log_evidence - before) < settings.tolerance:
            if rounds == _ROUNDS or not machine.recall():
                return True, sweep + 1
            rounds += 1
    return False, settings.max_sweeps


def _eliminate(machine: _Relevance, models: list[Model], settings: ARD) -> list[Model]:
    """Models of fewer and fewer functions, largest first."""
    while machine.size > settings.smallest:
        count = min(max(1, int(settings.share * machine.size)), machine.size - settings.smallest)
        gone = _dispensable(machine, count)
        if len(gone) > machine.size - max(1, settings.smallest):  # a group that is larger than what may go
            break
        machine.without(gone)
        machine.sweep(remove=False)
        models.append(machine.model())
    return models


def _dispensable(machine: _Relevance, count: int) -> Index:
    """Positions of at least ``count`` functions that cost least evidence (per cost of evaluation), in whole groups."""
    problem, active = machine.problem, machine.active
    loss = machine.losses()
    saved = np.ones(len(active)) if problem.costs is None else problem.costs.marginal(active)[active]
    if problem.groups is None:
        return np.argsort(loss / saved, kind="stable")[:count]
    _, group, sizes = np.unique(problem.groups[active], return_inverse=True, return_counts=True)
    order = np.argsort(np.bincount(group, loss) / np.bincount(group, saved), kind="stable")
    enough = int(np.searchsorted(np.cumsum(sizes[order]), count)) + 1
    return np.flatnonzero(np.isin(group, order[:enough]))


def _steps(models: list[Model]) -> tuple[Step, ...]:
    """What changes from model to model."""
    steps: list[Step] = []
    before: set[int] = set()
    for model in models:
        here = set(model.support.tolist())
        steps.append(Step(0.0, tuple(sorted(here - before)), tuple(sorted(before - here))))
        before = here
    return tuple(steps)


CATALOGUE = {
    "ard": Method(
        ARD,
        "automatic relevance determination: each function has its own prior, most vanish; then elimination",
        "about k³ flops a sweep, 50 to 200 sweeps",
        _REFERENCES,
        sparse=True,
        heeds=("costs", "groups"),
    )
}
