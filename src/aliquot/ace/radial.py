r"""Radial functions of the pair distance.

Every family is a small frozen record with the same three abilities: ``evaluate`` is the specification in numpy;
``parameters`` and ``recursion`` are the numbers with which the kernels of :mod:`aliquot.ace.radial_kernel`
evaluate the same functions. All vanish with their first derivative at the cutoff.

The default follows ACEpotentials: the distance is mapped by a generalised Agnesi transform

.. math:: y(r) = \left[1 + a \frac{s^q}{1 + s^{q-p}}\right]^{-1}, \quad s = r/r_0, \quad
          a = \frac{-2q + p(4q-2)}{p + p^2 + q + q^2},

scaled linearly to :math:`x \in [-1, 1]` (x = −1 at r = 0, +1 at the cutoff), where a is chosen so that the
slope is largest at the bond length r₀. On x stand orthonormal polynomials times an envelope.

References
----------
W. C. Witt et al., J. Chem. Phys. 159, 164101 (2023), doi:10.1063/5.0158783 (Agnesi transform, pair basis).
R. Drautz, Phys. Rev. B 99, 014104 (2019), doi:10.1103/PhysRevB.99.014104 (Chebyshev of an exponential).
E. Kocer, J. K. Mason and H. Erturk, J. Chem. Phys. 150, 154102 (2019), doi:10.1063/1.5086167 (Bessel).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = [
    "FAMILIES",
    "AgnesiJacobi",
    "AgnesiPair",
    "ChebExpCos",
    "RadialFamily",
    "SBessel",
    "bond_length",
    "radial_from_dict",
]

Array = NDArray[np.float64]


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


class RadialFamily(Protocol):
    """A countable set of radial functions R₁, R₂, … of the distance."""

    name: ClassVar[str]
    kind: ClassVar[int]

    def evaluate(self, r: Array, n_max: int, *, r0: float, cutoff: float) -> tuple[Array, Array]:
        """Values and derivatives (1/Å) of the first ``n_max`` functions, each (n_max, len(r))."""
        ...

    def parameters(self, r0: float, cutoff: float) -> Array:
        """Eight numbers for the kernel; the first is the cutoff."""
        ...

    def recursion(self, n_max: int) -> Array:
        """Coefficients for the kernel, (n_max, 3)."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable specification."""
        ...


@dataclass(frozen=True)
class _Agnesi:
    """The transform that both Agnesi families share."""

    p: int
    q: int

    def _check(self) -> None:
        if not 1 <= self.p <= self.q:
            raise InputError(f"the Agnesi transform needs 1 <= p <= q; got p={self.p}, q={self.q}")

    @property
    def slope(self) -> float:
        """The constant a of the transform."""
        p, q = self.p, self.q
        return (-2 * q + p * (4 * q - 2)) / (p + p * p + q + q * q)

    def transform(self, r: Array | float, r0: float, cutoff: float) -> tuple[Array, Array]:
        """x(r) in [−1, 1] and dx/dr (1/Å)."""
        y, dy = self._agnesi(np.asarray(r, float) / r0)
        scale = self.scale(r0, cutoff)
        return scale * (y - 1.0) - 1.0, scale * dy / r0

    def scale(self, r0: float, cutoff: float) -> float:
        """Factor of the linear map from y ∈ [y(cutoff), 1] onto x ∈ [1, −1]."""
        return 2.0 / (float(self._agnesi(np.asarray(cutoff / r0))[0]) - 1.0)

    def _agnesi(self, s: Array) -> tuple[Array, Array]:
        p, q = self.p, self.q
        top, bottom = s**q, 1.0 + s ** (q - p)
        y = 1.0 / (1.0 + self.slope * top / bottom)
        d_top, d_bottom = q * s ** (q - 1), (q - p) * s ** max(q - p - 1, 0)
        return y, -y * y * self.slope * (d_top * bottom - top * d_bottom) / bottom**2


