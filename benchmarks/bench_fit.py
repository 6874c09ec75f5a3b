"""Fit the six elements of Zuo et al. (2020) with every solver, and print errors and times as Markdown tables.

Run ``python benchmarks/bench_fit.py [--elements Si,Mo] [--solvers omp,asp] [--sizes 100,300,1000]``. Data come from the
folder ``ALIQUOT_DATA`` (``../shared/data`` where it exists).

Basis: order 3, degrees 25/21/17, 25 pair functions, cutoff 6 Å for Si and Ge, 2.5 bond lengths (5 to 6 Å) otherwise;
prior of power 4; weights 30/1/0. Reference energies by least squares. 15 % of the training structures (seed 1)
validate: they choose the best model of at most each size, and stop nothing. The test structures of the set judge;
intervals are 95 % of 2,000 bootstrap samples of test structures. Dense solvers have one line, with all functions.
``cost:omp`` is a solver that weighs what a function explains against what evaluating it costs.

What passes before any solver (reading, rows to triangles) is told on the way, once per element. Seconds of a solver are
those of its whole path. Machines are noisy: look at ratios.
"""

from __future__ import annotations

import argparse
import lzma
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.cli.fit_job import parse_solver
from aliquot.fitting import (
    TEST,
    TRAIN,
    VALIDATION,
    Baseline,
    Weights,
    accumulate,
    candidate_basis,
    compare,
    evaluation_cost,
    reference_energies,
    split_at_random,
    split_by_column,
)
from aliquot.fitting.errors import Comparison
from aliquot.solvers import SOLVERS, LeastSquares, choose
from aliquot.structures import Frames, read
from aliquot.structures.neighbours import neighbours

ELEMENTS = ("Ni", "Cu", "Li", "Mo", "Si", "Ge")
#: Mean absolute energy errors of GAP and MTP on the same test structures, meV/atom, as the set's authors list them.
PEERS = {
    "Ni": (0.42, 0.48),
    "Cu": (0.46, 0.41),
    "Li": (0.49, 0.49),
    "Mo": (2.24, 2.83),
    "Si": (2.91, 2.21),
    "Ge": (2.06, 1.79),
}
WEIGHTS = Weights(30.0, 1.0, 0.0)
BOOTSTRAP = 2000


def data_folder() -> Path:
    """Where the sets are."""
    folder = Path(os.environ.get("ALIQUOT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        sys.exit("no data: set ALIQUOT_DATA to a folder with zuo2020_Si.xyz.xz and the others")
    return folder


def load(element: str) -> tuple[Frames, float]:
    """Structures of an element, and the seconds that reading the plain file takes."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / f"{element}.xyz"
        plain.write_bytes(lzma.decompress((data_folder() / f"zuo2020_{element}.xyz.xz").read_bytes()))
        start = time.perf_counter()
        frames = read(str(plain))
        return frames, time.perf_counter() - start


def microseconds(potential: AcePotential, frames: Frames) -> float:
    """Energy, forces and virial per atom on one core, neighbours given; best of five."""
    i = int(np.argmax(frames.sizes))
    atoms = slice(frames.offsets[i], frames.offsets[i + 1])
    pairs = neighbours(frames.positions[atoms], frames.cells[i], frames.pbc[i], potential.range)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        potential.evaluate(frames.numbers[atoms], pairs, threads=1)
        times.append(time.perf_counter() - start)
    return 1e6 * min(times) / int(frames.sizes[i])


def errors(comparison: Comparison, quantity: str) -> tuple[float, float, float]:
    """Mean absolute error of the test, and its 95 % interval over structures."""
    here = comparison.part[comparison.frame[quantity]] == TEST
    frame = comparison.frame[quantity][here]
    wrong = np.abs(comparison.predicted[quantity][here] - comparison.label[quantity][here])
    _, place = np.unique(frame, return_inverse=True)
    total, count = np.bincount(place, wrong), np.bincount(place)
    draws = np.random.default_rng(0).integers(len(total), size=(BOOTSTRAP, len(total)))
    means = total[draws].sum(axis=1) / count[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(wrong.mean()), float(low), float(high)


def run(element: str, solvers: list[str], sizes: list[int]) -> list[str]:
    """Lines of the table of one element."""
    frames, reading = load(element)
    parts = split_at_random(frames, split_by_column(frames, "split"), validation=0.15, seed=1)
    cutoff = 6.0 if element in ("Si", "Ge") else None
    basis = candidate_basis(frames.elements, degree=(25.0, 21.0, 17.0), pair=25, cutoff=cutoff)
    evaluator = AceEvaluator(basis)
    baseline = Baseline(reference_energies(frames[parts == TRAIN]))
    evaluator.rows(frames, 0)  # compile
    start = time.perf_counter()
    some = parts != TEST
    held = accumulate(
        evaluator, frames[some], parts=parts[some], groups=np.full(int(some.sum()), ""), baseline=baseline
    )
    training, validation = held.weighted([TRAIN], WEIGHTS), held.weighted([VALIDATION], WEIGHTS)
    compressing = time.perf_counter() - start
    print(
        f"{element}: {len(frames)} structures, {held.n_columns} functions, {training.n_rows} training rows;"
        f" read {reading:.2f} s, rows and triangles {compressing:.1f} s",
        file=sys.stderr,
    )
    lines = []
    reference = np.array([baseline.reference[z] for z in basis.elements])
    for spec in solvers:
        by_cost = spec.startswith("cost:")
        solver = parse_solver(spec.removeprefix("cost:"))
        costs = evaluation_cost(basis) if by_cost else None
        problem = LeastSquares.of(training, prior=basis.prior, costs=costs)
        start = time.perf_counter()
        path = solver.solve(problem, validation=validation)
        seconds = time.perf_counter() - start
        sparse = SOLVERS[spec.removeprefix("cost:").partition(":")[0]].sparse
        for size in sizes if sparse else [held.n_columns]:
            point, _ = choose(path, f"size {size}")
            potential = AcePotential(basis, path.coefficients(point).reshape(1, -1), reference)
            said = compare(potential, frames[parts == TEST])
            (e, e0, e1), (f, f0, f1) = errors(said, "energy"), errors(said, "forces")
            us = microseconds(potential, frames)
            lines.append(
                f"| {element} | {spec} | {size} | {path[point].size} | {1e3 * e:.2f} ({1e3 * e0:.2f}–{1e3 * e1:.2f}) |"
                f" {f:.4f} ({f0:.4f}–{f1:.4f}) | {us:.1f} | {seconds:.1f} |"
            )
            print(lines[-1], file=sys.stderr)
    gap, mtp = PEERS[element]
    lines.append(f"| {element} | GAP, MTP (published) | | | {gap}, {mtp} | | | |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--elements", default=",".join(ELEMENTS))
    parser.add_argument("--solvers", default="omp:penalty=evidence omp asp ard rrqr evidence")
    parser.add_argument("--sizes", default="100,300,1000")
    asked = parser.parse_args()
    sizes = [int(n) for n in asked.sizes.split(",")]
    lines = [line for e in asked.elements.split(",") for line in run(e, asked.solvers.split(), sizes)]
    print(
        "| element | solver | at most | functions | energy MAE, meV/atom (95 %) | force MAE, eV/Å (95 %) |"
        " µs/atom | path, s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
