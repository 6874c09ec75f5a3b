"""What did the study find? Published claims, the goal, and what each ingredient adds; all from the numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from scipy import stats

from aliquot.studies.record import Conclusion, Finding
from aliquot.studies.results import Results
from aliquot.studies.silicon_surfaces.comparisons import Contest, contest, contests_table, overall
from aliquot.studies.silicon_surfaces.measured import TOGETHER, Numbers, failed
from aliquot.studies.silicon_surfaces.published_claims import claims
from aliquot.studies.silicon_surfaces.settings import Settings
from aliquot.studies.silicon_surfaces.slabs import SURFACES
from aliquot.studies.silicon_surfaces.tables import figures, tables

__all__ = ["conclude"]

#: For what costs add.
_PRICED = "Atoms as the cost, with as many atoms to spend as random takes,"


def conclude(settings: Settings, results: Results) -> Conclusion:
    """Findings, tables and curves."""
    budgets = tuple(sorted(settings.budgets))
    numbers = Numbers(results, budgets)
    goals = _goals(settings, numbers)
    best, ranking = _best(settings, numbers)
    added = _added(settings, numbers)
    findings = [*claims(settings, numbers), *_goal_findings(goals, best, ranking), *added[0]]
    findings += [one for one in (_decohesion(numbers), _failures(numbers)) if one is not None]
    made = list(tables(numbers))
    named = [one for one in goals if one is not None]
    if named:
        made.insert(
            0,
            contests_table("goal", "The declared method against the others: (100) and (111)", named),
        )
    for rival, some in reversed(ranking.items()):
        if some:
            made.insert(
                1, contests_table(f"all-{rival}", f"All our methods against {rival}: (100) and (111)", some)
            )
    if added[1]:
        made.insert(1, contests_table("added", "What each ingredient adds", added[1]))
    return Conclusion(
        _summary(settings, numbers, goals, best), tuple(findings), tuple(made), figures(numbers)
    )


def _goals(settings: Settings, numbers: Numbers) -> tuple[Contest | None, Contest | None, Contest | None]:
    """The declared method against published Bayesian selection, random, and k-medoids at small budgets."""
    budgets = numbers.budgets
    small = tuple(n for n in budgets if n <= 20)
    own = settings.declared if settings.declared in numbers.methods() else "goal-surfaces-E"
    return (
        contest(settings, numbers, own, "published-bayes", TOGETHER, budgets),
        contest(settings, numbers, own, "random", TOGETHER, budgets),
        contest(settings, numbers, own, "published-kmedoids", TOGETHER, small),
    )


def _goal_findings(
    goals: tuple[Contest | None, Contest | None, Contest | None],
    best: str | None,
    ranking: dict[str, list[Contest]],
) -> list[Finding]:
    claims = (
        "Goal: {} beats published Bayesian selection on (100) and (111) together at every N",
        "Goal: {} beats random on (100) and (111) together at every N with corrected p < 0.05",
        "Goal: {} beats k-medoids (as published) on (100) and (111) together at N ≤ 20",
    )
    out: list[Finding] = []
    for k, (claim, one) in enumerate(zip(claims, goals, strict=True)):
        if one is not None:
            holds = one.significant if k == 1 else one.everywhere
            out.append(Finding(claim.format(one.first), f"difference of errors, J/m²: {one.text()}", holds))
    if best is not None:
        holds, told = _wins(best, ranking)
        out.append(
            Finding(
                "The best of all our methods (found afterwards, by the mean over N of the error of (100) and (111))"
                " reaches the whole goal",
                f"{best}: {told}",
                holds,
            )
        )
    return out


def _ours(numbers: Numbers) -> list[str]:
    """Our methods with as many repeats as random."""
    full = numbers.repeats("random") if "random" in numbers.methods() else 0
    return [
        name
        for name in numbers.methods()
        if not name.startswith("published")
        and name not in ("random", "stratified")
        and numbers.repeats(name) == full > 1
    ]


#: Against whom all are compared, and up to which budget.
_RIVALS = (("random", 10**9), ("published-bayes", 10**9), ("published-kmedoids", 20))


def _best(settings: Settings, numbers: Numbers) -> tuple[str | None, dict[str, list[Contest]]]:
    """The method of the smallest mean error, and all methods against each rival, corrected for all tests of a rival."""
    ours = _ours(numbers)
    if not ours:
        return None, {}
    means = {
        name: float(np.mean([numbers.interval(name, n, TOGETHER, "rms").value for n in numbers.budgets]))
        for name in ours
    }
    order = sorted(ours, key=lambda name: means[name])
    made: dict[str, list[Contest]] = {}
    for rival, most in _RIVALS:
        budgets = [n for n in numbers.budgets if n <= most]
        some = [contest(settings, numbers, name, rival, TOGETHER, budgets) for name in order]
        made[rival] = overall([one for one in some if one is not None])
    return order[0], made


def _wins(name: str, ranking: dict[str, list[Contest]]) -> tuple[bool, str]:
    against = {
        rival: next((one for one in some if one.first == name), None) for rival, some in ranking.items()
    }
    told = "; ".join(
        f"against {rival} better at {sum(d.mean.value < 0 for d in one.differences)} of {len(one.differences)} N"
        f" (p < 0.05, corrected for all methods and N, at"
        f" {sum(p < 0.05 and d.mean.value < 0 for p, d in zip(one.p, one.differences, strict=True))})"
        for rival, one in against.items()
        if one is not None
    )
    random = against["random"]
    everywhere = all(one is not None and one.everywhere for one in against.values())
    return bool(everywhere and random is not None and random.significant), told


def _added(settings: Settings, numbers: Numbers) -> tuple[list[Finding], list[Contest]]:
    """Forces, prior, goal, cost: one change at a time."""
    pairs = (
        ("A real prior", "bayes-energy-E", "published-bayes", TOGETHER, "J/m²"),
        ("A real prior", "bayes-energy-E", "published-bayes", "energy_rmse_meV", "meV/atom"),
        ("A prior from labels of the core", "bayes-energy-E", "bayes-energy-E-default", "energy_rmse_meV", "meV/atom"),
        ("Force rows in the posterior", "bayes-energy-EF", "bayes-energy-E-small", TOGETHER, "J/m²"),
        ("Force rows in the posterior", "bayes-energy-EF", "bayes-energy-E-small", "energy_rmse_meV", "meV/atom"),
        ("The log-determinant of force rows", "bayes-entropy-EF", "bayes-energy-EF", "energy_rmse_meV", "meV/atom"),
        ("Surface energies as the goal", "goal-surfaces-EF", "bayes-energy-EF", TOGETHER, "J/m²"),
        ("Surface energies as the goal", "goal-surfaces-EF", "bayes-energy-EF", "energy_rmse_meV", "meV/atom"),
        ("The pool beside the surfaces as a goal", "goal-both-EF", "goal-surfaces-EF", "energy_rmse_meV", "meV/atom"),
        (_PRICED, "bayes-energy-E-cost", "random", "energy_rmse_meV", "meV/atom"),
        (_PRICED, "goal-surfaces-EF-cost", "random", TOGETHER, "J/m²"),
    )  # fmt: skip
    findings: list[Finding] = []
    contests: list[Contest] = []
    for what, first, second, column, unit in pairs:
        one = contest(settings, numbers, first, second, column, numbers.budgets)
        if one is None:
            continue
        contests.append(one)
        better, worse = one.everywhere, all(d.mean.value > 0 for d in one.differences)
        repeats = one.differences[0].repeats
        findings.append(
            Finding(
                f"{what} helps ({first} against {second}, {_name(column)})",
                f"difference, {unit}, {repeats} repeats: {one.text()}",
                True if better else False if worse else None,
            )
        )
    return findings, overall(contests)


def _name(column: str) -> str:
    return {TOGETHER: "(100) and (111)", "energy_rmse_meV": "energy, whole set"}.get(column, column)


def _decohesion(numbers: Numbers) -> Finding | None:
    """Whether the number of decohesion frames explains the (100) error of random choices."""
    told: list[str] = []
    signs: list[float] = []
    blind = [name for name in ("random", "published-cur") if name in numbers.methods()]
    for n in (n for n in numbers.budgets if n <= 20):
        x = np.concatenate([numbers.of(name, n, "chosen_decohesion") for name in blind] or [np.zeros(0)])
        y = np.concatenate([numbers.of(name, n, "error_100") for name in blind] or [np.zeros(0)])
        if len(x) < 5 or np.ptp(x) == 0:
            continue
        found: Any = stats.spearmanr(x, y)
        signs.append(float(found.statistic) if found.pvalue < 0.05 else 0.0)
        told.append(f"N = {n}: ρ = {found.statistic:.2f}, p = {found.pvalue:.2g}")
    if not told:
        return None
    holds = True if all(s < 0 for s in signs) else False if not any(s < 0 for s in signs) else None
    return Finding(
        "Our guess: how many decohesion frames are drawn drives the (100) error (rank correlation over uniform draws)",
        "; ".join(told),
        holds,
    )


def _failures(numbers: Numbers) -> Finding | None:
    rows = numbers.results.rows
    who = Counter(
        (row["method"], row["features"]) for row in rows for surface in SURFACES if failed(row, surface)
    )
    steps = [row[f"steps_{surface}"] for row in rows for surface in SURFACES]
    told = ", ".join(f"{method} ({features}) {k}" for (method, features), k in who.most_common())
    return Finding(
        "Relaxations arrive at surfaces (where not, the error counted is the reference itself)",
        f"{who.total()} of {len(steps)} did not{': ' if told else ''}{told}; {np.mean(steps):.1f} steps on average,"
        f" {max(steps)} at most",
        not who,
    )


def _summary(
    settings: Settings,
    numbers: Numbers,
    goals: tuple[Contest | None, Contest | None, Contest | None],
    best: str | None,
) -> str:
    names = numbers.methods()
    own = settings.declared if settings.declared in names else "goal-surfaces-E"
    parts: list[str] = []
    n = numbers.budgets[min(1, len(numbers.budgets) - 1)]
    shown = [
        name
        for name in ("random", "published-bayes", "published-kmedoids", "bayes-energy-E", own)
        if name in names
    ]
    parts.append(
        f"With {n} structures the error of (100) and (111) together is "
        + ", ".join(f"{numbers.interval(name, n, TOGETHER, 'rms').text(2)} ({name})" for name in shown)
        + " J/m²"
    )
    for one in (g for g in goals if g is not None):
        wins = sum(d.mean.value < 0 for d in one.differences)
        sure = sum(p < 0.05 and d.mean.value < 0 for p, d in zip(one.p, one.differences, strict=True))
        parts.append(
            f"the method declared beforehand, {one.first}, is better than {one.second} at {wins} of"
            f" {len(one.differences)} N (with corrected p < 0.05 at {sure})"
        )
    if best is not None:
        parts.append(f"the smallest mean error over all N of our methods has {best}")
    return "; ".join(parts) + "."
