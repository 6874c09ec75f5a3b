"""Rate and price of generated structures: how many an hour, and what one costs as the set grows.

Run ``python benchmarks/bench_generate.py --large FOLDER``, where FOLDER is the journal of a large set, made by
``aliquot generate W -n 10000 --folder FOLDER --workers 2``; without it one of 1,000 is made here. 32 atoms of tungsten,
default recipe. Prices are processor time per accepted structure of rounds of 64 attempts, driven by the small and by
the large set in turn, the best of several: what other programs do on the machine does not count. The last lines give
the wall time of 200,000 structures on N cores from that.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from copy import deepcopy
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from aliquot.explore import Recipe, generate
from aliquot.explore.attempt import attempts
from aliquot.explore.journal import Journal
from aliquot.explore.state import State

RECIPE = Recipe("W")
ROUND = 64


def state_of(folder: Path) -> State:
    with Journal(folder, RECIPE) as journal:
        state = journal.load()
    assert state is not None
    return state


def price(state: State) -> tuple[float, float]:
    """Processor seconds per accepted structure, and share accepted, of one round."""
    mine = deepcopy(state)
    numbers = list(range(1_000_000, 1_000_000 + ROUND))  # the same draws for both sets
    start = time.process_time()
    kept = mine.absorb(RECIPE, attempts(RECIPE, mine.drive(), numbers))
    return (time.process_time() - start) / len(kept), len(kept) / ROUND


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", type=Path, help="journal of a large set")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "small"
        start, busy = time.perf_counter(), time.process_time()
        made = generate(RECIPE, 100, folder=small)
        wall, busy = time.perf_counter() - start, time.process_time() - busy
        accepted = made.verdicts["accepted"]
        print(f"first {accepted} structures, one process: {wall:.1f} s wall, {busy:.1f} s processor")
        large = asked.large or Path(scratch) / "large"
        if asked.large is None:
            generate(RECIPE, 1000, folder=large)
        states = {"small": state_of(small), "large": state_of(large)}
    prices: dict[str, list[tuple[float, float]]] = {name: [] for name in states}
    for _ in range(asked.repeats):
        for name, state in states.items():
            prices[name].append(price(state))
    best = {name: min(found) for name, found in prices.items()}
    for name, state in states.items():
        seconds, share = best[name]
        print(
            f"{name}: {state.accepted:,} structures, entropy {state.known.entropy:.3f} (packings"
            f" {state.packed.entropy:.3f}): {1000 * seconds:.1f} ms processor per accepted structure,"
            f" {100 * share:.0f} % accepted, {3600 / seconds:,.0f} an hour and core"
        )
    ratio = best["large"][0] / best["small"][0]
    print(f"price at {states['large'].accepted:,} / price at {states['small'].accepted:,}: {ratio:.2f}")
    for cores in (1, 2, 16, 64):
        hours = 200_000 * best["large"][0] / cores / 3600
        print(f"200,000 structures on {cores} cores: {hours:.2f} h")


if __name__ == "__main__":
    main()
