"""Every method on every problem."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aliquot.errors import SelectionError
from aliquot.selection import (
    CUR,
    DIRECT,
    DPP,
    FPS,
    KDPP,
    METHODS,
    Bayes,
    DPPMap,
    Exchange,
    KMeans,
    KMedoids,
    Leverage,
    MaxEntropy,
    MaxVol,
    Random,
    Selection,
    SetCover,
    Sieve,
    Sketch,
    Stratified,
    TwoLevel,
    select,
)
from aliquot.table import Features
from aliquot.testing import Problem, check_selector, selection_problems

SELECTORS = {
    "bayes entropy": Bayes(),
    "bayes energy": Bayes(score="energy"),
    "bayes with a given prior": Bayes(precision=0.5),
    "bayes towards the pool": Bayes(score="goal"),
    "bayes of entropy and energy": Bayes(score="entropy + 0.5*energy"),
    "fps": FPS(),
    "fps cosine": FPS(metric="cosine"),
    "fps mahalanobis": FPS(metric="mahalanobis"),
    "fps standardised": FPS(metric="standardised"),
    "dpp": DPP(),
    "dpp rbf": DPP(kernel="rbf"),
    "dpp by Nyström": DPP(kernel="polynomial", exact=10, rank=8, ridge=1e-6),
    "kdpp": KDPP(),
    "kdpp cosine": KDPP(kernel="cosine"),
    "kdpp rbf": KDPP(kernel="rbf"),
    "kdpp by Nyström": KDPP(kernel="polynomial", exact=10, rank=8, ridge=1e-6),
    "dpp-map": DPPMap(),
    "dpp-map rbf": DPPMap(kernel="rbf"),
    "dpp-map with exchanges": DPPMap(kernel="cosine", ridge=1e-3, swaps=20),
    "entropy": MaxEntropy(),
    "entropy of neighbours": MaxEntropy(score="neighbour"),
    "msc": SetCover(),
    "msc of wide cover": SetCover(bandwidth=2.0),
    "msc quests": SetCover(score="quests"),
    "two-level": TwoLevel(),
    "two-level of many": TwoLevel(parts=7, precision=0.5),
    "sieve": Sieve(),
    "coarse sieve": Sieve(epsilon=0.4, precision=0.5),
    "sketch": Sketch(),
    "sketch to three": Sketch(dimension=3),
    "gaussian sketch": Sketch(projection="gaussian", dimension=3),
    "count sketch": Sketch(projection="count", dimension=3),
    "kmeans": KMeans(),
    "kmeans by samples": KMeans(exact=12),
    "kmedoids": KMedoids(),
    "kmedoids by samples": KMedoids(exact=20, sample=8, draws=2),
    "maxvol": MaxVol(),
    "maxvol, loosely": MaxVol(tolerance=2.0, resolution=1e-6),
    "direct": DIRECT(),
    "direct, three of a cluster": DIRECT(per_cluster=3, threshold=0.01),
    "stratified": Stratified(),
    "cur": CUR(),
    "cur of atoms": CUR(level="atom", aggregate="max"),
    "cur, the top": CUR(variant="top"),
    "cur, sampled": CUR(variant="sampled", level="atom"),
    "leverage": Leverage(),
    "leverage, the top": Leverage(variant="top"),
    "leverage of observables": Leverage(rows="observable", ridge=0.01),
    "exchange": Exchange(),
    "exchange with a given prior": Exchange(precision=0.5),
    "random": Random(),
}
PROBLEMS = {problem.name: problem for problem in selection_problems()}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("selector", SELECTORS)
def test_contract(selector: str, problem: str) -> None:
    plain = PROBLEMS["plain"]  # tells fixed methods from random ones
    one = SELECTORS[selector]
    check_selector(one, problems=(plain, PROBLEMS[problem]), random_size=isinstance(one, DPP))


@pytest.fixture(scope="module")
def hundred_thousand() -> Features:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((100_000, 8), dtype=np.float32) + rng.integers(5, size=(100_000, 1))
    return Features.from_array(rows.astype(np.float32))


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=pytest.mark.slow) if m == "msc" else m for m in METHODS]
)
def test_a_hundred_thousand_rows(method: str, hundred_thousand: Features) -> None:
    answer = select(hundred_thousand, 12, method=method, seed=1)
    assert len(np.unique(answer.index)) == len(answer)
    assert len(answer) == 12 or (method == "dpp" and len(answer) > 0)
    assert np.array_equal(answer.ids.hash, hundred_thousand.ids.hash[answer.index])
    assert answer.pool_size == 100_000


def test_every_method_is_in_the_table() -> None:
    assert {type(s) for s in SELECTORS.values()} == {m.selector for m in METHODS.values()}


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("unwanted", ["cost", "groups"])
def test_what_cannot_be_heeded_is_refused(selector: str, unwanted: str) -> None:
    heeded = next(m.heeds for m in METHODS.values() if m.selector is type(SELECTORS[selector]))
    if unwanted in heeded:
        return  # tests/selection/test_cost.py and test_constraints.py hold it to that
    more: dict[str, Any] = {unwanted: np.ones(24)}
    with pytest.raises(SelectionError, match=unwanted):
        SELECTORS[selector].select(PROBLEMS["plain"].candidates, 2, rng=np.random.default_rng(), **more)


class _Broken:
    """A selector with one fault of the tester's choice."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def select(self, candidates: Any, n: int, *, known: Any = None, rng: Any, **more: Any) -> Selection:
        answer = Bayes(sensitivity=False).select(candidates, n, known=known, rng=rng)
        if self.fault == "one too few":
            return replace(answer, index=answer.index[1:], ids=answer.ids[1:], gain=None, certificate=None)
        if self.fault == "wrong ids" and n > 1:
            return replace(answer, ids=answer.ids[::-1])
        if self.fault == "not nested" and n > 3:
            return replace(answer, index=answer.index[::-1], ids=answer.ids[::-1])
        if self.fault == "first come" and n:
            first = np.arange(n)
            return replace(answer, index=first, ids=candidates.ids[first], nested=None)
        if self.fault == "changes its input" and n:
            candidates.rows[0] += 1.0
        if self.fault == "overclaims" and answer.certificate is not None:
            claim = replace(answer.certificate, upper_bound=answer.certificate.achieved - 1.0)
            return replace(answer, certificate=claim)
        return answer


@pytest.mark.parametrize(
    ("fault", "clause"),
    [
        ("one too few", "were asked for"),
        ("wrong ids", "ids must be"),
        ("not nested", "nested, but"),
        ("first come", "order of the pool|new structures come before"),
        ("changes its input", "must not be changed"),
        ("overclaims", "upper bound"),
    ],
)
def test_the_check_finds_faults(fault: str, clause: str) -> None:
    with pytest.raises(AssertionError, match=clause):
        check_selector(_Broken(fault))  # type: ignore[arg-type]


def test_the_check_wants_refusals() -> None:
    possible = PROBLEMS["plain"]
    with pytest.raises(AssertionError, match="must be refused"):
        check_selector(FPS(), problems=[Problem("not impossible", possible.candidates, 3, refuse=True)])
