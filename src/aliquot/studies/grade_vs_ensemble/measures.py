"""What do the rows say? Means over divisions with their intervals, paired differences, and alarms counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.grade_vs_ensemble.ranking import OUTSIDE
from aliquot.studies.results import Results
from aliquot.studies.statistics import Difference, Interval, corrected_t, holm, interval, paired

__all__ = [
    "SHOWN",
    "Behind",
    "Lead",
    "behind",
    "indicators",
    "later",
    "largest_ensemble",
    "leads",
    "per_crystal",
    "shown",
]

Array = NDArray[np.float64]

#: Indicators as people read them, in their order.
SHOWN = {
    "gamma": "grade γ, selected functions",
    "gamma, no guard": "grade γ, without the outlier guard",
    "gamma, full basis": "grade γ, full basis, no guard",
    "leverage": "leverage",
    "posterior": "σ of the force, posterior",
    "committee": "committee of 8 from the posterior",
    "bootstrap": "committee of 8 bootstrap refits",
}


def shown(indicator: str) -> str:
    """As people read it."""
    return SHOWN.get(indicator, indicator.replace("ensemble of", "independent ensemble of"))


def indicators(results: Results) -> list[str]:
    """Those of the rows, in their order; ensembles last, by size."""
    there = [str(name) for name in results.values("indicator")]
    others = sorted((n for n in there if n not in SHOWN), key=lambda n: int(n.split()[-1]))
    return [name for name in SHOWN if name in there] + others


def per_crystal(results: Results) -> Sequence[str]:
    """Crystals that were heated."""
    return [str(name) for name in results.where(what="passage").values("crystal")]


def largest_ensemble(results: Results) -> str:
    """The ensemble that others are compared with."""
    names = [name for name in results.values("indicator") if str(name).startswith("ensemble of ")]
    return max(names, key=lambda name: int(name.split()[-1]))


@dataclass(frozen=True)
class Behind:
    """How far an indicator is behind the ensemble: AUROC − AUROC of the ensemble, repeat by repeat.

    Parameters
    ----------
    difference : Difference
        With the p-value of no difference, corrected for overlap and, by Holm, for all sets.
    p_margin : float
        Of being behind by the margin, corrected alike.
    """

    difference: Difference
    p_margin: float

    def verdict(self, margin: float) -> bool | None:
        """As good (True), behind by the margin or more (False), or not decided."""
        if self.difference.mean.value > -margin and self.p_margin < 0.05:
            return True
        if self.difference.mean.value <= -margin and self.difference.p < 0.05:
            return False
        return None


def behind(
    results: Results, indicator: str, *, kind: str = OUTSIDE, margin: float = 0.05
) -> dict[str, Behind]:
    """By set: an indicator against the largest ensemble."""
    ranked = results.where(what="ranking", kind=kind)
    other = largest_ensemble(ranked)
    found: dict[str, tuple[Difference, float]] = {}
    for name in ranked.values("set"):
        own = ranked.where(set=name)
        a, b = (own.where(indicator=which).column("auroc") for which in (indicator, other))
        ratio = float(np.mean(results.where(what="fit", set=name).column("test_over_train")))
        found[name] = paired(a, b, test_over_train=ratio), corrected_t(a - b + margin, ratio)
    none = holm([one.p for one, _ in found.values()])
    far = holm([p for _, p in found.values()])
    return {
        name: Behind(Difference(one.mean, float(none[k]), one.repeats), float(far[k]))
        for k, (name, (one, _)) in enumerate(found.items())
    }


@dataclass(frozen=True)
class Lead:
    """By how long an alarm precedes an event, over runs.

    Parameters
    ----------
    before, runs : int
        Runs in which it rang earlier, of those in which the event happened.
    median : Interval, fs
        Over runs in which both happened; negative where the alarm comes late.
    p : float
        Wilcoxon's, of no lead; NaN with fewer than two such runs.
    """

    before: int
    runs: int
    median: Interval
    p: float

    @property
    def text(self) -> str:
        """As ``9 of 10``."""
        return f"{self.before} of {self.runs}"

    @property
    def time(self) -> str:
        """The lead as ``+120 [-30, +300]``; empty where there is none."""
        one = self.median
        return f"{one.value:+.0f} [{one.low:+.0f}, {one.high:+.0f}]" if np.isfinite(one.value) else ""


def later(own: Results, alarm: str, other: str) -> Lead:
    """By how long one alarm of a crystal precedes another, over runs in which the other rang."""
    one = own.where(indicator=other)
    events = {row["repeat"]: row["alarm_fs"] for row in one.rows}
    rows = [{**row, "other_fs": events.get(row["repeat"])} for row in own.where(indicator=alarm).rows]
    return leads(Results(tuple(rows)), "other_fs")


def leads(passages: Results, event: str) -> Lead:
    """Of one alarm in one crystal: the rows of its runs; ``event`` is the column with the time of the event."""
    alarm, when = passages.column("alarm_fs"), passages.column(event)
    happened = np.isfinite(when)
    both = happened & np.isfinite(alarm)
    lead = (when - alarm)[both]
    p = paired(when[both], alarm[both], test_over_train=None).p if len(lead) > 1 else float("nan")
    return Lead(int(np.sum(lead > 0)), int(happened.sum()), interval(lead, statistic="median"), p)
