"""The numbers of the study, arranged: tables of all methods and learning curves with bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.record import Curve, Figure, Panel, Table
from aliquot.studies.silicon_surfaces.measured import TOGETHER, Numbers
from aliquot.studies.silicon_surfaces.settings import CONTROLLED, TYPES, WHOLE
from aliquot.studies.statistics import Interval

__all__ = ["SHOWN", "figures", "tables"]

Array = NDArray[np.float64]

#: Methods whose curves are drawn.
SHOWN: Final = (
    "random",
    "published-kmedoids",
    "published-bayes",
    "published-fps",
    "fps",
    "bayes-energy-E",
    "bayes-energy-EF",
    "goal-surfaces-EF",
    "goal-both-EF",
)

#: Column, its heading, what summarises repeats.
_METRICS: Final = (
    (TOGETHER, "Error of (100) and (111) together, J/m²", "rms"),
    ("error_100", "Error of the (100) surface energy, J/m²", "rms"),
    ("error_110", "Error of the (110) surface energy, J/m²", "rms"),
    ("error_111", "Error of the (111) surface energy, J/m²", "rms"),
    ("energy_rmse_meV", "Energy error on the whole set (training included, as published), meV/atom", "mean"),
    ("energy_held_meV", "Energy error on the candidates set aside, meV/atom", "mean"),
    ("force_rmse_meV_per_A", "Force error on the whole set (training included, as published), meV/Å", "mean"),
    ("force_held_meV_per_A", "Force error on the candidates set aside, meV/Å", "mean"),
)


def tables(numbers: Numbers) -> tuple[Table, ...]:
    """All tables."""
    made = [_by_method(numbers, *metric) for metric in _METRICS]
    features = tuple(f for f in numbers.results.values("features") if f not in ("M", WHOLE))
    if features:
        made += [_by_features(numbers, features, *metric) for metric in (_METRICS[0], _METRICS[4])]
    return (*made, *_whole(numbers), *_by_type(numbers), _composition(numbers), *_control(numbers))


def _head(numbers: Numbers) -> tuple[str, ...]:
    return ("method", "repeats", *(f"N = {n}" for n in numbers.budgets))


def _by_method(numbers: Numbers, column: str, title: str, statistic: str) -> Table:
    rows = [
        (
            name,
            numbers.repeats(name),
            *(_text(numbers.interval(name, n, column, statistic)) for n in numbers.budgets),
        )
        for name in numbers.methods()
    ]
    what = "Root mean square" if statistic == "rms" else "Mean"
    return Table(column.replace("_", "-"), title, _head(numbers), tuple(rows), f"{what} over repeats [95 %].")


def _by_features(numbers: Numbers, features: Sequence[str], column: str, title: str, statistic: str) -> Table:
    rows = [
        (
            f"{name}, {kind}",
            numbers.repeats(name, kind),
            *(_text(numbers.interval(name, n, column, statistic, kind)) for n in numbers.budgets),
        )
        for name in numbers.methods(features[0])
        for kind in ("M", *features)
        if numbers.repeats(name, kind)
    ]
    return Table(
        f"features-{column.replace('_', '-')}",
        f"Other descriptors to choose by: {title[0].lower()}{title[1:]}",
        _head(numbers),
        tuple(rows),
        "The fit is the same; only what the method sees differs. M has all repeats, the others those stated.",
    )


def _whole(numbers: Numbers) -> list[Table]:
    """Choices from all candidates."""
    columns = (
        ("error_100", "rms"),
        ("error_111", "rms"),
        ("energy_rmse_meV", "mean"),
        ("force_rmse_meV_per_A", "mean"),
    )
    rows: list[tuple[str | int, ...]] = []
    for name in numbers.methods(WHOLE):
        cells = [
            " / ".join(
                f"{numbers.interval(name, n, c, how, WHOLE).value:.{2 if how == 'rms' else 3}g}"
                for c, how in columns
            )
            for n in numbers.budgets
        ]
        rows.append((name, numbers.repeats(name, WHOLE), *cells))
    if not rows:
        return []
    return [
        Table(
            "whole",
            "As published, from all 186: errors of (100) and (111) (J/m²) / energy (meV/atom) / forces (meV/Å)",
            ("method", "runs", *(f"N = {n}" for n in numbers.budgets)),
            tuple(rows),
            "On the whole set. Deterministic methods have one run, as in the paper, so there is nothing to test.",
        )
    ]


def _by_type(numbers: Numbers) -> list[Table]:
    n = 20 if 20 in numbers.budgets else numbers.budgets[-1]
    shown = [name for name in SHOWN if name in numbers.methods()]
    made: list[Table] = []
    for what, unit, digits in (("energy", "meV", 3), ("force", "meV_per_A", 3)):
        rows: list[tuple[str | float | None, ...]] = []
        for name in shown:
            cells = [numbers.of(name, n, f"{what}_{kind}_{unit}") for kind in ("dia", *TYPES)]
            held = [numbers.of(name, n, f"{what}_held_{kind}_{unit}") for kind in TYPES]
            whole = [_mean(one, digits) for one in cells]
            aside = ["", *(_mean(one, digits) for one in held)]
            rows.append((name, *(f"{a} / {b}" if b else a for a, b in zip(whole, aside, strict=True))))
        made.append(
            Table(
                f"types-{what}",
                f"{what.capitalize()} error by config type at N = {n}, {'meV/atom' if what == 'energy' else 'meV/Å'}:"
                " whole set / set aside",
                ("method", "dia", *TYPES),
                tuple(rows),
                "Mean over repeats. Of one 3×3 frame none is set aside.",
            )
        )
    return made


def _composition(numbers: Numbers) -> Table:
    n = 20 if 20 in numbers.budgets else numbers.budgets[-1]
    rows = [
        (
            name,
            _mean(numbers.of(name, n, "chosen"), 3),
            _mean(numbers.of(name, n, "atoms"), 4),
            *(_mean(numbers.of(name, n, f"chosen_{kind}"), 2) for kind in TYPES),
        )
        for name in numbers.methods()
    ]
    return Table(
        "chosen",
        f"What is chosen at N = {n}: structures, atoms, structures of each type (mean over repeats)",
        ("method", "structures", "atoms", *TYPES),
        tuple(rows),
        "Methods named cost have a budget of atoms, N times the mean size of a candidate, and no fixed number.",
    )


def _control(numbers: Numbers) -> list[Table]:
    rows: list[tuple[str | float | None, ...]] = []
    for name in CONTROLLED:
        for control in ("", "offset"):
            if not numbers.results.where(method=name, control=control).rows:
                continue
            energy, surface = (
                [numbers.of(name, n, column, control=control) for n in numbers.budgets]
                for column in ("energy_rmse_meV", "error_111")
            )
            cells = [f"{_mean(e, 3)} / {_mean(s, 2)}" for e, s in zip(energy, surface, strict=True)]
            rows.append((name, control or "none", *cells))
    if not rows:
        return []
    return [
        Table(
            "functional",
            "One unknown energy for the frames of the other functional: energy error on the whole set (meV/atom) /"
            " error of (111) (J/m²)",
            ("method", "offset", *(f"N = {n}" for n in numbers.budgets)),
            tuple(rows),
            "Mean over repeats.",
        )
    ]


def figures(numbers: Numbers) -> tuple[Figure, ...]:
    """Learning curves with 95 % bands."""
    shown = [name for name in SHOWN if name in numbers.methods()]
    by = {metric[0]: metric for metric in _METRICS}

    def panel(column: str, title: str, ylabel: str, *, log: bool = True) -> Panel:
        curves = [_curve(numbers, name, column, by[column][2]) for name in shown]
        return Panel(title, "structures chosen", ylabel, tuple(curves), log_x=True, log_y=log)

    made = [
        Figure(
            "surfaces",
            "Errors of relaxed surface energies against the number of structures chosen; root mean squares over"
            " repeats, bands 95 %.",
            (
                panel("error_100", "(100)", "error, J/m²"),
                panel("error_111", "(111)", "error, J/m²"),
                panel("error_100_111", "(100) and (111)", "error, J/m²"),
            ),
        ),
        Figure(
            "errors",
            "Errors of energies and forces; means over repeats, bands 95 %.",
            (
                panel("energy_rmse_meV", "energy, whole set", "RMSE, meV/atom"),
                panel("energy_held_meV", "energy, set aside", "RMSE, meV/atom"),
                panel("force_held_meV_per_A", "forces, set aside", "RMSE, meV/Å"),
            ),
        ),
    ]
    return tuple(made)


def _curve(numbers: Numbers, name: str, column: str, statistic: str) -> Curve:
    bands = [numbers.interval(name, n, column, statistic) for n in numbers.budgets]
    return Curve(
        name,
        tuple(float(n) for n in numbers.budgets),
        tuple(b.value for b in bands),
        tuple(b.low for b in bands),
        tuple(b.high for b in bands),
    )


def _text(one: Interval) -> str:
    return one.text(3 if one.value >= 1 else 2) if np.isfinite(one.value) else "–"


def _mean(values: Array, digits: int) -> str:
    x = values[np.isfinite(values)]
    return f"{np.mean(x):.{digits}g}" if len(x) else "–"
