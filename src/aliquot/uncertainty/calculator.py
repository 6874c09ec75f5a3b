"""A potential that says, with the forces, how far it is from what it knows: as an ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from aliquot.ace.verlet_list import VerletList
from aliquot.errors import InputError
from aliquot.structures.frames import Frames
from aliquot.uncertainty.uncertainty import Uncertainty

__all__ = ["GradedCalculator"]


class GradedCalculator(Calculator):
    """ASE calculator with ``gamma``, ``energy_std`` and ``forces_std`` among its results.

    As :class:`~aliquot.ace.calculator.AceCalculator`, and in ``results``

    - ``gamma``, (n_atoms,): the extrapolation grade of every atom, with every call while :attr:`grading` is set;
    - ``energy_std``, eV, ``energies_std``, (n_atoms,), and ``forces_std``, (n_atoms, 3), eV/Å: standard deviations from
      the posterior or committee, when they are asked for, as they cost several force calls.

    Parameters
    ----------
    known : Uncertainty
    skin, threads
        As for AceCalculator.

    Notes
    -----
    The grade of 200 functions costs about a quarter of a force call (``benchmarks/bench_grade.py``).

    Examples
    --------
    >>> atoms.calc = GradedCalculator(known)                                                # doctest: +SKIP
    >>> atoms.get_forces(), atoms.calc.results["gamma"].max()                               # doctest: +SKIP
    >>> atoms.calc.get_property("forces_std", atoms)                                        # doctest: +SKIP
    """

    implemented_properties = [  # noqa: RUF012 (ASE reads it)
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "gamma",
        "energy_std",
        "energies_std",
        "forces_std",
    ]

    def __init__(
        self, known: Uncertainty, *, skin: float = 0.5, threads: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.known, self.threads = known, threads
        #: Whether calls that do not ask for it compute the grade too.
        self.grading = True
        self.neighbours = VerletList(known.potential.range, skin)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate; called by ASE.

        Raises
        ------
        InputError
            If the potential does not know an element, a position is not finite, atoms coincide, or a standard
            deviation is asked for and there is neither posterior nor committee.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        here = self.atoms
        if here is None:
            raise InputError("there is no structure to evaluate; pass atoms")
        pairs = self.neighbours.update(here.positions, here.cell[:], here.pbc)
        self.results = {}
        if self.grading or "gamma" in properties:
            found, gamma = self.known.evaluate(here.numbers, pairs, threads=self.threads)
            self.results["gamma"] = gamma
        else:
            found = self.known.potential.evaluate(here.numbers, pairs, threads=self.threads)
        self.results |= {
            "energy": found.energy,
            "free_energy": found.energy,
            "energies": found.energies,
            "forces": found.forces,
        }
        if here.cell.rank == 3:
            stress = -found.virial / here.cell.volume
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)
        if any(name.endswith("_std") for name in properties):
            self.results |= self._spread(here)

    def _spread(self, here: Atoms) -> dict[str, float | np.ndarray]:
        """Standard deviations."""
        bare = Atoms(here.numbers, here.positions, cell=here.cell, pbc=here.pbc)
        found = self.known.assess(Frames.from_atoms([bare]))
        if found.energy_std is None or found.energies_std is None or found.forces_std is None:
            raise InputError(
                "standard deviations need the posterior of the potential (aliquot fit --posterior) or a committee"
            )
        return {
            "energy_std": found.energy_std,
            "energies_std": found.energies_std,
            "forces_std": found.forces_std,
        }
