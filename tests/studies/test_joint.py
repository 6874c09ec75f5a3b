"""Data and basis chosen together: models of some functions, rows of candidates, labels that are not looked at."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from aliquot.ace.evaluator import AceEvaluator
from aliquot.examples import example_files
from aliquot.fitting import Baseline, Weights, labelled_rows, reference_energies
from aliquot.information import gather
from aliquot.progress import silent
from aliquot.structures import read, write
from aliquot.studies import Data, Results, run_study, study_named
from aliquot.studies.joint import Settings, conclude, prepare, tasks, work
from aliquot.studies.joint.choosing import BAYES, INFORMED, JOINT, RANDOM, choices
from aliquot.studies.joint.space import Space
from aliquot.studies.learning_curve.pools import gathered, largest_basis

WEIGHTS = (30.0, 1.0, 2.0)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Settings, data, place and frames of a part of the copper example, its liquid known."""
    folder = tmp_path_factory.mktemp("copper")
    frames = read(example_files()[0])
    write(folder / "pool.xyz", frames[::7])
    settings = Settings(
        sets=("pool",),
        known=("pool:bulk_md",),
        functions=60,
        sparse=(8, 20),
        labels=(3, 6, 12),
        weights=WEIGHTS,
        repeats=2,
    )
    data = Data(folder)
    prepare(settings, data, folder / "place", silent)
    return settings, data, folder / "place", gathered(settings, data, "pool")[0]


@pytest.fixture(scope="module")
def space(done):
    return Space(done[2] / "set-0")


@pytest.fixture(scope="module")
def rows(done):
    """Weighted rows and targets of every structure, for coefficients scaled by the prior."""
    frames = done[3]
    basis = largest_basis((29,), 60)
    evaluator, baseline = AceEvaluator(basis), Baseline(reference_energies(frames))
    out = []
    for i in range(len(frames)):
        labelled = labelled_rows(evaluator, frames, i, baseline=baseline)
        weights = dict(zip(("energy", "forces", "virial"), WEIGHTS, strict=True))
        A = np.concatenate([weights[q] * a for q, (a, _) in labelled.items()]) / basis.prior
        out.append((A, np.concatenate([weights[q] * y for q, (_, y) in labelled.items()])))
    return out


def stacked(rows, which):
    return np.concatenate([rows[i][0] for i in which]), np.concatenate([rows[i][1] for i in which])


def test_directions_lead_from_functions_to_coordinates(space):
    theta = space.directions.T @ np.random.default_rng(0).normal(size=len(space.directions))
    prior = np.array(space.told["prior"])
    assert np.allclose(prior * (space.blocks.transform @ (space.directions @ theta)), theta, rtol=1e-6)


def test_a_model_of_some_functions_is_that_ridge(space, rows):
    chosen = space.split(0)[0][:6]
    support = np.array([0, 2, 5, 9, 14, 30])
    model = space.within(space.sums(chosen), support)
    A, y = stacked(rows, [*space.known, *chosen])
    A = A[:, support]
    theta = np.linalg.solve(A.T @ A + model.precision * np.eye(6), A.T @ y)
    assert np.allclose(
        model.z, space.directions[:, support] @ theta, rtol=1e-5, atol=1e-8 * np.abs(model.z).max()
    )


def test_sparse_models_are_as_small_as_asked(space):
    sums = space.sums(space.split(0)[0][:8])
    full = space.full(sums)
    for solver in ("omp", "ard"):
        made = space.sparse(sums, full.precision, (8, 20), solver)
        for k, model in made.items():
            assert len(model.support) <= k
            assert len(set(model.support.tolist())) == len(model.support)
            found = space.judged(model, space.split(0)[1])
            assert found["multiplications"] < space.judged(full, space.split(0)[1])["multiplications"]
    smooth = space.smooth(sums, 5)
    prior = np.array(space.told["prior"])
    assert prior[smooth.support].max() <= np.delete(prior, smooth.support).min()


def test_candidates_bring_their_rows(space, rows):
    which = space.split(0)[0][:4]
    table = space.candidates(which, None)
    for k, i in enumerate(which.tolist()):
        x = gather(table, np.array([k])).weighted
        groups = np.full(len(space.blocks.sizes), "")
        sums = space.blocks.sums([i], Weights(WEIGHTS[0], WEIGHTS[1], 0.0), groups).matrix[:-1, :-1]
        sums = sums * np.outer(space.blocks.singular, space.blocks.singular)
        assert np.allclose(x.T @ x, sums, atol=1e-9 * np.abs(sums).max())
    support = np.array([1, 4, 7])
    turned = space.candidates(which, support)
    own = [rows[i][0][: 1 + 3 * int(space.blocks.sizes[i]), support] for i in which]
    for k, mine in enumerate(own):
        x = gather(turned, np.array([k])).weighted
        assert np.allclose(x.T @ x, mine.T @ mine, rtol=1e-5, atol=1e-7 * np.abs(mine.T @ mine).max())


