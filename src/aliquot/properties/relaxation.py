"""Where do the atoms go? Relaxation at fixed cell, and whether what came out can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.optimize import FIRE, LBFGS
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.structures.neighbours import neighbours

__all__ = ["Relaxation", "largest_force", "relax", "shortest_distance"]

#: Atoms closer than this share of the crystal's bond have fallen into a hole of the potential.
TOO_CLOSE: Final = 0.7


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Where a relaxation ended.

    Parameters
    ----------
    atoms : ase.Atoms
        The last structure.
    energy : float, eV
    force : float, eV/Å
        Largest force on an atom.
    steps : int
    problem : str
        Why the end is not a relaxed structure; empty if it is one.
    """

    atoms: Atoms
    energy: float
    force: float
    steps: int
    problem: str = ""


def relax(
    atoms: Atoms,
    *,
    fmax: float,
    steps: int,
    nearest: float,
    stage: str = "relaxing",
    progress: Progress = silent,
) -> Relaxation:
    """Relax the positions of ``atoms`` (with a calculator) in place of a copy, at fixed cell.

    Quasi-Newton steps (L-BFGS); where they have not arrived after ``steps``, FIRE goes on for as many again.

    Parameters
    ----------
    atoms : ase.Atoms
    fmax : float, eV/Å
        No force on an atom may be larger at the end.
    steps : int
    nearest : float, Å
        Distance of nearest neighbours in the crystal, to know a collapse by.
    stage : str
        What to call it to ``progress``.
    """
    moving = atoms.copy()
    moving.calc = atoms.calc
    taken = 0
    quiet: Any = None
    for optimizer in (LBFGS, FIRE):
        run = optimizer(moving, logfile=quiet, maxstep=0.1)

        def report() -> None:
            progress(stage, taken + run.nsteps, steps)  # noqa: B023 (called before the loop goes on)

        run.attach(report)
        try:
            arrived = run.run(fmax=fmax, steps=steps)
        except InputError as error:  # the potential gave no numbers for where the atoms went
            return Relaxation(moving, np.nan, np.nan, taken + run.nsteps, str(error))
        taken += run.nsteps
        if arrived:
            break
    progress(stage, taken, taken)
    force, closest = largest_force(moving), shortest_distance(moving, nearest)
    problem = ""
    if closest < TOO_CLOSE * nearest:
        problem = f"atoms fell to {closest:.3g} Å of each other ({nearest:.3g} Å in the crystal)"
    elif not force <= fmax:
        problem = (
            f"the largest force is still {force:.3g} eV/Å after {taken} steps (wanted {fmax:g});"
            " allow more steps or larger forces"
        )
    return Relaxation(moving, moving.get_potential_energy(), force, taken, problem)


def largest_force(atoms: Atoms) -> float:
    """Norm of the largest force on an atom, eV/Å."""
    forces: NDArray[np.float64] = atoms.get_forces()
    return float(np.sqrt((forces**2).sum(axis=1).max()))


def shortest_distance(atoms: Atoms, within: float) -> float:
    """Shortest distance between two atoms, Å; infinite if all are farther apart than ``within``."""
    pairs = neighbours(atoms.positions, atoms.cell.array, atoms.pbc, within)
    return float(np.linalg.norm(pairs.vectors, axis=1).min(initial=np.inf))
