"""``aliquot featurize``: describe structures in a feature store, for pools larger than memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from aliquot.cli import options
from aliquot.cli.options import OnErrorChoice, Reading
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

__all__ = ["featurize_command", "part_of"]


def featurize_command(
    pool: options.Pool,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The store: a folder, new or begun by the same command.")
    ],
    features: options.FeatureSpec = "ace",
    pooling: options.Pooling = "mean",
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="For job arrays: describe the I-th of N equal parts of the frames, I from 1 to N. aliquot merge"
            " joins the stores of all jobs.",
        ),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(
            metavar="Si,O",
            show_default="those of the files, found by reading them once more",
            help="All elements that these features must serve.",
        ),
    ] = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add the structures to a store that is finished.")
    ] = False,
    on_error: options.OnError = OnErrorChoice.RAISE,
    type_map: options.TypeMap = None,
    overlap: options.Overlap = options.OVERLAP,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Describe structures in a feature store, in bounded memory, for aliquot select STORE.

    Stopped at any point, the same command goes on from there.
    """
    from aliquot.cli.options import find_modules_here
    from aliquot.features.building import build_store

    screen = Screen(quiet, as_json)
    reading = Reading(type_map=type_map, on_error=on_error.value, overlap=overlap)
    find_modules_here(features)
    try:
        with screen.progress() as progress:
            built = build_store(
                pool,
                features,
                out,
                pooling=pooling,
                elements=None if elements is None else _numbers(elements),
                part=(0, 1) if shard is None else part_of(shard),
                append=append,
                progress=progress,
                type_map=reading.types(),
                on_error=reading.on_error,
                overlap=reading.overlap or None,
            )
    except KeyboardInterrupt:
        typer.echo(f"aliquot: interrupted; the same command goes on with {out}", err=True)
        raise typer.Exit(130) from None
    for note in built.notes:
        screen.warn(f"note: {note}")
    before = f", {built.kept} of those asked for by an earlier run" if built.kept else ""
    screen.say(f"{built.candidates} structures described in {out}{before}")
    record: dict[str, Any] = {
        "command": "featurize",
        "store": str(out),
        "structures": built.candidates,
        "kept": built.kept,
        "notes": list(built.notes),
        "excluded": [{"file": e.file, "frame": e.frame, "problem": e.problem} for e in built.exclusions],
    }
    screen.emit(record)


def part_of(text: str) -> tuple[int, int]:
    """What ``--shard I/N`` means: which part, from 0, of how many.

    >>> part_of("1/64"), part_of("64/64")
    ((0, 64), (63, 64))
    """
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"--shard {text}: give I/N with I from 1 to N, such as 3/64")
    return int(found[1]) - 1, int(found[2])


def _numbers(text: str) -> tuple[int, ...]:
    """``Si,O`` as atomic numbers, ascending."""
    from ase.data import atomic_numbers

    symbols = [symbol.strip() for symbol in text.split(",") if symbol.strip()]
    for symbol in symbols:
        if atomic_numbers.get(symbol, 0) == 0:
            raise InputError(f"--elements {text}: {symbol!r} is not an element; give symbols such as Si,O")
    if not symbols:
        raise InputError(f"--elements {text!r} names none; give symbols such as Si,O")
    return tuple(sorted({atomic_numbers[symbol] for symbol in symbols}))
