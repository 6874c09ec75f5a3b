"""How does one begin? With copper and effective medium theory, which cost nothing: structures and a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms, units

from aliquot.errors import InputError
from aliquot.structures import Frames, write

__all__ = ["TEMPERATURES", "TOML", "copper_cells", "copper_start", "copper_test", "write_example"]

#: Of the held-out dynamics, K.
TEMPERATURES: Final = (300.0, 600.0, 900.0, 1200.0, 1500.0)

TOML: Final = """\
# aliquot campaign run campaign.toml
# Every value that is left out has the default of the reference. File names are meant from where this file lies.

seed = 0

[start]                         # a few structures to begin with
structures = "start.xyz"
labels = "oracle"               # or "file": they have energies and forces

[test]                          # what errors are measured on; never taught
structures = "test.xyz"
labels = "oracle"

[explore]                       # dynamics under guard of the extrapolation grade
structures = "cells.xyz"        # where walks begin; the start by default
temperatures = [300, 600, 900, 1200, 1500]   # K
walkers = 1                     # walks per temperature and round
steps = 500
timestep = 3.0                  # fs
select = 2.0                    # above this grade a structure is a candidate ...
stop = 25.0                     # ... and above this one the walk ends
dump = 50                       # every 50th structure is a candidate whatever its grade

[select]
batch = 5                       # labels per round
method = "bayes"                # what teaches a linear model most; see aliquot methods
# method = "kdpp"               # or: random, diverse,
# quality = "gamma"             # and rather where the model is uncertain
# cost_power = 3.0              # a label costs atoms^3: gains are compared per cost

[label]
oracle = "emt"                  # or python:module:factory, a function that returns an ASE calculator
workers = 1
# timeout = 3600.0              # s

[fit]
degree = [12, 10, 8]            # of each correlation order
cutoff = 5.0                    # Å
solver = "omp"
parameters = { penalty = "evidence" }
weights = [30.0, 1.0, 1.0]      # of energies, forces, virials

[goal]                          # ends when all of the first two, or any of the others, is reached
force_mae = 0.05                # eV/Å on the test structures
# gamma = 2.0                   # a grade that the walks stay below, but for 1 % of looks
labels = 60                     # those of the start among them
rounds = 12
"""


def write_example(folder: Path | str, *, seed: int = 0, force: bool = False) -> tuple[Path, ...]:
    """Write ``campaign.toml``, ``start.xyz`` (10 strained cells), ``cells.xyz`` and ``test.xyz`` (50 structures).

    Raises
    ------
    InputError
        If one of them exists and ``force`` is not set.
    """
    place = Path(folder)
    made = tuple(place / name for name in ("campaign.toml", "start.xyz", "cells.xyz", "test.xyz"))
    if not force and (there := [path for path in made if path.exists()]):
        raise InputError(f"{there[0]} exists; choose another folder, or force=True to overwrite it")
    try:
        place.mkdir(parents=True, exist_ok=True)
        made[0].write_text(TOML, "utf-8")
    except OSError as error:
        raise InputError(f"cannot write to {place}: {error.strerror}") from error
    write(made[1], copper_start(10, seed=seed), force=True)
    write(made[2], copper_cells(5, seed=seed), force=True)
    write(made[3], copper_test(10, seed=seed + 1), force=True)
    return made


def copper_start(number: int, *, seed: int = 0) -> Frames:
    """Perfect copper crystals of four atoms, strained by about 2 %: no atom feels a force, so there is much to find."""
    rng = np.random.default_rng(seed)
    return Frames.from_atoms([_crystal(1, rng, 0.02, 0.0) for _ in range(number)], source="start")


def copper_cells(number: int, *, repeat: int = 2, seed: int = 0) -> Frames:
    """Perfect copper crystals of ``4 repeat³`` atoms, strained by about 1 %: where walks begin."""
    rng = np.random.default_rng([seed, 1])
    return Frames.from_atoms([_crystal(repeat, rng, 0.01, 0.0) for _ in range(number)], source="cells")


def copper_test(
    number: int,
    *,
    repeat: int = 2,
    seed: int = 1,
    temperatures: tuple[float, ...] = TEMPERATURES,
    spacing: int = 40,
) -> Frames:
    """So many structures per temperature from dynamics of effective medium theory, ``spacing`` steps of 3 fs apart."""
    from ase.calculators.emt import EMT
    from ase.md.langevin import Langevin

    from aliquot.dynamics.engines import thermal

    rng = np.random.default_rng(seed)
    found: list[Atoms] = []
    for temperature in temperatures:
        atoms = thermal(_crystal(repeat, rng, 0.01, 0.05), temperature, rng)
        atoms.calc = EMT()
        walk: Any = Langevin(
            atoms, 3 * units.fs, temperature_K=temperature, friction=0.01 / units.fs, rng=rng, fixcm=False
        )
        walk.run(100)
        for _ in range(number):
            walk.run(spacing)
            kept = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
            kept.info["config_type"] = f"{temperature:g} K"
            found.append(kept)
    return Frames.from_atoms(found, source="test")


def _crystal(repeat: int, rng: np.random.Generator, strain: float, displacement: float) -> Atoms:
    from ase.build import bulk

    atoms = bulk("Cu", cubic=True).repeat(repeat)
    change = rng.normal(scale=strain, size=(3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + (change + change.T) / 2), scale_atoms=True)
    atoms.positions += rng.normal(scale=displacement, size=atoms.positions.shape)
    return atoms
