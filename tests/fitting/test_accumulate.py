"""Accumulated rows against rows that are all held."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.fitting import Weights, accumulate, grams, labelled_rows
from aliquot.structures import Frames


@pytest.fixture(scope="module")
def copper() -> Frames:
    frames = []
    for seed, kind in enumerate(["bulk", "strained", "bulk", "hot", "bulk"]):
        atoms = bulk("Cu", cubic=True, a=3.6 + 0.05 * seed)
        atoms.rattle(0.05 + 0.05 * (kind == "hot"), seed=seed)
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        if kind != "hot":
            atoms.info["REF_virial"] = -atoms.get_volume() * atoms.get_stress(voigt=False)
        atoms.info["config_type"] = kind
        atoms.calc = None
        frames.append(atoms)
    return Frames.from_atoms(frames)


@pytest.fixture(scope="module")
def evaluator() -> AceEvaluator:
    return AceEvaluator(AceBasis(elements=(29,), cutoff=4.5, degree=(5, 5, 4)))


def test_triangles_are_those_of_the_stacked_rows(copper, evaluator):
    triangles = accumulate(evaluator, copper).triangles
    assert {key[1:] for key in triangles} == {
        (q, g) for q in ("energy", "forces", "virial") for g in ("bulk", "strained", "hot")
    } - {("virial", "hot")}
    c = np.random.default_rng(0).normal(size=evaluator.n_columns)
    for (_, quantity, group), triangle in triangles.items():
        parts = [
            labelled_rows(evaluator, copper, i)[quantity] for i in np.flatnonzero(copper.config_type == group)
        ]
        rows, targets = (np.concatenate(p) for p in zip(*parts, strict=True))
        assert triangle.n_rows == len(rows) == {"energy": 1, "forces": 12, "virial": 6}[quantity] * len(parts)
        assert triangle.residual(c) == pytest.approx(np.sum((rows @ c - targets) ** 2), rel=1e-10)


def test_grams_frame_by_frame(copper, evaluator):
    each = list(grams(evaluator, copper, threads=2))
    assert [set(g) for g in each][3] == {"energy", "forces"}
    for i, gram in enumerate(each):
        rows, targets = labelled_rows(evaluator, copper, i)["forces"]
        np.testing.assert_allclose(gram["forces"].AtA, rows.T @ rows)
        np.testing.assert_allclose(gram["forces"].Aty, rows.T @ targets)


def test_baseline_is_subtracted_and_energies_are_per_root_atom(copper, evaluator):
    plain = labelled_rows(evaluator, copper, 0)
    shifted = labelled_rows(evaluator, copper, 0, baseline=lambda frames, i: {"energy": np.array([-3.0])})
    assert plain["energy"][1][0] == pytest.approx(copper.energy.values[0] / 2)
    assert shifted["energy"][1][0] - plain["energy"][1][0] == pytest.approx(3.0 / 2)
    np.testing.assert_array_equal(shifted["forces"][1], plain["forces"][1])


def test_a_fit_on_the_triangles_learns_forces_and_virials(copper):
    """Signs and units of all three quantities agree: one model fits them together."""
    evaluator = AceEvaluator(AceBasis(elements=(29,), cutoff=5.5, degree=(8, 8, 7), pair_degree=6))
    triangles = accumulate(evaluator, copper).triangles
    factors = [(t.R, t.z) for t in triangles.values()]
    A, y = np.vstack([R for R, _ in factors]), np.concatenate([z for _, z in factors])
    gamma = evaluator.basis.prior
    scaled = np.vstack([A / gamma, 1e-7 * np.eye(len(gamma))])
    c = np.linalg.lstsq(scaled, np.concatenate([y, np.zeros(len(gamma))]), rcond=None)[0] / gamma
    for (_, quantity, group), triangle in triangles.items():
        zero = triangle.residual(np.zeros_like(c))
        assert triangle.residual(c) < 1e-3 * zero + 1e-6, (quantity, group)


def test_bad_groups_and_labels_are_named(copper, evaluator):
    with pytest.raises(InputError, match="2 groups for 5 frames"):
        accumulate(evaluator, copper, groups=["a", "b"])
    broken = copper.with_frame_column("REF_energy", np.array([1.0, np.nan, 1.0, 1.0, 1.0]))
    with pytest.raises(InputError, match="#1: the energy label is not finite"):
        accumulate(evaluator, broken)


def stacked(evaluator, frames, weights, *, leave_energy=()):
    rows, targets = [], []
    for i in range(len(frames)):
        group = str(frames.config_type[i])
        for quantity, (row, target) in labelled_rows(evaluator, frames, i).items():
            if not (quantity == "energy" and group in leave_energy):
                w = weights.of(quantity, group)
                rows.append(w * row)
                targets.append(w * target)
    return np.vstack(rows), np.concatenate(targets)


@pytest.mark.parametrize("memory", [1, 10**9])
def test_weights_before_or_after_compression(copper, evaluator, memory):
    weights = Weights(groups={"HOT": (5.0, 0.3, 0.0), "strained": (0.0, 1.0, 2.0)})
    held = accumulate(evaluator, copper, weights=weights, memory=memory)
    assert (held.weights is None) == (memory > 1)
    total = held.weighted(["all"], weights)
    A, y = stacked(evaluator, copper, weights)
    c = np.random.default_rng(1).normal(size=evaluator.n_columns)
    assert total.residual(c) == pytest.approx(np.sum((A @ c - y) ** 2), rel=1e-10)
    assert total.n_rows == np.count_nonzero(np.any(A != 0, axis=1))


@pytest.mark.parametrize("memory", [1, 10**9])
def test_an_unknown_offset_is_the_one_of_least_squares(copper, evaluator, memory):
    weights = Weights()
    held = accumulate(evaluator, copper, offsets=["bulk"], weights=weights, memory=memory)
    total = held.weighted(["all"], weights)
    A, y = stacked(evaluator, copper, weights, leave_energy=["bulk"])
    bulk = [i for i in range(5) if copper.config_type[i] == "bulk"]
    some = [labelled_rows(evaluator, copper, i)["energy"] for i in bulk]
    E, e = np.vstack([row for row, _ in some]) * 30, np.concatenate([t for _, t in some]) * 30
    one = 30 * np.sqrt(copper.sizes[bulk])[:, None]
    c = np.random.default_rng(2).normal(size=evaluator.n_columns)
    delta = np.linalg.lstsq(one, e - E @ c, rcond=None)[0]
    least = np.sum((A @ c - y) ** 2) + np.sum((E @ c + one @ delta - e) ** 2)
    assert total.residual(c) == pytest.approx(least, rel=1e-9)
    assert held.offset(["all"], "bulk", c) == pytest.approx(delta[0], rel=1e-9)


def test_rows_of_factor_zero_are_left_out_and_others_scaled(copper, evaluator):
    plain = labelled_rows(evaluator, copper, 0)["forces"]
    factor = np.ones(12)
    factor[3:6], factor[0] = 0.0, 0.5
    row, target = labelled_rows(evaluator, copper, 0, factors=lambda frames, i: {"forces": factor})["forces"]
    assert len(row) == len(target) == 9
    np.testing.assert_allclose(row[0], 0.5 * plain[0][0])
    np.testing.assert_allclose(target[3], plain[1][6])


def test_too_many_triangles_without_weights(copper, evaluator):
    with pytest.raises(InputError, match=r"8 triangles of \d+ columns take"):
        accumulate(evaluator, copper, memory=1)
    held = accumulate(evaluator, copper, weights=Weights(), memory=1)
    with pytest.raises(InputError, match="weighted before"):
        held.weighted(["all"], Weights(energy=1.0))
    with pytest.raises(InputError, match="no weighted row in test"):
        held.weighted(["test"], Weights())


def test_lanes_leave_the_same_triangles(copper, evaluator, monkeypatch):
    whole = accumulate(evaluator, copper, weights=Weights())
    monkeypatch.setattr(sys.modules[accumulate.__module__], "WIDE", 1)
    seen = []
    parted = accumulate(evaluator, copper, weights=Weights(), progress=lambda *call: seen.append(call))
    assert seen == [("rows", k + 1, 5) for k in range(5)]
    assert set(parted.triangles) == set(whole.triangles)
    c = np.random.default_rng(3).normal(size=evaluator.n_columns)
    for key, triangle in whole.triangles.items():
        assert parted.triangles[key].residual(c) == pytest.approx(triangle.residual(c), rel=1e-10)
        assert parted.triangles[key].n_rows == triangle.n_rows
