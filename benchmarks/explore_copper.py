"""How many moves until one cell of copper holds nothing but new surroundings? The published kind of example.

Run ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/explore_copper.py [SEEDS]``; it reads
``zuo2020_Cu.xyz.xz`` from the folder that ``ALIQUOT_DATA`` names. Half a minute per seed and way.

108 atoms of fcc copper, γ_lo 5, γ_hi 15, no atom closer than 1.1 Å, as published; the potential is linear (110
functions, cutoff 7 Å), and its active set is of 19 structures: strained crystals and six of hot dynamics. Then, once,
of all training structures.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from ase.build import bulk

from aliquot import read
from aliquot.ace.basis import AceBasis
from aliquot.errors import InputError
from aliquot.explore import GradeSettings, explore_grades
from aliquot.fitting import Recipe, fit
from aliquot.structures import Frames
from aliquot.uncertainty import Uncertainty


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    folder = Path(os.environ.get("ALIQUOT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    frames = read(str(folder / "zuo2020_Cu.xyz.xz"))
    part = frames.frame_columns["split"].values.astype(str)
    train = frames[np.flatnonzero(part == "train")]
    basis = AceBasis(elements=(29,), cutoff=7.0, degree=(10.0, 10.0, 10.0))
    potential = fit(train, Recipe(basis=basis, choice="final")).potential
    kinds = frames.config_type
    few = np.concatenate((np.flatnonzero(kinds == "Elastic")[::10], np.flatnonzero(kinds == "AIMD-NVT")[:6]))
    crystal = Frames.from_atoms([bulk("Cu", cubic=True, a=3.63).repeat(3)])
    print(f"{np.count_nonzero(potential.coefficients)} functions, {crystal.n_atoms} atoms")
    for name, seen, count in (("few", frames[few], seeds), ("all", train, 1)):
        known = Uncertainty.build(potential, seen)
        for way in ("gradient", "simplex"):
            for seed in range(count):
                try:
                    found = explore_grades(
                        known, crystal, settings=GradeSettings(way=way, min_distance=1.1), seed=seed
                    )
                except InputError as error:
                    print(f"{name} ({len(seen)} structures), {way}, seed {seed}: {error}")
                    continue
                record = found.to_dict()
                print(
                    f"{name} ({len(seen)} structures), {way}, seed {seed}: {len(found.moves)} moves,"
                    f" {record['looks']} looks, {record['seconds']:.0f} s"
                )
                for m in found.moves:
                    print(
                        f"    median {m.median:8.3g}  largest {m.largest:8.3g}  left {m.left:4d}  looks {m.looks}"
                    )


if __name__ == "__main__":
    main()
