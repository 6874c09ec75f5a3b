"""Time the solvers on one compressed problem, beside scikit-learn's; and, with ``--large``, a path to 2,000 of 5,000.

Run ``python benchmarks/bench_solvers.py [--large] [--slow] FILE``. FILE is a labelled set with a column ``split``, such
as the silicon of Zuo et al. (2020): from the file to the full paths of OMP and ASP to 600 functions, with 1041 ACE
functions (degrees 25/21/17 and 25 pair functions, 6 Å), energy and force weights 30 and 1. Errors are root mean
squares of the test structures, of the model of each path that has the stated size. Times are the best of three, of the
wall and of the processor. ``--slow`` adds scikit-learn's relevance determination, which goes back to the rows.
"""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from aliquot.solvers import ARD, ASP, OMP, RRQR, TSVD, EvidenceRidge, LeastSquares, Path, Triangle

SIZE = 600


def best(run: Callable[[], Any], repeats: int = 3) -> tuple[float, float, Any]:
    """Seconds of the wall and of the processor, smallest of each, and the answer."""
    walls, processors, answer = [], [], None
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        answer = run()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors), answer


def silicon(file: str) -> tuple[LeastSquares, Triangle, dict[str, Triangle]]:
    """Training problem, validation and test triangles."""
    from aliquot.ace.basis import AceBasis
    from aliquot.ace.evaluator import AceEvaluator
    from aliquot.fitting import (
        Baseline,
        Weights,
        accumulate,
        reference_energies,
        split_at_random,
        split_by_column,
    )
    from aliquot.structures import read

    start = time.perf_counter()
    frames = read(file)
    parts = split_at_random(frames, split_by_column(frames, "split"), validation=0.15, seed=1)
    basis = AceBasis((14,), 6.0, degree=(25, 21, 17), pair_degree=25)
    reference = reference_energies(frames[np.flatnonzero(parts != "test")])
    compressed = accumulate(AceEvaluator(basis), frames, parts=parts, baseline=Baseline(reference))
    weights = {"energy": Weights(30, 0, 0), "forces": Weights(0, 1, 0)}
    problem = LeastSquares.of(
        {name: compressed.weighted({"train"}, w) for name, w in weights.items()}, prior=basis.prior
    )
    validation = compressed.weighted({"validation"}, Weights(30, 1, 0))
    test = {name: compressed.weighted({"test"}, w) for name, w in weights.items()}
    assert problem.X.shape[0] == problem.n_columns
    print(f"from the file to the triangles: {time.perf_counter() - start:.1f} s ({problem.n_rows} rows)")
    return problem, validation, test


def errors(test: dict[str, Triangle], c: np.ndarray) -> str:
    """Of √N-weighted energies (meV) and forces (meV/Å)."""
    energy, forces = (np.sqrt(t.residual(c) / t.n_rows) for t in test.values())
    return f"{1000 * energy / 30:7.1f} {1000 * forces:7.1f}"


def ours(problem: LeastSquares, validation: Triangle, test: dict[str, Triangle]) -> None:
    """Time every solver."""
    solvers = {
        "evidence": EvidenceRidge(),
        "evidence, separate noises": EvidenceRidge("separate"),
        "tsvd": TSVD(),
        "rrqr": RRQR(),
        "ard, with elimination": ARD(),
        f"omp to {SIZE}": OMP(max_size=SIZE),
        f"asp to {SIZE}, least squares": ASP(max_size=SIZE),
        f"asp to {SIZE}, tsvd": ASP(max_size=SIZE, debias="tsvd"),
    }
    print(f"{'':32s}  wall s   cpu s   steps  size  energy  forces")
    for name, solver in solvers.items():
        wall, processor, path = best(lambda s=solver: s.solve(problem, validation=validation))
        line(name, wall, processor, path, test)


