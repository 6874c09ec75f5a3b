"""What follows from the paths: which of the published claims hold on these data, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.record import Conclusion, Finding
from aliquot.studies.results import Results
from aliquot.studies.sparse_path.judging import MATCHES
from aliquot.studies.sparse_path.measured import Measured
from aliquot.studies.sparse_path.pictures import figures
from aliquot.studies.sparse_path.sets import METALS, PEERS, short
from aliquot.studies.sparse_path.settings import Settings
from aliquot.studies.sparse_path.solving import DENSE, METHODS
from aliquot.studies.sparse_path.tables import VARIANTS, savings, tables
from aliquot.studies.statistics import holm, interval

__all__ = ["conclude"]

Array = NDArray[np.float64]

#: Test errors within this factor count as the same.
SAME: Final = 1.05

#: Overlap beyond chance above which supports are called stable.
STABLE: Final = 0.5

_SHAPES: Final = {"match": "(lower degrees for higher orders)", "match-equal": "(one degree in all orders)"}

_ENERGY, _FORCE = "energy_mae_meV", "force_mae_meV_A"


def conclude(settings: Settings, results: Results) -> Conclusion:
    """Findings, tables and figures."""
    measured = Measured(settings, results)
    metals = measured.among(METALS)
    others = tuple(name for name in settings.sets if name not in METALS)
    findings = (
        *(
            _fewer(measured, sets, method, called, kind)
            for kind, dense in MATCHES.items()
            if dense in settings.methods
            for sets, called in ((metals, "the elements"), (others, "the larger sets"))
            for method in measured.methods("omp", "asp", "ard")
        ),
        *_as_good(measured, metals, others),
        *_same_size(measured),
        *_cheaper(measured),
        *_peers(measured, metals),
        *_stable(measured),
    )
    kept = tuple(finding for finding in findings if finding is not None)
    return Conclusion(_summary(measured, metals, others), kept, tables(measured), figures(measured))


def _listed(sets: Sequence[str], values: dict[str, Array], *, digits: int = 2) -> str:
    return "; ".join(f"{short(name)} {interval(values[name]).text(digits)}" for name in sets)


def _fewer(measured: Measured, sets: Sequence[str], method: str, called: str, kind: str) -> Finding | None:
    """Whether half of the functions is enough at equal validation error."""
    if not sets:
        return None
    shares = {name: measured.shares(name, method, "functions", kind=kind) for name in sets}
    unreached = sum(measured.unreached(name, method, kind=kind) for name in sets)
    missed = f"; {unreached} dense models not reached, counted as 1" if unreached else ""
    label = METHODS[method].label
    return Finding(
        f"{label} reaches the validation error of dense models {_SHAPES[kind]} of {measured.aims[0]} to"
        f" {measured.aims[-1]} functions with at most half of the functions, on each of {called}",
        f"share of functions: {_listed(sets, shares)}{missed}",
        all(interval(values).high <= 0.5 for values in shares.values()),
    )


def _as_good(measured: Measured, *groups: Sequence[str]) -> list[Finding]:
    """Whether the test confirms that these smaller models are as good."""
    out: list[Finding] = []
    sets = tuple(name for group in groups for name in group)
    for column, label in ((_FORCE, "force"), (_ENERGY, "energy")):
        for method in measured.methods("omp", "asp", "ard"):
            ratio = {name: measured.error_ratio(name, method, column) for name in sets}
            out.append(
                Finding(
                    f"Test structures confirm it: {label} errors of these smaller {METHODS[method].label} models"
                    f" (beside lower degrees for higher orders) are at most {100 * (SAME - 1):.0f} % above the dense"
                    " ones",
                    f"{label} MAE over dense: {_listed(sets, ratio, digits=3)}",
                    all(interval(values).value <= SAME for values in ratio.values()),
                )
            )
    return out


def _same_size(measured: Measured) -> list[Finding]:
    """Whether sparse models are better than dense ones of as many functions."""
    out: list[Finding] = []
    for method in measured.methods("omp", "asp"):
        for column, label in ((_ENERGY, "energy"), (_FORCE, "force")):
            tested = [
                (name, n, found)
                for name in measured.settings.sets
                for n in measured.aims
                if (
                    found := measured.difference(
                        name,
                        measured.column("budget", name, method, n, column),
                        measured.column("budget", name, DENSE, n, column),
                    )
                )
            ]
            if not tested:
                continue
            p = holm([found.p for _, _, found in tested])
            better = sum(
                found.mean.value < 0 and q < 0.05 for (_, _, found), q in zip(tested, p, strict=True)
            )
            worse = [
                f"{short(name)} at {n}"
                for (name, n, found), q in zip(tested, p, strict=True)
                if found.mean.value > 0 and q < 0.05
            ]
            said = f" ({', '.join(worse)})" if worse else ""
            out.append(
                Finding(
                    f"At equal number of functions {METHODS[method].label} matches or beats dense models"
                    f" (published): {label} error",
                    f"of {len(tested)} pairs of set and size, better in {better}, worse in {len(worse)}{said},"
                    f" undecided in {len(tested) - better - len(worse)} (corrected p < 0.05)",
                    not worse,
                )
            )
    return out


def _cheaper(measured: Measured) -> list[Finding]:
    """Whether heeding costs saves time at equal error."""
    out: list[Finding] = []
    sets, p = measured.settings.sets, savings(measured)
    for plain, priced in VARIANTS:
        if measured.methods(plain, priced) != (plain, priced):
            continue
        ratios = {
            name: measured.shares(name, priced, "us_per_atom") / measured.shares(name, plain, "us_per_atom")
            for name in sets
        }
        undecided = [short(name) for name in sets if np.mean(ratios[name]) >= 1 or p[name, plain] >= 0.05]
        said = f" (not {', '.join(undecided)})" if undecided else ""
        out.append(
            Finding(
                f"Choosing by what a function explains per cost saves time at equal validation error:"
                f" {METHODS[plain].label}",
                f"time by cost over plain: {_listed(sets, ratios)}; less on {len(sets) - len(undecided)} of {len(sets)}"
                f" sets{said}, corrected p < 0.05",
                not undecided,
            )
        )
    return out


def _peers(measured: Measured, metals: Sequence[str]) -> list[Finding]:
    """Beside GAP and MTP."""
    n = measured.settings.sizes[-1]
    out: list[Finding] = []
    for method in measured.methods(DENSE, "omp-evidence", "ard"):
        bands = {name: measured.band("budget", name, method, n, _ENERGY) for name in metals if name in PEERS}
        if not bands:
            continue
        below = [name for name, band in bands.items() if band.value < min(PEERS[name][:2])]
        rest = [
            f"{short(name)} {band.text()} against {PEERS[name][0]:g} and {PEERS[name][1]:g}"
            for name, band in bands.items()
            if name not in below
        ]
        said = f"; not on {'; '.join(rest)}" if rest else ""
        out.append(
            Finding(
                f"{METHODS[method].label} (at most {n:,} functions) has a lower energy error than GAP and MTP on each"
                " element",
                f"lower than both on {len(below)} of {len(bands)}{said}",
                len(below) == len(bands),
            )
        )
    return out


def _stable(measured: Measured) -> list[Finding]:
    """Whether splits agree on functions."""
    sizes = measured.settings.stability
    out: list[Finding] = []
    for method in measured.methods("omp", "asp", "ard"):
        by_size: list[str] = []
        every: list[float] = []
        for n in sizes:
            found = [both for name in measured.settings.sets if (both := measured.overlaps(name, method, n))]
            if found:
                beyond = [one[1].value for one in found]
                every += beyond
                jaccard = np.mean([one[0].value for one in found])
                by_size.append(f"{n} functions: {np.mean(beyond):.2f} (Jaccard {jaccard:.2f})")
        if every:
            out.append(
                Finding(
                    f"Different splits choose mostly the same functions: overlap beyond chance above {STABLE:g} for"
                    f" {METHODS[method].label}, on every set and at every size",
                    f"mean over sets, {'; '.join(by_size)}; lowest {min(every):.2f}, highest {max(every):.2f}",
                    min(every) > STABLE,
                )
            )
    return out


def _summary(measured: Measured, metals: Sequence[str], others: Sequence[str]) -> str:
    """The answer in a few sentences."""
    parts: list[str] = []
    for sets in (metals, *((name,) for name in others)):
        if not sets:
            continue
        where = f"the {len(sets)} elements" if len(sets) > 1 else short(sets[0])
        said = ", ".join(
            f"{METHODS[method].label} {np.mean([measured.shares(n, method, 'functions').mean() for n in sets]):.2f}"
            for method in measured.methods("omp", "asp", "ard")
        )
        parts.append(
            f"On {where}, models of equal validation error need this share of a dense model's functions: {said}."
        )
    sets = measured.settings.sets
    time = ", ".join(
        f"{METHODS[method].label} {np.mean([measured.shares(n, method, 'us_per_atom').mean() for n in sets]):.2f}"
        for method in measured.methods("omp", "omp-cost", "asp", "asp-cost", "ard", "ard-cost")
    )
    parts.append(f"Of its time of evaluation, on all sets: {time}.")
    return " ".join(parts)
