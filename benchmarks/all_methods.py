"""Run every method with ``aliquot select`` on two real pools, and print what each made of them as Markdown tables.

Run ``python benchmarks/all_methods.py [--methods LIST] [--features SPEC] [--only silicon|tungsten]``. Data come from
the folder ``ALIQUOT_DATA`` (``../shared/data`` where it exists).

- *silicon*: 20 of 186 surface structures, knowing 489 strained and hot crystals and an atom (Bartók et al. 2018).
- *tungsten*: 200 of 9,691 structures, of which 64 % are one group, generalised stacking faults (Szlachta et al. 2014),
  and 222 repeat another exactly; nothing known.

Every choice is a run of the command line of its own, seed 0; features come from the cache, and Bayesian selection does
not choose again to say how much its default prior matters. Seconds are those of the choice alone, without reading and
features; one run each. Scores of forces choose from energy and force rows, all else from one row a structure. All
choices are measured with the same posterior and distances (``aliquot.selection.comparison``), as ``aliquot compare``
does.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aliquot.cli.method_spec import parse_methods
from aliquot.features import featurize
from aliquot.report.compare_tables import seconds_of
from aliquot.report.tables import number, percent, seconds
from aliquot.selection import Selection
from aliquot.selection.comparison import compare
from aliquot.structures import Frames, load, write

ALIQUOT = [sys.executable, "-c", "from aliquot.cli import main; main()"]
LIMIT = 900  # seconds that one choice may take


@dataclass(frozen=True)
class Pool:
    """A problem: candidates, what is known, how many to choose."""

    name: str
    n: int
    pool: Path
    known: Path | None


def data_folder() -> Path:
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("ALIQUOT_DATA") or default)
    if not (folder / "manifest.json").is_file():
        sys.exit(f"no reference data in {folder}; set ALIQUOT_DATA to a folder that has them")
    return folder


def unpacked(name: str, folder: Path) -> Path:
    """A set of the data folder as plain extended XYZ."""
    place = folder / f"{name}.xyz"
    place.write_bytes(lzma.decompress((data_folder() / f"{name}.xyz.xz").read_bytes()))
    return place


def silicon(folder: Path) -> Pool:
    frames = load(str(unpacked("si_gap18_core_surface", folder))).frames
    core = np.isin(frames.config_type, ["isolated_atom", "dia"])
    for name, which in (("core", core), ("pool", ~core)):
        write(folder / f"si_{name}.xyz", frames[np.flatnonzero(which)])
    return Pool("silicon", 20, folder / "si_pool.xyz", folder / "si_core.xyz")


def tungsten(folder: Path) -> Pool:
    return Pool("tungsten", 200, unpacked("w_szlachta2014", folder), None)


def chosen(label: str, case: Pool, features: str, folder: Path) -> Selection | str:
    """What ``aliquot select`` chose, or why it did not."""
    once = ("," if ":" in label else ":") + "sensitivity=false" if label.startswith("bayes") else ""
    command = [*ALIQUOT, "select", case.pool, "-n", case.n, "--method", label + once, "--features", features]
    command += ["-o", folder / "selected.xyz", "--no-report", "--force", "--json"]
    command += [] if case.known is None else ["--known", case.known]
    try:
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env={**os.environ, "ALIQUOT_CACHE": str(folder / "cache")},
        )
    except subprocess.TimeoutExpired:
        return f"not finished after {LIMIT} s"
    if done.returncode == 0:
        return Selection.from_json(json.dumps(json.loads(done.stdout)["selection"]))
    words = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no word"
    if done.returncode == 2:
        return "refused: " + words.removeprefix("aliquot: ")
    return f"FAILED with exit code {done.returncode}: {words}"


def table(
    case: Pool, pool: Frames, choices: dict[str, Selection], failed: dict[str, str], spec: str, folder: Path
):
    """One row per method."""
    known = None if case.known is None else load(str(case.known)).frames
    tables = featurize(
        spec, *([pool] if known is None else [pool, known]), cache=folder / "cache" / "features"
    )
    strength = choices["bayes"].recipe["precision"] if "bayes" in choices else None
    found = compare(tables[0], choices, known=tables[1] if known is not None else None, precision=strength)
    kinds = Counter(pool.config_type.tolist())
    (most, held), *_ = kinds.most_common()
    print(f"\n### {case.name}: {case.n} of {len(pool):,}, {0 if known is None else len(known)} known\n")
    print(
        f"| method | {most} | groups of {len(kinds)} | information (nat) | worst distance | mean distance | time |"
    )
    print("|---|---|---|---|---|---|---|")
    print(f"| *the pool* | {percent(held / len(pool))} | {len(kinds)} | | | | |")
    for i, (label, choice) in enumerate(choices.items()):
        types = Counter(pool.config_type[choice.index].tolist())
        cells = [
            label,
            percent(types[most] / len(choice)),
            len(types),
            number(float(found.total_information[i]), 4),
            number(float(found.radius[i])),
            number(float(found.mean_distance[i])),
            seconds(seconds_of(choice)),
        ]
        print("| " + " | ".join(map(str, cells)) + " |")
    for label, why in failed.items():
        print(f"| {label} | {why} | | | | | |")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--methods", default="all")
    asked.add_argument("--features", default="ace")
    asked.add_argument("--only", choices=["silicon", "tungsten"])
    given = asked.parse_args()
    labels = [spec.label for spec in parse_methods([given.methods])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for make in (silicon, tungsten):
            if given.only in (None, make.__name__):
                case = make(folder)
                pool = load(str(case.pool)).frames
                answers = {label: chosen(label, case, given.features, folder) for label in labels}
                choices = {k: v for k, v in answers.items() if isinstance(v, Selection)}
                failed = {k: v for k, v in answers.items() if isinstance(v, str)}
                table(case, pool, choices, failed, given.features, folder)


if __name__ == "__main__":
    main()
