"""Choose from ten million rows on disk in a few gigabytes of memory, and say how long it takes.

    python benchmarks/demo_ten_million.py FOLDER                   # 10,000,000 × 256 float32, 10.2 GB on disk
    python benchmarks/demo_ten_million.py FOLDER --rows 100000     # a rehearsal

The rows are made here: sixty-four directions whose strength falls by a fifth from one to the next, and white noise
of 10⁻³ in all directions, times a temperature of each row (log-normal, so that a few rows stand far out, as in a pool
from molecular dynamics). They are written shard by shard; stopped and run again, the script goes on.

Memory is the peak resident set of the process that chooses (VmHWM, as ru_maxrss), which begins after the store has
been written. It counts everything: the table's ids and offsets, the bounds, the tiles, the interpreter and the pages
of files that were mapped at the time. Pages that the kernel keeps in its cache after a read belong to nobody. The
part that is anonymous memory is sampled every 50 ms.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from aliquot.features.opening import open_store
from aliquot.features.writing import StoreWriter
from aliquot.selection import select
from aliquot.table import Features, Ids

CHUNK = 65_536
DIRECTIONS, FALL, NOISE = 64, 0.8, 1e-3


def write(folder: Path, rows: int, features: int) -> None:
    """Make the rows, chunk by chunk, each from a seed of its own."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((features, min(DIRECTIONS, features))))[0]
    spread = (basis * FALL ** np.arange(basis.shape[1])).T.astype(np.float32)
    start = time.perf_counter()
    with StoreWriter(folder, mode="resume", shard_rows=CHUNK) as writer:
        if writer.complete:
            return
        for first in range(writer.done, rows, CHUNK):
            n = min(CHUNK, rows - first)
            rng = np.random.default_rng([1, first])
            x = rng.standard_normal((n, len(spread)), dtype=np.float32)
            made = x @ spread + NOISE * rng.standard_normal((n, features), dtype=np.float32)
            made *= np.exp(0.5 * rng.standard_normal((n, 1), dtype=np.float32))
            ids = Ids.numbered(n, "made", first=first)
            writer.append(
                Features.from_array(made, ids=ids, recipe={"features": "demo", "directions": DIRECTIONS})
            )
            done, seconds = first + n, time.perf_counter() - start
            print(
                f"\r{done:,} of {rows:,} rows written, {seconds:.0f} s", end="", file=sys.stderr, flush=True
            )
        writer.finish()
    print(file=sys.stderr)


class Memory:
    """Peak of the resident set and of its anonymous part, in GB."""

    def __init__(self) -> None:
        self.anonymous = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.anonymous = max(self.anonymous, _status("RssAnon"))
            time.sleep(0.05)

    @property
    def resident(self) -> float:
        """Peak so far."""
        return _status("VmHWM")


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 / 1e9
    return float("nan")


def choose(folder: Path, n: int, method: str) -> dict[str, object]:
    """Choose from the store, alone in this process."""
    memory, start = Memory(), time.perf_counter()
    pool = open_store(folder)
    opened = time.perf_counter()
    resident_open = memory.resident
    begun = time.perf_counter()

    def say(stage: str, done: int, total: int) -> None:
        if done % 50 == 0:
            seconds = time.perf_counter() - begun
            print(f"{stage}: {done} of {total}, {seconds:.0f} s, {memory.resident:.2f} GB", file=sys.stderr)

    options = {"sensitivity": False} if method == "bayes" else {}
    answer = select(pool, n, method=method, progress=say, **options)
    return {
        "rows": len(pool.rows),
        "features": pool.n_features,
        "gigabytes": pool.rows.nbytes / 1e9,
        "shards": len(pool.rows.starts) - 1,  # type: ignore[attr-defined]
        "n": n,
        "method": method,
        "seconds_open": round(opened - start, 1),
        "seconds_select": round(time.perf_counter() - opened, 1),
        "timings": {k: round(v, 1) for k, v in answer.timings.items()},
        "passes": next(note for note in answer.notes if "pass" in note),
        "peak_resident_GB": round(memory.resident, 2),
        "of_which_after_opening_GB": round(resident_open, 2),
        "peak_anonymous_GB": round(memory.anonymous, 2),
        "first_picks": answer.index[:5].tolist(),
    }


def main() -> None:
    """Write, then choose in a fresh process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--method", default="bayes")
    parser.add_argument("--only-choose", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not asked.only_choose:
        write(asked.folder, asked.rows, asked.features)
        raise SystemExit(subprocess.call([sys.executable, *sys.argv, "--only-choose"]))
    print(json.dumps(choose(asked.folder, asked.n, asked.method), indent=1))


if __name__ == "__main__":
    main()
