"""What does the user see? Words and tables on stdout, progress and warnings on stderr, or one JSON object."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import typer

from aliquot.progress import Progress, silent

__all__ = ["Screen", "in_command_words", "printable"]

#: Remedies that the library names in Python, and the option that is the same.
_OPTIONS: Final = {
    'on_error="skip"': "--on-error skip",
    "force=True": "--force",
    "lower n": "lower -n",
    "relax max_force=": "relax --max-force ",
    "relax min_distance=": "relax --min-distance ",
}


def in_command_words(message: str) -> str:
    """A message of the library as a user of the command line needs it.

    >>> in_command_words('leave such frames out with on_error="skip"')
    'leave such frames out with --on-error skip'
    """
    for python, option in _OPTIONS.items():
        message = message.replace(python, option)
    return message


def printable(text: str) -> str:
    r"""Text of others, safe for a terminal: control characters and broken Unicode are escaped.

    >>> printable("a\x1b[31mb") == r"a\x1b[31mb"
    True
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )


@dataclass(frozen=True)
class Screen:
    """Where a command speaks.

    Parameters
    ----------
    quiet : bool
        Nothing but errors.
    as_json : bool
        One JSON object on stdout and nothing else anywhere.
    """

    quiet: bool = False
    as_json: bool = False

    @property
    def silent(self) -> bool:
        """Whether words are unwanted."""
        return self.quiet or self.as_json

    def say(self, text: str) -> None:
        """A line of the result, on stdout."""
        if not self.silent:
            typer.echo(printable(text))

    def warn(self, text: str) -> None:
        """A line about something to look at, on stderr."""
        if not self.silent:
            typer.echo(printable(text), err=True)

    def emit(self, record: Mapping[str, Any]) -> None:
        """The JSON object, if JSON is wanted."""
        if self.as_json:
            typer.echo(json.dumps(record, indent=1, allow_nan=False))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table on stdout."""
        if self.silent:
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        for k, name in enumerate(columns):
            numeric = bool(rows) and all(row[k].isdigit() for row in rows)
            table.add_column(name, overflow="fold", justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        Console(highlight=False).print(table)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A callback that draws bars with the remaining time; silent unless stderr is a terminal."""
        if self.silent or not sys.stderr.isatty():
            yield silent
            return
        from rich import progress as bars
        from rich.console import Console

        columns = (
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            bars.TextColumn("left"),
            bars.TimeRemainingColumn(),
        )
        tasks: dict[str, bars.TaskID] = {}
        with bars.Progress(*columns, console=Console(stderr=True), transient=True) as drawn:

            def draw(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = drawn.add_task(printable(stage), total=total or None)
                if done < drawn.tasks[tasks[stage]].completed:  # the same stage for another set of frames
                    drawn.reset(tasks[stage])
                drawn.update(tasks[stage], completed=done, total=total or None)

            yield draw
