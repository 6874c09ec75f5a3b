"""Does what was published hold? Each claim with what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from aliquot.studies.grade_vs_ensemble.figures import figures
from aliquot.studies.grade_vs_ensemble.measures import (
    Lead,
    behind,
    largest_ensemble,
    later,
    leads,
    per_crystal,
    shown,
)
from aliquot.studies.grade_vs_ensemble.ranking import INSIDE, OUTSIDE
from aliquot.studies.grade_vs_ensemble.subjects import subject_named
from aliquot.studies.grade_vs_ensemble.tables import tables
from aliquot.studies.record import Conclusion, Finding
from aliquot.studies.results import Results
from aliquot.studies.statistics import Interval, interval

__all__ = ["conclude"]


def conclude(settings: Any, results: Results) -> Conclusion:
    """Findings, tables and figures."""
    findings: list[Finding] = []
    sentences: list[str] = []
    if results.where(what="ranking").rows:
        findings += [*_as_good(settings, results), *_price(results), *_others(settings, results)]
        sentences.append(_told_ranking(settings, results))
    if results.where(what="passage").rows:
        findings += list(_in_time(settings, results))
        sentences.append(_told_heating(settings, results))
    return Conclusion(
        " ".join(sentences),
        tuple(findings),
        tables(results, settings.margin),
        figures(results, max(settings.thresholds)),
    )


# --- ranking --------------------------------------------------------------------------------------------------


def _as_good(settings: Any, results: Results) -> Iterator[Finding]:
    for kind in (OUTSIDE, INSIDE):
        ranked = results.where(what="ranking", kind=kind)
        for name, one in behind(results, "gamma", kind=kind, margin=settings.margin).items():
            own = ranked.where(set=name)
            grade, other = (
                interval(own.where(indicator=which).column("auroc"))
                for which in ("gamma", largest_ensemble(ranked))
            )
            yield Finding(
                f"{subject_named(name).name}, {kind}: the grade is as good an indicator as an ensemble (AUROC not more"
                f" than {settings.margin:g} lower)",
                f"AUROC {grade.text(3)} against {other.text(3)}, difference {one.difference.mean.text(2)}, p ="
                f" {one.difference.p:.2g} of none, {one.p_margin:.2g} of −{settings.margin:g}",
                one.verdict(settings.margin),
            )


def _others(settings: Any, results: Results) -> Iterator[Finding]:
    """Whether what needs no refit from the beginning is as good."""
    for indicator in ("posterior", "bootstrap", "leverage"):
        found = behind(results, indicator, margin=settings.margin)
        verdicts = [one.verdict(settings.margin) for one in found.values()]
        told = ", ".join(
            f"{subject_named(name).name} {one.difference.mean.text(2)}" for name, one in found.items()
        )
        holds = True if all(verdicts) else False if any(v is False for v in verdicts) else None
        yield Finding(
            f"{shown(indicator)}: as good as the independent ensemble on held-out structures of every set",
            f"difference of AUROC: {told}",
            holds,
        )


def _ratio(results: Results, name: str, column: str) -> Interval:
    """Price of the largest ensemble over that of the grade, division by division."""
    costs = results.where(what="cost", set=name)
    dear, cheap = (
        costs.where(indicator=which).column(column) for which in (largest_ensemble(costs), "gamma")
    )
    return interval(dear / np.maximum(cheap, 1e-9), statistic="median")


def _price(results: Results) -> Iterator[Finding]:
    for name in results.where(what="cost").values("set"):
        each, once = (_ratio(results, name, column) for column in ("us_per_atom", "train_s"))
        yield Finding(
            f"{subject_named(name).name}: the grade costs a fraction of an ensemble",
            f"an ensemble costs {each.text(2)} times as much per atom beside the forces, and {once.text(2)} times as"
            " much once, to have it",
            each.low > 1 and once.low > 1,
        )


def _told_ranking(settings: Any, results: Results) -> str:
    found = behind(results, "gamma", margin=settings.margin)
    verdicts = {name: one.verdict(settings.margin) for name, one in found.items()}
    good, bad = ([subject_named(n).name for n, v in verdicts.items() if v is w] for w in (True, False))
    gaps = [one.difference.mean.value for one in found.values()]
    posterior = [one.difference.mean.value for one in behind(results, "posterior").values()]
    ratios = [_ratio(results, name, "us_per_atom").value for name in found]
    return (
        f"On structures of kinds never seen, the AUROC of the grade differs from that of the independently refitted"
        f" ensemble by {_range(gaps, '+.3f')} (as good within {settings.margin:g} in"
        f" {_listed(good)}; behind in {_listed(bad)}), that of the posterior by"
        f" {_range(posterior, '+.3f')}; beside the forces the ensemble costs {_range(ratios, '.0f')} times as much as"
        " the grade."
    )


def _range(values: list[float], form: str) -> str:
    """As ``1 to 2``, or ``1``."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "none"


# --- heating --------------------------------------------------------------------------------------------------


def _in_time(settings: Any, results: Results) -> Iterator[Finding]:
    for crystal in per_crystal(results):
        own = results.where(what="passage", crystal=crystal)
        for threshold in sorted({min(settings.thresholds), max(settings.thresholds)}, reverse=True):
            one = own.where(indicator=f"γ above {threshold:g}")
            lead = leads(one, "doubled_fs")
            usual = interval(one.column("false_percent")).value
            p = "" if np.isnan(lead.p) else f", p = {lead.p:.2g}"
            yield Finding(
                f"{crystal}, heated: γ crosses {threshold:g} before the mean force error doubles",
                f"in {lead.text} runs; lead {lead.time} fs{p}; {usual:.0f} % of structures in distribution"
                " are above it too",
                lead.before == lead.runs if lead.runs else None,
            )
        late = leads(own.where(indicator=f"γ above {max(settings.thresholds):g}"), "defect_fs")
        yield Finding(
            f"{crystal}, heated: γ crosses {max(settings.thresholds):g} before an atom leaves its site",
            f"in {late.text} runs; lead {late.time} fs",
            late.before == late.runs if late.runs else None,
        )
        ahead = later(own, f"γ{_QUIET}", f"spread of the ensemble{_QUIET}")
        yield Finding(
            f"{crystal}, heated: at thresholds that no structure in distribution reaches, the grade rings before"
            " the ensemble",
            f"earlier in {ahead.text} runs; ahead by {ahead.time} fs, p = {ahead.p:.2g}",
            _no_later(ahead),
        )


#: Of alarms whose threshold is the largest value of structures in distribution.
_QUIET: Final = " above all in distribution"


def _no_later(ahead: Lead) -> bool | None:
    """Undecided unless runs agree: no difference seen is not the same as no difference."""
    return ahead.median.value > 0 if ahead.p < 0.05 else None


def _told_heating(settings: Any, results: Results) -> str:
    high, low = max(settings.thresholds), min(settings.thresholds)
    words: list[str] = []
    for crystal in per_crystal(results):
        own = results.where(what="passage", crystal=crystal)
        first, second = (
            leads(own.where(indicator=f"γ above {value:g}"), "doubled_fs") for value in (high, low)
        )
        defect = leads(own.where(indicator=f"γ above {high:g}"), "defect_fs")
        words.append(
            f"{crystal}: {first.text} (γ above {low:g}: {second.text}), and before an atom leaves its site in"
            f" {defect.text}"
        )
    return (
        f"Heated crystals, runs in which γ crosses {high:g} before the mean force error doubles: "
        + "; ".join(words)
        + "."
    )
