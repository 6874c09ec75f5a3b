"""Properties of silicon along a path of models, beside the DFT that it was fitted to.

First ``aliquot fit si_gap18_available.xyz -o si.ace --order 4 --degree 20 --cutoff 5.5 --smoothness 5 --weights
weights.toml --offset surface_111_pandey --solver omp:penalty=evidence,max_size=2000 --test-share 0.15`` with the
weights of the published studies (default 30/1/1; liq 10/0.66/0.25; amorph and sp 3/0.5/0.1; bc8 50/0.5/0.1; dia
60/2/2), then ``python benchmarks/silicon_along_path.py si.ace si.path.json [--sizes 100,300,…]``. Diamond; lattice and
elastic constants with atoms relaxed, surfaces relaxed without reconstruction, as ``aliquot props`` measures them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from aliquot.ace.calculator import AceCalculator
from aliquot.ace.potential import AcePotential
from aliquot.errors import AliquotError
from aliquot.properties import crystal_properties
from aliquot.solvers import Path as ModelPath

#: CASTEP, PW91: Å, GPa, J/m² (Bartók et al. 2018, and the testing framework that goes with it).
DFT = "| DFT | 5.461 | 88.6 | 153.3 | 56.3 | 72.2 | 2.17 | 1.52 | 1.57 |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("potential")
    parser.add_argument("path")
    parser.add_argument("--sizes", default="50,100,200,300,500,1000,1500,2000")
    asked = parser.parse_args()
    potential = AcePotential.load(asked.potential)
    path = ModelPath.from_dict(json.loads(Path(asked.path).read_text(encoding="utf-8"))["path"])
    print("| functions | a, Å | B | C11 | C12 | C44 | (100) | (110) | (111) |")
    print("|" + "---|" * 9)
    print(DFT)
    for size in map(int, asked.sizes.split(",")):
        point = int(np.argmin(np.abs(path.sizes - size)))
        coefficients = path.coefficients(point).reshape(potential.coefficients.shape)
        one = replace(potential, coefficients=coefficients, precision=None)
        start = time.perf_counter()
        try:
            found = crystal_properties(
                AceCalculator(one), "diamond", elements=["Si"], quantities=("eos", "elastic", "surfaces")
            )
        except AliquotError as error:
            print(f"| {path[point].size} | {error} |" + " |" * 7, flush=True)
            continue
        elastic, surfaces = found.elastic, found.surfaces
        constants = {} if elastic is None else elastic.relaxed
        bulk = None if elastic is None else elastic.bulk_modulus
        numbers = [bulk, *(constants.get(name) for name in ("C11", "C12", "C44"))]
        cells = [f"{found.lattice.a:.3f}", *("—" if x is None else f"{x:.1f}" for x in numbers)]
        cells += ["—" if face.energy is None else f"{face.energy:.2f}" for face in surfaces or ()]
        print(f"| {path[point].size} | {' | '.join(cells)} |", flush=True)
        print(
            f"{path[point].size}: {time.perf_counter() - start:.0f} s; {'; '.join(found.notes)}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
