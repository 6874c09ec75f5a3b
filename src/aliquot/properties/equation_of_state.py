"""How hard is the crystal to compress? Bulk modulus from energies at several volumes.

The third-order Birch–Murnaghan equation is exactly a cubic polynomial in x = V^(−2/3),

    E(V) = c₀ + c₁ x + c₂ x² + c₃ x³,

so the fit is linear: no starting values, no iterations. At its minimum V₀, with primes for d/dx,

    B₀ = V₀ E_VV = (4/9) x₀^(7/2) E″,      B₀′ = −d ln(E_VV)/d ln V − 1.

References
----------
F. Birch, Phys. Rev. 71, 809 (1947), doi:10.1103/PhysRev.71.809.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import units
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.properties.calculators import CountedCalculator
from aliquot.properties.lattice import Lattice, relax_cell

__all__ = ["EquationOfState", "birch_murnaghan", "equation_of_state"]

#: Volumes of the curve, over that at zero stress.
VOLUMES: Final = np.linspace(0.96, 1.04, 9)


@dataclass(frozen=True)
class EquationOfState:
    """A Birch–Murnaghan fit.

    Parameters
    ----------
    bulk_modulus : float, GPa
    bulk_modulus_derivative : float
        dB/dp at zero pressure.
    volume : float, Å³
        Per atom, at the minimum of the fit.
    energy : float, eV
        Per atom, at the minimum of the fit.
    rms : float, eV
        What the fit leaves, per atom.
    """

    bulk_modulus: float
    bulk_modulus_derivative: float
    volume: float
    energy: float
    rms: float


def equation_of_state(
    calculator: CountedCalculator, lattice: Lattice, *, progress: Progress = silent
) -> EquationOfState:
    """Energies at 9 volumes within ±4 %, c/a and atoms relaxed at each where they are free, and the fit.

    Raises
    ------
    InputError
        If a cell does not relax, or the curve has no minimum.
    """
    n = len(lattice.primitive)
    energies = np.empty(len(VOLUMES))
    for k, factor in enumerate(VOLUMES):
        atoms = lattice.primitive.copy()
        atoms.set_cell(atoms.cell * factor ** (1 / 3), scale_atoms=True)
        atoms.calc = calculator
        if lattice.prototype.system == "hexagonal":
            relax_cell(atoms, constant_volume=True)
        energies[k] = atoms.get_potential_energy() / n
        progress("equation of state", k + 1, len(VOLUMES))
    return birch_murnaghan(lattice.volume * VOLUMES, energies)


def birch_murnaghan(volumes: NDArray[np.float64], energies: NDArray[np.float64]) -> EquationOfState:
    """The least-squares fit of the third-order Birch–Murnaghan equation.

    Parameters
    ----------
    volumes : (n,) array, Å³
    energies : (n,) array, eV

    Raises
    ------
    InputError
        If there are fewer than four volumes, or the curve has no minimum among them.

    Examples
    --------
    >>> v = np.linspace(18.0, 22.0, 9)
    >>> fit = birch_murnaghan(v, 0.03 * (v - 20.0) ** 2)
    >>> round(fit.volume, 2)
    20.0
    """
    if len(volumes) < 4:
        raise InputError(f"a Birch-Murnaghan fit has four parameters; got {len(volumes)} volumes")
    # scaled so that the minimum is near x = 1: the powers stay apart
    middle = float(np.exp(np.log(volumes).mean()))
    x = (volumes / middle) ** (-2 / 3)
    curve = np.polynomial.Polynomial.fit(x, energies, 3, domain=(float(x.min()), float(x.max())))
    slope, bend = curve.deriv(), curve.deriv(2)
    roots = [
        r.real
        for r in np.atleast_1d(slope.roots())
        if abs(r.imag) < 1e-9 and x.min() <= r.real <= x.max() and bend(r.real) > 0
    ]
    if not roots:
        raise InputError(
            f"the energy has no minimum between {volumes.min():.4g} and {volumes.max():.4g} Å³ per atom;"
            " the crystal is not at zero pressure, or the potential is not smooth"
        )
    x0 = float(roots[0])
    volume = middle * x0**-1.5
    second, third = float(bend(x0)), float(curve.deriv(3)(x0))
    # with V ~ x^(−3/2) and E′(x₀) = 0: V² E_VV = (4/9) x² E″, and d ln(V² E_VV)/d ln V follows from E″ and E‴
    modulus = 4 / 9 * x0**2 * second / volume
    # E_VV = (4/9)(x²E″ + (5/2) x E′)/V²  ⇒  −d ln E_VV/d ln V = 2 + (2/3)(9/2 + x E‴/E″)
    derivative = 1 + 2 / 3 * (4.5 + x0 * third / second)
    rms = float(np.sqrt(np.mean((curve(x) - energies) ** 2)))
    return EquationOfState(modulus / units.GPa, derivative, volume, float(curve(x0)), rms)
