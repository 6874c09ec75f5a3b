"""What does a surface cost? Surface energies of slabs, as cut and relaxed.

    γ = (E_slab − N e) / (2 A),      e the energy per atom of the crystal, A the area of one side.

The slab has the smallest cell of the surface, so relaxed means relaxed without reconstruction. Where the crystal can
be cut at several heights, the cut of lowest unrelaxed energy is taken (on silicon (111) that through single bonds).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms, units

from aliquot.progress import Progress, silent
from aliquot.properties.calculators import CountedCalculator
from aliquot.properties.lattice import Lattice
from aliquot.properties.relaxation import relax
from aliquot.properties.slabs import SAME_HEIGHT, cuts, slab, surface_cell

__all__ = ["Surface", "surface_energy"]

#: eV/Å² in J/m².
J_PER_M2: Final = units.m**2 / units.J


@dataclass(frozen=True)
class Surface:
    """One surface.

    Parameters
    ----------
    miller : tuple of int
    energy : float or None, J/m²
        Atoms relaxed; None if the relaxation failed.
    unrelaxed_energy : float, J/m²
        Atoms where they are in the crystal.
    cuts : int
        Heights at which the crystal can be cut; that of lowest unrelaxed energy is this one.
    sides_differ : bool
        Whether the slab ends in other elements below than above (compounds): the energy is then the mean of two
        surfaces.
    n_atoms : int
        Of the slab.
    area : float, Å²
        Of one side.
    thickness, vacuum : float, Å
        Between the outermost atoms, and between images.
    force : float or None, eV/Å
        Largest force left.
    steps : int
    problem : str
        Why there is no relaxed energy; empty if there is one.
    """

    miller: tuple[int, int, int]
    energy: float | None
    unrelaxed_energy: float
    cuts: int
    sides_differ: bool
    n_atoms: int
    area: float
    thickness: float
    vacuum: float
    force: float | None
    steps: int
    problem: str

    @property
    def name(self) -> str:
        """``(111)``, or ``(1 -1 0)`` where an index is negative."""
        indices = [str(i) for i in self.miller]
        return f"({(' ' if min(self.miller) < 0 else '').join(indices)})"


def surface_energy(
    calculator: CountedCalculator,
    lattice: Lattice,
    miller: tuple[int, int, int],
    *,
    thickness: float = 30.0,
    vacuum: float = 15.0,
    fmax: float = 1e-3,
    steps: int = 500,
    progress: Progress = silent,
) -> Surface:
    """Energy of a surface, unrelaxed and relaxed.

    Parameters
    ----------
    calculator : CountedCalculator
    lattice : Lattice
        Relaxed.
    miller : tuple of int
        Of the cube, or of the hexagonal cell (three indices: the third of four is minus the sum of the first two).
    thickness, vacuum : float, Å
        The slab is at least so thick; the vacuum must exceed the range of the potential.
    fmax : float, eV/Å
    steps : int
    """
    cell = surface_cell(lattice.primitive, lattice.conventional, miller)
    area = float(np.linalg.norm(np.cross(*cell.cell.array[:2])))
    heights = cuts(cell)
    stage = f"surface ({''.join(map(str, miller))})"
    energies: list[float] = []
    for height in heights:
        atoms = slab(cell, height, thickness=thickness, vacuum=vacuum)
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    best = int(np.argmin(np.round(energies, 9)))
    start = slab(cell, heights[best], thickness=thickness, vacuum=vacuum)
    start.calc = calculator
    end = relax(start, fmax=fmax, steps=steps, nearest=lattice.nearest, stage=stage, progress=progress)
    bulk = len(start) * lattice.energy
    thick = float(np.ptp(start.positions[:, 2]))
    return Surface(
        miller=miller,
        energy=None if end.problem else (end.energy - bulk) / (2 * area) * J_PER_M2,
        unrelaxed_energy=(energies[best] - bulk) / (2 * area) * J_PER_M2,
        cuts=len(heights),
        sides_differ=_sides_differ(start),
        n_atoms=len(start),
        area=area,
        thickness=thick,
        vacuum=float(start.cell.array[2, 2]) - thick,
        force=end.force if np.isfinite(end.force) else None,
        steps=end.steps,
        problem=end.problem,
    )


def _sides_differ(atoms: Atoms) -> bool:
    """Whether the lowest plane of atoms is of other elements than the highest."""
    z = atoms.positions[:, 2]
    low, high = (set(atoms.numbers[np.abs(z - end) < SAME_HEIGHT]) for end in (z.min(), z.max()))
    return low != high
