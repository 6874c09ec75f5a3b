"""Parts of the study of determinantal point processes against independent truth; its quick size on real data."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.fitting.accumulate import labelled_rows
from aliquot.fitting.weights import Weights
from aliquot.selection import Bayes
from aliquot.solvers.evidence import best_prior
from aliquot.solvers.triangle import Triangle
from aliquot.structures import Frames
from aliquot.studies import Data, Results, run_study, study_named
from aliquot.studies.blocks import Blocks, write_blocks
from aliquot.studies.hafnia_dpp import divide, redundant
from aliquot.studies.hafnia_dpp.choosing import Pool, likeness_as_published
from aliquot.studies.hafnia_dpp.comparing import per_split, ratio, ratios, reached
from aliquot.studies.hafnia_dpp.preparing import mean_descriptors, thinned
from aliquot.studies.hafnia_dpp.solving import Structures, Trial, bayesian, free_atoms, pseudo_inverse


@pytest.fixture
def frames():
    """Sixteen cells of zinc blende with vacancies: two elements in different shares."""
    rng = np.random.default_rng(5)
    out = []
    for i in range(16):
        atoms = bulk("SiC", "zincblende", a=4.4 + 0.1 * rng.normal(), cubic=True)
        del atoms[[1, 3][: i % 3]]
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
        atoms.info |= {"config_type": f"run {i // 4}", "REF_energy": -7.0 * len(atoms) + rng.normal()}
        atoms.arrays["REF_forces"] = rng.normal(size=atoms.positions.shape)
        out.append(atoms)
    return Frames.from_atoms(out)


@pytest.fixture
def basis():
    return AceBasis(elements=(6, 14), cutoff=3.5, degree=(3, 3))


@pytest.fixture
def structures(frames, basis, tmp_path):
    write_blocks(tmp_path / "blocks", basis, frames)
    shares = np.stack(
        [np.add.reduceat(frames.numbers == z, frames.offsets[:-1], dtype=int) for z in (6, 14)], axis=1
    )
    return Structures(
        mean_descriptors(basis, frames),
        np.tile(basis.prior, 2),
        frames.energy.values / frames.sizes,
        shares / frames.sizes[:, None],
        frames.sizes,
        Blocks(tmp_path / "blocks"),
    )


def test_mean_descriptors_are_energy_rows_per_atom(frames, basis):
    rows = mean_descriptors(basis, frames)
    evaluator = AceEvaluator(basis)
    for i in (0, 1, 5):
        np.testing.assert_allclose(rows[i], evaluator.rows(frames, i).energy / frames.sizes[i], atol=1e-14)


def test_scaled_rows_are_those_of_the_prior_in_other_axes(structures):
    plain = structures.rows / structures.prior
    np.testing.assert_allclose(
        structures.scaled @ structures.scaled.T, plain @ plain.T, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("shape", [(30, 6), (6, 30)])
def test_pseudo_inverse_is_numpys(shape):
    rng = np.random.default_rng(0)
    A = rng.normal(size=shape) * np.logspace(0, -3, shape[1])  # some squares below the cut, no tie with it
    b = rng.normal(size=(shape[0], 2))
    true = np.linalg.pinv(A.T @ A, rcond=1e-5, hermitian=True) @ A.T @ b
    np.testing.assert_allclose(pseudo_inverse(A, b, cut=1e-5, relative=True), true, rtol=1e-6, atol=1e-9)
    size = np.linalg.eigvalsh(A.T @ A)[-1]
    absolute = pseudo_inverse(A, b, cut=1e-5 * size, relative=False)
    np.testing.assert_allclose(absolute, true, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n", [8, 60])
def test_bayesian_ridge_is_that_of_the_triangle(n):
    rng = np.random.default_rng(n)
    A = rng.normal(size=(n, 20)) * np.logspace(0, -4, 20)
    b = A @ rng.normal(size=20) + 1e-3 * rng.normal(size=n)
    triangle = Triangle(20)
    triangle.absorb(A, b)
    precision = best_prior(triangle).precision
    true = np.linalg.solve(A.T @ A + precision * np.eye(20), A.T @ b)
    np.testing.assert_allclose(A @ bayesian(A, b), A @ true, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(bayesian(A, b), true, rtol=1e-3, atol=1e-4)


def test_fits_are_those_to_all_rows(frames, basis, structures):
    test = np.array([3, 9, 15])
    chosen = np.array([0, 1, 2, 5, 8, 10, 13])
    trial = Trial(structures, test, energy_weight=30.0)
    found = trial.force_errors([chosen, chosen[::-1].copy()])
    free = np.linalg.lstsq(structures.shares[chosen], structures.energy[chosen], rcond=None)[0]
    np.testing.assert_allclose(free, free_atoms(structures.shares[chosen], structures.energy[chosen]))

    evaluator, gamma = AceEvaluator(basis), np.tile(basis.prior, 2)
    triangle = Triangle(len(gamma))
    bound = structures.energy - structures.shares @ free
    for i in chosen:
        rows = labelled_rows(evaluator, frames, i)
        root = np.sqrt(frames.sizes[i])
        triangle.absorb(30.0 * rows["energy"][0] / gamma, 30.0 * root * bound[[i]])
        triangle.absorb(rows["forces"][0] / gamma, rows["forces"][1])
    precision = best_prior(triangle).precision
    R = triangle.factor[:-1, :-1]
    scaled = np.linalg.solve(R.T @ R + precision * np.eye(len(gamma)), R.T @ triangle.factor[:-1, -1])
    c = scaled / gamma
    energy = np.sqrt(np.mean((structures.rows[test] @ c - bound[test]) ** 2))
    wrong = np.concatenate(
        [
            rows["forces"][0] @ c - rows["forces"][1]
            for i in test
            for rows in [labelled_rows(evaluator, frames, i)]
        ]
    )
    for one in found:
        assert one["forces_energy_rmse_meV"] == pytest.approx(1000 * energy, rel=2e-2)
        assert one["forces_force_rmse_meV_A"] == pytest.approx(1000 * np.sqrt(np.mean(wrong**2)), rel=2e-3)


def test_energies_alone(structures):
    test, chosen = np.array([3, 9, 15]), np.array([0, 1, 2, 5, 8, 10, 13])
    errors = Trial(structures, test, energy_weight=30.0).energy_errors(chosen)
    A, y = structures.rows[chosen], structures.energy[chosen]
    c = np.linalg.pinv(A.T @ A, rcond=1e-8, hermitian=True) @ A.T @ y
    wrong = structures.rows[test] @ c - structures.energy[test]
    assert errors["published_energy_rmse_meV"] == pytest.approx(1000 * np.sqrt(np.mean(wrong**2)), rel=1e-6)
    assert set(errors) == {
        "published_energy_rmse_meV",
        "absolute_energy_rmse_meV",
        "referenced_energy_rmse_meV",
        "evidence_energy_rmse_meV",
        "evidence_force_rmse_meV_A",
    }


def test_sums_of_many_sets_are_those_of_each(frames, structures):
    blocks, groups = structures.blocks, [str(name) for name in frames.config_type]
    weights = Weights(30.0, 2.0, 1.0, groups={"run 1": (10.0, 0.5, 0.0), "run 2": (1.0, 0.0, 1.0)})
    sets = [np.array([0, 1, 5]), np.array([4, 4, 9, 15]), np.arange(16)]
    for many, which in zip(blocks.sums_of(sets, weights, groups), sets, strict=True):
        one = blocks.sums(which, weights, groups)
        assert many.n_rows == one.n_rows
        np.testing.assert_allclose(many.matrix, one.matrix, rtol=1e-12, atol=1e-12)


def test_whole_groups_are_held_out():
    groups = np.repeat(np.arange(12), np.arange(1, 13))
    seen = set()
    for k in range(5):
        pool, test = divide(groups, 0.25, np.random.default_rng(k))
        assert not set(groups[pool]) & set(groups[test])
        assert sorted([*pool, *test]) == list(range(len(groups)))
        assert 0.25 * len(groups) <= len(test) < 0.25 * len(groups) + 12
        seen.add(tuple(test))
    assert len(seen) > 1


def test_redundant_pools_are_mostly_of_few_groups():
    groups = np.repeat(np.arange(20), 10)
    stay = redundant(groups, 0.3, 2, np.random.default_rng(0))
    counts = np.bincount(groups[stay], minlength=20)
    assert sorted(counts) == [2] * 14 + [10] * 6


def test_thinning_takes_every_kth_of_each_group(frames):
    assert [str(g) for g in thinned(frames, 2).config_type] == [f"run {i // 2}" for i in range(8)]
    np.testing.assert_array_equal(thinned(frames, 2).hashes, frames[np.arange(0, 16, 2)].hashes)


def test_choices_of_smaller_budgets_are_prefixes_where_they_are_nested():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 8)) @ rng.normal(size=(8, 8)) + 3.0
    pool = Pool(rows, np.linspace(1, 4, 8))
    first = pool.choose("bayes", 5, 20, rng)
    np.testing.assert_array_equal(pool.choose("bayes", 20, 20, rng)[:5], first)
    direct = Bayes(sensitivity=False).select(pool.scaled, 5, rng=rng)
    np.testing.assert_array_equal(direct.index, first)
    for method in ("random", "kdpp-cosine", "kdpp-cosine2", "kdpp-rbf", "kdpp-smooth", "kmeans", "kmedoids"):
        assert len(set(pool.choose(method, 7, 20, rng).tolist())) == 7
    assert pool.uniform_share("kdpp-cosine", 8) == pytest.approx(0.0)
    assert pool.uniform_share("kdpp-cosine", 16) == pytest.approx(0.5, abs=0.01)  # of rank 8
    assert pool.uniform_share("random", 16) is None


def test_kdpp_draws_pairs_by_their_determinants():
    rows = np.array([[1.0, 0.0], [1.0, 0.2], [0.1, 1.0], [1.0, 1.0]])
    pool, rng = Pool(rows, np.ones(2)), np.random.default_rng(0)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    L = unit @ unit.T
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    true = np.array([L[i, i] * L[j, j] - L[i, j] ** 2 for i, j in pairs])
    drawn = [tuple(sorted(pool.choose("kdpp-cosine", 2, 2, rng).tolist())) for _ in range(4000)]
    share = np.array([drawn.count(pair) for pair in pairs]) / 4000
    np.testing.assert_allclose(share, true / true.sum(), atol=0.03)


def test_published_likeness_against_loops():
    rows = np.random.default_rng(3).normal(size=(7, 3))
    inverse = np.linalg.pinv(np.cov(rows.T, bias=True), rcond=1e-6)
    values = [
        np.exp(-0.5 * (a - b) @ inverse @ (a - b))
        for i, a in enumerate(rows)
        for j, b in enumerate(rows)
        if i != j
    ]
    assert likeness_as_published(rows) == pytest.approx(np.mean(values))


def test_ratios_compare_divisions():
    rng = np.random.default_rng(0)
    rows = []
    for split in range(20):
        level = np.exp(rng.normal())  # of the division; cancels in pairs
        for draw in range(3):
            for method, factor in (("random", 2.0), ("kdpp-cosine", 1.0)):
                error = level * factor * np.exp(0.01 * rng.normal())
                told = {"split": split, "draw": draw, "method": method, "budget": 10, "square": False}
                rows.append(told | {"test": 20, "pool": 80, "e": error})
    results = Results(tuple(rows))
    found = ratio(results, "random", "kdpp-cosine", 10, "e")
    assert found is not None
    assert found.value == pytest.approx(2.0, rel=0.01)
    assert found.low < found.value < found.high
    assert found.splits == 20
    assert found.p < 1e-10
    corrected = ratios(results, [("random", "kdpp-cosine"), ("kdpp-cosine", "random")], "e")
    assert corrected["random", "kdpp-cosine", 10].p == pytest.approx(2 * found.p)
    other = Results(tuple({**row, "budget": 15} for row in rows))
    both = ratios(Results(results.rows + other.rows), [("random", "kdpp-cosine")], "e")
    assert both["random", "kdpp-cosine", 15].p == pytest.approx(2 * found.p)
    assert len(per_split(results, "random", 10, "e")) == 20
    assert ratio(results, "random", "nothing", 10, "e") is None


def test_where_a_curve_reaches_a_goal():
    assert reached([100, 200, 400], [4.0, 2.0, 1.0], 1.5) == pytest.approx(200 * 2 ** np.log2(2 / 1.5))
    assert reached([100, 200], [4.0, 2.0], 5.0) == 100
    assert reached([100, 200], [4.0, 2.0], 1.0) is None


@pytest.mark.slow
def test_quick_size(data_folder, tmp_path):
    study, data = study_named("hafnia-dpp"), Data.find(data_folder)
    record, results = run_study(study, "quick", data, tmp_path)
    assert {"trajectories", "redundant", "structures"} <= set(results.values("scene"))
    chosen = results.only(lambda row: row.get("budget") is not None)
    assert np.isfinite(chosen.column("published_energy_rmse_meV")).all()
    assert np.isfinite(chosen.column("forces_force_rmse_meV_A")).all()
    fixed = chosen.only(lambda row: row["method"] != "dpp")
    np.testing.assert_array_equal(fixed.column("chosen"), fixed.column("budget"))
    # forces teach what energies alone do not
    assert np.median(chosen.column("forces_force_rmse_meV_A")) < np.median(
        chosen.column("evidence_force_rmse_meV_A")
    )
    assert record.conclusion.findings
    assert record.conclusion.summary
    assert {"ratio", "trials", "coverage"} <= {table.name for table in record.conclusion.tables}
    protocol, settings = study.carried_out_by, study.settings_of("quick")
    place = next((tmp_path / "work").iterdir())
    task = {"scene": "structures", "split": 0}
    again = Results(tuple(protocol.work(settings, data, place, task))).column("published_energy_rmse_meV")
    first = results.where(scene="structures", split=0).column("published_energy_rmse_meV")
    np.testing.assert_allclose(again, first, rtol=1e-9)
