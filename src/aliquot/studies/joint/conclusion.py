"""Does choosing together beat choosing apart? Levels of curves over labels, paired by repeat, rival by rival."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.joint.choosing import BAYES, INFORMED, JOINT, RANDOM
from aliquot.studies.learning_curve.curves import COLUMNS, level, ratio
from aliquot.studies.record import Conclusion, Curve, Figure, Finding, Panel, Table
from aliquot.studies.results import Results
from aliquot.studies.statistics import Interval, holm, paired

if TYPE_CHECKING:
    from aliquot.studies.joint import Settings

__all__ = ["Cell", "concluded", "rivals"]

Array = NDArray[np.float64]

_RELIABLE: Final = 0.05
_CASE: Final = "set, solver and functions"

#: What joint selection is compared with: name, and which rows it is, for a solver and k functions.
_EQUAL: Final = (
    "bayes, then sparse",
    "bayes in batches, then sparse",
    "random, then sparse",
    "random, smooth",
)
_DEARER: Final = ("bayes, all functions", "random, all functions")


@dataclass(frozen=True)
class Cell:
    """One comparison.

    Parameters
    ----------
    of : str
        Set; or set, score, solver and functions.
    purpose : str
    factor : Interval
        Errors of joint selection over those of the rival, mean over labels.
    p : float
        Corrected for the number of comparisons with this rival.
    """

    of: str
    purpose: str
    factor: Interval
    p: float

    def text(self, brief: bool) -> str:
        """Ratio, with its interval unless brief, and a star where it is reliable."""
        told = f"{self.factor.value:.2f}" if brief else self.factor.text(2)
        return f"{told}{'*' if self.p < _RELIABLE else ''}"


def rivals(solver: str, k: int) -> dict[str, Mapping[str, Any]]:
    """Rows of each rival of joint selection with a solver and k functions."""
    sparse = {"basis": solver, "functions": k}
    return {
        "bayes, then sparse": {"data": BAYES, **sparse},
        "bayes in batches, then sparse": {"data": INFORMED, **sparse},
        "random, then sparse": {"data": RANDOM, **sparse},
        "random, smooth": {"data": RANDOM, "basis": "smooth", "functions": k},
        "bayes, all functions": {"data": BAYES, "basis": "full"},
        "random, all functions": {"data": RANDOM, "basis": "full"},
    }


def _joint(solver: str, k: int) -> Mapping[str, Any]:
    return {"data": JOINT, "chosen_for": k, "chosen_by": solver, "basis": solver, "functions": k}


def _logs(results: Results, where: Mapping[str, Any], purpose: str) -> tuple[Array, Array]:
    """Labels (steps,), and logarithms of errors (steps, repeats)."""
    some = results.where(**where)
    steps = [(n, group) for (n,), group in some.by("labels")]
    logs = [
        np.log(np.array([row[COLUMNS[purpose]] for row in sorted(group.rows, key=lambda row: row["repeat"])]))
        for _, group in steps
    ]
    return np.array([n for n, _ in steps], np.float64), np.array(logs)


def _cases(settings: Settings, results: Results) -> Iterator[tuple[str, str, Results, str, int]]:
    """Set, name of the case, its rows, solver and functions."""
    for name in settings.sets:
        for score in settings.scores:
            some = results.where(set=name, score=score)
            for solver in settings.solvers:
                for k in settings.sparse:
                    of = ", ".join((name, *((score,) if len(settings.scores) > 1 else ()), f"{solver} {k}"))
                    yield name, of, some, solver, k


def _differences(settings: Settings, results: Results, rival: str) -> Iterator[tuple[str, str, str, Array]]:
    """Levels of joint selection less those of a rival: set, case, purpose, (repeats,) array."""
    for name, of, some, solver, k in _cases(settings, results):
        for purpose in COLUMNS:
            n, mine = _logs(some, _joint(solver, k), purpose)
            _, other = _logs(some, rivals(solver, k)[rival], purpose)
            yield name, of, purpose, level(n, mine) - level(n, other)


def _tested(settings: Settings, found: Mapping[tuple[str, str], Array]) -> list[Cell]:
    """Differences as ratios with their p-values, corrected for their number."""
    overlap, zero = settings.test / (1 - settings.test), np.zeros(settings.repeats)
    p = holm([paired(d, zero, test_over_train=overlap, seed=settings.seed).p for d in found.values()])
    return [
        Cell(of, purpose, ratio(difference, seed=settings.seed), float(one))
        for ((of, purpose), difference), one in zip(found.items(), p, strict=True)
    ]


def _compared(settings: Settings, results: Results, rival: str) -> tuple[list[Cell], list[Cell]]:
    """Joint selection against one rival: set by set, sparse models of all sizes and solvers together; and apart."""
    each: dict[tuple[str, str], Array] = {}
    together: dict[tuple[str, str], list[Array]] = {}
    for name, of, purpose, difference in _differences(settings, results, rival):
        each[of, purpose] = difference
        together.setdefault((name, purpose), []).append(difference)
    pooled = {key: np.mean(parts, axis=0) for key, parts in together.items()}
    return _tested(settings, pooled), _tested(settings, each)


def concluded(settings: Settings, results: Results) -> Conclusion:
    """The conclusion."""
    both = {rival: _compared(settings, results, rival) for rival in (*_EQUAL, *_DEARER)}
    cells = {rival: pooled for rival, (pooled, _) in both.items()}
    apart = {rival: each for rival, (_, each) in both.items()}
    return Conclusion(
        summary=_summary(cells),
        findings=(
            *(_beats(rival, cells[rival]) for rival in _EQUAL),
            *(_as_good(rival, cells[rival]) for rival in _DEARER),
            _data(settings, results),
        ),
        tables=(
            *(_against(cells, purpose, "set") for purpose in COLUMNS),
            *(_against(apart, purpose, _CASE) for purpose in COLUMNS),
            *(_errors(settings, results, purpose) for purpose in COLUMNS),
            _costs(settings, results),
        ),
        figures=tuple(_figure(settings, results, purpose) for purpose in COLUMNS),
    )


def _mean(cells: Sequence[Cell]) -> float:
    return float(np.exp(np.mean(np.log([cell.factor.value for cell in cells]))))


def _score(cells: Sequence[Cell]) -> tuple[int, int]:
    """How many are reliably lower, and higher."""
    sure = [cell for cell in cells if cell.p < _RELIABLE]
    return sum(cell.factor.value < 1 for cell in sure), sum(cell.factor.value > 1 for cell in sure)


def _told(cells: Sequence[Cell]) -> str:
    lower, higher = _score(cells)
    parts = [f"{name} {_mean([c for c in cells if c.purpose == name]):.2f}" for name in COLUMNS]
    return (
        f"errors over its: {', '.join(parts)} (geometric means over sets); reliably lower in {lower} and higher in"
        f" {higher} of {len(cells)} comparisons"
    )


def _summary(cells: Mapping[str, Sequence[Cell]]) -> str:
    answers = {rival: _wins(cells[rival]) for rival in _EQUAL[:3]}
    won = [rival for rival, yes in answers.items() if yes]
    lost = [rival for rival, yes in answers.items() if not yes]
    head = (
        "Yes: at equal labels and functions, alternating beats both of its parts alone."
        if not lost
        else f"No, not against {' nor '.join(f'“{rival}”' for rival in lost)}"
        + (f"; but it beats {' and '.join(f'“{rival}”' for rival in won)}" if won else "")
        + "."
    )
    return (
        head
        + " "
        + " ".join(f"Against “{rival}”, {_told(cells[rival])}." for rival in (*_EQUAL[:3], _DEARER[0]))
    )


def _wins(cells: Sequence[Cell]) -> bool:
    """Reliably lower in half of the comparisons or more, and nowhere reliably higher."""
    lower, higher = _score(cells)
    return 2 * lower >= len(cells) and not higher


def _beats(rival: str, cells: Sequence[Cell]) -> Finding:
    return Finding(
        f"Joint selection has lower errors than “{rival}” at equal labels and functions",
        _told(cells),
        _wins(cells),
    )


def _as_good(rival: str, cells: Sequence[Cell]) -> Finding:
    _, higher = _score(cells)
    return Finding(
        f"With fewer functions joint selection does as well as “{rival}” at equal labels",
        _told(cells),
        not higher and _mean(cells) <= 1.05,
    )


def _data(settings: Settings, results: Results) -> Finding:
    """Whether the data that were chosen by a sparse basis are better for all functions."""
    found: dict[tuple[str, str], list[Array]] = {}
    for name, _, some, solver, k in _cases(settings, results):
        for purpose in COLUMNS:
            mine = {"data": JOINT, "chosen_for": k, "chosen_by": solver, "basis": "full"}
            n, a = _logs(some, mine, purpose)
            _, b = _logs(some, {"data": INFORMED, "basis": "full"}, purpose)
            found.setdefault((name, purpose), []).append(level(n, a) - level(n, b))
    cells = _tested(settings, {key: np.mean(parts, axis=0) for key, parts in found.items()})
    return Finding(
        "Labels that were chosen by a sparse basis are better for a fit of all functions too",
        _told(cells),
        _wins(cells),
    )


def _against(cells: Mapping[str, Sequence[Cell]], purpose: str, what: str) -> Table:
    some = {rival: [c for c in found if c.purpose == purpose] for rival, found in cells.items()}
    first = next(iter(some.values()))
    apart = what == _CASE
    return Table(
        f"{'cases' if apart else 'against'}-{purpose}",
        f"Errors of {purpose} of joint selection over those of its rivals"
        + (", by solver and functions" if apart else ""),
        (what, *some),
        tuple(
            (cell.of, *(found[row].text(apart) for found in some.values())) for row, cell in enumerate(first)
        ),
        "Mean over numbers of labels, on logarithmic axes"
        + ("" if apart else ", and over solvers and numbers of functions, with 95 % intervals")
        + "; * p < 0.05 by the corrected resampled t-test over repeats, corrected by Holm for all comparisons with a"
        " rival. The last two rivals evaluate all functions.",
    )


def _errors(settings: Settings, results: Results, purpose: str) -> Table:
    """Errors at the largest number of labels."""
    n = settings.labels[-1]
    rows: list[tuple[str, ...]] = []
    for _, of, some, solver, k in _cases(settings, results):
        ways = {JOINT: _joint(solver, k), **rivals(solver, k)}
        logs = [_logs(some, {**where, "labels": n}, purpose)[1][0] for where in ways.values()]
        rows.append((of, *(ratio(one, seed=settings.seed).text(3) for one in logs)))
    unit = "meV/atom" if purpose == "energies" else "meV/Å"
    return Table(
        f"errors-{purpose}",
        f"RMSE of {purpose} with {n} labels, {unit}",
        (_CASE, JOINT, *rivals("", 0)),
        tuple(rows),
        "Geometric means over repeats, with 95 % intervals from resampling them.",
    )


def _costs(settings: Settings, results: Results) -> Table:
    rows: list[tuple[Any, ...]] = []
    for name in settings.sets:
        some = results.where(set=name)
        full = some.where(basis="full")
        cost = float(full.column("multiplications").mean())
        rows.append((name, "all functions", int(full.rows[0]["functions"]), round(cost), "1"))
        for basis in (*settings.solvers, "smooth"):
            for k in settings.sparse:
                mine = some.where(basis=basis, functions=k).column("multiplications").mean()
                rows.append((name, basis, k, round(float(mine)), f"{mine / cost:.2f}"))
    return Table(
        "costs",
        "Multiplications per atom and evaluation",
        ("set", "basis", "functions", "multiplications", "share"),
        tuple(rows),
        "By the cost model of `aliquot fit` at 40 neighbours, mean over all data.",
    )


def _figure(settings: Settings, results: Results, purpose: str) -> Figure:
    solver, k = settings.solvers[-1], settings.sparse[-1]
    ways = {JOINT: _joint(solver, k), **rivals(solver, k)}
    panels: list[Panel] = []
    for name in settings.sets:
        some = results.where(set=name, score=settings.scores[0])
        lines: list[Curve] = []
        for label, where in ways.items():
            n, logs = _logs(some, where, purpose)
            bands = [ratio(row, seed=settings.seed) for row in logs]
            ends = [(b.value, b.low, b.high) for b in bands]
            y, low, high = zip(*ends, strict=True)
            lines.append(Curve(label, tuple(n.tolist()), y, low, high))
        unit = "meV/atom" if purpose == "energies" else "meV/Å"
        panels.append(Panel(name, "labels", f"RMSE, {unit}", tuple(lines), log_x=True, log_y=True))
    caption = (
        f"Errors of {purpose} against labels; sparse models of {k} functions by {solver}. Geometric means over"
        f" {settings.repeats} repeats with 95 % intervals."
    )
    return Figure(f"{purpose}", caption, tuple(panels))
