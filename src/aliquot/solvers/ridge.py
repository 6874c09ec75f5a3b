r"""Ridge regression: least squares with a penalty on the length of the coefficients.

.. math:: \hat\theta(\lambda) = \arg\min_\theta \|X\theta - b\|^2 + \lambda \|\theta\|^2
   = V\, \mathrm{diag}\!\Big(\frac{s}{s^2 + \lambda}\Big)\, U^\top b, \qquad X = U\,\mathrm{diag}(s)\,V^\top .

One singular value decomposition of the triangle serves every λ. The path goes from strong to weak penalties; with
validation rows the best of them is a matter of reading it.

References
----------
A. E. Hoerl and R. W. Kennard, Technometrics 12, 55 (1970), doi:10.1080/00401706.1970.10488634
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.solvers.judge import Judge, Model
from aliquot.solvers.path import Path
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.protocol import Method
from aliquot.solvers.threads import one_thread_if_small
from aliquot.solvers.triangle import Triangle

__all__ = ["CATALOGUE", "Ridge"]

_REFERENCES = (
    "A. E. Hoerl and R. W. Kennard, Technometrics 12, 55 (1970), doi:10.1080/00401706.1970.10488634",
)


@dataclass(frozen=True)
class Ridge:
    """Least squares with a quadratic penalty, for a ladder of strengths.

    Parameters
    ----------
    penalties : tuple of float
        λ as fractions of the largest squared singular value of the scaled rows; the path goes from large to small.
    absolute : bool
        Whether ``penalties`` are values of λ themselves.
    """

    penalties: tuple[float, ...] = tuple(float(f"1e{k}") for k in range(-2, -19, -1))
    absolute: bool = False

    def __post_init__(self) -> None:
        if not self.penalties or not all(np.isfinite(p) and p > 0 for p in self.penalties):
            raise InputError(f"penalties must be positive numbers, at least one; got {self.penalties}")

    def solve(
        self,
        problem: LeastSquares | Triangle,
        *,
        validation: Triangle | None = None,
        progress: Progress = silent,
    ) -> Path:
        """Find the models of all penalties; see :class:`aliquot.solvers.Solver`.

        Examples
        --------
        >>> triangle = Triangle(2)
        >>> triangle.absorb(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 5.0]))
        >>> Ridge((1e-2, 1e-12)).solve(triangle).coefficients(-1).round(6)
        array([1., 2.])
        """
        start = perf_counter()
        problem = LeastSquares.of(problem)
        judge = Judge(problem, validation)
        with one_thread_if_small(problem.n_columns):
            u, s, vt = np.linalg.svd(problem.X)
        rotated = u.T @ problem.b
        unit = 1.0 if self.absolute else float(s.max(initial=0.0)) ** 2 or 1.0
        every = np.arange(problem.n_columns)
        models = [
            Model(vt.T @ (s / (s**2 + unit * p) * rotated), every, penalty=unit * p)
            for p in sorted(self.penalties, reverse=True)
        ]
        progress("solve", 1, 1)
        return Path(
            "ridge",
            asdict(self) | {"penalties": list(self.penalties)},
            problem.n_columns,
            problem.n_rows,
            tuple(judge.points(models)),
            stopped="all penalties are done",
            seconds=perf_counter() - start,
        )


CATALOGUE = {
    "ridge": Method(
        Ridge,
        "least squares with a quadratic penalty, for a ladder of strengths",
        "one singular value decomposition, about 20 d³ flops",
        _REFERENCES,
        sparse=False,
    )
}
