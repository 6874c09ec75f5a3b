r"""How far is an atom from what the training set informs about? A smooth grade, for any number of training atoms.

With the features b of all N training atoms of an element, and a prior that keeps the matrix regular,

.. math:: P = \sum_n b_n^\top b_n + \lambda \Gamma^2, \qquad h(b) = \sqrt{b P^{-1} b^\top},

a training atom has :math:`h \le 1`, and N atoms of k features have h² = k/N on average. h is the standard deviation
of the site energy in units of the noise of one label per atom; no label enters. Γ is the smoothness of the functions
and λ = 10⁻⁶ of the largest eigenvalue in coordinates that it scales.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from aliquot.uncertainty.active import SiteFactor

__all__ = ["leverage", "leverage_roots"]

Array = NDArray[np.float64]

#: λ as a fraction of the largest eigenvalue of the information, in smoothness-scaled coordinates.
PRIOR: Final = 1e-6


def leverage_roots(factors: Sequence[SiteFactor], priors: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """One (k, k) matrix M per element, with h(b) = |b M|.

    Parameters
    ----------
    factors : sequence of SiteFactor
        From :func:`~aliquot.uncertainty.active.active_sets`.
    priors : sequence of (k,) arrays, optional
        Γ of each element; the root mean square of each feature by default.
    """
    roots: list[Array] = []
    for z, factor in enumerate(factors):
        R = factor.R
        length = np.linalg.norm(R, axis=0) / np.sqrt(max(1, factor.count))
        gamma = np.where(length > 0, length, 1.0) if priors is None else priors[z]
        largest = float(np.linalg.norm(R / gamma, 2)) if R.size else 0.0
        strength = np.sqrt(PRIOR) * largest or 1.0
        U = np.linalg.qr(np.vstack((R / gamma, strength * np.eye(len(R)))), mode="r")
        roots.append(scipy.linalg.solve_triangular(U, np.eye(len(U))) / gamma[:, None])
    return tuple(roots)


def leverage(features: Array, root: Array) -> Array:
    """Leverage of atoms with these features, (n, k): (n,); 2 k² flops per atom."""
    scaled = features @ root
    return np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
