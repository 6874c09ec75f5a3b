"""How far two potentials are apart where they will be used: probe structures from compressed to dilute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.structures.frames import Frames

__all__ = ["largest_differences", "probe_structures"]

#: Nearest-neighbour distances of the periodic probes, in the longest bond length.
DISTANCES = (0.75, 0.85, 0.95, 1.0, 1.05, 1.2, 1.5)


def probe_structures(
    elements: tuple[int, ...],
    r0: NDArray[np.float64],
    r_min: NDArray[np.float64],
    *,
    rng: np.random.Generator,
) -> Frames:
    """Structures of all elements: rattled lattices of several densities, and dimers and trimers down to ``r_min``.

    Parameters
    ----------
    elements : tuple of int
    r0, r_min : (Z, Z) array, Å
        Bond length and shortest distance of every pair of elements.
    rng : numpy.random.Generator
        Displaces atoms and distributes elements.
    """
    from ase import Atoms
    from ase.build import bulk

    out: list[Atoms] = []
    numbers = np.array(elements)
    for lattice, nearest in (("fcc", 2**-0.5), ("diamond", 3**0.5 / 4)):
        for stretch in DISTANCES:
            atoms = bulk("X", lattice, a=stretch * float(r0.max()) / nearest, cubic=True) * (2, 1, 1)
            atoms.numbers = rng.permutation(np.resize(numbers, len(atoms)))
            atoms.positions += rng.normal(scale=0.02 * r0.max(), size=atoms.positions.shape)
            out.append(atoms)
    for a, one in enumerate(elements):
        for b, other in enumerate(elements):
            for d in np.linspace(float(r_min[a, b]) + 1e-3, 1.6 * float(r0[a, b]), 12):
                out.append(Atoms([one, other], positions=[[0, 0, 0], [d, 0, 0]]))
                third = [0.3 * d, max(d, float(r_min[:, a].max()), float(r_min[:, b].max())) * 1.1, 0.2 * d]
                out.append(Atoms([one, other, one], positions=[[0, 0, 0], [d, 0, 0], third]))
    return Frames.from_atoms(out)


def largest_differences(
    one: AcePotential, other: AcePotential, r_min: NDArray[np.float64], extra: Frames | None = None
) -> tuple[float, float]:
    """Largest difference of site energies (eV) and of forces (eV/Å), the repulsion of both apart.

    In a structure whose largest force exceeds 1 eV/Å, differences count relative to that force.
    """
    basis = one.basis
    probes = probe_structures(basis.elements, basis.r0, r_min, rng=np.random.default_rng(0))
    energy = force = 0.0
    for frames in (probes, *([extra] if extra is not None else [])):
        for i in range(len(frames)):
            a, b = one(frames, i), other(frames, i)
            scale = max(1.0, float(np.abs(a.forces).max(initial=0.0)))
            energy = max(energy, float(np.abs(a.energies - b.energies).max(initial=0.0)) / scale)
            force = max(force, float(np.abs(a.forces - b.forces).max(initial=0.0)) / scale)
    return energy, force
