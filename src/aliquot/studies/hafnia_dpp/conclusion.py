"""What became of each published claim, and of our own expectations."""

from __future__ import annotations

from typing import Any

from aliquot.studies.hafnia_dpp import claims
from aliquot.studies.hafnia_dpp.choosing import NAMES
from aliquot.studies.hafnia_dpp.claims import pair, told
from aliquot.studies.hafnia_dpp.comparing import COLUMNS, budgets, ratios
from aliquot.studies.hafnia_dpp.showing import PUBLISHED, figures, judged, tables
from aliquot.studies.record import Conclusion, Finding
from aliquot.studies.results import Results

__all__ = ["conclude"]


def conclude(settings: Any, results: Results) -> Conclusion:
    """Findings, tables and figures."""
    main = judged(results)
    findings = [
        claims.published_ratio(results),
        claims.conditioning(results),
        claims.free_atom_energies(results),
        *_survives(main),
        claims.against_clustering(main),
        claims.spread(main),
        claims.saving(main),
        *claims.coverage(main),
        claims.maxvol(main),
        claims.rank(main),
        claims.published_rbf(main),
        _goal(main, "bayes", "Goal: Bayesian selection with prior"),
        _goal(main, "bayes-firm", "The same with a firm prior (10⁻⁶ of the largest eigenvalue, not 10⁻¹²)"),
        _goal(main, "bayes-goal", "Bayesian selection towards what the pool is about, with a firm prior,"),
        _best(main),
    ]
    return Conclusion(
        _summary(main),
        tuple(finding for finding in findings if finding is not None),
        tables(results),
        figures(results),
    )


def _survives(main: Results) -> list[Finding | None]:
    out: list[Finding | None] = []
    for regime, what in (
        ("evidence", "energies alone"),
        ("with forces", "forces too; energies"),
        ("with forces: forces", "forces too; forces"),
    ):
        found = pair(main, "random", "kdpp-cosine", COLUMNS[regime])
        if found:
            out.append(
                Finding(
                    f"An advantage of the DPP survives regularisation at any N (free atoms, smoothness prior, evidence;"
                    f" {what})",
                    f"random over k-DPP {told(found)}",
                    any(one.differs and one.value > 1 for one in found.values()),
                )
            )
    return out


def _goal(main: Results, method: str, claim: str) -> Finding | None:
    parts: list[str] = []
    holds: list[bool] = []
    for regime in ("evidence", "with forces", "with forces: forces"):
        found = pair(main, "random", method, COLUMNS[regime])
        if not found:
            return None
        parts.append(f"{regime}: {told(found)}")
        holds += [one.differs and one.value > 1 for one in found.values()]
    return Finding(
        f"{claim} beats random selection at every N in regularised fits",
        f"random over {NAMES[method]}; " + "; ".join(parts),
        all(holds),
    )


def _best(main: Results) -> Finding | None:
    """Which methods are better or worse than random selection in the fit that people would make."""
    parts: list[str] = []
    any_better = False
    for regime in ("with forces", "with forces: forces"):
        methods = [m for m in NAMES if m != "random" and main.where(method=m).rows]
        found = ratios(main, [(m, "random") for m in methods], COLUMNS[regime])
        better = {m for (m, _, _), one in found.items() if one.differs and one.value < 1}
        worse = {m for (m, _, _), one in found.items() if one.differs and one.value > 1}
        least: list[str] = []
        for n, _ in budgets(main):
            value, method = min((one.value, m) for (m, _, size), one in found.items() if size == n)
            least.append(f"{NAMES[method]} {value:.2f} at {n}")
        any_better = any_better or bool(better)
        parts.append(
            f"{regime}: smallest error over that of random selection: {', '.join(least)}; better at some N, beyond"
            f" doubt: {_names(better)}; worse: {_names(worse)}"
        )
    return Finding(
        "With a regularised fit to energies and forces some method beats random selection (p < 0.05 after correction"
        " for all methods at that N)",
        "; ".join(parts),
        any_better,
    )


def _names(methods: set[str]) -> str:
    return ", ".join(NAMES[m] for m in NAMES if m in methods) or "none"


def _summary(main: Results) -> str:
    n = 400 if any(size == 400 for size, _ in budgets(main)) else max(size for size, _ in budgets(main))
    by = {regime: pair(main, "random", "kdpp-cosine", column)[n] for regime, column in COLUMNS.items()}
    return (
        f"At N = {n} the error of random selection over that of a k-DPP is {by['published'].text()} with the published"
        f" solver (paper: {PUBLISHED.get(n, 22):.0f}), {by['absolute cut'].text()} where its cut is absolute,"
        f" {by['free atoms'].text()} once energies of free atoms are subtracted, {by['evidence'].text()} in a"
        f" regularised fit to energies, and with forces {by['with forces'].text()} for energies and"
        f" {by['with forces: forces'].text()} for forces. Above 1 the DPP is better."
    )
