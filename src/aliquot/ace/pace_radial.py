r"""Our radial functions as combinations of PACE's: exactly where they are PACE's own, else by a fit with known error.

In PACE a radial function is :math:`R_{nl} = \sum_k c_{nlk} g_k` with ChebExpCos or SBessel functions g, and all
terms of one density add up to a pair energy :math:`V_{ab}(r) = \sum_k v_{abk} g_k(r)`. Potentials in these
families are taken over number by number. Every other family is expanded in K ChebExpCos functions by least squares
of values and slopes between ``r_min`` and the cutoff; with λ = 2 and K = 64, functions of the Agnesi families are
reproduced to about 1e-10. The customary switch of 0.01 Å before the cutoff would cost 1e-4 eV/Å, since our
functions have none; the fit uses 1e-5 Å.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import PAIR, Function
from aliquot.ace.pace_text import SPLINE_STEP
from aliquot.ace.potential import AcePotential
from aliquot.ace.radial import ChebExpCos, RadialFamily, SBessel

__all__ = ["LAMBDAS", "SIZES", "PaceRadials", "exact_radials", "fitted_radials", "is_native"]

Array = NDArray[np.float64]

#: Numbers of functions and values of λ that are tried, the smallest number first.
SIZES: Final = (24, 32, 40, 48, 56, 64)
LAMBDAS: Final = (1.5, 2.0, 3.0)

#: Width of the switch before the cutoff, Å.
SWITCH: Final = 1e-5

#: Between ``NEAR`` (Å) and ``r_min`` the fit of the many-body functions counts this much.
NEAR: Final = 0.05
NEAR_WEIGHT: Final = 1e-4

#: PACE tabulates its functions: the rounding of a slope is this much times the sum of the coefficients (1/Å).
ROUNDING: Final = 2.2e-16 / SPLINE_STEP

#: Slopes count as much as values over this length, Å.
SLOPE_LENGTH: Final = 0.1


@dataclass(frozen=True, eq=False)
class PaceRadials:
    """Radial functions of a potential in a family of PACE.

    Parameters
    ----------
    family : RadialFamily
        The base functions gₖ.
    many : dict of (n, l) to (Z, Z, K) array
        Coefficients of the radial functions of products.
    single : (Z, Z, K) array, eV
        Coefficients of the pair energy of a centre and a neighbour.
    values, slopes : float
        Largest error of any function of ``many`` and of its derivative, each relative to the function's largest;
        that of derivatives includes the rounding of PACE's tables.
    pair_energy, pair_force : float
        Largest error of a pair energy (eV) and of its derivative (eV/Å, with the rounding), beyond ``r_min``.
    """

    family: RadialFamily
    many: dict[tuple[int, int], Array]
    single: Array
    values: float = 0.0
    slopes: float = 0.0
    pair_energy: float = 0.0
    pair_force: float = 0.0


def is_native(potential: AcePotential) -> bool:
    """Whether PACE has the radial functions of this potential, so that it can be written exactly."""
    used = potential.pruned.basis
    pairs = any(f.l == PAIR for function in used.functions for f in function.factors)
    return isinstance(used.radial, (ChebExpCos, SBessel)) and not pairs


def _split(potential: AcePotential) -> tuple[list[tuple[int, Function]], list[tuple[int, int]]]:
    """Functions of one density with their position, and the (n, l) of the products."""
    functions = potential.basis.functions
    single = [(k, f) for k, f in enumerate(functions) if f.order == 1]
    many = {(f.n, f.l) for function in functions if function.order > 1 for f in function.factors}
    return single, sorted(many)


def exact_radials(potential: AcePotential) -> PaceRadials:
    """Radial functions of a potential in ChebExpCos or SBessel functions (:func:`is_native`)."""
    basis = potential.basis
    z, n_base = len(basis.elements), basis.n_base
    mix = np.broadcast_to(np.eye(n_base), (z, z, n_base, n_base))
    if basis.mix is not None:
        mix = np.concatenate([mix, basis.mix.matrix], axis=2)
    single, many = _split(potential)
    pair_energy = np.zeros((z, z, n_base))
    for k, function in single:
        factor = function.factors[0]
        row = mix[:, factor.channel, basis.radial_row(factor.n, factor.l)]
        pair_energy[:, factor.channel] += potential.coefficients[:, k, None] * row / np.sqrt(4 * np.pi)
    rows = {(n, l): np.array(mix[:, :, basis.radial_row(n, l)]) for n, l in many}
    return PaceRadials(basis.radial, rows, pair_energy)


def fitted_radials(potential: AcePotential, *, size: int, lam: float, r_min: Array) -> PaceRadials:
    """Radial functions of a potential expanded in ``size`` ChebExpCos functions.

    Parameters
    ----------
    potential : AcePotential
    size : int
        K.
    lam : float
        λ.
    r_min : (Z, Z) array, Å
        Shortest distance that counts fully, for every pair of elements.
    """
    basis = potential.basis
    z = len(basis.elements)
    family = ChebExpCos(lam, SWITCH)
    single, many = _split(potential)
    rows = [basis.radial_row(n, l) for n, l in many]
    out = {pair: np.zeros((z, z, size)) for pair in many}
    pair_energy = np.zeros((z, z, size))
    errors = np.zeros(4)
    for a in range(z):
        for b in range(z):
            weights = np.zeros(len(basis.radial_functions(a, b, np.ones(1))[0]))
            for k, function in single:
                factor = function.factors[0]
                if factor.channel == b:
                    norm = 1.0 if factor.l == PAIR else np.sqrt(4 * np.pi)
                    weights[basis.radial_row(factor.n, factor.l)] += potential.coefficients[a, k] / norm
            select = np.zeros((len(rows) + 1, len(weights)))
            select[np.arange(len(rows)), rows] = 1.0
            select[-1] = weights
            fit, error = _fit(potential, family, (a, b), select, size=size, r_min=float(r_min[a, b]))
            errors = np.maximum(errors, error)
            for pair, row in zip(many, fit, strict=False):
                out[pair][a, b] = row
            pair_energy[a, b] = fit[-1]
    return PaceRadials(family, out, pair_energy, *map(float, errors))


def _fit(
    potential: AcePotential,
    family: ChebExpCos,
    elements: tuple[int, int],
    select: Array,
    *,
    size: int,
    r_min: float,
) -> tuple[Array, Array]:
    """Coefficients of ``select`` @ our radial functions (the last a pair energy), and the four errors."""
    basis = potential.basis
    a, b = elements
    options = {"r0": float(basis.r0[a, b]), "cutoff": float(basis.cutoffs[a, b])}
    end = options["cutoff"] - SWITCH

    def tables(r: Array) -> tuple[Array, Array, Array, Array]:
        own, slopes = basis.radial_functions(a, b, r)
        return (*family.evaluate(r, size, **options), select @ own, select @ slopes)

    far, near, fine = _points(r_min, end, 600), _points(NEAR, r_min, 200), np.linspace(r_min, end, 3001)
    g, dg, target, dtarget = tables(far)
    matrix, right = np.vstack([g.T, SLOPE_LENGTH * dg.T]), np.vstack([target.T, SLOPE_LENGTH * dtarget.T])
    small = (
        ROUNDING * SLOPE_LENGTH * np.sqrt(len(matrix)) * np.eye(size)
    )  # large coefficients cost what they round
    matrix, right = np.vstack([small, matrix]), np.vstack([np.zeros((size, len(select))), right])
    fit = np.empty((len(select), size))
    fit[-1] = np.linalg.lstsq(matrix, right[:, -1], rcond=None)[0]
    if len(select) > 1:  # pair energies may diverge at short range, the others stay tame all the way
        g, dg, target, dtarget = tables(near)
        matrix = np.vstack([matrix, NEAR_WEIGHT * g.T, NEAR_WEIGHT * SLOPE_LENGTH * dg.T])
        more = np.vstack([NEAR_WEIGHT * target.T, NEAR_WEIGHT * SLOPE_LENGTH * dtarget.T])
        right = np.vstack([right, more])[:, :-1]
        fit[:-1] = np.linalg.lstsq(matrix, right, rcond=None)[0].T
    g, dg, target, dtarget = tables(fine)
    value, slope = np.abs(fit @ g - target).max(axis=1), np.abs(fit @ dg - dtarget).max(axis=1)
    slope += ROUNDING * np.abs(fit).sum(axis=1)
    largest = np.maximum(np.abs(target).max(axis=1), 1e-300), np.maximum(np.abs(dtarget).max(axis=1), 1e-300)
    relative = [(v / m)[:-1].max(initial=0.0) for v, m in zip((value, slope), largest, strict=True)]
    return fit, np.array([*relative, value[-1], slope[-1]])


def _points(start: float, stop: float, n: int) -> Array:
    """Points that crowd towards both ends."""
    return start + (stop - start) * 0.5 * (1 - np.cos(np.pi * (np.arange(n) + 0.5) / n))
