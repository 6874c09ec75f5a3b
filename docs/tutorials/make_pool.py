"""Make the pool of the first tutorial: 10,000 unlabelled silicon structures.

Six crystal structures of silicon, each stretched, sheared and rattled by a random amount; every fifth
structure lacks an atom::

    python docs/tutorials/make_pool.py pool.xyz
"""

from __future__ import annotations

import sys

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.io import write

VOLUME = 20.0  # Å³ per atom, silicon in the diamond structure


def prototypes() -> dict[str, Atoms]:
    """Cells of 8 to 16 atoms at the volume of the diamond structure."""
    tin = Atoms("Si2", cell=[[-0.5, 0.5, 0.27], [0.5, -0.5, 0.27], [0.5, 0.5, -0.27]], pbc=True)
    tin.set_scaled_positions(
        [[0, 0, 0], [0.75, 0.25, 0.5]]
    )  # β-tin: c/a = 0.54, two atoms in a bcc-like cell
    cells = {
        "diamond": bulk("Si", cubic=True),
        "beta_tin": tin.repeat((2, 2, 2)),
        "simple_cubic": bulk("Si", "sc", a=2.5).repeat(2),
        "bcc": bulk("Si", "bcc", a=3.1, cubic=True).repeat((2, 2, 1)),
        "fcc": bulk("Si", "fcc", a=3.9, cubic=True).repeat((2, 2, 1)),
        "hcp": make_supercell(bulk("Si", "hcp", a=2.7, c=4.4), [[2, 0, 0], [0, 2, 0], [0, 0, 2]]),
    }
    for atoms in cells.values():
        scale = (VOLUME * len(atoms) / atoms.get_volume()) ** (1 / 3)
        atoms.set_cell(atoms.cell[:] * scale, scale_atoms=True)
    return cells


def perturbed(prototype: Atoms, rng: np.random.Generator) -> Atoms:
    """A copy at 0.7 to 1.3 of its volume, strained by up to 8 % and rattled by up to 0.25 Å."""
    atoms = prototype.copy()
    strain = rng.uniform(-1, 1, (3, 3)) * rng.uniform(0, 0.08)
    stretch = np.cbrt(rng.uniform(0.7, 1.3)) * (np.eye(3) + (strain + strain.T) / 2)
    atoms.set_cell(atoms.cell[:] @ stretch, scale_atoms=True)
    atoms.positions += rng.normal(size=(len(atoms), 3)) * rng.uniform(0.01, 0.25)
    return atoms


def main() -> None:
    """Write the pool to the file named on the command line."""
    path, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rng = np.random.default_rng(14)
    cells = prototypes()
    names = list(cells)
    pool: list[Atoms] = []
    for i in range(n):
        name = names[i % len(names)]
        atoms = perturbed(cells[name], rng)
        if i % 5 == 0:
            del atoms[int(rng.integers(len(atoms)))]
        atoms.info["config_type"] = name if i % 5 else f"{name}_vacancy"
        pool.append(atoms)
    write(path, pool, format="extxyz")
    print(f"{path}: {len(pool)} structures, {sum(map(len, pool))} atoms")


if __name__ == "__main__":
    main()
