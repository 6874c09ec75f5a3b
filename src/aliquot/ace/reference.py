"""The specification: ACE site values in plain, slow numpy. The kernels are tested against it."""

from __future__ import annotations

from math import factorial, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import lpmv

from aliquot.ace.basis import AceBasis
from aliquot.ace.coupling import invariants

__all__ = ["real_harmonics", "reference_site_values"]


def real_harmonics(directions: NDArray[np.float64], l_max: int) -> NDArray[np.float64]:
    """Orthonormal real spherical harmonics, (len(directions), (l_max + 1)²), index l² + l + m.

    m > 0 goes with cos mφ, m < 0 with sin |m|φ, without the Condon–Shortley phase: Y₁ ∝ (y, z, x).
    """
    x, y, z = directions.T
    phi = np.arctan2(y, x)
    out = np.empty((len(directions), (l_max + 1) ** 2))
    for degree in range(l_max + 1):
        for m in range(degree + 1):
            norm = sqrt((2 * degree + 1) / (4 * pi) * factorial(degree - m) / factorial(degree + m))
            legendre = (-1) ** m * norm * lpmv(m, degree, np.clip(z, -1, 1))
            centre = degree * degree + degree
            if m == 0:
                out[:, centre] = legendre
            else:
                out[:, centre + m] = sqrt(2) * legendre * np.cos(m * phi)
                out[:, centre - m] = sqrt(2) * legendre * np.sin(m * phi)
    return out


def reference_site_values(
    basis: AceBasis,
    centre: int,
    numbers: NDArray[np.int64],
    vectors: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Every basis function of one environment, (n_functions,).

    Parameters
    ----------
    centre : int
        Atomic number of the central atom.
    numbers : (n,) array of int
        Atomic numbers of the neighbours.
    vectors : (n, 3) array of float
        From the centre to each neighbour, Å.
    """
    l_max = max(f.l for function in basis.functions for f in function.factors)
    n_max = max(f.n for function in basis.functions for f in function.factors)
    position = {z: k for k, z in enumerate(basis.elements)}
    density = np.zeros((basis.n_channels, n_max, (l_max + 1) ** 2))
    for number, vector in zip(numbers, vectors, strict=True):
        r = float(np.linalg.norm(vector))
        r0 = basis.r0[position[centre], position[int(number)]]
        radial, _ = basis.radial.evaluate(np.array([r]), n_max, r0=r0, cutoff=basis.cutoff)
        harmonics = real_harmonics(vector[None] / r, l_max)[0]
        weights = basis.channel_weights[:, position[int(number)]]
        density += weights[:, None, None] * radial[:, 0][None, :, None] * harmonics[None, None, :]
    out = np.zeros(len(basis.functions))
    for k, function in enumerate(basis.functions):
        factors = function.factors
        same = tuple(factors.index(f) for f in factors)
        terms = dict(invariants(tuple(f.l for f in factors), same))[function.L]
        for ms, coefficient in terms:
            product = coefficient
            for f, m in zip(factors, ms, strict=True):
                product *= density[f.channel, f.n - 1, f.l * f.l + m]
            out[k] += product
    return out
