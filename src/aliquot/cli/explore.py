"""``aliquot explore``: atoms of a cell moved, one after the other, until all their surroundings are new."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from aliquot.cli import options
from aliquot.cli.options import OnErrorChoice, Reading
from aliquot.cli.screen import Screen

__all__ = ["explore_command"]


class WayChoice(str, Enum):
    """How an atom is moved."""

    GRADIENT = "gradient"
    SIMPLEX = "simplex"


class MeasureChoice(str, Enum):
    """What says that an atom is new."""

    GAMMA = "gamma"
    LEVERAGE = "leverage"


def explore_command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", show_default=False, help="The potential, model.ace.")
    ],
    starts: Annotated[
        list[Path],
        typer.Argument(metavar="START...", show_default=False, help="Structures whose atoms are moved."),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="The structures with new surroundings, .xyz.")
    ],
    active: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default="MODEL.active", help="The active set (aliquot grade --train)."
        ),
    ] = None,
    low: Annotated[
        float | None,
        typer.Option(show_default="5; leverage 1", help="Done when no atom of a structure is below this."),
    ] = None,
    high: Annotated[
        float | None,
        typer.Option(show_default="15; leverage 2", help="What a moved atom shall bring the structure to."),
    ] = None,
    min_distance: Annotated[
        float | None,
        typer.Option(
            metavar="Å", show_default="0.7 of the covalent radii", help="Of a moved atom from all others."
        ),
    ] = None,
    way: Annotated[
        WayChoice, typer.Option(help="Along the gradient, or by a simplex as published.")
    ] = WayChoice.GRADIENT,
    measure: Annotated[
        MeasureChoice, typer.Option(help="Extrapolation grade, or leverage.")
    ] = MeasureChoice.GAMMA,
    restarts: Annotated[int, typer.Option(min=1, help="Tries with one atom.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of atoms.")] = 0,
    on_error: options.OnError = OnErrorChoice.RAISE,
    overlap: options.Overlap = options.OVERLAP,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Move atoms until their surroundings are new to a potential: many new environments in one cell."""
    from aliquot.ace.potential import AcePotential
    from aliquot.cli.grade_job import active_beside, open_uncertainty
    from aliquot.cli.options import read_usable
    from aliquot.cli.outputs import Outputs
    from aliquot.explore.grade_driven import GradeSettings, explore_grades
    from aliquot.structures import write

    screen = Screen(quiet, as_json)
    settings = GradeSettings(
        low=low,
        high=high,
        min_distance=min_distance,
        way=way.value,
        measure=measure.value,
        restarts=restarts,
    )
    with Outputs(force=force, inputs=[model, *starts]) as outputs:
        staged = outputs.claim(out)
        potential = AcePotential.load(model)
        known = open_uncertainty(active or active_beside(model), potential, model)
        with screen.progress() as progress:
            reading = Reading(on_error=on_error.value, overlap=overlap)
            frames, exclusions, notes = read_usable(starts, reading, progress)
            done = explore_grades(known, frames, settings=settings, seed=seed, progress=progress)
        write(staged, done.frames)
    for note in (*notes, *(f"{e} (excluded)" for e in exclusions), *done.notes):
        screen.warn(f"note: {note}")
    rows = [
        (
            str(m.structure),
            str(m.atom),
            f"{m.shift:.2f}",
            f"{m.median:.3g}",
            f"{m.largest:.3g}",
            str(m.left),
            str(m.looks),
        )
        for m in done.moves
    ]
    columns = (
        "structure",
        "atom",
        "moved by (Å)",
        f"median {'γ' if measure.value == 'gamma' else 'leverage'}",
        "largest",
        "left",
        "looks",
    )
    screen.table("Moves", columns, rows)
    screen.say(f"{len(done.moves)} moves, {done.seconds:.1f} s")
    screen.say(f"Structures: {out}")
    screen.emit({"command": "explore", "model": str(model), "out": str(out), **done.to_dict()})
