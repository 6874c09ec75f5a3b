r"""Truncated singular values: least squares in the directions that the data fill, and none in the others.

.. math:: \theta_r = \sum_{k \le r} v_k \frac{u_k^\top b}{s_k}, \qquad X = U\,\mathrm{diag}(s)\,V^\top .

The cut r is the one whose model predicts the validation rows best, or a tolerance on :math:`s_r / s_1`. The path goes
through cuts and ends at the chosen one; all functions take part in every model.

References
----------
P. C. Hansen, BIT 27, 534 (1987), doi:10.1007/BF01937276
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.solvers.debias import errors_of_cuts
from aliquot.solvers.judge import Judge, Model
from aliquot.solvers.path import Path
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.protocol import Method
from aliquot.solvers.threads import one_thread_if_small
from aliquot.solvers.triangle import Triangle

__all__ = ["CATALOGUE", "TSVD"]

_REFERENCES = ("P. C. Hansen, BIT 27, 534 (1987), doi:10.1007/BF01937276",)


@dataclass(frozen=True)
class TSVD:
    """Truncated singular value decomposition.

    Parameters
    ----------
    tolerance : float, optional
        Singular values below this share of the largest are cut; by default validation rows choose the cut.
    points : int
        Models at most, evenly spread over cuts.
    """

    tolerance: float | None = None
    points: int = 50

    def __post_init__(self) -> None:
        if self.points < 1 or (self.tolerance is not None and not 0 < self.tolerance < 1):
            raise InputError(
                f"tolerance must be between 0 and 1, points at least 1; got {self.tolerance} and {self.points}"
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
        >>> triangle = Triangle(2)
        >>> triangle.absorb(np.diag([1.0, 1e-9]), np.array([2.0, 1.0]))
        >>> TSVD(tolerance=1e-6).solve(triangle).coefficients().round(12).tolist()
        [2.0, 0.0]
        """
        start = perf_counter()
        problem = LeastSquares.of(problem)
        judge = Judge(problem, validation)
        if self.tolerance is None and validation is None:
            raise InputError("tsvd needs validation rows, which choose its cut; or give a tolerance")
        with one_thread_if_small(problem.n_columns):
            u, s, vt = np.linalg.svd(problem.X)
        rotated = u.T @ problem.b
        every = np.arange(problem.n_columns)
        if self.tolerance is None:
            cut = int(np.argmin(errors_of_cuts(s, vt, rotated, every, judge)))
        else:
            cut = int(np.count_nonzero(s > self.tolerance * s.max(initial=0.0)))
        cuts = np.unique(np.linspace(min(1, cut), cut, self.points).round()).astype(int).tolist()
        models = [
            Model(vt[:r].T @ (rotated[:r] / s[:r]), every, r, float(s[r - 1]) if r else 0.0) for r in cuts
        ]
        progress("tsvd", 1, 1)
        return Path(
            "tsvd",
            asdict(self),
            problem.n_columns,
            problem.n_rows,
            tuple(judge.points(models)),
            stopped="this cut predicts the validation rows best" if self.tolerance is None else "tolerance",
            seconds=perf_counter() - start,
            findings={"cut": float(cut)},
        )


CATALOGUE = {
    "tsvd": Method(
        TSVD,
        "truncated singular values, the cut chosen by validation",
        "one singular value decomposition, about 20 d³ flops",
        _REFERENCES,
        sparse=False,
    )
}
