"""``aliquot label``: energies, forces and virials for structures, from a calculator or a code that runs elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from aliquot.cli import options
from aliquot.cli.job import FORMATS
from aliquot.cli.label_jobs import write_job_folders
from aliquot.cli.options import OnErrorChoice, Reading, find_modules_here, read_usable
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.oracle import Labelled
    from aliquot.structures import Frames

__all__ = ["label_command"]

#: Structures without a label that are named on the screen.
_SHOWN: Final = 5


def label_command(
    pool: options.Pool,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            show_default=False,
            help="The structures with REF_energy (eV), REF_forces (eV/Å) and REF_virial (eV).",
        ),
    ] = None,
    oracle: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="Who labels: emt; stillinger-weber or tersoff (silicon); python:module:factory, a function that"
            " returns an ASE calculator; or a potential (model.ace, model.yace).",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default="OUT without extension, .labels",
            help="Where every label is kept as soon as it is there.",
        ),
    ] = None,
    write_jobs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="Instead: write a folder per structure for a code that runs elsewhere. The same command adds what is"
            " missing.",
        ),
    ] = None,
    template: Annotated[
        str | None, typer.Option(metavar="CODE", show_default=False, help="Of the jobs: espresso or vasp.")
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Of the jobs: what the code is told, .toml or .json (see the guide).",
        ),
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", show_default=False, help="Of the jobs: copied to each; once per file."),
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="one that runs the code",
            help="Of the jobs: becomes run.sh, with {{id}}, {{formula}} and {{n_atoms}} filled in.",
        ),
    ] = None,
    collect: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default=False, help="Instead: labels from jobs that came back."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Calculations at a time.")] = 1,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", show_default="none", help="A calculation that takes longer is killed."
        ),
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="How often a calculation that failed is tried again.")
    ] = 1,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what earlier runs gave up.")
    ] = False,
    scratch: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default="a temporary one",
            help="Where codes that work with files work; files of failed calculations stay there.",
        ),
    ] = None,
    max_force: Annotated[
        float, typer.Option(help="Labels with a larger force are quarantined, eV/Å; 0 for no limit.")
    ] = 50.0,
    energy_spreads: Annotated[
        float,
        typer.Option(
            help="Labels whose energy per atom is further from the median of its composition, in robust standard"
            " deviations, are quarantined; 0 for no limit."
        ),
    ] = 20.0,
    energy: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="Of codes that give both: free_energy, whose derivative the forces are, or energy, extrapolated to no"
            " smearing.",
        ),
    ] = "free_energy",
    on_error: options.OnError = OnErrorChoice.RAISE,
    type_map: options.TypeMap = None,
    overlap: options.Overlap = options.OVERLAP,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Label structures; stopped at any point, the same command goes on from there.

    Labels that fail or cannot be believed are told and left out.
    """
    screen = Screen(quiet, as_json)
    reading = Reading(type_map=type_map, on_error=on_error.value, overlap=overlap)
    _check_asked(oracle, write_jobs, collect, out, (template, parameters, file, script))
    if write_jobs is not None:
        write_job_folders(screen, pool, reading, write_jobs, template, parameters, file or [], script)
        return
    from aliquot.cli.outputs import Outputs
    from aliquot.oracle import Limits, collect_jobs, label, open_oracle
    from aliquot.structures import write

    assert out is not None
    kept = collect or folder or out.with_name(out.name.split(".")[0] + ".labels")
    limits = Limits(max_force=max_force or None, energy_spreads=energy_spreads or None)
    with Outputs(force=force, inputs=pool) as outputs:
        staged = outputs.claim(out)
        who = None
        if oracle is not None:
            find_modules_here(oracle)
            who = open_oracle(oracle)
        try:
            with screen.progress() as progress:
                frames, exclusions, notes = read_usable(pool, reading, progress)
                judged: dict[str, Any] = {"limits": limits, "energy": energy, "progress": progress}
                if who is None:
                    record = collect_jobs(frames, kept, **judged)
                else:
                    record = label(
                        frames,
                        who,
                        folder=kept,
                        workers=workers,
                        timeout=timeout,
                        retries=retries,
                        retry_failed=retry_failed,
                        scratch=scratch,
                        **judged,
                    )
        except KeyboardInterrupt:
            typer.echo(f"aliquot: interrupted; labels are kept in {kept}, the same command goes on", err=True)
            raise typer.Exit(130) from None
        if len(record.frames):
            write(staged, record.frames)
    told = (*notes, *(f"{e} (excluded)" for e in exclusions))
    _tell(screen, record, frames, out, kept, told)


def _check_asked(
    oracle: str | None, jobs: Path | None, collect: Path | None, out: Path | None, of_jobs: Sequence[object]
) -> None:
    """Refuse what contradicts itself or lacks something, before anything is read."""
    if sum(given is not None for given in (oracle, jobs, collect)) != 1:
        raise InputError("say who labels: one of --oracle, --write-jobs and --collect")
    if jobs is None and any(given is not None for given in of_jobs):
        raise InputError("--template, --parameters, --file and --script belong to --write-jobs")
    if jobs is not None:
        if out is not None:
            raise InputError("--write-jobs labels nothing yet, so there is no -o; --collect will need it")
        return
    if out is None:
        raise InputError("name the file for the labelled structures with -o")
    if "".join(out.suffixes[-2:]) not in FORMATS and out.suffix not in FORMATS:
        raise InputError(f"-o {out}: use .xyz, .extxyz (or .gz, .xz), .traj or .db")


def _tell(
    screen: Screen, record: Labelled, frames: Frames, out: Path, kept: Path, notes: Sequence[str]
) -> None:
    for note in notes:
        screen.warn(f"note: {note}")
    for kind in ("failed", "quarantined", "pending"):
        group = record.of_kind(kind)
        if group:
            screen.warn(f"{len(group)} {kind}:")
            for one in group[:_SHOWN]:
                screen.warn(f"  {one.file}, frame {one.frame}: {one.reason}")
            if len(group) > _SHOWN:
                screen.warn(f"  and {len(group) - _SHOWN} more (--json names all)")
    emitted: dict[str, Any] = {
        "command": "label",
        "out": str(out) if len(record.frames) else None,
        "folder": str(kept),
        **record.to_dict(),
        "notes": list(notes),
    }
    screen.emit(emitted)
    if not len(record.frames):
        raise InputError(
            f"none of {len(frames)} structures was labelled by {record.oracle};"
            f" the first: {record.unlabelled[0] if record.unlabelled else 'there were none'}"
        )
    screen.say(
        f"{len(record.frames)} of {len(frames)} structures labelled by {record.oracle}: {record.computed} now,"
        f" {record.reused} before; {record.seconds:.1f} s of calculation"
    )
    screen.say(f"Labelled: {out}")
    screen.say(f"Kept in: {kept}")
