from __future__ import annotations

import sys

import pytest

from aliquot.campaign import settings_from
from aliquot.campaign.example import copper_cells, copper_start, copper_test
from aliquot.structures import write

ORACLE = '''
"""Effective medium theory that counts its calls in a file."""
import os
import time
from pathlib import Path

from ase.calculators.emt import EMT

LOG = Path(__file__).with_name("calls.log")


class Counted(EMT):
    def calculate(self, atoms, properties, system_changes):
        name = f"{len(atoms)} {atoms.cell.array[0, 0]:.12f} {atoms.positions[-1, 0]:.12f}"
        with LOG.open("a") as log:
            log.write(f"begin {name}\\n")
        super().calculate(atoms, properties, system_changes)
        time.sleep(float(os.environ.get("PAUSE", "0")))
        with LOG.open("a") as log:
            log.write(f"end {name}\\n")


class Fails(EMT):
    """For structures of more than four atoms."""

    def calculate(self, atoms, properties, system_changes):
        if len(atoms) > 4:
            raise RuntimeError("no convergence")
        super().calculate(atoms, properties, system_changes)


class NoNumbers(EMT):
    def calculate(self, atoms, properties, system_changes):
        super().calculate(atoms, properties, system_changes)
        if len(atoms) > 4:
            self.results["forces"] = self.results["forces"] * float("nan")


class Dies(EMT):
    def calculate(self, atoms, properties, system_changes):
        if len(atoms) > 4:
            os._exit(11)
        super().calculate(atoms, properties, system_changes)


class Hangs(EMT):
    def calculate(self, atoms, properties, system_changes):
        if len(atoms) > 4:
            time.sleep(1000)
        super().calculate(atoms, properties, system_changes)


class Some(EMT):
    """Fails for every other structure of more than four atoms."""

    def calculate(self, atoms, properties, system_changes):
        if len(atoms) > 4 and int(abs(atoms.positions[0, 0]) * 1e6) % 2:
            raise RuntimeError("no convergence")
        super().calculate(atoms, properties, system_changes)
'''


@pytest.fixture
def oracles(tmp_path, monkeypatch):
    """The folder of a module ``counted_oracle``, with its log."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "counted_oracle.py").write_text(ORACLE)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("counted_oracle", None)
    yield folder
    sys.modules.pop("counted_oracle", None)


TABLE = {
    "seed": 3,
    "explore": {"temperatures": [300, 900], "steps": 40, "timestep": 3.0, "dump": 10, "walkers": 2},
    "select": {"batch": 2},
    "fit": {"degree": [8, 6, 4], "cutoff": 4.5},
    "goal": {"rounds": 2},
}


@pytest.fixture
def table(tmp_path):
    """A small campaign, as a dictionary; its files lie in tmp_path."""
    write(tmp_path / "start.xyz", copper_start(6))
    write(tmp_path / "cells.xyz", copper_cells(2))
    write(tmp_path / "test.xyz", copper_test(2, temperatures=(300.0, 900.0), spacing=10))
    made = {name: dict(part) if isinstance(part, dict) else part for name, part in TABLE.items()}
    made["start"] = {"structures": str(tmp_path / "start.xyz")}
    made["test"] = {"structures": str(tmp_path / "test.xyz")}
    made["explore"]["structures"] = str(tmp_path / "cells.xyz")
    return made


@pytest.fixture
def settings(table):
    """Its settings, with another table here and there."""

    def make(**parts):
        return settings_from(
            {
                **table,
                **{k: {**table.get(k, {}), **v} if isinstance(v, dict) else v for k, v in parts.items()},
            }
        )

    return make
