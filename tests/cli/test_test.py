"""``aliquot test`` as users meet it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

from aliquot.cli import app


def run(*words):
    return CliRunner().invoke(app, ["test", *map(str, words)])


@pytest.fixture
def model(copper_potential, tmp_path):
    path = tmp_path / "copper.ace"
    copper_potential.save(path)
    return path


@pytest.fixture
def structures(copper_potential, tmp_path):
    """Labels that are those of the potential but for a known error in energy and in forces."""
    from aliquot.structures import Frames

    cells = []
    for i in range(6):
        atoms = bulk("Cu", cubic=True, a=3.6 + 0.01 * i)
        atoms.rattle(0.05, seed=i)
        cells.append(atoms)
    frames = Frames.from_atoms(cells)
    for i, atoms in enumerate(cells):
        said = copper_potential(frames, i)
        atoms.info["REF_energy"] = said.energy + 4 * 0.002 * (i + 1)
        atoms.arrays["REF_forces"] = said.forces + 0.01
        atoms.info["config_type"] = "even" if i % 2 == 0 else "odd"
    path = tmp_path / "test.xyz"
    write(path, cells, format="extxyz")
    return path


def test_table_worst_structures_and_page(model, structures, tmp_path, page_text):
    out = tmp_path / "test.html"
    result = run(model, structures, "-o", out)
    assert result.exit_code == 0, result.output
    for words in ("even", "odd", "test.xyz#5 (12 meV/atom)", "largest r.m.s. errors of forces"):
        assert words in result.stdout, words
    assert "copper.ace on 6 structures" in page_text(out)
    again = run(model, structures, "-o", out)
    assert again.exit_code == 2
    assert "--force" in again.output


@pytest.fixture
def page_text():
    return lambda path: path.read_text(encoding="utf-8")


def test_json_has_the_errors_that_were_put_in(model, structures):
    result = run(model, structures, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found = json.loads(result.stdout)
    errors = {(e["quantity"], e["group"]): e for e in found["errors"]}
    assert errors["energy", ""]["mae"] == pytest.approx(np.mean(0.002 * np.arange(1, 7)), abs=1e-6)
    assert errors["energy", "odd"]["rmse"] == pytest.approx(
        np.sqrt(np.mean(np.square([0.004, 0.008, 0.012]))), abs=1e-6
    )
    assert errors["forces", ""]["mae"] == pytest.approx(0.01, abs=1e-6)
    assert found["worst"][0]["frame"] == 5
    assert found["count"] == 6


def test_group_by_another_key(model, structures):
    result = run(model, structures, "--group-by", "nosuch")
    assert result.exit_code == 2
    assert "no frame has a key 'nosuch'" in result.output


def test_an_element_that_the_model_does_not_know(model, structures, tmp_path):
    alien = bulk("Ag", cubic=True)
    alien.info["REF_energy"] = 0.0
    write(tmp_path / "silver.xyz", alien, format="extxyz")
    result = run(model, structures, tmp_path / "silver.xyz")
    assert result.exit_code == 2
    assert "silver.xyz, frame 0: has Ag" in result.output
    assert "it knows Cu" in result.output


def test_bad_usage_is_one_message(model, structures, tmp_path):
    before = sorted(p.name for p in tmp_path.iterdir())
    bare = tmp_path / "bare.xyz"
    write(bare, bulk("Cu", cubic=True), format="extxyz")
    for words, says in (
        ((model, bare), "none of the 1 structures"),
        ((tmp_path / "nowhere.ace", structures), "nowhere.ace"),
        ((structures, structures), "test.xyz"),
        ((model, structures, "-o", tmp_path / "out.txt"), ".html"),
        ((model, structures, "-o", tmp_path / "no" / "out.html"), "out.html"),
        ((model, tmp_path / "none.xyz"), "none.xyz"),
    ):
        result = run(*words)
        assert result.exit_code == 2, (words, result.output)
        assert says in result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*before, "bare.xyz"])