def line(name: str, wall: float, processor: float, path: Path, test: dict[str, Triangle]) -> None:
    """Print times, and errors at some sizes."""
    shown = [100, 300, SIZE] if len(set(path.sizes.tolist())) > 1 else [path.n_columns]
    for k, size in enumerate(shown):
        i = int(np.argmin(np.abs(path.sizes - size))) if len(shown) > 1 else len(path) - 1
        head = f"{name:32s} {wall:7.2f} {processor:7.2f} {len(path.steps):7d}" if k == 0 else " " * 56
        print(f"{head} {path[i].size:5d} {errors(test, path.coefficients(i))}")
    if "violation" in path.findings:
        print(f"{'':32s} conditions of optimality hold to {path.findings['violation']:.1e} λ")


def peers(problem: LeastSquares, test: dict[str, Triangle], *, slow: bool) -> None:
    """Time scikit-learn on the same compressed problem."""
    from sklearn.linear_model import ARDRegression, BayesianRidge, lars_path_gram, orthogonal_mp_gram

    X, b, gamma = problem.X, problem.b, problem.prior
    runs: dict[str, Callable[[], np.ndarray]] = {
        f"orthogonal_mp_gram to {SIZE}": lambda: orthogonal_mp_gram(X.T @ X, X.T @ b, n_nonzero_coefs=SIZE),
        f"lars_path_gram (lasso) to {SIZE}": lambda: lars_path_gram(
            X.T @ b, X.T @ X, n_samples=1, method="lasso", max_iter=1306
        )[2][:, -1],
        "BayesianRidge on the triangle": lambda: BayesianRidge(fit_intercept=False).fit(X, b).coef_,
    }
    if slow:
        runs["ARDRegression on the triangle, 50"] = lambda: (
            ARDRegression(fit_intercept=False, max_iter=50).fit(X, b).coef_
        )
    for name, run in runs.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wall, processor, theta = best(run, 1 if "ARD" in name else 3)
        size = np.count_nonzero(theta)
        print(f"{name:32s} {wall:7.2f} {processor:7.2f} {'':7s} {size:5d} {errors(test, theta / gamma)}")


def large(d: int = 5000, size: int = 2000) -> None:
    """A path to 2,000 functions out of 5,000 candidates."""
    rng = np.random.default_rng(0)
    scale = np.geomspace(1, 1e-3, d)
    mixed = rng.standard_normal((d, d))
    mixed[:, 1:] += 0.5 * mixed[:, :-1]
    c = rng.standard_normal(d) * (rng.random(d) < 0.3) / scale
    triangle = Triangle(d)
    triangle.absorb(mixed * scale, (mixed * scale) @ c + 0.3 * rng.standard_normal(d))
    triangle.absorb(np.zeros((1, d)), np.array([10.0]))
    triangle.n_rows = 20 * d
    del mixed
    problem = LeastSquares.of(triangle)
    unit = 8 * d * d / 1e9
    problem.X.sum()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"\n{size} of {d}: one triangle takes {unit:.2f} GB, the problem has {before / unit:.1f} of it at most"
    )
    for name, solver in (("omp", OMP(max_size=size)), ("asp", ASP(max_size=size, points=50))):
        wall, processor, path = best(lambda s=solver: s.solve(problem), 1)
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        k = path.sizes[-1]
        flops = len(path.steps) * (2 * d * d + 5 * d * k) if name == "asp" else k * d * d + 4 * k * k * d
        print(
            f"{name:5s} {wall:7.1f} s wall, {processor:7.1f} s cpu, {len(path.steps)} steps to {k} functions,"
            f" about {flops / 1e9:.0f} Gflop, at most {held / unit:.1f} triangles in memory"
        )


def main() -> None:
    files = [a for a in sys.argv[1:] if not a.startswith("--")]
    if files:
        problem, validation, test = silicon(files[0])
        ours(problem, validation, test)
        peers(problem, test, slow="--slow" in sys.argv)
    if "--large" in sys.argv:
        large()


if __name__ == "__main__":
    main()
