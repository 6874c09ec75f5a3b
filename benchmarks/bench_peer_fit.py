"""Fit silicon (Zuo et al. 2020) with ace-jax's own command and with ours: the same files, degree, cutoff and weights.

Run ``python benchmarks/bench_peer_fit.py [--degree 12] [--peer PATH/TO/aj]``. Data come from ``ALIQUOT_DATA``
(``../shared/data`` where it exists). Order 3, one total degree, cutoff 6 Å, weights 30/1/0, all training structures,
all functions, prior and noise by evidence on both sides, reference energy by least squares; each with its own radial
functions and smoothness prior. Seconds are of whole commands, start and compilation included.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ase.io import read, write

WEIGHTS = {"default": {"E": 30.0, "F": 1.0, "V": 0.0}}


def timed(command: list[str], folder: Path) -> float:
    """Seconds of a command; its words are shown where it fails."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return time.perf_counter() - start


def main() -> None:
    """Print both lines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--degree", type=int, default=12)
    parser.add_argument("--peer", default=shutil.which("aj"))
    asked = parser.parse_args()
    data = Path(os.environ.get("ALIQUOT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "all.xyz").write_bytes(lzma.decompress((data / "zuo2020_Si.xyz.xz").read_bytes()))
        every = read(folder / "all.xyz", ":")
        for part in ("train", "test"):
            some = [atoms for atoms in every if atoms.info["split"] == part]
            for atoms in some:
                atoms.calc = None
            write(folder / f"{part}.xyz", some, format="extxyz")
        ours = [
            sys.executable,
            "-c",
            "from aliquot.cli import main; main()",
            "fit",
            "train.xyz",
            "--test",
            "test.xyz",
        ]
        ours += [
            "--degree",
            str(asked.degree),
            "--pair",
            str(asked.degree),
            "--cutoff",
            "6",
            "--weights",
            "30/1/0",
        ]
        ours += [
            "--solver",
            "evidence",
            "--choose",
            "final",
            "--validation",
            "0",
            "--no-repulsion",
            "--no-report",
        ]
        ours += ["--no-lammps", "-q", "--force"]
        for turn in ("first", "again"):
            seconds = timed(ours, folder)
            record = json.loads((folder / "model.path.json").read_text())
            found = {
                e["quantity"]: e["mae"] for e in record["errors"] if e["part"] == "test" and not e["group"]
            }
            print(
                f"aliquot ({turn}): {record['size']} functions, {seconds:.1f} s, test MAE"
                f" {1e3 * found['energy']:.2f} meV/atom, {found['forces']:.4f} eV/Å",
                flush=True,
            )
        if asked.peer is None:
            print("ace-jax is not installed; name its command with --peer")
            return
        fit = [
            asked.peer,
            "fit",
            "--train",
            "train.xyz",
            "--test",
            "test.xyz",
            "--elements",
            "Si",
            "--order",
            "3",
        ]
        fit += [
            "--max-degree",
            str(asked.degree),
            "--rcut",
            "6.0",
            "--weights",
            json.dumps(WEIGHTS),
            "--e0",
            "prefit",
        ]
        fit += ["--energy-key", "REF_energy", "--force-key", "REF_forces", "--uq", "blr", "--out", "peer"]
        seconds = timed(fit, folder)
        model = next((folder / "peer").glob("*model*.npz"))
        timed([asked.peer, "eval", "--model", str(model), "--data", "test.xyz", "--out", "said.xyz"], folder)
        said, true = read(folder / "said.xyz", ":"), read(folder / "test.xyz", ":")
        energy = [
            (a.info["ace_energy"] - b.info["REF_energy"]) / len(b) for a, b in zip(said, true, strict=True)
        ]
        force = [a.arrays["ace_forces"] - b.arrays["REF_forces"] for a, b in zip(said, true, strict=True)]
        print(
            f"ace-jax: {seconds:.1f} s, test MAE {1e3 * np.mean(np.abs(energy)):.2f} meV/atom,"
            f" {np.mean(np.abs(np.concatenate(force))):.4f} eV/Å"
        )


if __name__ == "__main__":
    main()
