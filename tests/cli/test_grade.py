"""``aliquot grade`` as users meet it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from typer.testing import CliRunner

from aliquot import read
from aliquot.ace.basis import AceBasis
from aliquot.ace.radial import ChebExpCos
from aliquot.cli import app
from aliquot.fitting import Recipe, fit
from aliquot.structures import Frames, write


def run(*words):
    return CliRunner().invoke(app, ["grade", *map(str, words)])


def cells(count: int, seed: int) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    out: list[Atoms] = []
    for _ in range(count):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.positions += rng.normal(scale=0.12, size=atoms.positions.shape)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = energy, forces
        atoms.info["config_type"] = "<b>hot</b>"
        out.append(atoms)
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A potential in PACE's own functions, its training set, held-out structures and a run that goes astray."""
    place = tmp_path_factory.mktemp("grade")
    train = Frames.from_atoms(cells(30, 0))
    basis = AceBasis(elements=(29,), cutoff=4.5, degree=(6, 6, 5), radial=ChebExpCos())
    fit(train, Recipe(basis=basis, posterior=True, repulsion=False)).potential.save(place / "cu.ace")
    write(place / "train.xyz", train)
    write(place / "held.xyz", Frames.from_atoms(cells(24, 1)))
    astray = cells(6, 2)
    for i, atoms in enumerate(astray):
        atoms.positions[3] += 0.6 * (i == 5)
    write(place / "md.xyz", Frames.from_atoms(astray))
    result = run(place / "cu.ace", "--train", place / "train.xyz", "--calibrate", place / "held.xyz")
    assert result.exit_code == 0, result.output
    assert "active set of Cu" in result.stdout
    return place


def test_frames_and_atoms_are_annotated(folder, tmp_path):
    out, page, asi = tmp_path / "graded.xyz", tmp_path / "graded.html", tmp_path / "cu.asi"
    result = run(folder / "cu.ace", folder / "md.xyz", "-o", out, "--page", page, "--asi", asi)
    assert result.exit_code == 0, result.output
    for words in ("6 frames", "the largest grade is", "expected", "bound of each level", "hot"):
        assert words in result.stdout, words
    assert "not calibrated" not in result.output
    found = read(out)
    assert found.frame_columns["gamma_max"].values[5] > 1
    assert found.atom_columns["gamma"].values.shape == (found.n_atoms,)
    assert found.atom_columns["forces_std"].values.shape == (found.n_atoms, 3)
    assert np.argmax(found.frame_columns["gamma_max"].values) == 5
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "calibrated on held-out structures" in text
    assert "<b>hot" not in text
    assert "<script" not in text
    assert sorted(np.load(asi).files) == ["Cu"]
    again = run(folder / "cu.ace", folder / "md.xyz", "-o", out)
    assert again.exit_code == 2
    assert "--force" in again.output


def test_json_says_all_of_it(folder):
    result = run(folder / "cu.ace", folder / "md.xyz", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert found["count"] == 6
    assert found["calibrated"] is True
    assert found["worst"][0]["frame"] == 5
    assert found["worst"][0]["gamma"] == max(found["gamma_max"])
    assert found["active"][0]["largest"] < 1.01
    held = json.loads(run(folder / "cu.ace", folder / "held.xyz", "--json").stdout)
    assert all(c["group"] == "<b>hot</b>" for c in held["coverage"])
    assert {c["indicator"] for c in held["coverage"]} == {"gamma", "leverage", "posterior"}


def test_an_uncalibrated_posterior_is_told(folder, tmp_path):
    result = run(
        folder / "cu.ace",
        folder / "md.xyz",
        "--train",
        folder / "train.xyz",
        "--active",
        tmp_path / "a.active",
    )
    assert result.exit_code == 0, result.output
    assert "not calibrated" in result.stderr
    committee = run(
        *(folder / "cu.ace", folder / "md.xyz", "--train", folder / "train.xyz"),
        *("--active", tmp_path / "b.active", "--committee", 4, "--json"),
    )
    assert json.loads(committee.stdout)["spread"] == "bootstrap"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{}/cu.ace"], "give structures to grade"),
        (["{}/cu.ace", "{}/md.xyz", "--active", "{}/none.active"], "--train FILE"),
        (["{}/cu.ace", "{}/md.xyz", "--active", "{}/cu.ace"], "cannot be used"),
        (["{}/cu.ace", "{}/md.xyz", "-o", "{}/new.txt"], "must end in"),
        (["{}/cu.ace", "--train", "{}/train.xyz"], "exists already"),
        (["{}/md.xyz", "{}/md.xyz"], "is not a potential"),
        (["{}/cu.ace", "{}/gold.xyz"], "atomic number"),
        (
            [
                "{}/cu.ace",
                "--train",
                "{}/train.xyz",
                "--calibrate",
                "{}/one.xyz",
                "--active",
                "{}/new.active",
            ],
            "at least 10",
        ),
    ],
)
def test_bad_usage_is_one_message(folder, words, says):
    if not (folder / "gold.xyz").exists():
        write(folder / "gold.xyz", Frames.from_atoms([bulk("Au", cubic=True)]))
        write(folder / "one.xyz", Frames.from_atoms(cells(1, 5)))
    before = (folder / "cu.active").read_bytes()
    result = run(*(str(w).format(folder) for w in words))
    assert result.exit_code == 2, result.output
    assert says in result.output, result.output
    assert "Traceback" not in result.output
    assert not (folder / "new.active").exists()
    assert (folder / "cu.active").read_bytes() == before
