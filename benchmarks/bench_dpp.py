"""Time draws of a k-DPP: the first, with everything it prepares, and each further one; beside DPPy.

Run ``python benchmarks/bench_dpp.py [--full] [--growth] [--kernels] [--only]``. Tables are synthetic,
float64. *flat* ones are Gaussian noise with eigenvalues near 1; *structured* ones have 40 clusters and a spectrum
falling as k^-1.5 in the rows, as descriptors do. DPPy is asked twice: with the rows (its dual, d × d) and, with
``--full``, with the N × N matrix, which takes minutes; its polynomials are not kept in logarithms, and overflow where
the spectrum is long: it then fails.
``--growth`` adds linear pools of up to a million candidates without the peer: what a further draw costs must not grow.
(Eigenvectors of the largest are more than is held in memory, and are computed from the rows, entry by entry.)
``--kernels`` times an rbf kernel, exactly and by Nyström's approximation.  ``--only`` leaves out the rest.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from aliquot.selection.dpp_kernel import KernelChoice
from aliquot.selection.dpp_sampling import FixedSize
from aliquot.table import Features

CASES = [("flat", 10_000, 668, 500), ("structured", 10_000, 668, 500), ("flat", 10_000, 211, 100)]
GROWTH = [("structured", n, 211, 100) for n in (10_000, 100_000, 1_000_000)]
KERNELS = [("rbf", 3_000, 64, 100), ("rbf", 20_000, 64, 100)]


def table(kind: str, n: int, d: int) -> np.ndarray:
    """Rows of a stated kind."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, d))
    if kind == "flat":
        return rows / np.sqrt(n)
    centres, label = 3.0 * rng.standard_normal((40, d)), rng.integers(40, size=n)
    turn = np.arange(1, d + 1)[:, None] ** -1.5 * np.linalg.qr(rng.normal(size=(d, d)))[0]
    for start in range(0, n, 10_000):  # in place
        part = rows[start : start + 10_000]
        part[:] = (part + centres[label[start : start + 10_000]]) @ turn
    return rows


def timed(function: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and the answer."""
    start = time.perf_counter()
    answer = function()
    return time.perf_counter() - start, answer


def own(rows: np.ndarray, k: int, kernel: str = "linear", rounds: int = 3) -> tuple[float, float]:
    """Seconds of the first draw, best of some, and of a further one, best of nine."""
    firsts, rng, n = [], np.random.default_rng(0), len(rows)
    choice = KernelChoice(kernel, None, None, None, 10_000, 1_000)
    pool = Features.from_array(rows)
    for _ in range(rounds):
        start = time.perf_counter()
        process = FixedSize(choice.likelihood(pool, np.arange(n), None, least=k).spectrum, k)
        process.draw(rng=rng)
        firsts.append(time.perf_counter() - start)
    return min(firsts), min(timed(lambda: process.draw(rng=rng))[0] for _ in range(9))


def dppy(rows: np.ndarray, k: int, *, full: bool) -> tuple[float, float]:
    """Seconds of DPPy's first draw and of a further one; the best of three and two, or of one with the matrix."""
    from dppy.finite_dpps import FiniteDPP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        firsts, further, rounds = [], [], 1 if full else 3
        for seed in range(rounds):
            start = time.perf_counter()
            peer = FiniteDPP("likelihood", **({"L": rows @ rows.T} if full else {"L_gram_factor": rows.T}))
            peer.sample_exact_k_dpp(size=k, random_state=seed)
            firsts.append(time.perf_counter() - start)
            start = time.perf_counter()
            peer.sample_exact_k_dpp(size=k, random_state=99)
            further.append(time.perf_counter() - start)
        return min(firsts), min(further)


def run(kind: str, n: int, d: int, k: int, peers: list[str], *, rounds: int = 5) -> None:
    """One block of the table."""
    rows = table(kind, n, d)
    first, further = own(rows, k, rounds=rounds)
    print(f"{kind:11s} {n:7d} x {d:4d}, {k:4d}  aliquot      first {first:8.2f} s  further {further:8.3f} s")
    for peer in peers:
        try:
            a, b = dppy(rows, k, full=peer == "N x N")
        except ImportError as error:
            print(f"    DPPy left out: {error}")
            return
        except (ValueError, FloatingPointError) as error:
            print(f"{'':31s} DPPy {peer:7s} fails: {str(error)[:60]}")
            continue
        ratios = f"(first {a / first:.0f} x, further {b / further:.0f} x as long)"
        print(f"{'':31s} DPPy {peer:7s} first {a:8.2f} s  further {b:8.3f} s  {ratios}")


def main() -> None:
    """Print the table."""
    arguments = sys.argv[1:]
    for case in CASES if "--only" not in arguments else []:
        run(*case, ["d x d", *(["N x N"] if "--full" in arguments else [])])
    for case in GROWTH if "--growth" in arguments else []:
        run(*case, [], rounds=1)
    for kernel, n, d, k in KERNELS if "--kernels" in arguments else []:
        first, further = own(table("structured", n, d), k, kernel, rounds=1)
        print(
            f"{kernel:11s} {n:7d} x {d:4d}, {k:4d}  aliquot      first {first:8.2f} s  further {further:8.3f} s"
        )


if __name__ == "__main__":
    main()
