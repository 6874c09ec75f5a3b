"""Pools of every kind, with content hashes in no order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aliquot.table import KINDS, Features, Ids

Maker = Callable[..., Features]


def _named(table: Features, seed: int) -> Features:
    digits = np.random.default_rng([seed, 99]).integers(0, 16, (len(table), 32))
    hashes = np.array(["".join(f"{d:x}" for d in row) for row in digits], dtype="S32")
    return replace(table, ids=replace(Ids.numbered(len(table)), hash=hashes))


def make_pool(kind: str, *, n: int = 60, d: int = 6, seed: int = 0) -> Features:
    """A pool of ``n`` candidates."""
    rng = np.random.default_rng([seed, n, d])
    rows = rng.normal(size=(n, d))
    if kind == "clustered":
        rows = 5.0 * rng.normal(size=(4, d))[rng.integers(4, size=n)] + 0.1 * rows
    elif kind == "duplicated":
        rows = rows[rng.integers(n // 4, size=n)]
    elif kind == "rank-deficient":
        rows = rows[:, :2] @ rng.normal(size=(2, d))
    elif kind == "wildly scaled":
        rows *= 10.0 ** np.linspace(-6, 6, d)
    elif kind == "float32":
        rows = rows.astype(np.float32)
    elif kind == "offset":  # a large common mean, as descriptors have
        rows = 100.0 + rows
    elif kind in ("ragged blocks", "energy and forces"):
        lengths = rng.integers(1, 2 * d, n)
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        rows = rng.normal(size=(offsets[-1], d)) * np.repeat(rng.uniform(0.2, 3, n), lengths)[:, None]
        table = Features.from_array(rows, offsets=offsets, kind="atom", prior=rng.uniform(1, 3, d))
        if kind == "energy and forces":
            kinds = np.full(len(rows), KINDS.index("force"), np.uint8)
            kinds[offsets[:-1]] = KINDS.index("energy")
            weight = np.where(kinds == KINDS.index("energy"), 30.0, 1.0)
            table = replace(table, kind=kinds, weight=weight)
        return _named(table, seed)
    weight, prior = rng.uniform(0.1, 10, n), rng.uniform(1, 3, d)
    return _named(Features.from_array(rows, weight=weight, prior=prior), seed)


POOLS = (
    "random",
    "clustered",
    "duplicated",
    "rank-deficient",
    "wildly scaled",
    "float32",
    "offset",
    "ragged blocks",
    "energy and forces",
)


@pytest.fixture
def pool_of() -> Maker:
    """Make a pool of a stated kind."""
    return make_pool


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> Features:
    """A pool of each kind in turn."""
    return make_pool(request.param)


@pytest.fixture(params=POOLS)
def small_pool(request: pytest.FixtureRequest) -> Features:
    """Eight candidates of each kind in turn."""
    return make_pool(request.param, n=8, d=3, seed=3)
