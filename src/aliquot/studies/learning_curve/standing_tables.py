"""Which tables and curves show how methods compare over sets? Relative to a random choice, and to the default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from aliquot.studies.learning_curve.advice import RELIABLE, standings_of
from aliquot.studies.learning_curve.contenders import RANDOM, WITH_FORCES
from aliquot.studies.learning_curve.curves import labels_of_random, ratio
from aliquot.studies.learning_curve.everywhere import WORDS, Compared, Everywhere, compared
from aliquot.studies.record import Curve, Figure, Panel, Table

if TYPE_CHECKING:
    from aliquot.studies.learning_curve import Settings

__all__ = ["against", "budgets", "figure", "savings", "sets", "standings", "when"]

_DRAWN: Final = 7


def standings(one: Everywhere, settings: Settings) -> Table:
    """Every method against a random choice."""
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
        f"Errors of {WORDS[one.purpose]} relative to a random choice",
        ("method", "mean rank", "error ratio", "p (Holm)", "sets lower/higher", "reliably lower/higher"),
        tuple(rows),
        f"Mean rank of {len(one.methods)} over sets and budgets. Ratio: geometric mean over budgets and repeats, median"
        f" over {len(one.sets)} sets, with 95 % intervals from resampling sets; p of Wilcoxon's signed-rank test over"
        " sets, corrected for the number of methods. Reliably: on single sets, corrected resampled t-test over repeats,"
        " p (Holm) < 0.05.",
    )


def _counts(one: Everywhere, settings: Settings) -> dict[str, tuple[int, int]]:
    """On how many single sets each method is reliably better, and worse, than a random choice."""
    out = {name: [0, 0] for name in one.methods}
    for found in one.found:
        for standing in standings_of(found, settings.test / (1 - settings.test), seed=settings.seed):
            if standing.p < RELIABLE and standing.method in out:
                out[standing.method][0 if standing.factor.value < 1 else 1] += 1
    return {name: (a, b) for name, (a, b) in out.items()}


def against(one: Everywhere, default: str, seed: int) -> Table:
    """Every method against the default."""
    ranking = compared(one.levels(), default, seed=seed) if default in one.methods else []
    return Table(
        f"default-{one.purpose}",
        f"Errors of {WORDS[one.purpose]} relative to the default, {default}",
        ("method", "error ratio", "p (Holm)", "sets lower/higher"),
        tuple((c.method, c.factor.text(3), float(f"{c.p:.2g}"), f"{c.wins}/{c.losses}") for c in ranking),
        "As in the table before.",
    )


def budgets(one: Everywhere, settings: Settings) -> Table:
    """Every method against a random choice, budget by budget."""
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
        f"Errors of {WORDS[one.purpose]} relative to a random choice, budget by budget",
        ("method", *(heads or [f"budget {k + 1}" for k in range(one.steps)])),
        tuple((name, *(cell(step[name]) for step in by_step)) for name in order),
        "Median over sets; budgets in parts of the candidates; * p (Holm) < 0.05 over sets.",
    )


def when(every: Sequence[Everywhere], settings: Settings) -> Table:
    """The lowest errors for each purpose and budget: of all, and of those that see one row per structure."""
    rows: list[tuple[Any, ...]] = []
    for one in every:
        for step in (None, *range(one.steps)):
            ranking = compared(one.levels(step), RANDOM, seed=settings.seed)
            simple = [c for c in ranking if not c.method.endswith(WITH_FORCES)]
            budget = (
                "all"
                if step is None
                else f"{settings.shares[step]:.0%}"
                if settings.shares
                else f"{step + 1}"
            )
            told = [
                text
                for c in (ranking[0], simple[0])
                for text in (c.method, c.factor.text(2), float(f"{c.p:.2g}"))
            ]
            rows.append((WORDS[one.purpose], budget, *told))
    return Table(
        "when",
        "Which method, when: the lowest errors relative to a random choice",
        ("purpose", "budget", "method", "ratio", "p (Holm)", "without force rows", "ratio", "p (Holm)"),
        tuple(rows),
        "Median over sets with 95 % intervals from resampling sets. The lowest of many is flattered by chance: p tells"
        " whether a method differs from a random choice, not whether it is the best.",
    )


def sets(one: Everywhere, settings: Settings) -> Table:
    """Every method against a random choice, set by set."""
    levels = one.levels()
    order = [c.method for c in compared(levels, RANDOM, seed=settings.seed)]
    return Table(
        "sets",
        f"Errors of {WORDS[one.purpose]} relative to a random choice, set by set",
        ("method", *one.sets),
        tuple(
            (name, *(f"{x:.2f}" for x in np.exp(levels[name] - levels[RANDOM]).tolist())) for name in order
        ),
        "Geometric means over budgets and repeats.",
    )


def savings(one: Everywhere) -> Table:
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
        f"Labels that a random choice needs for the same errors of {WORDS[one.purpose]}, over those used",
        ("method", *(f"budget {k + 1}" for k in range(one.steps))),
        tuple(rows),
        "Median over sets, from the geometric mean of errors over repeats; at the smallest budget at least 1, since"
        " random choices begin there; never: not even all candidates do.",
    )


def figure(every: Sequence[Everywhere], settings: Settings) -> Figure:
    """Errors relative to a random choice against labels."""
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
                WORDS[one.purpose].capitalize(),
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
