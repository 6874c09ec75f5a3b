"""Rows and forces against finite differences of the values, for every radial family, element count and order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from aliquot.ace.basis import AceBasis
from aliquot.ace.contraction import contract
from aliquot.ace.evaluator import AceEvaluator, Rows
from aliquot.ace.forces_kernel import forces
from aliquot.ace.radial import AgnesiJacobi, ChebExpCos, SBessel
from aliquot.errors import InputError
from aliquot.structures import Frames
from aliquot.structures.neighbours import neighbours

FAMILIES = [AgnesiJacobi(), AgnesiJacobi(p=2, q=2, envelope=3), ChebExpCos(), ChebExpCos(3.0, 0.4), SBessel()]
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def rattled(atoms: Atoms, amount: float = 0.15) -> Atoms:
    out = atoms.copy()
    out.rattle(amount, seed=3)
    return out


SALT = rattled(bulk("NaCl", "rocksalt", 5.64, cubic=True))
SILICON = rattled(bulk("Si", "diamond", 5.43, cubic=True))
SYSTEMS = {
    "salt": (
        AceBasis(elements=(11, 17), cutoff=((5.0, 4.5), (4.5, 4.2)), degree=(6, 6, 5), pair_degree=4),
        SALT,
    ),
    "silicon, order 4": (AceBasis(elements=(14,), cutoff=4.2, degree=(7, 7, 7, 8)), SILICON),
    "salt, order 4": (AceBasis(elements=(11, 17), cutoff=4.0, degree=(4, 4, 4, 5)), SALT),
    "small cell": (AceBasis(elements=(29,), cutoff=5.0, degree=(7, 7, 6)), bulk("Cu", a=3.6)),
}


def rows_of(basis: AceBasis, atoms: Atoms) -> Rows:
    return AceEvaluator(basis).rows(Frames.from_atoms([atoms]), 0)


def energy_row(basis: AceBasis, atoms: Atoms) -> np.ndarray:
    """The energy row by adding up site values, centre by centre."""
    values = AceEvaluator(basis).site_values(Frames.from_atoms([atoms]), 0)
    return np.concatenate([values[atoms.numbers == z].sum(axis=0) for z in basis.elements])


def derivative(f, h: float) -> np.ndarray:
    """Fourth-order central difference at 0."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def check(basis: AceBasis, atoms: Atoms, tolerance: float = 2e-9) -> None:
    rows = rows_of(basis, atoms)
    np.testing.assert_allclose(rows.energy, energy_row(basis, atoms), rtol=1e-10, atol=1e-12)
    scale = np.abs(rows.forces).max(axis=(0, 1)) + 1e-3 * np.abs(rows.energy) + 1e-6

    def moved(x: float, atom: int, axis: int) -> np.ndarray:
        other = atoms.copy()
        other.positions[atom, axis] += x
        return energy_row(basis, other)

    for atom, axis in ((0, 0), (len(atoms) // 2, 1), (len(atoms) - 1, 2)):
        expected = -derivative(lambda x, a=atom, b=axis: moved(x, a, b), 3e-4)
        assert np.all(np.abs(rows.forces[atom, axis] - expected) <= tolerance * scale)

    def strained(x: float, a: int, b: int) -> np.ndarray:
        other, strain = atoms.copy(), np.eye(3)
        strain[a, b] += x / 2
        strain[b, a] += x / 2
        other.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
        return energy_row(basis, other)

    for v, (a, b) in enumerate(VOIGT):
        expected = -derivative(lambda x, i=a, j=b: strained(x, i, j), 3e-4)
        size = np.abs(rows.virial).max(axis=0) + 1e-3 * np.abs(rows.energy) + 1e-6
        assert np.all(np.abs(rows.virial[v] - expected) <= 10 * tolerance * size)


@pytest.mark.parametrize("name", SYSTEMS)
def test_rows_are_derivatives(name):
    check(*SYSTEMS[name])


@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_rows_of_every_family(family):
    check(AceBasis(elements=(11, 17), cutoff=4.6, degree=(5, 5, 4), radial=family), SALT)


@pytest.mark.parametrize("name", SYSTEMS)
def test_fused_forces_are_rows_times_coefficients(name):
    basis, atoms = SYSTEMS[name]
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=(len(basis.elements), len(basis.functions)))
    coefficients[:, rng.random(len(basis.functions)) < 0.5] = 0.0
    evaluator, rows = AceEvaluator(basis), rows_of(basis, atoms)
    pairs = neighbours(atoms.positions, atoms.cell[:], atoms.pbc, basis.max_cutoff)
    energies, out, virial = np.zeros(len(atoms)), np.zeros((len(atoms), 3)), np.zeros((3, 3))
    contraction = contract(evaluator.program, coefficients)
    species = basis.species(atoms.numbers)
    arguments = (
        pairs.first,
        pairs.index,
        pairs.vectors,
        species,
        evaluator.radials,
        evaluator.program,
        contraction,
    )
    half = len(atoms) // 2
    forces(*arguments, 0, half, energies, out, virial)  # ranges of atoms add up
    forces(*arguments, half, len(atoms), energies, out, virial)
    c = coefficients.ravel()
    assert energies.sum() == pytest.approx(rows.energy @ c, rel=1e-12)
    np.testing.assert_allclose(out, rows.forces @ c, atol=1e-11 * np.abs(rows.forces @ c).max() + 1e-12)
    voigt = [virial[a, b] for a, b in VOIGT]
    np.testing.assert_allclose(voigt, rows.virial @ c, atol=1e-11 * np.abs(rows.virial @ c).max())
    np.testing.assert_array_equal(virial, virial.T)


def test_threads_share_the_atoms_of_a_structure():
    basis, atoms = SYSTEMS["salt"]
    evaluator, frames = AceEvaluator(basis), Frames.from_atoms([atoms])
    one = evaluator.rows(frames, 0)
    for threads in (2, 3, 100):
        many = evaluator.rows(frames, 0, threads=threads)
        for name in ("energy", "forces", "virial"):
            np.testing.assert_allclose(getattr(many, name), getattr(one, name), rtol=1e-12, atol=1e-12)


def test_force_rows_add_up_to_nothing():
    basis, atoms = SYSTEMS["salt"]
    rows = rows_of(basis, atoms)
    assert np.abs(rows.forces.sum(axis=0)).max() < 1e-11 * np.abs(rows.forces).max()


def test_molecules_slabs_and_lonely_atoms_have_rows():
    basis = AceBasis(elements=(29,), cutoff=5.0, degree=(6, 6, 5), pair_degree=3)
    lonely = rows_of(basis, Atoms("Cu"))
    assert np.all(lonely.energy == 0)
    assert np.all(lonely.forces == 0)
    check(basis, rattled(fcc111("Cu", (2, 2, 3), vacuum=7.0)))
    dimer = rows_of(basis, Atoms("Cu2", positions=[[0, 0, 0], [0.3, 0.4, 2.2]]))
    np.testing.assert_allclose(dimer.forces[0], -dimer.forces[1], atol=1e-12)


def test_embedded_elements_have_no_rows():
    basis = replace(SYSTEMS["salt"][0], embedding=((1.0, 1.0),))
    with pytest.raises(InputError, match="embeds elements"):
        rows_of(basis, SALT)
