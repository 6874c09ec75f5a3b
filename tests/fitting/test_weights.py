"""Weights by quantity and config type."""

from __future__ import annotations

import pytest

from aliquot.errors import InputError
from aliquot.fitting import Weights


def test_a_table_in_toml(tmp_path):
    path = tmp_path / "weights.toml"
    path.write_text('[default]\nenergy = 20\n[Liq]\nenergy = 10\nforces = 0.66\n["two words"]\nvirial = 0\n')
    weights = Weights.from_text(str(path))
    assert [weights.of(q, "LIQ") for q in ("energy", "forces", "virial")] == [10.0, 0.66, 1.0]
    assert [weights.of(q, "two words") for q in ("energy", "forces", "virial")] == [20.0, 1.0, 0.0]
    assert Weights.from_dict(weights.to_dict()) == weights


def test_three_numbers():
    assert Weights.from_text("50/0.5/0.1") == Weights(50.0, 0.5, 0.1)


def test_weights_for_what_is_not_there_are_refused():
    with pytest.raises(
        InputError, match="config type liquid, which no structure has; there are 'bulk', 'hot'"
    ):
        Weights(groups={"Liquid": (1.0, 1.0, 1.0)}).check(["hot", "bulk"])
    Weights(groups={"HOT": (1.0, 1.0, 1.0)}).check(["hot", "bulk"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Weights(energy=-1.0), "default are .-1"),
        (lambda: Weights(forces=float("nan")), "not negative"),
        (lambda: Weights(groups={"a": (1.0, 1.0, 1.0), "A": (1.0, 1.0, 1.0)}), "differ only in capitals"),
        (lambda: Weights.from_text("30/1"), "neither three numbers"),
        (lambda: Weights.from_text("no such file"), "nor a TOML file"),
        (lambda: Weights.from_dict({"a": {"energie": 1}}), "a is .*energie"),
        (lambda: Weights.from_dict({"a": {"energy": "much"}}), "energy of a is 'much', not a number"),
        (lambda: Weights.from_dict({"energy": 30}), "energy is 30; give a table"),
    ],
)
def test_bad_weights(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "weights.toml"
    path.write_text("[default\n")
    with pytest.raises(InputError, match=r"weights\.toml is not TOML"):
        Weights.from_text(str(path))
