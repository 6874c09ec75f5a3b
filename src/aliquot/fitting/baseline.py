"""What is subtracted from labels before a fit, and added again by the potential: free atoms and inner repulsion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError
from aliquot.structures.frames import Frames

__all__ = ["Baseline"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Baseline:
    """Energies of free atoms, and a potential that acts beneath the one that is fitted.

    Parameters
    ----------
    reference : dict of int to float
        Energy of a free atom by atomic number, eV.
    beneath : AcePotential, optional
        Its energies, forces and virials are subtracted too; a repulsion, as a rule. Its own reference
        energies must be zero.
    """

    reference: Mapping[int, float]
    beneath: AcePotential | None = None

    def check(self, frames: Frames) -> None:
        """Refuse structures with an element of unknown reference energy.

        Raises
        ------
        InputError
            Naming the elements.
        """
        missing = sorted(set(frames.elements) - set(self.reference))
        if missing:
            raise InputError(
                f"no reference energy is given for atomic number {', '.join(map(str, missing))}; give one, or let"
                " them be fitted"
            )

    def __call__(self, frames: Frames, i: int) -> dict[str, Array]:
        """What to subtract from the labels of structure ``i``: energy (1,), forces (n, 3), virial (3, 3)."""
        numbers = frames.numbers[frames.offsets[i] : frames.offsets[i + 1]]
        energy = float(sum(self.reference[int(z)] for z in numbers))
        if self.beneath is None:
            return {"energy": np.array([energy])}
        said = self.beneath(frames, i, threads=1)
        return {"energy": np.array([energy + said.energy]), "forces": said.forces, "virial": said.virial}
