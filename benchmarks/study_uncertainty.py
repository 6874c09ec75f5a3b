"""Which indicator tells wrong forces from right ones? Spearman and AUROC on kinds that the fit never saw.

    python benchmarks/study_uncertainty.py [--seeds 3] [--sets silicon molybdenum]

A potential is fitted without some config types and judged on them. For every atom the length of the force error stands
beside each indicator: Spearman's rank correlation, and the area under the ROC curve (AUROC) for the event *error above
the 90th percentile of the in-distribution test error*. 0.5 is chance, 1 perfect. Then what a calibration on
in-distribution structures promises, and what it covers on the others; and what each indicator costs per atom, alone.

Data: $ALIQUOT_DATA, or ../shared/data beside the repository; a set that is not there is skipped.
"""

# ruff: noqa: E402 (threads are limited before NumPy starts them)

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import rankdata, spearmanr

from aliquot import read
from aliquot.ace.potential import AcePotential
from aliquot.fitting import Recipe, candidate_basis, fit
from aliquot.structures import Frames
from aliquot.uncertainty import (
    Observed,
    Uncertainty,
    bootstrap_committee,
    calibrate,
    committee_from_posterior,
    coverage,
    observe,
)
from aliquot.uncertainty.active import grades
from aliquot.uncertainty.leverage import leverage

DATA = Path(os.environ.get("ALIQUOT_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")

#: Structures of each config type that are judged, at most, and share of the others set aside as in-distribution test.
PER_TYPE, TEST = 40, 0.25

SHOWN = {
    "gamma": "grade γ, selected functions",
    "gamma, no guard": "grade γ, without the outlier guard",
    "gamma, full basis": "grade γ, full basis",
    "leverage": "leverage",
    "posterior": "σ of the force, posterior",
    "committee": "committee of 8 from the posterior",
    "bootstrap": "committee of 8 bootstrap refits",
}


@dataclass(frozen=True)
class Subject:
    """A set of data and how it is divided."""

    file: str
    degree: tuple[float, ...]
    held: dict[str, tuple[str, ...]]  # name of a kind -> beginnings of its config types


SETS = {
    "silicon": Subject(
        "si_gap18_available.xyz.xz",
        (15.0, 13.0, 11.0),
        {
            "liquid": ("liq",),
            "amorphous": ("amorph",),
            "surfaces": ("surface", "111adatom", "decohesion", "crack"),
        },
    ),
    "molybdenum": Subject(
        "zuo2020_Mo.xyz.xz", (16.0, 13.0, 11.0), {"surface": ("Surface",), "vacancy": ("Vacancy",)}
    ),
}


def auroc(event: np.ndarray, score: np.ndarray) -> float:
    """Probability that an event has a larger score than a non-event."""
    n = int(event.sum())
    if n in (0, len(event)):
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[event].sum() - n * (n + 1) / 2) / (n * (len(event) - n)))


def sampled(frames: Frames, rng: np.random.Generator) -> Frames:
    """At most :data:`PER_TYPE` structures of each config type."""
    chosen: list[int] = []
    for kind in np.unique(frames.config_type):
        own = np.flatnonzero(frames.config_type == kind)
        chosen += rng.permutation(own)[:PER_TYPE].tolist()
    return frames[np.sort(np.array(chosen))]


def divide(
    subject: Subject, frames: Frames, rng: np.random.Generator
) -> tuple[Frames, Frames, dict[str, Frames]]:
    """Training, in-distribution test, and held-out structures by kind."""
    kinds = frames.config_type
    out: dict[str, Frames] = {}
    left = np.ones(len(frames), bool)
    for name, begin in subject.held.items():
        own = np.array([str(k).startswith(begin) for k in kinds])
        out[name] = sampled(frames[own], rng)
        left &= ~own
    test = left & (rng.random(len(frames)) < TEST)
    return frames[left & ~test], sampled(frames[test], rng), out


def everything(potential: AcePotential, train: Frames, seed: int) -> dict[str, Uncertainty]:
    """All sources of indicators."""
    rng = np.random.default_rng(seed)
    known = Uncertainty.build(potential, train)
    draws = committee_from_posterior(potential, 8, rng=rng)
    return {
        "posterior": known,
        "committee": known.with_spread(draws),
        "bootstrap": known.with_spread(bootstrap_committee(potential, train, 8, rng=rng)),
        "gamma, no guard": replace(Uncertainty.build(potential, train, guard=False), spread=None),
        "gamma, full basis": replace(
            Uncertainty.build(potential, train, guard=False, full_basis=True), spread=None
        ),
    }


def indicators(sources: dict[str, Uncertainty], frames: Frames) -> Observed:
    """Errors beside all indicators."""
    seen = observe(sources["posterior"], frames)
    values = dict(seen.per_atom)
    for name in ("committee", "bootstrap"):
        values[name] = observe(sources[name], frames).per_atom[name]
    for name in ("gamma, no guard", "gamma, full basis"):
        values[name] = observe(sources[name], frames).per_atom["gamma"]
    return replace(seen, per_atom=values)


