"""Jobs go out once each; what comes back is matched by id, put in order, and refused when it is something else."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read as ase_read

from aliquot.errors import InputError
from aliquot.oracle import collect_jobs, label, write_jobs
from aliquot.structures import Frames

PARAMETERS = {
    "espresso": {
        "system": {"ecutwfc": 40.0, "occupations": "smearing", "degauss": 0.01},
        "electrons": {"conv_thr": 1e-8},
        "pseudopotentials": {"Cu": "Cu.upf", "Al": "Al.upf", "Ni": "Ni.upf"},
        "kspacing": 0.2,
    },
    "vasp": {"xc": "pbe", "encut": 400.0, "ediff": 1e-6, "kpts": [2, 2, 2], "gamma": True},
}


@pytest.fixture
def alloys():
    """Cells whose elements alternate, so that every code that groups them puts atoms in another order."""
    rng = np.random.default_rng(3)
    images = []
    for symbols in ("CuAlCuAl", "AlNiCuNi", "CuCuCuCu", "NiAlAlNi"):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols = symbols
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.1, size=(4, 3))
        atoms.positions[1] -= 2 * atoms.cell[0]  # outside the cell
        images.append(atoms)
    return Frames.from_atoms(images, source="alloys")


def jobs_of(folder):
    return sorted(p.parent for p in folder.rglob("structure.json"))


@pytest.mark.parametrize(
    ("template", "output", "digits"),
    [("espresso", "espresso", 1e-5), ("vasp", "vasprun", 1e-7), ("vasp", "outcar", 1e-4)],
)
def test_there_and_back(tmp_path, alloys, codes, template, output, digits):
    folder = tmp_path / "jobs"
    assert write_jobs(alloys, folder, template=template, parameters=PARAMETERS[template]).written == 4
    for job in jobs_of(folder):
        codes[output](job)
    found = collect_jobs(alloys, folder)
    assert found.unlabelled == ()
    expected = label(alloys, EMT, folder=tmp_path / "labels").frames
    assert np.allclose(found.frames.energy.values, expected.energy.values, atol=digits)
    assert np.allclose(found.frames.forces.values, expected.forces.values, atol=10 * digits)
    assert np.allclose(
        found.frames.virial.values, expected.virial.values, atol=1e-2 if output == "espresso" else 1e-3
    )
    assert set(found.frames.frame_columns["aliquot_oracle"].values) == {template}


def test_inputs_are_the_structures(tmp_path, alloys):
    for template, name, kind in (("espresso", "espresso.pwi", "espresso-in"), ("vasp", "POSCAR", "vasp")):
        write_jobs(alloys, tmp_path / template, template=template, parameters=PARAMETERS[template])
        for job in jobs_of(tmp_path / template):
            sent = json.loads((job / "structure.json").read_text())
            order = sent["order"]
            atoms = ase_read(job / name, format=kind)
            assert atoms.numbers.tolist() == [sent["numbers"][k] for k in order]
            away = (atoms.positions - np.array(sent["positions"])[order]) @ np.linalg.inv(sent["cell"])
            assert np.allclose(away, np.round(away), atol=1e-8)
            assert np.allclose(atoms.cell, sent["cell"], atol=1e-10)
            assert len(set(np.flatnonzero(np.diff(atoms.numbers)))) == len(set(atoms.numbers)) - 1
    text = (job / "INCAR").read_text()
    assert "ENCUT = 400" in text
    assert "NSW = 0" in text
    assert "tprnfor          = .true." in (jobs_of(tmp_path / "espresso")[0] / "espresso.pwi").read_text()


def test_energy_that_fits_the_forces_unless_asked_otherwise(tmp_path, alloys, codes):
    write_jobs(alloys[:1], tmp_path, template="vasp")
    codes["vasprun"](jobs_of(tmp_path)[0], smearing=0.25)
    free, zero = (
        collect_jobs(alloys[:1], tmp_path, energy=kind).frames for kind in ("free_energy", "energy")
    )
    assert zero.energy.values[0] - free.energy.values[0] == pytest.approx(0.25)
    assert free.frame_columns["aliquot_energy_kind"].values.tolist() == ["free_energy"]


def test_folders_may_be_renamed_and_frames_shuffled(tmp_path, alloys, codes):
    folder = tmp_path / "jobs"
    write_jobs(alloys, folder, template="vasp")
    for k, job in enumerate(jobs_of(folder)):
        codes["vasprun"](job)
        (folder / "batch").mkdir(exist_ok=True)
        job.rename(folder / "batch" / f"{9 - k}")
    shuffled = alloys[[2, 0, 3, 1]]
    found, straight = collect_jobs(shuffled, folder).frames, collect_jobs(alloys, folder).frames
    assert np.array_equal(found.energy.values, straight.energy.values[[2, 0, 3, 1]])


def test_output_of_another_structure_is_refused(tmp_path, alloys, codes):
    write_jobs(alloys, tmp_path, template="espresso", parameters=PARAMETERS["espresso"])
    jobs = jobs_of(tmp_path)
    for job in jobs:
        codes["espresso"](job)
    one, other = (job / "espresso.pwo" for job in jobs[:2])
    kept = one.read_text()
    one.write_text(other.read_text())
    other.write_text(kept)
    found = collect_jobs(alloys, tmp_path)
    assert sorted(u.key for u in found.unlabelled) == [job.name for job in jobs[:2]]
    assert all(u.kind == "failed" and "another structure" in u.reason for u in found.unlabelled)
    assert len(found.frames) == 2


def test_atoms_that_moved_and_other_cells_are_refused(tmp_path, alloys, codes):
    write_jobs(alloys[:2], tmp_path, template="espresso", parameters=PARAMETERS["espresso"])
    first, second = jobs_of(tmp_path)
    codes["espresso"](first, shift=0.01)
    codes["espresso"](second)
    text = (second / "espresso.pwo").read_text()
    (second / "espresso.pwo").write_text(text.replace("celldm(1)=  10.000000", "celldm(1)=  10.010000"))
    reasons = {u.key: u.reason for u in collect_jobs(alloys[:2], tmp_path).unlabelled}
    assert "0.0173 Å from where it was sent" in reasons[first.name]
    assert "its cell differs by" in reasons[second.name]


def test_whole_lattice_vectors_do_not_matter(tmp_path, alloys, codes):
    write_jobs(alloys[:1], tmp_path, template="vasp")
    codes["vasprun"](jobs_of(tmp_path)[0], shift=1.0)
    assert len(collect_jobs(alloys[:1], tmp_path).frames) == 1


@pytest.mark.parametrize(
    ("template", "output", "how", "kind", "says"),
    [
        ("espresso", None, {}, "pending", "no output yet"),
        ("espresso", "espresso", {"done": False}, "pending", "not complete"),
        ("espresso", "espresso", {"converged": False}, "failed", "convergence was not achieved"),
        ("vasp", None, {}, "pending", "no output yet"),
        ("vasp", "vasprun", {"done": False}, "pending", "not complete"),
        ("vasp", "vasprun", {"steps": 60}, "quarantined", "did not converge"),
        ("vasp", "outcar", {"converged": False}, "quarantined", "did not converge"),
    ],
)
def test_what_is_not_there_yet_or_went_wrong(tmp_path, alloys, codes, template, output, how, kind, says):
    write_jobs(alloys[:1], tmp_path, template=template, parameters=PARAMETERS[template])
    if output is not None:
        codes[output](jobs_of(tmp_path)[0], **how)
    (lost,) = collect_jobs(alloys[:1], tmp_path).unlabelled
    assert lost.kind == kind
    assert says in lost.reason


def test_rubbish_is_told(tmp_path, alloys):
    write_jobs(alloys[:1], tmp_path, template="espresso", parameters=PARAMETERS["espresso"])
    (jobs_of(tmp_path)[0] / "espresso.pwo").write_text(
        "     Program PWSCF\n !    total energy = x Ry\nJOB DONE.\n"
    )
    (lost,) = collect_jobs(alloys[:1], tmp_path).unlabelled
    assert lost.kind == "failed"
    assert "cannot be read" in lost.reason
    (jobs_of(tmp_path)[0] / "espresso.pwo").write_text(
        "     Error in routine readpp (1):\n     file Cu.upf not found\n"
    )
    assert "file Cu.upf not found" in collect_jobs(alloys[:1], tmp_path).unlabelled[0].reason


def test_frames_without_a_job_are_pending(tmp_path, alloys, codes):
    write_jobs(alloys[:2], tmp_path, template="vasp")
    for job in jobs_of(tmp_path):
        codes["vasprun"](job)
    found = collect_jobs(alloys, tmp_path)
    assert [u.kind for u in found.unlabelled] == ["pending", "pending"]
    assert found.index.tolist() == [0, 1]


def test_two_answers_for_one_structure_are_refused(tmp_path, alloys, codes):
    write_jobs(alloys[:1], tmp_path, template="vasp")
    (job,) = jobs_of(tmp_path)
    codes["vasprun"](job)
    shutil.copytree(job, tmp_path / "copy")
    with pytest.raises(InputError, match="answer for one structure"):
        collect_jobs(alloys[:1], tmp_path)


def test_written_once_and_added_to(tmp_path, alloys):
    settings = {"template": "vasp", "parameters": PARAMETERS["vasp"]}
    write_jobs(alloys[:2], tmp_path / "jobs", **settings)
    marks = {p: (p / "INCAR").stat().st_mtime_ns for p in jobs_of(tmp_path / "jobs")}
    more = write_jobs(alloys, tmp_path / "jobs", **settings)
    assert (more.written, more.kept) == (2, 2)
    assert all((p / "INCAR").stat().st_mtime_ns == mark for p, mark in marks.items())
    listed = (tmp_path / "jobs" / "jobs.txt").read_text().split()
    assert listed == [p.name for p in jobs_of(tmp_path / "jobs")]
    with pytest.raises(InputError, match="other parameters"):
        write_jobs(alloys, tmp_path / "jobs", template="vasp", parameters={"encut": 500.0})


def test_files_script_and_potcars(tmp_path, alloys):
    for name in ("Cu", "Al", "Ni"):
        (tmp_path / f"POTCAR.{name}").write_text(f"PAW {name}\n")
    (tmp_path / "vdw_kernel.bindat").write_bytes(b"\x00\x01")
    written = write_jobs(
        alloys,
        tmp_path / "jobs",
        template="vasp",
        parameters={"potcars": {n: str(tmp_path / f"POTCAR.{n}") for n in ("Cu", "Al", "Ni")}},
        files=[tmp_path / "vdw_kernel.bindat"],
        script="#!/bin/bash\n#SBATCH --job-name={{formula}}-{{n_atoms}}\necho {{id}} > ran\n",
    )
    assert written.notes == ()
    for job in jobs_of(tmp_path / "jobs"):
        order = (job / "POSCAR").read_text().split("\n")[5].split()
        assert (job / "POTCAR").read_text() == "".join(f"PAW {name}\n" for name in order)
        assert (job / "vdw_kernel.bindat").read_bytes() == b"\x00\x01"
        subprocess.run(["./run.sh"], cwd=job, check=True)
        assert (job / "ran").read_text().strip() == job.name
    (tmp_path / "POTCAR.Cu").write_text("PAW Cu, another\n")
    with pytest.raises(InputError, match="other parameters"):
        write_jobs(
            alloys,
            tmp_path / "jobs",
            template="vasp",
            parameters={"potcars": {n: str(tmp_path / f"POTCAR.{n}") for n in ("Cu", "Al", "Ni")}},
            files=[tmp_path / "vdw_kernel.bindat"],
        )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"template": "abinit"}, "there are espresso, vasp"),
        ({"template": "espresso"}, "no pseudopotential for Al, Cu"),
        (
            {"template": "vasp", "parameters": {"potcars": {"Cu": "nowhere"}}},
            "no POTCAR for Cu: nowhere does not exist",
        ),
        ({"template": "vasp", "parameters": {"encut": {"a": 1}}}, "does not take these VASP parameters"),
        ({"template": "vasp", "files": ["nowhere"]}, "nowhere is not a file"),
        ({"template": "vasp", "script": "{{nodes}}"}, "asks for {{nodes}}"),
    ],
)
def test_bad_requests_leave_no_jobs(tmp_path, alloys, settings, says):
    with pytest.raises(InputError, match=says):
        write_jobs(alloys, tmp_path / "jobs", **settings)
    assert not list((tmp_path / "jobs").rglob("structure.json"))


def test_bad_places(tmp_path, alloys):
    with pytest.raises(InputError, match="no cell that spans a volume"):
        write_jobs(Frames.from_atoms([Atoms("Cu")], source="free"), tmp_path / "jobs", template="vasp")
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="holds other things"):
        write_jobs(alloys, tmp_path, template="vasp")
    with pytest.raises(InputError, match="jobs cannot be written to"):
        write_jobs(alloys, tmp_path / "thesis.tex" / "jobs", template="vasp")
    with pytest.raises(InputError, match="holds no jobs"):
        collect_jobs(alloys, tmp_path)


WRITE = """
import sys
from aliquot.oracle import write_jobs
from aliquot.structures import read
print("begin", flush=True)
write_jobs(read(sys.argv[1]), sys.argv[2], template="vasp")
"""


def test_killed_while_writing(tmp_path, coppers):
    from aliquot.structures import write

    frames = coppers(60)
    write(tmp_path / "pool.xyz", frames)
    moments = random.Random(1)
    for _ in range(3):
        words = [sys.executable, "-c", WRITE, str(tmp_path / "pool.xyz"), str(tmp_path / "jobs")]
        running = subprocess.Popen(words, stdout=subprocess.PIPE, env=dict(os.environ))
        running.stdout.readline()
        try:
            running.wait(moments.uniform(0.0, 0.15))
        except subprocess.TimeoutExpired:
            running.kill()
        running.communicate()
        for job in jobs_of(tmp_path / "jobs"):
            if not job.name.startswith("."):
                assert sorted(p.name for p in job.iterdir()) == [
                    "INCAR",
                    "KPOINTS",
                    "POSCAR",
                    "run.sh",
                    "structure.json",
                ]
    done = write_jobs(frames, tmp_path / "jobs", template="vasp")
    assert done.written + done.kept == 60
    assert len(jobs_of(tmp_path / "jobs")) == 60
    assert not list((tmp_path / "jobs").glob(".job-*"))
