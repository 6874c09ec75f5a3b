"""``aliquot fit``: from labelled structures to a potential."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aliquot.cli import options
from aliquot.cli.fit_job import FitJob, FitOutcome, Splitting, run_fit
from aliquot.cli.options import OnErrorChoice, Reading
from aliquot.cli.screen import Screen

if TYPE_CHECKING:
    from aliquot.fitting import Error

__all__ = ["error_table", "fit_command"]


def fit_command(
    train: Annotated[
        list[Path],
        typer.Argument(metavar="TRAIN", show_default=False, help="Files of labelled structures."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="The potential (.ace). The file for LAMMPS (.yace), the record (.path.json) and the report (.html)"
            " go beside it.",
        ),
    ] = Path("model.ace"),
    test: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Structures that judge the result and nothing else. Once per file."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The key whose words (train, val, test) divide the structures."),
    ] = None,
    validation: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Share of the training structures that decides, not teaches."),
    ] = 0.15,
    test_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Share that only judges, where no test is given.")
    ] = 0.0,
    folds: Annotated[
        int,
        typer.Option(min=0, help="Decide by cross-validation over this many folds of whole groups instead."),
    ] = 0,
    fold_by: Annotated[
        str, typer.Option(metavar="KEY", help="The key that names those groups.")
    ] = "config_type",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the division.")] = 0,
    degree: Annotated[
        str | None,
        typer.Option(
            metavar="D",
            show_default="as suits 1500 functions",
            help="Largest degree of each order, as in 25,21,17.",
        ),
    ] = None,
    order: Annotated[
        int, typer.Option(min=1, max=4, help="Correlation order, if --degree does not say.")
    ] = 3,
    cutoff: Annotated[
        float | None, typer.Option(metavar="Å", show_default="2.5 bond lengths, 5 to 6", help="Cutoff, Å.")
    ] = None,
    pair: Annotated[
        int | None,
        typer.Option(
            metavar="N", show_default="the degree of order 1", help="Pair functions per pair of elements."
        ),
    ] = None,
    smoothness: Annotated[float, typer.Option(metavar="P", help="Power of the smoothness prior.")] = 4.0,
    solver: Annotated[
        str,
        typer.Option(
            metavar="NAME[:KEY=VALUE]",
            help="How functions and coefficients are found: omp, ridge, …; parameters after a colon.",
        ),
    ] = "omp:penalty=evidence",
    choose: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="Which model of the path: 'within Q' (the smallest whose error is at most Q times the least), 'best',"
            " 'size N', 'knee', 'final'; 'by evidence', 'by validation' or 'by training' says what decides (the first"
            " of these that there is).",
        ),
    ] = "within 1.02",
    weights: Annotated[
        str,
        typer.Option(
            metavar="E/F/V",
            help="Weights of energies, forces and virials; or a TOML file with a table per config type.",
        ),
    ] = "30/1/1",
    group_by: Annotated[
        str, typer.Option(metavar="KEY", help="The key that names config types, for weights and errors.")
    ] = "config_type",
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="ELEMENT=EV,…",
            show_default="isolated atoms, or least squares",
            help="Energies of free atoms, as in Si=-158.54,O=-432.1.",
        ),
    ] = None,
    offset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE",
            help="A config type whose energies may be shifted against the others (another functional).",
        ),
    ] = None,
    repulsion: Annotated[
        bool,
        typer.Option("--repulsion/--no-repulsion", help="Universal (ZBL) repulsion between close atoms."),
    ] = True,
    force_cap: Annotated[
        float | None, typer.Option(metavar="EV_PER_Å", help="Atoms with larger forces do not teach.")
    ] = None,
    robust: Annotated[
        bool, typer.Option("--robust", help="Labels that the model does not believe count less.")
    ] = False,
    by_cost: Annotated[
        bool,
        typer.Option("--by-cost", help="Weigh what a function explains against what evaluating it costs."),
    ] = False,
    posterior: Annotated[
        bool,
        typer.Option(
            "--posterior", help="Keep the precision of the coefficients, for committees and error bars."
        ),
    ] = False,
    active: Annotated[
        bool,
        typer.Option(
            "--active", help="Also write the active set (.active) for aliquot grade, md and explore."
        ),
    ] = False,
    learning_curve: Annotated[
        bool, typer.Option("--learning-curve", help="Fit growing shares of the training structures too.")
    ] = False,
    memory: Annotated[float, typer.Option(metavar="GB", help="What compressed rows may take.")] = 2.0,
    lammps: Annotated[bool, typer.Option("--lammps/--no-lammps", help="Write the file for LAMMPS.")] = True,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the report page.")] = True,
    on_error: options.OnError = OnErrorChoice.RAISE,
    energy_key: options.EnergyKey = None,
    forces_key: options.ForcesKey = None,
    virial_key: options.VirialKey = None,
    overlap: options.Overlap = options.OVERLAP,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Fit a linear ACE potential with as few functions as the data justify.

    A whole path of models is found; validation structures decide which one becomes the potential, and test
    structures have no part in it.
    """
    screen = Screen(quiet=quiet, as_json=as_json)
    job = FitJob(
        train,
        out,
        test=test or (),
        degree=degree,
        order=order,
        cutoff=cutoff,
        pair=pair,
        smoothness=smoothness,
        solver=solver,
        choice=choose,
        weights=weights,
        reference=reference,
        repulsion=repulsion,
        offsets=offset or (),
        force_cap=force_cap,
        robust=robust,
        by_cost=by_cost,
        posterior=posterior,
        active=active,
        learning_curve=learning_curve,
        memory=memory,
        group_by=group_by,
        splitting=Splitting(split, validation, test_share, folds, fold_by, seed),
        lammps=lammps,
        report=report,
        force=force,
        reading=Reading(energy_key, forces_key, virial_key, None, on_error.value, overlap),
    )
    outcome = run_fit(job, screen)
    _describe(outcome, screen)
    screen.emit(outcome.to_dict())


