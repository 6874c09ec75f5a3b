"""Make the copper example that ships with aliquot: a known set and a pool of candidates, labelled by EMT.

The pool looks like the harvest of a first week of work: long runs of bulk crystal that repeat themselves,
some strained cells and point defects, a few surfaces, a little liquid, some clusters. The known set is
near-equilibrium bulk and one isolated atom. Effective medium theory (ASE's ``EMT``) stands in for the DFT
code, so everyone can make the files again::

    python scripts/make_example.py --out src/aliquot/examples

Every family has a random generator of its own, seeded by its name: one can be made without the others.
"""

from __future__ import annotations

import argparse
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk, fcc100, fcc110, fcc111
from ase.calculators.emt import EMT
from ase.cluster import Icosahedron, Octahedron

SEED = 29  # the atomic number of copper
LATTICE = 3.61  # Å, a little above the minimum of EMT (3.59 Å)
VACUUM = 8.0  # Å on each side of a slab

Generator = np.random.Generator


def trajectory(
    start: Atoms, temperature: float, *, frames: int, rng: Generator, settle: int = 60, every: int = 4
) -> Iterator[Atoms]:
    """Langevin dynamics at ``temperature`` (K): ``frames`` snapshots, ``every`` steps of 5 fs apart.

    The BAOAB splitting (Leimkuhler and Matthews 2013, doi:10.1093/amrx/abs010) with a friction of 0.02/fs,
    written out because it is short and so stays the same whatever the version of ASE.
    """
    atoms = start.copy()
    atoms.calc = EMT()
    step, mass, kt = 5 * units.fs, atoms.get_masses()[:, None], units.kB * temperature
    kept = np.exp(-0.02 * 5)  # share of a momentum that survives one step
    momenta = np.sqrt(mass * kt) * rng.normal(size=(len(atoms), 3))
    for i in range(1, settle + frames * every + 1):
        momenta += step / 2 * atoms.get_forces()
        atoms.positions += step / 2 * momenta / mass
        momenta = kept * momenta + np.sqrt((1 - kept**2) * mass * kt) * rng.normal(size=(len(atoms), 3))
        momenta -= momenta.mean(axis=0)  # nothing drifts
        atoms.positions += step / 2 * momenta / mass
        momenta += step / 2 * atoms.get_forces()
        if i > settle and (i - settle) % every == 0:
            yield Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def crystal(repeat: int = 2, *, a: float = LATTICE) -> Atoms:
    """Cubic copper, 4 × repeat³ atoms."""
    return bulk("Cu", "fcc", a=a, cubic=True).repeat(repeat)


def strained(rng: Generator, *, size: float, frames: int) -> Iterator[Atoms]:
    """Conventional cells under a random symmetric strain, rattled by 0.03 Å."""
    for _ in range(frames):
        strain = rng.uniform(-size, size, (3, 3))
        atoms = bulk("Cu", "fcc", a=LATTICE, cubic=True)
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += rng.normal(scale=0.03, size=(len(atoms), 3))
        yield atoms


def bulk_dynamics(rng: Generator) -> Iterator[Atoms]:
    """Four runs of the perfect crystal: most of the pool, and much of it the same thing again."""
    for temperature in (300, 600, 900, 1200):
        run = list(trajectory(crystal(a=LATTICE * (1 + 2e-5 * temperature)), temperature, frames=50, rng=rng))
        yield from run
        yield run[-1]  # the restart file, kept by mistake: an exact duplicate


def vacancies(rng: Generator) -> Iterator[Atoms]:
    """One and two missing atoms, at 600 K."""
    for holes in ([0], [0, 1], [0, 20]):
        atoms = crystal()
        del atoms[holes]
        yield from trajectory(atoms, 600, frames=10, rng=rng)


def interstitials(rng: Generator) -> Iterator[Atoms]:
    """One more atom: in the octahedral hole, and sharing a site as a dumbbell along [100]."""
    octahedral = crystal() + Atoms("Cu", positions=[[LATTICE / 2] * 3])
    dumbbell = crystal()
    dumbbell.positions[0] += [0.3 * LATTICE, 0, 0]
    dumbbell += Atoms("Cu", positions=[[-0.3 * LATTICE, 0, 0]])
    for atoms in (octahedral, dumbbell):
        yield from trajectory(atoms, 400, frames=10, rng=rng, settle=100)


def surfaces(
    build: Callable[..., Atoms], size: tuple[int, int, int]
) -> Callable[[Generator], Iterator[Atoms]]:
    """Slabs as built and at 300 and 700 K."""

    def family(rng: Generator) -> Iterator[Atoms]:
        slab = build("Cu", size, a=LATTICE, vacuum=VACUUM, periodic=True)
        yield slab
        for temperature in (300, 700):
            yield from trajectory(slab, temperature, frames=6, rng=rng, every=8)

    return family


