"""Tables of the page."""

from __future__ import annotations

import numpy as np

from aliquot.studies.grade_vs_ensemble.measures import (
    behind,
    indicators,
    largest_ensemble,
    leads,
    per_crystal,
    shown,
)
from aliquot.studies.grade_vs_ensemble.ranking import INSIDE, OUTSIDE
from aliquot.studies.grade_vs_ensemble.subjects import subject_named
from aliquot.studies.record import Table
from aliquot.studies.results import Results
from aliquot.studies.statistics import interval

__all__ = ["tables"]


def tables(results: Results, margin: float) -> tuple[Table, ...]:
    """All of them."""
    found: list[Table] = []
    if results.where(what="ranking").rows:
        found.append(_cost_and_quality(results, margin))
        found += [_ranking(results, str(name)) for name in results.where(what="ranking").values("set")]
        found += [_coverage(results), _fits(results)]
    if results.where(what="passage").rows:
        found.append(_warnings(results))
    return tuple(found)


def _cost_and_quality(results: Results, margin: float) -> Table:
    ranked = results.where(what="ranking", kind=OUTSIDE)
    names = indicators(ranked)
    reference = largest_ensemble(ranked)
    against = {name: behind(results, name, margin=margin) for name in names if name != reference}
    rows: list[tuple[str | float | None, ...]] = []
    for subject in ranked.values("set"):
        costs = results.where(what="cost", set=subject)
        for name in names:
            auroc = interval(ranked.where(set=subject, indicator=name).column("auroc"))
            own = costs.where(indicator=name)
            micro = interval(own.column("us_per_atom")).value
            one = against[name][subject].difference if name in against else None
            rows.append(
                (
                    subject_named(subject).name,
                    shown(name),
                    auroc.text(3),
                    one.mean.text(2) if one else "0",
                    f"{one.p:.2g}" if one else "",
                    f"{micro:.1f}",
                    f"{interval(own.column('train_s')).value:.2g}",
                    f"{1000 * (auroc.value - 0.5) / micro:.3g}" if micro > 0 else "",
                )
            )
        fit = costs.where(indicator="forces")
        forces, seconds = (interval(fit.column(name)).value for name in ("us_per_atom", "train_s"))
        rows.append(
            (
                subject_named(subject).name,
                "(the potential itself)",
                "",
                "",
                "",
                f"{forces:.1f}",
                f"{seconds:.2g}",
                "",
            )
        )
    return Table(
        "cost-and-quality",
        "Quality and price of every indicator: all held-out structures",
        (
            "set",
            "indicator",
            "AUROC",
            f"against the {reference}",
            "p",
            "µs/atom beside the forces",
            "CPU s to have it",
            "(AUROC − ½) per ms/atom",
        ),
        tuple(rows),
        "Means over divisions with 95 % intervals from resampling them. p of no difference: corrected resampled"
        " t-test, by Holm for all sets. µs on one core, the least of seven; seconds of CPU beside the fit of the"
        " potential itself, which is needed anyway.",
    )


def _ranking(results: Results, subject: str) -> Table:
    ranked = results.where(what="ranking", set=subject)
    kinds = [str(kind) for kind in ranked.values("kind")]
    rows: list[tuple[str, ...]] = []
    widest = 0.0
    for name in indicators(ranked):
        cells: list[str] = []
        for kind in kinds:
            one = ranked.where(kind=kind, indicator=name)
            rho, area = (interval(one.column(column)) for column in ("spearman", "auroc"))
            widest = max(widest, (rho.high - rho.low) / 2, (area.high - area.low) / 2)
            cells.append(f"{rho.value:.2f} / {area.value:.2f}")
        rows.append((shown(name), *cells))
    events = ", ".join(
        f"{kind} {interval(ranked.where(kind=kind, indicator='gamma').column('event_percent')).value:.0f} %"
        for kind in kinds
    )
    title = subject_named(subject).name
    return Table(
        f"ranking-{subject.replace('_', '-')}",
        f"{title[0].upper()}{title[1:]}: Spearman's correlation / AUROC",
        ("indicator", *kinds),
        tuple(rows),
        f"Means over divisions; half-widths of 95 % intervals up to {widest:.2f}. Atoms with the event: {events}.",
    )


def _coverage(results: Results) -> Table:
    told = results.where(what="ranking").only(lambda row: row.get("covered_percent") is not None)
    rows = [
        (
            subject_named(str(subject)).name,
            str(kind),
            *(
                interval(own.where(indicator=name).column("covered_percent")).text(3)
                for name in ("gamma", "leverage", "posterior")
            ),
        )
        for (subject, kind), own in told.by("set", "kind")
    ]
    return Table(
        "coverage",
        "Errors below their bounds of 90 %, learnt in distribution, %",
        ("set", "kind", "by γ", "by leverage", "by the posterior"),
        tuple(rows),
        f"Bounds are learnt on half of the structures of the test {INSIDE}; the other half is the row {INSIDE}. On"
        " other kinds nothing is promised.",
    )


def _fits(results: Results) -> Table:
    rows = [
        (
            subject_named(str(subject)).name,
            *(
                f"{interval(own.column(name)).value:.{digits}f}"
                for name, digits in (
                    ("structures", 0),
                    ("functions", 0),
                    ("limit_meV", 0),
                    ("rmse_inside_meV", 0),
                    ("mean_rmse_inside_meV", 0),
                    ("rmse_outside_meV", 0),
                    ("mean_rmse_outside_meV", 0),
                )
            ),
        )
        for (subject,), own in results.where(what="fit").by("set")
    ]
    return Table(
        "fits",
        "The potentials that are doubted",
        (
            "set",
            "structures",
            "functions",
            "event above, meV/Å",
            "error in distribution",
            "of the ensemble's mean",
            "error held out",
            "of the ensemble's mean ",
        ),
        tuple(rows),
        "Errors: root mean square of the length of the force error, meV/Å. An ensemble gives its mean too, at the"
        " price of all members.",
    )


def _warnings(results: Results) -> Table:
    rows: list[tuple[str, ...]] = []
    for crystal in per_crystal(results):
        own = results.where(what="passage", crystal=crystal)
        for name in own.values("indicator"):
            one = own.where(indicator=name)
            doubled, worst, defect = (
                leads(one, event) for event in ("doubled_fs", "worst_doubled_fs", "defect_fs")
            )
            rows.append(
                (
                    crystal,
                    str(name),
                    doubled.text,
                    doubled.time,
                    "" if np.isnan(doubled.p) else f"{doubled.p:.2g}",
                    worst.text,
                    defect.text,
                    defect.time,
                    f"{interval(one.column('error_at_alarm'), statistic='median').value:.2g}",
                    f"{interval(one.column('false_percent')).value:.0f}",
                )
            )
    return Table(
        "warnings",
        "Heated crystals: which alarm rings before the error doubles, and before an atom leaves its site",
        (
            "crystal",
            "alarm",
            "before the mean error doubled",
            "lead, fs",
            "p",
            "before the worst error doubled",
            "before an atom left its site",
            "lead, fs ",
            "error at the alarm, × usual",
            "rings in distribution, %",
        ),
        tuple(rows),
        "Lead: median over runs with its 95 % interval, negative where the alarm comes late; p: Wilcoxon, runs are"
        " independent. An alarm at the same look is not before. Errors doubled over their medians on structures of the"
        " oracle's own dynamics at the temperatures taught; that also says how often an alarm rings there.",
    )