def costs(sources: dict[str, Uncertainty], frames: Frames) -> dict[str, float]:
    """µs per atom of each indicator alone, features included; neighbour search included too."""
    i = int(np.argmax(frames.sizes))
    known, n = sources["posterior"], int(frames.sizes[i])

    def best(work: Callable[[], object]) -> float:
        work()
        times = []
        for _ in range(7):
            begin = time.process_time()
            work()
            times.append(time.process_time() - begin)
        return min(times) / n * 1e6

    def of(source: Uncertainty, matrices: list[np.ndarray], apply: Callable[..., object]) -> float:
        def work() -> None:
            for block in source.sites.blocks(frames, i):
                apply(block.rows, matrices[block.element])

        return best(work)

    def spread(source: Uncertainty) -> float:
        assert source.spread is not None
        root = source.spread
        return best(lambda: root.std(source.sites.evaluator.rows(frames, i).forces))

    full = sources["gamma, full basis"]
    gamma = of(known, [a.inverse for a in known.active], grades)
    return {
        "gamma": gamma,
        "gamma, no guard": gamma,
        "gamma, full basis": of(full, [a.inverse for a in full.active], grades),
        "leverage": of(known, list(known.leverages), leverage),
        "posterior": spread(known),
        "committee": spread(sources["committee"]),
        "bootstrap": spread(sources["bootstrap"]),
        "forces": best(lambda: known.potential(frames, i, threads=1)),
    }


def study(name: str, seed: int) -> dict[str, dict[str, tuple[float, float]]]:
    """One fit; Spearman and AUROC by kind and indicator; prints what is of this fit alone."""
    subject, rng = SETS[name], np.random.default_rng(seed)
    train, test, held = divide(subject, read(str(DATA / subject.file)), rng)
    basis = candidate_basis(train.elements, degree=subject.degree)
    begin = time.perf_counter()
    done = fit(train, Recipe(basis=basis, posterior=True))
    sources = everything(done.potential, train, seed)
    one = sources["posterior"].active[0]
    print(
        f"seed {seed}: {len(train)} structures, {done.size} of {done.path.n_columns} functions, condition"
        f" {one.condition:.1e} (full basis {sources['gamma, full basis'].active[0].condition:.1e}),"
        f" {time.perf_counter() - begin:.0f} s"
    )
    inside = indicators(sources, test)
    limit = float(np.quantile(inside.forces, 0.9))
    told = {"in distribution": inside, **{kind: indicators(sources, frames) for kind, frames in held.items()}}
    print(f"  event: force error above {1000 * limit:.0f} meV/Å")
    shares = ", ".join(
        f"{k}: {1000 * np.mean(o.forces):.0f} meV/Å, {100 * np.mean(o.forces > limit):.0f} %"
        for k, o in told.items()
    )
    print(f"  mean error, and share of atoms with the event: {shares}")
    _coverages(told, rng)
    joined = [o for kind, o in told.items() if kind != "in distribution"]
    told["all held out"] = replace(
        joined[0],
        forces=np.concatenate([o.forces for o in joined]),
        per_atom={i: np.concatenate([o.per_atom[i] for o in joined]) for i in SHOWN},
    )
    if seed == 0:
        for what, value in costs(sources, held[next(iter(held))]).items():
            print(f"  {SHOWN.get(what, what):40s} {value:7.1f} µs/atom")
    return {
        kind: {
            i: (float(spearmanr(o.per_atom[i], o.forces).statistic), auroc(o.forces > limit, o.per_atom[i]))
            for i in SHOWN
        }
        for kind, o in told.items()
    }


def _coverages(told: dict[str, Observed], rng: np.random.Generator) -> None:
    """Bounds of 90 % learnt on half of the in-distribution structures, averaged over divisions."""
    inside = told["in distribution"]
    frames = np.unique(inside.frame)
    for name in ("gamma", "leverage", "posterior"):
        found: dict[str, list[float]] = {}
        for _ in range(20):
            some = np.isin(inside.frame, rng.permutation(frames)[: len(frames) // 2])
            one = calibrate(inside.per_atom[name][some], inside.forces[some], inside.frame[some], rng=rng)
            rest = inside.per_atom[name][~some], inside.forces[~some], inside.frame[~some]
            found.setdefault("in distribution", []).append(coverage(one, *rest)[0.9])
            for kind, o in told.items():
                if kind != "in distribution":
                    found.setdefault(kind, []).append(coverage(one, o.per_atom[name], o.forces, o.frame)[0.9])
        words = ", ".join(f"{kind} {100 * np.mean(v):.1f} %" for kind, v in found.items())
        print(f"  errors below their 90 % bounds by {name}: {words}")


def main() -> None:
    """Print tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    given = parser.parse_args()
    for name in given.sets:
        if not (DATA / SETS[name].file).is_file():
            print(f"{name}: {SETS[name].file} is not in {DATA}; skipped")
            continue
        print(f"\n## {name}\n")
        runs = [study(name, seed) for seed in range(given.seeds)]
        kinds = list(runs[0])
        print("\nSpearman / AUROC, mean of seeds (largest deviation from it of any seed and number)\n")
        print("| indicator | " + " | ".join(kinds) + " |")
        print("| --- |" + " --- |" * len(kinds))
        deviation = 0.0
        for i, shown in SHOWN.items():
            cells = []
            for kind in kinds:
                values = np.array([run[kind][i] for run in runs])
                deviation = max(deviation, float(np.nanmax(np.abs(values - values.mean(axis=0)))))
                cells.append(f"{values[:, 0].mean():.2f} / {values[:, 1].mean():.2f}")
            print(f"| {shown} | " + " | ".join(cells) + " |")
        print(f"\nlargest deviation {deviation:.2f}")


if __name__ == "__main__":
    main()
