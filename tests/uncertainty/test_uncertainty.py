"""Leverage, spreads and committees against their definitions; the file; what the one object says."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.fitting import Baseline, Weights, labelled_rows
from aliquot.structures import Frames
from aliquot.structures.neighbours import neighbours
from aliquot.uncertainty import (
    LinearSites,
    Spread,
    Uncertainty,
    active_sets,
    bootstrap_committee,
    committee_from_posterior,
    posterior_spread,
)
from aliquot.uncertainty.bootstrap import refits
from aliquot.uncertainty.graded import grade
from aliquot.uncertainty.leverage import PRIOR, leverage, leverage_roots


def shifted(potential, deviation):
    """The potential with other coefficients."""
    c = potential.coefficients.copy()
    c[c != 0.0] += deviation
    return replace(potential, coefficients=c, precision=None)


def test_leverage_is_its_formula(fitted, known_frames):
    sites = LinearSites(fitted)
    _, factors = active_sets(sites, known_frames)
    [root] = leverage_roots(factors, sites.priors)
    x = np.concatenate([sites.blocks(known_frames, i)[0].rows for i in range(len(known_frames))])
    gamma = sites.priors[0]
    largest = np.linalg.eigvalsh((x / gamma).T @ (x / gamma))[-1]
    P = x.T @ x + PRIOR * largest * np.diag(gamma**2)
    expected = np.sqrt(np.einsum("ij,ij->i", x, np.linalg.solve(P, x.T).T))
    h = leverage(x, root)
    np.testing.assert_allclose(h, expected, rtol=1e-6)
    assert h.max() <= 1.0
    effective = np.trace(np.linalg.solve(P, x.T @ x))
    assert np.sum(h**2) == pytest.approx(effective, rel=1e-6)


def test_spreads_are_those_of_the_covariance(alloy, alloy_frames):
    known = Uncertainty.build(alloy, alloy_frames)
    covariance = np.linalg.inv(alloy.precision.T @ alloy.precision)
    nonzero = alloy.coefficients.ravel() != 0.0
    rows = AceEvaluator(alloy.basis).rows(alloy_frames, 3)
    found = known.assess(alloy_frames, 3)
    assert found.kind == "posterior"
    phi = rows.energy[nonzero]
    assert found.energy_std == pytest.approx(np.sqrt(phi @ covariance @ phi), rel=1e-6)
    assert known.assess(alloy_frames, 3, forces=False).energy_std == pytest.approx(found.energy_std, rel=1e-8)
    derivative = rows.forces[..., nonzero]
    np.testing.assert_allclose(
        found.forces_std**2, np.einsum("aik,kl,ail->ai", derivative, covariance, derivative), rtol=1e-5
    )
    values = AceEvaluator(alloy.basis).site_values(alloy_frames, 3)
    species = alloy.basis.species(alloy_frames[3].numbers)
    for i, z in enumerate(species):
        b = np.zeros_like(alloy.coefficients)
        b[z] = values[i]
        b = b.ravel()[nonzero]
        assert found.energies_std[i] == pytest.approx(np.sqrt(b @ covariance @ b), rel=1e-6)


def test_a_committee_is_what_its_members_say(alloy, alloy_frames):
    spread = committee_from_posterior(alloy, 5, rng=np.random.default_rng(0))
    members = [shifted(alloy, d) for d in spread.deviations]
    said = [m(alloy_frames, 2) for m in members]
    centre = alloy(alloy_frames, 2)
    found = Uncertainty.build(alloy, alloy_frames, spread=spread).assess(alloy_frames, 2)
    assert found.kind == "committee"
    energies = np.array([s.energy - centre.energy for s in said])
    assert found.energy_std == pytest.approx(np.sqrt(np.mean(energies**2)), rel=1e-6)
    forces = np.array([s.forces - centre.forces for s in said])
    np.testing.assert_allclose(found.forces_std, np.sqrt(np.mean(forces**2, axis=0)), rtol=1e-5, atol=1e-12)
    atoms = np.array([s.energies - centre.energies for s in said])
    np.testing.assert_allclose(found.energies_std, np.sqrt(np.mean(atoms**2, axis=0)), rtol=1e-5, atol=1e-12)


def test_many_draws_approach_the_posterior(fitted, known_frames):
    many = committee_from_posterior(fitted, 4000, rng=np.random.default_rng(1))
    exact = posterior_spread(fitted)
    rows = AceEvaluator(fitted.pruned.basis).rows(known_frames, 0).forces
    np.testing.assert_allclose(many.std(rows), exact.std(rows), rtol=0.08)
    assert many.by_element((len(many.root),))[0].shape == (len(many.root),) * 2


def test_bootstrap_refits_are_least_squares_on_repeated_structures(fitted, known_frames):
    counts = np.ones((2, len(known_frames)), int)
    counts[1, :5], counts[1, 5:10] = 0, 2
    found = refits(fitted, known_frames, counts)
    small = fitted.pruned
    reference = dict(zip(small.basis.elements, small.reference.tolist(), strict=True))
    from aliquot.uncertainty.bootstrap import _baseline

    assert _baseline(fitted).reference == reference
    for c, count in zip(found, counts, strict=True):
        rows, target = [], []
        for i in range(len(known_frames)):
            made = labelled_rows(AceEvaluator(small.basis), known_frames, i, baseline=_baseline(fitted))
            for quantity, (r, t) in made.items():
                w = Weights().of(quantity, "")
                rows += [w * r] * count[i]
                target += [w * t] * count[i]
        A, y = np.concatenate(rows), np.concatenate(target)
        # the prior of the largest evidence is weak: residuals are those of least squares
        best = np.linalg.lstsq(A / small.basis.prior, y, rcond=None)[0] / small.basis.prior
        assert np.linalg.norm(A @ c - y) <= 1.001 * np.linalg.norm(A @ best - y)
    spread = bootstrap_committee(fitted, known_frames, 6, rng=np.random.default_rng(2))
    assert spread.kind == "bootstrap"
    np.testing.assert_allclose(spread.root.sum(axis=1), 0.0, atol=1e-8 * np.abs(spread.root).max())
    ratio = spread.std(AceEvaluator(small.basis).rows(known_frames, 0).forces).mean()
    ratio /= posterior_spread(fitted).std(AceEvaluator(small.basis).rows(known_frames, 0).forces).mean()
    assert 0.2 < ratio < 5.0
    assert Baseline(reference).reference == reference


def test_grades_come_with_the_forces(alloy, alloy_frames):
    known = Uncertainty.build(alloy, alloy_frames)
    atoms = alloy_frames.to_atoms()[1]
    pairs = neighbours(atoms.positions, atoms.cell[:], atoms.pbc, alloy.range)
    found, gamma = known.evaluate(atoms.numbers, pairs)
    np.testing.assert_array_equal(found.forces, alloy(alloy_frames, 1).forces)
    np.testing.assert_allclose(gamma, known.assess(alloy_frames, 1).gamma, rtol=1e-10)


def test_the_full_basis_comes_with_a_warning(fitted, known_frames):
    full = Uncertainty.build(fitted, known_frames, full_basis=True, guard=False)
    assert any("full basis" in note and "condition" in note for note in full.notes)
    assert full.active[0].n_features == len(fitted.basis.functions)
    assert full.assess(known_frames, 0).largest < 1.05
    with pytest.raises(InputError, match="without full_basis"):
        full.evaluate(np.array([29]), neighbours(np.zeros((1, 3)), np.eye(3) * 9, np.zeros(3, bool), 4.5))


def test_training_structures_do_not_extrapolate(fitted, known_frames):
    found = grade(Uncertainty.build(fitted, known_frames, guard=False), known_frames)
    assert found.gamma.max() == pytest.approx(1.0, abs=2e-3)
    assert np.count_nonzero(found.gamma > 1.0) > 0  # by rounding, as members of the active set are
    assert found.extrapolating == 0


def test_few_environments_are_told(fitted, known_frames):
    few = Uncertainty.build(fitted, known_frames[:1])
    assert any("cannot span" in note for note in few.notes)
    assert few.assess(known_frames, 1).largest > 5
    assert few.assess(known_frames, 1).leverage.max() > few.assess(known_frames, 0).leverage.max()


def test_what_moves_away_is_seen_by_every_indicator(fitted, known_frames):
    known = Uncertainty.build(fitted, known_frames, guard=False)
    inside = [known.assess(known_frames, i) for i in range(len(known_frames))]
    assert max(a.largest for a in inside) <= 1.0011
    moved = known_frames.to_atoms()[0]
    moved.positions[0] += [0.5, 0.5, 0.5]
    outside = known.assess(Frames.from_atoms([moved]))
    assert outside.largest > 5
    assert outside.leverage.max() > 3 * max(a.leverage.max() for a in inside)
    assert outside.force_std.max() > 3 * max(a.force_std.max() for a in inside)


def test_the_file_returns_everything(tmp_path, alloy, alloy_frames):
    known = Uncertainty.build(alloy, alloy_frames)
    path = known.save(tmp_path / "alloy.active")
    again = Uncertainty.load(path, alloy)
    one, other = known.assess(alloy_frames, 0), again.assess(alloy_frames, 0)
    np.testing.assert_array_equal(one.gamma, other.gamma)
    np.testing.assert_array_equal(one.leverage, other.leverage)
    np.testing.assert_array_equal(one.forces_std, other.forces_std)
    assert again.notes == known.notes
    np.testing.assert_array_equal(again.active[1].origin, known.active[1].origin)
    with pytest.raises(InputError, match="exists"):
        known.save(path)
    with pytest.raises(InputError, match="another potential"):
        Uncertainty.load(path, shifted(alloy, 0.1))
    whole = path.read_bytes()
    (tmp_path / "cut.active").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be used"):
        Uncertainty.load(tmp_path / "cut.active", alloy)
    with zipfile.ZipFile(tmp_path / "other.active", "w") as archive:
        archive.writestr("uncertainty.json", '{"format": "something"}')
    with pytest.raises(InputError, match="is not known here"):
        Uncertainty.load(tmp_path / "other.active", alloy)


def test_a_potential_without_posterior_has_grades_but_no_spread(fitted, known_frames):
    bare = replace(fitted, precision=None)
    found = Uncertainty.build(bare, known_frames).assess(known_frames)
    assert found.energies_std is None
    assert found.forces_std is None
    assert found.force_std is None
    with pytest.raises(InputError, match="--posterior"):
        posterior_spread(bare)
    with pytest.raises(InputError, match="needs members"):
        committee_from_posterior(fitted, 0, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="of 3 coefficients, the potential has"):
        Uncertainty.build(fitted, known_frames, spread=Spread("committee", np.ones((3, 2))))


def test_an_element_without_functions_is_never_unknown(alloy, alloy_frames):
    c = alloy.coefficients.copy()
    c[1] = 0.0
    silent = replace(alloy, coefficients=c, precision=None)
    known = Uncertainty.build(silent, alloy_frames)
    found = known.assess(alloy_frames, 0)
    gold = alloy_frames[0].numbers == 79
    assert np.all(found.gamma[gold] == 0.0)
    assert np.all(found.leverage[gold] == 0.0)
    assert np.all(found.gamma[~gold] > 0.0)
    nothing = replace(alloy, coefficients=0 * c, precision=None)
    assert Uncertainty.build(nothing, alloy_frames, guard=False).assess(alloy_frames, 0).largest == 0.0


def test_alone_in_space(fitted, known_frames):
    from ase import Atoms

    known = Uncertainty.build(fitted, known_frames)
    found = known.assess(Frames.from_atoms([Atoms("Cu", positions=[[0, 0, 0]])]))
    assert np.isfinite(found.gamma).all()
    assert np.all(found.forces_std == 0.0)
