"""Stratified selection: quotas against Hamilton's method by hand, chance within groups, known structures counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.errors import SelectionError
from aliquot.selection import select
from aliquot.selection.stratified import shares
from aliquot.table import Features, Ids


def hamilton(sizes: list[int], n: int) -> list[int]:
    """Largest remainders in exact fractions, without a minimum."""
    ideal = [Fraction(n * size, sum(sizes)) for size in sizes]
    quota = [int(x) for x in ideal]
    order = sorted(range(len(sizes)), key=lambda g: (-(ideal[g] - quota[g]), g))
    for g in order[: n - sum(quota)]:
        quota[g] += 1
    return quota


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.data())
def test_quotas_are_those_of_hamilton_where_the_minimum_does_not_bind(sizes, data):
    n = data.draw(st.integers(0, sum(sizes)))
    quota = shares(np.array(sizes), n, there=np.zeros(len(sizes), int)).tolist()
    assert sum(quota) == n
    assert all(0 <= k <= size for k, size in zip(quota, sizes, strict=True))
    if n < len(sizes) or all(n * size >= sum(sizes) for size in sizes):
        assert quota == hamilton(sizes, n)
    else:
        assert min(quota) >= 1


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 30)), min_size=1, max_size=7),
    st.data(),
)
def test_known_structures_count(groups, data):
    room, there = np.array(groups).T
    n = data.draw(st.integers(0, int(room.sum())))
    quota = shares(room, n, there=there)
    assert quota.sum() == n
    assert np.all((quota >= 0) & (quota <= room))
    # No pick could be moved from a group that is above its share to one that is below by a whole structure or more.
    filled = (quota + there) / room
    free = quota < room
    for g in np.flatnonzero(quota > (there == 0)):
        for h in np.flatnonzero(free):
            assert filled[g] <= filled[h] + 1 / room[g] + 1 / room[h] + 1e-9


def test_fewer_picks_than_groups():
    pool = Features.from_array(np.eye(10))
    labels = np.array(["a"] * 6 + ["b"] * 3 + ["c"])
    chosen = select(pool, 2, method="stratified", labels=labels)
    assert chosen.recipe["quotas"] == {"a": 1, "b": 1, "c": 0}
    assert any("none of c (1 of 3 groups)" in note for note in chosen.notes)


def test_every_member_of_a_group_has_the_same_chance():
    pool = Features.from_array(np.eye(9))
    labels = np.array(["a"] * 6 + ["b"] * 3)
    seen: Counter[int] = Counter()
    first: Counter[int] = Counter()
    draws = 3000
    for seed in range(draws):
        index = select(pool, 3, method="stratified", labels=labels, seed=seed).index.tolist()
        seen.update(index)
        first[index[0]] += 1
    for count in (seen, first):
        expected = np.full(9, draws / 3 if count is seen else draws / 9)
        chi = sum((count[i] - e) ** 2 / (e * (2 / 3 if count is seen else 1)) for i, e in enumerate(expected))
        assert chi < 26.1  # 99.9 % of χ² with 8 degrees of freedom


def test_counting_what_is_known():
    pool = Features.from_array(np.eye(20))
    labels = np.array(["a"] * 10 + ["b"] * 10)
    known = Features.from_array(np.ones((6, 20)), ids=Ids.numbered(6, "known"))
    of_known = np.array(["a"] * 5 + ["gone"])

    def quotas(**more):
        return select(pool, 7, method="stratified", known=known, labels=labels, **more).recipe["quotas"]

    assert quotas() == {"a": 4, "b": 3}
    assert quotas(count_known=True, known_labels=of_known) == {"a": 1, "b": 6}
    with pytest.raises(SelectionError, match="known_labels"):
        quotas(count_known=True)


def test_files_are_the_groups_where_no_labels_are_given():
    pool = Features.from_array(np.eye(8))
    ids = replace(pool.ids, files=("a.xyz", "b.xyz"), file=np.array([0] * 6 + [1] * 2, np.int32))
    chosen = select(replace(pool, ids=ids), 4, method="stratified")
    assert chosen.recipe["quotas"] == {"a.xyz": 3, "b.xyz": 1}


def test_labels_of_another_pool_are_refused():
    with pytest.raises(SelectionError, match="need one label each"):
        select(Features.from_array(np.eye(4)), 2, method="stratified", labels=["a", "b"])


def test_what_is_known_already_takes_no_quota():
    pool = Features.from_array(np.eye(8))
    labels = np.array(["a"] * 4 + ["b"] * 4)
    chosen = select(pool, 4, method="stratified", labels=labels, known=pool[[0, 1, 2]])
    assert chosen.recipe["quotas"] == {"a": 1, "b": 3}
    assert 3 in chosen.index
