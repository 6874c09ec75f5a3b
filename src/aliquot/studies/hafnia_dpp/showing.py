"""Tables and curves of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from aliquot.studies.hafnia_dpp.choosing import KERNELS, NAMES
from aliquot.studies.hafnia_dpp.comparing import COLUMNS, Ratio, budgets, per_split, quartiles, ratios
from aliquot.studies.record import Curve, Figure, Panel, Table
from aliquot.studies.results import Results
from aliquot.studies.statistics import interval

__all__ = ["PUBLISHED", "SCENES", "figures", "judged", "tables"]

#: Random over DPP, read off the published figure.
PUBLISHED: Final = {100: 22.5, 200: 17.0, 400: 22.5, 800: 18.1, 1600: 5.2}

SCENES: Final = {
    "trajectories": "trajectories held out",
    "redundant": "redundant pool, trajectories held out",
    "structures": "single structures held out",
    "wide": "wide descriptors, energies alone, trajectories held out",
}

_STAR: Final = (
    "Intervals: 95 %, divisions resampled as if they shared nothing. * differs from 1 (p < 0.05, corrected resampled"
    " t-test over divisions, which knows that they overlap; Holm over the column)."
)

#: What chosen structures cover.
_COVERED: Final = {
    "energies": "energy_bins_percent",
    "forces": "force_bins_percent",
    "largest forces": "largest_force_bins_percent",
    "overlap, energies": "energy_overlap_percent",
    "overlap, forces": "force_overlap_percent",
    "trajectories": "groups_percent",
}


def judged(results: Results) -> Results:
    """What is judged on trajectories held out: two scenes of the same divisions."""
    return results.only(lambda row: row["scene"] in ("trajectories", "firm"))


def label_of(n: int, square: bool) -> str:
    """N as it heads a row."""
    return f"{n} = d" if square else f"{n}"


def tables(results: Results) -> tuple[Table, ...]:
    """All tables."""
    main = judged(results)
    out = [_ratio_table(main)]
    out += [_scene_table(results)]
    out += [_trials(main)]
    for regime in ("published", "evidence", "with forces", "with forces: forces"):
        out.append(_against_random(main, regime))
    out += [_uniform(main), _coverage(main)]
    return tuple(table for table in out if table.rows)


def _ratio_table(main: Results) -> Table:
    by_regime = {
        regime: ratios(main, [("random", "kdpp-cosine")], column) for regime, column in COLUMNS.items()
    }
    rows = [
        (label_of(n, square), PUBLISHED.get(n), *_cells(by_regime, "random", "kdpp-cosine", n))
        for n, square in budgets(main)
    ]
    return Table(
        "ratio",
        "Error of random selection over that of the k-DPP (cosine kernel), by fit",
        ("N", "paper (figure)", *COLUMNS),
        tuple(rows),
        f"Above 1 the DPP is better. Geometric means over draws and divisions. {_STAR}",
    )


def _cells(
    by_regime: Mapping[str, Mapping[tuple[str, str, int], Ratio]], above: str, below: str, n: int
) -> list[str | None]:
    found = (some.get((above, below, n)) for some in by_regime.values())
    return [None if one is None else one.text() for one in found]


def _scene_table(results: Results) -> Table:
    rows: list[tuple[str | None, ...]] = []
    for scene, words in SCENES.items():
        some = results.where(scene=scene)
        if scene == "trajectories" or not some.rows:
            continue
        by_regime = {
            regime: ratios(some, [("random", "kdpp-cosine")], column) for regime, column in COLUMNS.items()
        }
        rows += [
            (words, label_of(n, square), *_cells(by_regime, "random", "kdpp-cosine", n))
            for n, square in budgets(some)
        ]
    return Table(
        "ratio-elsewhere",
        "The same with other pools, tests and descriptors",
        ("what", "N", *COLUMNS),
        tuple(rows),
        f"Error of random selection over that of the k-DPP (cosine kernel). {_STAR}",
    )


def _trials(main: Results) -> Table:
    sizes = budgets(main)
    rows = [
        (NAMES[method], *(_trial(main, method, n) for n, _ in sizes))
        for method in NAMES
        if main.where(method=method).rows
    ]
    return Table(
        "trials",
        "Energies by the published solver, meV/atom: median and quartiles over trials, as published",
        ("method", *(label_of(n, square) for n, square in sizes)),
        tuple(rows),
        "Trials of all divisions together; of the kernels cosine² and RBF in half of them, not the same average.",
    )


def _trial(main: Results, method: str, n: int) -> str | None:
    low, middle, high = quartiles(main, method, n, COLUMNS["published"])
    return f"{middle:.1f} ({low:.1f}–{high:.1f})" if np.isfinite(middle) else None


def _against_random(main: Results, regime: str) -> Table:
    column, sizes = COLUMNS[regime], budgets(main)
    methods = [m for m in NAMES if main.where(method=m).rows]
    found = ratios(main, [(m, "random") for m in methods if m != "random"], column)
    rows: list[tuple[str | None, ...]] = []
    for method in methods:
        cells: list[str | None] = []
        for n, _ in sizes:
            level = float(np.exp(np.mean(list(per_split(main, "random", n, column).values()))))
            against = found.get((method, "random", n))
            star = "" if against is None or not against.differs else ("↓" if against.value < 1 else "↑")
            value = 1.0 if method == "random" else against and against.value
            cells.append(None if value is None else f"{level * value:.2f}{star}")
        rows.append((NAMES[method], *cells))
    unit = "meV/Å" if column.endswith("meV_A") else "meV/atom"
    what = "forces" if column.endswith("meV_A") else "energies"
    named = regime.split(":")[0]
    return Table(
        f"errors-{regime.replace(': ', '-').replace(' ', '-')}",
        f"RMSE of {what} on trajectories held out, fit “{named}”, {unit}",
        ("method", *(label_of(n, square) for n, square in sizes)),
        tuple(rows),
        "Geometric means; of methods drawn in some divisions only, that of random selection times the ratio in"
        " those. ↓ below and ↑ above random selection (p < 0.05, corrected resampled t-test over divisions, Holm over"
        " the methods at that N).",
    )


def _uniform(main: Results) -> Table:
    rows = [
        (
            NAMES[method],
            *(
                f"{100 * float(np.nanmean(share)):.0f} %" if len(share) else None
                for n, _ in budgets(main)
                for share in [main.where(method=method, budget=n).column("uniform_share")]
            ),
        )
        for method in KERNELS
        if main.where(method=method).rows
    ]
    return Table(
        "uniform",
        "How much of a k-DPP draw is plain random, the rank of its kernel being smaller than N",
        ("kernel", *(label_of(n, square) for n, square in budgets(main))),
        tuple(rows),
    )


def _coverage(main: Results) -> Table:
    sizes = [n for n, square in budgets(main) if not square][:3:2]
    rows = [
        (
            NAMES[method],
            label_of(n, False),
            *(
                round(float(np.nanmean(main.where(method=method, budget=n).column(c))), 1)
                for c in _COVERED.values()
            ),
        )
        for n in sizes
        for method in NAMES
        if main.where(method=method, budget=n).rows
    ]
    return Table(
        "coverage",
        "What chosen structures cover, per cent",
        ("method", "N", *_COVERED),
        tuple(rows),
        "Of 40 equal bins between the extremes of the pool, those with structures of the pool that hold a chosen one:"
        " energies per atom, root-mean-square force, largest force; overlap of the histograms of chosen structures and"
        " pool; trajectories with a chosen structure.",
    )


def figures(results: Results) -> tuple[Figure, ...]:
    """All figures."""
    main = judged(results)
    shown = ("random", "kdpp-cosine", "kmeans", "bayes", "bayes-goal", "kmedoids")
    learning = Figure(
        "learning",
        "Errors on trajectories held out; bands: 95 % intervals over divisions.",
        tuple(
            Panel(
                f"{title}",
                "structures chosen",
                "RMSE, meV/Å" if column.endswith("_A") else "RMSE, meV/atom",
                tuple(curve for m in shown if (curve := _learning(main, m, column)) is not None),
                log_x=True,
                log_y=True,
            )
            for title, column in (
                ("published solver", COLUMNS["published"]),
                ("evidence, energies alone", COLUMNS["evidence"]),
                ("with forces", COLUMNS["with forces"]),
                ("with forces: forces", COLUMNS["with forces: forces"]),
            )
        ),
    )
    present = [scene for scene in SCENES if results.where(scene=scene).rows]
    advantage = Figure(
        "advantage",
        "Error of random selection over that of the k-DPP (cosine kernel); above 1 the DPP is better.",
        tuple(
            Panel(
                SCENES[scene].split(",")[0],
                "structures chosen",
                "random / k-DPP",
                tuple(_advantages(results.where(scene=scene))),
                log_x=True,
                log_y=True,
                reference=1.0,
            )
            for scene in present
        ),
    )
    return learning, advantage


def _learning(main: Results, method: str, column: str) -> Curve | None:
    points: list[tuple[float, float, float, float]] = []
    for n, _ in budgets(main):
        values = list(per_split(main, method, n, column).values())
        if values:
            band = interval(values)
            middle, low, high = np.exp([band.value, band.low, band.high]).tolist()
            points.append((n, middle, low, high))
    return _curve(NAMES[method], points) if points else None


def _advantages(some: Results) -> list[Curve]:
    out: list[Curve] = []
    for regime, column in COLUMNS.items():
        found = ratios(some, [("random", "kdpp-cosine")], column)
        points = [(float(n), one.value, one.low, one.high) for (_, _, n), one in found.items()]
        if points:
            out.append(_curve(regime, sorted(points)))
    sizes = {n for n, _ in budgets(some)} & set(PUBLISHED)
    if sizes:
        x = tuple(sorted(sizes))
        out.append(Curve("paper (figure)", tuple(map(float, x)), tuple(PUBLISHED[n] for n in x), line=False))
    return out


def _curve(label: str, points: Sequence[tuple[float, float, float, float]]) -> Curve:
    x, y, low, high = zip(*points, strict=True)
    return Curve(label, tuple(x), tuple(y), tuple(low), tuple(high))
