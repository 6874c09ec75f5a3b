r"""Coefficients of a support once more, without the shrinkage of the penalty that found it.

With the triangular factor T of the chosen columns and the targets q along them:

``least-squares``
    :math:`T \theta = q`.
``tsvd``
    The same, in the directions of the largest singular values alone: as many as predict the validation rows best.
``evidence``
    With the quadratic penalty under which the targets are most probable.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (SciPy brings no types)

from __future__ import annotations

from typing import Any, Final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from aliquot.solvers.evidence import best_of_spectrum
from aliquot.solvers.judge import Judge

__all__ = ["DEBIASES", "debiased", "errors_of_cuts"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_SCIPY: Any = scipy.linalg

DEBIASES: Final = ("none", "least-squares", "tsvd", "evidence")


def debiased(
    kind: str, T: Array, q: Array, support: Index, rest: float, judge: Judge
) -> tuple[Array, float | None]:
    """Coefficients θ of the support, and their log evidence where the kind knows it.

    Parameters
    ----------
    kind : str
        One of :data:`DEBIASES`, not ``none``.
    T : (k, k) array
        Triangular factor of the scaled columns of the support.
    q : (k,) array
        Targets along them.
    support : (k,) array of int
    rest : float
        Squared residual of least squares on this support.
    judge : Judge
        Has the validation rows.
    """
    if kind == "least-squares":
        return _SCIPY.solve_triangular(T, q), None
    u, s, vt = np.linalg.svd(T)
    rotated = u.T @ q
    if kind == "tsvd":
        cut = int(np.argmin(errors_of_cuts(s, vt, rotated, support, judge)))
        return vt[:cut].T @ (rotated[:cut] / s[:cut]), None
    found = best_of_spectrum(np.square(s), np.square(rotated), rest, judge.problem.n_rows)
    return vt.T @ (s / (s**2 + found.precision) * rotated), found.log_evidence


def errors_of_cuts(s: Array, vt: Array, rotated: Array, support: Index, judge: Judge) -> Array:
    """Squared validation residual of θ = Σ v_k (uᵀb)_k / s_k over 0, 1, 2, … singular values.

    Infinite where one of them is zero to rounding.
    """
    assert judge.held_out is not None
    X, b, _, _ = judge.held_out
    rank = int(np.count_nonzero(s > len(s) * np.finfo(float).eps * s.max(initial=0.0)))
    steps = X[:, support] @ (vt[:rank].T * (rotated[:rank] / s[:rank]))
    wrong = np.cumsum(np.column_stack((-b, steps)), axis=1)
    errors = np.full(len(s) + 1, np.inf)
    errors[: rank + 1] = np.einsum("ij,ij->j", wrong, wrong)
    return errors
