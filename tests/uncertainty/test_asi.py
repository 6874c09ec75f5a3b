"""Active sets in PACE's conventions, against functions and grades of python-ace."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import ase.build
import ase.io
import numpy as np
import pytest

from aliquot.ace.basis import AceBasis
from aliquot.ace.pace_read import read_pace
from aliquot.ace.pace_write import write_pace_yaml
from aliquot.ace.potential import AcePotential
from aliquot.ace.radial import ChebExpCos
from aliquot.errors import InputError
from aliquot.structures import Frames
from aliquot.uncertainty import Uncertainty, write_asi
from aliquot.uncertainty.asi import pace_mixing

REFERENCE = Path(
    os.environ.get("ALIQUOT_REFERENCE") or Path(__file__).resolve().parents[3] / "shared" / "reference"
)


def thinned(potential: AcePotential, keep: int) -> AcePotential:
    """Some of the functions of a potential, whole classes of order 4 at a time."""
    functions = potential.basis.functions
    chosen = np.random.default_rng(0).permutation(len(functions))[:keep]
    classes = {functions[k].factors for k in chosen}
    kept = np.array([f.factors in classes for f in functions])
    return replace(potential, coefficients=potential.coefficients * kept)


@pytest.mark.parametrize(("name", "keep"), [("si_chebexpcos", 60), ("si_sbessel", 50), ("tial_order4", 80)])
def test_our_functions_are_combinations_of_those_of_python_ace(name, keep):
    if not (REFERENCE / f"{name}.yaml").is_file():
        pytest.skip(f"no reference values in {REFERENCE}; set ALIQUOT_REFERENCE to a folder that has them")
    potential = thinned(read_pace(REFERENCE / f"{name}.yaml"), keep)
    symbols = ["Al", "Ti"] if name.startswith("tial") else ["Si"]
    described = json.loads((REFERENCE / f"{name}_functions.json").read_text())
    tables = np.load(REFERENCE / f"{name}_projections.npz")
    mixing = pace_mixing(potential)
    frames = Frames.from_atoms(ase.io.read(REFERENCE / f"{name}.xyz", ":"))
    classes = {tuple(sorted((f.channel, f.n, f.l) for f in g.factors)) for g in used(potential)}
    shift = read_pace(REFERENCE / f"{name}.yaml").basis.functions[0].factors[0].n - 1
    sites = Uncertainty(potential, (), ()).sites
    compared = 0
    for k in range(len(frames)):
        if f"projections_{k}" not in tables:
            continue
        for block in sites.blocks(frames, k):
            own = [d for d in described if d["center"] == symbols[block.element]]
            keys = []
            for column, d in enumerate(own):
                up = shift if d["rank"] == 1 else 0
                where = [symbols.index(s) for s in d["neighbours"]]
                trip = sorted(zip(where, d["n"], d["l"], strict=True))
                if tuple((a, n + up, l) for a, n, l in trip) in classes:
                    mus, ns, ls = zip(*trip, strict=True)
                    keys.append((d["rank"], mus, ns, ls, tuple(d["L"]), column))
            columns = [key[-1] for key in sorted(keys)]
            theirs = tables[f"projections_{k}"][block.atoms][:, : len(own)][:, columns]
            S = mixing[block.element]
            assert S.shape == (theirs.shape[1], block.rows.shape[1])
            error = np.abs(theirs @ S - block.rows).max(axis=0)
            assert np.all(error <= 1e-8 * np.abs(block.rows).max(axis=0) + 1e-300)
            compared += len(block.atoms)
    assert compared > 20


def used(potential: AcePotential) -> list:
    """Functions of the pruned potential."""
    return list(potential.pruned.basis.functions)


def test_the_file_gives_the_same_grades(tmp_path):
    basis = AceBasis(elements=(13, 22), cutoff=4.8, degree=(5, 5, 4), radial=ChebExpCos())
    rng = np.random.default_rng(1)
    c = rng.normal(size=(2, len(basis.functions))) / basis.prior
    c[:, rng.random(len(basis.functions)) < 0.4] = 0.0
    potential = AcePotential(basis, c, np.zeros(2))
    atoms = []
    for seed in range(12):
        cell = ase.build.bulk("Al", cubic=True) * 2
        cell.symbols = np.random.default_rng(seed).choice(["Al", "Ti"], len(cell))
        cell.rattle(0.2, seed=seed)
        atoms.append(cell)
    frames = Frames.from_atoms(atoms)
    known = Uncertainty.build(potential, frames[:10], guard=False)
    path = write_asi(tmp_path / "a.asi", known)
    write_pace_yaml(tmp_path / "a.yaml", potential)
    text = (tmp_path / "a.yaml").read_text()
    written = re.findall(r"type: (\w+) ([\w ]+), nr: \[([^\]]*)\], nl: \[([^\]]*)\]", text)
    inverse = np.load(path)
    assert sorted(inverse.files) == ["Al", "Ti"]
    for z, symbol in enumerate(["Al", "Ti"]):
        own = [
            (len(k.split()), k.split(), n.split(","), l.split(",")) for s, k, n, l in written if s == symbol
        ]
        assert len(own) == len(inverse[symbol])
        S = pace_mixing(potential)[z]
        for block in known.sites.blocks(frames, 11):
            if block.element == z:
                pace = np.linalg.solve(S.T, block.rows.T).T
                mine = np.abs(pace @ inverse[symbol]).max(axis=1)
                np.testing.assert_allclose(mine, known.active[z].grade(block.rows), rtol=1e-6)
        mus = sorted(own, key=lambda f: f[:2])  # PACE joins the blocks of a centre by rank and neighbours
        assert mus == sorted(own, key=lambda f: (f[0], f[1], [int(n) for n in f[2]], [int(l) for l in f[3]]))
    with pytest.raises(InputError, match="exists"):
        write_asi(path, known)


def test_what_pace_cannot_grade_is_refused(tmp_path, fitted, known_frames):
    with pytest.raises(InputError, match="ChebExpCos or SBessel functions only"):
        write_asi(tmp_path / "a.asi", Uncertainty.build(fitted, known_frames))
    full = Uncertainty.build(fitted, known_frames, full_basis=True)
    with pytest.raises(InputError, match="without full_basis"):
        write_asi(tmp_path / "a.asi", full)
    assert not list(tmp_path.iterdir())


def test_grades_of_our_functions_with_the_file_of_pacemaker():
    if not (REFERENCE / "si_chebexpcos.asi").is_file():
        pytest.skip(f"no reference values in {REFERENCE}; set ALIQUOT_REFERENCE to a folder that has them")
    potential = read_pace(REFERENCE / "si_chebexpcos.yaml")
    described = json.loads((REFERENCE / "si_chebexpcos_functions.json").read_text())
    # one function of that .yaml has its factors in another order, and so its place
    factors = [(d["rank"], *zip(*sorted(zip(d["n"], d["l"], strict=True)), strict=True)) for d in described]
    inverse = np.load(REFERENCE / "si_chebexpcos.asi")["Si"][
        sorted(range(len(factors)), key=factors.__getitem__)
    ]
    told = np.load(REFERENCE / "si_chebexpcos_grade.npz")
    frames = Frames.from_atoms(ase.io.read(REFERENCE / "si_chebexpcos.xyz", ":"))
    [S], sites = pace_mixing(potential), Uncertainty(potential, (), ()).sites
    for k in range(len(frames)):
        pace = np.linalg.solve(S.T, sites.blocks(frames, k)[0].rows.T).T
        grade = np.abs(pace @ inverse).max(axis=1)
        # the site matrix has condition 2.7e16, and entries of the inverse reach 2e11
        np.testing.assert_allclose(grade, told[f"grade_{k}"], atol=2e-3)
