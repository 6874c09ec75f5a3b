"""Calculators of ASE that start a code and read its files: a stand-in for pw.x, which knows EMT."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.emt import EMT

from aliquot.errors import InputError
from aliquot.oracle import as_oracle, label, open_oracle

#: Runs where pw.x would: reads the input, and writes the output with the function of conftest.
PROGRAM = """
import importlib.util, sys
from pathlib import Path
specification = importlib.util.spec_from_file_location("stand_in", {conftest!r})
module = importlib.util.module_from_spec(specification)
specification.loader.exec_module(module)
text = Path("espresso.pwi").read_text()
module.pw_output(Path("."), converged="mixing_beta" not in text)
print(Path("espresso.pwo").read_text())
"""

MODULE = """
from ase.calculators.espresso import Espresso, EspressoProfile

def dft(**system):
    profile = EspressoProfile(command={command!r}, pseudo_dir="pseudo")
    data = {{"control": {{"tprnfor": True, "tstress": True}}, "system": {{"ecutwfc": 60.0, **system}}}}
    return Espresso(profile=profile, input_data=data, pseudopotentials={{"Cu": "Cu.upf"}}, kspacing=0.2)

def rough():
    return dft(ecutwfc=30.0)

def hopeless():
    return dft(mixing_beta=0.99)
"""


@pytest.fixture
def codes_here(tmp_path, monkeypatch):
    program = tmp_path / "pw.py"
    program.write_text(PROGRAM.format(conftest=str(Path(__file__).with_name("conftest.py"))))
    module = MODULE.format(command=f"{sys.executable} {program}")
    (tmp_path / "codes_for_tests.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("codes_for_tests", None)
    yield tmp_path
    sys.modules.pop("codes_for_tests", None)


def test_quantum_espresso_through_ase(codes_here, coppers, monkeypatch):
    work = codes_here / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    oracle = open_oracle("python:codes_for_tests:dft")
    found = label(coppers(3), oracle, folder=codes_here / "labels", workers=2)
    expected = label(coppers(3), EMT, folder=codes_here / "emt").frames
    assert found.unlabelled == ()
    assert np.allclose(found.frames.energy.values, expected.energy.values, atol=1e-5)
    assert np.allclose(found.frames.forces.values, expected.forces.values, atol=1e-5)
    assert np.allclose(found.frames.virial.values, expected.virial.values, atol=1e-2)
    assert list(work.iterdir()) == []  # its files were elsewhere


def test_files_of_what_did_not_converge_stay(codes_here, coppers):
    oracle = open_oracle("python:codes_for_tests:hopeless")
    scratch = codes_here / "scratch"
    found = label(coppers(1), oracle, folder=codes_here / "labels", scratch=scratch, retries=0)
    (lost,) = found.unlabelled
    assert lost.kind == "failed"
    assert "convergence NOT achieved" in (scratch / lost.key / "espresso.pwo").read_text()


def test_another_cutoff_is_another_oracle(codes_here):
    from functools import partial

    import codes_for_tests

    prints = {
        as_oracle(factory, name="dft").fingerprint
        for factory in (
            codes_for_tests.dft,
            codes_for_tests.rough,
            partial(codes_for_tests.dft, nspin=2),
        )
    }
    assert len(prints) == 3
    cutoff = as_oracle(codes_for_tests.rough).identity["parameters"]["input_data"]["system"]["ecutwfc"]
    assert cutoff == 30.0
    with pytest.raises(InputError, match="cannot be made: TypeError"):
        as_oracle(partial(codes_for_tests.rough, 1))
