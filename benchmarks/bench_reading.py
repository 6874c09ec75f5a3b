"""How fast is extended XYZ read, next to other readers? Run: ``python benchmarks/bench_reading.py``.

A file of 5,000 rattled silicon cells of 64 atoms (REF_energy, REF_forces, REF_virial, config_type) is written to a
temporary folder as ASE writes it. Every reader gets the same file in the same process; the best of some runs
counts, the file being in the memory of the operating system. Readers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def make_file(path: Path, n_frames: int) -> None:
    import ase.io
    from ase.build import bulk

    rng = np.random.default_rng(0)
    cell = bulk("Si", cubic=True).repeat(2)
    images = []
    for i in range(n_frames):
        atoms = cell.copy()
        atoms.rattle(0.1, rng=rng)
        atoms.info["REF_energy"] = float(rng.normal())
        atoms.info["REF_virial"] = rng.normal(size=(3, 3))
        atoms.info["config_type"] = "liquid" if i % 2 else "diamond"
        atoms.arrays["REF_forces"] = rng.normal(size=(64, 3))
        images.append(atoms)
    ase.io.write(path, images)


def read_ase(path: Path) -> Any:
    import ase.io

    return ase.io.read(path, ":")


def read_extxyz(path: Path) -> Any:
    from extxyz import read_dicts

    return read_dicts(str(path))


def read_aliquot(path: Path) -> Any:
    from aliquot.structures import read

    return read(path)


def read_aliquot_unchecked(path: Path) -> Any:
    from aliquot.structures import read

    return read(path, overlap=None)


def best(read: Callable[[Path], Any], path: Path, runs: int) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        frames = read(path)
        seconds.append(time.perf_counter() - start)
        del frames
    return min(seconds)


def check(path: Path) -> None:
    """Both readers read the same numbers."""
    ours, theirs = read_aliquot(path), read_ase(path)
    assert np.array_equal(ours.positions, np.concatenate([a.positions for a in theirs]))
    assert np.array_equal(ours.forces.values, np.concatenate([a.arrays["REF_forces"] for a in theirs]))
    assert np.array_equal(ours.energy.values, [a.info["REF_energy"] for a in theirs])
    assert np.array_equal(ours.virial.values, [a.info["REF_virial"] for a in theirs])


def fresh(module: str, call: str, path: Path) -> float:
    """Seconds of a whole new process that reads the file: imports included."""
    code = f"import sys; from {module} import read; read(sys.argv[1]{call})"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.xyz"
        make_file(path, options.frames)
        check(path)
        size = path.stat().st_size / 2**20
        print(
            f"{options.frames} frames of 64 atoms, {size:.0f} MB, {os.cpu_count()} cores; best of {options.runs}"
        )
        seconds: dict[str, float] = {}
        for name, read in (
            ("ase.io.read", read_ase),
            ("extxyz.read_dicts", read_extxyz),
            ("aliquot.read", read_aliquot),
            ("aliquot.read, overlap=None", read_aliquot_unchecked),
        ):
            try:
                seconds[name] = best(read, path, options.runs)
            except ImportError as error:
                print(f"{name:28} not installed ({error})")
                continue
            ratio = seconds["ase.io.read"] / seconds[name]
            rate = options.frames / seconds[name]
            print(f"{name:28} {seconds[name]:7.3f} s {rate:9.0f} frames/s {ratio:6.1f} x ase.io.read")
        a, b = fresh("ase.io", ", ':'", path), fresh("aliquot", "", path)
        print(f"in a new process, imports included: ase {a:.2f} s, aliquot {b:.2f} s, {a / b:.1f} x")


if __name__ == "__main__":
    main()
