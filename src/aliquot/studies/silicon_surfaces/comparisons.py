"""Is one method better than another? Paired by repeat, corrected for their overlap and for many tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aliquot.errors import InputError
from aliquot.studies.record import Table
from aliquot.studies.silicon_surfaces.measured import Numbers
from aliquot.studies.silicon_surfaces.settings import Settings
from aliquot.studies.statistics import Difference, holm, paired

__all__ = ["Contest", "contest", "contests_table", "overall"]


@dataclass(frozen=True)
class Contest:
    """One method against another at several budgets; negative differences are for the first.

    Parameters
    ----------
    first, second, column : str
    budgets : tuple of int
    differences : tuple of Difference
    p : tuple of float
        Corrected for as many budgets (and whatever else was tested beside), Holm.
    """

    first: str
    second: str
    column: str
    budgets: tuple[int, ...]
    differences: tuple[Difference, ...]
    p: tuple[float, ...]

    @property
    def everywhere(self) -> bool:
        """Whether the first has the smaller mean at every budget."""
        return all(d.mean.value < 0 for d in self.differences)

    @property
    def significant(self) -> bool:
        """Whether it is smaller at every budget with corrected p < 0.05."""
        return self.everywhere and all(p < 0.05 for p in self.p)

    def text(self, digits: int = 2) -> str:
        """Differences and p-values by budget."""
        return "; ".join(
            f"N = {n}: {d.mean.text(digits)}, p = {p:.2g}"
            for n, d, p in zip(self.budgets, self.differences, self.p, strict=True)
        )


def contest(
    settings: Settings, numbers: Numbers, first: str, second: str, column: str, budgets: Sequence[int]
) -> Contest | None:
    """Compare two methods; None where either was not run on two repeats."""
    overlap = settings.held / (1 - settings.held)
    found: list[Difference] = []
    for n in budgets:
        a, b = numbers.pair(first, second, n, column)
        try:
            found.append(paired(a, b, test_over_train=overlap))
        except InputError:
            return None
    if not found:
        return None
    return Contest(
        first, second, column, tuple(budgets), tuple(found), tuple(holm([d.p for d in found]).tolist())
    )


def overall(contests: Sequence[Contest]) -> list[Contest]:
    """The same with p-values corrected for all tests of all contests together."""
    p = holm([d.p for one in contests for d in one.differences]).tolist()
    out: list[Contest] = []
    for one in contests:
        own, p = p[: len(one.differences)], p[len(one.differences) :]
        out.append(Contest(one.first, one.second, one.column, one.budgets, one.differences, tuple(own)))
    return out


def contests_table(name: str, title: str, contests: Sequence[Contest]) -> Table:
    """One row for each contest."""
    budgets = tuple(sorted({n for one in contests for n in one.budgets}))
    rows: list[tuple[str, ...]] = []
    for one in contests:
        cells = dict(zip(one.budgets, zip(one.differences, one.p, strict=True), strict=True))
        rows.append(
            (
                one.first,
                one.second,
                *(
                    f"{cells[n][0].mean.text(2)}, p = {cells[n][1]:.2g}" if n in cells else ""
                    for n in budgets
                ),
            )
        )
    return Table(
        name,
        title,
        ("method", "against", *(f"N = {n}" for n in budgets)),
        tuple(rows),
        "Mean difference [95 %], negative for the first; p by Nadeau and Bengio, corrected for all tests of the table"
        " (Holm).",
    )


def mean_over_budgets(numbers: Numbers, name: str, column: str) -> float:
    """Mean over budgets and repeats."""
    return float(np.nanmean([np.nanmean(numbers.of(name, n, column)) for n in numbers.budgets]))