def liquid(rng: Generator) -> Iterator[Atoms]:
    """Melted at 3500 K, then held at 2200 and 1500 K, 8 % less dense than the crystal."""
    atoms = bulk("Cu", "fcc", a=LATTICE * 1.08 ** (1 / 3)).repeat(4)
    (melted,) = trajectory(atoms, 3500, frames=1, rng=rng, settle=400)
    for temperature in (2200, 1500):
        yield from trajectory(melted, temperature, frames=15, rng=rng, settle=200, every=20)


def clusters(rng: Generator) -> Iterator[Atoms]:
    """Free clusters of 13, 38 and 55 atoms at 400 K, without a cell."""
    for shape in (Icosahedron("Cu", 2), Octahedron("Cu", 4, 1), Icosahedron("Cu", 3)):
        free = Atoms(shape.numbers, positions=shape.positions - shape.positions.mean(axis=0))
        yield from trajectory(free, 400, frames=4, rng=rng, every=10)


def isolated_atom(rng: Generator) -> Iterator[Atoms]:
    """The reference of all energies."""
    yield Atoms("Cu", positions=[[0.0, 0.0, 0.0]])


#: config_type → the frames of that family
KNOWN: dict[str, Callable[[Generator], Iterator[Atoms]]] = {
    "isolated_atom": isolated_atom,
    "bulk_300K": lambda rng: trajectory(crystal(), 300, frames=39, rng=rng),
    "bulk_near_equilibrium": lambda rng: strained(rng, size=0.02, frames=20),
}
POOL: dict[str, Callable[[Generator], Iterator[Atoms]]] = {
    "bulk_md": bulk_dynamics,
    "strained": lambda rng: strained(rng, size=0.10, frames=65),
    "vacancy": vacancies,
    "interstitial": interstitials,
    "surface_100": surfaces(fcc100, (3, 3, 5)),
    "surface_110": surfaces(fcc110, (3, 2, 6)),
    "surface_111": surfaces(fcc111, (3, 3, 4)),
    "liquid": liquid,
    "cluster": clusters,
}


def labelled(atoms: Atoms, config_type: str) -> Atoms:
    """The structure as it will stand in the file, with the labels of exactly that structure.

    Rounding comes first, so that energy and forces belong to the rounded positions.
    """
    pbc = bool(atoms.pbc.any())
    frame = Atoms(atoms.numbers, positions=np.round(atoms.positions, 6), pbc=pbc)
    if pbc:
        frame.set_cell(np.round(atoms.cell[:], 6))
    frame.calc = EMT()
    info: dict[str, object] = {"config_type": config_type, "REF_energy": frame.get_potential_energy()}
    forces = frame.get_forces()
    if pbc:
        info["REF_virial"] = -frame.get_volume() * frame.get_stress(voigt=False)
    frame.calc = None
    frame.info.update(info)
    frame.arrays["REF_forces"] = forces
    return frame


def family(name: str, make: Callable[[Generator], Iterator[Atoms]]) -> list[Atoms]:
    """All frames of one family, labelled."""
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    return [labelled(atoms, name) for atoms in make(rng)]


def text(frames: list[Atoms]) -> str:
    """Extended XYZ with as many digits as the numbers deserve: 1e-6 Å and eV, 1e-5 eV/Å."""
    lines: list[str] = []
    for frame in frames:
        keys = [f"Properties=species:S:1:pos:R:3:REF_forces:R:3 config_type={frame.info['config_type']}"]
        keys.append(f"REF_energy={frame.info['REF_energy']:.6f}")
        for name, matrix in (("REF_virial", frame.info.get("REF_virial")), ("Lattice", frame.cell[:])):
            if frame.pbc.any():
                keys.append(f'{name}="' + " ".join(f"{value:.6f}" for value in np.ravel(matrix)) + '"')
        keys.append('pbc="T T T"' if frame.pbc.any() else 'pbc="F F F"')
        lines += [str(len(frame)), " ".join(keys)]
        for symbol, r, f in zip(frame.symbols, frame.positions, frame.arrays["REF_forces"], strict=True):
            lines.append(f"{symbol} {r[0]:.6f} {r[1]:.6f} {r[2]:.6f} {f[0]:.5f} {f[1]:.5f} {f[2]:.5f}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description="Make the copper example that ships with aliquot.")
    parser.add_argument("--out", type=Path, default=Path("src/aliquot/examples"), help="folder to write to")
    folder: Path = parser.parse_args().out
    for name, families in (("copper_known", KNOWN), ("copper_pool", POOL)):
        frames = [frame for key, make in families.items() for frame in family(key, make)]
        packed = lzma.compress(text(frames).encode(), preset=9 | lzma.PRESET_EXTREME)
        (folder / f"{name}.xyz.xz").write_bytes(packed)
        print(f"{name}: {len(frames)} frames, {sum(map(len, frames))} atoms, {len(packed) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
