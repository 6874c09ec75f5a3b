"""The page of a campaign: true numbers, whatever is missing, text of others only text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from aliquot.campaign import History, Round
from aliquot.report.campaign import write_campaign

EVIL = "<script>alert('x')</script>"


def one_round(number, error, gamma, *, asked, failed=()):
    stages = {
        "label": {"labelled": 2, "oracle_seconds": 1.5, "failed": list(failed), "seconds": 2.0},
        "fit": {"size": 40 + number, "notes": [EVIL], "seconds": 1.0},
        "test": {
            "errors": {"forces": {"mae": error}, "energy": {"mae": error / 10}} if error else {},
            "seconds": 0.1,
        },
    }
    if number:
        walks = [{"temperature": 300.0, "finished": False}, {"temperature": 600.0, "finished": True}]
        explored = {
            "candidates": 7,
            "gamma_quantile": gamma,
            "gamma_largest": 31.0,
            "stopped": 1,
            "walks": walks,
        }
        stages = {
            "explore": {**explored, "seconds": 3.0},
            "select": {"selected": 2, "seconds": 0.5},
            **stages,
        }
        stages["test"]["before"] = {"forces": {"mae": 2 * error}} if error else {}
    return Round(number, stages, asked, asked - len(failed), float(asked))


@pytest.fixture
def history(tmp_path):
    rounds = (one_round(0, 0.5, None, asked=10), one_round(1, 0.0321, 4.25, asked=12, failed=[EVIL]))
    settings = {
        "goal": {"force_mae": 0.05, "gamma": 2.0, "quantile": 0.99},
        "label": {"oracle": EVIL},
        "seed": 1,
    }
    return History(tmp_path, settings, rounds, "the goal is reached")


def test_numbers(tmp_path, history):
    page = write_campaign(tmp_path / "page.html", history).read_text("utf-8")
    assert "<strong>32.1</strong>" in page
    assert "wrong by 500 meV/Å" in page
    assert "4.25" in page
    assert "The goal is reached." in page
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3
    assert page.count("<svg") == 3
    assert "<h3>Structures without a label</h3>" in page
    parser = HTMLParser()
    parser.feed(page)


@pytest.mark.parametrize(
    "rounds",
    [
        (),
        (one_round(0, None, None, asked=10),),
        (one_round(0, 0.5, None, asked=10), one_round(1, 0.3, None, asked=12)),
    ],
)
def test_what_is_missing(tmp_path, history, rounds):
    from dataclasses import replace

    some = replace(history, rounds=rounds, ended="", settings={})
    page = write_campaign(tmp_path / "page.html", some).read_text("utf-8")
    assert "nan" not in page.split("<main>")[1].split("<svg")[0]
    assert ("It has not ended." in page) == bool(rounds)
