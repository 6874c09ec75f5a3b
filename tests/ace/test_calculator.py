"""The ASE calculator, and the neighbour list that lasts for many steps."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from aliquot.ace.basis import AceBasis
from aliquot.ace.calculator import AceCalculator
from aliquot.ace.potential import AcePotential
from aliquot.ace.repulsion import Repulsion
from aliquot.ace.verlet_list import VerletList
from aliquot.errors import InputError
from aliquot.structures import Frames
from aliquot.structures.neighbours import Neighbours, neighbours


def random_potential(*elements: int, cutoff: float = 4.0, size: float = 0.5) -> AcePotential:
    """Weak many-body part on a firm core: dynamics that stay together."""
    basis = AceBasis(elements=tuple(sorted(elements)), cutoff=cutoff, degree=(5, 5, 4))
    n = len(elements)
    draws = np.random.default_rng(3).normal(size=(n, len(basis.functions)))
    return AcePotential(
        basis, size * draws / basis.prior, -np.arange(1.0, n + 1), Repulsion.zbl(basis.elements, basis.r0)
    )


SILICON = random_potential(14)


def hot(atoms: Atoms, kelvin: float, seed: int = 1) -> Atoms:
    """With Maxwell–Boltzmann velocities."""
    draws = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    atoms.set_momenta(draws * np.sqrt(units.kB * kelvin * atoms.get_masses())[:, None])
    return atoms


def as_set(pairs: Neighbours) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs in one order: centre, neighbour, vector."""
    centre = np.repeat(np.arange(len(pairs.first) - 1), np.diff(pairs.first))
    rounded = np.round(pairs.vectors, 6)
    order = np.lexsort((*rounded.T[::-1], pairs.index, centre))
    return centre[order], pairs.index[order], pairs.vectors[order]


def check_same(found: Neighbours, expected: Neighbours) -> None:
    for a, b in zip(as_set(found), as_set(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


# --- the neighbour list -------------------------------------------------------------------------------------


STRUCTURES = {
    "crystal": bulk("Si", cubic=True) * (2, 2, 2),
    "one atom, cutoff beyond the cell": bulk("Cu"),
    "triclinic, left-handed": Atoms(
        "Si3",
        cell=[[0.3, 5.0, 0.2], [4.5, 0.1, 1.0], [0.5, 1.5, 6.0]],
        scaled_positions=[[0, 0, 0], [0.4, 0.3, 0.6], [1.7, -2.2, 5.1]],
        pbc=True,
    ),
    "slab": fcc111("Al", (2, 2, 3), vacuum=6.0),
    "wire without a cell across": Atoms("Si2", [[0, 0, 0], [1, 1, 2.2]], cell=[0, 0, 4.1], pbc=(0, 0, 1)),
    "molecule": molecule("CH3CH2OH"),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_list_follows_a_random_walk(name):
    """Atoms wander through many cells, are put back at times, and the cell breathes."""
    atoms, rng = STRUCTURES[name].copy(), np.random.default_rng(8)
    rows, drift = atoms.pbc[:, None], np.array([0.04, -0.03, 0.02])
    pairs = VerletList(4.2, skin=0.6)
    fresh = VerletList(4.2, skin=0.0)
    for step in range(100):
        atoms.positions += rng.normal(scale=0.02, size=(len(atoms), 3)) + drift
        if step % 7 == 3:
            atoms.wrap()
        if step % 5 == 2:
            strain = np.eye(3) + rng.normal(scale=0.004, size=(3, 3))
            atoms.set_cell(
                np.where(rows, atoms.cell[:] @ strain, atoms.cell[:]), scale_atoms=bool(rows.all())
            )
        expected = neighbours(atoms.positions, np.where(rows, atoms.cell[:], 0.0), atoms.pbc, 4.2)
        check_same(pairs.update(atoms.positions, atoms.cell[:], atoms.pbc), expected)
        check_same(fresh.update(atoms.positions, atoms.cell[:], atoms.pbc), expected)
    assert fresh.searches == 100
    assert 2 <= pairs.searches <= 40


def test_list_is_kept_exactly_while_it_serves():
    positions = np.array([[0.0, 0, 0], [0, 0, 3.49]])
    pairs, cell, free = VerletList(3.0, skin=0.5), np.zeros((3, 3)), np.zeros(3, bool)
    assert len(pairs.update(positions, cell, free).index) == 0
    for step, searches in ((0.249, 1), (0.251, 2)):
        # both move towards each other by the step
        found = pairs.update(positions + np.array([[0, 0, step], [0, 0, -step]]), cell, free)
        assert len(found.index) == 2
        assert pairs.searches == searches


def test_breathing_cell_needs_no_search_until_it_shrinks_by_the_skin():
    atoms = bulk("Si", cubic=True) * (2, 2, 2)
    pairs = VerletList(5.0, skin=0.5)
    for scale, searches in ((1.0, 1), (1.05, 1), (0.92, 1), (0.90, 2)):  # 5.0 / 5.5 = 0.909
        cell = atoms.cell[:] * scale
        found = pairs.update(atoms.positions * scale, cell, atoms.pbc)
        check_same(found, neighbours(atoms.positions * scale, cell, atoms.pbc, 5.0))
        assert pairs.searches == searches


def test_another_structure_is_searched():
    pairs = VerletList(4.0)
    for atoms in (*STRUCTURES.values(), *STRUCTURES.values()):
        expected = neighbours(
            atoms.positions, np.where(atoms.pbc[:, None], atoms.cell[:], 0.0), atoms.pbc, 4.0
        )
        check_same(pairs.update(atoms.positions, atoms.cell[:], atoms.pbc), expected)
    assert pairs.searches == 2 * len(STRUCTURES)
    # the same places, periodic and not
    atoms = bulk("Si", cubic=True)
    assert len(pairs.update(atoms.positions, atoms.cell[:], [1, 1, 0]).index) < len(
        pairs.update(atoms.positions, atoms.cell[:], [1, 1, 1]).index
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0.0,), "cutoff must be"), ((np.inf,), "cutoff must be"), ((3.0, -0.1), "skin must be")],
)
def test_list_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        VerletList(*arguments)


