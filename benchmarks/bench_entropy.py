"""Time the entropy methods and the set covers, beside the QUESTS package and the rate of a matrix product.

Run ``python benchmarks/bench_entropy.py [--large]``. Tables are synthetic: *rows* have one row a candidate, 40 clusters
and a spectrum falling as k^-1.5; *atoms* are structures of 8 such rows each. ``floor`` is 2 flops for every feature of
every environment and environment picked, at the rate of a float64 matrix product of the same run: what it takes to
look at every candidate once for every pick (for coverage: at every pair of environments once). ``quests`` is run by
its authors' package with the same bandwidth, where that is installed (``quests`` and ``bayesian-optimization`` from
PyPI), and picks are compared. That bandwidth is 20 times the default of ``msc``: where it is small, kernels of theirs
underflow, all novelties are infinite, and the first in the list is taken.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from aliquot.selection import Bayes, MaxEntropy, SetCover
from aliquot.selection.coverage import typical_distance
from aliquot.table import Features

CASES = [("rows", 10_000, 211, 100), ("atoms", 1_000, 60, 50)]
LARGE = [("rows", 10_000, 211, 1000), ("rows", 50_000, 211, 100)]


def table(kind: str, n: int, d: int) -> Features:
    """Candidates of a stated kind."""
    rng = np.random.default_rng(0)
    m = 8 if kind == "atoms" else 1
    rows = rng.standard_normal((n * m, d))
    rows += (3.0 * rng.standard_normal((40, d)))[rng.integers(40, size=n * m)]
    rows *= np.arange(1, d + 1) ** -1.5
    rows = rows @ np.linalg.qr(rng.normal(size=(d, d)))[0]
    if kind == "rows":
        return Features.from_array(rows)
    return Features.from_array(rows, offsets=np.arange(0, n * m + 1, m), kind="atom")


def timed(function: Callable[[], object], repeat: int = 2) -> tuple[float, object]:
    """Least seconds, and the answer."""
    best, answer = np.inf, None
    for _ in range(repeat):
        start = time.perf_counter()
        answer = function()
        best = min(best, time.perf_counter() - start)
    return best, answer


def gemm_rate(d: int) -> float:
    """Flops per second of a tile times a panel, float64; best of ten."""
    a, b = np.random.default_rng(0).normal(size=(4096, d)), np.ones((d, 128))
    return max(2 * a.size * 128 / timed(lambda: a @ b, 1)[0] for _ in range(10))


def quests(pool: Features, n: int, h: float) -> Callable[[], list[int]]:
    """The algorithm by its authors."""
    from quests.compression.fps import msc
    from quests.entropy import entropy

    parts = [np.asarray(pool.rows[a:b]) for a, b in zip(pool.offsets[:-1], pool.offsets[1:], strict=True)]
    msc(parts[:3], np.array([entropy(x, h=h) for x in parts[:3]]), 2, h=h)  # compile
    return lambda: list(msc(parts, np.array([entropy(x, h=h) for x in parts]), n, h=h))


def run(kind: str, n: int, d: int, k: int) -> None:
    """One block of the table."""
    pool, rate = table(kind, n, d), gemm_rate(d)
    rows, h = len(pool.rows), typical_distance(pool)
    per = rows // n
    print(f"\n{kind}: {n} candidates, {rows} rows × {d}, n = {k}, bandwidth {h:g}")
    scan = 2.0 * rows * per * d * k / rate
    methods = {
        "bayes entropy": (Bayes(sensitivity=False), scan),
        "entropy covariance": (MaxEntropy(), scan),
        "entropy neighbour": (MaxEntropy(score="neighbour"), scan),
        "msc coverage": (SetCover(bandwidth=h), 2.0 * rows * rows * d / rate),
        "msc quests": (SetCover(score="quests", bandwidth=20 * h), scan),
    }
    for name, (selector, floor) in methods.items():
        seconds, answer = timed(lambda s=selector: s.select(pool, k, rng=np.random.default_rng(0)))
        print(f"  {name:22s} {seconds:8.2f} s   floor {floor:7.2f} s")
    try:
        peer = quests(pool, k, 20 * h)
    except ImportError as error:
        print(f"  QUESTS left out: {error}")
        return
    seconds, picks = timed(peer, 1)
    same = len(np.intersect1d(np.array(picks), answer.index))
    print(f"  {'QUESTS msc':22s} {seconds:8.2f} s   {same} of {k} picks the same")


if __name__ == "__main__":
    for case in CASES + (LARGE if "--large" in sys.argv else []):
        run(*case)
