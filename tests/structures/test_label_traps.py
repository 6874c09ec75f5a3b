"""Three ways in which labels go missing between ASE and extended XYZ; none of them here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from aliquot.errors import InputError
from aliquot.structures import Frames, LabelKeys, load, read, write


def _labelled_slab() -> Atoms:
    rng = np.random.default_rng(3)
    atoms = Atoms("Cu4", rng.random((4, 3)) + np.arange(4)[:, None] * 2.5, cell=[12, 12, 12], pbc=True)
    stress = rng.normal(size=6)
    atoms.calc = SinglePointCalculator(atoms, energy=-3.25, forces=rng.normal(size=(4, 3)), stress=stress)
    return atoms


def test_plain_labels_stay_keys(tmp_path: Path) -> None:
    """ASE moves energy, forces and stress into a calculator when it reads them; a key here is a key."""
    atoms = _labelled_slab()
    ase.io.write(tmp_path / "plain.xyz", atoms)
    theirs = ase.io.read(tmp_path / "plain.xyz")
    assert "energy" not in theirs.info  # the trap
    frames = read(tmp_path / "plain.xyz")
    assert frames.frame_columns["energy"].values[0] == -3.25
    assert np.array_equal(frames.atom_columns["forces"].values, theirs.calc.results["forces"])
    stress = frames.frame_columns["stress"].values[0]
    assert np.array_equal(stress, theirs.get_stress(voigt=False))
    assert np.allclose(frames.virial.values[0], -theirs.get_volume() * stress)
    (back,) = frames.to_atoms()
    assert back.calc is None
    assert back.info["energy"] == -3.25
    assert np.array_equal(back.arrays["forces"], theirs.calc.results["forces"])


def test_forces_of_fixed_atoms_are_kept(tmp_path: Path) -> None:
    """``get_forces()`` gives zeros for fixed atoms, so they would be learnt as zero."""
    atoms = _labelled_slab()
    forces = atoms.calc.results["forces"].copy()
    atoms.set_constraint(FixAtoms([0, 2]))
    assert not atoms.get_forces()[[0, 2]].any()  # the trap
    for name in ("fixed.xyz", "fixed.traj", "fixed.db"):
        ase.io.write(tmp_path / name, atoms)
    in_memory = Frames.from_atoms(atoms)
    assert np.array_equal(in_memory.forces.values, forces)
    for name, exact in (("fixed.xyz", False), ("fixed.traj", True), ("fixed.db", True)):
        frames = read(tmp_path / name)
        assert np.allclose(frames.forces.values, forces, atol=0 if exact else 1e-8)
        assert frames.atom_columns["move_mask"].values.tolist() == [False, True, False, True]
        (back,) = frames.to_atoms()
        assert back.constraints[0].index.tolist() == [0, 2]
        write(tmp_path / "again.xyz", frames, force=True)
        assert np.array_equal(read(tmp_path / "again.xyz").forces.values, frames.forces.values)


def test_explicit_keys_win_and_are_reported(text_file: Callable[..., Path]) -> None:
    """Where several levels of theory stand side by side the explicit key is the label, and the user is told."""

    def frame(comment: str) -> str:
        return f"1\nProperties=species:S:1:pos:R:3:forces:R:3:REF_forces:R:3 {comment}\nH 0 0 0 1 1 1 2 2 2\n"

    both, plain, dft = (
        frame("energy=1.0 REF_energy=2.0"),
        frame("energy=3.0"),
        frame("dft_energy=4.0 energy=5.0"),
    )
    loaded = load(text_file(both + plain + dft + plain))
    frames = loaded.frames
    assert frames.energy.values.tolist() == [2.0, 3.0, 4.0, 3.0]
    assert frames.energy.counts() == {"REF_energy": 1, "dft_energy": 1, "energy": 2}
    assert frames.forces.values.tolist() == [[2.0, 2.0, 2.0]] * 4
    assert frames.frame_columns["energy"].values.tolist() == [1.0, 3.0, 5.0, 3.0]
    (energy, forces) = loaded.notes
    assert energy == (
        "energy from REF_energy (1 of 4 frames), dft_energy (1 of 4 frames), energy (2 of 4 frames):"
        " 3 keys are mixed, which may be two levels of theory"
    )
    assert forces == "forces from REF_forces (4 of 4 frames)"
    mine = read(text_file(both), label_keys=LabelKeys(energy=("energy",)))
    assert mine.energy.values.tolist() == [1.0]


def test_a_missing_label_is_missing(text_file: Callable[..., Path]) -> None:
    frames = read(text_file("1\nREF_energy=-1\nH 0 0 0\n1\nname=a\nH 0 0 0\n"))
    assert frames.energy.present.tolist() == [True, False]
    assert np.isnan(frames.energy.values[1])
    assert not frames.forces.present.any()


def test_no_calculation_is_started() -> None:
    from ase.calculators.emt import EMT

    atoms = Atoms("Cu2", [(0, 0, 0), (0, 0, 2.5)])
    atoms.calc = EMT()
    assert not Frames.from_atoms(atoms).energy.present.any()
    energy = atoms.get_potential_energy()
    assert Frames.from_atoms(atoms).energy.values[0] == energy
    atoms.positions[1, 2] = 2.6  # what the calculator holds is no longer of these positions
    assert not Frames.from_atoms(atoms).energy.present.any()


def test_labels_of_the_wrong_shape_are_named() -> None:
    atoms = Atoms("H2", [(0, 0, 0), (0, 0, 1)])
    atoms.arrays["REF_forces"] = np.zeros((2, 2))
    with pytest.raises(InputError, match="label REF_forces has shape"):
        _ = Frames.from_atoms(atoms).forces
