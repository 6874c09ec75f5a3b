"""``aliquot campaign``: from a few structures to a potential, round after round, and on from wherever it was cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aliquot.cli import options
from aliquot.cli.options import find_modules_here
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.campaign import History, Round

__all__ = ["campaign_app"]

campaign_app = typer.Typer(
    no_args_is_help=True,
    help="Explore, select, label, fit and test, again and again, until a stated goal.",
)


@campaign_app.command("init")
def init_command(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where the files are written.")] = Path(
        "campaign"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Of the structures.")] = 0,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> None:
    """Write an example to start from: copper, labelled by effective medium theory."""
    from aliquot.campaign.example import write_example

    screen = Screen(quiet, False)
    made = write_example(folder, seed=seed, force=force)
    for path, words in zip(
        made, ("what is to be done", "10 structures", "where walks begin", "a test"), strict=True
    ):
        screen.say(f"  {path}  {words}")
    screen.say(f"Next: aliquot campaign run {made[0]}")


@campaign_app.command("run")
def run_command(
    file: Annotated[
        Path, typer.Argument(metavar="CAMPAIGN.toml", show_default=False, help="What is to be done.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FOLDER", show_default="CAMPAIGN.run", help="Everything is kept here."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, show_default="as in the file", help="Labels at a time.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Whether FOLDER/campaign.html is kept up to date.")
    ] = True,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Run a campaign; stopped at any point, the same command goes on from there."""
    from dataclasses import replace

    from aliquot.campaign import read_settings, run

    screen = Screen(quiet, as_json)
    settings = read_settings(file)
    if workers is not None:
        settings = replace(settings, label=replace(settings.label, workers=workers))
    find_modules_here(settings.label.oracle)
    find_modules_here(settings.select.features)
    folder = out or file.with_suffix(".run")
    if folder.is_file():
        raise InputError(f"{folder} is a file; name a folder with -o")
    try:
        with screen.progress() as progress:
            history = run(settings, folder, on_stage=_live(screen, report), progress=progress)
    except KeyboardInterrupt:
        typer.echo(
            f"aliquot: interrupted; everything is kept in {folder}, the same command goes on", err=True
        )
        raise typer.Exit(130) from None
    if report:
        _page(history)
    screen.emit({"command": "campaign", **history.to_dict()})
    screen.say(f"The campaign has ended: {history.ended}")
    screen.say(f"Potential: {history.model}")
    if report:
        screen.say(f"Report: {folder / 'campaign.html'}")


@campaign_app.command("status")
def status_command(
    folder: Annotated[Path, typer.Argument(show_default=False, help="Of a campaign, which may be running.")],
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Say how far a campaign has come."""
    from aliquot.campaign import read_history

    screen = Screen(quiet, as_json)
    history = read_history(folder)
    screen.emit({"command": "campaign", **history.to_dict()})
    screen.say(_LEGEND)
    for cells in (_HEADS, *map(_row, history.rounds)):
        screen.say(_line(cells))
    if history.rounds and (stage := history.rounds[-1].next_stage) is not None:
        screen.say(f"Round {history.rounds[-1].number} comes next to: {stage}")
    if history.model is not None:
        screen.say(f"Potential: {history.model}")


_HEADS = ("round", "labels", "functions", "γ", "ended early", "force MAE", "before", "seconds")


#: What the columns hold that are not named in full.
_LEGEND = "force MAE on the test, and before: of the last model on the new labels, meV/Å"


def _line(cells: Sequence[str]) -> str:
    """One line under :data:`_HEADS`, no wider than 80 columns."""
    return "  ".join(f"{cell:>{max(7, len(head))}}" for cell, head in zip(cells, _HEADS, strict=True))


def _live(screen: Screen, report: bool) -> Callable[[History, str], None]:
    """A line when a round is done, and the page."""
    begun: list[int] = []

    def told(history: History, stage: str) -> None:
        last = history.rounds[-1]
        if not last.complete:
            return
        if not begun:
            screen.say(_LEGEND)
            screen.say(_line(_HEADS))
            begun.append(last.number)
        screen.say(_line(_row(last)))
        for failed in last.stages.get("label", {}).get("failed", ())[:3]:
            screen.warn(f"  no label: {failed}")
        if report:
            _page(history)

    return told


def _row(one: Round) -> tuple[str, ...]:
    """Cells under :data:`_HEADS`; errors in meV/Å."""

    def energy(value: float | None) -> str:
        return "–" if value is None else f"{1000 * value:.3g}"

    walks = one.stages.get("explore")
    early = "–" if walks is None else f"{walks['stopped']}/{len(walks['walks'])}"
    gamma = "beyond" if one.beyond else "–" if one.gamma is None else f"{one.gamma:.3g}"
    size = str(one.stages["fit"]["size"]) if "fit" in one.stages else "–"
    return (
        str(one.number),
        str(one.asked),
        size,
        gamma,
        early,
        energy(one.force_mae),
        energy(one.surprise),
        f"{sum(one.seconds.values()):.1f}",
    )


def _page(history: History) -> None:
    from aliquot.report.campaign import write_campaign

    write_campaign(history.folder / "campaign.html", history)
