"""``aliquot select``: which structures of a pool are worth labelling."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aliquot.cli import options
from aliquot.cli.limits import Limits
from aliquot.cli.options import OnErrorChoice, Reading
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.cli.job import Outcome

__all__ = ["describe", "select_command"]


def select_command(
    pool: options.Pool,
    number: Annotated[
        str | None,
        typer.Option(
            "-n",
            metavar="N",
            show_default=False,
            help="How many to choose: a number, or a share such as 10%. Either this or --budget.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="The chosen structures, by extension: .xyz, .traj, .db; none: a folder of POSCAR files."
            " The record (.json) and the report (.html) go beside it.",
        ),
    ] = Path("selected.xyz"),
    known: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Structures that are labelled already. Give once per file."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME[:KEY=VALUE]",
            help="How to choose, with parameters after a colon; aliquot methods lists both.",
        ),
    ] = "bayes",
    score: Annotated[
        str | None,
        typer.Option(
            metavar="SCORE",
            show_default="entropy",
            help="What bayes maximises: entropy; energy, force-max or force-mean (variances); a sum such as"
            " energy+0.1*force-mean; or goal.",
        ),
    ] = None,
    goal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="What bayes should make known, labels not needed: pool, targets.xyz (energies, or differences by"
            " goal_minus), pool:GROUP=WEIGHT,…; 0.5*WHAT weighs several.",
        ),
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option(
            metavar="FORMULA",
            help="What a structure costs: atoms^3, electrons, volume, (4*Si+6*O)^3, column:NAME, and arithmetic"
            " of these. Gains are then compared per cost.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="COST", help="What all choices together may cost, in that unit, or a share such as 10%."
        ),
    ] = None,
    group_by: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="What --at-least and --at-most count, and stratified shares among: a key, or formula.",
        ),
    ] = "config_type",
    at_least: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP=N", help="Choose at least N of a group; '*=N' for every other group."),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP=N", help="Choose at most N of a group; '*=N' for every other group."),
    ] = None,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Do not choose these: structures, the .json of an earlier choice, or a .txt of FILE#NUMBER.",
        ),
    ] = None,
    apart: Annotated[
        str | None,
        typer.Option(
            metavar="D",
            help="Least distance in feature space between any two choices, and from what is known; or 2% of the"
            " pool's spread.",
        ),
    ] = None,
    dedupe: Annotated[
        str | None,
        typer.Option(
            metavar="D",
            help="Leave out candidates nearer than this in feature space to one that stays, or to what is known.",
        ),
    ] = None,
    max_force: Annotated[
        float | None,
        typer.Option(metavar="EV_PER_Å", help="Leave out candidates with a larger force on an atom, eV/Å."),
    ] = None,
    min_distance: Annotated[
        float | None,
        typer.Option(metavar="Å", help="Leave out candidates in which two atoms are nearer than this, Å."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="For job arrays, where POOL is a feature store: choose from the I-th of N parts, I from 1 to N.",
        ),
    ] = None,
    among: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Where POOL is a feature store: choose among the choices of these records (.json), such as those of"
            " all jobs.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Where POOL is a feature store: so many processes read it, one BLAS thread each. The choice is the"
            " same; bayes, fps and two-level.",
        ),
    ] = 1,
    features: options.FeatureSpec = "ace",
    pooling: options.Pooling = "mean",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    rest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the structures that were not chosen.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write the page that explains the choice.")
    ] = True,
    on_error: options.OnError = OnErrorChoice.RAISE,
    energy_key: options.EnergyKey = None,
    forces_key: options.ForcesKey = None,
    virial_key: options.VirialKey = None,
    type_map: options.TypeMap = None,
    overlap: options.Overlap = options.OVERLAP,
    cache: options.Cache = True,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Choose the structures of a pool that teach a potential most.

    POOL is structure files, or one feature store (aliquot featurize), whose size memory does not limit.

    Nothing is overwritten without --force, and an interrupted run leaves nothing behind.
    """
    from aliquot.cli.featurize import part_of
    from aliquot.cli.from_store import names_store, run_from_store
    from aliquot.cli.job import Job, run
    from aliquot.cli.method_spec import parse_method

    screen = Screen(quiet, as_json)
    spec = parse_method(method)
    parameters = {**spec.parameters, **({} if score is None else {"score": score})}
    if goal and (spec.method != "bayes" or parameters.setdefault("score", "goal") != "goal"):
        asked = f"--score {parameters['score']}" if spec.method == "bayes" else f"--method {spec.method}"
        raise InputError(f"--goal is what bayes chooses towards; {asked} cannot; leave one of them out")
    if "force" in str(parameters.get("score", "")) and re.fullmatch(r"ace(:(?!.*rows=).*)?", features):
        features += ("," if ":" in features else ":") + "rows=energy+forces"
    job = Job(
        pool=pool,
        number=number,
        out=out,
        known=known or (),
        rest=rest,
        method=spec.method,
        parameters=parameters,
        goals=goal or (),
        features=features,
        pooling=pooling,
        seed=seed,
        report=report,
        force=force,
        cache=cache,
        reading=Reading(energy_key, forces_key, virial_key, type_map, on_error.value, overlap),
        limits=Limits(
            cost,
            budget,
            group_by,
            at_least or (),
            at_most or (),
            exclude or (),
            apart,
            dedupe,
            max_force,
            min_distance,
        ),
    )
    if names_store(pool):
        part = (0, 1) if shard is None else part_of(shard)
        outcome = run_from_store(job, screen, part=part, among=among or (), workers=workers)
    elif shard is not None or among or workers > 1:
        raise InputError(
            "--shard, --among and --workers choose from a feature store; make one with aliquot featurize and name it as"
            " the pool"
        )
    else:
        outcome = run(job, screen)
    describe(outcome, screen)
    screen.emit(outcome.to_dict())


def describe(outcome: Outcome, screen: Screen) -> None:
    """Say what was chosen, what to know about it, and where it is."""
    selection = outcome.selection
    for note in selection.notes:
        screen.warn(f"note: {note}")
    given = f", knowing {selection.known_size}" if selection.known_size else ""
    seconds = sum(selection.timings.values())
    screen.say(
        f"{len(selection)} of {selection.pool_size} structures chosen by {selection.method}{given},"
        f" in {seconds:.1f} s. {selection.stop}"
    )
    if selection.spent is not None and selection.budget is None:
        screen.say(f"They cost {selection.spent:.6g} {selection.cost_unit}.")
    if selection.suggested_stop is not None:
        screen.say(selection.suggested_stop.reason)
    frames = outcome.pool
    chosen = Counter([] if frames is None else frames.config_type[selection.index].tolist())
    before = Counter([] if outcome.known is None else outcome.known.config_type.tolist())
    pool = Counter([] if frames is None else frames.config_type.tolist())
    kinds = sorted(pool, key=lambda kind: (-chosen[kind], kind))
    if any(kinds):
        rows = [[kind or "(none)", str(before[kind]), str(pool[kind]), str(chosen[kind])] for kind in kinds]
        screen.table("", ["config type", "known", "pool", "chosen"], rows)
    meaning = {
        "selected": "the structures, in the order chosen",
        "record": "every number of this choice",
        "report": "open this in a browser",
        "rest": "what was left",
    }
    width = max(len(str(path)) for path in outcome.files.values())
    for what, path in outcome.files.items():
        screen.say(f"  {path!s:{width}}  {meaning[what]}")
