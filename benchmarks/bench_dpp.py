"""Time draws of a k-DPP: the first, with everything it prepares, and each further one; beside DPPy.

Run ``python benchmarks/bench_dpp.py [--full] [--growth]``. Tables are synthetic, float64, linear kernel. *flat* ones
are Gaussian noise with eigenvalues near 1; *structured* ones have 40 clusters and a spectrum falling as k^-1.5 in the
rows, as descriptors do. DPPy is asked twice: with the rows (its dual, d × d) and, with ``--full``, with the N × N
matrix, which takes minutes; its polynomials are not kept in logarithms, and overflow where the spectrum is long: it
then fails. ``--growth`` adds pools of up to 200,000 candidates without the peer.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

from aliquot.information.kernel import Kernel
from aliquot.information.likelihood import likelihood
from aliquot.selection.dpp_sampling import FixedSize
from aliquot.table import Features

CASES = [("flat", 10_000, 668, 500), ("structured", 10_000, 668, 500), ("flat", 10_000, 211, 100)]
GROWTH = [("structured", n, 211, 100) for n in (10_000, 50_000, 200_000)]


def table(kind: str, n: int, d: int) -> np.ndarray:
    """Rows of a stated kind."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, d))
    if kind == "flat":
        return rows / np.sqrt(n)
    rows += (3.0 * rng.standard_normal((40, d)))[rng.integers(40, size=n)]
    rows *= np.arange(1, d + 1) ** -1.5
    return rows @ np.linalg.qr(rng.normal(size=(d, d)))[0]


def timed(function: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and the answer."""
    start = time.perf_counter()
    answer = function()
    return time.perf_counter() - start, answer


def own(rows: np.ndarray, k: int) -> tuple[float, float]:
    """Seconds of the first draw, best of three, and of a further one, median of nine."""
    firsts, rng = [], np.random.default_rng(0)
    for _ in range(3):
        start = time.perf_counter()
        pool = Features.from_array(rows)
        process = FixedSize(likelihood(pool, np.arange(len(rows)), kernel=Kernel()).spectrum, k)
        process.draw(rng=rng)
        firsts.append(time.perf_counter() - start)
    return min(firsts), float(np.median([timed(lambda: process.draw(rng=rng))[0] for _ in range(9)]))


def dppy(rows: np.ndarray, k: int, *, full: bool) -> tuple[float, float]:
    """Seconds of DPPy's first and second draw."""
    from dppy.finite_dpps import FiniteDPP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        peer = FiniteDPP("likelihood", **({"L": rows @ rows.T} if full else {"L_gram_factor": rows.T}))
        peer.sample_exact_k_dpp(size=k, random_state=0)
        first = time.perf_counter() - start
        return first, timed(lambda: peer.sample_exact_k_dpp(size=k, random_state=1))[0]


def run(kind: str, n: int, d: int, k: int, peers: list[str]) -> None:
    """One block of the table."""
    rows = table(kind, n, d)
    first, further = own(rows, k)
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
        ratios = f"({a / first:.0f} x and {b / further:.0f} x as long)"
        print(f"{'':31s} DPPy {peer:7s} first {a:8.2f} s  further {b:8.3f} s  {ratios}")


def main() -> None:
    """Print the table."""
    arguments = sys.argv[1:]
    for case in CASES:
        run(*case, ["d x d", *(["N x N"] if "--full" in arguments else [])])
    for case in GROWTH if "--growth" in arguments else []:
        run(*case, [])


if __name__ == "__main__":
    main()
