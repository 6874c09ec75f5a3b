"""Figures of the page."""

from __future__ import annotations

import numpy as np

from aliquot.studies.grade_vs_ensemble.measures import indicators, per_crystal, shown
from aliquot.studies.grade_vs_ensemble.ranking import OUTSIDE
from aliquot.studies.grade_vs_ensemble.subjects import subject_named
from aliquot.studies.record import Curve, Figure, Panel
from aliquot.studies.results import Results
from aliquot.studies.statistics import Interval, interval

__all__ = ["figures"]

#: Rows around the doubling of the error that are drawn.
AROUND = 40


def figures(results: Results, threshold: float) -> tuple[Figure, ...]:
    """All of them; ``threshold`` is the grade from which a structure is worth a label."""
    found: list[Figure] = []
    if results.where(what="ranking").rows:
        found.append(_price(results))
    if results.where(what="look").rows:
        found += [_one_run(results, threshold), _around(results, threshold)]
    return tuple(found)


def _price(results: Results) -> Figure:
    panels = tuple(_price_of(results, str(name)) for name in results.where(what="ranking").values("set"))
    return Figure(
        "price",
        "What an indicator is worth and what it costs: AUROC on all held-out structures against time beside the force"
        " call. Bars are 95 % intervals over divisions; independent ensembles of growing size are joined.",
        panels,
    )


def _price_of(results: Results, subject: str) -> Panel:
    ranked = results.where(what="ranking", kind=OUTSIDE, set=subject)
    costs = results.where(what="cost", set=subject)
    curves: dict[str, list[tuple[float, Interval]]] = {}
    for name in indicators(ranked):
        label = "independent ensembles" if name.startswith("ensemble of ") else shown(name)
        micro = interval(costs.where(indicator=name).column("us_per_atom")).value
        curves.setdefault(label, []).append(
            (max(micro, 0.01), interval(ranked.where(indicator=name).column("auroc")))
        )
    return Panel(
        subject_named(subject).name,
        "µs per atom beside the forces",
        "AUROC",
        tuple(_curve(label, points, line=len(points) > 1) for label, points in curves.items()),
        log_x=True,
    )


def _curve(label: str, points: list[tuple[float, Interval]], *, line: bool) -> Curve:
    return Curve(
        label,
        tuple(x for x, _ in points),
        tuple(y.value for _, y in points),
        tuple(y.low for _, y in points),
        tuple(y.high for _, y in points),
        line=line,
    )


def _one_run(results: Results, threshold: float) -> Figure:
    lines = {
        f"γ / {threshold:g}": ("gamma", threshold),
        "mean force error / twice its usual value": ("error_ratio", 2.0),
        "spread of the ensemble / twice its usual value": ("ensemble_ratio", 2.0),
    }
    panels: list[Panel] = []
    for crystal in per_crystal(results):
        looks = results.where(what="look", crystal=crystal)
        looks = looks.where(repeat=looks.rows[0]["repeat"])
        time = tuple(looks.column("time_fs").tolist())
        panels.append(
            Panel(
                crystal,
                "time, fs",
                "indicator or error / its threshold",
                tuple(
                    Curve(label, time, tuple((looks.column(name) / over).tolist()))
                    for label, (name, over) in lines.items()
                ),
                log_y=True,
                reference=1.0,
            )
        )
    return Figure(
        "one-run",
        "The first run of each crystal, held and then heated, until the end or until it is molten. Each line crosses 1"
        " at its threshold.",
        tuple(panels),
    )


def _around(results: Results, threshold: float) -> Figure:
    grade: list[Curve] = []
    error: list[Curve] = []
    for crystal in per_crystal(results):
        grade.append(_aligned(results, crystal, "gamma"))
        error.append(_aligned(results, crystal, "error_ratio"))
    x = "time since the mean error doubled, fs"
    return Figure(
        "around-the-doubling",
        "Median and quartiles over runs, around the look at which the mean force error doubled."
        f" Lines: the grade from which a structure is worth a label, {threshold:g}, and twice the usual error.",
        (
            Panel("largest grade of any atom", x, "γ", tuple(grade), log_y=True, reference=threshold),
            Panel("mean force error", x, "error / usual error", tuple(error), log_y=True, reference=2.0),
        ),
    )


def _aligned(results: Results, crystal: str, name: str) -> Curve:
    """A column by time since the doubling, where at least half of the runs are."""
    at: dict[int, list[float]] = {}
    spacing, runs = 1.0, 0
    for (repeat,), looks in results.where(what="look", crystal=crystal).by("repeat"):
        doubled = results.where(what="passage", crystal=crystal, repeat=repeat).column("doubled_fs")[0]
        if not np.isfinite(doubled):
            continue
        runs += 1
        time = looks.column("time_fs")
        spacing = float(time[1] - time[0])
        for offset, value in zip(np.floor((time - doubled) / spacing), looks.column(name), strict=True):
            if abs(offset) <= AROUND and np.isfinite(value):
                at.setdefault(int(offset), []).append(float(value))
    there = sorted(offset for offset, values in at.items() if 2 * len(values) >= runs)
    low, middle, high = (
        np.array([np.quantile(at[offset], (0.25, 0.5, 0.75)) for offset in there]).reshape(-1, 3).T
    )
    return Curve(
        crystal,
        tuple(offset * spacing for offset in there),
        tuple(middle.tolist()),
        tuple(low.tolist()),
        tuple(high.tolist()),
    )
