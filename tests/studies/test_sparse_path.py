"""Sparse paths: chunks against rows at once, dense models against their bases, judgement and overlap by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError
from aliquot.fitting import Baseline, Weights, accumulate, compare, evaluation_cost, reference_energies
from aliquot.solvers import ASP, LeastSquares, Path, Point, Triangle
from aliquot.structures import Frames
from aliquot.studies import Data, Results, run_study, study_named
from aliquot.studies.sparse_path.chunks import ALWAYS, NEVER, Chunks, chunks_of, compress, parts_of
from aliquot.studies.sparse_path.judging import Model, at_budget, at_error, compared, judged, surroundings
from aliquot.studies.sparse_path.measured import Measured
from aliquot.studies.sparse_path.solving import METHODS, dense_supports, levels, solved, sub_triangle
from aliquot.studies.sparse_path.stability import at_size, consistency, jaccard, packed, pairs_of, unpacked

TIMES = {"us_per_atom", "seconds"}


@pytest.fixture
def settings():
    return study_named("sparse-path").settings_of("quick")


@pytest.fixture
def frames(silicon_pool):
    alone = Atoms("Si", cell=[20.0] * 3, pbc=True, info={"REF_energy": -158.0, "config_type": "alone"})
    alone.arrays["REF_forces"] = np.zeros((1, 3))
    return Frames.from_atoms([*silicon_pool, alone])


@pytest.fixture
def evaluator():
    return AceEvaluator(AceBasis(elements=(14,), cutoff=4.0, degree=(6.0, 5.0, 4.0), pair_degree=4))


@pytest.fixture
def random_triangle():
    def made(d: int, m: int = 200, seed: int = 0) -> Triangle:
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(m, d)) / np.arange(1, d + 1)
        triangle = Triangle(d)
        triangle.absorb(rows, rows @ rng.normal(size=d) + 0.1 * rng.normal(size=m))
        return triangle

    return made


def path_of(*points: tuple[int, float], d: int = 10) -> Path:
    """A path of points of these sizes and validation errors."""
    return Path(
        "by hand",
        {},
        d,
        100,
        tuple(Point(i, 0.0, np.arange(k), np.ones(k), 0.0, error) for i, (k, error) in enumerate(points)),
    )


class TestChunks:
    def test_types_are_dealt_evenly_and_free_atoms_always_teach(self, frames):
        chunk = chunks_of(frames, 4)
        assert chunk[-1] == ALWAYS
        for kind in ("bulk", "hot bulk"):
            counts = np.bincount(chunk[frames.config_type == kind], minlength=4)
            assert counts.max() - counts.min() <= 1

    def test_equal_structures_stay_together_whatever_the_order(self, silicon_pool):
        twice = Frames.from_atoms([*silicon_pool, *silicon_pool])
        chunk = chunks_of(twice, 5)
        assert np.array_equal(chunk[:12], chunk[12:])
        order = np.random.default_rng(1).permutation(12)
        mixed = chunks_of(Frames.from_atoms([silicon_pool[i] for i in order]), 5)
        assert np.array_equal(mixed, chunk[order])

    def test_a_published_test_never_teaches(self, silicon_pool):
        for i, atoms in enumerate(silicon_pool):
            atoms.info["split"] = "test" if i % 3 == 0 else "train"
        chunk = chunks_of(Frames.from_atoms(silicon_pool), 4, published_test=True)
        assert np.array_equal(chunk == NEVER, np.arange(12) % 3 == 0)
        parts = parts_of(chunk, 4, validation=1, test=1, seed=0)
        assert np.array_equal(parts == "test", chunk == NEVER)
        assert (parts == "validation").sum() == 2

    def test_splits(self):
        chunk = np.append(np.repeat(np.arange(10), 3), ALWAYS)
        seen = set()
        for seed in range(8):
            parts = parts_of(chunk, 10, validation=2, test=1, seed=seed)
            assert [(parts == part).sum() for part in ("train", "validation", "test")] == [22, 6, 3]
            assert all(len(set(parts[chunk == k])) == 1 for k in range(10))
            assert parts[-1] == "train"
            seen.add(tuple(parts))
        assert len(seen) == 8

    def test_merged_chunks_are_the_rows_at_once(self, frames, evaluator, tmp_path):
        weights = Weights(30.0, 1.0, 1.0, {"hot bulk": (5.0, 0.5, 0.0)})
        chunk = chunks_of(frames, 4)
        compress(tmp_path / "held", evaluator, frames, chunk, weights)
        parts = parts_of(chunk, 4, validation=1, test=1, seed=3)
        baseline = Baseline(reference_energies(frames[parts == "train"]))
        chunks = Chunks.open(tmp_path / "held")
        held = accumulate(evaluator, frames, parts=parts, baseline=baseline)
        for part in ("train", "validation"):
            ours, theirs = (
                chunks.triangle(frames, parts == part, weights, baseline),
                held.weighted([part], weights),
            )
            gram = theirs.factor.T @ theirs.factor
            assert ours.factor.T @ ours.factor == pytest.approx(gram, rel=1e-9, abs=1e-9 * np.abs(gram).max())
            labelled = int((3 * frames.sizes + 1)[parts == part].sum())
            # the three force rows of a free atom are zero: only its energy comes along
            assert ours.n_rows == labelled - (3 if part == "train" else 0)

    def test_complete_or_not_at_all(self, frames, evaluator, tmp_path):
        def stopped(_what, done, _total):
            if done == 5:
                raise KeyboardInterrupt

        chunk = chunks_of(frames, 4)
        with pytest.raises(KeyboardInterrupt):
            compress(tmp_path / "held", evaluator, frames, chunk, Weights(), progress=stopped)
        assert list(tmp_path.iterdir()) == []


class TestDense:
    def test_a_share_of_the_degree_is_the_basis_of_that_degree(self):
        basis = AceBasis(elements=(14,), cutoff=5.0, degree=(12.0, 9.0, 6.0), pair_degree=12)
        smaller = AceBasis(elements=(14,), cutoff=5.0, degree=(8.0, 6.0, 4.0), pair_degree=8)
        inside = {basis.functions[k] for k in np.flatnonzero(levels(basis) <= 2 / 3 + 1e-12)}
        assert inside == set(smaller.functions)

    def test_one_degree_is_the_basis_of_that_degree(self):
        basis = AceBasis(elements=(14,), cutoff=5.0, degree=(12.0, 9.0, 6.0), pair_degree=12)
        smaller = AceBasis(elements=(14,), cutoff=5.0, degree=(5.0, 5.0, 5.0), pair_degree=5)
        level = levels(basis, equal=True)
        assert {basis.functions[k] for k in np.flatnonzero(level <= 5 / 6 + 1e-12)} == set(smaller.functions)
        assert dense_supports(level, (10,))[-1].tolist() == np.flatnonzero(level <= 1).tolist()

    def test_supports_are_nested_the_largest_that_fit_and_end_complete(self):
        basis = AceBasis(elements=(1, 8), cutoff=5.0, degree=(6.0, 5.0), pair_degree=6)
        d = 2 * len(basis.functions)
        supports = dense_supports(levels(basis), (1, 20, 50))
        assert len(supports[-1]) == d
        level = levels(basis)
        for n, support in zip((20, 50), supports, strict=False):
            following = np.unique(level[level > level[support].max()])[0]
            assert len(support) <= n < np.sum(level <= following)
        assert all(set(one) < set(two) for one, two in pairwise(supports))

    def test_sub_triangle(self, random_triangle):
        whole, support = random_triangle(8), np.array([5, 1, 6])
        some = sub_triangle(whole, support)
        c = np.array([0.3, -1.0, 2.0])
        full = np.zeros(8)
        full[support] = c
        assert some.residual(c) == pytest.approx(whole.residual(full))
        assert some.n_rows == whole.n_rows


class TestPaths:
    def test_every_method(self, frames, evaluator, settings):
        baseline = Baseline(reference_energies(frames))
        parts = np.array(["validation" if i % 4 == 0 else "train" for i in range(len(frames))])
        held = accumulate(evaluator, frames, parts=parts, baseline=baseline)
        training, validation = (held.weighted([part], Weights()) for part in ("train", "validation"))
        costs = evaluation_cost(evaluator.basis)
        settings = replace(settings, sizes=(5, 9), stability=(5,))
        paths = {
            name: solved(name, evaluator.basis, training, validation, costs, settings) for name in METHODS
        }
        for path in paths.values():
            for point in path.points:
                assert point.cost == pytest.approx(costs.total(point.support))
                c = point.coefficients(path.n_columns)
                assert point.validation == pytest.approx(
                    math.sqrt(validation.residual(c) / validation.n_rows)
                )
        assert {5, 9} <= set(paths["asp"].sizes.tolist())
        alone = ASP(max_size=9, points=1, debias="tsvd").solve(
            LeastSquares.of(training, prior=evaluator.basis.prior), validation=validation
        )
        ours = paths["asp"][int(np.flatnonzero(paths["asp"].sizes == 9)[0])]
        assert np.array_equal(np.sort(ours.support), np.sort(alone[-1].support))
        assert ours.validation == pytest.approx(alone[-1].validation)
        with pytest.raises(InputError, match="lasso"):
            solved("lasso", evaluator.basis, training, validation, costs, settings)

    def test_budget_and_equal_error(self):
        path = path_of((2, 3.0), (4, 1.0), (5, 2.0), (7, 0.5))
        assert [at_budget(path, n) for n in (1, 3, 6, 9)] == [None, 0, 1, 3]
        assert [at_error(path, limit) for limit in (3.0, 2.0, 0.7, 0.1)] == [0, 1, 3, None]

    def test_a_path_cut_short_has_no_larger_budget(self, settings):
        settings = replace(settings, sizes=(4, 8), asp_largest=4)
        paths = {
            "dense": path_of((3, 1.0), (8, 0.2)),
            "asp": path_of((4, 0.9)),
            "omp": path_of((2, 1.0), (6, 0.1)),
        }
        chosen = compared(paths, settings)
        budgets = {key[1:] for key in chosen if key[0] == "budget"}
        assert budgets == {("dense", 4), ("asp", 4), ("omp", 4), ("dense", 8), ("omp", 8)}
        assert {key: model for key, model in chosen.items() if key[0] == "match"} == {
            ("match", "asp", 4): Model("asp", 0),
            ("match", "omp", 4): Model("omp", 0),
            ("match", "omp", 8): Model("omp", 1),
        }

    def test_models_of_one_degree_are_another_aim(self, settings):
        settings = replace(settings, sizes=(4, 8))
        paths = {
            "dense": path_of((3, 1.0)),
            "dense-equal": path_of((4, 2.0)),
            "omp": path_of((2, 1.5), (3, 0.5)),
        }
        chosen = compared(paths, settings)
        assert chosen["match-equal", "omp", 4] == Model("omp", 0)
        assert chosen["match-equal", "dense", 4] == Model("dense", 0)
        assert chosen["match", "omp", 4] == Model("omp", 1)
        assert ("match", "dense-equal", 4) not in chosen
        assert ("budget", "dense-equal", 8) not in chosen  # its models end at 4 functions

    def test_errors_are_those_of_the_potential(self, frames, evaluator):
        d = evaluator.n_columns
        rng = np.random.default_rng(2)
        path = replace(
            path_of((d, 1.0), d=d), points=(Point(0, 0.0, np.arange(d), rng.normal(size=d), 0.0, 1.0),)
        )
        parts = np.array(["test" if i % 3 == 0 else "train" for i in range(len(frames))])
        baseline = Baseline({14: -158.5})
        model = Model("omp", 0)
        timed = surroundings(frames, 4.0)
        said = judged(evaluator, frames, parts, {"omp": path}, [model], baseline, timed)[model]
        potential = AcePotential(evaluator.basis, path.coefficients(0)[None], np.array([-158.5]))
        errors = {e.quantity: e for e in compare(potential, frames[parts == "test"]).table() if not e.group}
        for quantity, name in (("energy", "energy"), ("forces", "force")):
            unit = "meV" if name == "energy" else "meV_A"
            assert said[f"{name}_mae_{unit}"] == pytest.approx(1e3 * errors[quantity].mae)
            assert said[f"{name}_rmse_{unit}"] == pytest.approx(1e3 * errors[quantity].rmse)
        assert said["us_per_atom"] > 0

    def test_copies_side_by_side(self, copper_potential):
        frames = Frames.from_atoms([bulk("Cu", cubic=True) * (2, 2, 1)])
        timed = surroundings(frames, copper_potential.range)
        copies = len(timed.numbers) // 16
        assert copies == 250 // 16
        one, many = copper_potential(frames, 0), copper_potential.evaluate(timed.numbers, timed.pairs)
        assert many.energy == pytest.approx(copies * one.energy)
        assert many.forces[-16:] == pytest.approx(one.forces, abs=1e-10)


class TestStability:
    def test_kuncheva(self):
        one, two = np.zeros(20, bool), np.zeros(20, bool)
        one[:8], two[3:11] = True, True
        r, k, d = 5, 8, 20
        assert consistency(one, two) == pytest.approx(
            (r * d - k * k) / (k * (d - k))
        )  # as Kuncheva writes it
        assert jaccard(one, two) == pytest.approx(5 / 11)

    def test_chance_is_zero(self):
        rng = np.random.default_rng(0)
        masks = [rng.permutation(np.arange(60) < 20) for _ in range(60)]
        shared, beyond = pairs_of(masks)
        assert len(beyond) == 60 * 59 // 2
        assert np.mean(beyond) == pytest.approx(0.0, abs=0.02)
        assert np.mean(shared) == pytest.approx(0.2, abs=0.02)

    def test_nothing_beyond_chance_where_all_are_chosen(self):
        assert math.isnan(consistency(np.ones(4, bool), np.ones(4, bool)))

    def test_texts(self):
        mask = np.random.default_rng(0).random(1041) < 0.3
        assert np.array_equal(unpacked(packed(mask), 1041), mask)

    def test_at_size(self):
        path = path_of((2, 3.0), (4, 1.0), (9, 2.0))
        assert np.flatnonzero(at_size(path, 4)).tolist() == [0, 1, 2, 3]
        assert at_size(path, 8) is None  # 4 functions are no model of 8


class TestMeasured:
    @pytest.fixture
    def measured(self, settings):
        settings = replace(settings, sizes=(10, 20), repeats=2, stability=(2,))
        rows = []
        for seed in (0, 1):
            for n in (10, 20):
                rows.append({"kind": "budget", "method": "dense", "n": n, "functions": n, "seed": seed})
                if (seed, n) != (1, 20):
                    functions = 4 if n == 10 else 5
                    rows.append(
                        {"kind": "match", "method": "omp", "n": n, "functions": functions, "seed": seed}
                    )
            mask = np.isin(np.arange(8), [seed, 3])
            rows.append({"kind": "support", "method": "omp", "n": 2, "seed": seed, "candidates": 8})
            rows[-1]["support"] = packed(mask)
        return Measured(settings, Results(tuple({"set": "zuo2020_Ge", **row} for row in rows)))

    def test_shares(self, measured):
        assert measured.share("zuo2020_Ge", "omp", "functions", 10).tolist() == [0.4, 0.4]
        assert measured.share("zuo2020_Ge", "omp", "functions", 20).tolist() == [
            0.25,
            1.0,
        ]  # not reached: one
        expected = [math.sqrt(0.4 * 0.25), math.sqrt(0.4)]
        assert measured.shares("zuo2020_Ge", "omp", "functions") == pytest.approx(expected)
        assert measured.unreached("zuo2020_Ge", "omp") == 1

    def test_error_ratio_leaves_out_what_was_not_reached(self, measured):
        assert measured.error_ratio("zuo2020_Ge", "omp", "functions")[1] == pytest.approx(0.4)

    def test_overlap_of_splits(self, measured):
        assert measured.overlap("zuo2020_Ge") == pytest.approx(3 / 17)
        assert measured.overlap("water_deepmd") == pytest.approx(3 / 14)

    def test_overlaps_of_supports(self, measured):
        shared, beyond = measured.overlaps("zuo2020_Ge", "omp", 2)
        assert shared.value == pytest.approx(1 / 3)
        assert beyond.value == pytest.approx((1 - 0.5) / (2 - 0.5))


class TestSettings:
    def test_chunks_must_be_left(self, settings):
        with pytest.raises(InputError, match="at least one must be left"):
            replace(settings, validation=15, test=5)

    def test_sizes_ascend(self, settings):
        with pytest.raises(InputError, match="ascending"):
            replace(settings, sizes=(60, 30))

    def test_own_degree(self):
        settings = study_named("sparse-path").settings_of("standard")
        assert settings.degree_of("water_deepmd") == (12.0, 10.0, 8.0)
        assert settings.power_of("si_gap18_available") == 5.0
        assert list(replace(settings, fewer={"water_deepmd": 4}, seed=2).seeds_of("water_deepmd")) == [
            2,
            3,
            4,
            5,
        ]
        assert len(settings.seeds_of("zuo2020_Mo")) == 10
        assert settings.degree_of("zuo2020_Mo") == (20.0, 18.0, 15.0)


def test_quick(data_folder, tmp_path):
    study, data = study_named("sparse-path"), Data(data_folder)
    record, results = run_study(study, "quick", data, tmp_path / "one")
    settings = study.settings_of("quick")
    budgets = results.where(kind="budget")
    assert len(budgets.rows) == 2 * len(settings.methods) * len(settings.sizes)
    assert np.all(budgets.column("functions") <= budgets.column("n"))
    assert set(budgets.column("teaching")) <= {193.0, 194.0}  # of 228, with 25 for the test of the set
    for _, some in budgets.by("set", "seed", "method"):
        assert np.all(np.diff(some.column("validation")) <= 0)
    matched = results.where(kind="match", method="asp", n=60).column("validation")
    assert np.all(matched <= budgets.where(method="dense", n=60).column("validation"))
    assert record.conclusion.summary.startswith("On Ge, ")
    assert {finding.holds for finding in record.conclusion.findings} <= {True, False}
    again = run_study(study, "quick", data, tmp_path / "two")[1]
    assert [_steady(row) for row in again.rows] == [_steady(row) for row in results.rows]


def _steady(row):
    return {name: value for name, value in row.items() if name not in TIMES}
