"""A linear ACE potential as an ASE calculator: molecular dynamics, relaxation, whatever ASE can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from aliquot.ace.potential import AcePotential
from aliquot.ace.verlet_list import VerletList
from aliquot.errors import InputError

__all__ = ["AceCalculator"]


class AceCalculator(Calculator):
    """ASE calculator of an :class:`~aliquot.ace.potential.AcePotential`.

    Gives ``energy`` and ``free_energy`` (the same: there is no electronic temperature), ``energies`` of the atoms,
    ``forces``, and ``stress`` (Voigt, −virial / volume) where the structure has three lattice vectors.

    Parameters
    ----------
    potential : AcePotential
    skin : float, Å
        Neighbours are searched this much farther than the potential reaches, and searched again when an atom has
        moved half of it (:mod:`aliquot.ace.verlet_list`). The results do not depend on it. 0 is best for
        structures that have nothing to do with each other.
    threads : int, optional
        At most this many; all cores by default. Structures of a few hundred atoms use one.

    Notes
    -----
    Memory per atom is that of its neighbours, about 40 bytes each; nothing grows with the basis.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import bulk
    >>> from aliquot.ace.basis import AceBasis
    >>> basis = AceBasis(elements=(29,), cutoff=4.5, degree=(3, 3))
    >>> potential = AcePotential(basis, 0.1 / basis.prior[None, :], np.zeros(1))
    >>> atoms = bulk("Cu", cubic=True)
    >>> atoms.calc = AceCalculator(potential)
    >>> atoms.get_forces().shape, atoms.get_stress().shape
    ((4, 3), (6,))
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 (ASE reads it)

    def __init__(
        self, potential: AcePotential, *, skin: float = 0.5, threads: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.potential, self.threads = potential, threads
        self.neighbours = VerletList(potential.range, skin)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate everything at once; called by ASE.

        Raises
        ------
        InputError
            If the potential does not know an element, a position is not finite, or atoms coincide.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        here = self.atoms
        if here is None:
            raise InputError("there is no structure to evaluate; pass atoms")
        pairs = self.neighbours.update(here.positions, here.cell[:], here.pbc)
        found = self.potential.evaluate(here.numbers, pairs, threads=self.threads)
        self.results = {
            "energy": found.energy,
            "free_energy": found.energy,
            "energies": found.energies,
            "forces": found.forces,
        }
        if here.cell.rank == 3:
            stress = -found.virial / here.cell.volume
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)
