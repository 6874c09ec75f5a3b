"""Words, tables, bars: where they go, and that text of others is only text."""

from __future__ import annotations

import io
import json
import sys

import pytest

from aliquot.cli.screen import Screen
from aliquot.progress import silent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("quiet", "as_json"), [(True, False), (False, True), (True, True)])
def test_quiet_and_json_say_nothing(capsys, quiet, as_json):
    screen = Screen(quiet, as_json)
    screen.say("word")
    screen.warn("warning")
    screen.table("title", ["a"], [["1"]])
    out, err = capsys.readouterr()
    assert (out, err) == ("", "")
    screen.emit({"a": 1})
    out, err = capsys.readouterr()
    assert err == ""
    assert (json.loads(out) == {"a": 1}) if as_json else (out == "")


def test_table_shows_markup_as_text(capsys):
    Screen().table("", ["kind", "n"], [["[bold]x[/bold]", "3"], ["\x1b[2J", "11"]])
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert r"\x1b[2J" in out
    assert "\x1b" not in out


def test_bars_only_on_a_terminal(monkeypatch):
    with Screen().progress() as progress:
        assert progress is silent  # stderr is captured here
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Screen(as_json=True).progress() as progress:
        assert progress is silent
    with Screen().progress() as progress:
        progress("[red]features", 5, 10)
        progress("[red]features", 10, 10)
        progress("[red]features", 1, 3)  # the known set, after the pool
        progress("unknown length", 7, 0)
    shown = terminal.getvalue()
    assert "[red]features" in shown
    assert "1/3" in shown
    assert "7/?" in shown
