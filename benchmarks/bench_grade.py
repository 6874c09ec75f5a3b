"""What does knowing one's ignorance cost? Grade and spreads beside forces, µs per atom on one core.

    python benchmarks/bench_grade.py

216 atoms of silicon, cutoff 5.5 Å, total degree 12 (211 functions) and 16 (668): forces alone; forces with the grade of
every atom, at every step and at every tenth; leverage; standard deviations of forces from the posterior; a committee of
eight. Then whole steps of dynamics through ASE, guarded and not. Best of several.
"""

# ruff: noqa: E402 (threads are limited before NumPy starts them)

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.build import bulk

from aliquot.ace.basis import AceBasis
from aliquot.ace.calculator import AceCalculator
from aliquot.ace.potential import AcePotential
from aliquot.dynamics.engines import AseEngine
from aliquot.structures import Frames
from aliquot.structures.neighbours import neighbours
from aliquot.uncertainty import Uncertainty, committee_from_posterior


def best(work: Callable[[], object], repeats: int = 30) -> float:
    """Least CPU time of one call, s."""
    work()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def silicon(seed: int) -> Atoms:
    atoms = bulk("Si", "diamond", 5.431, cubic=True) * (3, 3, 3)
    atoms.rattle(0.05, seed=seed)
    return atoms


def subject(degree: float) -> tuple[AcePotential, Uncertainty]:
    """A potential with random smooth coefficients and some posterior."""
    basis = AceBasis(elements=(14,), cutoff=5.5, degree=(degree,) * 3)
    k = len(basis.functions)
    rng = np.random.default_rng(0)
    c = 0.2 * rng.normal(size=(1, k)) / basis.prior
    potential = AcePotential(basis, c, np.zeros(1), precision=np.diag(1e2 * basis.prior))
    seen = Frames.from_atoms([silicon(seed) for seed in range(2, 8)])
    return potential, Uncertainty.build(potential, seen, guard=False)


def statics(potential: AcePotential, known: Uncertainty) -> None:
    atoms = silicon(1)
    frames, n = Frames.from_atoms([atoms]), len(atoms)
    pairs = neighbours(atoms.positions, atoms.cell[:], atoms.pbc, potential.range)
    eight = known.with_spread(committee_from_posterior(potential, 8, rng=np.random.default_rng(0)))
    others = [
        replace(potential, coefficients=potential.coefficients * (1 + 0.01 * i), precision=None)
        for i in range(8)
    ]
    force = best(lambda: potential.evaluate(atoms.numbers, pairs, threads=1))
    graded = best(lambda: known.evaluate(atoms.numbers, pairs, threads=1))
    lines = {
        "forces": force,
        "forces and grade, every step": graded,
        "forces and grade, every 10 steps": force + (graded - force) / 10,
        "grade and leverage alone": best(lambda: replace(known, spread=None).assess(frames)),
        "all, with σ of forces (posterior)": best(lambda: known.assess(frames), 10),
        "all, with σ of forces (committee of 8)": best(lambda: eight.assess(frames), 10),
        "eight potentials, one after another": best(
            lambda: [p.evaluate(atoms.numbers, pairs, threads=1) for p in others], 5
        ),
    }
    for what, seconds in lines.items():
        print(f"  {what:42s} {seconds / n * 1e6:8.2f} µs/atom {100 * (seconds / force - 1):+8.1f} %")


def dynamics(known: Uncertainty) -> None:
    """Whole steps: neighbour list, forces, integrator."""
    n = 216

    def engine() -> AseEngine:
        atoms = silicon(1)
        rng = np.random.default_rng(0)
        return AseEngine(known, atoms, timestep=1.0, temperature=300.0, friction=0.01, rng=rng, threads=1)

    class Plain(AseEngine):
        def advance(self, steps: int) -> np.ndarray:
            for _ in range(steps):
                self._dynamics.step()
            return np.zeros(1)

    plain = Plain(
        known,
        silicon(1),
        timestep=1.0,
        temperature=300.0,
        friction=0.01,
        rng=np.random.default_rng(0),
        threads=1,
    )
    plain._atoms.calc = AceCalculator(known.potential, threads=1)
    plain._dynamics.atoms = plain._atoms
    base = best(lambda: plain.advance(10), 12)
    ten, each = engine(), engine()
    for what, seconds in (
        ("no guard", base),
        ("grade every 10 steps", best(lambda: ten.advance(10), 12)),
        ("grade every step", best(lambda: [each.advance(1) for _ in range(10)], 12)),
    ):
        print(
            f"  dynamics through ASE, {what:20s} {seconds / 10 / n * 1e6:8.2f} µs/atom-step"
            f" {100 * (seconds / base - 1):+8.1f} %"
        )


def main() -> None:
    """Print the tables."""
    for degree in (12, 16):
        potential, known = subject(degree)
        one = known.active[0]
        print(f"{one.n_features} functions, rank {one.rank}, condition {one.condition:.1e}")
        statics(potential, known)
        dynamics(known)


if __name__ == "__main__":
    main()
