"""How many functions does a sparse model need to be as good as a dense one of a total degree? On the Zuo elements.

Run ``python benchmarks/sparse_against_dense.py [--elements Si,Mo] [--solver ard | cost:ard]``. Dense models (all
functions of a degree, coefficients of the largest evidence) of growing degree are fitted as in ``bench_fit.py``; the
sparse path chooses from the functions of degrees 25/21/17. For each dense model the smallest sparse one is taken whose
error on the *validation* structures is not larger, and both are judged by the test structures. Times are those of
energy, forces and virial per atom on one core, neighbours given, measured one after the other.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.cli.fit_job import parse_solver
from aliquot.fitting import (
    TEST,
    TRAIN,
    VALIDATION,
    Baseline,
    accumulate,
    candidate_basis,
    compare,
    evaluation_cost,
    reference_energies,
    split_at_random,
    split_by_column,
)
from aliquot.solvers import EvidenceRidge, LeastSquares, Path, Triangle
from aliquot.structures import Frames
from bench_fit import ELEMENTS, WEIGHTS, errors, load, microseconds

DENSE = ((10, 9, 8), (12, 10, 9), (14, 12, 10), (16, 14, 12), (18, 16, 14), (20, 18, 15), (25, 21, 17))


def triangles(
    basis: AceBasis, frames: Frames, parts: np.ndarray, baseline: Baseline
) -> tuple[Triangle, Triangle]:
    """Weighted rows of training and validation."""
    some = parts != TEST
    groups = np.full(int(some.sum()), "")
    held = accumulate(AceEvaluator(basis), frames[some], parts=parts[some], groups=groups, baseline=baseline)
    return held.weighted([TRAIN], WEIGHTS), held.weighted([VALIDATION], WEIGHTS)


def judged(
    basis: AceBasis, path: Path, point: int, reference: np.ndarray, frames: Frames
) -> tuple[float, float, float]:
    """Test errors of energies (meV/atom) and forces (eV/Å), and µs per atom."""
    potential = AcePotential(basis, path.coefficients(point).reshape(1, -1), reference)
    said = compare(potential, frames)
    return 1e3 * errors(said, "energy")[0], errors(said, "forces")[0], microseconds(potential, frames)


def run(element: str, solver: str) -> list[str]:
    """Lines of the table of one element."""
    frames, _ = load(element)
    parts = split_at_random(frames, split_by_column(frames, "split"), validation=0.15, seed=1)
    test = frames[parts == TEST]
    baseline = Baseline(reference_energies(frames[parts == TRAIN]))
    reference = np.array([baseline.reference[z] for z in frames.elements])
    cutoff = 6.0 if element in ("Si", "Ge") else None
    lines: list[str] = []
    sparse: tuple[AceBasis, Path] | None = None
    for degree in reversed(DENSE):
        basis = candidate_basis(frames.elements, degree=tuple(map(float, degree)), cutoff=cutoff)
        training, validation = triangles(basis, frames, parts, baseline)
        problem = LeastSquares.of(training, prior=basis.prior)
        dense = EvidenceRidge().solve(problem, validation=validation)
        if sparse is None:
            costs = evaluation_cost(basis) if solver.startswith("cost:") else None
            priced = LeastSquares.of(training, prior=basis.prior, costs=costs)
            sparse = basis, parse_solver(solver.removeprefix("cost:")).solve(priced, validation=validation)
        own, path = sparse
        limit = dense.errors("validation")[-1]
        good = np.flatnonzero(path.errors("validation") <= limit)
        name = "/".join(map(str, degree))
        e, f, us = judged(basis, dense, len(dense) - 1, reference, test)
        line = f"| {element} | {name} | {len(basis.functions)} | {e:.2f} | {f:.4f} | {us:.1f} |"
        if len(good):
            best = int(good[np.argmin(path.sizes[good])])
            e, f, us_sparse = judged(own, path, best, reference, test)
            share = path[best].size / len(basis.functions)
            line += f" {path[best].size} | {e:.2f} | {f:.4f} | {us_sparse:.1f} | {share:.2f} | {us_sparse / us:.2f} |"
        else:
            line += " none | | | | | |"
        lines.insert(0, line)
        print(line, file=sys.stderr)
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--elements", default=",".join(ELEMENTS))
    parser.add_argument("--solver", default="ard")
    asked = parser.parse_args()
    lines = [line for element in asked.elements.split(",") for line in run(element, asked.solver)]
    print(
        "| element | degrees | dense: functions | E, meV/atom | F, eV/Å | µs/atom |"
        " sparse: functions | E | F | µs/atom | share of functions | of time |"
    )
    print("|" + "---|" * 12)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
