"""``aliquot generate``: files, JSON, the same answer for any number of workers, going on, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read, write
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.cli.generate import span
from aliquot.errors import InputError

SMALL = [
    "generate",
    "Cu",
    "-n",
    "12",
    "--atoms",
    "6-10",
    "--features",
    "ace:degree=5,cutoff=5",
    "--steps",
    "8",
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words, code=0):
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result


def test_structures_page_and_json():
    write("crystals.xyz", [bulk("Cu", cubic=True, a=a) for a in (3.5, 3.6, 3.7)])
    result = run(*SMALL, "--compare", "crystals.xyz", "--json")
    record = json.loads(result.stdout)
    frames = read("diverse.xyz", ":")
    assert len(frames) == record["structures"] == 12
    assert all(6 <= len(atoms) <= 10 for atoms in frames)
    assert record["generated"]["entropy"] > record["random_packings"]["entropy"]
    assert record["compared"][0]["name"] == "crystals.xyz"
    assert record["compared"][0]["entropy"] < record["generated"]["entropy"]
    assert record["recipe"]["basis"]["cutoff"] == [[5.0]]
    assert sorted(path.name for path in Path().iterdir()) == ["crystals.xyz", "diverse.html", "diverse.xyz"]
    page = Path("diverse.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 7
    assert "crystals.xyz" in page
    assert "<script" not in page


def test_workers_do_not_change_the_answer():
    run(*SMALL, "-o", "one.xyz", "--no-report")
    run(*SMALL, "-o", "two.xyz", "--no-report", "--workers", "2", "-q")
    assert Path("one.xyz").read_bytes() == Path("two.xyz").read_bytes()
    run(*SMALL, "-o", "other.xyz", "--no-report", "--seed", "1")
    assert Path("one.xyz").read_bytes() != Path("other.xyz").read_bytes()


def test_goes_on_from_a_folder():
    run(*SMALL, "--folder", "kept", "--no-report")
    words = [*SMALL, "--folder", "kept", "-o", "more.xyz", "--no-report"]
    words[words.index("12")] = "16"
    run(*words)
    few, many = read("diverse.xyz", ":"), read("more.xyz", ":")
    assert len(many) == 16
    for a, b in zip(few, many, strict=False):
        np.testing.assert_array_equal(a.positions, b.positions)


def test_refusals():
    assert "not an element" in run("generate", "Xx", code=2).output
    assert "own images" in run(*SMALL, "--volume", "0.5-0.6", code=2).output
    assert "--atoms" in run("generate", "W", "--atoms", "a few", code=2).output
    assert "cannot" in run("generate", "W", "-o", "missing/out.xyz", code=2).output
    assert "use .xyz" in run("generate", "W", "-o", "out.pdf", code=2).output
    Path("diverse.xyz").write_text("mine")
    assert "--force" in run(*SMALL, code=2).output
    assert Path("diverse.xyz").read_text() == "mine"
    write("gold.xyz", bulk("Au"))
    assert "same elements" in run(*SMALL, "--force", "--compare", "gold.xyz", code=2).output


def test_ranges():
    for words in ("", "-3", "3-", "a", "1-2-3", "3.5"):
        with pytest.raises(InputError, match="--atoms"):
            span(words, "--atoms")
