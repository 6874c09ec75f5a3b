r"""Bayesian ridge regression: the strengths of prior and noise are those under which the data are most probable.

With one noise σ for all (weighted) rows, everything follows from one singular value decomposition
(:mod:`aliquot.solvers.evidence`). With a noise :math:`\sigma_q` for each quantity q (energies, forces, …),

.. math:: P = \frac{1}{\tau^2} + \sum_q \frac{X_q^\top X_q}{\sigma_q^2}, \quad
   -2 \log p = \sum_q \Big[ m_q \log 2\pi\sigma_q^2 + \frac{\|X_q\theta - b_q\|^2}{\sigma_q^2} \Big]
   + \frac{\|\theta\|^2}{\tau^2} + \log \det \tau^2 P

is minimised over :math:`\log\sigma_q` and :math:`\log\tau` with exact gradients: with
:math:`\gamma_q = \mathrm{tr}\, P^{-1} X_q^\top X_q / \sigma_q^2`, the directions that quantity q decides,

.. math:: \frac{\partial \log p}{\partial \log \sigma_q} = \frac{\|X_q\theta - b_q\|^2}{\sigma_q^2} + \gamma_q - m_q,
   \qquad \frac{\partial \log p}{\partial \log \tau} = \frac{\|\theta\|^2}{\tau^2} - \sum_q \gamma_q .

P is never formed: its factor comes from the triangles, stacked and rotated. The largest gradient is reported, per row
of its quantity: an evidence that is not stationary was not maximised. Weights of the rows cancel where every
quantity has a noise of its own.

References
----------
D. J. C. MacKay, Neural Comput. 4, 415 (1992), doi:10.1162/neco.1992.4.3.415
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
import scipy.linalg.lapack
import scipy.optimize
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.solvers.evidence import prior_of
from aliquot.solvers.judge import Judge, Model
from aliquot.solvers.path import Path
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.protocol import Method
from aliquot.solvers.threads import one_thread_if_small
from aliquot.solvers.triangle import Triangle

__all__ = ["CATALOGUE", "EvidenceRidge"]

Array = NDArray[np.float64]

_LAPACK: Any = scipy.linalg.lapack
_SCIPY: Any = scipy.linalg

_REFERENCES = ("D. J. C. MacKay, Neural Comput. 4, 415 (1992), doi:10.1162/neco.1992.4.3.415",)

_STATIONARY = 1e-4  # largest gradient of the log evidence by a logarithm, per row, that counts as none
_PANEL = 32  # columns that LAPACK eliminates at a time


@dataclass(frozen=True)
class EvidenceRidge:
    """Ridge regression with the penalty of the largest evidence; a path of one point.

    Parameters
    ----------
    noise : {"shared", "separate"}
        One noise for all weighted rows, which trusts the weights; or one for each part of the problem.
    max_evaluations : int
        Of the evidence, for separate noises.
    """

    noise: str = "shared"
    max_evaluations: int = 60

    def __post_init__(self) -> None:
        if self.noise not in ("shared", "separate") or self.max_evaluations < 1:
            raise InputError(
                f"noise is 'shared' or 'separate', max_evaluations at least 1; got {self.noise!r} and"
                f" {self.max_evaluations}"
            )

    def solve(
        self,
        problem: LeastSquares | Triangle,
        *,
        validation: Triangle | None = None,
        progress: Progress = silent,
    ) -> Path:
        """Find the model; see :class:`aliquot.solvers.Solver`.

        Examples
        --------
        >>> rng = np.random.default_rng(0)
        >>> A = rng.normal(size=(500, 5))
        >>> triangle = Triangle(5)
        >>> triangle.absorb(A, A @ np.ones(5) + 0.1 * rng.normal(size=500))
        >>> path = EvidenceRidge().solve(triangle)
        >>> round(path.findings["noise"], 2), path.findings["stationary"]
        (0.1, True)
        """
        start = perf_counter()
        problem = LeastSquares.of(problem)
        judge = Judge(problem, validation)
        with one_thread_if_small(problem.n_columns):
            solved = _shared(problem) if self.noise == "shared" else _separate(problem, self, progress)
        theta, log_evidence, findings, notes = solved
        model = Model(
            theta, np.arange(problem.n_columns), penalty=findings["penalty"], log_evidence=log_evidence
        )
        if not findings["stationary"]:
            notes = (
                *notes,
                "the evidence has no maximum that was found: the data do not settle the strengths",
            )
        return Path(
            "evidence",
            asdict(self),
            problem.n_columns,
            problem.n_rows,
            tuple(judge.points([model])),
            stopped="the evidence is largest"
            if findings["stationary"]
            else "no further improvement was found",
            notes=notes,
            seconds=perf_counter() - start,
            findings=findings,
        )


_Solved = tuple[Array, float, dict[str, float], tuple[str, ...]]


def _shared(problem: LeastSquares) -> _Solved:
    found = prior_of(problem)
    d = problem.n_columns
    factor = _stack(problem.X, np.sqrt(found.precision) * np.eye(d), problem.b, np.zeros(d))
    theta: Array = _SCIPY.solve_triangular(factor[:-1, :-1], factor[:-1, -1])
    return (
        theta,
        found.log_evidence,
        {
            "penalty": found.precision,
            "noise": found.noise,
            "prior": found.noise / float(np.sqrt(found.precision)),
            "effective": found.effective,
            "stationary": found.stationary,
        },
        (),
    )


def _separate(problem: LeastSquares, settings: EvidenceRidge, progress: Progress) -> _Solved:
    names = list(problem.parts)
    parts = [_scaled(problem, t) for t in problem.parts.values()]
    rows = np.array([t.n_rows for t in problem.parts.values()], np.float64)
    shared = prior_of(problem)
    calls = 0

    def loss(logs: Array) -> tuple[float, Array]:
        nonlocal calls
        calls += 1
        progress("evidence", calls, settings.max_evaluations)
        log_evidence, gradient, _, _ = _evidence(parts, rows, logs)
        return -log_evidence, -gradient

    begin = np.full(len(names) + 1, np.log(shared.noise))
    begin[-1] -= 0.5 * np.log(shared.precision)
    search: Any = scipy.optimize.minimize(
        loss,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=[(x - 25.0, x + 25.0) for x in begin.tolist()],
        options={
            "maxfun": settings.max_evaluations,
            "ftol": 1e-13,
            "gtol": 1e-3 * _STATIONARY * float(rows.min()),
        },
    )
    logs: Array = search.x
    log_evidence, gradient, theta, decided = _evidence(parts, rows, logs)
    effective = float(decided.sum())
    slope = float(np.max(np.abs(gradient) / np.append(rows, max(effective, 1.0))))
    findings = {f"noise of {name}": float(np.exp(x)) for name, x in zip(names, logs[:-1], strict=True)}
    findings |= {f"effective of {name}": float(g) for name, g in zip(names, decided, strict=True)}
    findings |= {
        "prior": float(np.exp(logs[-1])),
        "penalty": float(np.exp(-2 * logs[-1])),
        "effective": effective,
        "gradient": slope,
        "evaluations": float(calls),
        "stationary": slope <= _STATIONARY,
    }
    note = "each quantity has its own noise: weights between quantities have no effect on this fit"
    return theta, log_evidence, findings, (note,)


def _scaled(problem: LeastSquares, triangle: Triangle) -> Array:
    """Factor of one part with targets in the last column, in scaled coordinates, (d + 1, d + 1)."""
    factor = triangle.factor
    factor[:, :-1] /= problem.prior
    return np.asfortranarray(factor)


def _evidence(parts: list[Array], rows: Array, logs: Array) -> tuple[float, Array, Array, Array]:
    """Log evidence, its gradient by log σ_q and log τ, the coefficients and γ_q."""
    d = parts[0].shape[1] - 1
    tau = float(np.exp(logs[-1]))
    scales = np.exp(-logs[:-1])
    total = np.zeros((d + 1, d + 1), order="F")
    np.fill_diagonal(total[:d, :d], 1.0 / tau)
    for scale, part in zip(scales.tolist(), parts, strict=True):
        total = _joined(total, scale * part)
    R = total[:d, :d]
    theta: Array = _SCIPY.solve_triangular(R, total[:d, d])
    squares = np.empty(len(parts))
    decided = np.empty(len(parts))
    for q, (scale, part) in enumerate(zip(scales.tolist(), parts, strict=True)):
        squares[q] = scale**2 * (np.sum((part[:d, :d] @ theta - part[:d, d]) ** 2) + part[d, d] ** 2)
        spread: Array = _SCIPY.solve_triangular(R, part[:d, :d].T, trans="T")
        decided[q] = scale**2 * np.einsum("ij,ij->", spread, spread)
    length = float(theta @ theta) / tau**2
    volume = 2.0 * float(np.sum(np.log(np.abs(np.diag(R))))) + 2.0 * d * float(logs[-1])
    log_evidence = -0.5 * float(
        rows @ (np.log(2.0 * np.pi) + 2.0 * logs[:-1]) + squares.sum() + length + volume
    )
    gradient = np.append(squares + decided - rows, length - decided.sum())
    return log_evidence, gradient, theta, decided


def _stack(upper: Array, lower: Array, b: Array, c: Array) -> Array:
    """Triangle of two triangles with their targets."""
    d = len(upper)
    one, two = np.zeros((d + 1, d + 1), order="F"), np.zeros((d + 1, d + 1), order="F")
    one[:d, :d], one[:d, d], two[:d, :d], two[:d, d] = upper, b, lower, c
    return _joined(one, two)


def _joined(one: Array, two: Array) -> Array:
    """Triangle of two triangles, (n, n) each; 2 n³/3 flops."""
    n = len(one)
    factored: Any = _LAPACK.dtpqrt(n, min(_PANEL, n), one, two)
    if int(factored[3]):
        raise InputError(f"LAPACK refused to factor the rows (dtpqrt, info {int(factored[3])})")
    return np.triu(factored[0])


CATALOGUE = {
    "evidence": Method(
        EvidenceRidge,
        "Bayesian ridge: prior and noise under which the data are most probable",
        "one singular value decomposition; with separate noises about 4 d³ flops for each of some 20 evaluations",
        _REFERENCES,
        sparse=False,
    )
}
