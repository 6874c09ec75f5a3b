"""What does a missing atom cost? The formation energy of the vacancy of an element.

    E_f = E(N − 1 atoms) − (N − 1) e,      e the energy per atom of the crystal,

at the cell of the perfect crystal, in two supercells: what the larger changed hints at what is still missing.

A vacancy may have several shapes. In the smaller supercell the relaxation begins twice, with the neighbours close to
their sites and with the neighbours drawn a fifth of the way into the hole (Stillinger–Weber silicon bonds them there,
and gains 1.5 eV); the lower outcome is relaxed again in the larger one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.properties.calculators import CountedCalculator
from aliquot.properties.lattice import Lattice
from aliquot.properties.relaxation import Relaxation, relax

__all__ = ["Vacancy", "repeats", "vacancy"]

#: The smaller of the two supercells keeps images this share of the distance apart.
SMALLER: Final = 2 / 3

#: Displacement (Å) of the neighbours at the start, so that symmetry does not hold the relaxation at a saddle.
RATTLE: Final = 0.05

#: Where neighbours start: the share of the way into the hole.
INWARD: Final = (0.0, 0.2)

#: Shapes whose energies differ by less than this (eV) are one; the first start stands for it.
ALIKE: Final = 1e-3


@dataclass(frozen=True)
class Vacancy:
    """The vacancy of an element.

    Parameters
    ----------
    formation_energy : float or None, eV
        Atoms relaxed at fixed cell; None if the relaxation failed.
    unrelaxed_energy : float, eV
        All other atoms at their sites.
    shapes : tuple of float or None, eV
        Formation energies in the smaller supercell from the two starts; None where the relaxation failed.
    change : float or None, eV
        What the larger supercell changed: formation energy in this one minus that in a smaller one.
    supercell : tuple of int
        Repeats of the conventional cell.
    n_atoms : int
        Of the supercell without its vacancy.
    images : float, Å
        Distance of the vacancy from its nearest image.
    force : float or None, eV/Å
        Largest force left.
    steps : int
    problem : str
        Why there is no formation energy; empty if there is one.
    """

    formation_energy: float | None
    unrelaxed_energy: float
    shapes: tuple[float | None, ...]
    change: float | None
    supercell: tuple[int, int, int]
    n_atoms: int
    images: float
    force: float | None
    steps: int
    problem: str


def repeats(cell: Atoms, images: float) -> tuple[int, int, int]:
    """How often to repeat a cell so that its lattice planes are at least ``images`` (Å) apart.

    >>> from ase.build import bulk
    >>> repeats(bulk("Si", cubic=True), 15.0)
    (3, 3, 3)
    """
    lengths, volume = cell.cell.array, cell.get_volume()
    heights = [volume / np.linalg.norm(np.cross(lengths[k - 2], lengths[k - 1])) for k in range(3)]
    i, j, k = (max(1, int(np.ceil(images / h - 1e-6))) for h in heights)
    return i, j, k


def vacancy(
    calculator: CountedCalculator,
    lattice: Lattice,
    *,
    images: float = 15.0,
    fmax: float = 1e-3,
    steps: int = 500,
    progress: Progress = silent,
) -> Vacancy:
    """Formation energy of the vacancy of an element.

    Parameters
    ----------
    calculator : CountedCalculator
    lattice : Lattice
        Relaxed; of one element, all of whose sites are alike.
    images : float, Å
        Least distance between the lattice planes that the supercell repeats.
    fmax : float, eV/Å
    steps : int

    Raises
    ------
    InputError
        If the crystal is a compound.

    Notes
    -----
    The neighbours of the vacancy start 0.05 Å from where they would be by symmetry, in directions of a fixed seed.
    """
    if len(lattice.elements) > 1:
        raise InputError(
            f"what a vacancy of {''.join(lattice.elements)} costs depends on where the atom goes: in compounds it is"
            " defined only with chemical potentials"
        )
    cell = lattice.conventional
    large, small = repeats(cell, images), repeats(cell, SMALLER * images)

    def formation(atoms: Atoms, energy: float) -> float:
        return energy - len(atoms) * lattice.energy

    def relaxed(size: tuple[int, int, int], inward: float) -> tuple[Relaxation, float | None]:
        start = _with_vacancy(cell * size, lattice.nearest, inward)
        start.calc = calculator
        stage = f"vacancy in {len(start) + 1} atoms"
        end = relax(start, fmax=fmax, steps=steps, nearest=lattice.nearest, stage=stage, progress=progress)
        return end, None if end.problem else formation(end.atoms, end.energy)

    trials = [relaxed(small, inward) for inward in INWARD]
    shapes = tuple(energy for _, energy in trials)
    depths = np.array([np.inf if energy is None else energy for energy in shapes])
    best = int(np.argmax(depths <= depths.min() + ALIKE))
    end, found = trials[best] if large == small else relaxed(large, INWARD[best])
    hint = shapes[best] if large != small else None
    clamped = (cell * large)[1:]
    clamped.calc = calculator
    return Vacancy(
        formation_energy=found,
        unrelaxed_energy=formation(clamped, clamped.get_potential_energy()),
        shapes=shapes,
        change=None if found is None or hint is None else found - hint,
        supercell=large,
        n_atoms=len(end.atoms) + 1,
        images=float(_shortest_vector(cell * large)),
        force=end.force if np.isfinite(end.force) else None,
        steps=end.steps,
        problem=end.problem,
    )


def _with_vacancy(crystal: Atoms, nearest: float, inward: float) -> Atoms:
    """The crystal without its first atom, whose neighbours have moved towards it, and a little to the side."""
    others = list(range(1, len(crystal)))
    away = crystal.get_distances(0, others, mic=True, vector=True)
    out = crystal[1:]
    around = np.flatnonzero(np.linalg.norm(away, axis=1) < 1.3 * nearest)
    directions = np.random.default_rng(0).normal(size=(len(around), 3))
    directions *= RATTLE / np.linalg.norm(directions, axis=1)[:, None]
    out.positions[around] += directions - inward * away[around]
    return out


def _shortest_vector(atoms: Atoms) -> float:
    """Shortest lattice vector, Å."""
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(steps[np.any(steps != 0, axis=1)] @ atoms.cell.array, axis=1)
    return lengths.min()
