r"""Bayesian selection: every pick is the candidate that tells a linear model most, given all before it.

The model's posterior precision is :math:`P = \lambda I + \sum w^2 x^\top x` over the rows of known and chosen
structures, in smoothness-scaled coordinates. Labels enter at most through λ (the evidence of known labels,
:func:`aliquot.fitting.prior_from_labels`). Where none sets it, λ is 10⁻¹² of the largest eigenvalue of the second
moment of the pool, and the answer says how many picks stay the same at 10 λ and λ/10.

- ``entropy``: the information gain :math:`\tfrac12\log\det(I + W X P^{-1} X^\top W)` of all rows of a candidate.
  A monotone submodular objective: greedy reaches at least 1 - 1/e of the optimum, and each run certifies how
  much it has reached.
- ``energy``: the predictive variance of the observable of a candidate (its energy rows, or all of its rows
  where it has none, on average).
- ``force-max``, ``force-mean``: the largest and the mean predictive variance of its force components.
- sums of these, such as ``energy + 0.1*force-mean``.
- ``goal``: variance removed from what the user wants to know (:mod:`aliquot.selection.goal`).

With costs, gains are compared per cost; a budget is spent twice (:mod:`aliquot.selection.cost`), and the run whose
picks carry more information, the log-determinant whatever the score (for goals: which remove more), is the answer.

References
----------
G. L. Nemhauser, L. A. Wolsey and M. L. Fisher, Math. Program. 14, 265 (1978), doi:10.1007/BF01588971
C. van der Oord, M. Sachs, D. P. Kovács, C. Ortner and G. Csányi, npj Comput. Mater. 9, 168 (2023),
doi:10.1038/s41524-023-01104-6
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import (
    Blocks,
    Energy,
    Entropy,
    Posterior,
    Reduction,
    Target,
    WeightedSum,
    default_precision,
    gather,
)
from aliquot.information.passes import threads
from aliquot.progress import Progress, silent
from aliquot.selection.certificate import entropy_certificate
from aliquot.selection.cost import BUDGET_REFERENCES, GUARANTEE
from aliquot.selection.goal import Towards, goal_certificate, joint, left_of, towards
from aliquot.selection.greedy import greedy
from aliquot.selection.method import Method
from aliquot.selection.record import Selection, Sensitivity, SuggestedStop
from aliquot.selection.request import Request
from aliquot.selection.score import Terms, check_forces, information_of, terms_of
from aliquot.table import Features

__all__ = ["CATALOGUE", "Bayes"]

_HAL = (
    "C. van der Oord, M. Sachs, D. P. Kovács, C. Ortner and G. Csányi, npj Comput. Mater. 9, 168 (2023),"
    " doi:10.1038/s41524-023-01104-6",
)

_REFERENCES = {
    "entropy": (
        "K. Chaloner and I. Verdinelli, Stat. Sci. 10, 273 (1995), doi:10.1214/ss/1177009939",
        "G. L. Nemhauser, L. A. Wolsey and M. L. Fisher, Math. Program. 14, 265 (1978), doi:10.1007/BF01588971",
    ),
    "energy": _HAL,
    "force-max": _HAL,
    "force-mean": _HAL,
    "goal": ("F. Pukelsheim, Optimal Design of Experiments (SIAM, 2006), doi:10.1137/1.9780898719109",),
}

_UNITS = {"entropy": "nat", "energy": "variance", "force-max": "variance", "force-mean": "variance"}


@dataclass(frozen=True)
class Bayes:
    """Greedy selection by what a linear model learns.

    Parameters
    ----------
    score : str
        ``entropy``, ``energy``, ``force-max``, ``force-mean``, a sum of these such as ``energy + 0.1*force-mean``, or
        ``goal``. Scores of forces need force rows.
    goal : tuple of Target or "pool"
        For ``goal``: what is to be known. ``"pool"``, the default, is the mean over the pool itself.
    precision : float, optional
        Prior precision λ in smoothness-scaled coordinates; by default 10⁻¹² of the largest eigenvalue of the
        pool's second-moment matrix.
    precision_from : str, optional
        Where a given precision comes from, for the record.
    sensitivity : bool
        Whether to choose again at 10 λ and λ/10 where λ is the default; that triples the time.
    """

    score: str = "entropy"
    goal: tuple[Target | str, ...] = ()
    precision: float | None = None
    precision_from: str = "given"
    sensitivity: bool = True

    def __post_init__(self) -> None:
        terms = terms_of(self.score)
        if self.goal and terms:
            raise SelectionError(f"a goal is given, but the score is {self.score}; use score='goal'")
        for goal in self.goal:
            if not isinstance(goal, Target) and goal != "pool":
                raise SelectionError(f"goal {goal!r} is neither 'pool' nor a Target")
        if self.precision is not None and not (math.isfinite(self.precision) and self.precision > 0):
            raise SelectionError(f"the prior precision must be positive and finite; got {self.precision}")

    def select(
        self,
        candidates: Features,
        n: int,
        *,
        known: Features | None = None,
        cost: Any = None,
        groups: Any = None,
        rng: np.random.Generator,
        progress: Progress = silent,
        executor: Executor | None = None,
    ) -> Selection:
        """Choose ``n`` candidates; see :class:`aliquot.selection.Selector`. Deterministic: ``rng`` is not used.

        Passes over a pool on disk go to the workers of ``executor`` where one is given; the picks are the same.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.array([[3.0, 0.0], [3.0, 0.1], [0.0, 1.0]]))
        >>> Bayes().select(pool, 2, rng=np.random.default_rng(0)).index.tolist()
        [1, 2]
        """
        clock = [perf_counter()]
        request = Request.check(
            candidates, n, known=known, cost=cost, groups=groups, heeds=True, executor=executor
        )
        terms = terms_of(self.score)
        if executor is not None and not terms:
            raise SelectionError(
                "score goal holds all rows in memory and shares no work; leave the executor out"
            )
        if any(name.startswith("force") for name, _ in terms) and len(candidates):
            check_forces(candidates)
        precision = (
            default_precision(candidates, executor=executor)
            if self.precision is None
            else float(self.precision)
        )
        clock.append(perf_counter())
        with threads():  # one for BLAS from here on: no digit depends on how many there were
            if terms:
                fields = self._by_score(terms, request, precision, clock, progress)
            else:
                fields = self._towards_goal(request, precision, clock, progress)
        recipe = {
            "method": "bayes",
            "score": self.score,
            **fields.pop("recipe", {}),
            "precision": precision,
            "precision_from": (
                "1e-12 of the largest eigenvalue of the pool"
                if self.precision is None
                else self.precision_from
            ),
        }
        references = tuple(
            dict.fromkeys(r for name, _ in terms or (("goal", 1.0),) for r in _REFERENCES[name])
        )
        stages = zip(("prior", "select", "certificate", "sensitivity"), np.diff(clock), strict=True)
        return request.answer(
            fields.pop("index"),
            method="bayes",
            recipe=recipe,
            nested=request.nested,
            timings={stage: float(seconds) for stage, seconds in stages},
            references=references + (() if request.budget is None else BUDGET_REFERENCES),
            **fields,
        )

    def _by_score(
        self, terms: Terms, request: Request, precision: float, clock: list[float], progress: Progress
    ) -> dict[str, Any]:
        runs = [_run(terms, precision, request, s, progress) for s in request.strategies]
        run = max(runs, key=lambda r: round(r.log_det, 6))  # equal sets, in two orders: the first of the runs
        n = len(run.index)
        clock.append(perf_counter())
        certificate = None
        if isinstance(run.information, Entropy) and n:
            certificate = entropy_certificate(run.information, request, run.index, run.gain)
        clock.append(perf_counter())

        def again(factor: float, stage: str) -> NDArray[np.int64]:
            return _run(terms, precision * factor, request, run.strategy, progress, stage=stage).index

        sensitivity = self._vary(precision, run.index, again)
        clock.append(perf_counter())
        return {
            "index": run.index,
            "gain": run.gain,
            "gain_unit": _UNITS[next(iter(terms))[0]] if len(terms) == 1 else "score",
            "certificate": certificate,
            "suggested_stop": _suggested_stop(run.std, run.noise) if n else None,
            "sensitivity": sensitivity,
            "notes": (*_budget_notes(runs, run, request), *_notes(run, request)),
        }

    def _towards_goal(
        self, request: Request, precision: float, clock: list[float], progress: Progress
    ) -> dict[str, Any]:
        table = request.candidates
        targets = tuple(
            Target.of(table, name="pool") if isinstance(goal, str) else goal
            for goal in (self.goal or ("pool",))
            if len(table) or not isinstance(goal, str)
        )
        for target in targets:
            if target.root.shape[1] != table.n_features:
                raise SelectionError(
                    f"goal {target.name} has {target.root.shape[1]} features and candidates {table.n_features}; make"
                    " both with the same recipe, in one call of featurize"
                )
        posterior = _posterior(precision, request)
        scaled, variances = joint(targets, posterior)

        def run(strategy: str, factor: float = 1.0, stage: str = "select") -> Towards:
            start = posterior if factor == 1.0 else _posterior(precision * factor, request)
            root = scaled if factor == 1.0 else joint(targets, start)[0]
            reduction = Reduction(start, table, root, progress=progress)
            return towards(reduction, request, strategy, progress=progress, stage=stage)

        runs = [run(strategy) for strategy in request.strategies]
        best = max(runs, key=lambda r: round(float(r.gain.sum()), 9))
        clock.append(perf_counter())
        certificate = goal_certificate(best, request) if len(best.index) else None
        clock.append(perf_counter())
        sensitivity = self._vary(
            precision, best.index, lambda factor, stage: run(best.strategy, factor, stage).index
        )
        clock.append(perf_counter())
        return {
            "index": best.index,
            "gain": best.gain,
            "gain_unit": "share of variance",
            "certificate": certificate,
            "sensitivity": sensitivity,
            "recipe": {"goal": [target.to_dict() for target in targets]},
            "notes": (
                *left_of(targets, variances, request, best.index, posterior),
                *_said_of(best.exhausted),
            ),
        }

    def _vary(
        self, precision: float, index: NDArray[np.int64], again: Callable[[float, str], NDArray[np.int64]]
    ) -> Sensitivity | None:
        """Share of the picks that stay when the default prior is ten times stronger or weaker."""
        if not self.sensitivity or self.precision is not None or not len(index):
            return None
        kept = {
            name: len(np.intersect1d(index, again(factor, f"select at {name} prior"))) / len(index)
            for name, factor in (("10x", 10.0), ("0.1x", 0.1))
        }
        return Sensitivity("precision", precision, kept)


def _posterior(precision: float, request: Request) -> Posterior:
    """What is known before the first pick."""
    posterior = Posterior(np.full(request.candidates.n_features, precision))
    if request.known is not None:
        for some, _ in request.known.tiles():
            posterior.absorb(gather(request.known, some).weighted)
    return posterior


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Picks in order, what each brought, and how well it was predicted before."""

    strategy: str
    information: Entropy | Energy | WeightedSum
    index: NDArray[np.int64]
    gain: NDArray[np.float64]
    std: list[float]
    noise: list[float]
    rows_read: int
    exhausted: int | None  # the pick from which on gains were rounding

    @property
    def log_det(self) -> float:
        """What the runs of one budget are compared by: twice the information after the picks, and a constant."""
        return self.information.posterior.log_det()


