"""Which method, when? Over several sets, which are independent, as the repeats on one are not: each counts once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from aliquot.studies.learning_curve.advice import RELIABLE, standings_of
from aliquot.studies.learning_curve.contenders import RANDOM
from aliquot.studies.learning_curve.curves import PURPOSES, Curves, curves, labels_of_random, level, ratio
from aliquot.studies.record import Conclusion, Curve, Figure, Finding, Panel, Table
from aliquot.studies.results import Results
from aliquot.studies.statistics import Interval, holm, paired

if TYPE_CHECKING:
    from aliquot.studies.learning_curve import Settings

__all__ = ["Compared", "compared", "stand"]

Array = NDArray[np.float64]

_WORDS: Final = {"energies": "energies", "forces": "forces", "both": "energies and forces together"}
_DRAWN: Final = 7
_LEAST_SETS: Final = 5  # fewer cannot show a difference by a signed-rank test


@dataclass(frozen=True)
class Compared:
    """A method against another one over sets.

    Parameters
    ----------
    method : str
    factor : Interval
        Its errors over those of the other, median over sets.
    p : float
        Of the signed-rank test over sets, corrected for the number of methods.
    wins, losses : int
        Sets on which it has lower and higher errors.
    """

    method: str
    factor: Interval
    p: float
    wins: int
    losses: int

    @property
    def reliable(self) -> bool:
        """Whether the difference is."""
        return self.p < RELIABLE


def compared(levels: dict[str, Array], against: str, *, seed: int = 0) -> list[Compared]:
    """Every method against one, the best first.

    Parameters
    ----------
    levels : dict of str to (sets,) array
        Mean logarithms of errors.
    against : str
    seed : int

    Examples
    --------
    >>> two = compared({"a": np.log([1.0, 1.0, 1.0]), "b": np.log([0.5, 0.4, 0.625])}, "a")
    >>> two[0].method, round(two[0].factor.value, 6), two[0].wins
    ('b', 0.5, 3)
    """
    others = [name for name in levels if name != against]
    differences = {name: levels[name] - levels[against] for name in others}
    p = holm([paired(levels[name], levels[against], test_over_train=None).p for name in others])
    made = [
        Compared(
            name,
            ratio(differences[name], statistic="median", seed=seed),
            float(one),
            int(np.sum(differences[name] < 0)),
            int(np.sum(differences[name] > 0)),
        )
        for name, one in zip(others, p, strict=True)
    ]
    return sorted(made, key=lambda one: one.factor.value)


@dataclass(frozen=True, eq=False)
class _All:
    """Curves of all sets for one purpose, of the methods that have them everywhere."""

    purpose: str
    sets: tuple[str, ...]
    found: tuple[Curves, ...]
    methods: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings, results: Results, purpose: str) -> _All:
        made = {name: curves(results.where(set=name), purpose, settings.methods) for name in settings.pools}
        there = {name: one for name, one in made.items() if one is not None}
        whole = [
            name
            for name in settings.methods
            if all(name in one.logs and np.isfinite(one.logs[name]).all() for one in there.values())
        ]
        return cls(purpose, tuple(there), tuple(there.values()), tuple(whole))

    def levels(self, step: int | None = None) -> dict[str, Array]:
        """Mean over repeats of each set: over all budgets, or at one."""
        return {
            name: np.array(
                [
                    float(
                        np.mean(
                            level(one.n, one.logs[name])
                            if step is None
                            else one.logs[name][min(step, len(one.n) - 1)]
                        )
                    )
                    for one in self.found
                ]
            )
            for name in self.methods
        }

    @property
    def steps(self) -> int:
        return max(len(one.n) for one in self.found)

    def ranks(self) -> dict[str, float]:
        """Mean rank over sets and budgets; 1 is the lowest error."""
        table = np.array(
            [list(self.levels(step).values()) for step in range(self.steps)]
        )  # steps, methods, sets
        return dict(zip(self.methods, stats.rankdata(table, axis=1).mean(axis=(0, 2)).tolist(), strict=True))


def stand(settings: Settings, results: Results) -> Conclusion:
    """The conclusion over several sets."""
    every = [_All.of(settings, results, purpose) for purpose in PURPOSES]
    every = [one for one in every if one.sets]
    default = settings.default
    tables = [_standings(one, settings) for one in every]
    tables += [_against(one, default, settings.seed) for one in every if default]
    tables += [_budgets(one, settings) for one in every]
    tables += [_sets(every[-1], settings, results), _savings(every[-1])]
    findings = [found for one in every for found in _findings(one, settings)]
    return Conclusion(
        summary=_summary(every, settings),
        findings=tuple(findings),
        tables=tuple(tables),
        figures=(_figure(every, settings),),
    )


def _summary(every: Sequence[_All], settings: Settings) -> str:
    said = []
    for one in every:
        ranking = compared(one.levels(), RANDOM, seed=settings.seed)
        best = ranking[0]
        said.append(
            f"{_WORDS[one.purpose]}: {best.method} has the lowest errors, {best.factor.text(2)} times those of a random"
            f" choice (p = {best.p:.2g}, {best.wins} of {len(one.sets)} sets); reliably better than random are"
            f" {_listed([c.method for c in ranking if c.reliable and c.factor.value < 1])}, reliably worse"
            f" {_listed([c.method for c in ranking if c.reliable and c.factor.value > 1])}"
        )
        if settings.default in one.methods and settings.default != best.method:
            mine = next(c for c in ranking if c.method == settings.default)
            said[-1] += f"; the default, {mine.method}, is at {mine.factor.text(2)} (p = {mine.p:.2g})"
    text = ". ".join(part[0].upper() + part[1:] for part in said)
    return f"Over {len(every[0].sets)} sets and budgets of {_shares(settings)} of the candidates. {text}."


def _shares(settings: Settings) -> str:
    return ", ".join(f"{share:.0%}" for share in settings.shares)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _findings(one: _All, settings: Settings) -> list[Finding]:
    enough = len(one.sets) >= _LEAST_SETS
    ranking = compared(one.levels(), RANDOM, seed=settings.seed)
    best = ranking[0]
    measured = f"{best.method}: {best.factor.text(3)}, p = {best.p:.2g}, lower on {best.wins} of {len(one.sets)} sets"
    good = best.reliable and best.factor.value < 1
    made = [
        Finding(
            f"Some label-free method is reliably better than a random choice on {_WORDS[one.purpose]}",
            measured,
            good if enough or good else None,
        )
    ]
    if settings.default in one.methods:
        mine = next(c for c in ranking if c.method == settings.default)
        better = mine.reliable and mine.factor.value < 1
        made.append(
            Finding(
                f"The default, {mine.method}, is reliably better than a random choice on {_WORDS[one.purpose]}",
                f"{mine.factor.text(3)}, p = {mine.p:.2g}, lower on {mine.wins} of {len(one.sets)} sets",
                better if enough or better else None,
            )
        )
        beaten = [
            c
            for c in compared(one.levels(), settings.default, seed=settings.seed)
            if c.reliable and c.factor.value < 1
        ]
        made.append(
            Finding(
                f"No method is reliably better than the default on {_WORDS[one.purpose]}",
                ", ".join(f"{c.method} ({c.factor.text(3)}, p = {c.p:.2g})" for c in beaten) or "none is",
                not beaten if enough else None,
            )
        )
    return made


def _standings(one: _All, settings: Settings) -> Table:
    ranks, ranking = one.ranks(), compared(one.levels(), RANDOM, seed=settings.seed)
    counts = _counts(one, settings)
    rows: list[tuple[Any, ...]] = [(RANDOM, round(ranks[RANDOM], 1), "1", None, None, None)]
    rows += [
        (
            c.method,
            round(ranks[c.method], 1),
            c.factor.text(3),
            float(f"{c.p:.2g}"),
            f"{c.wins}/{c.losses}",
            f"{counts[c.method][0]}/{counts[c.method][1]}",
        )
        for c in ranking
    ]
    rows.sort(key=lambda row: row[1])
    return Table(
        f"standings-{one.purpose}",
        f"Errors of {_WORDS[one.purpose]} relative to a random choice",
        ("method", "mean rank", "error ratio", "p (Holm)", "sets lower/higher", "reliably lower/higher"),
        tuple(rows),
        f"Mean rank of {len(one.methods)} over sets and budgets. Ratio: geometric mean over budgets and repeats, median"
        f" over {len(one.sets)} sets, with 95 % intervals from resampling sets; p of Wilcoxon's signed-rank test over"
        " sets, corrected for the number of methods. Reliably: on single sets, corrected resampled t-test over repeats,"
        " p (Holm) < 0.05.",
    )


def _counts(one: _All, settings: Settings) -> dict[str, tuple[int, int]]:
    """On how many single sets each method is reliably better, and worse, than a random choice."""
    out = {name: [0, 0] for name in one.methods}
    for found in one.found:
        for standing in standings_of(found, settings.test / (1 - settings.test), seed=settings.seed):
            if standing.p < RELIABLE and standing.method in out:
                out[standing.method][0 if standing.factor.value < 1 else 1] += 1
    return {name: (a, b) for name, (a, b) in out.items()}


def _against(one: _All, default: str, seed: int) -> Table:
    ranking = compared(one.levels(), default, seed=seed) if default in one.methods else []
    return Table(
        f"default-{one.purpose}",
        f"Errors of {_WORDS[one.purpose]} relative to the default, {default}",
        ("method", "error ratio", "p (Holm)", "sets lower/higher"),
        tuple((c.method, c.factor.text(3), float(f"{c.p:.2g}"), f"{c.wins}/{c.losses}") for c in ranking),
        "As in the table before.",
    )


def _budgets(one: _All, settings: Settings) -> Table:
    by_step = [
        {c.method: c for c in compared(one.levels(step), RANDOM, seed=settings.seed)}
        for step in range(one.steps)
    ]
    order = [c.method for c in compared(one.levels(), RANDOM, seed=settings.seed)]

    def cell(c: Compared) -> str:
        return f"{c.factor.value:.2f}{'*' if c.reliable else ''}"

    heads = [f"{share:.0%}" for share in settings.shares] if len(settings.shares) == one.steps else []
    return Table(
        f"budgets-{one.purpose}",
        f"Errors of {_WORDS[one.purpose]} relative to a random choice, budget by budget",
        ("method", *(heads or [f"budget {k + 1}" for k in range(one.steps)])),
        tuple((name, *(cell(step[name]) for step in by_step)) for name in order),
        "Median over sets; budgets in parts of the candidates; * p (Holm) < 0.05 over sets.",
    )


def _sets(one: _All, settings: Settings, results: Results) -> Table:
    levels = one.levels()
    order = [c.method for c in compared(levels, RANDOM, seed=settings.seed)]
    return Table(
        "sets",
        f"Errors of {_WORDS[one.purpose]} relative to a random choice, set by set",
        ("method", *one.sets),
        tuple(
            (name, *(f"{x:.2f}" for x in np.exp(levels[name] - levels[RANDOM]).tolist())) for name in order
        ),
        "Geometric means over budgets and repeats.",
    )


def _savings(one: _All) -> Table:
    """Labels that a random choice needs for the same error, over those that the method used: median over sets."""
    rows = []
    for name in one.methods:
        if name == RANDOM:
            continue
        parts: list[list[float]] = []
        for found in one.found:
            random, mine = found.random.mean(axis=1), found.logs[name].mean(axis=1)
            parts.append(
                [
                    labels_of_random(found.longer, random, float(e)) / n
                    for e, n in zip(mine, found.n, strict=True)
                ]
            )
        median = np.median(np.array([p for p in parts if len(p) == one.steps]), axis=0)
        rows.append((name, *(f"{x:.1f}" if np.isfinite(x) else "never" for x in median)))
    rows.sort(key=lambda row: row[-2], reverse=True)
    return Table(
        "savings",
        f"Labels that a random choice needs for the same errors of {_WORDS[one.purpose]}, over those used",
        ("method", *(f"budget {k + 1}" for k in range(one.steps))),
        tuple(rows),
        "Median over sets, from the geometric mean of errors over repeats; at the smallest budget at least 1, since"
        " random choices begin there; never: not even all candidates do.",
    )


def _figure(every: Sequence[_All], settings: Settings) -> Figure:
    best = [c.method for c in compared(every[-1].levels(), RANDOM, seed=settings.seed)][:_DRAWN]
    if settings.default in every[-1].methods and settings.default not in best:
        best.append(settings.default)
    panels = []
    for one in every[:2]:
        x = tuple(float(np.median([f.n[k] / f.longer[-1] for f in one.found])) for k in range(one.steps))
        lines = []
        for name in best:
            bands = [
                ratio(one.levels(k)[name] - one.levels(k)[RANDOM], statistic="median", seed=settings.seed)
                for k in range(one.steps)
            ]
            lines.append(
                Curve(
                    name,
                    x,
                    tuple(b.value for b in bands),
                    tuple(b.low for b in bands),
                    tuple(b.high for b in bands),
                )
            )
        panels.append(
            Panel(
                _WORDS[one.purpose].capitalize(),
                "labels, part of the candidates",
                "error over that of a random choice",
                tuple(lines),
                log_x=True,
                log_y=True,
                reference=1.0,
            )
        )
    caption = (
        f"Errors relative to a random choice, medians over {len(every[0].sets)} sets with 95 % intervals from"
        " resampling sets."
    )
    return Figure("ratios", caption, tuple(panels))
