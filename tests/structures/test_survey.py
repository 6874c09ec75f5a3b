"""The survey counts what is there, and the command shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from ase import Atoms
from ase.build import bulk
from typer.testing import CliRunner

from aliquot.cli.inspect import inspect_command
from aliquot.errors import FrameError
from aliquot.structures import Frames, load, survey, write

from .conftest import frame_text

app = typer.Typer()
app.command()(inspect_command)


def _pool(tmp_path: Path) -> list[str]:
    rng = np.random.default_rng(4)
    images: list[Atoms] = []
    for i in range(20):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, rng=rng)
        atoms.info.update(config_type="bulk" if i % 4 else "[red]odd[/red]", REF_energy=-4.0 + 0.01 * i)
        atoms.arrays["REF_forces"] = rng.normal(size=(4, 3))
        images.append(atoms)
    images[3].info["REF_energy"] = 400.0
    images[5].arrays["REF_forces"][2] = (0, 70, 0)
    images[7].arrays["REF_forces"][0, 0] = np.nan
    images[9].positions[1] = images[9].positions[0] + [0.3, 0, 0]
    again = images[0].copy()
    again.info["REF_energy"] += 1.0
    near = images[1].copy()
    near.positions += 0.003
    atom = Atoms("Cu", cell=[20] * 3, pbc=True, info={"config_type": "isolated_atom", "REF_energy": -0.5})
    write(tmp_path / "a.xyz", Frames.from_atoms(images))
    write(tmp_path / "b.xyz", Frames.from_atoms([again, near, atom]))
    return [str(tmp_path / "a.xyz"), str(tmp_path / "b.xyz")]


def test_survey(tmp_path: Path) -> None:
    a, b = _pool(tmp_path)
    found = survey(load(a, b, overlap=None))
    assert (found.n_frames, found.n_atoms) == (23, 89)
    assert found.files == {a: 20, b: 3}
    assert found.elements == {"Cu": 89}
    assert found.compositions == {"Cu4": 22, "Cu": 1}
    assert found.config_types == {"bulk": 16, "[red]odd[/red]": 6, "isolated_atom": 1}
    assert found.labels["energy"].keys == {"REF_energy": 23}
    assert found.labels["forces"].keys == {"REF_forces": 22}
    assert found.labels["forces"].missing == 1
    assert found.labels["virial"].keys == {}
    assert found.exact_duplicates == ((f"{a}#0", f"{b}#0"),)
    assert found.near_duplicates == ((f"{a}#1", f"{b}#1"),)
    assert [(x.element, x.at, x.energy) for x in found.isolated_atoms] == [("Cu", f"{b}#2", -0.5)]
    suspicious = {(e.file, e.frame): e.problem for e in found.suspicious}
    assert set(suspicious) == {(a, 3), (a, 5), (a, 7), (a, 9), (b, 0)}
    assert "from the median of the 22 frames of its composition" in suspicious[a, 3]
    assert "force on atom 2 is 70 eV/Å" in suspicious[a, 5]
    assert "label REF_forces is not finite" in suspicious[a, 7]
    assert "atoms 0 (Cu) and 1 (Cu) are 0.3 Å apart" in suspicious[a, 9]
    assert f"same structure as {a}#0, but its energy differs by +0.25 eV/atom" in suspicious[b, 0]
    assert found.shortest["Cu-Cu"].smallest == pytest.approx(0.3)
    assert found.ranges["energy_per_atom"].largest == 100.0
    assert found.ranges["energy_per_atom"].largest_at == f"{a}#3"
    assert found.ranges["largest_force"].largest == 70.0
    json.dumps(found.to_dict(), allow_nan=False)


def test_survey_of_nothing_and_of_broken_frames() -> None:
    found = survey(Frames.empty("none"))
    assert found.n_frames == 0
    assert not found.ranges
    atoms = Atoms("H", [(np.nan, 0, 0)])
    found = survey(Frames.from_atoms([atoms, Atoms("He")]))
    assert "position of atom 0 is not finite" in found.suspicious[0].problem
    json.dumps(found.to_dict(), allow_nan=False)


def test_inspect_prints_tables(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, _pool(tmp_path), env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for text in (
        "23 frames, 89 atoms",
        "[red]odd[/red]",
        "REF_energy: 23",
        "Suspicious frames: 5",
        "a.xyz#0",
        "REF_forces",
    ):
        assert text in result.output


def test_inspect_prints_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--json", "--energy-key", "none", *_pool(tmp_path)])
    assert result.exit_code == 0, result.output
    record = json.loads(result.output)
    assert record["format"] == "aliquot-survey"
    assert record["n_frames"] == 23
    assert record["labels"]["energy"] == {"keys": {}, "missing": 23}


def test_inspect_of_bad_frames(text_file: Callable[..., Path]) -> None:
    path = str(text_file(frame_text(2) + frame_text(2).replace("Si", "Xx") + frame_text(3)))
    result = CliRunner().invoke(app, [path])
    assert isinstance(result.exception, FrameError)
    result = CliRunner().invoke(app, [path, "--on-error", "skip"])
    assert result.exit_code == 0
    assert "2 frames, 5 atoms" in result.output
    assert "Left out: 1" in result.output


def test_inspect_of_lammps_types(text_file: Callable[..., Path]) -> None:
    from .test_ase_formats import SNAPSHOT

    path = str(text_file(SNAPSHOT.format(step=0, z=0.0), "md.dump"))
    for types in (["--type-map", "1=Si,2=O"], ["--type-map", "1=Si", "--type-map", "2=O"]):
        result = CliRunner().invoke(app, [path, *types, "--json"])
        assert json.loads(result.output)["elements"] == {"O": 1, "Si": 2}
