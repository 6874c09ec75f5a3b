"""``aliquot grade``: where does a potential leave what it knows? Every frame and atom, annotated."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from aliquot.cli import options
from aliquot.cli.grade_job import GradeJob, GradeOutcome, active_beside, run_grade
from aliquot.cli.options import OnErrorChoice, Reading
from aliquot.cli.screen import Screen

if TYPE_CHECKING:
    from aliquot.uncertainty import Uncertainty
    from aliquot.uncertainty.graded import Graded

__all__ = ["grade_command"]

#: Frames of the largest grades that the screen and the record show.
SHOWN: Final = 5
LISTED: Final = 20


def grade_command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", show_default=False, help="The potential, model.ace.")
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", show_default=False, help="Structures or trajectories to grade."),
    ] = None,
    train: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="The structures that the potential was fitted to; needed once, to make the active set.",
        ),
    ] = None,
    active: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default="MODEL.active", help="Where the active set is kept."),
    ] = None,
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Labelled structures that the fit did not see: what grades mean in eV/Å is learnt from them and kept.",
        ),
    ] = None,
    committee: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="With --train: standard deviations from N refits to resampled structures, not the posterior.",
        ),
    ] = 0,
    weights: Annotated[
        str, typer.Option(metavar="E/F/V", help="Weights of those refits: those of the fit.")
    ] = "30/1/1",
    full_basis: Annotated[
        bool, typer.Option("--full-basis", help="With --train: on all functions, not the selected ones.")
    ] = False,
    guard: Annotated[
        bool,
        typer.Option("--guard/--no-guard", help="With --train: leave out atoms of outlying force error."),
    ] = True,
    spreads: Annotated[
        bool, typer.Option("--spreads/--no-spreads", help="Also standard deviations of forces.")
    ] = True,
    select: Annotated[float, typer.Option(help="Grade from which a structure is worth a label.")] = 5.0,
    stop: Annotated[float, typer.Option("--break", help="Grade from which forces mean little.")] = 25.0,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", show_default=False, help="The structures with what was found, .xyz."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(show_default=False, help="A page with the grade along the file, .html.")
    ] = None,
    asi: Annotated[
        Path | None,
        typer.Option(show_default=False, help="The active set for LAMMPS, pair_style pace/extrapolation."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of refits and of the division of --calibrate.")] = 0,
    on_error: options.OnError = OnErrorChoice.RAISE,
    energy_key: options.EnergyKey = None,
    forces_key: options.ForcesKey = None,
    virial_key: options.VirialKey = None,
    overlap: options.Overlap = options.OVERLAP,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Say how far structures are from what the training set of a potential spans.

    The first time, --train makes the active set, which is kept beside the potential.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    job = GradeJob(
        model,
        files=files or (),
        train=train or (),
        active=active or active_beside(model),
        calibrate=calibrate or (),
        committee=committee,
        weights=weights,
        full_basis=full_basis,
        guard=guard,
        spreads=spreads,
        select=select,
        stop=stop,
        out=out,
        page=page,
        asi=asi,
        seed=seed,
        force=force,
        reading=Reading(energy_key, forces_key, virial_key, None, on_error.value, overlap),
    )
    with screen.progress() as progress:
        outcome = run_grade(job, progress)
    _describe(outcome, screen)
    screen.emit(_record(outcome) if as_json else {})


def _describe(outcome: GradeOutcome, screen: Screen) -> None:
    """Say what was found, and where it is."""
    job, graded = outcome.job, outcome.graded
    for note in outcome.notes:
        screen.warn(f"note: {note}")
    for row in _active_record(outcome.known) if job.train else []:
        screen.say(
            f"active set of {row['element']}: {row['rank']} of {row['environments']} environments, for"
            f" {row['functions']} functions; condition {row['condition'] or float('inf'):.1e}, largest grade of"
            f" training {row['largest']:.3f}"
        )
    if graded is not None and not screen.silent:
        top = graded.gamma_max
        screen.say(
            f"{len(top)} frames: {graded.extrapolating} extrapolate (γ > 1), {graded.above(job.select)} are above"
            f" {job.select:g}, {graded.above(job.stop)} above {job.stop:g}; the largest grade is"
            f" {top.max(initial=0.0):.3g}"
        )
        _worst_table(screen, graded)
        if graded.forces_std is not None and graded.expected is None:
            screen.warn(
                f"note: σ of forces is that of the {graded.kind}, not calibrated: it ranks, but does not measure;"
                " --calibrate FILE learns what it means"
            )
        _coverage_table(screen, outcome.known, graded)
    for what, path in outcome.files.items():
        screen.say(f"  {path}  {_MEANING[what]}")


_MEANING: Final = {
    "active": "the active set, found again beside the potential",
    "out": "every frame and atom with what was found",
    "page": "open this in a browser",
    "asi": "for LAMMPS, pair_style pace/extrapolation",
}


def _worst_table(screen: Screen, graded: Graded) -> None:
    top, lever = graded.gamma_max, graded.largest(graded.leverage)
    std = None if graded.force_std is None else graded.largest(graded.force_std)
    expected = None if graded.expected is None else graded.largest(graded.expected)
    heads = ["frame", "γ", "atom", "leverage"]
    heads += ["σ of a force, meV/Å"] * (std is not None) + ["expected error, meV/Å"] * (expected is not None)
    rows: list[list[str]] = []
    for i in graded.worst(SHOWN):
        row = [graded.frames.ids_name(i), f"{top[i]:.3g}", str(graded.worst_atom(i)), f"{lever[i]:.3g}"]
        rows.append([*row, *(f"{1000 * x[i]:.3g}" for x in (std, expected) if x is not None)])
    screen.table("Frames of the largest grades", heads, rows)


def _shares(known: Uncertainty, graded: Graded) -> list[dict[str, Any]]:
    """How often force errors of labelled frames lie within their bounds, by config type."""
    import numpy as np

    from aliquot.uncertainty import coverage
    from aliquot.uncertainty.guard import force_errors

    frames = graded.frames
    bounds = [c for c in known.calibrations if c.target == "forces"]
    if not bounds or not frames.forces.present.any():
        return []
    errors, frame_of = force_errors(known.potential, frames), np.repeat(np.arange(len(frames)), frames.sizes)
    indicators = {"gamma": graded.gamma, "leverage": graded.leverage, graded.kind: graded.force_std}
    out: list[dict[str, Any]] = []
    for group in np.unique(frames.config_type[frames.forces.present]).tolist():
        own = np.isfinite(errors) & (frames.config_type == group)[frame_of]
        for one in bounds:
            values = indicators.get(one.indicator)
            if values is not None and own.any():
                found = coverage(one, values[own], errors[own], frame_of[own])
                shares = {f"{p:g}": share for p, share in found.items()}
                count = len(np.unique(frame_of[own]))
                out.append({"group": group, "indicator": one.indicator, "frames": count, "coverage": shares})
    return out


def _coverage_table(screen: Screen, known: Uncertainty, graded: Graded) -> None:
    if not (shares := _shares(known, graded)):
        return
    levels = list(shares[0]["coverage"])
    rows = [
        [
            s["group"] or "all",
            s["indicator"],
            str(s["frames"]),
            *(f"{100 * s['coverage'][p]:.0f} %" for p in levels),
        ]
        for s in shares
    ]
    heads = ["config type", "indicator", "frames", *(f"{100 * float(p):g} %" for p in levels)]
    screen.table("Share of force errors within the bound of each level", heads, rows)


def _active_record(known: Uncertainty) -> list[dict[str, Any]]:
    from ase.data import chemical_symbols

    return [
        {
            "element": chemical_symbols[z],
            "functions": one.n_features,
            "rank": one.rank,
            "environments": one.environments,
            "condition": one.condition if one.condition < 1e300 else None,
            "largest": one.largest,
        }
        for z, one in zip(known.potential.basis.elements, known.active, strict=True)
    ]


def _record(outcome: GradeOutcome) -> dict[str, Any]:
    """The JSON object."""
    return {
        "command": "grade",
        "model": str(outcome.job.model),
        "files": {what: str(path) for what, path in outcome.files.items()},
        "notes": list(outcome.notes),
        "excluded": [{"file": e.file, "frame": e.frame, "problem": e.problem} for e in outcome.exclusions],
        "active": _active_record(outcome.known),
        **({} if outcome.graded is None else _graded_record(outcome.job, outcome.known, outcome.graded)),
    }


def _graded_record(job: GradeJob, known: Uncertainty, graded: Graded) -> dict[str, Any]:
    """JSON values of what was graded."""
    frames, top, lever = graded.frames, graded.gamma_max, graded.largest(graded.leverage)
    std = None if graded.force_std is None else graded.largest(graded.force_std)
    worst = [
        {
            "file": frames.files[frames.file[i]],
            "frame": int(frames.frame[i]),
            "gamma": float(top[i]),
            "atom": graded.worst_atom(i),
            "leverage": float(lever[i]),
            "force_std": None if std is None else float(std[i]),
        }
        for i in graded.worst(LISTED)
    ]
    return {
        "count": len(frames),
        "structures_hash": frames.ids.digest(),
        "gamma_max": top.tolist(),
        "thresholds": {"select": job.select, "break": job.stop},
        "above": {
            "1": graded.extrapolating,
            "select": graded.above(job.select),
            "break": graded.above(job.stop),
        },
        "spread": graded.kind or None,
        "calibrated": graded.expected is not None,
        "worst": worst,
        "coverage": _shares(known, graded),
    }
