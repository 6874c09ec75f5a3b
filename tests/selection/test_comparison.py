"""Yardsticks against dense matrices and all distances."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from aliquot.errors import SelectionError
from aliquot.selection import select
from aliquot.selection.comparison import compare
from aliquot.table import Features

Maker = Callable[..., Features]


def means(table: Features) -> np.ndarray:
    x = table.rows / table.prior
    return np.array([x[a:b].mean(axis=0) for a, b in zip(table.offsets[:-1], table.offsets[1:], strict=True)])


@pytest.mark.parametrize("kind", ["random", "ragged blocks"])
@pytest.mark.parametrize("given", [False, True])
def test_measures_are_what_they_say(kind: str, given: bool, pool_of: Maker) -> None:
    table = pool_of(kind, n=40, d=4)
    known = None
    if given:
        known, table = table[:6], table[6:]
    choices = {m: select(table, 7, method=m, known=known, seed=2) for m in ("bayes", "fps", "random")}
    found = compare(table, choices, known=known, precision=1e-2)
    P = 1e-2 * np.eye(4)
    if known is not None:
        X = known.weight[:, None] * known.rows / known.prior
        P += X.T @ X
    for i, choice in enumerate(choices.values()):
        Q = P.copy()
        for k, pick in enumerate(choice.index):
            part = table[np.array([pick])]
            X = part.weight[:, None] * part.rows / part.prior
            Q += X.T @ X
            expected = 0.5 * (np.linalg.slogdet(Q)[1] - np.linalg.slogdet(P)[1])
            assert found.information[i][k] == pytest.approx(expected, rel=1e-8)
        centres = means(table)[choice.index]
        centres = centres if known is None else np.vstack((centres, means(known)))
        away = cdist(means(table), centres).min(axis=1)
        assert found.radius[i] == pytest.approx(away.max())
        assert found.mean_distance[i] == pytest.approx(away.mean())
        for j, other in enumerate(choices.values()):
            a, b = set(choice.index.tolist()), set(other.index.tolist())
            assert found.common[i, j] == len(a & b)
            assert found.overlap[i, j] == len(a & b) / len(a | b)
    if known is not None:
        assert found.known_radius == pytest.approx(cdist(means(table), means(known)).min(axis=1).max())
    assert found.total_information.tolist() == [curve[-1] for curve in found.information]
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(told["choices"]) == ["bayes", "fps", "random"]
    assert (told["known_radius"] is None) is not given


def test_the_certified_sum_is_the_measured_information(pool_of: Maker) -> None:
    table = pool_of("clustered", n=80)
    choice = select(table, 20)
    found = compare(table, {"bayes": choice})
    assert choice.certificate is not None
    assert found.total_information[0] == pytest.approx(choice.certificate.achieved, rel=1e-9)


def test_what_cannot_be_compared_is_refused(pool_of: Maker) -> None:
    table = pool_of("random")
    with pytest.raises(SelectionError, match="nothing to compare"):
        compare(table, {})
    with pytest.raises(SelectionError, match="'bayes' was made from another pool"):
        compare(table, {"bayes": select(table[:9], 3)})
