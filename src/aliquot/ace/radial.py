r"""Radial functions of the pair distance, and the numbers that a kernel needs to evaluate them.

The default family follows ACEpotentials: the distance is mapped by a generalised Agnesi transform

.. math:: y(r) = \left[1 + a \frac{s^q}{1 + s^{q-p}}\right]^{-1}, \quad s = r/r_0, \quad
          a = \frac{-2q + p(4q-2)}{p + p^2 + q + q^2},

scaled linearly to :math:`x \in [-1, 1]` (x = −1 at r = 0, +1 at the cutoff), where a is chosen so that the
slope is largest at the bond length r₀. On x stand polynomials times an envelope that vanishes at both ends,

.. math:: R_n(r) = (1 - x^2)^e\, P_{n-1}^{(2e, 2e)}(x), \quad n = 1, 2, \ldots,

with Jacobi polynomials normalised so that the :math:`R_n` are orthonormal in x. At the cutoff the functions
are continuously differentiable e − 1 times; inside they are analytic.

References
----------
W. C. Witt et al., J. Chem. Phys. 159, 164101 (2023), doi:10.1063/5.0158783.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["AgnesiJacobi", "bond_length"]


def bond_length(number: int) -> float:
    """Typical nearest-neighbour distance of an element, Å.

    From the reference crystal or dimer in ASE's table where its geometry gives the distance exactly, else
    twice the covalent radius.

    Examples
    --------
    >>> round(bond_length(29), 3), round(bond_length(14), 3)
    (2.553, 2.351)
    """
    from ase.data import covalent_radii, reference_states

    state: Mapping[str, Any] = reference_states[number] or {}
    nearest = {"fcc": 2**-0.5, "bcc": 3**0.5 / 2, "diamond": 3**0.5 / 4, "sc": 1.0, "hcp": 1.0}
    symmetry = state.get("symmetry")
    if symmetry in nearest:
        return float(state["a"]) * nearest[symmetry]
    if symmetry == "diatom":
        return float(state["d"])
    return 2.0 * float(covalent_radii[number])


@dataclass(frozen=True)
class AgnesiJacobi:
    """Orthonormal Jacobi polynomials of an Agnesi-transformed distance, with an envelope.

    Parameters
    ----------
    p, q : int
        Exponents of the transform, ``q >= p >= 1``.
    envelope : int
        Exponent e of (1 − x²)ᵉ, at least 2: forces are continuous at the cutoff.
    """

    p: int = 2
    q: int = 4
    envelope: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.p <= self.q:
            raise InputError(f"the Agnesi transform needs 1 <= p <= q; got p={self.p}, q={self.q}")
        if self.envelope < 2:
            raise InputError(f"envelope={self.envelope} leaves a kink in the forces; use 2 or more")

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable specification."""
        return {"family": "agnesi-jacobi", "p": self.p, "q": self.q, "envelope": self.envelope}

    @property
    def slope(self) -> float:
        """The constant a of the transform."""
        p, q = self.p, self.q
        return (-2 * q + p * (4 * q - 2)) / (p + p * p + q + q * q)

    def transform(
        self, r: NDArray[np.float64] | float, r0: float, cutoff: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """x(r) in [−1, 1] and dx/dr (1/Å)."""
        y, dy = self._agnesi(np.asarray(r, float) / r0)
        scale = self.scale(r0, cutoff)
        return scale * (y - 1.0) - 1.0, scale * dy / r0

    def scale(self, r0: float, cutoff: float) -> float:
        """Factor of the linear map from y ∈ [y(cutoff), 1] onto x ∈ [1, −1]."""
        return 2.0 / (float(self._agnesi(np.asarray(cutoff / r0))[0]) - 1.0)

    def _agnesi(self, s: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        p, q = self.p, self.q
        top, bottom = s**q, 1.0 + s ** (q - p)
        y = 1.0 / (1.0 + self.slope * top / bottom)
        d_top, d_bottom = q * s ** (q - 1), (q - p) * s ** max(q - p - 1, 0)
        return y, -y * y * self.slope * (d_top * bottom - top * d_bottom) / bottom**2

    def recursion(self, n_max: int) -> NDArray[np.float64]:
        """Coefficients of the three-term recursion of the orthonormal Jacobi polynomials, (n_max + 1, 3).

        Row n holds (A, B, C) with ``P[n] = (A x + B) P[n-1] − C P[n-2]``; row 0 holds P[0] in its B. By the
        symmetry of the weight (1 − x²)²ᵉ every B but the first is zero.
        """
        x, w = np.polynomial.legendre.leggauss(n_max + 2 * self.envelope + 2)
        w = w * (1 - x * x) ** (2 * self.envelope)
        out = np.zeros((n_max + 1, 3))
        previous, current = np.zeros_like(x), np.full_like(x, w.sum() ** -0.5)
        out[0, 1] = current[0]
        last = 0.0
        for n in range(1, n_max + 1):
            following = x * current - last * previous
            norm = float(np.sqrt(np.sum(w * following**2)))
            out[n] = 1.0 / norm, 0.0, last / norm
            previous, current, last = current, following / norm, norm
        return out

    def evaluate(
        self, r: NDArray[np.float64], n_max: int, *, r0: float, cutoff: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values and derivatives, each (n_max, len(r)); zero at and beyond the cutoff. The specification."""
        r = np.asarray(r, float)
        x, dx = self.transform(r, r0, cutoff)
        e = self.envelope
        env, denv = (1 - x * x) ** e, -2 * e * x * (1 - x * x) ** (e - 1)
        poly, dpoly = np.zeros((2, n_max, len(r)))
        coefficients = self.recursion(n_max)
        for n in range(n_max):
            a, b, c = coefficients[n]
            one, done = (poly[n - 1], dpoly[n - 1]) if n >= 1 else (np.ones_like(x), np.zeros_like(x))
            two, dtwo = (poly[n - 2], dpoly[n - 2]) if n >= 2 else (np.zeros_like(x), np.zeros_like(x))
            poly[n] = (a * x + b) * one - c * two
            dpoly[n] = a * one + (a * x + b) * done - c * dtwo
        inside = r < cutoff
        return inside * env * poly, inside * (denv * poly + env * dpoly) * dx
