r"""Coefficients that satisfy conditions of optimality to the last digits a double holds.

Solutions of ill-conditioned problems have large coefficients that nearly cancel; rounding each of them to the nearest
double by itself spoils the residual :math:`r = z - R c`, and with it the conditions :math:`R_S^\top r = g`. Here the
residual is computed in twice the precision, the correction from the triangular factor follows, and the corrected
coefficients are rounded one after another, those still to come making up for the rounding of those before (the
nearest-plane method for lattices). Those whose rounding weighs most go first, those where it weighs least last: the
error left is that of the small ones.

References
----------
T. Ogita, S. M. Rump and S. Oishi, SIAM J. Sci. Comput. 26, 1955 (2005), doi:10.1137/030601818
L. Babai, Combinatorica 6, 1 (1986), doi:10.1007/BF02579403
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (SciPy and numba bring no types)

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

__all__ = ["exact_gaps", "refined"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_SCIPY: Any = scipy.linalg

_ROUNDS = 2  # the second finds nothing to mend, as a rule


def exact_gaps(R: Array, z: Array, support: Index, c: Array, which: Index, aim: Array) -> Array:
    """R_Wᵀ (z − R_S c) − aim, in twice the precision and rounded once; R is upper triangular, in Fortran order."""
    from aliquot.solvers import rounding_kernel  # numba: imported when needed

    high, low = rounding_kernel.residual(R, z, support, c)
    return rounding_kernel.correlations(R, high, low, which, aim)


def refined(R: Array, z: Array, support: Index, c: Array, target: Array, T: Array) -> Array:
    """Coefficients of R_Sᵀ (z − R_S c) = target.

    Parameters
    ----------
    R : (d, d) array
        Upper triangular, Fortran order.
    z : (d,) array
    support : (k,) array of int
    c : (k,) array
        Close to the solution.
    target : (k,) array
    T : (k, k) array
        Triangular factor of the columns ``R[:, support]``.

    Notes
    -----
    4 k³/3 flops for the factor in order of weight, then about 40 d k for each of two rounds; the best is returned.
    """
    from aliquot.solvers import rounding_kernel  # numba: imported when needed

    order = np.argsort(np.linalg.norm(T, axis=0) * np.abs(c), kind="stable")
    U: Array = np.asfortranarray(np.linalg.qr(T[:, order], mode="r"))
    chosen, aim = support[order], target[order]
    x = c[order]
    best, error = x, np.inf
    for _ in range(_ROUNDS + 1):
        gap = exact_gaps(R, z, chosen, x, chosen, aim)
        size = float(np.max(np.abs(gap) / np.abs(aim), initial=0.0))
        if size < error:
            best, error = x, size
        shift = _SCIPY.solve_triangular(U, _SCIPY.solve_triangular(U, gap, trans="T"))
        x = rounding_kernel.nearest(U, x, shift)
    out = np.empty_like(best)
    out[order] = best
    return out
