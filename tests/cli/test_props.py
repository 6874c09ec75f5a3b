"""``aliquot props`` as users meet it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from aliquot.cli import app

EMT = "python:ase.calculators.emt:EMT"
QUICK = ["--only", "elastic"]


def run(*words):
    return CliRunner().invoke(app, ["props", *map(str, words)])


def test_tables_and_record(tmp_path, copper_potential):
    model, record = tmp_path / "copper.ace", tmp_path / "props.json"
    copper_potential.save(model)
    result = run(model, "--prototype", "fcc", "--images", 7, "--thickness", 12, "-o", record)
    assert result.exit_code == 0, result.output
    for words in ("Cu fcc", "lattice constant a", "3.59", "C44", "Vacancy (eV)", "(111)", "evaluations"):
        assert words in result.stdout, words
    assert "hole" in result.stderr
    found = json.loads(record.read_text(encoding="utf-8"))
    assert found["format"] == "aliquot-properties"
    assert found["lattice"]["a"] == pytest.approx(3.59, abs=0.01)
    assert len(found["surfaces"]) == 3
    again = run(model, "--prototype", "fcc", "-o", record)
    assert again.exit_code == 2
    assert "--force" in again.output


def test_json_is_the_record_alone():
    result = run(EMT, "--prototype", "hcp", "--elements", "Cu", *QUICK, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["elastic"]["relaxed"].keys() == {"C11", "C12", "C13", "C33", "C44"}
    assert found["vacancy"] is None
    assert result.stderr == ""


def test_surfaces_as_asked():
    only = ["--only", "surfaces", "--thickness", 10, "--json"]
    result = run(
        EMT, "--prototype", "fcc", "--elements", "Cu", *only, "--surface", "210", "--surface", "1,-1,0"
    )
    assert result.exit_code == 0, result.output
    assert [s["miller"] for s in json.loads(result.stdout)["surfaces"]] == [[2, 1, 0], [1, -1, 0]]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([EMT, "--prototype", "fcc"], "--elements"),
        ([EMT, "--prototype", "fcc", "--elements", "Cu", "--surface", "11"], "three Miller indices"),
        ([EMT, "--prototype", "fcc", "--elements", "Cu", "--only", "phonons"], "no quantity 'phonons'"),
        ([EMT, "--prototype", "rocksalt", "--elements", "Cu"], "2 different elements"),
        (["nowhere.ace", "--prototype", "fcc"], "nowhere.ace"),
        (["python:ase.calculators.emt:NoSuch", "--prototype", "fcc"], "no function NoSuch"),
        (["python:nowhere:EMT", "--prototype", "fcc"], "cannot import nowhere"),
        (["python:ase.build:molecule", "--prototype", "fcc", "--elements", "Cu"], "molecule failed"),
        ([EMT, "--prototype", "fcc", "--elements", "Cu", "-o", "props.txt"], ".json"),
    ],
)
def test_bad_usage_is_one_message(words, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert list(tmp_path.iterdir()) == []


def test_element_that_the_potential_does_not_know(tmp_path, copper_potential):
    model = tmp_path / "copper.ace"
    copper_potential.save(model)
    result = run(model, "--prototype", "fcc", "--elements", "Ag")
    assert result.exit_code == 2
    assert "does not know Ag; it knows Cu" in result.output