def test_what_is_labelled_is_one_block_of_the_same_information(space, rows):
    chosen = space.split(0)[0][:5]
    A, _ = stacked(rows, [*space.known, *chosen])
    support = np.array([0, 3, 8, 20])
    x = gather(space.labelled(space.sums(chosen), support), np.array([0])).weighted
    mine = A[:, support].T @ A[:, support]
    assert np.allclose(x.T @ x, mine, rtol=1e-5, atol=1e-7 * np.abs(mine).max())


def made(space, seed=0, score="energy"):
    candidates = space.split(0)[0]
    rng = np.random.default_rng(seed)
    return list(choices(space, candidates, (3, 6, 12), (8, 20), ("omp",), score, rng)), candidates


@pytest.mark.parametrize("score", ["energy", "entropy"])
def test_every_way_chooses_in_batches(space, score):
    ways, candidates = made(space, score=score)
    assert [(way.arm, way.functions) for way in ways] == [
        (RANDOM, 0),
        (BAYES, 0),
        (INFORMED, 0),
        (JOINT, 8),
        (JOINT, 20),
    ]
    for way in ways:
        assert list(way.index) == [3, 6, 12]
        assert len(set(way.index[12].tolist())) == 12
        assert np.isin(way.index[12], candidates).all()
        assert np.array_equal(way.index[12][:6], way.index[6])
        if way.arm != RANDOM:
            assert np.array_equal(way.index[3], ways[1].index[3])


def test_labels_are_not_looked_at_before_they_are_revealed(space, tmp_path):
    """Other labels of what is never chosen, or chosen last, change no choice; other revealed labels do."""
    ways, _ = made(space)
    joint = next(way for way in ways if way.functions == 8)
    shutil.copytree(space.place, tmp_path / "set")
    energy = np.load(tmp_path / "set" / "blocks" / "energy.npy")
    hidden = np.setdiff1d(np.arange(len(energy)), np.concatenate((space.known, joint.index[6])))
    energy[hidden, -1] += 1.0
    np.save(tmp_path / "set" / "blocks" / "energy.npy", energy)
    for name in ("virial", "rows", "grams"):
        target = np.load(tmp_path / "set" / "blocks" / f"{name}.npy")
        if name == "grams" or not target.size:
            continue
        kept = target.copy()
        layout = np.load(tmp_path / "set" / "blocks" / "forces.npy")
        if name == "rows":
            starts = np.concatenate(([0], np.cumsum(np.where(layout[:, 0] == 1, 3 * layout[:, 1], 0))))
            for i in hidden.tolist():
                kept[starts[i] : starts[i + 1], -1] -= 0.5
        np.save(tmp_path / "set" / "blocks" / f"{name}.npy", kept)
    again = next(way for way in made(Space(tmp_path / "set"))[0] if way.functions == 8)
    assert np.array_equal(again.index[12], joint.index[12])
    energy[joint.index[6], -1] += 5.0 * np.random.default_rng(1).normal(size=6)
    np.save(tmp_path / "set" / "blocks" / "energy.npy", energy)
    other = next(way for way in made(Space(tmp_path / "set"))[0] if way.functions == 8)
    assert np.array_equal(other.index[3], joint.index[3])
    assert not np.array_equal(other.index[12], joint.index[12])


def test_rows_and_conclusion(done):
    settings, data, place, _ = done
    rows = []
    for task in tasks(settings):
        rows += [{**task, **row} for row in work(settings, data, place, task)]
    results = Results(tuple(rows))
    assert work(settings, data, place, tasks(settings)[0]) == [
        {k: v for k, v in row.items() if k not in ("set", "repeat", "score")}
        for row in rows
        if row["repeat"] == 0 and row["score"] == settings.scores[0]
    ]
    one = results.where(repeat=0, score="energy", labels=12)
    assert len(one.where(data=RANDOM).rows) == 1 + 2 * 2 + 2
    assert len(one.where(data=JOINT).rows) == 4 * 2
    found = conclude(settings, results)
    assert len(found.findings) == 7
    assert all(finding.holds is not None for finding in found.findings)
    assert {table.name for table in found.tables} == {
        "against-energies",
        "against-forces",
        "cases-energies",
        "cases-forces",
        "errors-energies",
        "errors-forces",
        "costs",
    }
    costs = next(table for table in found.tables if table.name == "costs")
    assert all(float(row[-1]) <= 1.0 for row in costs.rows)


def test_quick(data_folder, tmp_path):
    record, results = run_study(study_named("joint"), "quick", Data(data_folder), tmp_path)
    assert len(results.values("repeat")) == 3
    assert record.conclusion.summary.startswith(("Yes", "No"))
    errors = results.where(labels=32, data="joint", basis="omp").column("energy_rmse_meV")
    assert np.all(np.isfinite(errors))
