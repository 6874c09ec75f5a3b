r"""What does a potential say of the three surfaces? Slabs by the published recipe, ideal and relaxed.

Diamond of a fixed lattice constant, 5.46 Å, ten cells along the normal, in the plane the primitive cell of the surface
(40 atoms for (100) and (110), 60 for (111)). Atoms are shifted by 0, 1 and 2 Å, which decides where (111) is cut:
through the planes of single bonds. With 10 Å of vacuum the atoms relax to 3 meV/Å, and

.. math:: \gamma = \frac{E_\text{slab} - E_\text{crystal}}{2A}.

References of the density functional theory: 2.17, 1.52 and 1.57 J/m².
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.ace.verlet_list import VerletList
from aliquot.errors import InputError
from aliquot.structures.neighbours import neighbours

__all__ = ["REFERENCE", "SURFACES", "Relaxed", "area", "crystal", "ideal_slab", "relax", "surface_energies"]

Array = NDArray[np.float64]

#: Å.
LATTICE_CONSTANT: Final = 5.46
VACUUM: Final = 10.0

#: Cells along the normal.
LAYERS: Final = 10

#: eV/Å.
FORCE: Final = 3e-3

#: Axes of the cell (right-handed; the last is the normal), and the shift of the atoms along it, Å.
SURFACES: Final = {
    "100": (((1, -1, 0), (1, 1, 0), (0, 0, 1)), 0.0),
    "110": (((0, 0, 1), (1, -1, 0), (1, 1, 0)), 1.0),
    "111": (((1, -1, 0), (1, 0, -1), (1, 1, 1)), 2.0),
}

#: J/m².
REFERENCE: Final = {"100": 2.17, "110": 1.52, "111": 1.57}

#: eV/Å² in J/m².
J_PER_M2: Final = units.m**2 / units.J

#: Largest displacement of an atom in one step, Å.
_STRIDE: Final = 0.15
_STEPS: Final = 150
_MEMORY: Final = 20

#: Nearer than this (Å), or moved farther, is no relaxed silicon surface but a hole of the potential.
_TOO_CLOSE: Final = 1.65
_TOO_FAR: Final = 2.5


def crystal() -> Atoms:
    """The primitive cell."""
    from ase.build import bulk

    return bulk("Si", "diamond", a=LATTICE_CONSTANT)


def ideal_slab(surface: str) -> Atoms:
    """The slab before it relaxes."""
    from ase.lattice.cubic import Diamond

    axes, shift = SURFACES[surface]
    atoms = Diamond("Si", directions=[list(axis) for axis in axes], latticeconstant=LATTICE_CONSTANT)
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell.array, pbc=True) * (1, 1, LAYERS)
    atoms.positions[:, 2] += shift
    atoms.wrap(eps=1e-6)
    atoms.cell[2, 2] += VACUUM
    return atoms


def area(atoms: Atoms) -> float:
    """Area of one side, Å²."""
    return float(np.linalg.norm(np.cross(*atoms.cell.array[:2])))


@dataclass(frozen=True)
class Relaxed:
    """Where a relaxation ended.

    Parameters
    ----------
    energy : float, eV
    force : float, eV/Å
        Largest on an atom.
    steps : int
    arrived : bool
        Whether forces are as small as asked and the atoms still a slab.
    """

    energy: float
    force: float
    steps: int
    arrived: bool


def relax(potential: AcePotential, atoms: Atoms) -> Relaxed:
    """Relax the positions at fixed cell, by L-BFGS preconditioned with the network of bonds.

    Notes
    -----
    The preconditioner is that of D. Packwood et al., J. Chem. Phys. 144, 164109 (2016), doi:10.1063/1.4947024, which
    the published study used as well; 10 to 25 evaluations of the potential.
    """
    inverse = _springs(atoms)
    seen = VerletList(potential.range, 0.5)
    x, start = atoms.positions.copy(), atoms.positions
    moves: list[Array] = []
    turns: list[Array] = []
    energy = force = np.nan
    before: Array | None = None
    for step in range(_STEPS + 1):
        try:
            found = potential.evaluate(atoms.numbers, seen.update(x, atoms.cell.array, atoms.pbc), threads=1)
        except InputError:  # atoms coincide
            return Relaxed(np.nan, np.nan, step, False)
        gradient = -found.forces
        energy, force = found.energy, float(np.sqrt((gradient**2).sum(axis=1).max()))
        if force <= FORCE:
            near = float(
                np.linalg.norm(neighbours(x, atoms.cell.array, atoms.pbc, 2.2).vectors, axis=1).min(initial=3)
            )
            far = float(np.abs(x - start).max())
            return Relaxed(energy, force, step, near > _TOO_CLOSE and far < _TOO_FAR)
        if before is not None:
            turns.append(gradient - before)
            if np.sum(turns[-1] * moves[-1]) <= 1e-12:  # no curvature to learn from
                moves, turns = [], []
        move = -_two_loops(gradient, moves[-_MEMORY:], turns[-_MEMORY:], inverse)
        longest = float(np.sqrt((move**2).sum(axis=1).max()))
        move *= min(1.0, _STRIDE / longest)
        x, before = x + move, gradient
        moves.append(move)
    return Relaxed(energy, force, _STEPS, False)


def _springs(atoms: Atoms) -> Array:
    """Inverse of the Laplacian of bonds, with what ties each atom to its place."""
    nearest = LATTICE_CONSTANT * np.sqrt(3) / 4
    pairs = neighbours(atoms.positions, atoms.cell.array, atoms.pbc, 2 * nearest)
    n = len(atoms)
    centre = np.repeat(np.arange(n), np.diff(pairs.first))
    strength = np.exp(-3.0 * (np.linalg.norm(pairs.vectors, axis=1) / nearest - 1.0))
    matrix = np.zeros((n, n))
    np.add.at(matrix, (centre, pairs.index), -strength)
    matrix -= np.diag(matrix.sum(axis=1))
    return np.asarray(np.linalg.inv(5.0 * (matrix + 0.1 * np.eye(n))), np.float64)


def _two_loops(gradient: Array, moves: list[Array], turns: list[Array], inverse: Array) -> Array:
    """The quasi-Newton direction of the last moves and changes of the gradient."""
    q = gradient.copy()
    factors: list[float] = []
    for s, y in zip(reversed(moves), reversed(turns), strict=True):
        factors.append(float(np.sum(s * q) / np.sum(s * y)))
        q -= factors[-1] * y
    q = inverse @ q
    if moves:
        q *= np.sum(moves[-1] * turns[-1]) / np.sum(turns[-1] * (inverse @ turns[-1]))
    for s, y, factor in zip(moves, turns, reversed(factors), strict=True):
        q += (factor - np.sum(y * q) / np.sum(s * y)) * s
    return q


def surface_energies(
    potential: AcePotential, slabs: dict[str, Atoms], bulk: Atoms
) -> dict[str, tuple[float, Relaxed]]:
    """Relaxed surface energies (J/m²), NaN where the relaxation failed, and how it went."""
    pairs = neighbours(bulk.positions, bulk.cell.array, bulk.pbc, potential.range)
    per_atom = potential.evaluate(bulk.numbers, pairs, threads=1).energy / len(bulk)
    out: dict[str, tuple[float, Relaxed]] = {}
    for name, slab in slabs.items():
        end = relax(potential, slab)
        gamma = (end.energy - len(slab) * per_atom) / (2 * area(slab)) * J_PER_M2
        out[name] = (float(gamma) if end.arrived else float("nan"), end)
    return out
