"""``aliquot campaign`` as users meet it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from aliquot.campaign.example import TOML, copper_cells, copper_start
from aliquot.cli import app
from aliquot.structures import write


def run(*words):
    return CliRunner().invoke(app, ["campaign", *map(str, words)])


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The example in small, without a test."""
    monkeypatch.chdir(tmp_path)
    write("start.xyz", copper_start(5))
    write("cells.xyz", copper_cells(1))
    begin, rest = TOML.split("[test]")
    text = begin + rest[rest.index("[explore]") :]
    for old, new in (
        ("temperatures = [300, 600, 900, 1200, 1500]", "temperatures = [300]"),
        ("steps = 500", "steps = 20"),
        ("degree = [12, 10, 8]", "degree = [8, 6, 4]"),
        ("force_mae = 0.05", "# no error"),
        ("rounds = 12", "rounds = 1"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "small.toml").write_text(text, "utf-8")
    return tmp_path / "small.toml"


def test_run_and_status(file):
    result = run("run", file)
    assert result.exit_code == 0, result.output
    assert "The campaign has ended: 1 rounds are done" in result.stdout
    assert (file.parent / "small.run" / "campaign.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    told = json.loads(run("run", file, "--json").stdout)
    assert [one["number"] for one in told["rounds"]] == [0, 1]
    status = run("status", "small.run")
    assert status.exit_code == 0
    assert "round-001/model.ace" in status.stdout.replace("\n", "")
    assert json.loads(run("status", "small.run", "--json").stdout)["rounds"] == told["rounds"]


def test_what_is_wrong_is_told(file, tmp_path):
    assert run("status", tmp_path).exit_code == 2
    assert "there is no campaign" in run("status", tmp_path).output
    file.write_text(file.read_text("utf-8").replace("batch", "bach"), "utf-8")
    result = run("run", file)
    assert result.exit_code == 2
    assert "did you mean batch?" in result.output
    result = run("run", file, "-o", file)
    assert result.exit_code == 2


def test_example_is_not_overwritten(tmp_path):
    (tmp_path / "campaign.toml").write_text("mine")
    result = run("init", tmp_path)
    assert result.exit_code == 2
    assert "exists; choose another folder, or --force" in result.output
    assert (tmp_path / "campaign.toml").read_text() == "mine"
