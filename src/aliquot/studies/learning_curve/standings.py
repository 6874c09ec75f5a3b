"""Which method, when? The lowest errors over all sets, and whether they could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aliquot.studies.learning_curve import standing_tables as tables
from aliquot.studies.learning_curve.contenders import RANDOM
from aliquot.studies.learning_curve.curves import PURPOSES
from aliquot.studies.learning_curve.everywhere import WORDS, Everywhere, compared
from aliquot.studies.record import Conclusion, Finding
from aliquot.studies.results import Results

if TYPE_CHECKING:
    from aliquot.studies.learning_curve import Settings

__all__ = ["stand"]

_LEAST_SETS: Final = 5  # fewer cannot show a difference by a signed-rank test


def stand(settings: Settings, results: Results) -> Conclusion:
    """The conclusion over several sets."""
    every = [Everywhere.of(settings, results, purpose) for purpose in PURPOSES]
    every = [one for one in every if one.sets]
    of_default = [tables.against(one, settings.default, settings.seed) for one in every if settings.default]
    return Conclusion(
        summary=_summary(every, settings),
        findings=tuple(found for one in every for found in _findings(one, settings)),
        tables=(
            tables.when(every, settings),
            *(tables.standings(one, settings) for one in every),
            *of_default,
            *(tables.budgets(one, settings) for one in every),
            tables.sets(every[-1], settings),
            tables.savings(every[-1]),
        ),
        figures=(tables.figure(every, settings),),
    )


def _summary(every: Sequence[Everywhere], settings: Settings) -> str:
    said: list[str] = []
    for one in every:
        ranking = compared(one.levels(), RANDOM, seed=settings.seed)
        best = ranking[0]
        good = [c for c in ranking if c.reliable and c.factor.value < 1]
        bad = [c.method for c in ranking if c.reliable and c.factor.value > 1]
        text = (
            f"{WORDS[one.purpose]}: {best.method} has the lowest errors, {best.factor.text(2)} times those of a random"
            f" choice (median over sets; p = {best.p:.2g}, lower on {best.wins} of {len(one.sets)} sets);"
            f" {len(good)} of {len(ranking)} methods are reliably better than a random choice"
        )
        if bad:
            text += f", {_listed(bad)} reliably worse"
        if settings.default in one.methods and settings.default != best.method:
            mine = next(c for c in ranking if c.method == settings.default)
            text += f"; the default, {mine.method}, is at {mine.factor.text(2)} (p = {mine.p:.2g})"
        said.append(text[0].upper() + text[1:])
    return f"Over {len(every[0].sets)} sets and budgets of {_shares(settings)} of the candidates. {'. '.join(said)}."


def _shares(settings: Settings) -> str:
    return ", ".join(f"{share:.0%}" for share in settings.shares)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _findings(one: Everywhere, settings: Settings) -> list[Finding]:
    enough = len(one.sets) >= _LEAST_SETS
    ranking = compared(one.levels(), RANDOM, seed=settings.seed)
    best = ranking[0]
    measured = f"{best.method}: {best.factor.text(3)}, p = {best.p:.2g}, lower on {best.wins} of {len(one.sets)} sets"
    good = best.reliable and best.factor.value < 1
    made = [
        Finding(
            f"Some label-free method is reliably better than a random choice on {WORDS[one.purpose]}",
            measured,
            good if enough or good else None,
        )
    ]
    if settings.default in one.methods:
        mine = next(c for c in ranking if c.method == settings.default)
        better = mine.reliable and mine.factor.value < 1
        made.append(
            Finding(
                f"The default, {mine.method}, is reliably better than a random choice on {WORDS[one.purpose]}",
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
                f"No method is reliably better than the default on {WORDS[one.purpose]}",
                ", ".join(f"{c.method} ({c.factor.text(3)}, p = {c.p:.2g})" for c in beaten) or "none is",
                not beaten if enough else None,
            )
        )
    return made
