"""The specification: ACE site values in plain, slow numpy. The kernels are tested against it."""

from __future__ import annotations

from math import factorial, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import lpmv

from aliquot.ace.basis import AceBasis

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
    l_max = max(max(f.l, 0) for function in basis.functions for f in function.factors)
    position = {z: k for k, z in enumerate(basis.elements)}
    rows, _ = basis.radial_functions(0, 0, np.ones(1))
    density = np.zeros((basis.n_channels, len(rows), (l_max + 1) ** 2))
    for number, vector in zip(numbers, vectors, strict=True):
        r = float(np.linalg.norm(vector))
        radial, _ = basis.radial_functions(position[centre], position[int(number)], np.array([r]))
        harmonics = real_harmonics(vector[None] / r, l_max)[0]
        weights = basis.channel_weights[:, position[int(number)]]
        density += weights[:, None, None] * radial[:, 0][None, :, None] * harmonics[None, None, :]
    out = np.zeros(len(basis.functions))
    for k, function in enumerate(basis.functions):
        for ms, coefficient in function.terms():
            product = coefficient
            for f, m in zip(function.factors, ms, strict=True):
                l = max(f.l, 0)
                product *= density[f.channel, basis.radial_row(f.n, f.l), l * l + m]
            out[k] += product
    return out