def _run(
    terms: Terms,
    precision: float,
    request: Request,
    strategy: str,
    progress: Progress,
    *,
    stage: str = "select",
) -> _Outcome:
    posterior = _posterior(precision, request)
    information = information_of(terms, posterior)
    std: list[float] = []
    noise: list[float] = []

    def remember(pick: Blocks) -> None:
        variance = pick.observed_mean(posterior.variance(pick.x))
        std.append(float(np.sqrt(variance[0])))
        noise.append(float(np.sqrt(pick.observed_mean(1.0 / np.square(pick.weight))[0])))

    index, gain, rows_read, exhausted = [np.empty(0, np.int64)], [np.empty(0)], 0, None
    for k, mask in request.phases():
        ledger = request.ledger(strategy, mask)
        trace = greedy(
            information,
            request.candidates,
            k,
            allowed=mask,
            ledger=ledger,
            before=remember,
            executor=request.executor,
            progress=progress,
            stage=stage,
        )
        if exhausted is None and trace.exhausted is not None:
            exhausted = sum(map(len, index)) + trace.exhausted
        index.append(trace.index)
        gain.append(trace.gain)
        rows_read += trace.rows_read
        if ledger is not None:
            ledger.check_complete(request.n)
    chosen, gains = np.concatenate(index), np.concatenate(gain)
    return _Outcome(strategy, information, chosen, gains, std, noise, rows_read, exhausted)


