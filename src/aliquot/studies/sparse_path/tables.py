"""Tables: errors at equal size, functions and time at equal error, published errors, stability."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from aliquot.studies.record import Table
from aliquot.studies.sparse_path.measured import Measured
from aliquot.studies.sparse_path.sets import PEERS, short
from aliquot.studies.sparse_path.solving import DENSE, EQUAL, METHODS
from aliquot.studies.statistics import Interval, holm, interval

__all__ = ["SPARSE", "VARIANTS", "savings", "tables"]

#: Methods that choose functions by what they explain.
SPARSE: Final = ("omp", "omp-evidence", "asp", "ard")

#: Methods, and how they are called when they heed costs.
VARIANTS: Final = (("omp", "omp-cost"), ("asp", "asp-cost"), ("ard", "ard-cost"))

Cells = tuple[str | float | int | None, ...]


def tables(measured: Measured) -> tuple[Table, ...]:
    """All tables."""
    return (
        _errors(measured),
        _shares(measured),
        *_equal(measured),
        _judged(measured),
        _time(measured),
        _peers(measured),
        _stability(measured),
    )


def text(found: Interval, digits: int = 3) -> str | None:
    """An interval for a cell; None where nothing was measured."""
    return None if math.isnan(found.value) else found.text(digits)


def _errors(measured: Measured) -> Table:
    sizes = tuple(n for n in (30, 100, 300, 1000) if n in measured.settings.sizes) or measured.settings.sizes
    rows: list[Cells] = []
    for name in measured.settings.sets:
        for method in measured.settings.methods:
            cells: list[str | None] = []
            for column in ("energy_mae_meV", "force_mae_meV_A"):
                cells += [text(measured.band("budget", name, method, n, column)) for n in sizes]
            rows.append((short(name), METHODS[method].label, *cells))
    heads = (*(f"energy, ≤ {n:,}" for n in sizes), *(f"forces, ≤ {n:,}" for n in sizes))
    note = (
        "Mean absolute errors of test structures, meV/atom and meV/Å, of the best model (by validation) of at most so"
        " many functions: mean over splits [95 % interval over splits]. Empty where a path was cut short."
    )
    return Table(
        "errors", "Errors at equal number of functions", ("set", "method", *heads), tuple(rows), note
    )


def _shares(measured: Measured) -> Table:
    methods = measured.methods("rrqr", *SPARSE, "omp-cost", "asp-cost", "ard-cost")
    rows = [
        (
            short(name),
            n,
            *(text(interval(measured.share(name, method, "functions", n)), 2) for method in methods),
        )
        for name in measured.settings.sets
        for n in measured.aims
    ]
    note = (
        "Functions of the smallest model whose validation error is not larger than that of the dense model of a total"
        " degree of at most so many functions, as a share of the dense model's: mean over splits [95 %]. 1 where a path"
        " does not reach it."
    )
    heads = ("set", "dense, ≤", *(METHODS[method].label for method in methods))
    return Table("functions-at-equal-error", "Functions at equal validation error", heads, tuple(rows), note)


def _equal(measured: Measured) -> tuple[Table, ...]:
    methods = measured.methods(DENSE, "rrqr", *SPARSE)
    if EQUAL not in measured.settings.methods:
        return ()
    rows = [
        (short(name), n, *(text(interval(values), 2) for values in cells))
        for name in measured.settings.sets
        for n in measured.aims
        if not np.isnan(
            cells := [measured.share(name, method, "functions", n, kind="match-equal") for method in methods]
        ).any()
    ]
    note = (
        "As above, beside dense models of one degree in all orders (and as many pair functions), as far as the"
        " candidates are complete."
    )
    heads = ("set", "dense, ≤", *(METHODS[method].label for method in methods))
    title = "Functions at the validation error of dense models of one degree"
    return (Table("functions-beside-one-degree", title, heads, tuple(rows), note),)


def _judged(measured: Measured) -> Table:
    methods = measured.methods(*SPARSE, "omp-cost", "asp-cost", "ard-cost")
    rows: list[Cells] = []
    for name in measured.settings.sets:
        for column, label in (("energy_mae_meV", "energy"), ("force_mae_meV_A", "forces")):
            ratios = (interval(measured.error_ratio(name, method, column)) for method in methods)
            rows.append((short(name), label, *(text(ratio) for ratio in ratios)))
    note = (
        "Mean absolute error of test structures of the models of the table above, over that of the dense model whose"
        f" validation error they reach; geometric mean over dense models of {', '.join(map(str, measured.aims))}"
        " functions, mean over splits [95 %]."
    )
    heads = ("set", "error", *(METHODS[method].label for method in methods))
    return Table(
        "test-at-equal-error", "What the test says of equal validation error", heads, tuple(rows), note
    )


def savings(measured: Measured) -> dict[tuple[str, str], float]:
    """Corrected p of the difference in time that costs make, by set and method; one family of tests."""
    compared = [
        (name, plain, priced)
        for name in measured.settings.sets
        for plain, priced in VARIANTS
        if measured.methods(plain, priced) == (plain, priced)
    ]
    ps: list[float] = []
    for name, plain, priced in compared:
        own, other = (np.log(measured.shares(name, method, "us_per_atom")) for method in (plain, priced))
        found = measured.difference(name, other, own)
        ps.append(1.0 if found is None else found.p)
    corrected = holm(ps).tolist() if ps else []
    return {(name, plain): p for (name, plain, _), p in zip(compared, corrected, strict=True)}


def _time(measured: Measured) -> Table:
    rows: list[Cells] = []
    priced = dict(VARIANTS)
    for (name, plain), p in savings(measured).items():
        own, other = (measured.shares(name, method, "us_per_atom") for method in (plain, priced[plain]))
        ratio = measured.shares(name, priced[plain], "cost") / measured.shares(name, plain, "cost")
        cells = [text(interval(x), 2) for x in (own, other, other / own, ratio)]
        rows.append((short(name), METHODS[plain].label, *cells, _p(p)))
    note = (
        "Time of evaluation, measured, of the models of equal validation error, over that of the dense ones (geometric"
        " mean over dense models); time and modelled cost of the variant that heeds costs over those of the plain one."
        " p: corrected resampled test of the logarithm of the time, corrected for all rows (Holm)."
    )
    return Table(
        "time-at-equal-error",
        "Time of evaluation at equal validation error",
        (
            "set",
            "method",
            "time, plain",
            "time, by cost",
            "time, by cost / plain",
            "cost, by cost / plain",
            "p",
        ),
        tuple(rows),
        note,
    )


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def _peers(measured: Measured) -> Table:
    n = measured.settings.sizes[-1]
    middle = 300 if 300 in measured.settings.sizes else n
    columns: list[tuple[str, Callable[[str], Interval]]] = [
        (
            f"{METHODS[method].label}, ≤ {size:,}",
            lambda name, method=method, size=size: measured.band(
                "budget", name, method, size, "energy_mae_meV"
            ),
        )
        for size in dict.fromkeys((middle, n))
        for method in measured.methods(DENSE, "omp-evidence", "ard")
    ]
    rows = [
        (short(name), *PEERS[name][:2], *(text(of(name)) for _, of in columns))
        for name in measured.among(tuple(PEERS))
    ]
    return Table(
        "published",
        "Beside GAP and MTP",
        ("element", "GAP", "MTP", *(head for head, _ in columns)),
        tuple(rows),
        "Mean absolute energy errors of the same test structures, meV/atom; GAP and MTP as published with the set.",
    )


def _stability(measured: Measured) -> Table:
    rows: list[Cells] = []
    for method in measured.methods("rrqr", *SPARSE, "omp-cost", "asp-cost", "ard-cost"):
        for n in measured.settings.stability:
            cells: list[str | None] = []
            for name in measured.settings.sets:
                both = measured.overlaps(name, method, n)
                cells.append(None if both is None else f"{both[0].value:.2f}, {both[1].value:.2f}")
            rows.append((METHODS[method].label, n, *cells))
    note = (
        "Mean over all pairs of splits of the Jaccard index of the functions chosen (shared over all), and of the"
        " overlap beyond chance (Kuncheva: 1 if the same, 0 as by chance), at equal size."
    )
    heads = ("method", "functions", *(short(name) for name in measured.settings.sets))
    return Table("stability", "Do splits choose the same functions?", heads, tuple(rows), note)
