"""The ASE calculator: the same forces, and results named as others name them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aliquot.ace.calculator import AceCalculator
from aliquot.errors import InputError
from aliquot.structures import Frames
from aliquot.uncertainty import Uncertainty
from aliquot.uncertainty.calculator import GradedCalculator


def test_results_have_their_names(fitted, known_frames):
    known = Uncertainty.build(fitted, known_frames)
    atoms, plain = known_frames.to_atoms()[3], known_frames.to_atoms()[3]
    atoms.calc, plain.calc = GradedCalculator(known), AceCalculator(fitted)
    np.testing.assert_array_equal(atoms.get_forces(), plain.get_forces())
    np.testing.assert_array_equal(atoms.get_stress(), plain.get_stress())
    assert atoms.get_potential_energy() == plain.get_potential_energy()
    expected = known.assess(known_frames, 3)
    np.testing.assert_allclose(atoms.calc.results["gamma"], expected.gamma, rtol=1e-9)
    assert "forces_std" not in atoms.calc.results  # they cost, so they are asked for
    np.testing.assert_allclose(
        atoms.calc.get_property("forces_std", atoms), expected.forces_std, rtol=1e-6, atol=1e-12
    )
    assert atoms.calc.get_property("energy_std", atoms) == pytest.approx(expected.energy_std)
    assert atoms.calc.results["energies_std"].shape == (len(atoms),)


def test_grades_can_wait_until_they_are_asked_for(fitted, known_frames):
    atoms = known_frames.to_atoms()[0]
    atoms.calc = calculator = GradedCalculator(Uncertainty.build(fitted, known_frames))
    calculator.grading = False
    atoms.get_forces()
    assert "gamma" not in calculator.results
    atoms.positions[0] += 0.5
    assert calculator.get_property("gamma", atoms).max() > 1
    moved = Frames.from_atoms([atoms.copy()])
    np.testing.assert_allclose(calculator.results["gamma"], calculator.known.assess(moved).gamma, rtol=1e-9)


def test_without_a_posterior_there_are_no_deviations(fitted, known_frames):
    atoms = known_frames.to_atoms()[0]
    atoms.calc = GradedCalculator(Uncertainty.build(replace(fitted, precision=None), known_frames))
    with pytest.raises(InputError, match="--posterior"):
        atoms.calc.get_property("forces_std", atoms)