def _describe(outcome: FitOutcome, screen: Screen) -> None:
    """Say what was fitted, how wrong it is, and where it is."""
    done = outcome.fit
    for note in (*outcome.notes, *done.notes):
        screen.warn(f"note: {note}")
    seconds = sum(done.timings.values())
    screen.say(
        f"{done.size} of {done.path.n_columns} functions, from {done.path.n_rows:,} labels, by {done.path.method},"
        f" in {seconds:.1f} s: {done.reason}"
    )
    error_table(screen, done.errors())
    for outlier in done.outliers[:3]:
        where = outcome.frames.ids_name(outlier.frame)
        screen.warn(
            f"look at {where}: its {outlier.quantity} is off by {outlier.error:.3g}, where {outlier.usual:.2g} is usual"
        )
    if len(done.outliers) > 3:
        screen.warn(f"and at {len(done.outliers) - 3} more structures; the report lists them")
    meaning = {
        "potential": "the potential; in Python: AceCalculator(AcePotential.load(FILE))",
        "lammps": "the same for LAMMPS, pair_style pace",
        "repulsion": "its inner repulsion, to overlay in LAMMPS",
        "record": "every number of this fit",
        "active": "what the training structures span, for aliquot grade and md",
        "report": "open this in a browser",
    }
    width = max(len(str(path)) for path in outcome.files.values())
    for what, path in outcome.files.items():
        screen.say(f"  {path!s:{width}}  {meaning[what]}")


_QUANTITIES = ("energy", "forces", "virial")


def error_table(screen: Screen, errors: tuple[Error, ...]) -> None:
    """Mean absolute and root-mean-square errors by part and config type."""
    rows: list[list[str]] = []
    for part, group in dict.fromkeys((e.part, e.group) for e in errors):
        own = {e.quantity: e for e in errors if (e.part, e.group) == (part, group)}
        cells = [part if not group else f"  {group}", str(max(e.structures for e in own.values()))]
        for quantity in _QUANTITIES:
            found = own.get(quantity)
            cells += ["", ""] if found is None else [f"{1000 * found.mae:.3g}", f"{1000 * found.rmse:.3g}"]
        rows.append(cells)
    heads = [name for quantity in ("E", "F", "V") for name in (f"{quantity} MAE", "RMSE")]
    screen.table("Errors: E and V in meV/atom, F in meV/Å", ["", "n", *heads], rows)
