"""``aliquot methods``: which ways of choosing there are."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Annotated, Any

import typer

from aliquot.cli import options
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

__all__ = ["methods_command"]

#: Columns of the terminal that text fills at most.
WIDEST = 100

_LEGEND = (
    "N candidates of one row each, d features, n picks. Certificate: how far from the best possible choice at most."
    " Nested: the first k picks are the choice of size k. Parameters are given as NAME:KEY=VALUE."
)

_WORDS = {
    "certificate": "a certificate",
    "nested": "nested picks",
    "cost": "costs",
    "groups": "constraints",
    "executor": "executors",
}


def methods_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", show_default=False, help="Only these.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the methods: what each does, what it gives and heeds, what it costs, and whom to cite."""
    from aliquot.selection import METHODS

    unknown = sorted(set(names or ()) - METHODS.keys())
    if unknown:
        raise InputError(f"there is no method {unknown[0]!r}; there are {', '.join(METHODS)}")
    rows = [_row(name) for name in METHODS if not names or name in names]
    screen = Screen(as_json=as_json)
    width = min(WIDEST, shutil.get_terminal_size().columns)
    for line in textwrap.wrap(_LEGEND, width):
        screen.say(line)
    for row in rows:
        screen.say(f"\n{row['name']}")
        for line in _lines(row, width, explained=bool(names)):
            screen.say(line)
    if not names:
        screen.say("\naliquot methods NAME explains the parameters of a method.")
    screen.emit({"command": "methods", "methods": rows})


def _row(name: str) -> dict[str, Any]:
    """A line of the catalogue, with the parameters of the method and their defaults."""
    from aliquot.selection import METHODS

    method = METHODS[name]
    return {
        "name": name,
        "summary": method.summary,
        "gives": list(method.gives),
        "heeds": list(method.heeds),
        "parameters": {f.name: _plain(f) for f in fields(method.selector) if _writable(f)},
        "explanations": _explanations(method.selector),
        "cost": method.cost,
        "memory": method.memory,
        "references": list(method.references),
    }


def _writable(field: Any) -> bool:
    """Whether a parameter can be given in words; numbers for every candidate are, as a formula."""
    return set(re.findall(r"\w+", str(field.type))) <= {"int", "float", "str", "bool", "None", "ArrayLike"}


def _explanations(selector: type[Any]) -> dict[str, str]:
    """What the docstring of a method says of each parameter that can be given in words."""
    writable = {f.name: str(f.type) for f in fields(selector) if _writable(f)}
    _, _, section = (inspect.getdoc(selector) or "").partition("Parameters\n----------\n")
    section = re.split(r"\n\w[\w ]*\n-{3,}\n", section)[0]  # up to the next heading
    said: dict[str, str] = {}
    for head, body in re.findall(r"^(\w[^\n]*)\n?((?:(?:[ \t]+[^\n]*)?\n?)*)", section, re.MULTILINE):
        names, _, kind = (part.strip() for part in head.partition(" : "))
        choices = kind if kind.startswith("{") else ""
        text = " ".join(f"{choices} {body}".split())
        for name in names.split(","):
            if name.strip() in writable:
                said[name.strip()] = _unmarked(text)
                if "ArrayLike" in writable[name.strip()]:
                    said[name.strip()] += " Given as a formula like that of --cost: column:NAME, 1/atoms."
    return said


def _unmarked(text: str) -> str:
    """Without the marks of a docstring."""
    text = re.sub(r":mod:`([\w.]+)`", r"\1", text)
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text)
    return text.replace("``", "")


def _plain(field: Any) -> Any:
    """The default of a parameter as JSON has it."""
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _lines(row: dict[str, Any], width: int, *, explained: bool) -> list[str]:
    """What there is to say of a method, indented and wrapped; its parameters one by one if asked for."""
    said = [
        ("", row["summary"]),
        ("gives", ", ".join(_WORDS[word] for word in row["gives"])),
        ("heeds", ", ".join(_WORDS[word] for word in row["heeds"])),
        ("takes", ", ".join(f"{key}={_written(v)}" for key, v in row["parameters"].items())),
        ("time", row["cost"]),
        ("memory", row["memory"]),
        ("cite", "; ".join(row["references"])),
    ]
    lines: list[str] = []
    for head, text in said:
        lead = f"    {head:<8}" if head else "  "
        if text:
            lines += _wrapped(text, lead, width)
        if head == "takes" and explained:
            for key, meaning in row["explanations"].items():
                lines += textwrap.wrap(
                    f"{key}: {meaning}", width, initial_indent=" " * 12, subsequent_indent=" " * 14
                )
    return lines


def _wrapped(text: str, lead: str, width: int) -> Sequence[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _written(value: Any) -> str:
    """As it is written in ``--methods NAME:KEY=VALUE``."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
