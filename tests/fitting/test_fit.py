"""From labels to a potential: what comes out, and what is refused or told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError
from aliquot.fitting import (
    Recipe,
    Weights,
    compare,
    fit,
    folds_of_groups,
    split_at_random,
)
from aliquot.solvers import OMP, Path, Ridge
from aliquot.structures import Frames

BASIS = AceBasis(elements=(29,), cutoff=4.8, degree=(8, 7, 6), pair_degree=4)
RECIPE = Recipe(basis=BASIS, weights=Weights(groups={"isolated_atom": (1.0, 0.0, 0.0)}))


def copper(n: int, *, seed: int = 0, isolated: bool = True, sign: float = 1.0) -> Frames:
    """Strained and rattled copper with labels of EMT."""
    rng = np.random.default_rng(seed)
    some: list[Atoms] = []
    if isolated:
        some.append(Atoms("Cu", cell=[12] * 3, pbc=True, info={"config_type": "isolated_atom"}))
    for k in range(n):
        atoms = bulk("Cu", cubic=True, a=3.6 * (1 + 0.05 * rng.uniform(-1, 1)))
        atoms.rattle(0.04 + 0.1 * (k % 3 == 2), seed=int(rng.integers(1e6)))
        atoms.info["config_type"] = ["bulk", "strained", "hot"][k % 3]
        some.append(atoms)
    for atoms in some:
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        if len(atoms) > 1:
            atoms.info["REF_virial"] = -sign * atoms.get_volume() * atoms.get_stress(voigt=False)
        atoms.calc = None
    return Frames.from_atoms(some)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return copper(60)


@pytest.fixture(scope="module")
def parts(frames) -> np.ndarray:
    return split_at_random(frames, validation=0.2, test=0.2, seed=1)


@pytest.fixture(scope="module")
def done(frames, parts):
    return fit(frames, replace(RECIPE, posterior=True), parts=parts)


def test_the_potential_describes_structures_it_has_not_seen(frames, parts, done):
    errors = {(e.part, e.quantity): e for e in done.errors() if not e.group}
    spread = np.std(frames.forces.values[np.repeat(parts == "test", frames.sizes)])
    assert errors["test", "forces"].rmse < 0.05 * spread
    assert errors["test", "energy"].rmse < 0.003
    assert done.reference_from == "isolated atoms"
    assert 0 < done.size <= done.path.n_columns
    assert done.notes == tuple(n for n in done.notes if "atoms apart" not in n)


def test_errors_of_the_record_are_those_of_the_potential(frames, parts, done):
    by_hand = np.array([done.potential(frames, i).energy / frames.sizes[i] for i in range(len(frames))])
    wrong = (by_hand - frames.energy.values / frames.sizes)[parts == "test"]
    found = next(e for e in done.errors() if (e.part, e.quantity, e.group) == ("test", "energy", ""))
    assert found.mae == pytest.approx(np.mean(np.abs(wrong)), rel=1e-6)
    assert found.rmse == pytest.approx(np.sqrt(np.mean(wrong**2)), rel=1e-6)
    assert found.structures == np.count_nonzero(parts == "test")


def test_the_ladder_agrees_with_potentials_made_one_by_one(frames, parts, done):
    for rung in (done.ladder[0], done.ladder[-1]):
        c = done.path.coefficients(rung.point).reshape(1, -1)
        one = AcePotential(BASIS, c, done.potential.reference, done.potential.repulsion)
        table = {(e.part, e.quantity): e for e in compare(one, frames, parts=parts).table() if not e.group}
        for part, of in rung.errors.items():
            for quantity, (mae, rmse) in of.items():
                assert mae == pytest.approx(table[part, quantity].mae, rel=1e-6, abs=1e-9)
                assert rmse == pytest.approx(table[part, quantity].rmse, rel=1e-6, abs=1e-9)
        assert rung.microseconds is None or rung.microseconds > 0
    assert {r.point for r in done.ladder} >= {done.chosen}


def test_labels_of_the_test_have_no_part_in_the_fit(frames, parts, done):
    test = parts == "test"
    energy = np.where(test, 1e3, frames.energy.values)
    other = fit(frames.with_frame_column("REF_energy", energy), replace(RECIPE, posterior=True), parts=parts)
    np.testing.assert_allclose(
        other.potential.coefficients, done.potential.coefficients, rtol=1e-6, atol=1e-9
    )
    assert other.chosen == done.chosen


def test_same_input_same_record(frames, parts, done):
    again = fit(frames, replace(RECIPE, posterior=True), parts=parts)
    drop = ("timings", "ladder", "path")
    first, second = (
        {k: v for k, v in json.loads(f.to_json()).items() if k not in drop} for f in (done, again)
    )
    assert first["recipe"] == second["recipe"]
    assert first["size"] == second["size"]
    assert Path.from_dict(json.loads(done.to_json())["path"]).sizes.tolist() == done.path.sizes.tolist()


def test_the_precision_is_that_of_bayesian_least_squares(frames, parts, done, tmp_path):
    """Against rows that are all held, with the prior and noise that the factor implies."""
    potential = done.potential
    assert potential.precision is not None
    support = np.flatnonzero(potential.coefficients)
    evaluator = AceEvaluator(BASIS)
    from aliquot.fitting import labelled_rows

    rows = [
        RECIPE.weights.of(q, str(frames.config_type[i])) * row[:, support]
        for i in np.flatnonzero(parts == "train")
        for q, (row, _) in labelled_rows(evaluator, frames, int(i)).items()
    ]
    A = np.vstack(rows)
    gram = A.T @ A
    precision = potential.precision.T @ potential.precision
    gamma2 = np.diag(BASIS.prior[support] ** 2)
    # precision = (gram + λ Γ²) / σ²: the two numbers by least squares over all entries
    basis = np.stack([gram.ravel(), gamma2.ravel()], axis=1)
    scale = 1.0 / np.abs(gram).max()
    (inverse_noise, ridge), *_ = np.linalg.lstsq(basis * scale, precision.ravel() * scale, rcond=None)
    np.testing.assert_allclose(
        precision, inverse_noise * gram + ridge * gamma2, rtol=1e-5, atol=1e-7 * precision.max()
    )
    assert inverse_noise > 0
    potential.save(tmp_path / "m.ace")
    np.testing.assert_array_equal(AcePotential.load(tmp_path / "m.ace").precision, potential.precision)


def test_an_offset_of_another_functional_is_found(frames, parts):
    shift = np.where(frames.config_type == "hot", 0.137 * frames.sizes, 0.0)
    shifted = frames.with_frame_column("REF_energy", frames.energy.values + shift)
    found = fit(shifted, replace(RECIPE, offsets=("hot",)), parts=parts)
    assert found.offsets["hot"] == pytest.approx(0.137, abs=0.004)
    assert any("hot" in note and "meV/atom from the others" in note for note in found.notes)
    error = next(e for e in found.errors() if (e.part, e.quantity, e.group) == ("test", "energy", "hot"))
    assert error.rmse < 0.01
    with pytest.raises(InputError, match="group cold, which no training structure has"):
        fit(frames, replace(RECIPE, offsets=("cold",)), parts=parts)


def test_a_wrong_label_is_pointed_at_and_does_little_harm_to_a_robust_fit(frames, parts):
    energy = frames.energy.values.copy()
    bad = np.flatnonzero((parts == "train") & (frames.config_type == "bulk"))[:2]
    energy[bad] += 4 * 0.4
    spoilt = frames.with_frame_column("REF_energy", energy)
    plain = fit(spoilt, RECIPE, parts=parts)
    robust = fit(spoilt, replace(RECIPE, robust=True), parts=parts)

    def test_error(found) -> float:
        return next(e.rmse for e in found.errors() if (e.part, e.quantity, e.group) == ("test", "energy", ""))

    assert test_error(robust) < 0.5 * test_error(plain)
    assert {o.frame for o in robust.outliers if o.quantity == "energy"} >= set(bad.tolist())
    assert any("does not believe" in note for note in robust.notes)


def test_folds_of_groups_choose_in_place_of_validation(frames):
    parts = split_at_random(frames, validation=0.0)
    folds = np.zeros(len(frames), int)
    teach = frames.sizes > 1
    folds[teach] = folds_of_groups(frames.config_type[teach], 3)
    found = fit(frames, RECIPE, parts=parts, folds=folds)
    assert np.isfinite(found.path.errors("validation")).all()
    assert any("3 folds" in note for note in found.notes)
    assert found.path.n_rows == fit(frames, replace(RECIPE, choice="final"), parts=parts).path.n_rows


def test_inverted_virials_are_noticed():
    assert not any("opposite" in note for note in fit(copper(30), RECIPE).notes)
    warned = [note for note in fit(copper(30, sign=-1.0), RECIPE).notes if "opposite" in note]
    assert len(warned) == 1
    assert "REF_virial" in warned[0]


def test_capped_forces_do_not_teach(frames, parts):
    found = fit(frames, replace(RECIPE, force_cap=2.0), parts=parts)
    above = np.count_nonzero(np.linalg.norm(frames.forces.values, axis=1) > 2.0)
    assert any(note.startswith(f"{above} of {frames.n_atoms} atoms") for note in found.notes)
    whole = fit(frames, RECIPE, parts=parts)
    assert found.path.n_rows < whole.path.n_rows


def test_one_structure_without_forces_and_without_an_isolated_atom():
    one = copper(1, isolated=False)
    bare = replace(one, atom_columns={})
    found = fit(
        bare, replace(RECIPE, solver=Ridge(), choice="final", weights=Weights()), parts=np.array(["train"])
    )
    said = " ".join(found.notes)
    assert "one training structure only" in said
    assert "no training structure has forces" in said
    assert "energies of atoms apart mean nothing" in said
    assert found.calibration is None


def test_more_functions_than_rows():
    small = copper(2)
    found = fit(small, replace(RECIPE, solver=OMP(), choice="final"), parts=np.full(3, "train"))
    assert found.size <= found.path.n_rows


def test_what_cannot_be_fitted(frames, parts):
    silent = replace(
        frames, frame_columns={k: c for k, c in frames.frame_columns.items() if k != "REF_energy"}
    )
    with pytest.raises(InputError, match=r"has an energy .looked for REF_energy.*--energy-key"):
        fit(silent, RECIPE, parts=parts)
    nothing = replace(
        silent, atom_columns={}, frame_columns={"config_type": frames.frame_columns["config_type"]}
    )
    with pytest.raises(InputError, match="has a label"):
        fit(nothing, RECIPE, parts=parts)
    with pytest.raises(InputError, match="config type liquid"):
        fit(frames, replace(RECIPE, weights=Weights(groups={"liquid": (1.0, 1.0, 1.0)})), parts=parts)
    with pytest.raises(InputError, match="no structure is left"):
        fit(frames, RECIPE, parts=np.full(len(frames), "test"))
    with pytest.raises(InputError, match="atomic number 29"):
        fit(frames, replace(RECIPE, reference={14: -1.0}), parts=parts)
    with pytest.raises(InputError, match="no functions for atomic number 29"):
        fit(frames, replace(RECIPE, basis=AceBasis(elements=(14,), cutoff=5.0, degree=(4,))), parts=parts)


def test_a_learning_curve_ends_with_the_whole(frames, parts):
    found = fit(frames, replace(RECIPE, learning_curve=True), parts=parts)
    assert [lesson.structures for lesson in found.learning] == sorted(
        lesson.structures for lesson in found.learning
    )
    assert found.learning[-1].structures == np.count_nonzero(parts == "train")
    assert found.learning[-1].rows == found.path.n_rows
    first, last = (lesson.errors["test"]["forces"][1] for lesson in (found.learning[0], found.learning[-1]))
    assert last < first
    whole = next(e for e in found.errors() if (e.part, e.quantity, e.group) == ("test", "forces", ""))
    assert last == pytest.approx(whole.rmse, rel=1e-4)
    with pytest.raises(InputError, match="at least 8 training structures"):
        fit(copper(4), replace(RECIPE, learning_curve=True))
