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
        ("best", 100),
        ("within 3", 20),
        ("knee", 50),
        ("best by training", 300),
        ("within 2.1 by training", 50),
        ("size 60 by validation", 50),
    ],
)
def test_validation_decides_where_there_is_no_evidence(rule, size):
    path = path_of(SIZES, training=TRAINING, validation=VALIDATION)
    i, reason = choose(path, rule)
    assert path[i].size == size
    assert rule == "final" or (
        str(size) in reason and ("training" if "training" in rule else "validation") in reason
    )


def test_evidence_decides_first_as_an_error_per_label():
    """5,000 labels: a log-evidence lower by 5000 log 1.02 is an error larger by 2 %."""
    step = 5000 * np.log(1.02)
    evidence = [-9 * step, -3 * step, -0.9 * step, -0.5 * step, 0.0, -0.1 * step]
    path = path_of(SIZES, training=TRAINING, validation=VALIDATION, evidence=evidence)
    assert SIZES[choose(path, "within 1.02")[0]] == 20
    assert SIZES[choose(path, "best")[0]] == 100
    assert SIZES[choose(path, "within 1.05 by validation")[0]] == 50
    assert "by evidence" in choose(path, "within 1.02")[1]
    plain = path_of(SIZES, training=TRAINING)
    assert SIZES[choose(plain, "within 2")[0]] == 50
    with pytest.raises(InputError, match="no evidence"):
        choose(plain, "best by evidence")


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
    "rule",
    ["", "worst", "size", "size 0", "best by luck", "size -3", "within 0.5", "within x", "knee 3", "final 2"],
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