# --- the calculator -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pbc", [(1, 1, 1), (1, 1, 0), (0, 1, 0), (0, 0, 0)])
def test_results_are_those_of_the_potential(pbc):
    atoms = bulk("Si", cubic=True)
    atoms.pbc = pbc
    atoms.rattle(0.1, seed=4)
    expected = SILICON(Frames.from_atoms([atoms]))
    atoms.calc = AceCalculator(SILICON)
    assert atoms.get_potential_energy() == pytest.approx(expected.energy, rel=1e-13)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_potential_energies(), expected.energies, rtol=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-12)
    stress = atoms.get_stress(voigt=False)
    np.testing.assert_allclose(stress, -expected.virial / atoms.get_volume(), atol=1e-13)


def test_stress_is_the_derivative_of_the_energy_by_strain():
    atoms = bulk("Si") * (2, 1, 1)
    atoms.rattle(0.1, seed=4)
    atoms.calc = AceCalculator(SILICON)
    found, h = atoms.get_stress(voigt=False), 1e-5
    for a in range(3):
        for b in range(a, 3):
            energies = []
            for side in (h, -h):
                strain, other = np.eye(3), atoms.copy()
                strain[a, b] += side / 2
                strain[b, a] += side / 2
                other.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
                other.calc = atoms.calc
                energies.append(other.get_potential_energy())
            expected = (energies[0] - energies[1]) / (2 * h) / atoms.get_volume()
            assert found[a, b] == pytest.approx(expected, abs=1e-8)


def test_structures_without_volume_have_no_stress():
    atoms = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 2.3]])
    atoms.calc = AceCalculator(SILICON)
    assert atoms.get_forces().any()
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()


def test_no_atoms():
    atoms = Atoms()
    atoms.calc = AceCalculator(SILICON)
    assert atoms.get_potential_energy() == 0.0
    assert atoms.get_forces().shape == (0, 3)


