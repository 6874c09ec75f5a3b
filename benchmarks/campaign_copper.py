"""How many labels does a campaign need? Beside the same campaign that chooses at random.

Copper, labelled by effective medium theory. Both begin with the same 10 strained crystals of four atoms, in which no
atom feels a force, walk at 300 to 1500 K from crystals of 32 atoms under guard of the grade, choose from what their own
walks met, and are judged on the same structures from dynamics of the oracle at these temperatures, which neither sees.

    python benchmarks/campaign_copper.py [SEEDS [METHOD ...]]

prints the force error after each round, and for each seed the labels (those of the start aside) with which each method
came below 50 meV/Å, below 3 meV/Å, and below 1.05 times the last error of the first method, to stay there (5 % are
the scatter of these errors from round to round). Five seeds take a quarter of an hour on two busy cores.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from ase.calculators.emt import EMT

from aliquot.campaign import History, run, settings_from
from aliquot.campaign.example import TEMPERATURES, copper_cells, copper_start, copper_test
from aliquot.structures import write

ROUNDS, BATCH = 10, 2
GOALS = (0.05, 0.003)  # eV/Å
SCATTER = 1.05


def campaign(folder: Path, method: str, seed: int) -> History:
    """One campaign; its structures are those of the seed, whatever the method."""
    quality = {"quality": "gamma"} if method == "kdpp" else {}
    told = settings_from(
        {
            "seed": seed,
            "start": {"structures": str(folder / "start.xyz")},
            "test": {"structures": str(folder / "test.xyz")},
            "explore": {
                "structures": str(folder / "cells.xyz"),
                "temperatures": list(TEMPERATURES),
                "walkers": 2,
                "steps": 300,
                "timestep": 3.0,
                "dump": 30,
            },
            "select": {"method": method, "batch": BATCH, **quality},
            "fit": {"degree": [16, 12, 10], "cutoff": 5.0},
            "goal": {"rounds": ROUNDS},
        }
    )
    return run(told, folder / method, oracle=EMT)


def reached(history: History, error: float) -> int | None:
    """Labels beyond the start with which the error falls to this one and stays there."""
    found = None
    for one in reversed(history.rounds):
        if one.force_mae is None or one.force_mae > error:
            break
        found = one.asked - history.rounds[0].asked
    return found


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    methods = sys.argv[2:] or ["random", "bayes"]
    found: dict[str, list[list[float]]] = {method: [] for method in methods}
    spent: dict[str, list[list[int | None]]] = {method: [] for method in methods}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write(folder / "start.xyz", copper_start(10, seed=seed))
            write(folder / "cells.xyz", copper_cells(5, seed=seed))
            write(folder / "test.xyz", copper_test(6, seed=seed + 1000))
            done = {method: campaign(folder, method, seed) for method in methods}
            last = done[methods[0]].rounds[-1].force_mae or np.inf
            for method, history in done.items():
                errors = [1000 * (one.force_mae or np.nan) for one in history.rounds]
                found[method].append(errors)
                spent[method].append([reached(history, error) for error in (*GOALS, SCATTER * last)])
                print(
                    f"seed {seed}  {method:7}",
                    " ".join(f"{e:7.2f}" for e in errors),
                    spent[method][-1],
                    flush=True,
                )
    names = [
        *(f"below {1000 * goal:g} meV/Å" for goal in GOALS),
        f"below {SCATTER:g} × the last of {methods[0]}",
    ]
    print(f"\nlabels beyond the start, seed by seed (of {ROUNDS * BATCH})")
    for k, name in enumerate(names):
        for method in methods:
            print(f"  {name:32} {method:7}", *(counts[k] or "never" for counts in spent[method]))
    print(f"\nforce MAE, meV/Å, median over {seeds} seeds (smallest, largest), by labels beyond the start")
    for k in range(ROUNDS + 1):
        cells = [np.array([errors[k] for errors in found[m] if k < len(errors)]) for m in methods]
        words = [
            f"{m} {np.median(c):7.2f} ({c.min():.2f}, {c.max():.2f})"
            for m, c in zip(methods, cells, strict=True)
        ]
        print(f"{BATCH * k:4d}  " + "   ".join(words))


if __name__ == "__main__":
    main()
