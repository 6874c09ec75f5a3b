"""Which method needs the fewest labels: divisions, choices, curves and what is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from aliquot.ace.basis import AceBasis
from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError, SelectionError
from aliquot.examples import example_files
from aliquot.fitting import reference_energies
from aliquot.progress import silent
from aliquot.structures import Frames, read, write
from aliquot.studies import Data, Results, run_study, study_named
from aliquot.studies.learning_curve import Settings, conclude, prepare, study_of, tasks, work
from aliquot.studies.learning_curve.advice import chances, standings_of
from aliquot.studies.learning_curve.contenders import check, contender, picks
from aliquot.studies.learning_curve.curves import Curves, curves, labels_of_random, level
from aliquot.studies.learning_curve.everywhere import compared
from aliquot.studies.learning_curve.pools import Pool, gathered, largest_basis
from aliquot.table import Features

POOL, KNOWN = example_files()


def settings_of(*sets, **more):
    return Settings(sets=tuple(map(str, sets)), methods=("random", "fps"), **{"repeats": 2, **more})


@pytest.fixture(scope="module")
def copper(tmp_path_factory):
    """A small part of the copper example, labelled, and the rest of it known."""
    folder = tmp_path_factory.mktemp("copper")
    write(folder / "pool.xyz", read(POOL)[::8])
    write(folder / "known.xyz", read(KNOWN)[:12])
    return folder


# --- who competes ---------------------------------------------------------------------------------------------------


def test_a_method_is_written_as_everywhere():
    one = contender("bayes:score=energy,precision=1e-3  with forces")
    assert (one.label, one.method, one.forces) == (
        "bayes:score=energy,precision=1e-3 with forces",
        "bayes",
        True,
    )
    assert one.parameters == {"score": "energy", "precision": 1e-3}
    assert contender("dpp-map:swaps=3").parameters == {"swaps": 3}
    assert contender("bayes:sensitivity=false").parameters == {"sensitivity": False}
    for text, said in (
        ("guess", "not known"),
        ("bayes:scores=energy", "has no parameter"),
        ("bayes:x", "KEY=VALUE"),
    ):
        with pytest.raises(InputError if said == "KEY=VALUE" else SelectionError, match=said):
            contender(text)
    with pytest.raises(InputError, match="have to beat"):
        check(["fps"])


@pytest.mark.parametrize("method", ["random", "bayes", "fps", "kmeans", "stratified", "kdpp"])
def test_choices_are_those_of_each_budget(method):
    rng = np.random.default_rng(0)
    table = Features.from_array(rng.normal(size=(40, 6)))
    groups = np.array(["a", "b"] * 20)
    chosen = picks(contender(method), table, None, [4, 9, 20], groups=groups, precision=None, seed=3)
    assert list(chosen) == [4, 9, 20]
    for n, index in chosen.items():
        assert len(set(index.tolist())) == n
        alone = picks(contender(method), table, None, [n], groups=groups, precision=None, seed=3)[n]
        assert np.array_equal(np.sort(alone), np.sort(index))
    if method == "stratified":
        assert np.bincount((groups[chosen[20]] == "a").astype(int)).tolist() == [10, 10]


def test_labels_of_known_structures_set_the_prior_of_bayes():
    table = Features.from_array(np.random.default_rng(1).normal(size=(30, 4)) * [1.0, 0.3, 0.1, 0.03])
    options = {"groups": np.full(30, ""), "seed": 0}
    strong = picks(contender("bayes:score=energy"), table, None, [10], precision=1e6, **options)[10]
    by_norm = np.argsort(-np.sum(table.rows**2, axis=1))[:10]
    assert set(strong.tolist()) == set(by_norm.tolist())  # a prior that no row changes
    weak = picks(contender("bayes:score=energy"), table, None, [10], precision=None, **options)[10]
    assert set(weak.tolist()) != set(strong.tolist())


# --- what is compared ----------------------------------------------------------------------------------------------


def test_a_pool_is_cleaned(copper, tmp_path):
    frames = read(copper / "pool.xyz")
    atoms = frames.to_atoms()
    unlabelled = atoms[3].copy()
    for key in ("REF_energy", "energy"):
        unlabelled.info.pop(key, None)
    unlabelled.calc = None
    unlabelled.positions += 0.01
    known = read(copper / "known.xyz")
    write(
        tmp_path / "pool.xyz",
        Frames.from_atoms([*atoms, atoms[5], unlabelled, *known[:2].to_atoms()], source="pool"),
    )
    settings = settings_of(tmp_path / "pool.xyz", copper / "known.xyz", train=str(copper / "known.xyz"))
    found, groups, is_known, notes = gathered(settings, Data(tmp_path), settings.pools[0])
    assert len(found) == len(frames) + len(known) == len(groups)
    assert is_known.sum() == len(known)
    assert set(found.hashes[is_known]) == set(known.hashes)
    assert [note.split()[0] for note in notes] == ["1", "1", "2"]


def test_groups_of_a_pool_can_be_known(copper):
    pool = copper / "pool.xyz"
    settings = settings_of(pool, known=(f"{pool}:liquid",))
    found, groups, known, _ = gathered(settings, Data(copper), str(pool))
    assert 0 < known.sum() < len(found)
    assert set(groups[known]) == {"liquid"}
    with pytest.raises(InputError, match="no structure of config_type gas"):
        gathered(settings_of(pool, known=(f"{pool}:gas",)), Data(copper), str(pool))


def test_what_cannot_be_compared_is_told(copper, tmp_path):
    bare = read(copper / "pool.xyz").to_atoms()
    for atoms in bare:
        atoms.calc = None
        atoms.info.clear()
        for name in [name for name in atoms.arrays if name not in ("numbers", "positions")]:
            del atoms.arrays[name]
    write(tmp_path / "bare.xyz", Frames.from_atoms(bare, source="bare"))
    write(tmp_path / "few.xyz", read(copper / "pool.xyz")[:19])
    for name, said in (("bare", "has an energy"), ("few", "needs at least 20")):
        with pytest.raises(InputError, match=said):
            gathered(settings_of(tmp_path / f"{name}.xyz"), Data(tmp_path), str(tmp_path / f"{name}.xyz"))
    with pytest.raises(InputError, match="no such file"):
        study_of(tmp_path / "none.xyz")
    with pytest.raises(InputError, match="both pool and known"):
        study_of(copper / "pool.xyz", copper / "pool.xyz")
    with pytest.raises(SelectionError, match="'guess' is not known"):
        study_of(copper / "pool.xyz", methods=["guess"]).settings_of("quick")
    with pytest.raises(InputError, match="repeats say nothing"):
        study_of(copper / "pool.xyz", repeats=1).settings_of("quick")
    with pytest.raises(InputError, match="a budget of 900 is more than the 30 candidates"):
        settings_of(copper / "pool.xyz", budgets=(5, 900)).sizes(30)


def test_a_large_pool_is_thinned_type_by_type():
    groups = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10)
    from aliquot.studies.learning_curve.pools import _thinned

    known = np.zeros(100, bool)
    known[:10] = True
    keep = _thinned(groups, known, settings_of("pool", most=45))
    assert keep[:10].all()
    left = groups[keep & ~known]
    assert [int((left == g).sum()) for g in "abc"] == [25, 15, 5]


def test_the_largest_basis_is_the_largest():
    for elements in ((14,), (13, 22)):
        for limit in (250, 500):
            basis = largest_basis(elements, limit)
            n = len(elements)
            assert n * len(basis.functions) <= limit
            more = largest_basis(elements, 4 * limit)
            assert len(more.functions) > len(basis.functions)


# --- a repeat -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(copper, tmp_path_factory):
    """Prepared settings, their folder, and the rows of the first repeat."""
    place = tmp_path_factory.mktemp("place")
    pool, known = str(copper / "pool.xyz"), str(copper / "known.xyz")
    settings = Settings(
        sets=(pool, known),
        train=known,
        methods=("random", "fps", "bayes:score=energy with forces"),
        features="ace:degree=8",
        force_functions=40,
        functions=60,
        budgets=(4, 10),
        repeats=3,
        by_group=True,
    )
    data = Data(copper)
    prepare(settings, data, place, silent)
    return settings, data, place, work(settings, data, place, tasks(settings)[0])


def test_everybody_is_judged_by_the_same_structures(done):
    settings, _, place, _ = done
    pool = Pool(place / "pool-0")
    for repeat in range(settings.repeats):
        candidates, aside = pool.split(repeat)
        everyone = np.concatenate((candidates, aside, pool.known))
        assert sorted(everyone.tolist()) == list(range(len(pool.groups)))
        assert abs(len(aside) - settings.test * (len(candidates) + len(aside))) <= 1
    assert not np.array_equal(pool.aside[0], pool.aside[1])


def test_rows_of_a_repeat(done):
    settings, data, place, rows = done
    assert {row["method"] for row in rows} == set(settings.methods)
    candidates, _ = Pool(place / "pool-0").split(0)
    sizes = {row["n"] for row in rows if row["method"] == "random"}
    assert {4, 10, len(candidates)} <= sizes
    assert {row["n"] for row in rows if row["method"] == "fps"} == {4, 10}
    again = work(settings, data, place, tasks(settings)[0])
    assert again == rows
    whole = [row for row in rows if row["group"] == "all"]
    for row in whole:
        parts = [
            r for r in rows if (r["method"], r["n"]) == (row["method"], row["n"]) and r["group"] != "all"
        ]
        mean = np.sqrt(np.mean([r["energy_rmse_meV"] ** 2 for r in parts]))
        assert row["energy_rmse_groups_meV"] == pytest.approx(mean)


def test_errors_are_those_of_the_potential(done, copper):
    """The error of the fit to everything, by the potential itself."""
    settings, data, place, rows = done
    pool = Pool(place / "pool-0")
    frames, *_ = gathered(settings, data, settings.pools[0])
    candidates, aside = pool.split(0)
    basis = largest_basis((29,), settings.functions)
    assert isinstance(basis, AceBasis)
    labelled = np.concatenate((candidates, pool.known))
    fitted = pool.blocks.fit(pool.blocks.sums(labelled, pool.weights, pool.groups))
    potential = AcePotential(
        basis, (pool.blocks.transform @ fitted.z)[None], np.array([reference_energies(frames)[29]])
    )
    energy, force = [], []
    for i in aside.tolist():
        said = potential(frames, i)
        energy.append((said.energy - frames.energy.values[i]) / frames.sizes[i])
        force.append((said.forces - frames.forces.values[frames.offsets[i] : frames.offsets[i + 1]]).ravel())
    row = next(r for r in rows if r["n"] == len(candidates) and r["group"] == "all")
    assert row["energy_rmse_meV"] == pytest.approx(1e3 * np.sqrt(np.mean(np.square(energy))), rel=1e-3)
    assert row["force_rmse_meV"] == pytest.approx(
        1e3 * np.sqrt(np.mean(np.concatenate(force) ** 2)), rel=1e-3
    )


def test_a_method_that_refuses_is_told(done):
    settings, data, place, _ = done
    odd = replace(settings, methods=("random", "bayes:score=force-mean"))
    rows = work(odd, data, place, tasks(odd)[0])
    (failed,) = [row for row in rows if row["method"] != "random"]
    assert "force" in failed["failed"]  # energy rows alone have none


# --- what follows ---------------------------------------------------------------------------------------------------


def made_up(factor, repeats=20, noise=0.05, seed=0):
    """Rows of two methods of which one has ``factor`` times the errors of the other."""
    rng = np.random.default_rng(seed)
    rows = []
    for repeat in range(repeats):
        for method, f in (("random", 1.0), ("fps", factor)):
            for step, n in enumerate((5, 20, 80) if method == "random" else (5, 20)):
                error = f * 100 / n * np.exp(noise * rng.normal())
                rows.append(
                    {"set": "one", "repeat": repeat, "method": method, "step": step, "n": n, "group": "all"}
                )
                rows[-1] |= {"energy_rmse_meV": error, "force_rmse_meV": 10 * error}
    return Results(tuple(rows))


def test_levels_are_areas():
    n, logs = np.array([2.0, 5.0, 40.0]), np.random.default_rng(0).normal(size=(3, 4))
    by_hand = np.trapezoid(logs, np.log(n), axis=0) / np.log(20)
    assert np.allclose(level(n, logs), by_hand)


def test_labels_of_a_random_choice():
    n, logs = np.array([10.0, 20.0, 40.0]), np.log([4.0, 2.0, 1.0])
    assert labels_of_random(n, logs, np.log(2.0)) == pytest.approx(20)
    assert labels_of_random(n, logs, np.log(np.sqrt(2.0))) == pytest.approx(np.sqrt(800))
    assert labels_of_random(n, logs, np.log(9.0)) == 10
    assert labels_of_random(n, logs, np.log(0.5)) == np.inf


def test_overlap_widens_chances():
    levels = np.random.default_rng(0).normal(size=(3, 12))
    free, wide = chances(levels, 0.0), chances(levels, 1 / 3)
    assert np.allclose(free.mean(axis=0), levels.mean(axis=1), atol=0.02)
    assert np.allclose(free.std(axis=0), levels.std(axis=1) / np.sqrt(12), rtol=0.1)
    assert np.allclose(wide.std(axis=0) / free.std(axis=0), np.sqrt(1 + 12 / 3))


def test_standing_of_a_better_method_and_of_an_equal_one():
    better = curves(made_up(0.5), "both", ("random", "fps"))
    assert isinstance(better, Curves)
    first, second = standings_of(better, 1 / 3)
    assert (first.method, second.method) == ("fps", "random")
    assert first.factor.value == pytest.approx(0.5, rel=0.05)
    assert first.p < 1e-6
    assert first.best == first.better == 1.0
    equal = curves(made_up(1.0), "both", ("random", "fps"))
    assert equal is not None
    assert next(one for one in standings_of(equal, 1 / 3) if one.method == "fps").p > 0.05


def test_advice_in_words():
    settings = settings_of("one", repeats=20, default="")
    summary = conclude(settings, made_up(0.5)).summary
    assert summary.startswith("Use fps: with 20 labels it does what a random choice needs 40 for.")
    nothing = conclude(settings, made_up(1.0))
    assert "no method is reliably better than a random choice" in nothing.summary
    assert [finding.holds for finding in nothing.findings] == [False] * 3
    (labels,) = [table for table in conclude(settings, made_up(0.5)).tables if table.name == "labels"]
    assert {row[0]: row[2] for row in labels.rows}["fps"] == pytest.approx(40, abs=3)


def test_sets_count_once():
    rng = np.random.default_rng(0)
    levels = {name: rng.normal(loc, 0.3, size=10) for name, loc in (("random", 0.0), ("a", -1.0), ("b", 0.1))}
    ranking = compared(levels, "random")
    assert [one.method for one in ranking] == ["a", "b"]
    raw = [stats.wilcoxon(levels[name] - levels["random"]).pvalue for name in ("a", "b")]
    assert ranking[0].p == pytest.approx(min(1.0, 2 * raw[0]))
    assert ranking[0].factor.value == pytest.approx(np.exp(np.median(levels["a"] - levels["random"])))
    assert ranking[0].wins + ranking[0].losses == 10


def test_on_the_example(tmp_path):
    write(tmp_path / "pool.xyz", read(POOL)[::3])
    study = study_of(
        tmp_path / "pool.xyz",
        KNOWN,
        methods=["bayes:score=energy", "stratified"],
        budgets=[10, 30],
        repeats=4,
    )
    record, results = run_study(study, "quick", Data(Path()), tmp_path)
    assert len(results.values("repeat")) == 4
    assert results.values("method") == ("random", "bayes:score=energy", "stratified")
    levels = {
        name: np.log(results.where(method=name, group="all", step=1).column("energy_rmse_meV")).mean()
        for name in results.values("method")
    }
    assert levels["bayes:score=energy"] < levels["random"]
    assert {table.name for table in record.conclusion.tables} >= {"ranking-both", "labels", "types-forces"}
    assert record.conclusion.summary


def test_quick(data_folder, tmp_path):
    record, results = run_study(study_named("which-method"), "quick", Data(data_folder), tmp_path)
    assert results.values("set") == ("tial_tutorial", "ta_snap2015")
    assert not any("failed" in row for row in results.rows)
    assert "Over 2 sets" in record.conclusion.summary
    assert all(finding.holds is None for finding in record.conclusion.findings)  # two sets decide nothing
