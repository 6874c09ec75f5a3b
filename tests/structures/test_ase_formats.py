"""What ASE reads arrives with its labels; what Atoms carry comes back; what ASE would guess is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength, FixCartesian
from ase.io.vasp import write_vasp_xdatcar

from aliquot.errors import FrameError, InputError
from aliquot.structures import Frames, iter_batches, load, read, write

from .conftest import assert_same


def _copper(n: int = 3) -> list[Atoms]:
    rng = np.random.default_rng(5)
    images: list[Atoms] = []
    for i in range(n):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, rng=rng)
        atoms.info.update(
            config_type="bulk", REF_energy=float(i), dipole=np.array([1.0, 2, 3]), words=["a", "b"]
        )
        atoms.arrays["REF_forces"] = rng.normal(size=(4, 3))
        atoms.arrays["born"] = rng.normal(size=(4, 3, 3))
        atoms.set_tags([1, 2, 3, 4])
        atoms.set_momenta(rng.normal(size=(4, 3)))
        atoms.set_initial_magnetic_moments(rng.normal(size=4))
        atoms.set_initial_charges(rng.normal(size=4))
        atoms.calc = EMT()
        atoms.get_potential_energy()
        atoms.get_stress()
        images.append(atoms)
    return images


def test_from_atoms_and_back() -> None:
    images = _copper()
    frames = Frames.from_atoms(images, source="memory")
    assert frames.ids_name(2) == "memory#2"
    for atoms, back in zip(images, frames.to_atoms(), strict=True):
        assert back.info["energy"] == atoms.get_potential_energy()
        assert np.array_equal(back.arrays["forces"], atoms.get_forces())
        assert np.array_equal(back.info["stress"], atoms.get_stress(voigt=False))
        for key, value in atoms.info.items():
            assert np.array_equal(back.info[key], value), key
            assert type(back.info[key]) is type(value)
        for key, value in atoms.arrays.items():
            assert np.array_equal(back.arrays[key], value), key
        assert np.array_equal(back.get_momenta(), atoms.get_momenta())
        assert np.array_equal(back.get_tags(), atoms.get_tags())
    assert_same(frames, Frames.from_atoms(frames.to_atoms()))


def test_atoms_share_nothing_with_frames(tmp_path: Path) -> None:
    images = _copper(2)
    images[0].info["odd"] = np.arange(3)
    images[1].info["odd"] = np.arange(4)
    write(tmp_path / "a.xyz", Frames.from_atoms(images))
    frames = read(tmp_path / "a.xyz")
    for atoms in frames.to_atoms():
        atoms.positions += 1.0
        atoms.info["odd"][0] = 7
        atoms.info["dipole"][0] = 7
        atoms.arrays["REF_forces"][:] = 7
    assert_same(frames, read(tmp_path / "a.xyz"))


def test_keys_that_clash_with_results_are_both_kept() -> None:
    atoms = _copper(1)[0]
    atoms.info["energy"] = 7.0
    frames = Frames.from_atoms(atoms)
    assert frames.frame_columns["energy"].values[0] == 7.0
    assert frames.frame_columns["calculator_energy"].values[0] == atoms.get_potential_energy()


@pytest.mark.parametrize(
    "constraints",
    [
        [FixAtoms([0, 2])],
        [FixCartesian([1], mask=(True, False, True))],
        [FixAtoms([0]), FixBondLength(1, 2)],
        [FixBondLength(0, 3)],
    ],
)
def test_constraints_come_back(constraints: list, tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.set_constraint(constraints)
    frames = Frames.from_atoms(atoms)
    write(tmp_path / "a.xyz", frames)
    for some in (frames, read(tmp_path / "a.xyz")):
        (back,) = some.to_atoms()
        for probe in range(4):
            moved, expected = back.copy(), atoms.copy()
            target = atoms.positions.copy()
            target[probe] += 0.3
            moved.set_positions(target)
            expected.set_positions(target)
            assert np.allclose(moved.positions, expected.positions)


def test_origin_of_the_cell_is_kept(tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.set_celldisp([0.5, 1.0, -2.0])
    for name in ("a.xyz", "a.traj", "a.db"):
        write(tmp_path / name, Frames.from_atoms(atoms))
        (back,) = read(tmp_path / name).to_atoms()
        assert back.get_celldisp().ravel().tolist() == [0.5, 1.0, -2.0]


@pytest.mark.parametrize("ending", ["traj", "db"])
def test_trajectory_and_database(ending: str, tmp_path: Path) -> None:
    images = _copper(5)
    frames = Frames.from_atoms(images)
    write(tmp_path / f"ours.{ending}", frames)
    assert_same(frames, read(tmp_path / f"ours.{ending}"))
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"ours.{ending}"]
    theirs = ase.io.read(tmp_path / f"ours.{ending}", ":")
    for one, atoms in zip(theirs, images, strict=True):
        assert np.array_equal(one.positions, atoms.positions)
        assert one.get_potential_energy() == atoms.get_potential_energy()
        assert np.array_equal(one.get_forces(), atoms.get_forces())
        assert np.array_equal(one.get_momenta(), atoms.get_momenta())
    batches = list(iter_batches(tmp_path / f"ours.{ending}", batch_frames=2))
    assert [len(b.frames) for b in batches] == [2, 2, 1]
    assert_same(frames, Frames.concatenate([b.frames for b in batches]))


def test_labels_of_ase_trajectories(tmp_path: Path) -> None:
    images = _copper(2)
    ase.io.write(tmp_path / "a.traj", images)
    frames = read(tmp_path / "a.traj")
    assert frames.energy.counts() == {"REF_energy": 2}
    assert np.array_equal(frames.frame_columns["energy"].values, [a.get_potential_energy() for a in images])
    assert np.array_equal(
        frames.atom_columns["forces"].values, np.concatenate([a.get_forces() for a in images])
    )


def test_damaged_trajectory(tmp_path: Path) -> None:
    write(tmp_path / "a.traj", Frames.from_atoms(_copper(3)))
    data = (tmp_path / "a.traj").read_bytes()
    (tmp_path / "a.traj").write_bytes(data[: len(data) // 2])
    with pytest.raises(FrameError, match="ASE cannot read it as traj"):
        read(tmp_path / "a.traj")


# --- VASP ---------------------------------------------------------------------------------------------------


def test_poscar_and_xdatcar(tmp_path: Path) -> None:
    images = _copper(3)
    for atoms in images:
        atoms.calc = None
    ase.io.write(tmp_path / "POSCAR", images[0], format="vasp")
    ase.io.write(tmp_path / "CONTCAR.relaxed", images[1], format="vasp", direct=True)
    with (tmp_path / "XDATCAR").open("w") as out:
        write_vasp_xdatcar(out, images)
    frames = read(tmp_path / "POSCAR", tmp_path / "CONTCAR.relaxed", tmp_path / "XDATCAR")
    assert len(frames) == 5
    assert [Path(f).name for f in frames.files] == ["POSCAR", "CONTCAR.relaxed", "XDATCAR"]
    assert np.allclose(frames.positions[:4], images[0].positions)
    assert np.allclose(frames[4].positions, images[2].positions, atol=1e-6)
    assert frames.frame.tolist() == [0, 0, 0, 1, 2]


def test_vasprun(tmp_path: Path) -> None:
    (tmp_path / "vasprun.xml").write_text(VASPRUN)
    frames = read(tmp_path / "vasprun.xml")
    assert frames.symbols == ("H",)
    assert frames.energy.values.tolist() == [-6.5]
    assert frames.forces.values.tolist() == [[0.0, 0.0, 0.25], [0.0, 0.0, -0.25]]
    assert frames.virial.present.tolist() == [True]
    # VASP prints the pressure in kB: virial = volume x pressure tensor
    assert np.allclose(frames.virial.values[0], 64.0 * np.diag([1.0, 2.0, 3.0]) * 0.1 * 0.0062415091)


def test_outcar(tmp_path: Path) -> None:
    (tmp_path / "OUTCAR").write_text(OUTCAR)
    frames = read(tmp_path / "OUTCAR")
    assert frames.symbols == ("H",)
    assert np.allclose(frames.forces.values, [[0.0, 0.0, 0.25], [0.0, 0.0, -0.25]])
    assert frames.energy.present.all()


def test_unfinished_vasp_runs(tmp_path: Path) -> None:
    step = OUTCAR.split("Iteration")[0], "Iteration" + OUTCAR.split("Iteration")[1]
    cut = step[1][: step[1].index("  FREE ENERGIE")]
    images = _copper(3)
    for atoms in images:
        atoms.calc = None
    with (tmp_path / "XDATCAR").open("w") as out:
        write_vasp_xdatcar(out, images)
    lines = (tmp_path / "XDATCAR").read_text().splitlines(keepends=True)
    (tmp_path / "XDATCAR").write_text("".join(lines[:-2]))
    (tmp_path / "OUTCAR").write_text(step[0] + step[1] * 2 + cut)
    (tmp_path / "vasprun.xml").write_text(VASPRUN.replace("</modeling>", "<calculation><scstep>"))
    for name, whole in (("OUTCAR", 2), ("vasprun.xml", 1), ("XDATCAR", 2)):
        with pytest.raises(FrameError):
            read(tmp_path / name)
        loaded = load(tmp_path / name, on_error="skip")
        assert loaded.frames.frame.tolist() == list(range(whole))
        assert [e.frame for e in loaded.exclusions] == [whole]


def test_a_folder_of_poscars(labelled: Callable[..., list[Atoms]], tmp_path: Path) -> None:
    images = [
        Atoms("SiOSi", [(0, 0, 0), (1.6, 0, 0), (3.2, 0, 0)], cell=[9, 9, 9], pbc=True) for _ in range(3)
    ]
    for i, atoms in enumerate(images):
        atoms.positions += 0.01 * i
        atoms.info["config_type"] = "../../evil name"
    frames = Frames.from_atoms(images)
    for place in (tmp_path / "picks", f"{tmp_path}/more.set/"):
        write(place, frames)
        names = sorted(p.name for p in Path(place).iterdir())
        assert names == ["POSCAR-0000", "POSCAR-0001", "POSCAR-0002", "POSCARS.extxyz"]
        one = read(Path(place) / "POSCAR-0001")
        assert one.numbers.tolist() == [14, 14, 8]  # grouped, as a POTCAR wants them
        assert np.allclose(one.positions, images[1].positions[[0, 2, 1]])
        assert_same(frames, read(Path(place) / "POSCARS.extxyz"))
        with pytest.raises(InputError, match="holds POSCARs"):
            write(place, frames)
        write(place, frames[:1], force=True)
        assert len(list(Path(place).iterdir())) == 2
        (Path(place) / "mine.txt").write_text("keep")
        with pytest.raises(InputError, match=r"holds 'mine.txt'"):
            write(place, frames, force=True)
    with pytest.raises(InputError, match="three lattice vectors"):
        write(tmp_path / "molecules", Frames.from_atoms(Atoms("H")))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["more.set", "picks"]


# --- LAMMPS -------------------------------------------------------------------------------------------------

SNAPSHOT = """ITEM: TIMESTEP
{step}
ITEM: NUMBER OF ATOMS
3
ITEM: BOX BOUNDS pp pp ff
0.0 8.0
0.0 9.0
-1.0 10.0
ITEM: ATOMS id type x y z fx fy fz
2 2 1.6 0.0 0.0 0.5 0.0 -0.5
1 1 0.0 0.0 {z} 1.0 2.0 3.0
3 1 3.2 0.0 0.0 -1.5 -2.0 -2.5
"""


@pytest.mark.parametrize("name", ["md.dump", "md.lammpstrj", "dump.100"])
def test_lammps_dump(name: str, text_file: Callable[..., Path]) -> None:
    path = text_file("".join(SNAPSHOT.format(step=10 * k, z=0.1 * k) for k in range(4)), name)
    with pytest.raises(InputError, match="names atom types, not elements"):
        read(path)  # ASE would call them hydrogen and helium
    frames = read(path, type_map={1: "Si", 2: "O"})
    assert frames.numbers.tolist() == [14, 8, 14] * 4
    assert np.allclose(frames.positions[::3, 2], [0.0, 0.1, 0.2, 0.3])
    assert frames.pbc.tolist() == [[True, True, False]] * 4
    assert np.allclose(frames.cells[0], np.diag([8.0, 9.0, 11.0]))
    assert frames.forces.values[0].tolist() == [1.0, 2.0, 3.0]
    assert not frames.energy.present.any()  # ASE makes up an energy of 0.0
    assert frames.frame_columns["timestep"].values.tolist() == [0, 10, 20, 30]
    with pytest.raises(InputError, match=r"atom types \[2\] are not in the type map"):
        read(path, type_map={1: "Si", 3: "O"})
    with pytest.raises(InputError, match="2=Oxygen, but there is no such element"):
        read(path, type_map={1: "Si", 2: "Oxygen"})


def test_truncated_lammps_dump(text_file: Callable[..., Path]) -> None:
    whole = SNAPSHOT.format(step=0, z=0.0)
    short = "".join(whole.splitlines(keepends=True)[:-1])
    path = text_file(whole + short + whole, "md.dump")
    with pytest.raises(FrameError, match=r"frame 1: .*3 atoms are announced, 2 follow; it is truncated"):
        read(path, type_map={1: "Si", 2: "O"})
    loaded = load(path, type_map={1: "Si", 2: "O"}, on_error="skip")
    assert loaded.frames.frame.tolist() == [0, 2]


def test_lammps_dump_with_elements(text_file: Callable[..., Path]) -> None:
    text = SNAPSHOT.format(step=0, z=0.0).replace("id type", "id element")
    for line in ("2 2", "1 1", "3 1"):
        text = text.replace(f"\n{line} ", f"\n{line[0]} {'Si' if line[2] == '1' else 'O'} ")
    assert read(text_file(text, "md.dump")).numbers.tolist() == [14, 8, 14]


DATA = """cell from somewhere

