"""Kernels against the plain reference, and every function under every symmetry it must have."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, make_supercell, molecule

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.radial import AgnesiJacobi, ChebExpCos, SBessel
from aliquot.ace.reference import reference_site_values
from aliquot.structures import Frames
from aliquot.structures.neighbours import neighbours

BASES = {
    "one element": AceBasis(elements=(14,), cutoff=5.0, degree=(12, 10, 9)),
    "order 4": AceBasis(elements=(14,), cutoff=4.5, degree=(8, 8, 8, 9)),
    "two elements, order 4": AceBasis(elements=(13, 22), cutoff=4.5, degree=(6, 6, 6, 6)),
    "embedded": AceBasis(
        elements=(8, 13, 22),
        cutoff=5.0,
        degree=(7, 7, 6),
        embedding=((1.0, 1.0, 1.0), (0.3, -0.7, 1.2)),
    ),
}


def cluster(elements: tuple[int, ...], n: int, seed: int) -> Atoms:
    """Random cluster whose atoms keep 1.6 Å apart."""
    rng = np.random.default_rng(seed)
    points: list[np.ndarray] = []
    while len(points) < n:
        p = rng.uniform(0, 5.5, 3)
        if all(np.linalg.norm(p - q) > 1.6 for q in points):
            points.append(p)
    return Atoms(rng.choice(elements, n), positions=points)


def values(basis: AceBasis, atoms: Atoms) -> np.ndarray:
    return AceEvaluator(basis).site_values(Frames.from_atoms([atoms]), 0)


def assert_close(a: np.ndarray, b: np.ndarray, basis: AceBasis, tolerance: float = 1e-11) -> None:
    """Every function on the scale of its own largest value."""
    scale = np.maximum(np.abs(a).max(axis=0), 1e-3 * np.abs(a).max())
    assert np.all(np.abs(a - b) <= tolerance * scale)
    assert a.shape[1] == len(basis.functions)


@pytest.mark.parametrize("name", BASES)
def test_kernel_agrees_with_the_reference(name):
    basis = BASES[name]
    for atoms in (cluster(basis.elements, 11, seed=1), cluster(basis.elements, 3, seed=2)):
        pairs = neighbours(atoms.positions, atoms.cell[:], atoms.pbc, basis.max_cutoff)
        got = values(basis, atoms)
        for i in range(len(atoms)):
            mine = slice(pairs.first[i], pairs.first[i + 1])
            expected = reference_site_values(
                basis, int(atoms.numbers[i]), atoms.numbers[pairs.index[mine]], pairs.vectors[mine]
            )
            np.testing.assert_allclose(got[i], expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("name", BASES)
def test_every_function_is_invariant(name):
    basis = BASES[name]
    rng = np.random.default_rng(5)
    atoms = cluster(basis.elements, 14, seed=3)
    original = values(basis, atoms)
    assert np.all(np.abs(original).max(axis=0) > 0), "a function that is always zero proves nothing"
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    for transform in (rotation, -np.eye(3), rotation @ np.diag([1, 1, -1])):
        moved = atoms.copy()
        moved.positions = atoms.positions @ transform + rng.normal(size=3)
        assert_close(original, values(basis, moved), basis)
    shuffle = rng.permutation(len(atoms))
    assert_close(original[shuffle], values(basis, atoms[shuffle]), basis)


@pytest.mark.parametrize("name", ["one element", "order 4"])
def test_functions_are_linearly_independent(name):
    basis = BASES[name]
    rows = np.vstack([values(basis, cluster(basis.elements, 16, seed=s)) for s in range(40)])
    rows = rows / np.linalg.norm(rows, axis=0)
    for order in range(1, basis.order + 1):  # across orders self-interaction makes near-dependence
        columns = rows[:, [f.order == order for f in basis.functions]]
        assert np.linalg.matrix_rank(columns, tol=1e-9) == columns.shape[1]


def test_supercells_and_cutoffs_beyond_the_cell():
    basis = AceBasis(elements=(14,), cutoff=6.0, degree=(9, 9, 8))
    primitive = bulk("Si", a=5.43)
    triclinic = make_supercell(primitive, [[2, 1, 0], [0, 1, 0], [0, 0, 3]])
    one = values(basis, primitive)
    assert_close(one[:1].repeat(2, axis=0), one, basis)
    assert_close(one[:1].repeat(len(triclinic), axis=0), values(basis, triclinic), basis)
    single = AceBasis(elements=(29,), cutoff=6.0, degree=(9, 9, 8))
    assert_close(values(single, bulk("Cu")).repeat(4, axis=0), values(single, bulk("Cu", cubic=True)), single)


def test_isolated_atoms_molecules_and_slabs():
    basis = AceBasis(elements=(1, 8, 29), cutoff=5.0, degree=(5, 5, 5))
    assert np.all(values(basis, Atoms("Cu")) == 0)
    assert np.all(values(basis, Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 5.0]])) == 0)
    dimer = values(basis, Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]]))
    assert np.all(np.isfinite(dimer))
    assert np.any(dimer != 0)
    assert np.all(np.isfinite(values(basis, molecule("H2O"))))
    slab = fcc111("Cu", (2, 2, 4), vacuum=8.0)
    assert list(slab.pbc) == [True, True, False]
    sites = values(basis, slab)
    assert_close(sites[:1].repeat(4, axis=0), sites[:4], basis)  # the four atoms of one layer are equivalent
    assert not np.allclose(sites[0], sites[8])


def test_functions_pass_smoothly_through_the_cutoff():
    basis = AceBasis(elements=(14,), cutoff=5.0, degree=(8, 8, 8))
    atoms = Atoms("Si3", positions=[[0, 0, 0], [2.3, 0, 0], [0, 0, 0]])

    def at(distance: float) -> np.ndarray:
        atoms.positions[2] = [0.3, distance, 0.4]
        return values(basis, atoms)[0]

    edge = np.sqrt(25 - 0.25)
    h = 1e-4
    jump = np.abs(at(edge + h) - at(edge - h)).max()
    slope = np.abs(at(edge - h) - at(edge - 2 * h)).max() / h
    typical = np.abs(at(3.0 + h) - at(3.0)).max() / h
    assert jump < 1e-6 * np.abs(at(3.0)).max()
    assert slope < 1e-2 * typical


@pytest.mark.parametrize(
    "radial", [AgnesiJacobi(envelope=3), ChebExpCos(), ChebExpCos(3.0, 0.3), SBessel()], ids=str
)
def test_every_radial_family_agrees_with_the_reference(radial):
    basis = AceBasis(
        elements=(13, 22), cutoff=((5.0, 4.4), (4.4, 4.0)), degree=(6, 6, 5), radial=radial, pair_degree=5
    )
    atoms = cluster(basis.elements, 9, seed=4)
    pairs = neighbours(atoms.positions, atoms.cell[:], atoms.pbc, basis.max_cutoff)
    got = values(basis, atoms)
    for i in range(len(atoms)):
        mine = slice(pairs.first[i], pairs.first[i + 1])
        expected = reference_site_values(
            basis, int(atoms.numbers[i]), atoms.numbers[pairs.index[mine]], pairs.vectors[mine]
        )
        scale = np.maximum(np.abs(expected), 1e-6 * np.abs(expected).max())
        assert np.all(np.abs(got[i] - expected) < 1e-9 * scale)
    assert AceBasis.from_dict(basis.to_dict()).hash == basis.hash
    assert basis.names[0] == "Al(1,pair)"
