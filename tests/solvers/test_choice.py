"""Rules that choose a model of a path."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.errors import InputError
from aliquot.solvers import Path, Point, choose


def path_of(sizes, *, training, validation=None, evidence=None) -> Path:
    points = tuple(
        Point(
            step=i,
            penalty=0.0,
            support=np.arange(n),
            values=np.ones(n),
            training=training[i],
            validation=None if validation is None else validation[i],
            log_evidence=None if evidence is None else evidence[i],
        )
        for i, n in enumerate(sizes)
    )
    return Path("made", {}, 1000, 5000, points)


SIZES = [1, 10, 20, 50, 100, 300]
TRAINING = [10.0, 4.0, 2.0, 1.0, 0.9, 0.5]
VALIDATION = [11.0, 5.0, 2.5, 1.03, 1.0, 1.2]


@pytest.mark.parametrize(
    ("rule", "size"),
    [
        ("final", 300),
        ("size 60", 50),
        ("size 300", 100),
        ("within 1.05", 50),
        ("within 1", 100),
        ("within 3", 20),
        ("knee", 50),
    ],
)
def test_validation_decides(rule, size):
    path = path_of(SIZES, training=TRAINING, validation=VALIDATION, evidence=[0, 0, 9, 0, 0, 0])
    i, reason = choose(path, rule)
    assert path[i].size == size
    assert str(size) in reason or rule == "final"


def test_without_validation_the_evidence_decides_or_else_training():
    probable = path_of(SIZES, training=TRAINING, evidence=[0.0, 1.0, 5.0, 4.0, 3.0, 2.0])
    assert SIZES[choose(probable, "within 1.5")[0]] == 20
    assert SIZES[choose(probable, "evidence")[0]] == 20
    plain = path_of(SIZES, training=TRAINING)
    assert SIZES[choose(plain, "within 2")[0]] == 50
    with pytest.raises(InputError, match="no evidence"):
        choose(plain, "evidence")


def test_the_order_of_points_does_not_matter():
    order = [3, 0, 5, 1, 4, 2]
    shuffled = path_of(
        [SIZES[k] for k in order],
        training=[TRAINING[k] for k in order],
        validation=[VALIDATION[k] for k in order],
    )
    for rule, size in (("knee", 50), ("within 1.05", 50), ("size 20", 20)):
        assert shuffled[choose(shuffled, rule)[0]].size == size


@pytest.mark.parametrize(
    "rule", ["", "best", "size", "size 0", "size -3", "within 0.5", "within x", "knee 3", "final 2"]
)
def test_unknown_rules(rule):
    with pytest.raises(InputError, match="not known; choose one of final"):
        choose(path_of(SIZES, training=TRAINING), rule)


def test_what_cannot_be_chosen():
    with pytest.raises(InputError, match="smallest has 10"):
        choose(path_of([10, 20], training=[1.0, 0.5]), "size 9")
    with pytest.raises(InputError, match="three sizes"):
        choose(path_of([10, 20], training=[1.0, 0.5]), "knee")
    with pytest.raises(InputError, match="empty"):
        choose(path_of([], training=[]), "final")