@dataclass(frozen=True)
class AgnesiJacobi(_Agnesi):
    """(1 − x²)ᵉ times Jacobi polynomials, orthonormal in x: the default many-body family.

    Continuously differentiable e − 1 times at the cutoff, analytic inside.

    Parameters
    ----------
    p, q : int
        Exponents of the transform, ``q >= p >= 1``.
    envelope : int
        Exponent e, at least 2: forces are continuous at the cutoff.
    """

    p: int = 2
    q: int = 4
    envelope: int = 2

    name: ClassVar[str] = "agnesi-jacobi"
    kind: ClassVar[int] = 0

    def __post_init__(self) -> None:
        self._check()
        if self.envelope < 2:
            raise InputError(f"envelope={self.envelope} leaves a kink in the forces; use 2 or more")

    def evaluate(self, r: Array, n_max: int, *, r0: float, cutoff: float) -> tuple[Array, Array]:
        """Values and derivatives, each (n_max, len(r)); the specification."""
        r = np.asarray(r, float)
        x, dx = self.transform(r, r0, cutoff)
        e = self.envelope
        env, denv = (1 - x * x) ** e, -2 * e * x * (1 - x * x) ** (e - 1)
        poly, dpoly = _polynomials(self.recursion(n_max), x)
        inside = r < cutoff
        return inside * env * poly, inside * (denv * poly + env * dpoly) * dx

    def parameters(self, r0: float, cutoff: float) -> Array:
        """Cutoff, bond length, scale, slope, p, q, envelope."""
        return np.array([cutoff, r0, self.scale(r0, cutoff), self.slope, self.p, self.q, self.envelope, 0.0])

    def recursion(self, n_max: int) -> Array:
        """Orthonormal Jacobi polynomials of weight (1 − x²)²ᵉ."""
        return _orthonormal(n_max, 2 * self.envelope)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable specification."""
        return {"family": self.name, **asdict(self)}


@dataclass(frozen=True)
class AgnesiPair(_Agnesi):
    r"""Functions of pairs: Legendre polynomials times an envelope that repels, :math:`s^{-2}` near the core.

    :math:`R_n = P_{n-1}(x)\,[s^{-2} - s_c^{-2} + 2 s_c^{-3} (s - s_c)]`; continuously differentiable once at the
    cutoff.
    """

    p: int = 1
    q: int = 3

    name: ClassVar[str] = "agnesi-pair"
    kind: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._check()

    def evaluate(self, r: Array, n_max: int, *, r0: float, cutoff: float) -> tuple[Array, Array]:
        """Values and derivatives, each (n_max, len(r)); the specification."""
        r = np.asarray(r, float)
        x, dx = self.transform(r, r0, cutoff)
        s, end = r / r0, cutoff / r0
        env = s**-2 - end**-2 + 2 * end**-3 * (s - end)
        denv = (-2 * s**-3 + 2 * end**-3) / r0
        poly, dpoly = _polynomials(self.recursion(n_max), x)
        inside = r < cutoff
        return inside * env * poly, inside * (denv * poly + env * dpoly * dx)

    def parameters(self, r0: float, cutoff: float) -> Array:
        """Cutoff, bond length, scale, slope, p, q."""
        return np.array([cutoff, r0, self.scale(r0, cutoff), self.slope, self.p, self.q, 0.0, 0.0])

    def recursion(self, n_max: int) -> Array:
        """Orthonormal Legendre polynomials."""
        return _orthonormal(n_max, 0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable specification."""
        return {"family": self.name, **asdict(self)}


