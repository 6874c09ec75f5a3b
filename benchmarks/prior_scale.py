"""Measure how strong a prior the data themselves ask for, relative to the features.

Run ``python benchmarks/prior_scale.py`` with the data sets in the folder that ``ALIQUOT_DATA`` names. Selection
without labels needs a prior precision λ. With labels, λ = (noise / prior standard deviation)² follows from the
evidence: the value that makes the observed energies most probable. The script prints it for the energies of each
set, in units of the largest eigenvalue of the second moment of the features, the unit of the default in
``aliquot.information``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

import aliquot

SETS = ("si_gap18_core_surface", "zuo2020_Cu", "zuo2020_Mo", "zuo2020_Ge", "tial_tutorial", "w_szlachta2014")


def evidence_optimum(rows: np.ndarray, energies: np.ndarray) -> tuple[float, float]:
    """λ and noise that maximise the evidence of ``energies = rows · c + noise``, c ~ N(0, noise²/λ)."""
    u, s, _ = np.linalg.svd(rows, full_matrices=False)
    b = u.T @ energies
    rest, spare = max(float(energies @ energies - b @ b), 0.0), len(energies) - len(s)

    def minus_log_evidence(logs: np.ndarray) -> float:
        scale, noise = np.exp(2 * np.clip(logs, -20, 20))
        variance = scale * s**2 + noise
        return 0.5 * float(
            np.log(variance).sum() + spare * np.log(noise) + np.sum(b**2 / variance) + rest / noise
        )

    starts = [(a, c) for a in (0.0, 4.0, 8.0) for c in (-7.0, -5.0, -3.0)]
    runs = (
        minimize(minus_log_evidence, start, method="Nelder-Mead", options={"maxiter": 4000})
        for start in starts
    )
    scale, noise = np.exp(2 * min(runs, key=lambda run: run.fun).x)
    return noise / scale, noise**0.5


def main() -> None:
    """Print one line per data set."""
    folder = Path(os.environ.get("ALIQUOT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    print("set                      frames  λ / λ_max   noise, meV √atom  effective directions")
    for name in SETS:
        file = folder / f"{name}.xyz.xz"
        if not file.is_file():
            print(f"{name}: {file} is not there", file=sys.stderr)
            continue
        frames = aliquot.read(str(file))
        frames = frames[frames.energy.present & (frames.sizes > 1)]
        (table,) = aliquot.featurize("ace", frames)
        starts = frames.offsets[:-1]
        composition = np.stack(
            [np.add.reduceat(frames.numbers == z, starts) for z in frames.elements], axis=1
        )
        energy = frames.energy.values
        reference, *_ = np.linalg.lstsq(composition, energy, rcond=None)
        rows = table.weight[:, None] * (table.rows / table.prior)
        target = table.weight * (energy - composition @ reference) / frames.sizes
        largest = np.linalg.eigvalsh(rows.T @ rows / len(rows))[-1]
        precision, noise = evidence_optimum(rows, target)
        singular = np.linalg.svd(rows, compute_uv=False) ** 2
        directions = np.sum(singular / (singular + precision))
        print(
            f"{name:24s} {len(frames):6d}  {precision / largest:9.1e}  {1e3 * noise:16.2f}  {directions:8.0f}"
        )


if __name__ == "__main__":
    main()
