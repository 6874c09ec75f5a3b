"""A linear ACE through all properties, beside the calculator whose energies it was fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from aliquot.ace.calculator import AceCalculator
from aliquot.properties import crystal_properties


def test_copper_of_ace_is_that_of_emt(copper_potential, modulus_by_energy):
    truth = crystal_properties(EMT(), "fcc", elements=["Cu"], images=10.0)
    calculator = AceCalculator(copper_potential, threads=1)
    found = crystal_properties(calculator, "fcc", elements=["Cu"], images=10.0)
    assert found.lattice.a == pytest.approx(truth.lattice.a, rel=2e-3)
    assert found.lattice.cohesive_energy == pytest.approx(truth.lattice.cohesive_energy, abs=5e-3)
    assert found.elastic.bulk_modulus == pytest.approx(truth.elastic.bulk_modulus, rel=0.1)
    assert found.vacancy.formation_energy == pytest.approx(truth.vacancy.formation_energy, rel=0.1)
    energies = [s.energy for s in found.surfaces]
    assert energies == pytest.approx([s.energy for s in truth.surfaces], rel=0.05)
    # no repulsion was given, and no compressed structure: the fit has a hole, and it is told
    assert [note for note in found.notes if "hole" not in note] == []
    shear = modulus_by_energy(
        calculator, bulk("Cu", "fcc", found.lattice.a), [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]
    )
    assert shear == pytest.approx(found.elastic.relaxed["C44"], rel=5e-3)


def test_cost_is_what_is_told(copper_potential):
    """39 for the scan, about 10 for the root, 12 strains, 1 isolated atom."""
    found = crystal_properties(
        AceCalculator(copper_potential), "fcc", elements=["Cu"], quantities=["elastic"]
    )
    assert 55 <= found.calls <= 75
    assert found.atoms_evaluated == found.calls
    assert np.isfinite(found.lattice.energy)
