"""Potentials and questions from which no number should come out, or none without a warning."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.stress import full_3x3_to_voigt_6_stress

from aliquot.errors import InputError
from aliquot.properties import crystal_properties
from aliquot.properties.relaxation import relax
from aliquot.structures.neighbours import neighbours


class Pair(Calculator):
    """Pair energies u(r) and their slopes, with energy, forces and stress by definition."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, energy, slope, cutoff=6.0, stress_sign=1.0):
        super().__init__()
        self.u, self.du, self.cutoff, self.sign = energy, slope, cutoff, stress_sign

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        pairs = neighbours(atoms.positions, atoms.cell.array, atoms.pbc, self.cutoff)
        r = np.linalg.norm(pairs.vectors, axis=1)
        pull = self.du(r)[:, None] * pairs.vectors / r[:, None]
        centre = np.repeat(np.arange(len(atoms)), np.diff(pairs.first))
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, centre, pull)
        stress = self.sign * 0.5 * pull.T @ pairs.vectors / atoms.get_volume()
        voigt = full_3x3_to_voigt_6_stress(stress)
        self.results = {"energy": 0.5 * self.u(r).sum(), "forces": forces, "stress": voigt}


def morse(depth=0.4, a=1.5, r0=2.6, cutoff=6.0, hole=0.0, **options):
    """Morse's potential smoothly cut off; ``hole`` digs a pit at 2.0 Å."""

    def cut(r):
        return (1 - (r / cutoff) ** 2) ** 2, -4 * r / cutoff**2 * (1 - (r / cutoff) ** 2)

    def bare(r):
        e = np.exp(-a * (r - r0))
        pit = hole * np.exp(-(((r - 2.0) / 0.1) ** 2))
        return (
            depth * (e * e - 2 * e) - pit,
            depth * a * (2 * e - 2 * e * e) + pit * 2 * (r - 2.0) / 0.01,
        )

    def energy(r):
        return bare(r)[0] * cut(r)[0]

    def slope(r):
        (u, du), (w, dw) = bare(r), cut(r)
        return du * w + u * dw

    return Pair(energy, slope, cutoff, **options)


def test_the_test_potential_is_a_potential():
    found = crystal_properties(morse(), "fcc", elements=["Cu"], quantities=["eos", "elastic"])
    assert found.elastic.relaxed["C12"] == pytest.approx(found.elastic.relaxed["C44"], rel=1e-4)  # Cauchy
    assert found.eos.bulk_modulus == pytest.approx(found.elastic.bulk_modulus, rel=0.01)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("calculator", "says"),
    [
        (Pair(lambda r: np.exp(-r), lambda r: -np.exp(-r)), "flies apart"),
        (Pair(lambda r: -np.exp(-r), lambda r: np.exp(-r)), "collapses"),
        (morse(stress_sign=-1.0), "contradict"),
        (Pair(lambda r: np.nan * r, lambda r: r), "not finite"),
    ],
    ids=["repulsive", "attractive", "wrong stress", "nan"],
)
def test_no_crystal_no_numbers(calculator, says):
    with pytest.raises(InputError, match=says):
        crystal_properties(calculator, "fcc", elements=["Cu"])


def test_hole_is_told_and_does_not_become_the_crystal():
    clean = crystal_properties(morse(), "fcc", elements=["Cu"], quantities=[])
    found = crystal_properties(morse(hole=20.0), "fcc", elements=["Cu"], quantities=[])
    assert found.lattice.a == pytest.approx(clean.lattice.a, abs=1e-3)
    assert any("the potential has a hole" in note for note in found.notes)


def test_relaxation_into_a_hole_gives_no_energy():
    dimer = Atoms("Cu2", [[0, 0, 0], [2.1, 0, 0]], cell=[12] * 3, pbc=True, calculator=morse(hole=20.0))
    end = relax(dimer, fmax=1e-3, steps=200, nearest=2.9)
    assert "atoms fell to 2 Å of each other" in end.problem
    kept = relax(dimer, fmax=1e-3, steps=200, nearest=2.6)
    assert kept.problem == ""
    assert kept.force <= 1e-3


def test_unfinished_relaxations_are_not_results():
    found = crystal_properties(
        EMT(), "fcc", elements=["Cu"], quantities=["vacancy", "surfaces"], images=7.0, steps=1, fmax=1e-6
    )
    assert found.vacancy.formation_energy is None
    assert "the largest force is still" in found.vacancy.problem
    assert [s.energy for s in found.surfaces] == [None] * 3
    assert len(found.notes) == 4
    json.dumps(found.to_dict(), allow_nan=False)


def test_unstable_crystal_is_called_so():
    """Simple cubic copper: central forces hold no cube."""
    found = crystal_properties(morse(), "sc", elements=["Cu"], quantities=["elastic"])
    assert not found.elastic.stable
    assert found.elastic.bulk_modulus is None
    assert any("unstable" in note and "C44" in note for note in found.notes)


def test_compound_has_no_vacancy_of_its_own():
    found = crystal_properties(
        morse(),
        "rocksalt",
        elements=["Na", "Cl"],
        quantities=["vacancy", "surfaces"],
        start=5.2,
        thickness=12.0,
    )
    assert found.vacancy is None
    assert any("chemical potentials" in note for note in found.notes)
    by_name = {s.name: s for s in found.surfaces}
    assert not by_name["(100)"].sides_differ
    assert by_name["(111)"].sides_differ


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prototype": "diamond", "elements": ["Si", "C"]}, "another prototype: rocksalt, zincblende"),
        ({"prototype": "wurtzite", "elements": ["Ga", "Ga"]}, "2 different elements"),
        ({"prototype": "A15", "elements": ["Nb"]}, "no prototype 'A15'"),
        ({"prototype": "fcc", "elements": ["Qq"]}, "no chemical element"),
        ({"quantities": ["phonons"]}, "no quantity 'phonons'"),
        ({"fmax": 0.0}, "fmax must be a positive number"),
        ({"start": -3.6}, "start must be a positive number"),
        ({"surfaces": [(0, 0, 0)]}, r"\(000\) is no surface"),
    ],
)
def test_questions_that_make_no_sense(options, says):
    asked = {"prototype": "fcc", "elements": ["Cu"], "quantities": ["surfaces"], **options}
    with pytest.raises(InputError, match=says):
        crystal_properties(EMT(), **asked)


def test_calculator_without_stress_is_refused():
    class Bare(Calculator):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012

    with pytest.raises(InputError, match="does not compute stress"):
        crystal_properties(Bare(), "fcc", elements=["Cu"])


def test_same_question_same_record():
    def answer():
        found = crystal_properties(
            EMT(), "fcc", elements=["Cu"], quantities=["elastic", "vacancy"], images=8.0
        )
        return json.dumps(found.to_dict())

    assert answer() == answer()
