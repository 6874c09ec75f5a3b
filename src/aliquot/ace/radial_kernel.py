"""Compiled radial functions: values and derivatives for all neighbours of one pair of species.

Each family fills, per neighbour, a transformed distance x with its derivative and an envelope with its
derivative; the polynomials then follow by recursion, one vector loop over neighbours per function. Formulas and
references are in :mod:`aliquot.ace.radial`, whose ``evaluate`` is the specification.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from aliquot.ace.jit import jit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aliquot.ace.program import Radials
    from aliquot.ace.workspace import Workspace

__all__ = ["radial_functions"]


@jit
def _power(x: float, n: int) -> float:
    out = 1.0
    for _ in range(n):
        out *= x
    return out


@jit
def _agnesi(
    count: int, pair: NDArray[np.float64], kind: int, r: NDArray[np.float64], line: NDArray[np.float64]
) -> None:
    """x, dx/dr, envelope and its derivative of the Agnesi families into ``line``."""
    cutoff, r0, scale, slope = pair[0], pair[1], pair[2], pair[3]
    p, q, e = int(pair[4]), int(pair[5]), int(pair[6])
    end = cutoff / r0
    for j in range(count):
        s = r[j] / r0
        below_top, below_bottom = _power(s, q - 1), _power(s, q - p - 1)
        top = below_top * s
        bottom = 1.0 + (below_bottom * s if q > p else 1.0)
        d_bottom = (q - p) * below_bottom if q > p else 0.0
        y = 1.0 / (1.0 + slope * top / bottom)
        dy = -y * y * slope * (q * below_top * bottom - top * d_bottom) / (bottom * bottom)
        x, dx = scale * (y - 1.0) - 1.0, scale * dy / r0
        line[0, j], line[1, j] = x, dx
        if kind == 0:
            low = _power(1.0 - x * x, e - 1)
            line[2, j], line[3, j] = low * (1.0 - x * x), -2.0 * e * x * low * dx
        else:
            line[2, j] = 1.0 / (s * s) - 1.0 / (end * end) + 2.0 * (s - end) / (end * end * end)
            line[3, j] = (2.0 / (end * end * end) - 2.0 / (s * s * s)) / r0


@jit
def _exponential(
    count: int, pair: NDArray[np.float64], r: NDArray[np.float64], line: NDArray[np.float64]
) -> None:
    """x, dx/dr, envelope and its derivative of ChebExpCos into ``line``."""
    cutoff, lam, width = pair[0], pair[1], pair[2]
    end = math.exp(-lam)
    for j in range(count):
        now = math.exp(-lam * r[j] / cutoff)
        line[0, j] = 1.0 - 2.0 * (now - end) / (1.0 - end)
        line[1, j] = 2.0 * lam / cutoff * now / (1.0 - end)
        angle = math.pi * r[j] / cutoff
        f, df = 0.5 * (1.0 + math.cos(angle)), -0.5 * math.pi / cutoff * math.sin(angle)
        if r[j] > cutoff - width:
            angle = math.pi * (r[j] - cutoff + width) / width
            g, dg = 0.5 * (1.0 + math.cos(angle)), -0.5 * math.pi / width * math.sin(angle)
            f, df = f * g, df * g + f * dg
        line[2, j], line[3, j] = f, df


@jit
def _polynomials(
    count: int,
    start: int,
    recursion: NDArray[np.float64],
    chebyshev: bool,
    line: NDArray[np.float64],
    value: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> None:
    """Polynomials in x times the envelope into rows ``start`` and on of ``value`` and ``slope``."""
    x, dx, env, denv = line[0], line[1], line[2], line[3]
    n_max = recursion.shape[0]
    for n in range(n_max):
        v, d = value[start + n], slope[start + n]
        if n == 0:
            for j in range(count):
                v[j], d[j] = (1.0 if chebyshev else recursion[0, 1]), 0.0
            continue
        a, c = recursion[n, 0], recursion[n, 2]
        if chebyshev:
            a, c = (1.0, 0.0) if n == 1 else (2.0, 1.0)
        one, done = value[start + n - 1], slope[start + n - 1]
        two, dtwo = value[start + max(n - 2, 0)], slope[start + max(n - 2, 0)]
        for j in range(count):
            v[j] = a * x[j] * one[j] - c * two[j]
            d[j] = a * (one[j] + x[j] * done[j]) - c * dtwo[j]
    for n in range(n_max):
        v, d = value[start + n], slope[start + n]
        shift, sign = (0.5, -0.5) if chebyshev and n > 0 else (0.0, 1.0)
        for j in range(count):
            f = shift + sign * v[j]
            d[j] = sign * d[j] * dx[j] * env[j] + f * denv[j]
            v[j] = f * env[j]


@jit
def _bessel(
    count: int,
    start: int,
    pair: NDArray[np.float64],
    recursion: NDArray[np.float64],
    r: NDArray[np.float64],
    line: NDArray[np.float64],
    value: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> None:
    """Simplified spherical Bessel functions; sines and cosines of multiples by recursion."""
    wave, norm = math.pi / pair[0], pair[1]
    twice, sine, cosine, before = line[0], line[1], line[2], line[3]
    for j in range(count):
        twice[j] = 2.0 * math.cos(wave * r[j])
        sine[j], cosine[j], before[j] = math.sin(wave * r[j]), math.cos(wave * r[j]), 0.0
    for n in range(recursion.shape[0]):
        scale = norm * recursion[n, 0]
        own, past = recursion[n, 1], recursion[n, 2]
        v, d = value[start + n], slope[start + n]
        last, dlast = value[start + max(n - 1, 0)], slope[start + max(n - 1, 0)]
        k = n + 1
        for j in range(count):
            s, c = sine[j], cosine[j]
            following = twice[j] * s - before[j]  # sin (k + 1)θ
            c_next = c * 0.5 * twice[j] - s * math.sin(wave * r[j])
            angle, angle_next = k * wave * r[j], (k + 1) * wave * r[j]
            wave_sum = s / angle + following / angle_next
            rise = (
                k * wave * (c - s / angle) / angle
                + (k + 1) * wave * (c_next - following / angle_next) / angle_next
            )
            v_new, d_new = own * scale * wave_sum, own * scale * rise
            if n > 0:
                v_new += past * last[j]
                d_new += past * dlast[j]
            v[j], d[j] = v_new, d_new
            before[j], sine[j], cosine[j] = s, following, c_next


@jit
def radial_functions(count: int, z: int, other: int, radials: Radials, work: Workspace) -> None:
    """All radial functions of the first ``count`` neighbours: base, then pair, then mixed rows."""
    value, slope, line, r = work.radial, work.slope, work.line, work.r
    n_base, n_pair = radials.recursion.shape[0], radials.pair_recursion.shape[0]
    pair = radials.pairs[z, other]
    if radials.kind == 0:
        _agnesi(count, pair, 0, r, line)
        _polynomials(count, 0, radials.recursion, False, line, value, slope)
    elif radials.kind == 2:
        _exponential(count, pair, r, line)
        _polynomials(count, 0, radials.recursion, True, line, value, slope)
    else:
        _bessel(count, 0, pair, radials.recursion, r, line, value, slope)
    if n_pair > 0:
        _agnesi(count, radials.pair_pairs[z, other], 1, r, line)
        _polynomials(count, n_base, radials.pair_recursion, False, line, value, slope)
    for j in range(count):
        if r[j] >= pair[0]:
            for n in range(n_base + n_pair):
                value[n, j] = 0.0
                slope[n, j] = 0.0
    for row in range(radials.mix.shape[2]):
        v, d = value[n_base + n_pair + row], slope[n_base + n_pair + row]
        v[:count] = 0.0
        d[:count] = 0.0
        for k in range(n_base):
            weight, base, dbase = radials.mix[z, other, row, k], value[k], slope[k]
            for j in range(count):
                v[j] += weight * base[j]
                d[j] += weight * dbase[j]
