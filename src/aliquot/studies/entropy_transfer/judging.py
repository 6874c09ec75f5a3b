"""How wrong is a student on structures that it was not taught? Energies and all force components."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.structures import Frames

__all__ = ["Student", "answers", "errors"]

Array = NDArray[np.float64]


class Student(Protocol):
    """What every student can do."""

    def sites(self, values: Array) -> tuple[Array, Array]:
        """Energies of atoms (n,), eV, and their slopes by the site values, (n, d)."""
        ...


def answers(
    student: Student, evaluator: AceEvaluator, frames: Frames, chosen: NDArray[np.int64]
) -> tuple[Array, list[Array]]:
    """Energies per atom (n_chosen,), eV, and forces of each structure, eV/Å."""
    energies, forces = np.empty(len(chosen)), []
    for k, i in enumerate(chosen):
        sites, slopes = student.sites(evaluator.site_values(frames, int(i)))
        energies[k] = sites.mean()
        forces.append(evaluator.pullback(frames, int(i), slopes)[0])
    return energies, forces


def errors(
    energies: Array, forces: list[Array], true_energies: Array, true_forces: list[Array]
) -> dict[str, Any]:
    """Errors as columns of results; and what a student would miss who always answers the mean.

    The error of energy differences is what is left when one constant per atom is subtracted.
    """
    off = energies - true_energies
    all_forces = np.concatenate(true_forces)
    return {
        "structures": len(off),
        "energy_rmse_meV": 1e3 * float(np.sqrt(np.mean(off**2))),
        "energy_shift_meV": 1e3 * float(np.mean(off)),
        "energy_differences_rmse_meV": 1e3 * float(np.std(off)),
        "energy_mae_meV": 1e3 * float(np.mean(np.abs(off))),
        "energy_worst_percent_meV": 1e3 * float(np.quantile(np.abs(off), 0.99)),
        "force_rmse_meV_A": 1e3 * float(np.sqrt(np.mean((np.concatenate(forces) - all_forces) ** 2))),
        "energy_spread_meV": 1e3 * float(np.std(true_energies)),
        "force_spread_meV_A": 1e3 * float(np.sqrt(np.mean(all_forces**2))),
    }
