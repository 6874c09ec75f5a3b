"""``aliquot generate``: diverse structures of any composition, before there is a model or a label."""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aliquot.cli import options
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.explore import Census, Generated, Recipe
    from aliquot.progress import Progress
    from aliquot.structures import Frames

__all__ = ["generate_command", "span"]


def generate_command(
    composition: Annotated[
        str,
        typer.Argument(
            metavar="COMPOSITION",
            show_default=False,
            help="W, HfO2 (every structure has this ratio), or W-Be (any ratio).",
        ),
    ],
    number: Annotated[int, typer.Option("-n", min=1, help="Structures.")] = 100,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Where they go: .xyz, .extxyz (or .gz, .xz), .traj or .db.")
    ] = Path("diverse.xyz"),
    atoms: Annotated[str, typer.Option(metavar="N[-M]", help="Atoms of a structure.")] = "32",
    volume: Annotated[
        str | None,
        typer.Option(
            metavar="LOW-HIGH",
            show_default="0.8 to 2 times the crystals of the elements",
            help="Volume per atom, Å³.",
        ),
    ] = None,
    shapes: Annotated[str, typer.Option(metavar="LIST", help="Families of cells.")] = "cube,needle,plate",
    features: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            show_default="order 3, at most 150 functions",
            help="What describes an environment: ace with its parameters, as in ace:degree=10,cutoff=6 (Å).",
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(metavar="KIND", help="Entropy: global (of the set), local (within a structure), both."),
    ] = "both",
    strict: Annotated[
        bool, typer.Option("--strict", help="Accept only what widens the whole set; ever slower.")
    ] = False,
    core: Annotated[
        float, typer.Option(help="Distance at which atoms begin to repel, in bond lengths.")
    ] = 0.85,
    closest: Annotated[float, typer.Option(help="Shortest accepted distance, in those distances.")] = 0.9,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each relaxation.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same structures.")] = 0,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes; the answer is the same for any number.")
    ] = 1,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare", metavar="FILE", help="A set to measure beside it; once per file, up to four."
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default="OUT without extension, .generation; removed at the end",
            help="Where work is kept as it comes. Named, it stays, and a larger -n goes on from it.",
        ),
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Also write OUT.html.")] = True,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Make structures whose atomic environments are as diverse as they can be.

    Stopped at any point, the same command goes on from there.
    """
    from aliquot.cli.job import FORMATS
    from aliquot.cli.outputs import Outputs
    from aliquot.explore import Recipe, generate
    from aliquot.structures import write

    if out.suffix not in FORMATS and "".join(out.suffixes[-2:]) not in FORMATS:
        raise InputError(f"-o {out}: use .xyz, .extxyz (or .gz, .xz), .traj or .db")
    screen, sets = Screen(quiet, as_json), list(compare or ())
    sizes = span(atoms, "--atoms")
    recipe = Recipe(
        composition=composition,
        atoms=(int(sizes[0]), int(sizes[1])),
        volume=None if volume is None else span(volume, "--volume"),
        shapes=tuple(word.strip() for word in shapes.split(",") if word.strip()),
        features=features,
        objective=objective,
        strict=strict,
        core=core,
        closest=closest,
        steps=steps,
        seed=seed,
    )
    stem = out.name.split(".")[0]
    kept = folder or out.with_name(f"{stem}.generation")
    page = out.with_name(f"{stem}.html") if report else None
    with Outputs(force=force, inputs=sets) as outputs:
        staged = outputs.claim(out)
        staged_page = None if page is None else outputs.claim(page)
        try:
            with screen.progress() as progress, _processes(workers, recipe) as executor:
                others = _others(sets, recipe, progress)
                made = generate(recipe, number, folder=kept, executor=executor, progress=progress)
                measured = [made.compare(name, frames, progress=progress) for name, frames in others]
        except KeyboardInterrupt:
            typer.echo(f"aliquot: interrupted; the same command goes on with {kept}", err=True)
            raise typer.Exit(130) from None
        write(staged, made.frames)
        if staged_page is not None:
            from aliquot.report.generated import write_generated_report

            write_generated_report(staged_page, made, others=measured)
    if folder is None:
        shutil.rmtree(kept, ignore_errors=True)
    _tell(screen, made, measured, out, page)


def span(words: str, option: str) -> tuple[float, float]:
    """``32`` or ``8-48`` as two numbers.

    >>> span("32", "--atoms"), span("12-31.5", "--volume")
    ((32.0, 32.0), (12.0, 31.5))
    """
    found = re.fullmatch(r"\s*(\d{1,6}(?:\.\d*)?)\s*(?:-\s*(\d{1,6}(?:\.\d*)?)\s*)?", words)
    if found is None or (option == "--atoms" and "." in words):
        what = "whole numbers, as in 32 or 8-48" if option == "--atoms" else "numbers, as in 12-30"
        raise InputError(f"{option} {words}: give {what}")
    return float(found[1]), float(found[2] or found[1])


def _others(files: list[Path], recipe: Recipe, progress: Progress) -> list[tuple[str, Frames]]:
    """The sets to compare with, read before the long work."""
    from aliquot.structures import read

    if len(files) > 4:
        raise InputError(f"--compare names {len(files)} sets; four can be told apart on a page")
    sets = [(path.name, read(str(path), progress=progress)) for path in files]
    for name, frames in sets:
        unlike = [
            s for s, z in zip(frames.symbols, frames.elements, strict=True) if z not in recipe.basis.elements
        ]
        if unlike:
            raise InputError(
                f"{name} holds {', '.join(unlike)}; compare {recipe.composition} with sets of the same elements"
            )
    return sets


@contextmanager
def _processes(workers: int, recipe: Recipe) -> Generator[Executor | None, None, None]:
    """So many processes; None where this one is enough, and has not compiled what others would read."""
    from aliquot.explore.attempt import compile_loops

    if not compile_loops(recipe) and workers == 1:
        yield None
        return
    import multiprocessing

    fresh = multiprocessing.get_context("spawn")  # a fork takes over locks of threads that it does not have
    executor = ProcessPoolExecutor(workers, mp_context=fresh)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def _tell(screen: Screen, made: Generated, others: list[Census], out: Path, page: Path | None) -> None:
    screen.say(
        f"{len(made.frames)} structures of {made.frames.n_atoms} atoms from {made.attempts} attempts in"
        f" {made.seconds:.1f} s"
    )
    rows = [
        (one.name, str(len(one)), str(one.environments), f"{one.entropy:.3f}")
        for one in (made.census, made.packed, *others)
    ]
    screen.table(
        "Entropy of environments (nat per dimension)", ("set", "structures", "environments", "entropy"), rows
    )
    screen.say(f"Structures: {out}")
    if page is not None:
        screen.say(f"Report: {page}")
    screen.emit(
        {
            "command": "generate",
            "out": str(out),
            "report": None if page is None else str(page),
            **made.to_dict(),
            "compared": [one.to_dict() for one in others],
        }
    )
