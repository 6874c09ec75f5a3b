"""Cut small tables for the tests out of the full reference values of python-ace.

The full folder holds, per potential, ``NAME.yaml``, ``NAME.yace``, structures ``NAME.xyz`` with energies, forces and
virials, and ``NAME_projections.npz`` with the functions of every atom (see ``tests/ace/reference_tables/README.md``).
Of these some structures and some atoms are kept::

    python scripts/freeze_reference_tables.py FULL_FOLDER --out tests/ace/reference_tables
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import ase.io
import numpy as np

#: Structures to keep, and atoms of each whose functions are kept.
KEPT = {"si_chebexpcos": ((1, 2, 3), 3), "si_sbessel": ((1,), 6), "tial_order4": ((0, 1, 2), 6)}

#: Of one potential the C-tilde form is kept too.
YACE = ("tial_order4",)


def function_table(described: list[dict], symbols: list[str]) -> np.ndarray:
    """One row per function: centre, then element + 1, n, l of up to four neighbours and two L + 1, zero where none."""
    rows = np.zeros((len(described), 15), np.int8)
    for row, f in zip(rows, described, strict=True):
        row[0] = symbols.index(f["center"])
        order = f["rank"]
        row[1 : 1 + order] = [symbols.index(s) + 1 for s in f["neighbours"]]
        row[5 : 5 + order], row[9 : 9 + order] = f["n"], f["l"]
        row[13 : 13 + len(f["L"])] = np.array(f["L"], int) + 1
    return rows


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("full", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    for name, (structures, n_atoms) in KEPT.items():
        shutil.copyfile(given.full / f"{name}.yaml", given.out / f"{name}.yaml")
        if name in YACE:
            shutil.copyfile(given.full / f"{name}.yace", given.out / f"{name}.yace")
        frames = ase.io.read(given.full / f"{name}.xyz", ":")
        ase.io.write(given.out / f"{name}.xyz", [frames[k] for k in structures], format="extxyz")
        described = json.loads((given.full / f"{name}_functions.json").read_text())
        values = np.load(given.full / f"{name}_projections.npz")
        tables = {"functions": function_table(described, sorted({f["center"] for f in described}))}
        for new, old in enumerate(structures):
            if f"projections_{old}" in values:
                rows = values[f"projections_{old}"]
                atoms = np.unique(np.linspace(0, len(rows) - 1, min(n_atoms, len(rows))).astype(int))
                tables[f"atoms_{new}"], tables[f"projections_{new}"] = atoms, rows[atoms]
        np.savez_compressed(given.out / f"{name}_projections.npz", **tables)


if __name__ == "__main__":
    main()
