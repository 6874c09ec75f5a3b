"""What does a step of biased dynamics cost, and what is lost where nobody labels on the way? Measured here.

Run ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_hal.py [SEEDS]``.

1. Mean and bias of one structure beside a plain force call of the same potential, at several numbers of functions,
   and the spread of all forces that is looked at every 40th step; then whole steps beside ASE's Langevin dynamics.
2. Ten structures found one-shot (EMT labels each, the posterior mean is updated exactly) and N-shot (no label before
   the tenth): information in nat, both in terms of the posterior at the beginning, from the same seeds.
"""

from __future__ import annotations

import lzma
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT

from aliquot import read
from aliquot.ace.basis import AceBasis
from aliquot.ace.calculator import AceCalculator
from aliquot.ace.potential import AcePotential
from aliquot.examples import example_files
from aliquot.explore import Biased, HalSettings, bias_from_potential, hal
from aliquot.explore.bias import Bias, Noise
from aliquot.explore.surrogate import AceSurrogate
from aliquot.explore.walk import Walk
from aliquot.fitting import Recipe, fit
from aliquot.structures import Frames
from aliquot.uncertainty import Spread

SETTINGS = HalSettings(temperature=1000.0, trigger=0.003, steps=1000, check_every=10, patience=15)


def best(call: Callable[[], object], times: int = 25) -> float:
    """Milliseconds of the fastest of some calls."""
    seconds: list[float] = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


def step_costs() -> None:
    atoms = bulk("Cu", cubic=True).repeat(3)
    atoms.rattle(0.1, seed=1)
    print("functions  force call  mean and bias  ratio  spread of all forces (ms, 108 atoms, one thread)")
    for degree in (12, 16, 19):
        basis = AceBasis(elements=(29,), cutoff=5.5, degree=(degree,) * 3)
        k = len(basis.functions)
        rng = np.random.default_rng(0)
        potential = AcePotential(
            basis,
            (rng.standard_normal(k) / basis.prior)[None],
            np.zeros(1),
            precision=np.triu(rng.standard_normal((k, k))) + 10 * np.eye(k),
        )
        bias = bias_from_potential(potential, noise=Noise())
        model, surrogate = Biased(bias), bias.surrogate
        assert isinstance(surrogate, AceSurrogate)
        pairs = surrogate._pairs.update(atoms.positions, atoms.cell.array, atoms.pbc)
        model(atoms)
        bias.forces_std(atoms)
        # one after the other, so that both meet the same machine
        plain, both = np.inf, np.inf
        for _ in range(12):
            plain = min(plain, best(lambda p=potential, n=pairs: p.evaluate(atoms.numbers, n, threads=1), 5))
            both = min(both, best(lambda m=model: m(atoms), 5))
        spread = best(lambda b=bias: b.forces_std(atoms), 5)
        print(f"{k:9d} {plain:11.3f} {both:14.3f} {both / plain:6.2f} {spread:8.2f}")


def whole_steps(steps: int = 80) -> None:
    """A step with thermostat, guard and looks at all spreads, beside one of ASE's Langevin dynamics."""
    from ase.md.langevin import Langevin

    basis = AceBasis(elements=(29,), cutoff=5.5, degree=(12, 12, 12))
    k = len(basis.functions)
    zeros = (
        np.random.default_rng(0).standard_normal(k) * 1e-6 / basis.prior
    )  # hardly any force: nothing explodes
    potential = AcePotential(basis, zeros[None], np.zeros(1), precision=1e4 * np.eye(k))
    start = bulk("Cu", cubic=True).repeat(3)
    model = Biased(bias_from_potential(potential, noise=Noise()))

    def plain() -> float:
        atoms = start.copy()
        atoms.calc = AceCalculator(potential, threads=1)
        rng = np.random.RandomState(1)
        md = Langevin(atoms, units.fs, temperature_K=300, friction=0.01 / units.fs, rng=rng, fixcm=False)
        md.run(2)
        begin = time.perf_counter()
        md.run(steps)
        return 1000 * (time.perf_counter() - begin) / steps

    def biased(every: int) -> float:
        settings = HalSettings(temperature=300.0, trigger=1e9, bias=0.0, steps=10**6, check_every=every)
        rng = np.random.default_rng(1)
        walk = Walk.begin(start, 0, 0, settings, rng)
        walk.go(model, settings, rng, 2)
        begin = time.perf_counter()
        ended = walk.go(model, settings, rng, steps + 2)
        assert ended is None, ended
        return 1000 * (time.perf_counter() - begin) / steps

    rounds = [(plain(), biased(40), biased(10**6)) for _ in range(8)]
    ase, ours, blind = (min(column) for column in zip(*rounds, strict=True))
    print(
        f"{k} functions, whole steps: ASE {ase:.2f} ms, biased {ours:.2f} ms ({ours / ase:.2f} x), without looks at"
        f" all spreads {blind:.2f} ms ({blind / ase:.2f} x)"
    )


