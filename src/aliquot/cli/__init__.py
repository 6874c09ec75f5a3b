"""The command line: one file per command, and what every command does with errors and interruptions.

Exit codes: 0 done; 1 something unexpected (a bug, a full disk); 2 bad usage or bad input, told in one
message; 130 interrupted by Ctrl-C; 143 terminated. Nothing heavy is imported here: help is quick.
"""

from __future__ import annotations

import errno
import signal
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from aliquot.cli.campaign import campaign_app
from aliquot.cli.compare import compare_command
from aliquot.cli.demo import demo_command
from aliquot.cli.explore import explore_command
from aliquot.cli.features import features_command
from aliquot.cli.featurize import featurize_command
from aliquot.cli.fit import fit_command
from aliquot.cli.generate import generate_command
from aliquot.cli.grade import grade_command
from aliquot.cli.hal import hal_command
from aliquot.cli.inspect import inspect_command
from aliquot.cli.label import label_command
from aliquot.cli.md import md_command
from aliquot.cli.merge import merge_command
from aliquot.cli.methods import methods_command
from aliquot.cli.props import props_command
from aliquot.cli.screen import in_command_words, printable
from aliquot.cli.select import select_command
from aliquot.cli.study import study_command
from aliquot.cli.test import judge_command
from aliquot.errors import AliquotError

__all__ = ["app", "main"]

UNEXPECTED, BAD_INPUT, INTERRUPTED, TERMINATED = 1, 2, 130, 143


class _Guarded(TyperGroup):
    """Commands whose failures end in one clean message and an exit code that scripts can use."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AliquotError as error:
            typer.echo(f"aliquot: {printable(in_command_words(str(error)))}", err=True)
            raise typer.Exit(BAD_INPUT) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of a pipe has gone, as in aliquot methods | head -1
                raise
            typer.echo(f"aliquot: {printable(str(error))}; no output was written", err=True)
            raise typer.Exit(UNEXPECTED) from error
        except KeyboardInterrupt as error:
            typer.echo("aliquot: interrupted; no output was written", err=True)
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    name="aliquot",
    cls=_Guarded,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Choose which atomic structures are worth a DFT calculation, and know why.",
    epilog="Exit codes: 0 done, 1 unexpected failure, 2 bad usage or input, 130 interrupted.",
)
app.command("select")(select_command)
app.command("compare")(compare_command)
app.command("fit")(fit_command)
app.command("test")(judge_command)
app.command("label")(label_command)
app.command("grade")(grade_command)
app.command("md")(md_command)
app.command("hal")(hal_command)
app.command("explore")(explore_command)
app.command("generate")(generate_command)
app.add_typer(campaign_app, name="campaign")
app.command("study")(study_command)
app.command("inspect")(inspect_command)
app.command("features")(features_command)
app.command("featurize")(featurize_command)
app.command("merge")(merge_command)
app.command("props")(props_command)
app.command("methods")(methods_command)
app.command("demo")(demo_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from aliquot import __version__

        typer.echo(f"aliquot {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


def _terminated(*_: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def main() -> None:
    """Run the command line; a batch system's SIGTERM cleans up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _terminated)
    app()
