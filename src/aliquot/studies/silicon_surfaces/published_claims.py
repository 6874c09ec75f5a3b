"""What the paper reports, and what the quick look before this study suggested: each held against the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from aliquot.studies.record import Finding
from aliquot.studies.silicon_surfaces.comparisons import contest
from aliquot.studies.silicon_surfaces.measured import Numbers
from aliquot.studies.silicon_surfaces.settings import WHOLE, Settings

__all__ = ["claims"]

#: J/m², below which the paper finds two methods on (100).
_CLOSE: Final = 0.05


def claims(settings: Settings, numbers: Numbers) -> list[Finding]:
    """All that can be decided from what was run."""
    made = (
        _reference_curve(numbers),
        *(
            _close(numbers, name, features)
            for features in (WHOLE, "M")
            for name in ("published-bayes", "published-kmedoids", "bayes-energy-E")
        ),
        _ratio(numbers, WHOLE),
        _ratio(numbers, "M"),
        *_energies(settings, numbers),
        *_fps(settings, numbers),
        _cur(numbers),
        _forces(settings, numbers),
        *_prototype(settings, numbers),
    )
    return [one for one in made if one is not None]


def _there(numbers: Numbers, *names: str, features: str = "M") -> bool:
    return all(name in numbers.methods(features) for name in names)


#: Where a claim was tried.
_WHERE: Final = {WHOLE: "chosen from all 186, one run, as published", "M": "a quarter set aside"}


def _reference_curve(numbers: Numbers) -> Finding | None:
    if not _there(numbers, "random"):
        return None
    energy = [numbers.interval("random", n, "energy_rmse_meV") for n in numbers.budgets]
    force = [numbers.interval("random", n, "force_rmse_meV_per_A") for n in numbers.budgets]
    falling = all(a.value > b.value for a, b in pairwise(energy))
    within = energy[0].value <= 17.5 and all(125 <= f.value <= 210 for f in force)
    told = "; ".join(
        f"N = {n}: {e.text(3)} meV/atom, {f.text(3)} meV/Å"
        for n, e, f in zip(numbers.budgets, energy, force, strict=True)
    )
    return Finding(
        "SRS reference curve: energy errors fall with N and stay in the panel (17.5 meV/atom); forces 125–210 meV/Å",
        told,
        falling and within,
    )


def _close(numbers: Numbers, name: str, features: str) -> Finding | None:
    if not _there(numbers, name, features=features):
        return None
    found = [numbers.interval(name, n, "error_100", "rms", features) for n in numbers.budgets]
    one = "value" if features == WHOLE else "root mean square"
    below = "; ".join(
        f"N = {n}: {x.value:.2g}" if features == WHOLE else f"N = {n}: {x.text(2)}"
        for n, x in zip(numbers.budgets, found, strict=True)
    )
    claim = "k-medoids" if "kmedoids" in name else "Bayesian selection"
    ours = "" if name.startswith("published") else ", ours, with prior,"
    return Finding(
        f"{claim}{ours} is below {_CLOSE} J/m² on (100) at every N ({_WHERE[features]})",
        f"{one}, J/m²: {below}",
        all(x.value < _CLOSE for x in found),
    )


def _ratio(numbers: Numbers, features: str) -> Finding | None:
    if not _there(numbers, "random", "published-bayes", features=features):
        return None
    small = [n for n in numbers.budgets if n <= 20]
    rms = {
        name: [numbers.interval(name, n, "error_100", "rms", features).value for n in small]
        for name in (
            "random",
            "published-bayes",
            "published-kmedoids",
            "bayes-energy-E",
            "goal-both-E",
            "goal-surfaces-EF",
        )
        if _there(numbers, name, features=features)
    }
    told = [
        f"{name}: "
        + ", ".join(f"{r / v:.2g}× (N = {n})" for n, r, v in zip(small, rms["random"], values, strict=True))
        for name, values in rms.items()
        if name != "random"
    ]
    best = max(r / v for r, v in zip(rms["random"], rms["published-bayes"], strict=True))
    return Finding(
        f"Bayesian selection's (100) error is 4.3 times smaller than that of SRS at small N ({_WHERE[features]})",
        "; ".join(told),
        best >= 4.3,
    )


def _energies(settings: Settings, numbers: Numbers) -> Iterator[Finding | None]:
    for name, n, gain, text in (
        ("published-kmedoids", 20, -2.5, "k-medoids is about 2.5 meV/atom better than SRS at N = 20"),
        (
            "published-bayes",
            10,
            -4.0,
            "ACE and Bayesian selection is 4 meV/atom better than SRS at N = 10 (paper: L)",
        ),
        ("published-bayes", 5, 0.0, "ACE (M) and Bayesian selection is worse than SRS at N = 5"),
    ):
        one = (
            contest(settings, numbers, name, "random", "energy_rmse_meV", [n])
            if n in numbers.budgets
            else None
        )
        if one is None:
            yield None
            continue
        mean = one.differences[0].mean
        holds = mean.value > 0 if gain == 0 else mean.value < 0 and mean.low <= gain * 0.5
        yield Finding(text, f"{name} less random, M: {mean.text(2)} meV/atom, p = {one.p[0]:.2g}", holds)
    if 10 in numbers.budgets and numbers.repeats("published-bayes", "L"):
        a = numbers.of("published-bayes", 10, "energy_rmse_meV", features="L")
        b = numbers.of("random", 10, "energy_rmse_meV")[: len(a)]
        yield Finding(
            "ACE (L) and Bayesian selection is 4 meV/atom better than SRS at N = 10",
            f"{np.mean(a - b):.2g} meV/atom, {len(a)} repeats",
            None if len(a) < 20 else bool(np.mean(a - b) < -2.0),
        )


def _fps(settings: Settings, numbers: Numbers) -> Iterator[Finding | None]:
    for n in (n for n in (20, 100) if n in numbers.budgets):
        one = contest(settings, numbers, "published-fps", "random", "energy_rmse_meV", [n])
        if one is None:
            yield None
            continue
        mean = one.differences[0].mean
        claim = (
            "published FPS is 3 to 6 meV/atom worse than random at N = 20 (paper: 4.8)"
            if n == 20
            else "published FPS is about as good as random at N = 100"
        )
        holds = 3.0 <= mean.value <= 6.0 if n == 20 else abs(mean.value) < 1.0
        yield Finding(claim, f"{mean.text(2)} meV/atom, p = {one.p[0]:.2g}", holds)
    if 20 in numbers.budgets and (
        one := contest(settings, numbers, "fps", "published-fps", "energy_rmse_meV", [20])
    ):
        mean = one.differences[0].mean
        yield Finding(
            "Correct FPS, from the core, is far better than the published one",
            f"at N = 20 {mean.text(2)} meV/atom, p = {one.p[0]:.2g}",
            mean.value < -2.0 and one.p[0] < 0.05,
        )


def _cur(numbers: Numbers) -> Finding | None:
    spread = numbers.results.where(method="published-cur", control="").column("spread_of_scores")
    spread = spread[np.isfinite(spread)]
    if not len(spread):
        return None
    return Finding(
        "Published CUR scores are all alike (spread < 1e-12)",
        f"largest less smallest score: {spread.max():.1e} at most, in {len(set(spread.tolist()))} pools",
        bool(spread.max() < 1e-12),
    )


def _forces(settings: Settings, numbers: Numbers) -> Finding | None:
    told: list[str] = []
    signs: list[bool] = []
    for name, n in (("published-bayes", 20), ("published-kmedoids", 10)):
        if n in numbers.budgets:
            one = contest(settings, numbers, name, "random", "force_rmse_meV_per_A", [n])
            if one is not None:
                told.append(f"{name}, N = {n}: {one.differences[0].mean.text(2)} meV/Å, p = {one.p[0]:.2g}")
                signs.append(one.differences[0].mean.value > 0)
    if not told:
        return None
    return Finding(
        "Forces: Bayesian selection is worse than SRS at N = 20 (paper: 5 meV/Å), k-medoids at N = 10 (paper: 30)",
        "; ".join(told),
        all(signs),
    )


def _prototype(settings: Settings, numbers: Numbers) -> Iterator[Finding | None]:
    """Findings of the quick look: one run of each method, another prior and no virials."""
    middle = [n for n in (20, 50) if n in numbers.budgets]
    full = numbers.repeats("random") if _there(numbers, "random") else 0
    names = [m for m in numbers.methods() if numbers.repeats(m) == full]
    if middle and _there(numbers, "bayes-energy-E"):
        means = {m: [float(np.mean(numbers.of(m, n, "energy_rmse_meV"))) for n in middle] for m in names}
        best = [min(names, key=lambda m: means[m][k]) for k in range(len(middle))]
        told = "; ".join(
            f"N = {n}: best {m} with {means[m][k]:.2g}, bayes-energy-E {means['bayes-energy-E'][k]:.2g} meV/atom"
            for k, (n, m) in enumerate(zip(middle, best, strict=True))
        )
        variants = ("bayes-energy-E", "bayes-energy-EF", "bayes-energy-E-default")
        yield Finding(
            "Quick look: energy variance with a prior is best on energies at N = 20 to 50",
            told,
            all(m in variants for m in best),
        )
    if _there(numbers, "goal-surfaces-EF"):
        errors = {
            m: float(np.mean([numbers.interval(m, n, "error_111", "rms").value for n in numbers.budgets]))
            for m in names
        }
        order = sorted(names, key=lambda m: errors[m])
        told = ", ".join(f"{m} {errors[m]:.2g}" for m in order[:4])
        goal = errors.get("goal-surfaces-EF", float("nan"))
        yield Finding(
            "Quick look: a stated goal wins where it is stated ((111), mean over N of root mean squares)",
            f"{told} J/m²; goal-surfaces-EF {goal:.2g}",
            order[0].startswith(("goal-surfaces", "goal-both")),
        )
    budgets = middle or numbers.budgets
    energy, force = (
        contest(settings, numbers, "bayes-entropy-EF", "random", column, budgets)
        for column in ("energy_rmse_meV", "force_held_meV_per_A")
    )
    if energy is not None and force is not None:
        worse = all(d.mean.value > 0 for d in energy.differences)
        buys = all(d.mean.value < 0 for d in force.differences)
        yield Finding(
            "Quick look: the log-determinant of force rows is spent on thermal noise: energies worse than random, and"
            " nothing bought with them",
            f"bayes-entropy-EF less random: energy, meV/atom: {energy.text()}; forces set aside, meV/Å: {force.text()}",
            worse and not buys,
        )