@dataclass(frozen=True)
class ChebExpCos:
    r"""PACE's Chebyshev polynomials of an exponential, with identity coefficients.

    With :math:`x = 1 - 2 (e^{-\lambda r/r_c} - e^{-\lambda})/(1 - e^{-\lambda})` and the envelope
    :math:`f = \tfrac12 [1 + \cos(\pi r / r_c)]` (times a cosine switch over the last ``dcut``):
    :math:`R_1 = f`, :math:`R_n = \tfrac12 [1 - T_{n-1}(x)] f`. Continuously differentiable once at the cutoff.

    Parameters
    ----------
    lam : float
        λ; PACE's customary value is 5.25.
    dcut : float
        Width of the last switch, Å.
    """

    lam: float = 5.25
    dcut: float = 0.01

    name: ClassVar[str] = "ChebExpCos"
    kind: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lam) and self.lam > 0 and np.isfinite(self.dcut) and self.dcut > 0):
            raise InputError(f"ChebExpCos needs positive lam and dcut; got lam={self.lam}, dcut={self.dcut}")

    def evaluate(self, r: Array, n_max: int, *, r0: float, cutoff: float) -> tuple[Array, Array]:
        """Values and derivatives, each (n_max, len(r)); ``r0`` is not used. The specification."""
        r = np.asarray(r, float)
        end = np.exp(-self.lam)
        x = 1 - 2 * (np.exp(-self.lam * r / cutoff) - end) / (1 - end)
        dx = 2 * self.lam / cutoff * np.exp(-self.lam * r / cutoff) / (1 - end)
        f = 0.5 * (1 + np.cos(np.pi * r / cutoff))
        df = -0.5 * np.pi / cutoff * np.sin(np.pi * r / cutoff)
        switch, dswitch = _switch(r, cutoff, self.dcut)
        env, denv = f * switch, df * switch + f * dswitch
        order = np.arange(1, n_max)
        chebyshev = np.polynomial.chebyshev.chebvander(x, max(n_max - 1, 0)).T[1:]
        angle = np.arccos(np.clip(x, -1, 1))
        sine = np.where(np.abs(np.sin(angle)) < 1e-7, 1.0, np.sin(angle))
        second = np.where(  # U_{n−1}, with its limits at x = ±1
            np.abs(np.sin(angle)) < 1e-7,
            order[:, None] * np.sign(x) ** (order[:, None] - 1),
            np.sin(order[:, None] * angle) / sine,
        )
        half, dhalf = 0.5 - 0.5 * chebyshev, -0.5 * order[:, None] * second * dx
        ones = np.ones((1, len(r)))
        poly, dpoly = np.vstack([ones, half]), np.vstack([0 * ones, dhalf])
        inside = r < cutoff
        return inside * env * poly, inside * (denv * poly + env * dpoly)

    def parameters(self, r0: float, cutoff: float) -> Array:
        """Cutoff, λ, switch width."""
        return np.array([cutoff, self.lam, self.dcut, 0.0, 0.0, 0.0, 0.0, 0.0])

    def recursion(self, n_max: int) -> Array:
        """Not used: the Chebyshev recursion has constant coefficients."""
        return np.zeros((n_max, 3))

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable specification."""
        return {"family": self.name, **asdict(self)}


@dataclass(frozen=True)
class SBessel:
    r"""PACE's simplified spherical Bessel functions, with identity coefficients.

    Orthonormalised sums of two sinc functions; value, slope and curvature vanish at the cutoff.
    """

    name: ClassVar[str] = "SBessel"
    kind: ClassVar[int] = 3

    def evaluate(self, r: Array, n_max: int, *, r0: float, cutoff: float) -> tuple[Array, Array]:
        """Values and derivatives, each (n_max, len(r)); ``r0`` is not used. The specification."""
        r = np.asarray(r, float)
        out, dout = np.zeros((2, n_max, len(r)))
        coefficients = self.recursion(n_max)
        for n in range(n_max):
            scale, own, before = coefficients[n]
            for k in (n + 1, n + 2):
                wave = k * np.pi / cutoff
                angle = wave * r
                out[n] += np.sinc(angle / np.pi)
                dout[n] += wave * (np.cos(angle) - np.sinc(angle / np.pi)) / angle
            out[n] *= scale * cutoff**-1.5
            dout[n] *= scale * cutoff**-1.5
            if n:
                out[n] = own * out[n] + before * out[n - 1]
                dout[n] = own * dout[n] + before * dout[n - 1]
        inside = r < cutoff
        return inside * out, inside * dout

    def parameters(self, r0: float, cutoff: float) -> Array:
        """Cutoff and its power −3/2."""
        return np.array([cutoff, cutoff**-1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])

    def recursion(self, n_max: int) -> Array:
        """Scale of the two waves of function n, and the weights of itself and its predecessor."""
        out = np.zeros((n_max, 3))
        d = 1.0
        for n in range(n_max):
            a, b = n + 1, n + 2
            scale = (-1) ** n * np.sqrt(2) * np.pi * a * b / np.hypot(a, b)
            if n == 0:
                out[0] = scale, 1.0, 0.0
                continue
            e = n**2 * (n + 2) ** 2 / (4 * (n + 1) ** 4 + 1)
            ratio = e / d
            d = 1 - ratio
            out[n] = scale, 1 / np.sqrt(d), np.sqrt(ratio / d)
        return out

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable specification."""
        return {"family": self.name}


