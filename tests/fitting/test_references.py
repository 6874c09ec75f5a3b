"""Free atoms are told from crystals of one atom per cell."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aliquot.fitting import reference_energies, split_at_random
from aliquot.fitting.references import free_atoms
from aliquot.structures import Frames


def iron(*, free: bool) -> Frames:
    images = [bulk("Fe", a=2.7 + 0.02 * i) for i in range(20)]
    for i, atoms in enumerate(images):
        atoms.info["REF_energy"] = -8.0 + 0.01 * i
    if free:
        images.append(Atoms("Fe", cell=[10.0] * 3, pbc=True, info={"REF_energy": -3.0}))
    return Frames.from_atoms(images)


def test_the_free_atom_alone_is_the_reference():
    assert reference_energies(iron(free=True)) == {26: -3.0}
    assert np.flatnonzero(free_atoms(iron(free=True))).tolist() == [20]


def test_crystals_of_one_atom_are_no_reference():
    found = reference_energies(iron(free=False))
    assert found[26] == pytest.approx(np.mean(-8.0 + 0.01 * np.arange(20)))
    assert not free_atoms(iron(free=False)).any()


def test_crystals_of_one_atom_are_set_aside_and_free_atoms_are_not():
    parts = split_at_random(iron(free=True), validation=0.25, test=0.25)
    assert np.sum(parts == "validation") == np.sum(parts == "test") == 5
    assert parts[20] == "train"
