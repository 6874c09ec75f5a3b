"""``aliquot fit`` as users meet it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from typer.testing import CliRunner

from aliquot.ace.potential import AcePotential
from aliquot.cli import app
from aliquot.fitting import compare
from aliquot.structures import read
from aliquot.uncertainty import Uncertainty

SMALL = ["--degree", "6,5,4", "--pair", "4", "--cutoff", "4.5"]


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def labelled(n, *, start=0):
    frames = []
    for i in range(start, start + n):
        atoms = bulk("Cu", cubic=True, a=3.5 + 0.02 * (i % 10))
        atoms.rattle(0.04 + 0.06 * (i % 2), seed=i)
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.info["config_type"] = ("bulk", "hot")[i % 2]
        atoms.info["part"] = ("train", "train", "val", "train", "test")[i % 5]
        atoms.calc = None
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "train.xyz"
    write(path, labelled(25), format="extxyz")
    return path


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_every_file_appears_and_they_agree(training, tmp_path):
    out = tmp_path / "copper.ace"
    result = run("fit", training, "--split", "part", "-o", out, *SMALL)
    assert result.exit_code == 0, result.output
    assert names(tmp_path) == [
        f"copper{ending}" for ending in (".ace", ".html", ".path.json", ".repulsion.table", ".yace")
    ]
    record = json.loads((tmp_path / "copper.path.json").read_text(encoding="utf-8"))
    assert record["format"] == "aliquot-fit"
    for words in ("functions, from", "test", "validation", "bulk", "open this in a browser"):
        assert words in result.stdout, words
    frames = read(training)
    again = compare(AcePotential.load(out), frames, threads=1)
    tests = frames.frame_columns["part"].values == "test"
    wrong = (again.predicted["energy"] - again.label["energy"])[tests]
    (energy,) = [
        e for e in record["errors"] if (e["part"], e["quantity"], e["group"]) == ("test", "energy", "")
    ]
    assert energy["mae"] == pytest.approx(np.mean(np.abs(wrong)), rel=1e-9)
    page = (tmp_path / "copper.html").read_text(encoding="utf-8")
    assert "5 test structures that had no part in the fit" in page


def test_active_set_of_what_taught(training, tmp_path):
    out = tmp_path / "copper.ace"
    result = run(
        "fit", training, "--split", "part", "-o", out, *SMALL, "--active", "--no-report", "--no-lammps"
    )
    assert result.exit_code == 0, result.output
    assert names(tmp_path) == ["copper.ace", "copper.active", "copper.path.json"]
    frames = read(training)
    teach = frames[np.flatnonzero(frames.frame_columns["part"].values == "train")]
    potential = AcePotential.load(out)
    known = Uncertainty.load(tmp_path / "copper.active", potential)
    expected = Uncertainty.build(potential, teach)
    np.testing.assert_allclose(known.assess(frames, 4).gamma, expected.assess(frames, 4).gamma, rtol=1e-8)
    assert run("grade", out, training).exit_code == 0
    energies = labelled(25)
    for atoms in energies:
        del atoms.arrays["REF_forces"]
    write(tmp_path / "energies.xyz", energies, format="extxyz")
    result = run(
        "fit", tmp_path / "energies.xyz", "-o", tmp_path / "e.ace", *SMALL, "--active", "--no-report"
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "e.active").exists()


def test_json_is_one_object_and_nothing_else(training, tmp_path):
    out = tmp_path / "m.ace"
    result = run("fit", training, "-o", out, *SMALL, "--no-report", "--no-lammps", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert found["command"] == "fit"
    assert set(found["files"]) == {"potential", "record"}
    assert found["fit"]["size"] == np.count_nonzero(AcePotential.load(out).coefficients)
    assert names(tmp_path) == ["m.ace", "m.path.json"]


def test_a_file_of_test_structures_only_judges(training, tmp_path):
    write(tmp_path / "test.xyz", labelled(6, start=40), format="extxyz")
    quiet = ["--no-report", "--no-lammps", "--json"]
    with_test = run(
        "fit", training, "--test", tmp_path / "test.xyz", "-o", tmp_path / "a.ace", *SMALL, *quiet
    )
    without = run("fit", training, "-o", tmp_path / "b.ace", *SMALL, *quiet)
    errors = json.loads(with_test.stdout)["fit"]["errors"]
    assert {e["structures"] for e in errors if e["part"] == "test" and not e["group"]} == {6}
    assert without.exit_code == 0
    one, two = (AcePotential.load(tmp_path / f"{name}.ace").coefficients for name in "ab")
    np.testing.assert_array_equal(one, two)


def test_nothing_is_overwritten_without_force(training, tmp_path):
    out = tmp_path / "m.ace"
    (tmp_path / "m.html").write_text("mine", encoding="utf-8")
    refused = run("fit", training, "-o", out, *SMALL)
    assert refused.exit_code == 2
    assert "--force" in refused.output
    assert names(tmp_path) == ["m.html"]
    forced = run("fit", training, "-o", out, *SMALL, "--no-lammps", "--force")
    assert forced.exit_code == 0, forced.output
    assert "mine" not in (tmp_path / "m.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--solver", "magic"], "solver 'magic' is not known; choose one of"),
        (["--solver", "omp:colour=red"], "no parameter colour"),
        (["--degree", "ten"], "--degree 'ten'"),
        (["--reference", "Cu"], "--reference 'Cu'"),
        (["--split", "nosuch"], "nosuch"),
        (["--group-by", "nosuch"], "no frame has a key 'nosuch'"),
        (["--weights", "30/1/1", "--offset", "liquid"], "which no training structure has"),
        (["--choose", "worst"], "worst"),
        (["--weights", "a/b/c"], "a/b/c"),
        (["-o", "model.txt"], "ends in .ace"),
        (["--energy-key", "nosuch"], "nosuch"),
    ],
)
def test_bad_options_are_named_and_leave_nothing(training, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    out = [] if "-o" in words else ["-o", "m.ace"]
    degree = [] if "--degree" in words else SMALL
    result = run("fit", training, *out, *degree, *words)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert names(tmp_path) == []


def test_without_forces_it_says_so(training, tmp_path):
    words = ["--forces-key", "nosuch", "--choose", "size 5", "--no-lammps"]
    result = run("fit", training, "-o", tmp_path / "m.ace", *SMALL, *words)
    assert result.exit_code == 0, result.output
    assert "no training structure has forces" in result.stderr
    page = (tmp_path / "m.html").read_text(encoding="utf-8")
    assert "No training structure has forces" in page
    assert "parity-forces" not in page


def test_a_frame_that_cannot_be_used_stops_or_is_told(training, tmp_path):
    bad = labelled(1)[0]
    bad.positions[1] = bad.positions[0]
    write(tmp_path / "bad.xyz", bad, format="extxyz")
    stopped = run("fit", training, tmp_path / "bad.xyz", "-o", tmp_path / "m.ace", *SMALL)
    assert stopped.exit_code == 2
    assert "bad.xyz, frame 0" in stopped.output
    skipped = run(
        "fit", training, tmp_path / "bad.xyz", "-o", tmp_path / "m.ace", *SMALL, "--on-error", "skip"
    )
    assert skipped.exit_code == 0, skipped.output
    assert "1 frame left out" in (tmp_path / "m.html").read_text(encoding="utf-8")