3 atoms
2 atom types
0.0 8.0 xlo xhi
0.0 9.0 ylo yhi
0.0 10.0 zlo zhi

Atoms # atomic

1 1 0.0 0.0 0.0
2 2 1.6 0.0 0.0
3 1 3.2 0.0 0.0
"""


@pytest.mark.parametrize("name", ["cell.lmp", "data.cell", "cell.data"])
def test_lammps_data(name: str, text_file: Callable[..., Path]) -> None:
    path = text_file(DATA, name)
    with pytest.raises(InputError, match="names atom types, not elements"):
        read(path)
    frames = read(path, type_map={1: "Si", 2: "O"})
    assert frames.numbers.tolist() == [14, 8, 14]
    assert np.allclose(frames.cells[0], np.diag([8.0, 9.0, 10.0]))
    with pytest.raises(InputError, match="atom type 2 is not in the type map"):
        read(path, type_map={1: "Si"})
    masses = text_file(DATA.replace("Atoms #", "Masses\n\n1 28.0855\n2 15.999\n\nAtoms #"), "masses.lmp")
    assert read(masses).numbers.tolist() == [14, 8, 14]


# --- writing ------------------------------------------------------------------------------------------------


def test_nothing_is_overwritten_or_left_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = Frames.from_atoms(_copper(2))
    for name in ("a.xyz", "a.xyz.gz", "a.traj", "a.db"):
        path = tmp_path / name
        write(path, frames)
        before = path.read_bytes()
        with pytest.raises(InputError, match=r"exists; choose another name, or force=True"):
            write(path, frames)
        write(path, frames[:1], force=True)
        assert path.read_bytes() != before
        assert path.stat().st_mode & 0o777 == 0o644 & ~_umask()
    bad = frames.with_frame_column("thing", np.array([object(), object()]))
    for name in ("b.xyz", "b.traj"):
        with pytest.raises(InputError, match=r"atoms#0.*thing"):
            write(tmp_path / name, bad)
    with pytest.raises(InputError, match="no frames to write"):
        write(tmp_path / "c.xyz", frames[:0])
    with pytest.raises(InputError, match=r"use .xyz, .extxyz"):
        write(tmp_path / "c.cif", frames)
    with pytest.raises(InputError, match="does not exist"):
        write(tmp_path / "none" / "c.xyz", frames)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.db", "a.traj", "a.xyz", "a.xyz.gz"]


def _umask() -> int:
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <kpoints><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray></kpoints>
 <parameters></parameters>
 <atominfo><atoms>2</atoms><types>1</types>
  <array name="atoms"><set><rc><c>H </c><c>1</c></rc><rc><c>H </c><c>1</c></rc></set></array>
 </atominfo>
 <structure name="initialpos"><crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v><v>0 0 0.25</v></varray></structure>
 <calculation>
  <scstep><energy><i name="e_fr_energy">-6.5</i><i name="e_wo_entrp">-6.5</i>
   <i name="e_0_energy">-6.5</i></energy></scstep>
  <structure><crystal><varray name="basis"><v>4 0 0</v><v>0 4 0</v><v>0 0 4</v></varray></crystal>
   <varray name="positions"><v>0 0 0</v><v>0 0 0.25</v></varray></structure>
  <varray name="forces"><v>0 0 0.25</v><v>0 0 -0.25</v></varray>
  <varray name="stress"><v>1 0 0</v><v>0 2 0</v><v>0 0 3</v></varray>
  <energy><i name="e_fr_energy">-6.5</i><i name="e_wo_entrp">-6.5</i><i name="e_0_energy">-6.5</i></energy>
 </calculation>
</modeling>
"""

OUTCAR = """ vasp.6.3.0
 POTCAR:    PAW_PBE H 15Jun2001
 POTCAR:    PAW_PBE H 15Jun2001
   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   number of bands    NBANDS=      4
   ions per type =               2
   ISPIN  =      1    spin polarized calculation?
 k-points in reciprocal lattice and weights: Gamma
   0.00000000  0.00000000  0.00000000       1.000
--------------------------------------- Iteration      1(   1)  ---------------------------------------
  in kB       1.00000     2.00000     3.00000     0.00000     0.00000     0.00000
      direct lattice vectors                 reciprocal lattice vectors
     4.000000000  0.000000000  0.000000000     0.250000000  0.000000000  0.000000000
     0.000000000  4.000000000  0.000000000     0.000000000  0.250000000  0.000000000
     0.000000000  0.000000000  4.000000000     0.000000000  0.000000000  0.250000000
 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         0.000000      0.000000      0.250000
      0.00000      0.00000      1.00000         0.000000      0.000000     -0.250000
 -----------------------------------------------------------------------------------
  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =        -6.50000000 eV

  energy  without entropy=       -6.50000000  energy(sigma->0) =       -6.50000000
"""
