"""``aliquot test``: how wrong is a potential on labelled structures? A table, a page, or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from aliquot.cli import options
from aliquot.cli.options import OnErrorChoice, Reading
from aliquot.cli.screen import Screen
from aliquot.errors import FrameError, InputError

if TYPE_CHECKING:
    from aliquot.ace.potential import AcePotential
    from aliquot.fitting import Comparison
    from aliquot.structures import Frames

__all__ = ["judge_command"]

#: Structures of the largest errors that the record lists, of each quantity, and that the screen shows.
LISTED: Final = 20
SHOWN: Final = 3


def judge_command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", show_default=False, help="The potential, model.ace.")
    ],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", show_default=False, help="Files of labelled structures."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", show_default=False, help="Also write a page with every error, .html."),
    ] = None,
    group_by: Annotated[
        str, typer.Option(metavar="KEY", help="The key whose values errors are told by.")
    ] = "config_type",
    on_error: options.OnError = OnErrorChoice.RAISE,
    energy_key: options.EnergyKey = None,
    forces_key: options.ForcesKey = None,
    virial_key: options.VirialKey = None,
    overlap: options.Overlap = options.OVERLAP,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Compare a potential with labelled structures: errors by config type, and the worst structures."""
    from aliquot.ace.potential import AcePotential
    from aliquot.cli.fit import error_table
    from aliquot.cli.fit_job import column
    from aliquot.cli.options import read_usable
    from aliquot.cli.outputs import Outputs
    from aliquot.fitting import compare

    if out is not None and out.suffix != ".html":
        raise InputError(f"-o {out}: the page is written as .html; got the extension {out.suffix!r}")
    screen = Screen(quiet=quiet, as_json=as_json)
    reading = Reading(energy_key, forces_key, virial_key, None, on_error.value, overlap)
    with Outputs(force=force, inputs=[model, *files]) as outputs:
        staged = None if out is None else outputs.claim(out)
        potential = AcePotential.load(model)
        with screen.progress() as progress:
            frames, exclusions, notes = read_usable(files, reading, progress)
            _check(model, potential, frames)
            groups = column(frames, group_by)
            comparison = compare(potential, frames, groups=groups, progress=progress)
        if staged is not None:
            from aliquot.report.model_errors import write_model_errors

            write_model_errors(
                staged,
                comparison,
                frames,
                model=str(model),
                reference=_reference(potential),
                size=_size(potential),
                meta=potential.meta,
                exclusions=exclusions,
                notes=notes,
            )
    if exclusions:
        notes = (*notes, f"{len(exclusions)} frames were excluded; the first: {exclusions[0]}")
    for note in notes:
        screen.warn(f"note: {note}")
    error_table(screen, comparison.table())
    for line in _worst_words(comparison, frames):
        screen.say(line)
    if out is not None:
        screen.say(f"Page: {out}")
    left_out = [{"file": e.file, "frame": e.frame, "problem": e.problem} for e in exclusions]
    files_used = {"model": str(model), "structures": list(map(str, files)), "page": out and str(out)}
    screen.emit(
        {
            "command": "test",
            **files_used,
            "excluded": left_out,
            "notes": list(notes),
            **_record(comparison, frames),
        }
    )


def _check(model: Path, potential: AcePotential, frames: Frames) -> None:
    """Refuse structures that the potential cannot know, and those that nothing can be compared with."""
    import numpy as np
    from ase.data import chemical_symbols

    known = potential.basis.elements
    foreign = np.flatnonzero(~np.isin(frames.numbers, known))
    if len(foreign):
        i = int(np.searchsorted(frames.offsets, foreign[0], side="right")) - 1
        unknown = sorted(set(frames.elements) - set(known))
        raise FrameError(
            frames.files[frames.file[i]],
            int(frames.frame[i]),
            f"has {chemical_symbols[frames.numbers[foreign[0]]]}, which {model} does not know; it knows"
            f" {', '.join(chemical_symbols[z] for z in known)}. Leave out structures with"
            f" {', '.join(chemical_symbols[z] for z in unknown)}",
        )
    if not any(label.present.any() for label in (frames.energy, frames.forces, frames.virial)):
        raise InputError(
            f"none of the {len(frames)} structures in {', '.join(frames.files)} has a label; name the keys with"
            " --energy-key and --forces-key"
        )


def _reference(potential: AcePotential) -> dict[int, float]:
    return dict(zip(potential.basis.elements, potential.reference.tolist(), strict=True))


def _size(potential: AcePotential) -> int:
    import numpy as np

    return int(np.count_nonzero(potential.coefficients))


def _worst_words(comparison: Comparison, frames: Frames) -> list[str]:
    """The structures to look at first."""
    from aliquot.fitting import UNITS

    lines: list[str] = []
    for quantity in ("energy", "forces"):
        if len(comparison.label[quantity]):
            unit = UNITS[quantity]
            said = ", ".join(
                f"{frames.ids_name(i)} ({1000 * error:.3g} m{unit})"
                for i, error in comparison.worst(quantity, SHOWN)
            )
            lines.append(f"largest r.m.s. errors of {quantity}: {said}")
    return lines


def _record(comparison: Comparison, frames: Frames) -> dict[str, Any]:
    """Errors and the worst structures, JSON values."""
    from aliquot.fitting import UNITS

    worst = [
        {
            "file": frames.files[frames.file[i]],
            "frame": int(frames.frame[i]),
            "quantity": quantity,
            "rmse": error,
        }
        for quantity in UNITS
        if len(comparison.label[quantity])
        for i, error in comparison.worst(quantity, LISTED)
    ]
    return {
        "count": len(frames),
        "structures_hash": frames.ids.digest(),
        "units": dict(UNITS),
        "errors": [e.to_dict() for e in comparison.table()],
        "worst": worst,
    }
