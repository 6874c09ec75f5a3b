"""``aliquot hal`` and ``aliquot explore`` as they are typed; a descriptor of somebody else's; what they refuse."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from ase.io import read, write
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.explore import bias_from_frames, surrogate_from_python
from aliquot.structures import Frames
from aliquot.uncertainty import Uncertainty

DESCRIPTOR = '''
import numpy as np
from ase.neighborlist import neighbor_list


class Near:
    """Sums over neighbours of powers of a cutoff function, and their pullback."""

    cutoff, powers = 5.0, np.array([2, 3, 4])

    def __call__(self, atoms):
        i, d = neighbor_list("id", atoms, self.cutoff)
        out = np.zeros((len(atoms), 3))
        np.add.at(out, i, (1 - d[:, None] / self.cutoff) ** self.powers)
        return out

    def pullback(self, atoms, cotangent):
        i, j, D, d = neighbor_list("ijDd", atoms, self.cutoff)
        rise = -self.powers / self.cutoff * (1 - d[:, None] / self.cutoff) ** (self.powers - 1)
        along = (rise * cotangent[i]).sum(axis=1)[:, None] * D / d[:, None]
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, along)
        np.add.at(forces, j, -along)
        return forces


near = Near()
'''


@pytest.fixture
def here(tmp_path, monkeypatch, unsure, alloy):
    monkeypatch.chdir(tmp_path)
    unsure.save("model.ace")
    write("start.xyz", [alloy(41, 0.02), alloy(42, 0.02)])
    write("train.xyz", [alloy(seed) for seed in range(4)])
    return tmp_path


def run(line: str):
    return CliRunner().invoke(app, line.split())


WALK = "--temperature 900 --trigger 0.05 --steps 60"


def test_hal_finds_and_says_so(here):
    result = run(
        f"hal model.ace start.xyz -n 2 -o new.xyz {WALK} --strain 0.005 --swap --moves-every 10 --json"
    )
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    found = read("new.xyz", ":")
    assert len(found) == record["structures"] == len(record["picks"]) == 2
    assert found[0].info["hal_score"] == pytest.approx(record["picks"][0]["score"])
    assert not (here / "new.hal").exists()
    assert run(f"hal model.ace start.xyz -n 2 -o new.xyz {WALK}").exit_code == 2  # it exists
    assert run(f"hal model.ace start.xyz -n 1 -o other.xyz {WALK} --committee 8").exit_code == 0


def test_hal_of_another_calculator_by_somebody_elses_descriptor(here):
    (here / "near_module.py").write_text(DESCRIPTOR)
    line = (
        f"hal python:ase.calculators.emt:EMT start.xyz -n 2 -o new.xyz {WALK} --known train.xyz --surrogate"
    )
    result = run(f"{line} python:near_module:near --noise 0.001/0.1 --trigger 0.001")
    assert result.exit_code == 0, result.output
    assert len(read("new.xyz", ":")) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hal model.ace start.xyz -n 1 -o new.xyz --trigger 99 --steps 5", "Lower trigger"),
        ("hal model.ace start.xyz -n 1 -o no/where/new.xyz", "cannot write"),
        ("hal model.ace start.xyz -n 1 -o new.xyz --surrogate ace", "belong together"),
        ("hal model.ace start.xyz -n 1 -o new.xyz --noise much", "--noise"),
        ("hal python:ase.calculators.emt:EMT start.xyz -n 1 -o new.xyz", "--surrogate"),
        ("hal model.ace nothing.xyz -n 1 -o new.xyz", "nothing.xyz"),
        ("explore model.ace start.xyz -o new.xyz", "--train"),
    ],
)
def test_refusals(here, line, words):
    result = run(line)
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.output.split())
    assert not (here / "new.xyz").exists()


def test_hal_into_a_folder_that_cannot_be_written(here):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (here / "locked").mkdir(mode=0o500)
    assert run("hal model.ace start.xyz -n 1 -o locked/new.xyz").exit_code == 2


def test_explore_moves_atoms(here, unsure, alloy):
    seen = Frames.from_atoms([alloy(seed, 0.06) for seed in range(30)])
    Uncertainty.build(unsure, seen, guard=False).save("model.active")
    result = run("explore model.ace start.xyz -o new.xyz --min-distance 1.5 --restarts 2 --json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["moves"]
    assert len(read("new.xyz", ":")) == record["structures"] == 2


TORCH = '''
import torch
from ase.neighborlist import neighbor_list


class Bells:
    """Sums over neighbours of four Gaussians of the distance; the pullback is that of autograd."""

    centres = torch.linspace(2.2, 4.2, 4, dtype=torch.float64)

    def features(self, atoms):
        i, j, S = neighbor_list("ijS", atoms, 5.0)
        x = torch.tensor(atoms.positions, requires_grad=True)
        d = torch.linalg.norm(x[j] - x[i] + torch.tensor(S @ atoms.cell.array), dim=1)
        each = torch.exp(-((d[:, None] - self.centres) ** 2)) * ((1 - d / 5.0) ** 2)[:, None]
        return torch.zeros(len(atoms), 4, dtype=torch.float64).index_add(0, torch.tensor(i), each), x

    def __call__(self, atoms):
        return self.features(atoms)[0].detach().numpy()

    def pullback(self, atoms, cotangent):
        values, x = self.features(atoms)
        return -torch.autograd.grad((values * torch.tensor(cotangent)).sum(), x)[0].numpy()


bells = Bells()
'''


def test_descriptor_of_torch(here, alloy, monkeypatch):
    pytest.importorskip("torch")
    (here / "bells_module.py").write_text(TORCH)
    monkeypatch.syspath_prepend(str(here))
    surrogate = surrogate_from_python("python:bells_module:bells")
    bias = bias_from_frames(surrogate, Frames.from_atoms([alloy(1), alloy(2)]))
    atoms, step = alloy(3), 1e-4
    ends = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[2, 1] += sign * step
        ends.append(bias.sigma(moved))
    assert bias.tilt(atoms).uphill[2, 1] == pytest.approx(np.diff(ends[::-1])[0] / (2 * step), rel=1e-5)
    line = (
        f"hal python:ase.calculators.emt:EMT start.xyz -n 1 -o new.xyz {WALK} --known train.xyz --surrogate"
    )
    result = run(f"{line} python:bells_module:bells --noise 0.001/0.1 --trigger 0.001")
    assert result.exit_code == 0, result.output
    assert len(read("new.xyz", ":")) == 1
