"""What the frames say, against ASE and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list

from aliquot.report import findings


@pytest.fixture
def mixed(frames_of):
    """Crystals, a slab, molecules and an atom, some without labels."""
    rng = np.random.default_rng(8)
    images = [bulk("NaCl", "rocksalt", a=5.64), bulk("Cu"), molecule("C2H6"), molecule("H2O"), Atoms("Ar")]
    images += [bulk("Si", cubic=True) for _ in range(4)]
    for i, atoms in enumerate(images):
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        if i != 2:
            atoms.info["REF_energy"] = float(rng.normal())
            atoms.arrays["REF_forces"] = rng.normal(size=atoms.positions.shape)
    return images, frames_of(images)


def test_formulas(mixed):
    _, frames = mixed
    assert findings.formulas(frames).tolist() == ["ClNa", "Cu", "C2H6", "H2O", "Ar"] + ["Si8"] * 4
    assert findings.formulas(frames, reduced=True).tolist() == ["ClNa", "Cu", "CH3", "H2O", "Ar"] + ["Si"] * 4


def test_labels(mixed):
    images, frames = mixed
    energy, force = findings.energy_per_atom(frames), findings.max_force(frames)
    for i, atoms in enumerate(images):
        if i == 2:
            assert np.isnan(energy[i])
            assert np.isnan(force[i])
            continue
        assert energy[i] == pytest.approx(atoms.info["REF_energy"] / len(atoms))
        assert force[i] == pytest.approx(np.linalg.norm(atoms.arrays["REF_forces"], axis=1).max())


def test_shortest_distances(mixed):
    images, frames = mixed
    found = findings.shortest_distances(frames)
    for i, atoms in enumerate(images):
        pairs = neighbor_list("d", atoms, 6.0)
        if len(pairs):
            assert found[i] == pytest.approx(pairs.min())
        else:
            assert np.isnan(found[i])


def test_wide_cells_need_a_second_search(frames_of):
    images = [Atoms("He", cell=np.eye(3) * a, pbc=True) for a in (2.0, 4.0, 8.0, 11.9, 13.0)]
    np.testing.assert_allclose(
        findings.shortest_distances(frames_of(images)), [2.0, 4.0, 8.0, 11.9, np.nan], rtol=1e-12
    )


def test_energy_above_composition_forgets_the_elements(frames_of):
    rng = np.random.default_rng(9)
    images = [
        Atoms("Na" * a + "Cl" * b, positions=rng.normal(size=(a + b, 3)))
        for a, b in rng.integers(1, 6, (20, 2))
    ]
    for atoms in images:
        atoms.info["REF_energy"] = float(np.where(atoms.numbers == 11, -3.0, -7.0).sum())
    np.testing.assert_allclose(findings.energy_above_composition(frames_of(images)), 0, atol=1e-12)


def test_the_distance_sample_is_bounded_by_atoms(frames_of, monkeypatch):
    frames = frames_of([bulk("Cu", cubic=True)] * 100)
    assert len(findings.distance_sample(frames)) == 100
    monkeypatch.setattr(findings, "DISTANCE_ATOMS", 80)
    assert len(findings.distance_sample(frames)) == 20