def trajectory(skin: float, steps: int) -> tuple[np.ndarray, int, Atoms]:
    """Energy and forces along a hot trajectory whose atoms cross the cell, and are put back at times."""
    atoms = hot(bulk("Si", cubic=True) * (2, 1, 1), 1500.0)
    atoms.set_momenta(atoms.get_momenta() + atoms.get_masses()[:, None] * [0.3, 0.2, -0.1])
    atoms.calc = AceCalculator(SILICON, skin=skin)
    dynamics = VelocityVerlet(atoms, 2.0 * units.fs)
    seen = []
    for step in range(steps):
        dynamics.run(1)
        if step % 20 == 19:
            atoms.wrap()
        seen.append([atoms.get_potential_energy(), *atoms.get_forces().ravel(), *atoms.get_stress()])
    return np.array(seen), atoms.calc.neighbours.searches, atoms


def test_reuse_changes_nothing_along_a_trajectory():
    with_skin, searches, atoms = trajectory(0.6, 120)
    without, every, _ = trajectory(0.0, 120)
    np.testing.assert_allclose(with_skin, without, rtol=1e-8, atol=1e-9)  # rounding grows along a trajectory
    assert every >= 120
    assert searches < every / 2.5
    # at the end, bit by bit the same positions: only the order of sums may differ
    fresh = AceCalculator(SILICON, skin=0.0)
    np.testing.assert_allclose(fresh.get_forces(atoms), atoms.get_forces(), atol=1e-12)


def test_energy_is_conserved():
    """What the integrator loses falls with the square of the time step: forces are the derivative of the energy."""
    spread = []
    for fs in (0.5, 0.25):
        atoms = hot(bulk("Si", cubic=True), 600.0)
        atoms.rattle(0.02, seed=1)
        atoms.calc = AceCalculator(SILICON)
        dynamics, energies = VelocityVerlet(atoms, fs * units.fs), []
        for _ in range(40):
            dynamics.run(round(2 / fs))
            energies.append(atoms.get_total_energy())
        assert atoms.get_kinetic_energy() > 0.1
        spread.append(np.ptp(energies) / len(atoms))
    assert spread[0] < 3e-4
    assert spread[0] / spread[1] == pytest.approx(4.0, rel=0.15)


def test_relaxation_finds_zero_forces():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=6)
    atoms.calc = AceCalculator(SILICON)
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=200)
    assert np.abs(atoms.get_forces()).max() < 1e-4


def test_ten_thousand_atoms_move():
    atoms = hot(bulk("Si", cubic=True) * (11, 11, 11), 300.0)
    atoms.calc = AceCalculator(SILICON)
    before = atoms.get_total_energy()
    VelocityVerlet(atoms, 1.0 * units.fs).run(3)
    assert len(atoms) == 10648
    assert atoms.get_total_energy() == pytest.approx(before, abs=1e-5 * len(atoms))
    assert atoms.calc.neighbours.searches == 1


def test_elements_may_change_in_place():
    potential = random_potential(13, 14)
    atoms = bulk("Si", cubic=True)
    atoms.calc = AceCalculator(potential)
    atoms.get_potential_energy()
    atoms.symbols[3] = "Al"
    expected = potential(Frames.from_atoms([atoms])).energy
    assert atoms.get_potential_energy() == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("SiC", positions=[[0, 0, 0], [0, 0, 2]]), "atomic number 6"),
        (Atoms("Si2", positions=[[0, 0, 0], [0, 0, np.nan]]), "position of atom 1"),
        (Atoms("Si2", positions=[[0, 0, 0], [0, 0, 0]]), "atoms 0 and 1 are 0 Å apart"),
        (Atoms("Si", pbc=True), "do not span a cell"),
        (Atoms("Si", cell=[[3, 0, 0], [6, 0, 0], [0, 0, 3]], pbc=True), "do not span a cell"),
        (Atoms("Si", cell=[3, 3, np.inf], pbc=True), "finite numbers"),
    ],
)
def test_bad_structures_are_refused(atoms, message):
    atoms.calc = AceCalculator(SILICON)
    with pytest.raises(InputError, match=message):
        atoms.get_potential_energy()


def test_nothing_to_evaluate():
    with pytest.raises(InputError, match="no structure"):
        AceCalculator(SILICON).calculate()
