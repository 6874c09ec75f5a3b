"""Time MaxVol beside teneva, and CUR with removal beside scikit-matter; measure the memory of MaxVol; count volumes.

Run ``python benchmarks/bench_volume.py [--large] [--cpu] [--peers FOLDER]``. Peers that are not installed beside
aliquot are looked for in FOLDER (the site-packages of another environment of the same Python); a missing one is left
out. Tables are synthetic, float64: *flat* ones are Gaussian noise, *clustered* ones have 40 clusters and a spectrum
falling as k^-1.5 in the rows, as descriptors do. ``--large`` adds 50,000 and 200,000 rows. teneva forms an N × N matrix
on the way and is left out where that does not fit into the memory that is free.

Times are the best of three (of one for the large and for scikit-matter); with ``--cpu`` those of the processor, which
do not depend on who else uses the machine, and mean most with ``OMP_NUM_THREADS=1``. Memory is what is allocated beyond
the table, by tracemalloc, over its size. Volumes are compared on 24 matrices: log|det| of aliquot's rows from its own
start less teneva's, and, started from teneva's rows, how much it gains on them.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from aliquot.information.volume import maxvol
from aliquot.selection.cur import CUR
from aliquot.table import Features

CASES = [(10_000, 211), (10_000, 668)]
LARGE = [(50_000, 211), (50_000, 668), (200_000, 211), (200_000, 668)]
KINDS = ("flat", "clustered")
TOLERANCE = 1.05  # teneva's default


def table(kind: str, n: int, d: int, seed: int = 0) -> np.ndarray:
    """Rows of a stated kind."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d))
    if kind == "flat":
        return rows
    rows += (3.0 * rng.standard_normal((40, d)))[rng.integers(40, size=n)]
    rows *= np.arange(1, d + 1) ** -1.5
    return rows @ np.linalg.qr(rng.normal(size=(d, d)))[0]


def best(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Smallest time, and the answer."""
    times, answer = [], None
    clock = time.process_time if "--cpu" in sys.argv else time.perf_counter
    for _ in range(repeats):
        start = clock()
        answer = function()
        times.append(clock() - start)
    return min(times), answer


def peak(function: Callable[[], Any]) -> int:
    """Bytes allocated at most while the function runs."""
    tracemalloc.start()
    function()
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


def free() -> int:
    """Bytes of memory that may be used."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def peer(name: str) -> Any:
    """A module, or None with a line that says so."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"{name} left out: {error}")
        return None


def volumes(kind: str, n: int, d: int, teneva: Any) -> None:
    """One line: MaxVol."""
    rows = table(kind, n, d)
    repeats = 3 if n <= 10_000 else 1
    own, found = best(lambda: maxvol(rows, tolerance=TOLERANCE), repeats)
    memory = peak(lambda: maxvol(rows, tolerance=TOLERANCE)) / rows.nbytes
    grade = max(float(found.grade(rows[a : a + 4096]).max()) for a in range(0, n, 4096))
    line = f"maxvol {kind:9s} {n:7d} x {d:3d}  aliquot {own:7.3f} s  {memory:5.2f} x input, largest |C| {grade:.3f}"
    if teneva is None:
        print(line)
    elif 8 * n * n + 4 * rows.nbytes > free():
        print(f"{line}  teneva needs {8e-9 * n * n:.0f} GB: left out")
    else:
        theirs, (_, B) = best(lambda: teneva.maxvol(rows, TOLERANCE, 10_000), repeats)
        their_memory = (
            peak(lambda: teneva.maxvol(rows, TOLERANCE, 10_000)) / rows.nbytes if n <= 10_000 else np.nan
        )
        print(
            f"{line}  teneva {theirs:7.3f} s  {their_memory:5.2f} x, {np.abs(B).max():.3f}: {theirs / own:.1f} x"
        )


def differences(teneva: Any) -> None:
    """Volumes on 24 matrices."""
    own, after = [], []
    for seed in range(6):
        for kind in KINDS:
            for n, d in ((1000, 20), (3000, 80)):
                rows = table(kind, n, d, seed)
                theirs, _ = teneva.maxvol(rows, 1.01, 10_000)

                def volume(picks: np.ndarray, rows: np.ndarray = rows) -> float:
                    return float(np.linalg.slogdet(rows[picks])[1])

                own.append(volume(maxvol(rows).pivots) - volume(theirs))
                after.append(volume(maxvol(rows, start=theirs).pivots) - volume(theirs))
    print(
        f"log|det| less teneva's on {len(own)} matrices: mean {np.mean(own):+.2f}, from {min(own):+.2f} to"
        f" {max(own):+.2f}, higher on {np.sum(np.array(own) > 0)}; started from its rows: at least {min(after):+.2e}"
    )


def removal(kind: str, n: int, d: int, picks: int, selection: Any) -> None:
    """One line: CUR."""
    rows = table(kind, n, d)
    pool, rng = Features.from_array(rows), np.random.default_rng(0)
    own, answer = best(lambda: CUR().select(pool, picks, rng=rng), 3)
    line = f"cur    {kind:9s} {n:7d} x {d:3d}, {picks} picks  aliquot {own:7.3f} s"
    if selection is None:
        print(line)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, fitted = best(lambda: selection.CUR(n_to_select=picks).fit(rows), 1)
    same = int(np.sum(np.asarray(fitted.selected_idx_) == answer.index))
    print(f"{line}  scikit-matter {theirs:7.2f} s: {theirs / own:.0f} x; {same} of {picks} picks the same")


def main() -> None:
    """Print the table."""
    arguments = sys.argv[1:]
    if "--peers" in arguments:
        sys.path.append(arguments[arguments.index("--peers") + 1])
    teneva, selection = peer("teneva"), peer("skmatter.sample_selection")
    maxvol(table("flat", 100, 5))  # compiles
    CUR().select(Features.from_array(table("flat", 100, 60)), 2, rng=np.random.default_rng(0))
    for kind in KINDS:
        for n, d in CASES + (LARGE if "--large" in arguments else []):
            volumes(kind, n, d, teneva)
    if teneva is not None:
        differences(teneva)
    for kind in KINDS:
        removal(kind, 10_000, 211, 200, selection)


if __name__ == "__main__":
    main()
