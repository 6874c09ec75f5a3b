"""The packaged example: what it holds, that its labels are true, and that its script makes it again."""

from __future__ import annotations

import importlib.util
import io
import lzma
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import read

from aliquot.examples import example_files

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "make_example.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_example", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def frames_of(path: Path) -> list[Atoms]:
    return read(io.StringIO(lzma.decompress(path.read_bytes()).decode()), ":", format="extxyz")


def test_pool_is_large_and_redundant_and_known_is_bulk():
    pool, known = (frames_of(path) for path in example_files())
    assert (len(pool), len(known)) == (400, 60)
    kinds = Counter(atoms.info["config_type"] for atoms in pool)
    assert kinds["bulk_md"] > 200
    assert {"surface_100", "surface_110", "surface_111", "liquid", "vacancy", "interstitial"} <= set(kinds)
    assert Counter(atoms.info["config_type"] for atoms in known)["isolated_atom"] == 1
    positions = {atoms.positions.tobytes() for atoms in pool}
    assert len(pool) - len(positions) == 4  # the four restart files


def test_files_are_small():
    assert sum(path.stat().st_size for path in example_files()) < 1.5e6


@pytest.mark.parametrize("which", [0, 1])
def test_labels_are_those_of_the_written_positions(which):
    for atoms in frames_of(example_files()[which])[::23]:
        atoms.calc = EMT()
        assert atoms.get_potential_energy() == pytest.approx(atoms.info["REF_energy"], abs=2e-6)
        np.testing.assert_allclose(atoms.get_forces(), atoms.arrays["REF_forces"], atol=1e-5)
        assert ("REF_virial" in atoms.info) == bool(atoms.pbc.all())
        if atoms.pbc.all():
            virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
            np.testing.assert_allclose(virial.ravel(), np.ravel(atoms.info["REF_virial"]), atol=2e-6)


@pytest.mark.parametrize(
    ("which", "families", "name", "tolerance"),
    [
        (1, "KNOWN", "bulk_near_equilibrium", 1e-6),
        (0, "POOL", "strained", 1e-6),
        (0, "POOL", "surface_111", 1e-4),  # dynamics: rounding grows
    ],
)
def test_script_makes_the_same_frames_again(script, which, families, name, tolerance):
    stored = [a for a in frames_of(example_files()[which]) if a.info["config_type"] == name]
    made = script.family(name, getattr(script, families)[name])
    assert len(made) == len(stored) > 10
    for new, old in zip(made, stored, strict=True):
        np.testing.assert_allclose(new.positions, old.positions, rtol=0, atol=tolerance)
        np.testing.assert_allclose(new.cell[:], old.cell[:], rtol=0, atol=tolerance)
