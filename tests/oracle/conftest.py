"""Calculators that log every call and misbehave on request, in a module that other processes can import."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aliquot.structures import Frames

MODULE = '''
import json, os, signal, time
from pathlib import Path

import numpy as np
from ase.calculators.emt import EMT

LOG = Path(__file__).with_name("calls.log")
PLAN = Path(__file__).with_name("plan.json")


class Logged(EMT):
    """EMT that writes down when it begins and ends, and does what the plan says for a cell length."""

    pause = 0.0

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        name = f"{atoms.cell.lengths()[0]:.4f}"
        with LOG.open("a") as log:
            log.write(f"begin {name}\\n")
        what = json.loads(PLAN.read_text()).get(name) if PLAN.exists() else None
        time.sleep(self.pause)
        if what == "hang":
            time.sleep(1000)
        elif what == "spawn and hang":
            import subprocess
            child = subprocess.Popen(["sleep", "1000"])
            LOG.with_name("grandchild").write_text(str(child.pid))
            child.wait()
        elif what == "crash":
            os.write(2, b"the library says goodbye\\n")
            os.kill(os.getpid(), signal.SIGSEGV)
        elif what == "exit":
            os._exit(3)
        elif what == "raise":
            raise RuntimeError("no memory for wave functions")
        elif what == "print":
            os.write(1, b"chatter on the standard output\\n" * 1000)
        elif what == "once" and LOG.read_text().count(f"begin {name}") < 2:
            raise RuntimeError("not the first time")
        super().calculate(atoms, properties, system_changes)
        self.converged = what != "unconverged"
        if what == "nan":
            self.results["forces"][1, 2] = np.nan
        elif what == "no energy":
            self.results["energy"] = self.results["free_energy"] = float("nan")
        elif what == "large force":
            self.results["forces"] = self.results["forces"] + 1000.0
        elif what == "far":
            self.results["energy"] = self.results["free_energy"] = 1e4
        elif what == "shape":
            self.results["forces"] = np.zeros((1, 3))
        with LOG.open("a") as log:
            log.write(f"end {name}\\n")


class Slow(Logged):
    pause = 0.03


class Broken(EMT):
    def __init__(self):
        raise OSError("no licence")
'''


@pytest.fixture
def oracles(tmp_path, monkeypatch):
    """The folder of a module ``oracles_for_tests``, with its log."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "oracles_for_tests.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("oracles_for_tests", None)
    yield folder
    sys.modules.pop("oracles_for_tests", None)


@pytest.fixture
def coppers():
    """Copper cells of four atoms, told apart by their first edge: 3.5000, 3.5100, …"""

    def make(n: int) -> Frames:
        rng = np.random.default_rng(0)
        images = []
        for i in range(n):
            atoms = bulk("Cu", a=3.5, cubic=True)
            atoms.set_cell(np.diag([3.5 + 0.01 * i, 3.6, 3.6]), scale_atoms=True)
            atoms.positions += rng.normal(scale=0.02, size=(4, 3))
            atoms.info["energy"] = 123.0  # of another method
            images.append(atoms)
        return Frames.from_atoms(images, source="coppers")

    return make


@pytest.fixture
def calls():
    """How often each structure was begun or ended, by the log in a folder."""

    def count(folder: Path, word: str = "begin") -> Counter[str]:
        log = folder / "calls.log"
        lines = log.read_text().split("\n") if log.exists() else []
        return Counter(line.split()[1] for line in lines if line.startswith(word))

    return count


# --- what codes write, with the numbers of EMT --------------------------------------------------------------

RY, BOHR, KBAR = 13.605693122994, 0.529177210903, 6.241509074e-4  # eV, Å, eV/Å³


def computed(folder: Path):
    """The structure of a job's input, as its code reads it, and EMT's energy, forces and stress for it."""
    from ase.calculators.emt import EMT
    from ase.io import read

    path, kind = (
        (folder / "POSCAR", "vasp")
        if (folder / "POSCAR").exists()
        else (folder / "espresso.pwi", "espresso-in")
    )
    atoms = read(path, format=kind)
    atoms.calc = EMT()
    return atoms, atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)


def pw_output(folder: Path, *, shift=0.0, converged=True, done=True) -> None:
    """``espresso.pwo`` in the form of pw.x 7."""
    atoms, energy, forces, stress = computed(folder)
    alat = 10.0  # Bohr; anything
    unit = alat * BOHR
    lines = [
        "     Program PWSCF v.7.2 starts on 21Nov2026 at  9: 0: 0",
        f"     lattice parameter (alat)  = {alat:11.4f}  a.u.",
        f"     unit-cell volume          = {atoms.get_volume() / BOHR**3:11.4f} (a.u.)^3",
        f"     number of atoms/cell      = {len(atoms):12d}",
        f"     number of atomic types    = {len(set(atoms.symbols)):12d}",
        f"     celldm(1)= {alat:10.6f}  celldm(2)=   0.000000  celldm(3)=   0.000000",
        "     crystal axes: (cart. coord. in units of alat)",
    ]
    lines += [
        f"               a({k + 1}) = ( {a[0]:10.6f} {a[1]:10.6f} {a[2]:10.6f} )  "
        for k, a in enumerate(atoms.cell / unit)
    ]
    lines += ["   Cartesian axes", "", "     site n.     atom                  positions (alat units)"]
    lines += [
        f"     {k + 1:5d}        {s:>4s}    tau({k + 1:4d}) = ( {x:11.7f} {y:11.7f} {z:11.7f}  )"
        for k, (s, (x, y, z)) in enumerate(zip(atoms.symbols, (atoms.positions + shift) / unit, strict=True))
    ]
    lines += [
        "     number of k points=     1",
        "                       cart. coord. in units 2pi/alat",
        "        k(    1) = (   0.0000000   0.0000000   0.0000000), wk =   2.0000000",
    ]
    if not converged:
        lines += ["     convergence NOT achieved after 100 iterations: stopping"]
    else:
        lines += [
            "     End of self-consistent calculation",
            "",
            "          k = 0.0000 0.0000 0.0000 (   283 PWs)   bands (ev):",
            "",
            "    -5.8099   6.2549   6.2549   6.2549",
            "",
            "     the Fermi energy is     6.3000 ev",
            "",
            f"!    total energy              = {energy / RY:16.8f} Ry",
            "     convergence has been achieved in   9 iterations",
            "     Forces acting on atoms (cartesian axes, Ry/au):",
            "",
        ]
        lines += [
            f"     atom {k + 1:4d} type  1   force = {f[0]:13.8f} {f[1]:13.8f} {f[2]:13.8f}"
            for k, f in enumerate(forces / (RY / BOHR))
        ]
        pressure = -stress / (RY / BOHR**3)
        lines += ["", "          total   stress  (Ry/bohr**3)                   (kbar)     P=        1.00"]
        lines += [f"  {r[0]:12.8f} {r[1]:12.8f} {r[2]:12.8f}         1.00  0.00  0.00" for r in pressure]
    if done:
        lines += ["   JOB DONE."]
    (folder / "espresso.pwo").write_text("\n".join(lines) + "\n")


