"""Atoms are moved until they are new; gradients of the measures are gradients."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from aliquot.ace.basis import AceBasis
from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError
from aliquot.explore.grade_driven import GradeSettings, _Cell, explore_grades
from aliquot.explore.measure import GradeMeasure, LeverageMeasure, _swapped
from aliquot.structures import Frames
from aliquot.uncertainty import Uncertainty


@pytest.fixture(scope="module")
def known():
    basis = AceBasis(elements=(29,), cutoff=5.0, degree=(6, 6, 6))
    potential = AcePotential(basis, 0.1 / basis.prior[None, :], np.zeros(1))
    images = []
    for seed in range(12):
        atoms = bulk("Cu", cubic=True).repeat(2)
        atoms.rattle(0.03, seed=seed)
        images.append(atoms)
    return Uncertainty.build(potential, Frames.from_atoms(images), guard=False)


@pytest.fixture
def crystal():
    return Frames.from_atoms(bulk("Cu", cubic=True).repeat(2))


@pytest.mark.parametrize("way", ["gradient", "simplex"])
@pytest.mark.parametrize("measure", ["gamma", "leverage"])
def test_ends_when_no_atom_is_below(way, measure, known, crystal):
    settings = GradeSettings(way=way, measure=measure, min_distance=1.5, restarts=3, patience=2)
    found = explore_grades(known, crystal, settings=settings, seed=3)
    low, high = settings.targets
    if measure == "gamma":
        assert found.moves[-1].left == 0
        assert not found.notes
    else:  # what was seen informs about almost everything that can be reached
        assert found.moves[-1].left < 32
        assert f"{found.moves[-1].left} of 32 atoms are still below" in found.notes[0]
    assert all(abs(move.reached - high) < settings.reach for move in found.moves)
    final = found.frames.to_atoms()[0]
    start = {"gamma": GradeMeasure, "leverage": LeverageMeasure}[measure].start(known)
    blocks = known.sites.blocks(found.frames, 0)
    np.testing.assert_allclose(start.of(blocks, 32), final.arrays[measure], rtol=1e-6)
    assert (final.arrays[measure] < low).sum() == found.moves[-1].left
    distances = final.get_all_distances(mic=True)[~np.eye(32, dtype=bool)]
    assert distances.min() >= 1.5 - 1e-9
    moved = np.linalg.norm(final.positions - crystal.positions, axis=1) > 1e-12
    assert set(np.flatnonzero(moved).tolist()) == {move.atom for move in found.moves}
    again = explore_grades(known, crystal, settings=settings, seed=3)
    assert np.array_equal(again.frames.positions, found.frames.positions)


@pytest.mark.parametrize("kind", [GradeMeasure, LeverageMeasure])
def test_gradient_of_the_largest(kind, known):
    atoms = bulk("Cu", cubic=True).repeat(2)
    atoms.rattle(0.1, seed=9)
    measure = kind.start(known)
    cell = _Cell(0, atoms, known, measure, measure, GradeSettings(), np.random.default_rng(0))
    place, step = atoms.positions[4].copy(), 1e-5
    grade, _, top, seen, blocks = cell._look(4, place)
    slope = cell._slope(4, top, seen, blocks)
    for k in range(3):
        ends = [cell._look(4, place + sign * step * np.eye(3)[k])[0] for sign in (1, -1)]
        assert slope[k] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-6 * grade)


def test_what_was_seen_is_known(known):
    atoms = bulk("Cu", cubic=True).repeat(2)
    atoms.positions[0] += 0.9
    blocks = known.sites.blocks(Frames.from_atoms(atoms), 0)
    for measure in (GradeMeasure.start(known), LeverageMeasure.start(known)):
        assert measure.of(blocks, 32).max() > 1.5
        assert measure.seen(blocks).of(blocks, 32).max() < 1.002


def test_swaps_are_those_of_maxvol(known):
    rng = np.random.default_rng(4)
    A, rows = rng.normal(size=(6, 6)), 5 * rng.normal(size=(40, 6))
    inverse = _swapped(np.linalg.inv(A), rows)
    every = np.concatenate((A, rows)) @ inverse
    assert np.abs(every).max() <= 1.001 * (1 + 1e-9)
    block = np.linalg.inv(inverse)
    nearest = np.abs(np.concatenate((A, rows))[:, None] - block[None]).max(axis=2).min(axis=0)
    assert nearest.max() < 1e-9  # rows of the block are rows of the table


def test_refusals(known, crystal):
    with pytest.raises(InputError, match="no structure"):
        explore_grades(known, crystal[:0])
    with pytest.raises(InputError, match="target"):
        GradeSettings(low=15.0, high=5.0)
    with pytest.raises(InputError, match="way is one of"):
        GradeSettings(way="sideways")
    with pytest.raises(InputError, match="new already"):
        explore_grades(known, crystal, settings=GradeSettings(low=0.01, high=9.0))
    with pytest.raises(InputError, match="minimum distance"):
        explore_grades(known, crystal, settings=GradeSettings(min_distance=2.5, restarts=1))