FAMILIES: Final[Mapping[str, type[Any]]] = {
    family.name: family for family in (AgnesiJacobi, AgnesiPair, ChebExpCos, SBessel)
}


def radial_from_dict(spec: Mapping[str, Any]) -> RadialFamily:
    """The family that ``to_dict`` described.

    Raises
    ------
    InputError
        For a family or parameter that is not known.
    """
    settings = dict(spec)
    name = settings.pop("family", None)
    if name not in FAMILIES:
        raise InputError(f"radial family {name!r} is not known; {', '.join(FAMILIES)} are")
    try:
        return FAMILIES[name](**settings)
    except TypeError as error:
        raise InputError(f"radial family {name}: {error}") from error


def _polynomials(coefficients: Array, x: Array) -> tuple[Array, Array]:
    """Values and derivatives by x of polynomials given by a three-term recursion."""
    n_max = len(coefficients)
    poly, dpoly = np.zeros((2, n_max, *np.shape(x)))
    for n, (a, b, c) in enumerate(coefficients):
        if n == 0:
            poly[0] = b
            continue
        poly[n], dpoly[n] = a * x * poly[n - 1], a * (poly[n - 1] + x * dpoly[n - 1])
        if n >= 2:
            poly[n] -= c * poly[n - 2]
            dpoly[n] -= c * dpoly[n - 2]
    return poly, dpoly


def _orthonormal(n_max: int, power: int) -> Array:
    """Recursion of polynomials orthonormal under (1 − x²)^power on [−1, 1], (n_max, 3).

    Row n holds (A, B, C) with ``P[n] = A x P[n-1] − C P[n-2]``; row 0 holds P[0] in B. By the symmetry of the
    weight no other B is needed.
    """
    x, w = np.polynomial.legendre.leggauss(n_max + power + 2)
    w = w * (1 - x * x) ** power
    out = np.zeros((n_max, 3))
    previous, current = np.zeros_like(x), np.full_like(x, w.sum() ** -0.5)
    out[:1, 1] = current[0]
    last = 0.0
    for n in range(1, n_max):
        following = x * current - last * previous
        norm = float(np.sqrt(np.sum(w * following**2)))
        out[n] = 1.0 / norm, 0.0, last / norm
        previous, current, last = current, following / norm, norm
    return out


def _switch(r: Array, cutoff: float, width: float) -> tuple[Array, Array]:
    """Cosine switch from 1 to 0 over the last ``width`` before the cutoff, and its derivative."""
    angle = np.pi * np.clip((r - cutoff + width) / width, 0, 1)
    return 0.5 * (1 + np.cos(angle)), -0.5 * np.pi / width * np.sin(angle)
