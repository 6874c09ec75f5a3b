"""A campaign's file is read strictly, and what is wrong is told with what to do."""

from __future__ import annotations

import pytest

from aliquot.campaign import read_settings, settings_from
from aliquot.campaign.example import TOML
from aliquot.errors import AliquotError, InputError

BEGIN = {"start": {"structures": "start.xyz"}, "goal": {"rounds": 1}}


def test_example_is_read(tmp_path):
    (tmp_path / "campaign.toml").write_text(TOML, "utf-8")
    told = read_settings(tmp_path / "campaign.toml")
    assert told.start.structures == (str(tmp_path / "start.xyz"),)  # from where the file lies
    assert told.explore.structures == (str(tmp_path / "cells.xyz"),)
    assert told.explore.temperatures == (300.0, 600.0, 900.0, 1200.0, 1500.0)
    assert told.fit.degree == (12.0, 10.0, 8.0)
    assert told.goal.force_mae == 0.05
    assert told.goal.gamma is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"explore": {"temperatur": [300]}},
            r"\[explore\] temperatur is not known; did you mean temperatures",
        ),
        ({"exploration": {}}, "exploration is not known; did you mean explore"),
        ({"explore": {"steps": "many"}}, r"\[explore\] steps is 'many'; it must be a whole number"),
        ({"explore": {"steps": True}}, "it must be a whole number"),
        ({"explore": {"steps": 0}}, "steps is 0; it must be positive"),
        ({"explore": {"temperatures": []}}, "give at least one"),
        ({"explore": {"temperatures": [-3]}}, "each must be positive"),
        ({"explore": {"select": 9, "stop": 3}}, "must be above"),
        ({"explore": []}, "it must be a table"),
        ({"select": {"method": "bays"}}, "method 'bays' is not known"),
        ({"select": {"quality": "gamma"}}, "bayes has no use for a quality; use kdpp"),
        ({"select": {"method": "kdpp", "quality": "beauty"}}, "choose one of gamma"),
        ({"select": {"method": "kdpp", "cost_power": 3}}, "cannot heed costs"),
        ({"select": {"parameters": {"colour": 1}}}, "has no parameter colour"),
        ({"fit": {"solver": "magic"}}, "choose one of"),
        ({"fit": {"parameters": {"magic": 1}}}, "does not take these parameters"),
        ({"fit": {"weights": [1, 2]}}, "three numbers"),
        ({"goal": {}}, "would never end"),
        ({"goal": {"force_mae": 0.1}}, r"\[test\] has none"),
        ({"goal": {"rounds": 1, "quantile": 2}}, "quantile is 2"),
        ({"start": {}}, "has no structures"),
        ({"start": {"structures": "a.xyz", "labels": "guess"}}, "choose one of oracle, file"),
        ({"label": {"timeout": -1}}, "timeout is -1"),
        ({"seed": -1}, "must not be negative"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_what_is_wrong_is_told(change, words):
    with pytest.raises(AliquotError, match=words):
        settings_from({**BEGIN, **change})


def test_missing_parts_and_files(tmp_path):
    with pytest.raises(InputError, match=r"has no \[goal\]"):
        settings_from({"start": {"structures": "a.xyz"}})
    with pytest.raises(InputError, match="cannot read"):
        read_settings(tmp_path / "nowhere.toml")
    (tmp_path / "bad.toml").write_text("[start\n")
    with pytest.raises(InputError, match="is not TOML"):
        read_settings(tmp_path / "bad.toml")
