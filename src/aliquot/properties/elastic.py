"""How stiff is the crystal? The elastic tensor from stresses under small strains, atoms relaxed and clamped.

Central differences of the Cauchy stress at zero stress, over six strains, give the clamped tensor C⁰. When atoms may
move inside the cell they follow the strain; to first order they move by K⁻¹ Ξ ε, with K the force constants of the
cell's own atoms and Ξ = ∂F/∂ε, and

    C = C⁰ − Ξᵀ K⁻¹ Ξ / V .

This is the limit of relaxing the atoms at ever smaller strains, without relaxing anything. Both tensors are projected
(least squares) onto those that the symmetry of the crystal allows.

Strains ε are symmetric, Voigt order xx, yy, zz, yz, xz, xy, shears counted twice (engineering strain).

References
----------
M. Born and K. Huang, Dynamical Theory of Crystal Lattices, Oxford (1954), chapter 3. Stability: F. Mouhat and
F.-X. Coudert, Phys. Rev. B 90, 224104 (2014), doi:10.1103/PhysRevB.90.224104.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from ase import Atoms, units
from ase.stress import voigt_6_to_full_3x3_strain
from numpy.typing import NDArray

from aliquot.progress import Progress, silent
from aliquot.properties.calculators import CountedCalculator
from aliquot.properties.lattice import Lattice

__all__ = ["ElasticConstants", "elastic_constants", "project"]

Tensor = NDArray[np.float64]

#: Largest component of the strains.
STRAIN: Final = 1e-3

#: Displacement (Å) for the force constants.
STEP: Final = 5e-3

#: Entries of the Voigt matrix (upper triangle, from 1) with the weight of each constant in them.
_FORMS: Final[Mapping[str, Mapping[str, Mapping[tuple[int, int], float]]]] = {
    "cubic": {
        "C11": {(1, 1): 1, (2, 2): 1, (3, 3): 1},
        "C12": {(1, 2): 1, (1, 3): 1, (2, 3): 1},
        "C44": {(4, 4): 1, (5, 5): 1, (6, 6): 1},
    },
    "hexagonal": {
        "C11": {(1, 1): 1, (2, 2): 1, (6, 6): 0.5},
        "C12": {(1, 2): 1, (6, 6): -0.5},
        "C13": {(1, 3): 1, (2, 3): 1},
        "C33": {(3, 3): 1},
        "C44": {(4, 4): 1, (5, 5): 1},
    },
}


@dataclass(frozen=True)
class ElasticConstants:
    """Elastic constants at zero stress, GPa.

    Parameters
    ----------
    relaxed, unrelaxed : dict of str to float, GPa
        The independent constants of the crystal system: with the atoms following the strain, and clamped to the cell.
        ``relaxed`` is empty where the atoms are not stable at their sites.
    bulk_modulus : float or None, GPa
        Of the relaxed tensor, under hydrostatic pressure (Reuss; for cubic crystals (C11 + 2 C12)/3).
    shear_modulus : float or None, GPa
        Mean of Voigt's and Reuss' (Hill): of a polycrystal.
    born : dict of str to float, GPa (GPa² for products)
        The expressions that must be positive in a stable crystal.
    stable : bool
        Whether all eigenvalues of the relaxed tensor are positive and the atoms stable at their sites.
    residual : float, GPa
        Largest deviation of the computed tensor from the symmetry of the crystal.
    """

    relaxed: Mapping[str, float]
    unrelaxed: Mapping[str, float]
    bulk_modulus: float | None
    shear_modulus: float | None
    born: Mapping[str, float]
    stable: bool
    residual: float


def elastic_constants(
    calculator: CountedCalculator, lattice: Lattice, *, progress: Progress = silent
) -> ElasticConstants:
    """Elastic constants of a relaxed crystal: 12 + 6 n evaluations of its primitive cell of n > 1 atoms.

    Error of the central differences: second order in a strain of 10⁻³ and a displacement of 0.005 Å.
    """
    atoms = lattice.primitive.copy()
    atoms.calc = calculator
    n = len(atoms)
    total = 12 + (6 * n if n > 1 else 0)
    clamped, pull = _strained(atoms, progress, total)
    followed, firm = clamped, True
    if n > 1:
        correction = _inner(atoms, pull, progress, total)
        firm = correction is not None
        followed = clamped if correction is None else clamped - correction / atoms.get_volume()
    system = lattice.prototype.system
    unrelaxed, left = project(clamped / units.GPa, system)
    relaxed, right = project(followed / units.GPa, system)
    tensor = _tensor(relaxed, system)
    rooted = np.sqrt([1, 1, 1, 2, 2, 2])  # Mandel's form, whose eigenvalues do not depend on the axes
    stable = firm and bool(np.linalg.eigvalsh(tensor * np.outer(rooted, rooted)).min() > 0)
    bulk, shear = _moduli(tensor) if stable else (None, None)
    return ElasticConstants(
        relaxed if firm else {},
        unrelaxed,
        bulk,
        shear,
        _born(relaxed, system) if firm else {},
        stable,
        max(left, right),
    )


def _strained(atoms: Atoms, progress: Progress, total: int) -> tuple[Tensor, Tensor]:
    """Derivatives by the six strains: stress (6, 6) in eV/Å³, and forces (3 n, 6) in eV/Å."""
    stress, forces = np.empty((6, 6)), np.empty((3 * len(atoms), 6))
    for k in range(6):
        sides = []
        for j, sign in enumerate((1.0, -1.0)):
            strain = np.zeros(6)
            strain[k] = sign * STRAIN
            bent = atoms.copy()
            deformation = voigt_6_to_full_3x3_strain(strain)  # I + ε
            bent.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
            bent.calc = atoms.calc
            sides.append((bent.get_stress(), bent.get_forces().ravel()))
            progress("elastic constants", 2 * k + j + 1, total)
        stress[:, k] = (sides[0][0] - sides[1][0]) / (2 * STRAIN)
        forces[:, k] = (sides[0][1] - sides[1][1]) / (2 * STRAIN)
    return stress, forces


def _inner(atoms: Atoms, pull: Tensor, progress: Progress, total: int) -> Tensor | None:
    """Ξᵀ K⁻¹ Ξ (6, 6) in eV; None if the atoms are not stable at their sites."""
    n = len(atoms)
    stiffness = np.empty((3 * n, 3 * n))
    for k in range(3 * n):
        sides = []
        for j, sign in enumerate((1.0, -1.0)):
            moved = atoms.copy()
            moved.positions[k // 3, k % 3] += sign * STEP
            moved.calc = atoms.calc
            sides.append(moved.get_forces().ravel())
            progress("elastic constants", 12 + 2 * k + j + 1, total)
        stiffness[:, k] = (sides[1] - sides[0]) / (2 * STEP)
    stiffness = (stiffness + stiffness.T) / 2
    shifts = np.tile(np.eye(3), (n, 1)) / np.sqrt(n)  # moving all atoms together costs nothing
    inner = np.linalg.svd(shifts)[0][:, 3:]
    small = inner.T @ stiffness @ inner
    if np.linalg.eigvalsh(small).min() <= 0:
        return None
    along = inner.T @ pull
    return along.T @ np.linalg.solve(small, along)


def project(tensor: Tensor, system: Literal["cubic", "hexagonal"]) -> tuple[dict[str, float], float]:
    """The constants of a crystal system nearest to a tensor (least squares over its 36 entries).

    Parameters
    ----------
    tensor : (6, 6) array
        Voigt, in crystal axes (cube edges; c along z and a along x).
    system : {"cubic", "hexagonal"}

    Returns
    -------
    constants : dict of str to float
    residual : float
        Largest deviation of an entry.

    Examples
    --------
    >>> constants, residual = project(np.diag([3.0, 3, 3, 1, 1, 1.3]), "cubic")
    >>> round(constants["C44"], 3), round(residual, 3)
    (1.1, 0.2)
    """
    forms = np.stack([_form(system, name) for name in _FORMS[system]])
    flat = forms.reshape(len(forms), 36)
    values = np.linalg.lstsq(flat.T, tensor.ravel(), rcond=None)[0]
    residual = np.abs(flat.T @ values - tensor.ravel()).max()
    return dict(zip(_FORMS[system], map(float, values), strict=True)), float(residual)


def _form(system: str, name: str) -> Tensor:
    """The tensor in which this constant alone is 1."""
    out = np.zeros((6, 6))
    for (i, j), weight in _FORMS[system][name].items():
        out[i - 1, j - 1] = out[j - 1, i - 1] = weight
    return out


def _tensor(constants: Mapping[str, float], system: str) -> Tensor:
    return np.sum([value * _form(system, name) for name, value in constants.items()], axis=0)


def _moduli(tensor: Tensor) -> tuple[float, float]:
    """Reuss' bulk modulus and Hill's shear modulus."""
    s = np.linalg.inv(tensor)
    bulk = 1 / s[:3, :3].sum()
    (a, b, c), (d, e, f) = np.diag(tensor)[:3], np.diag(tensor)[3:]
    voigt = (a + b + c - tensor[0, 1] - tensor[0, 2] - tensor[1, 2] + 3 * (d + e + f)) / 15
    (a, b, c), (d, e, f) = np.diag(s)[:3], np.diag(s)[3:]
    reuss = 15 / (4 * (a + b + c - s[0, 1] - s[0, 2] - s[1, 2]) + 3 * (d + e + f))
    return float(bulk), float((voigt + reuss) / 2)


def _born(c: Mapping[str, float], system: str) -> dict[str, float]:
    """Necessary and sufficient conditions of Mouhat and Coudert: all must be positive."""
    if system == "cubic":
        return {"C11 - C12": c["C11"] - c["C12"], "C11 + 2 C12": c["C11"] + 2 * c["C12"], "C44": c["C44"]}
    return {
        "C11 - |C12|": c["C11"] - abs(c["C12"]),
        "C33 (C11 + C12) - 2 C13^2": c["C33"] * (c["C11"] + c["C12"]) - 2 * c["C13"] ** 2,
        "C44": c["C44"],
    }