def vasprun(folder: Path, *, steps=12, shift=0.0, done=True, smearing=0.25) -> None:
    """``vasprun.xml`` in the form of VASP 6; the free energy lies below the extrapolated one."""
    atoms, energy, forces, stress = computed(folder)

    def rows(name, values):
        inner = "".join(f"<v>{a[0]:16.8f} {a[1]:16.8f} {a[2]:16.8f}</v>" for a in values)
        return f'<varray name="{name}">{inner}</varray>'

    kinds = list(dict.fromkeys(atoms.symbols))
    listed = "".join(f"<rc><c>{s}</c><c>{kinds.index(s) + 1}</c></rc>" for s in atoms.symbols)
    scaled = atoms.get_scaled_positions() + np.array([shift, 0, 0])
    place = f"<crystal>{rows('basis', atoms.cell)}</crystal>{rows('positions', scaled)}"
    energies = (
        f'<i name="e_fr_energy">{energy:16.8f}</i><i name="e_wo_entrp">0.0</i>'
        f'<i name="e_0_energy">{energy + smearing:16.8f}</i>'
    )
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><modeling>'
        '<kpoints><varray name="kpointlist"><v>0.0 0.0 0.0</v></varray>'
        '<varray name="weights"><v>1.0</v></varray></kpoints>'
        '<parameters><separator name="electronic"><i type="int" name="NELM">60</i></separator></parameters>'
        f"<atominfo><atoms>{len(atoms)}</atoms><types>{len(kinds)}</types>"
        f'<array name="atoms"><set>{listed}</set></array></atominfo>'
        f'<structure name="initialpos">{place}</structure>'
        f"<calculation>{f'<scstep><energy>{energies}</energy></scstep>' * steps}<structure>{place}</structure>"
        f"{rows('forces', forces)}{rows('stress', -stress / KBAR)}<energy>{energies}</energy></calculation>"
    )
    (folder / "vasprun.xml").write_text(text + ("</modeling>" if done else ""))


def outcar(folder: Path, *, converged=True) -> None:
    """``OUTCAR`` in the form of VASP 6."""
    atoms, energy, forces, stress = computed(folder)
    kinds = list(dict.fromkeys(atoms.symbols))
    ended = "because EDIFF is reached" if converged else "EDIFF was not reached (unconverged)"
    lines = [f" POTCAR:    PAW_PBE {s} 01Jan2000" for s in [*kinds, *kinds]]
    lines += [
        "   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   number of bands    NBANDS=     16",
        "   ions per type =     " + " ".join(f"{list(atoms.symbols).count(s):6d}" for s in kinds),
        "   ISPIN  =      1    spin polarized calculation?",
        " k-points in reciprocal lattice and weights: gamma",
        "   0.00000000  0.00000000  0.00000000       1.000",
        "",
        "--------------------------------------- Iteration      1(   1)  ---------------------------------------",
        f"------------------------ aborting loop {ended} ----",
        "      direct lattice vectors                 reciprocal lattice vectors",
    ]
    lines += [f"  {a[0]:13.9f}{a[1]:13.9f}{a[2]:13.9f}     0.0 0.0 0.0" for a in atoms.cell]
    p = -stress / KBAR
    order = [p[0, 0], p[1, 1], p[2, 2], p[0, 1], p[1, 2], p[0, 2]]
    lines += [
        "  in kB   " + " ".join(f"{v:11.5f}" for v in order),
        " POSITION                                       TOTAL-FORCE (eV/Angst)",
        " -----------------------------------------------------------------------------------",
    ]
    lines += [
        " ".join(f"{v:12.5f}" for v in x) + "    " + " ".join(f"{v:13.6f}" for v in f)
        for x, f in zip(atoms.get_positions(wrap=True), forces, strict=True)
    ]
    lines += [
        " -----------------------------------------------------------------------------------",
        "  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)",
        "  ---------------------------------------------------",
        f"  free  energy   TOTEN  = {energy:18.8f} eV",
        "",
        f"  energy  without entropy= {energy:16.8f}  energy(sigma->0) = {energy + 0.25:16.8f}",
        "",
        " General timing and accounting informations for this job:",
    ]
    (folder / "OUTCAR").write_text("\n".join(lines) + "\n")


@pytest.fixture
def codes():
    """Writers of the outputs of pw.x and VASP for a job folder."""
    return {"espresso": pw_output, "vasprun": vasprun, "outcar": outcar}
