"""Structures that several rooms test with."""

from __future__ import annotations

import lzma
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import HealthCheck, settings

from aliquot import read
from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.examples import example_files

# Examples are drawn the same way every time, and a busy machine is no reason to fail.
settings.register_profile(
    "aliquot", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("aliquot")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real DFT data; never part of the repository."""
    folder = Path(os.environ.get("ALIQUOT_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "manifest.json").is_file():
        pytest.skip(f"no reference data in {folder}; set ALIQUOT_DATA to a folder that has them")
    return folder


@pytest.fixture
def silicon_pool() -> list[Atoms]:
    """Twelve labelled silicon cells of 8 atoms, strained and rattled."""
    rng = np.random.default_rng(14)
    pool: list[Atoms] = []
    for i in range(12):
        atoms = bulk("Si", cubic=True)
        strain = np.eye(3) + rng.normal(scale=0.02, size=(3, 3))
        atoms.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
        atoms.positions += rng.normal(scale=0.08, size=atoms.positions.shape)
        atoms.info["config_type"] = "bulk" if i < 8 else "hot bulk"
        atoms.info["REF_energy"] = -158.5 * len(atoms) + rng.normal()
        atoms.arrays["REF_forces"] = rng.normal(size=atoms.positions.shape)
        pool.append(atoms)
    return pool


@pytest.fixture
def tiny_frames() -> list[Atoms]:
    """Four frames that differ in size, elements, periodicity and keys."""
    molecule = Atoms("OH2", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    molecule.info["config_type"] = "molecule"
    crystal = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    crystal.info["REF_energy"] = -27.5
    slab = bulk("Cu", cubic=True)
    slab.cell[2] *= 3
    slab.pbc = (True, True, False)
    slab.arrays["layer"] = np.arange(len(slab))
    return [molecule, crystal, slab, Atoms("He", cell=[9.0, 9.0, 9.0], pbc=True)]


@pytest.fixture(scope="session")
def copper_potential() -> AcePotential:
    """A potential fitted by least squares to the packaged copper structures, which EMT has labelled."""
    lines = lzma.decompress(b"".join(path.read_bytes() for path in example_files())).decode()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "copper.xyz").write_text(lines, encoding="utf-8")
        frames = read(Path(folder) / "copper.xyz")
    basis = AceBasis(elements=(29,), cutoff=5.5, degree=(9, 9, 9))
    evaluator, alone = AceEvaluator(basis), 3.51
    rows, targets = [1e-4 * np.diag(basis.prior)], [np.zeros(len(basis.functions))]
    for i, n in enumerate(frames.sizes):
        found = evaluator.rows(frames, i)
        weight = 10 / np.sqrt(n)
        rows += [weight * found.energy[None], found.forces.reshape(3 * n, -1)]
        targets += [
            weight * np.array([frames.energy.values[i] - n * alone]),
            frames.forces.values[frames.offsets[i] : frames.offsets[i + 1]].ravel(),
        ]
    fitted = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]
    return AcePotential(basis, fitted[None], np.array([alone]))


#: A protocol of one's own: numbers drawn per repeat, on top of a mean that prepare writes for all.
OWN_PROTOCOL = """
import json, os, time
from dataclasses import dataclass

import numpy as np

from aliquot.errors import InputError
from aliquot.studies import Conclusion, Curve, Figure, Finding, Panel, Table
from aliquot.studies.statistics import interval

REVISION = 1

@dataclass(frozen=True)
class Settings:
    sets: tuple[str, ...] = ("few",)
    seed: int = 0
    repeats: int = 3
    pause: float = 0.0

def tasks(settings):
    return [{"repeat": k} for k in range(settings.repeats)]

def cost(settings, task):
    return 1.0

def prepare(settings, data, place, progress):
    if not (place / "mean.json").exists():
        (place / "mean.json").write_text(json.dumps(float(np.mean(data.read("few").sizes))))
        with open(place / "prepared.log", "a") as log:
            log.write("once\\n")

def work(settings, data, place, task):
    with open(place / "begun.log", "a") as log:
        log.write(f"{task['repeat']}\\n")
    time.sleep(settings.pause)
    if os.environ.get("STOP_AT") == str(task["repeat"]):
        raise KeyboardInterrupt
    if os.environ.get("FAIL_AT") == str(task["repeat"]):
        raise InputError("nothing to work with")
    mean = json.loads((place / "mean.json").read_text())
    rng = np.random.default_rng([settings.seed, task["repeat"]])
    return [
        {"method": m, "n": n, "rmse_meV": float(mean + rng.normal()), "empty": float("nan")}
        for m in ("one", "two") for n in (5, 10)
    ]

def conclude(settings, results):
    curves = []
    for (method,), some in results.by("method"):
        found = [interval(at.column("rmse_meV")) for _, at in some.by("n")]
        curves.append(Curve(method, (5.0, 10.0), tuple(f.value for f in found), tuple(f.low for f in found),
                            tuple(f.high for f in found)))
    best = min(results.column("rmse_meV"))
    return Conclusion(
        f"The best repeat has {best:.6g} meV.",
        (Finding("the best is below 3 meV", f"{best:.6g} meV", bool(best < 3)),),
        (Table("all", "All", ("method", "n"), (("one", 5), ("two", None))),),
        (Figure("curves", "Both.", (Panel("both", "n", "RMSE (meV)", tuple(curves), log_x=True),)),),
    )
"""


@pytest.fixture
def own_study(tmp_path, monkeypatch, silicon_pool) -> Path:
    """A study of one's own: ``own.toml``, its protocol, and a folder of data; the name of the first."""
    from ase.io import write

    (tmp_path / "drawing_numbers.py").write_text(OWN_PROTOCOL, "utf-8")
    (tmp_path / "reference").mkdir()
    write(tmp_path / "reference" / "few.xyz", silicon_pool[:3], format="extxyz")
    (tmp_path / "own.toml").write_text(
        'title = "Of one\'s own"\nprotocol = "python:drawing_numbers"\nquestion = "Which number is *smallest*?"\n'
        "[minutes]\nstandard = 0.5\n[settings]\n[sizes.standard]\nrepeats = 5\n[sizes.full]\nrepeats = 50\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "drawing_numbers", raising=False)
    monkeypatch.setenv("ALIQUOT_DATA", str(tmp_path / "reference"))
    return tmp_path / "own.toml"
