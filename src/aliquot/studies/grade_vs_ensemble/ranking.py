"""Which indicator tells wrong forces from right ones? And what it takes to have it.

A potential is fitted without some kinds of structure and judged on them. For every atom the length of its force error
stands beside each indicator: Spearman's rank correlation, and the area under the ROC curve (AUROC) for the event *error
above the 90th percentile of the error in distribution*. 0.5 is chance, 1 perfect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from aliquot.ace.potential import AcePotential
from aliquot.fitting import Fit, Recipe, fit, split_at_random
from aliquot.structures import Frames
from aliquot.studies.grade_vs_ensemble.costs import microseconds
from aliquot.studies.grade_vs_ensemble.ensemble import forces_of, refit, spread
from aliquot.studies.grade_vs_ensemble.subjects import Division, divide, subject_named
from aliquot.uncertainty import (
    Observed,
    Spread,
    Uncertainty,
    bootstrap_committee,
    calibrate,
    committee_from_posterior,
    coverage,
    observe,
)

__all__ = ["ALL", "INSIDE", "OUTSIDE", "auroc", "rank"]

Array = NDArray[np.float64]

#: Kinds that every set has: the test in distribution, everything held out, and the two together.
INSIDE: Final = "in distribution"
OUTSIDE: Final = "all held out"
ALL: Final = "all together"

#: Members of committees.
COMMITTEE: Final = 8

#: Divisions of the structures in distribution that coverage is averaged over.
DIVISIONS: Final = 10


def auroc(event: NDArray[np.bool_], score: Array) -> float:
    """Probability that an event has a larger score than a non-event; NaN where all are one or the other.

    Examples
    --------
    >>> auroc(np.array([True, False, True, False]), np.array([3.0, 1.0, 2.0, 2.0]))
    0.875
    """
    n = int(event.sum())
    if n in (0, len(event)):
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[event].sum() - n * (n + 1) / 2) / (n * (len(event) - n)))


@dataclass(frozen=True, eq=False)
class _Sources:
    """Everything that doubts the potential, and the CPU seconds that making it took."""

    fit: Fit
    known: Uncertainty
    unguarded: Uncertainty
    full: Uncertainty
    committees: dict[str, Spread]
    ensemble: list[AcePotential]
    seconds: dict[str, float] = field(default_factory=dict[str, float])


def rank(
    name: str,
    frames: Frames,
    *,
    train_cap: int,
    test_cap: int,
    sizes: Sequence[int],
    share: float,
    noise: float,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """One division of one set: rows of indicators by kind, of costs, and of the fit.

    Parameters
    ----------
    name : str
        Of the set.
    frames : Frames
    train_cap, test_cap : int
        Structures of one config type, at most.
    sizes : sequence of int
        Of ensembles; the largest is fitted.
    share, noise : float
        Of members (:func:`~aliquot.studies.grade_vs_ensemble.ensemble.refit`).
    rng : numpy.random.Generator
    """
    subject = subject_named(name)
    division = divide(subject, frames, train_cap=train_cap, test_cap=test_cap, rng=rng)
    sources = _sources(subject.basis(frames.elements), division.train, max(sizes), share, noise, rng)
    told = {INSIDE: _indicators(sources, division.test, sizes)}
    told |= {kind: _indicators(sources, some, sizes) for kind, some in division.held.items()}
    limit = float(np.quantile(told[INSIDE].forces, 0.9))
    told[OUTSIDE] = _joined([told[kind] for kind in division.held])
    told[ALL] = _joined([told[INSIDE], told[OUTSIDE]])
    covered = _coverages(told, rng)
    costs = microseconds(
        sources.known,
        sources.full,
        sources.committees,
        sources.ensemble,
        sizes,
        max(division.held.values(), key=lambda some: some.sizes.max()),
    )
    return [
        *_ranking_rows(told, covered, limit),
        *_cost_rows(sources, costs, sizes),
        _fit_row(sources, told, limit, division),
    ]


# --- who doubts -----------------------------------------------------------------------------------------------


def _sources(
    basis: Any, train: Frames, members: int, share: float, noise: float, rng: np.random.Generator
) -> _Sources:
    seconds: dict[str, float] = {}

    @contextmanager
    def clock(what: str) -> Any:
        began = time.process_time()
        yield
        seconds[what] = time.process_time() - began

    parts = split_at_random(train, seed=int(rng.integers(2**31)))
    with clock("fit"):
        done = fit(train, Recipe(basis=basis, posterior=True), parts=parts, threads=1)
    potential = done.potential
    with clock("gamma"):
        known = Uncertainty.build(potential, train, threads=1)
    with clock("gamma, no guard"):
        unguarded = Uncertainty.build(potential, train, guard=False, threads=1)
    with clock("gamma, full basis"):
        full = Uncertainty.build(potential, train, guard=False, full_basis=True, threads=1)
    with clock("committee"):
        draws = committee_from_posterior(potential, COMMITTEE, rng=rng)
    with clock("bootstrap"):
        again = bootstrap_committee(potential, train, COMMITTEE, rng=rng, threads=1)
    ensemble = refit(done, train, members, share=share, noise=noise, rng=rng)
    seconds |= {f"member {i}": member.seconds for i, member in enumerate(ensemble)}
    return _Sources(
        done,
        known,
        replace(unguarded, spread=None),
        replace(full, spread=None),
        {"committee": draws, "bootstrap": again},
        [member.potential for member in ensemble],
        seconds,
    )


def _indicators(sources: _Sources, frames: Frames, sizes: Sequence[int]) -> Observed:
    """Errors of the forces beside all indicators, atom by atom; and the error of the mean of the ensemble."""
    labelled = frames[np.flatnonzero(frames.forces.present)]
    seen = observe(sources.known, labelled)
    values = dict(seen.per_atom)
    for name, one in sources.committees.items():
        values[name] = observe(sources.known.with_spread(one), labelled).per_atom[one.kind]
    values["gamma, no guard"] = observe(sources.unguarded, labelled).per_atom["gamma"]
    values["gamma, full basis"] = observe(sources.full, labelled).per_atom["gamma"]
    others: dict[str, list[Array]] = {f"ensemble of {size}": [] for size in sizes}
    means: list[Array] = []
    for i in range(len(labelled)):
        said = forces_of(sources.ensemble, labelled, i)
        for size in sizes:
            others[f"ensemble of {size}"].append(spread(said[:size]))
        label = labelled.forces.values[labelled.offsets[i] : labelled.offsets[i + 1]]
        means.append(np.linalg.norm(said.mean(axis=0) - label, axis=1))
    values |= {name: np.concatenate(parts) for name, parts in others.items()}
    return replace(seen, per_atom={**values, _MEAN: np.concatenate(means)})


#: Not an indicator: the force error of the mean of the ensemble.
_MEAN: Final = "error of the mean"


def _joined(parts: Sequence[Observed]) -> Observed:
    return replace(
        parts[0],
        forces=np.concatenate([one.forces for one in parts]),
        per_atom={name: np.concatenate([one.per_atom[name] for one in parts]) for name in parts[0].per_atom},
    )


# --- what comes out -------------------------------------------------------------------------------------------


def _ranking_rows(
    told: dict[str, Observed], covered: dict[tuple[str, str], float], limit: float
) -> list[dict[str, Any]]:
    return [
        {
            "what": "ranking",
            "kind": kind,
            "indicator": name,
            "spearman": float(np.asarray(spearmanr(values, one.forces))[0]),
            "auroc": auroc(one.forces > limit, values),
            "event_percent": 100 * float(np.mean(one.forces > limit)),
            "error_meV": 1000 * float(one.forces.mean()),
            "atoms": len(values),
            "above_1_percent": 100 * float(np.mean(values > 1)) if name.startswith("gamma") else None,
            "covered_percent": covered.get((name, kind)),
        }
        for kind, one in told.items()
        for name, values in one.per_atom.items()
        if name != _MEAN
    ]


def _coverages(told: dict[str, Observed], rng: np.random.Generator) -> dict[tuple[str, str], float]:
    """Share of errors below bounds of 90 % that were learnt on half of the structures in distribution."""
    inside = told[INSIDE]
    frames = np.unique(inside.frame)
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(DIVISIONS):
        half = np.isin(inside.frame, rng.permutation(frames)[: len(frames) // 2])
        for name in ("gamma", "leverage", "posterior"):
            values = inside.per_atom[name]
            one = calibrate(values[half], inside.forces[half], inside.frame[half], rng=rng)
            rest = coverage(one, values[~half], inside.forces[~half], inside.frame[~half])
            found.setdefault((name, INSIDE), []).append(rest[0.9])
            for kind, other in told.items():
                if kind not in (INSIDE, OUTSIDE, ALL):
                    share = coverage(one, other.per_atom[name], other.forces, other.frame)
                    found.setdefault((name, kind), []).append(share[0.9])
    return {key: 100 * float(np.mean(values)) for key, values in found.items()}


def _cost_rows(sources: _Sources, costs: dict[str, float], sizes: Sequence[int]) -> list[dict[str, Any]]:
    """What having each indicator takes, beside the potential: CPU seconds once, µs per atom each time."""
    s = sources.seconds
    posterior = sources.fit.timings.get("posterior", 0.0)
    members = [s[f"member {i}"] for i in range(len(sources.ensemble))]
    once = {
        "forces": s["fit"],
        "gamma": s["gamma"],
        "gamma, no guard": s["gamma, no guard"],
        "gamma, full basis": s["gamma, full basis"],
        "leverage": s["gamma, no guard"],
        "posterior": posterior,
        "committee": posterior + s["committee"],
        "bootstrap": s["bootstrap"],
        **{f"ensemble of {size}": sum(members[:size]) for size in sizes},
    }
    return [
        {
            "what": "cost",
            "indicator": name,
            "train_s": once[name],
            "us_per_atom": value,
            "fit_s": s["fit"],
            "forces_us": costs["forces"],
        }
        for name, value in costs.items()
    ]


def _fit_row(
    sources: _Sources, told: dict[str, Observed], limit: float, division: Division
) -> dict[str, Any]:
    def rms(kind: str, of: Callable[[Observed], Array]) -> float:
        return 1000 * float(np.sqrt(np.mean(np.square(of(told[kind])))))

    one = sources.known.active[0]
    return {
        "what": "fit",
        "structures": len(division.train),
        "test_over_train": division.test_over_train,
        "functions": sources.fit.size,
        "condition": one.condition,
        "condition_full": sources.full.active[0].condition,
        "limit_meV": 1000 * limit,
        "rmse_inside_meV": rms(INSIDE, lambda o: o.forces),
        "rmse_outside_meV": rms(OUTSIDE, lambda o: o.forces),
        "mean_rmse_inside_meV": rms(INSIDE, lambda o: o.per_atom[_MEAN]),
        "mean_rmse_outside_meV": rms(OUTSIDE, lambda o: o.per_atom[_MEAN]),
    }
