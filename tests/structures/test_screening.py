"""Overlaps and near duplicates against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from aliquot.structures import Frames, unusable
from aliquot.structures.contacts import contacts
from aliquot.structures.distances import REACH, distances
from aliquot.structures.similar import near_duplicates


def _random_cell(rng: np.random.Generator, n: int, size: float) -> Atoms:
    cell = size * (np.eye(3) + rng.uniform(-0.45, 0.45, (3, 3)))
    pbc = rng.random(3) < 0.7
    return Atoms(rng.choice(["H", "O", "Cs"], n), rng.uniform(-1, 2, (n, 3)) @ cell, cell=cell, pbc=pbc)


@pytest.mark.parametrize("seed", range(4))
def test_overlaps_are_those_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = [_random_cell(rng, int(rng.integers(1, 30)), rng.uniform(0.8, 9.0)) for _ in range(60)]
    frames = Frames.from_atoms(images)
    found = contacts(frames, np.ones(len(frames), bool), 0.35, 0.1)
    n_overlapping = 0
    for i, atoms in enumerate(images):
        a, b, d = neighbor_list("ijd", atoms, 3.5)
        limit = np.maximum(0.35 * (covalent_radii[atoms.numbers[a]] + covalent_radii[atoms.numbers[b]]), 0.1)
        ratio = d / limit
        if len(ratio) and ratio.min() < 1:
            n_overlapping += 1
            first, second, distance, threshold = found[i]
            assert distance / threshold == pytest.approx(ratio.min())
            mine = (np.minimum(a, b) == first) & (np.maximum(a, b) == second)
            assert np.isclose(d[mine], distance).any()
        else:
            assert i not in found
    assert 5 < n_overlapping < 60


def test_an_atom_may_overlap_its_own_image() -> None:
    frames = Frames.from_atoms(Atoms("Cs", cell=[0.5, 20, 20], pbc=True))
    (exclusion,) = unusable(frames)
    assert "atoms 0 (Cs) and 0 (Cs) are 0.5 Å apart" in exclusion.problem


def test_flat_cells_that_are_not_periodic_there_are_fine() -> None:
    sheet = Atoms("C2", [(0, 0, 0), (1.4, 0, 0)], cell=[2.4, 4.2, 0], pbc=(True, True, False))
    molecule = Atoms("C2", [(0, 0, 0), (1.4, 0, 0)])
    wire = Atoms("C", cell=[1.3, 0, 0], pbc=(True, False, False))
    assert not unusable(Frames.from_atoms([sheet, molecule, wire]))
    sheet.pbc = True
    (exclusion,) = unusable(Frames.from_atoms([wire, sheet]))
    assert exclusion.frame == 1
    assert "abc span no volume" in exclusion.problem


def test_shortest_distances_are_those_of_ase() -> None:
    rng = np.random.default_rng(8)
    images = [_random_cell(rng, 12, 6.0) for _ in range(10)]
    found = distances(Frames.from_atoms(images))
    assert found.elements == (1, 8, 55)
    for i, atoms in enumerate(images):
        a, b, d = neighbor_list("ijd", atoms, REACH)
        for p, zp in enumerate(found.elements):
            for q, zq in enumerate(found.elements):
                pair = d[(atoms.numbers[a] == zp) & (atoms.numbers[b] == zq)]
                assert found.shortest[i, p, q] == pytest.approx(pair.min(initial=np.inf))


def _brute_force(frames: Frames, tolerance: float) -> set[tuple[int, int]]:
    near: set[tuple[int, int]] = set()
    for i in range(len(frames)):
        for j in range(i + 1, len(frames)):
            a, b = frames[i], frames[j]
            if not np.array_equal(a.numbers, b.numbers) or not np.array_equal(a.pbc, b.pbc):
                continue
            if np.abs(a.cells - b.cells).max() > tolerance:
                continue
            shift = b.positions - a.positions
            images = np.rint(shift @ np.linalg.pinv(a.cells[0])) * a.pbc
            if np.linalg.norm(shift - images @ a.cells[0], axis=1).max() <= tolerance:
                near.add((i, j))
    return near


@pytest.mark.parametrize("tolerance", [0.01, 0.05])
def test_near_duplicates_are_those_of_all_pairs(tolerance: float) -> None:
    rng = np.random.default_rng(2)
    images: list[Atoms] = []
    for base in (
        bulk("Si"),
        bulk("Si", cubic=True),
        bulk("NaCl", "rocksalt", a=5.6),
        Atoms("H2", [(0, 0, 0), (0, 0, 0.7)]),
    ):
        for _ in range(6):
            atoms = base.copy()
            atoms.rattle(0.15, rng=rng)
            for _ in range(3):
                copy = atoms.copy()
                copy.set_cell(copy.cell + rng.uniform(-0.9, 0.9, (3, 3)) * tolerance * copy.pbc[:, None])
                copy.positions += (
                    rng.uniform(-1, 1, copy.positions.shape) * tolerance * rng.choice([0.1, 0.5, 1.0])
                )
                if copy.pbc.any():
                    copy.positions += rng.integers(-2, 3, copy.positions.shape) @ copy.cell.array
                images.append(copy)
    frames = Frames.from_atoms([images[k] for k in rng.permutation(len(images))])
    pairs = _brute_force(frames, tolerance)
    assert len(pairs) > 5
    groups = near_duplicates(frames, distances(frames).traits, tolerance=tolerance)
    followers = {int(j) for g in groups for j in g[1:]}
    for group in groups:
        assert all((int(group[0]), int(j)) in pairs for j in group[1:])
    leaders = [i for i in range(len(frames)) if i not in followers]
    assert not {(i, j) for i in leaders for j in leaders} & pairs  # no near pair was missed


def test_many_alike_frames_are_quick() -> None:
    frames = Frames.from_atoms([bulk("Cu", cubic=True)] * 3000)
    (group,) = near_duplicates(frames, np.zeros((3000, 2)))
    assert len(group) == 3000
