"""Structures that several rooms test with."""

from __future__ import annotations

import lzma
import os
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
