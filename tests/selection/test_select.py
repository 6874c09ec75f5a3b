"""The front door, what it refuses, and what a user is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from aliquot.errors import InputError, SelectionError
from aliquot.information import Posterior, default_precision
from aliquot.selection import METHODS, Bayes, Selection, select
from aliquot.table import Features, Ids

Maker = Callable[..., Features]


def test_every_method_answers_and_is_documented(pool_of: Maker) -> None:
    table = pool_of("clustered")
    for name, method in METHODS.items():
        answer = select(table, 5, method=name, seed=3)
        assert (len(answer), answer.method, answer.seed) == (5, name, 3)
        assert answer.nested is ("nested" in method.gives)  # what the catalogue promises, the answer says
        assert answer.timings["select"] >= 0
        assert answer.pool_hash == table.ids.digest()
        assert answer.known_hash == ""
        assert method.summary
        assert method.cost
        assert method.memory
        cited = (*method.references, *answer.references)
        for reference in cited:  # books and some proceedings have no number
            assert re.search(r"doi:10\.|arXiv:|Press, \d{4}\)|Proc\. .+, \d+ \(\d{4}\)", reference), reference


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "magic"}, f"magic.*choose one of {', '.join(METHODS)}"),
        ({"colour": "red"}, "no parameter colour.*score, goal, precision"),
        ({"method": "random", "score": "energy"}, "no parameter score; it has none"),
        ({"score": "luck"}, "luck.*entropy, energy"),
        ({"precision": -1.0}, "positive.*-1"),
        ({"precision": float("nan")}, "positive.*nan"),
    ],
)
def test_unknown_names_are_refused(arguments: dict[str, object], message: str, pool_of: Maker) -> None:
    with pytest.raises(SelectionError, match=message):
        select(pool_of("random"), 2, **arguments)  # type: ignore[arg-type]


def test_refusals_name_the_number_the_structure_and_the_feature() -> None:
    rows = np.ones((4, 3))
    table = Features.from_array(rows)
    with pytest.raises(SelectionError, match="cannot select 5 of 4 candidates in array; lower n"):
        select(table, 5)
    with pytest.raises(SelectionError, match=r"an integer; got 2\.5"):
        select(table, 2.5)  # type: ignore[arg-type]
    rows[2, 1] = np.inf
    with pytest.raises(SelectionError, match="feature f1 of candidate array#2 is inf, not finite"):
        select(table, 1)
    with pytest.raises(SelectionError, match="4 features and known structures 2"):
        select(Features.from_array(np.ones((3, 4))), 1, known=Features.from_array(np.ones((1, 2))))
    blocks = Features.from_array(np.array([[1.0], [2.0], [np.nan]]), offsets=np.array([0, 1, 3]))
    with pytest.raises(SelectionError, match="candidate array#1 is nan"):
        select(blocks, 1, method="random")


def test_the_record_survives_json(pool_of: Maker) -> None:
    table = pool_of("clustered")
    known = replace(table[:5], ids=Ids.numbered(5, "known"))
    for name in METHODS:
        answer = select(table, 7, method=name, known=known)
        again = Selection.from_json(answer.to_json())
        assert again.to_json() == answer.to_json()
        for field, value in vars(answer).items():
            other = getattr(again, field)
            if field == "ids":
                assert other.hash.tolist() == value.hash.tolist()
                assert [other.name(i) for i in range(len(answer))] == [
                    value.name(i) for i in range(len(answer))
                ]
            elif isinstance(value, np.ndarray):
                np.testing.assert_array_equal(other, value)
            else:
                assert other == value, field


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{}",
        '{"format": "aliquot-selection", "schema": 99}',
        "[1, 2]",
        '{"format": "aliquot-selection", "schema": 1}',
    ],
)
def test_what_is_not_a_record_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="selection"):
        Selection.from_json(text)


def test_recipe_says_how_to_choose_again(pool_of: Maker) -> None:
    table = pool_of("random")
    answer = select(table, 4, score="energy")
    assert answer.recipe["score"] == "energy"
    assert answer.recipe["precision"] == pytest.approx(default_precision(table))
    assert answer.recipe["features"] == dict(table.recipe)
    given = select(table, 4, score="energy", precision=answer.recipe["precision"])
    assert given.index.tolist() == answer.index.tolist()
    assert given.recipe["precision_from"] == "given"
    json.dumps(answer.recipe)


def test_sensitivity_is_the_overlap_at_other_priors(pool_of: Maker) -> None:
    table = pool_of("clustered")
    answer = select(table, 20)
    assert answer.sensitivity is not None
    assert answer.sensitivity.parameter == "precision"
    for name, factor in (("10x", 10.0), ("0.1x", 0.1)):
        other = select(table, 20, precision=answer.sensitivity.value * factor)
        kept = len(set(answer.index.tolist()) & set(other.index.tolist())) / 20
        assert answer.sensitivity.kept[name] == kept
        assert other.sensitivity is None, "a prior that was given is not varied"
    assert select(table, 20, sensitivity=False).sensitivity is None


@pytest.mark.parametrize("score", ["entropy", "energy"])
@pytest.mark.parametrize("kind", ["random", "energy and forces", "ragged blocks"])
def test_suggested_stop_is_where_prediction_beats_the_label(score: str, kind: str, pool_of: Maker) -> None:
    table = pool_of(kind, n=50, d=4)
    table = replace(table, weight=table.weight * 0.2)
    answer = select(table, 30, score=score, precision=0.05)
    stop = answer.suggested_stop
    assert stop is not None
    posterior = Posterior(np.full(4, 0.05))
    ratios = []
    for i in answer.index:
        rows = slice(table.offsets[i], table.offsets[i + 1])
        x = table.rows[rows] / table.prior
        seen = table.kind[rows] == 1 if (table.kind[rows] == 1).any() else np.ones(len(x), bool)
        std = np.sqrt(posterior.variance(x)[seen].mean())
        noise = np.sqrt((1 / table.weight[rows][seen] ** 2).mean())
        ratios.append((std, noise))
        posterior.absorb(table.weight[rows, None] * x)
    below = [k for k, (std, noise) in enumerate(ratios) if std < noise]
    assert stop.n == (below[0] if below else None)
    std, noise = ratios[below[0] if below else -1]
    assert stop.predicted_std == pytest.approx(std, rel=1e-8)
    assert stop.noise == pytest.approx(noise, rel=1e-8)
    assert f"{stop.noise:.3g}" in stop.reason


def test_suggested_stop_when_every_pick_was_worth_making() -> None:
    stop = select(Features.from_array(10 * np.eye(5)), 3).suggested_stop
    assert stop is not None
    assert stop.n is None
    assert "every pick was worth making" in stop.reason


def test_known_structures_change_what_is_worth_choosing() -> None:
    pool = Features.from_array(np.array([[3.0, 0.0], [2.9, 0.1], [0.0, 1.0]]))
    known = Features.from_array(np.array([[3.0, 0.05]] * 3), ids=Ids.numbered(3, "known"))
    for method in ("bayes", "fps"):
        assert select(pool, 1, method=method, known=known).index.tolist() == [2]
    assert select(pool, 1).index.tolist() == [0]


def test_repetitions_come_last_and_are_said() -> None:
    rng = np.random.default_rng(0)
    table = Features.from_array(rng.normal(size=(10, 3)))
    pool = table[np.array([0, 1, 2, 3, 0, 1, 4, 5])]
    known = table[np.array([5, 9])]
    for method in METHODS:
        answer = select(pool, 8, method=method, known=known)
        assert set(answer.index[:5].tolist()) == {0, 1, 2, 3, 6}
        notes = " ".join(answer.notes)
        assert "1 candidates are already among the known structures (array#5)" in notes
        assert "2 candidates are an exact repetition of another candidate (array#0, array#1)" in notes
        assert "only 5 candidates are new, so 3 of the 8 chosen repeat a structure" in notes


def test_constant_features_and_exhaustion_are_said() -> None:
    rows = np.zeros((6, 3))
    rows[:2, :2], rows[:, 2] = np.eye(2), 0.0
    table = Features.from_array(rows)
    for method in ("bayes", "fps"):
        answer = (
            select(table, 5, method=method, score="entropy")
            if method == "bayes"
            else select(table, 5, method=method)
        )
        notes = " ".join(answer.notes)
        assert "1 of 3 features have the same value in every row of the pool (f2)" in notes
        assert "hash" in notes
    entropy = select(table, 6)
    assert entropy.gain is not None
    assert entropy.gain[2:].tolist() == [0.0] * 4
    rest = entropy.ids.hash[2:].tolist()
    assert rest == sorted(rest)
    nothing = select(Features.from_array(np.zeros((3, 2))), 2)
    assert nothing.suggested_stop is not None
    assert nothing.suggested_stop.n == 0


def test_random_is_uniform_over_ordered_choices() -> None:
    table = Features.from_array(np.arange(5.0)[:, None])
    counts = np.zeros((5, 5))
    for seed in range(4000):
        first, second = select(table, 2, method="random", seed=seed).index
        counts[first, second] += 1
    off_diagonal = counts[~np.eye(5, dtype=bool)]
    assert off_diagonal.sum() == 4000
    assert chisquare(off_diagonal).pvalue > 1e-3


def test_same_seed_same_answer_other_seed_another(pool_of: Maker) -> None:
    table = pool_of("random")
    a, b, c = (select(table, 20, method="random", seed=s).index.tolist() for s in (1, 1, 2))
    assert a == b
    assert a != c
    assert select(table, 20, seed=1).index.tolist() == select(table, 20, seed=2).index.tolist()


def test_gains_of_entropy_never_rise(pool: Features) -> None:
    gain = select(pool, len(pool), precision=0.01).gain
    assert gain is not None
    distinct = len(set(pool.ids.hash.tolist()))
    assert np.all(np.diff(gain[:distinct]) <= 1e-8 * gain[: distinct - 1])


def test_fps_starts_with_the_most_ordinary_candidate(pool_of: Maker) -> None:
    table = pool_of("random")
    x = table.rows / table.prior
    expected = int(np.argmin(np.linalg.norm(x - x.mean(axis=0), axis=1)))
    assert select(table, 1, method="fps").index.tolist() == [expected]


@pytest.mark.parametrize("method", METHODS)
def test_progress_reaches_the_end(method: str, pool_of: Maker) -> None:
    steps: list[tuple[str, int, int]] = []
    select(pool_of("random"), 4, method=method, progress=lambda *step: steps.append(step))
    assert any(done == total for _, done, total in steps)
    assert all(0 <= done <= total for _, done, total in steps)


def test_hyperparameters_are_checked_when_they_are_given() -> None:
    with pytest.raises(SelectionError, match="score"):
        Bayes(score="")
    assert Bayes(score="energy") == Bayes(score="energy")
