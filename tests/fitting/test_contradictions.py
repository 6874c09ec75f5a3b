"""Energies against the work of forces."""

from __future__ import annotations

import csv
import lzma
import os
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from aliquot.fitting import contradictions
from aliquot.structures import Frames, read

DATA = Path(os.environ.get("ALIQUOT_DATA", Path(__file__).parents[3] / "shared" / "data"))


def trajectory(*, wrong: int | None = None, by: float = 0.3) -> list[Atoms]:
    """Relaxation-like steps of copper, one of them with a wrong energy."""
    rng = np.random.default_rng(0)
    start = bulk("Cu", cubic=True) * (2, 2, 2)
    start.rattle(0.05, seed=1)
    way = 0.03 * rng.normal(size=start.positions.shape)
    out = []
    for k in range(6):
        atoms = start.copy()
        atoms.positions += 0.4 * k * way
        atoms.wrap()  # atoms may jump to the other side of the cell
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy() + (by if k == wrong else 0.0)
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.calc = None
        out.append(atoms)
    return out


def test_consistent_labels_do_not_contradict():
    assert contradictions(Frames.from_atoms(trajectory())) == ()


def test_a_wrong_energy_contradicts_both_neighbours():
    found = contradictions(Frames.from_atoms(trajectory(wrong=3)))
    assert {(c.first, c.second) for c in found} == {(2, 3), (3, 4)}
    for c in found:
        assert abs(c.energy - c.work) == pytest.approx(0.3, abs=0.01)
        assert c.displacement < 0.1


def test_repetitions_are_compared_wherever_they_are():
    steps = trajectory()
    steps.append(steps[1].copy())
    steps[-1].info["REF_energy"] += 0.2
    found = contradictions(Frames.from_atoms(steps))
    assert [(c.first, c.second, c.displacement) for c in found] == [(1, 6, 0.0)]


def test_other_cells_atoms_and_missing_labels_are_passed_over():
    a, b = trajectory()[:2]
    b.info["REF_energy"] += 1.0
    other_cell, other_atoms, bare = b.copy(), b.copy(), b.copy()
    other_cell.cell *= 1.01
    other_atoms.numbers[0] = 47
    del bare.arrays["REF_forces"]
    for one in (other_cell, other_atoms, bare):
        assert contradictions(Frames.from_atoms([a, one])) == ()
    assert len(contradictions(Frames.from_atoms([a, b]))) == 1
    assert contradictions(Frames.from_atoms([a])) == ()


@pytest.mark.skipif(
    not (DATA / "wbe_wood2019.xyz.xz").is_file(), reason="wbe_wood2019 is not in ALIQUOT_DATA"
)
def test_known_contradictions_of_real_labels_are_found(tmp_path):
    plain = tmp_path / "wbe.xyz"
    plain.write_bytes(lzma.decompress((DATA / "wbe_wood2019.xyz.xz").read_bytes()))
    found = {(c.first, c.second) for c in contradictions(read(str(plain)))}
    with (DATA / "wbe_label_inconsistencies.csv").open() as lines:
        listed = {(int(row["index_a"]), int(row["index_b"])) for row in csv.DictReader(lines)}
    assert len(listed) == 140
    assert listed <= found
