"""Set cover against coverage counted pair by pair, and against all sets of small pools."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from aliquot.errors import SelectionError
from aliquot.selection import Cost
from aliquot.selection import coverage as coverage_module
from aliquot.selection.coverage import Covering, typical_distance
from aliquot.selection.msc import SetCover
from aliquot.table import KINDS, Features


def environments_of(table: Features) -> list[np.ndarray]:
    """Environments of each candidate: energy rows, or all where there are none; smoothness-scaled."""
    parts = []
    for a, b in itertools.pairwise(table.offsets):
        x = np.asarray(table.rows[a:b], float) / table.prior
        energy = table.kind[a:b] == KINDS.index("energy")
        parts.append(x[energy] if energy.any() else x)
    return parts


def cover_sets(pool: Features, known: Features | None, h: float) -> tuple[list[set[int]], int]:
    """Which environments each candidate covers beside the known ones, pair by pair, and how many there are."""
    mine = environments_of(pool)
    everything = np.vstack(mine)
    old = [] if known is None else environments_of(known)

    def near(x: np.ndarray) -> set[int]:
        return {e for e, y in enumerate(everything) if any(math.dist(y, z) <= h for z in x)}

    taken = set().union(*(near(x) for x in old)) if old else set()
    return [near(x) - taken for x in mine], len(everything)


def width(pool: Features) -> float:
    """A bandwidth at which some environments are alike: the 5 % quantile of all distances."""
    x = np.vstack(environments_of(pool))
    distance = np.linalg.norm(x[:, None] - x, axis=2)
    return float(np.quantile(distance[np.triu_indices(len(x), 1)], 0.05)) + 1e-9


@pytest.mark.parametrize("given", [0, 7])
def test_every_pick_covers_most(pool: Features, given: int) -> None:
    known, rest = pool[:given], pool[given:]
    h = width(pool)
    sets, total = cover_sets(rest, known, h)
    answer = SetCover(bandwidth=h).select(rest, 10, known=known, rng=np.random.default_rng(0))
    covered: set[int] = set()
    allowed = ~np.isin(rest.ids.hash, known.ids.hash)
    assert answer.gain is not None
    for pick, gain in zip(answer.index.tolist(), answer.gain.tolist(), strict=True):
        best = max(len(s - covered) for s, a in zip(sets, allowed, strict=True) if a)
        assert gain == best == len(sets[pick] - covered)
        covered |= sets[pick]
        allowed[pick] = False
    assert answer.certificate is not None
    assert answer.certificate.achieved == len(covered)
    assert f" of {total} environments" in answer.notes[-1] or f" of {total} environments" in answer.notes[-2]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_guarantee_and_certificate_against_all_sets(small_pool: Features, n: int) -> None:
    known, rest = small_pool[:1], small_pool[1:]
    for h in (0.5 * width(small_pool), width(small_pool), 4 * width(small_pool)):
        sets, _ = cover_sets(rest, known, h)
        new = np.flatnonzero(~np.isin(rest.ids.hash, known.ids.hash)).tolist()
        if len(new) < n:
            continue
        best = max(len(set().union(*(sets[i] for i in s))) for s in itertools.combinations(new, n))
        answer = SetCover(bandwidth=h).select(rest, n, known=known, rng=np.random.default_rng(0))
        assert answer.certificate is not None
        assert answer.certificate.achieved >= (1 - 1 / math.e) * best
        assert answer.certificate.upper_bound >= best


def test_guarantee_within_a_budget(small_pool: Features) -> None:
    rng = np.random.default_rng(5)
    price = rng.uniform(0.2, 3, len(small_pool))
    h, budget = 2 * width(small_pool), 4.0
    sets, _ = cover_sets(small_pool, None, h)
    affordable = [
        s
        for k in range(1, len(small_pool) + 1)
        for s in itertools.combinations(range(len(small_pool)), k)
        if price[list(s)].sum() <= budget
    ]
    best = max(len(set().union(*(sets[i] for i in s))) for s in affordable)
    answer = SetCover(bandwidth=h).select(
        small_pool, len(small_pool), cost=Cost(price, budget), rng=np.random.default_rng(0)
    )
    assert answer.spent is not None
    assert answer.spent <= budget * (1 + 1e-9)
    assert answer.certificate is not None
    assert answer.certificate.achieved >= 0.5 * (1 - 1 / math.e) * best
    assert answer.certificate.upper_bound >= best


@pytest.mark.parametrize("given", [0, 5])
def test_quests_picks_the_largest_surprise(pool: Features, given: int) -> None:
    known, rest = pool[:given], pool[given:]
    h = width(pool)
    mine = environments_of(rest)
    seen = environments_of(known)
    picks = (
        SetCover(score="quests", bandwidth=h).select(rest, 8, known=known, rng=np.random.default_rng(0)).index
    )

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -0.5 * np.square(np.linalg.norm(x[:, None] - y, axis=2) / h)

    def entropy(x: np.ndarray) -> float:
        return -float(np.mean(np.log(np.exp(kernel(x, x)).mean(axis=1))))

    allowed = ~np.isin(rest.ids.hash, known.ids.hash)
    for pick in picks.tolist():
        values = np.full(len(rest), -np.inf)
        for c in np.flatnonzero(allowed).tolist():
            values[c] = entropy(mine[c])
            if seen:
                k = kernel(mine[c], np.vstack(seen))
                values[c] += -float(np.logaddexp.reduce(k, axis=1).min())
        assert values[pick] >= values.max() - 1e-8 * max(1.0, abs(values.max()))
        seen.append(mine[pick])
        allowed[pick] = False


def test_typical_distance_against_all_pairs(pool: Features) -> None:
    mine = environments_of(pool)
    nearest = []
    for i, x in enumerate(mine):
        others = np.vstack([y for j, y in enumerate(mine) if j != i])
        away = np.linalg.norm(others - x[0], axis=1)
        nearest.append(away[away > 0].min())
    assert typical_distance(pool) == pytest.approx(np.median(nearest), rel=6e-3)


def test_too_many_pairs_are_refused(pool_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage_module, "_MOST_PAIRS", 100)
    with pytest.raises(SelectionError, match="lower the bandwidth"):
        Covering(pool_of("random"), None, bandwidth=1e3)


def test_what_makes_no_sense_is_refused(pool_of) -> None:
    with pytest.raises(SelectionError, match="coverage, quests"):
        SetCover(score="overlap")
    with pytest.raises(SelectionError, match="positive"):
        SetCover(bandwidth=-1.0)
    with pytest.raises(SelectionError, match="use score coverage"):
        SetCover(score="quests").select(pool_of("random"), 2, cost=np.ones(60), rng=np.random.default_rng(0))


def test_a_tail_that_covers_nothing_is_told(pool_of) -> None:
    answer = SetCover(bandwidth=1e6).select(pool_of("random"), 3, rng=np.random.default_rng(0))
    assert answer.gain is not None
    assert answer.gain.tolist() == [60.0, 0.0, 0.0]
    assert "from pick 2 on nothing is newly covered" in answer.notes[-1]
