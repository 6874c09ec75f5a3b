"""Time site features, and say how far that is from the floor.

Run ``python benchmarks/bench_features.py``. The structure is the community's: 216 atoms of silicon (a = 5.431 Å,
rattled by 0.05 Å), cutoff 5.5 Å, order 3, levels n + 1.5 l up to 12, 16 and 19 (211, 668 and 1429 functions), one
core, neighbour list apart, best of several. The floor counts multiplications and additions and divides by the
rate of a matrix product in the same process. Peers that are not installed are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from ase.build import bulk

from aliquot.ace.basis import AceBasis
from aliquot.ace.program import compile_program, compile_radials
from aliquot.ace.values_kernel import site_values
from aliquot.structures.neighbours import neighbours


def best(function: Callable[[], object], repeats: int = 15) -> float:
    """Shortest of several runs, seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def gemm_rate() -> float:
    """Multiply–adds per second of a product of two 1000 × 1000 matrices on one thread."""
    a = np.random.default_rng(0).normal(size=(1000, 1000))
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return 1e9 / best(lambda: a @ a)
    with threadpool_limits(1):
        return 1e9 / best(lambda: a @ a)


def main() -> None:
    """Print the table."""
    atoms = bulk("Si", "diamond", 5.431, cubic=True) * (3, 3, 3)
    atoms.rattle(0.05, seed=1)
    n, rate = len(atoms), gemm_rate()
    pairs = neighbours(atoms.positions, atoms.cell[:], atoms.pbc, 5.5)
    per_atom = len(pairs.index) / n
    search = best(lambda: neighbours(atoms.positions, atoms.cell[:], atoms.pbc, 5.5))
    print(f"{n} atoms, {per_atom:.1f} neighbours each; neighbour list {search / n * 1e6:.1f} µs/atom")
    print(f"matrix product: {rate / 1e9:.1f} G multiply-adds/s\n")
    print("functions  densities  products  µs/atom  arithmetic floor µs/atom")
    for degree in (12, 16, 19):
        basis = AceBasis(elements=(14,), cutoff=5.5, degree=(degree,) * 3)
        radials, program = compile_radials(basis), compile_program(basis)
        species = basis.species(atoms.numbers)
        out = np.empty((n, len(basis.functions)))

        def run(p=program, r=radials, s=species, o=out) -> None:
            site_values(pairs.first, pairs.index, pairs.vectors, s, r, p, o)

        run()
        terms = len(program.term_coefficient)
        n_max, l_max = radials.recursion.shape[0], program.harmonic_norm.shape[0] - 1
        work = per_atom * (program.n_density + 3 * n_max + 4 * (l_max + 1) ** 2) + 3 * terms
        took, floor = best(run) / n * 1e6, work / rate * 1e6
        print(f"{out.shape[1]:9d}  {program.n_density:9d}  {terms:8d}  {took:7.1f}  {floor:7.2f}")
    peer_soap(atoms)


def peer_soap(atoms) -> None:
    """SOAP of similar length by featomic, if it is installed."""
    try:
        from featomic import SoapPowerSpectrum
    except ImportError:
        print("\nfeatomic is not installed: no peer")
        return
    for n_max, l_max in ((3, 4), (7, 6), (8, 15)):
        calculator = SoapPowerSpectrum(
            cutoff={"radius": 5.5, "smoothing": {"type": "ShiftedCosine", "width": 0.5}},
            density={"type": "Gaussian", "width": 0.5},
            basis={
                "type": "TensorProduct",
                "max_angular": l_max,
                "radial": {"type": "Gto", "max_radial": n_max},
            },
        )
        size = calculator.compute(atoms).block(0).values.shape[1]
        took = best(lambda c=calculator: c.compute(atoms), 5) / len(atoms)
        print(f"featomic SOAP, {size} features: {took * 1e6:.1f} µs/atom")


if __name__ == "__main__":
    main()