def _suggested_stop(std: list[float], noise: list[float]) -> SuggestedStop | None:
    """The first pick that was predicted, before it was made, better than its label would be known."""
    if not std:  # nothing to learn at all: every row is zero
        return SuggestedStop(0, 0.0, 0.0, "no pick teaches anything: every row of the pool is zero")
    for k, (s, e) in enumerate(zip(std, noise, strict=True)):
        if s < e:
            reason = (
                f"pick {k + 1} was already predicted better than its label would be known"
                f" (standard deviation {s:.3g}, noise {e:.3g}): {k} picks are worth making"
            )
            return SuggestedStop(k, s, e, reason)
    reason = (
        f"the last of {len(std)} picks was still predicted {std[-1] / noise[-1]:.2g} times less well than its label"
        f" would be known (standard deviation {std[-1]:.3g}, noise {noise[-1]:.3g}): every pick was worth making"
    )
    return SuggestedStop(None, std[-1], noise[-1], reason)


def _budget_notes(runs: list[_Outcome], best: _Outcome, request: Request) -> tuple[str, ...]:
    """How the two ways of spending a budget compare, and what that guarantees."""
    if request.budget is None:
        return ()
    first = min(run.log_det for run in runs)
    said = ", ".join(f"{run.strategy} {len(run.index)} picks" for run in runs)
    notes = [
        f"the budget was spent greedily by gain per cost and by plain gain ({said}); {best.strategy} is the answer,"
        f" by {0.5 * (best.log_det - first):.3g} nat; plain greedy begins with the best single candidate"
    ]
    free = request.constraints is None or not request.constraints.binding
    if isinstance(best.information, Entropy) and free:
        notes.append(
            f"guaranteed for every pool: {GUARANTEE:.1%} = ½ (1 - 1/e) of the most that this budget can bring; the"
            " certificate is for this pool"
        )
    return tuple(notes)


def _notes(run: _Outcome, request: Request) -> tuple[str, ...]:
    n, rows = len(run.index), max(1, len(request.candidates.rows))
    notes = [f"{run.rows_read} rows were read for {n} picks: {run.rows_read / rows:.1f} passes over the pool"]
    return (*notes, *_said_of(run.exhausted))


def _said_of(exhausted: int | None) -> tuple[str, ...]:
    """From where on there was nothing to choose by."""
    if exhausted is None:
        return ()
    return (
        f"from pick {exhausted + 1} on the gain is zero within rounding: the pool has nothing more to teach"
        " a linear model; what follows is in the order of content hashes",
    )


CATALOGUE = {
    "bayes": Method(
        Bayes,
        "most informative for a linear model: by entropy, by energy or force variance, or towards a goal",
        "N d² for the default prior, then at most 2 N d n flops",
        "40 bytes a candidate + d² + n d + 64 MB",
        ("doi:10.1214/ss/1177009939", "doi:10.1007/BF01588971", "doi:10.1038/s41524-023-01104-6"),
        ("cost", "groups", "executor"),
        gives=("certificate", "nested"),
    ),
}