def labelled(frames: Frames) -> Frames:
    images = frames.to_atoms()
    for atoms in images:
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        atoms.calc = None
    return Frames.from_atoms(images)


def updated(potential: AcePotential, bias: Bias, frames: Frames) -> tuple[AcePotential, Bias]:
    """Posterior mean and spread after labelled frames: the fit with the same functions and hyper-parameters."""
    surrogate = bias.surrogate
    assert isinstance(surrogate, AceSurrogate)
    root, mean = bias.spread.root, potential.coefficients.copy()
    noise = replace(bias.noise, virial=None)
    X, y = [], []
    for i, atoms in enumerate(frames.to_atoms()):
        X.append(noise.whiten(surrogate.rows(atoms)))
        said, n = potential(frames[i]), len(atoms)
        force = frames.forces.values[frames.offsets[i] : frames.offsets[i + 1]]
        y += [
            [(frames.energy.values[i] - said.energy) / (np.sqrt(n) * noise.energy)],
            ((force - said.forces) / noise.forces).ravel(),
        ]
    rows, left = np.concatenate(X), np.concatenate(y)
    XM = rows @ root
    shift = root @ np.linalg.solve(np.eye(root.shape[1]) + XM.T @ XM, XM.T @ left)
    mean[mean != 0] += shift
    new = replace(potential, coefficients=mean)
    spread = Spread("posterior", np.linalg.solve(np.linalg.cholesky(np.eye(len(root)) + XM.T @ XM), root.T).T)
    return new, Bias(AceSurrogate(new), spread, noise)


def information(bias: Bias, frames: Frames) -> float:
    """½ log det(I + X C Xᵀ) of all rows of some structures, nat."""
    gain = 0.0
    for atoms in frames.to_atoms():
        bias, more = bias.taught(atoms)
        gain += more
    return gain


def shots(seeds: int, n: int = 10) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "known.xyz"
        path.write_bytes(lzma.decompress(example_files()[1].read_bytes()))
        frames = read(path)
    periodic = frames[frames.pbc.all(axis=1)]
    done = fit(
        periodic[::3], Recipe(basis=AceBasis(elements=(29,), cutoff=5.5, degree=(10, 10, 10)), posterior=True)
    )
    potential = replace(done.potential, meta=dict(done.potential.meta))
    first = replace(bias_from_potential(potential), noise=replace(Noise.of(potential), virial=None))
    cells = [bulk("Cu", cubic=True, a=a).repeat(2) for a in (3.55, 3.65)]
    starts = Frames.from_atoms(cells)
    print(f"{np.count_nonzero(potential.coefficients)} functions, {len(periodic[::3])} training structures")
    ratios: list[float] = []
    for seed in range(seeds):
        frozen = hal(starts, n, model=Biased(first), settings=SETTINGS, seed=seed)

        def refit(found: Frames) -> Biased:
            return Biased(updated(potential, first, found)[1])

        told = hal(starts, n, model=Biased(first), settings=SETTINGS, seed=seed, label=labelled, refit=refit)
        gains = [information(first, one.frames) for one in (frozen, told)]
        ratios.append(gains[0] / gains[1])
        print(
            f"seed {seed}: N-shot {gains[0]:.1f} nat of {len(frozen.frames)}, one-shot {gains[1]:.1f} nat of"
            f" {len(told.frames)}; kept {100 * ratios[-1]:.0f} %",
            flush=True,
        )
    print(f"kept: median {100 * np.median(ratios):.0f} %, smallest {100 * min(ratios):.0f} %")


if __name__ == "__main__":
    step_costs()
    whole_steps()
    if seeds := int(sys.argv[1]) if len(sys.argv) > 1 else 4:
        shots(seeds)
