"""``aliquot study``: a published comparison on real data, down to its page; on from wherever it was cut."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from aliquot.cli import options
from aliquot.cli.options import find_modules_here
from aliquot.cli.outputs import Outputs
from aliquot.cli.own_study import OwnStudy
from aliquot.cli.processes import processes
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.studies import Plan, Record, Results, Study

__all__ = ["study_command"]


class Size(str, Enum):
    """Of a study."""

    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"


def study_command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE.toml]", show_default=False, help="Which; without it, they are listed."
        ),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the studies.")] = False,
    size: Annotated[
        Size,
        typer.Option(help="A minute, up to three quarters of an hour on two cores, or what was published."),
    ] = Size.QUICK,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FOLDER", show_default="study-NAME", help="Everything is kept here."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", show_default="$ALIQUOT_DATA", help="Where the reference data are."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that work.")] = 1,
    pool: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Labelled structures of your own, to compare methods on."
        ),
    ] = None,
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="With --pool: labelled structures that are known."
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            show_default="one of every kind",
            help="With --pool: what competes, as in aliquot compare.",
        ),
    ] = None,
    budgets: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default="2 to 40 %",
            help="With --pool: numbers of structures, as in 10,20,50.",
        ),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=2, show_default="by size", help="With --pool: random divisions.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Whether FOLDER/NAME.html is written.")
    ] = True,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Run a published comparison again, or one on your own labelled structures (--pool).

    Stopped at any point, the same command goes on from there.
    """
    screen = Screen(quiet, as_json)
    if listed or (name is None and pool is None):
        _list(screen)
        return
    from aliquot.studies import Data, plan, run_study

    own = OwnStudy(pool, train, methods, budgets, repeats)
    study = _declared(name, own)
    find_modules_here(study.protocol)
    folder = out or Path(f"study-{study.name}")
    _check(folder, study.name)
    planned = plan(study, size.value, Data(Path()) if pool is not None else Data.find(data), folder)
    screen.say(_ahead(planned, workers))
    try:
        with processes(workers) as executor, screen.progress() as progress:
            record, results = run_study(
                study, size.value, planned.data, folder, executor=executor, progress=progress
            )
    except KeyboardInterrupt:
        typer.echo(
            f"aliquot: interrupted; {len(planned.done)} of {len(planned.tasks)} tasks are kept in {folder}, the same"
            " command goes on",
            err=True,
        )
        raise typer.Exit(130) from None
    asked = [*([] if name is None else [name]), *own.words()]
    record = replace(record, command=join(["aliquot", "study", *asked, "--size", size.value]))
    written = _write(folder, record, results, report)
    _tell(screen, record)
    screen.emit({"command": "study", "files": [str(path) for path in written], **record.to_dict()})
    for path in written:
        screen.say(f"  {path}")


def _declared(name: str | None, own: OwnStudy) -> Study:
    """The study that is asked for."""
    from aliquot.studies import study_named

    if own.pool is None:
        if own.words():
            raise InputError(
                f"{own.words()[0]} goes with --pool; the study {name} says itself what is compared"
            )
        assert name is not None
        return study_named(name)
    if name is not None:
        raise InputError(f"{name} and --pool are two studies; ask for one of them")
    return own.declared()


def _list(screen: Screen) -> None:
    """Every study with its question, and how long each size takes in one process."""
    from shutil import get_terminal_size
    from textwrap import fill

    from aliquot.report.markdown import plain
    from aliquot.studies import SIZES, expected, studies, study_named

    found = [study_named(name) for name in studies()]
    times = [{size: expected(one, size) for size in SIZES} for one in found]
    width = min(get_terminal_size().columns, 100)
    for one, took in zip(found, times, strict=True):
        known = ", ".join(f"{size} {_about(time)}" for size, time in took.items() if time is not None)
        screen.say(f"{one.name}: {plain(one.title)}")
        screen.say(fill(plain(one.question), width, initial_indent="  ", subsequent_indent="  "))
        screen.say(f"  In one process: {known or 'not measured yet'}\n")
    screen.emit(
        {
            "command": "study",
            "studies": [
                {"name": one.name, "title": one.title, "question": one.question, "seconds": took}
                for one, took in zip(found, times, strict=True)
            ],
        }
    )


def _check(folder: Path, name: str) -> None:
    """Refuse a folder of something else."""
    if folder.is_file():
        raise InputError(f"{folder} is a file; name a folder with -o")
    ours = re.compile(rf"work|\..*|{re.escape(name)}(\.(html|md|csv|json)|-tables\.csv|-[\w-]+\.svg)")
    others = (
        sorted(one.name for one in folder.iterdir() if not ours.fullmatch(one.name))
        if folder.exists()
        else []
    )
    if others:
        raise InputError(
            f"{folder} holds {others[0]!r}, which is not of the study {name}; name a new or empty folder with -o"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the study cannot be kept in {folder}: {error.strerror}; name another folder with -o"
        ) from error


def _ahead(planned: Plan, workers: int) -> str:
    """How much is done, and how long the rest will take."""
    from aliquot.studies import left

    missing, all_ = len(planned.missing), len(planned.tasks)
    said = f"{planned.study.name}, {planned.size}: {all_ - missing} of {all_} tasks are done"
    if not missing:
        return said
    time = left(planned)
    if time is None:
        return f"{said}; how long the others will take is not known"
    share = min(workers, missing)
    return f"{said}; the others will take about {_about(time / share)}" + (
        f" with {workers} workers" if workers > 1 else ""
    )


def _about(seconds: float) -> str:
    """A time in words, as sure as it is.

    >>> _about(42.0), _about(1234.0), _about(50000.0)
    ('42 s', '21 min', '14 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return (
        f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.{0 if seconds > 36000 else 1}f} h".replace(".0 h", " h")
    )


def _write(folder: Path, record: Record, results: Results, report: bool) -> list[Path]:
    """All files together."""
    from aliquot.report.study import study_files

    made = study_files(record, results, report=report)
    with Outputs(force=True) as outputs:
        for name, content in made.items():
            outputs.claim(folder / name).write_text(content, encoding="utf-8")
    return [folder / name for name in made]


def _tell(screen: Screen, record: Record) -> None:
    from aliquot.report.markdown import plain
    from aliquot.report.study_markdown import VERDICTS

    screen.say(plain(record.conclusion.summary))
    rows = [
        (plain(one.claim), plain(one.measured), VERDICTS[None if one.holds is None else bool(one.holds)])
        for one in record.conclusion.findings
    ]
    if rows:
        screen.table("What was expected, and what came out", ("expected", "measured", ""), rows)
