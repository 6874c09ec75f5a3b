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
