"""Which method should choose among these data, and how sure is that? The lowest curve, if it is reliably lower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.learning_curve.contenders import RANDOM
from aliquot.studies.learning_curve.curves import COLUMNS, Curves, curves, labels_of_random, level, ratio
from aliquot.studies.record import Conclusion, Curve, Figure, Finding, Panel, Table
from aliquot.studies.results import Results
from aliquot.studies.statistics import Interval, holm, interval, paired

if TYPE_CHECKING:
    from aliquot.studies.learning_curve import Settings

__all__ = ["Standing", "advise", "chances", "standings_of"]

Array = NDArray[np.float64]

#: Holm's p-value below which a difference is called reliable.
RELIABLE: Final = 0.05

_DRAWS: Final = 4000
_DRAWN: Final = 5  # methods of a figure beside the random choice


@dataclass(frozen=True)
class Standing:
    """A method on one set.

    Parameters
    ----------
    method : str
    factor : Interval
        Its errors over those of a random choice, averaged over budgets.
    p : float
        Of the difference to a random choice, corrected for the number of methods.
    best, better : float
        Chances that it is the best of all, and better than a random choice.
    """

    method: str
    factor: Interval
    p: float
    best: float
    better: float


def chances(levels: Array, overlap: float, *, seed: int = 0) -> Array:
    r"""Resampled mean levels, (draws, methods): repeats are drawn again, deviations widened by their overlap.

    Parameters
    ----------
    levels : (methods, repeats) array
    overlap : float
        Structures that judge over those that are chosen from; as in Nadeau and Bengio's variance of a mean of
        overlapping repeats, :math:`s^2 (1/J + n_\text{test}/n_\text{train})`.
    seed : int
    """
    J = levels.shape[1]
    drawn = np.random.default_rng(seed).integers(J, size=(_DRAWS, J))
    mean = levels.mean(axis=1)
    return mean + np.sqrt(1 + J * overlap) * (levels[:, drawn].mean(axis=2).T - mean)


def standings_of(found: Curves, overlap: float, *, seed: int = 0) -> list[Standing]:
    """Every method without a gap, the best first.

    Parameters
    ----------
    found : Curves
    overlap : float
        Structures that judge over those that are chosen from.
    seed : int
    """
    levels = {name: level(found.n, logs) for name, logs in found.logs.items() if np.isfinite(logs).all()}
    names = sorted(levels, key=lambda name: float(levels[name].mean()))
    others = [name for name in names if name != RANDOM]
    tests = [paired(levels[name], levels[RANDOM], test_over_train=overlap, seed=seed) for name in others]
    corrected = dict(zip(others, holm([test.p for test in tests]).tolist(), strict=True))
    drawn = chances(np.array([levels[name] for name in names]), overlap, seed=seed)
    first = np.bincount(np.argmin(drawn, axis=1), minlength=len(names)) / len(drawn)
    baseline = drawn[:, names.index(RANDOM)]
    return [
        Standing(
            name,
            ratio(levels[name] - levels[RANDOM], seed=seed),
            corrected.get(name, 1.0),
            float(first[k]),
            float(np.mean(drawn[:, k] < baseline)),
        )
        for k, name in enumerate(names)
    ]


def advise(settings: Settings, results: Results) -> Conclusion:
    """The conclusion on one set."""
    overlap = settings.test / (1 - settings.test)
    wanted = "both" if curves(results, "forces", settings.methods) is not None else "energies"
    purposes = ("energies", "forces", "both") if wanted == "both" else ("energies",)
    found = {purpose: curves(results, purpose, settings.methods) for purpose in purposes}
    ranked = {
        purpose: standings_of(one, overlap, seed=settings.seed) for purpose, one in found.items() if one
    }
    main = found[wanted]
    assert main is not None  # energies are always there
    advised, sentence = _advice(ranked[wanted], main)
    return Conclusion(
        summary=sentence,
        findings=tuple(_finding(purpose, ranking) for purpose, ranking in ranked.items()),
        tables=(
            *(_ranking(purpose, ranking) for purpose, ranking in ranked.items()),
            _needed(main, ranked[wanted]),
            *_groups(results, advised),
            *_failures(results),
        ),
        figures=(_figure(results, settings, ranked[wanted]),),
    )


def _advice(ranking: list[Standing], found: Curves) -> tuple[str, str]:
    """Which method, and the sentence that says so."""
    reliable = [one for one in ranking if one.p < RELIABLE and one.factor.value < 1]
    others = [one for one in ranking if one.method != RANDOM]
    if not reliable:
        best = others[0]
        said = (
            f"On these data no method is reliably better than a random choice. The lowest errors are those of"
            f" {best.method}: {_times(best)} those of a random choice (p = {best.p:.2g}, corrected for {len(others)}"
            f" methods; chance that it is better at all {_chance(best.better)})."
        )
        return best.method, said
    best = reliable[0]
    step = len(found.n) // 2
    mine = float(found.logs[best.method][step].mean())
    needs = labels_of_random(found.longer, found.random.mean(axis=1), mine)
    random = f"{needs:.0f}" if np.isfinite(needs) else f"more than {found.longer[-1]:.0f}"
    said = (
        f"Use {best.method}: with {found.n[step]:.0f} labels it does what a random choice needs {random} for. Over all"
        f" budgets its errors are {_times(best)} those of a random choice (p = {best.p:.2g}, corrected for"
        f" {len(others)} methods; confidence {_chance(best.better)} that it is better,"
        f" {_chance(best.best)} that it is the best)."
    )
    if best is not ranking[0]:
        said += f" {ranking[0].method} has lower errors still, less reliably (p = {ranking[0].p:.2g})."
    return best.method, said


def _chance(x: float) -> str:
    """A probability, as sure as resampling can be of it.

    >>> _chance(0.714), _chance(1.0)
    ('0.71', '> 0.99')
    """
    return f"{x:.2f}" if 0.01 <= x <= 0.99 else "> 0.99" if x > 0.5 else "< 0.01"


def _times(one: Standing) -> str:
    return f"{one.factor.text(2)} times"


def _finding(purpose: str, ranking: list[Standing]) -> Finding:
    good = [one for one in ranking if one.p < RELIABLE and one.factor.value < 1]
    bad = [one.method for one in ranking if one.p < RELIABLE and one.factor.value > 1]
    measured = (
        ", ".join(f"{one.method} ({one.factor.text(2)}, p = {one.p:.2g})" for one in good)
        if good
        else f"none; the lowest p is {min(one.p for one in ranking if one.method != RANDOM):.2g}"
    )
    if bad:
        measured += f"; reliably worse: {', '.join(bad)}"
    what = {"both": "energies and forces together"}.get(purpose, purpose)
    return Finding(f"Some method is reliably better than a random choice on {what}", measured, bool(good))


def _ranking(purpose: str, ranking: list[Standing]) -> Table:
    what = {"both": "Energies and forces together"}.get(purpose, purpose.capitalize())
    return Table(
        f"ranking-{purpose}",
        f"{what}: errors relative to a random choice, averaged over budgets",
        ("method", "error ratio", "p (Holm)", "chance of being better", "chance of being best"),
        tuple(
            (
                one.method,
                one.factor.text(3),
                None if one.method == RANDOM else float(f"{one.p:.2g}"),
                None if one.method == RANDOM else _chance(one.better),
                _chance(one.best),
            )
            for one in ranking
        ),
        "Ratios with 95 % intervals from resampling repeats; p and chances allow for the overlap of repeats.",
    )


def _needed(found: Curves, ranking: list[Standing]) -> Table:
    """How many labels a random choice needs for the same error."""
    random = found.random.mean(axis=1)
    rows = []
    for one in ranking:
        needs = [
            labels_of_random(found.longer, random, float(e)) for e in found.logs[one.method].mean(axis=1)
        ]
        told = [
            round(x)
            if np.isfinite(x) and x > found.n[0]
            else (f"> {found.longer[-1]:.0f}" if not np.isfinite(x) else f"≤ {found.n[0]:.0f}")
            for x in needs
        ]
        rows.append((one.method, *told))
    return Table(
        "labels",
        "Labels that a random choice needs to do as well",
        ("method", *(f"{n:.0f} labels" for n in found.n)),
        tuple(rows),
        "From the geometric mean of errors over repeats, interpolated; the largest number is all candidates.",
    )


def _groups(results: Results, advised: str) -> tuple[Table, ...]:
    """Errors of every group at the largest budget: random, advised, everything labelled."""
    names = [name for name in results.values("group") if name != "all"]
    if not names:
        return ()
    last = int(max(results.where(method=advised).column("step")))
    top = int(max(results.where(method=RANDOM).column("step")))
    at = {
        f"{RANDOM}": results.where(method=RANDOM, step=last),
        advised: results.where(method=advised, step=last),
        "all labelled": results.where(method=RANDOM, step=top),
    }
    n = round(float(at[advised].column("n").mean()))
    tables = []
    for purpose, column in COLUMNS.items():
        if not np.isfinite(results.column(column)).any():
            continue
        rows = tuple(
            (
                name or "(none)",
                *(
                    interval(some.where(group=name).column(column), statistic="rms").text(3)
                    for some in at.values()
                ),
            )
            for name in ("all", *sorted(names))
        )
        unit = "meV/atom" if purpose == "energies" else "meV/Å"
        tables.append(
            Table(
                f"types-{purpose}",
                f"RMSE of {purpose} by type with {n} labels, {unit}",
                ("type", *at),
                rows,
                "Root mean square over repeats, with 95 % intervals.",
            )
        )
    return tuple(tables)


def _failures(results: Results) -> tuple[Table, ...]:
    failed = results.only(lambda row: "failed" in row)
    rows = tuple((name, len(some.rows), str(some.rows[0]["failed"])) for (name,), some in failed.by("method"))
    return (
        (Table("refused", "Methods that could not choose", ("method", "repeats", "why"), rows),)
        if rows
        else ()
    )


def _figure(results: Results, settings: Settings, ranking: list[Standing]) -> Figure:
    shown = [RANDOM, *[one.method for one in ranking if one.method != RANDOM][:_DRAWN]]
    panels = []
    for purpose, unit in (("energies", "meV/atom"), ("forces", "meV/Å")):
        found = curves(results, purpose, settings.methods)
        if found is not None:
            panels.append(
                Panel(
                    purpose.capitalize(),
                    "labels",
                    f"RMSE, {unit}",
                    tuple(_curve(name, found, settings.seed) for name in shown),
                    log_x=True,
                    log_y=True,
                )
            )
    caption = (
        f"Errors on structures set aside against labels: a random choice and the {len(shown) - 1} methods with the"
        f" lowest errors of {len(ranking) - 1}. Geometric means over {settings.repeats} repeats with 95 % intervals."
    )
    return Figure("curves", caption, tuple(panels))


def _curve(name: str, found: Curves, seed: int) -> Curve:
    x, logs = (found.longer, found.random) if name == RANDOM else (found.n, found.logs[name])
    bands = [ratio(row, seed=seed) for row in logs]
    return Curve(
        name,
        tuple(x.tolist()),
        tuple(b.value for b in bands),
        tuple(b.low for b in bands),
        tuple(b.high for b in bands),
    )
