"""``aliquot compare``: what each method would choose from one pool, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aliquot.cli import options
from aliquot.cli.goals import Goal, parse_goals, read_goals, targets_of
from aliquot.cli.limits import Limits
from aliquot.cli.options import OnErrorChoice, Reading
from aliquot.cli.prior import with_prior
from aliquot.cli.screen import Screen
from aliquot.cli.strata import strata_of
from aliquot.errors import InputError, SelectionError
from aliquot.progress import Progress

if TYPE_CHECKING:
    from aliquot.cli.job import Job
    from aliquot.cli.method_spec import MethodSpec
    from aliquot.selection import Selection
    from aliquot.selection.comparison import Comparison
    from aliquot.structures import Exclusion, Frames
    from aliquot.table import Features

__all__ = ["compare_command"]

#: Version of the JSON form; raised when a key changes its meaning.
SCHEMA = 1


def compare_command(
    pool: options.Pool,
    number: Annotated[
        str,
        typer.Option(
            "-n",
            metavar="N",
            show_default=False,
            help="How many to choose: a number, or a share such as 10%.",
        ),
    ],
    methods: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            show_default="all",
            help="Methods to compare, separated by commas; parameters after a colon: bayes,bayes:score=energy,fps."
            " all is every method of aliquot methods.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", help="The page, .html. The same in numbers (.json) goes beside it."),
    ] = Path("compare.html"),
    known: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Structures that are labelled already. Give once per file."),
    ] = None,
    goal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="What bayes:score=goal chooses towards, as in aliquot select: pool, targets.xyz, pool:GROUP=WEIGHT,…",
        ),
    ] = None,
    features: options.FeatureSpec = "ace",
    pooling: options.Pooling = "mean",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
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
    """Let several methods choose from one pool, and put their choices side by side on one page.

    A method that refuses is listed with its reason; the others are compared.
    """
    from aliquot.cli.from_store import names_store
    from aliquot.cli.job import Job
    from aliquot.cli.method_spec import EVERY, parse_methods
    from aliquot.cli.outputs import Outputs

    if out.suffix != ".html":
        raise InputError(f"-o {out}: the page is written as .html; got the extension {out.suffix!r}")
    if names_store(pool):
        raise InputError(
            f"{pool[0]} is a feature store, which has no structures to show; name their files instead"
        )
    specs = parse_methods(methods or [EVERY])
    options.count(number, 10**9)  # refused before the long work
    job = Job(
        pool=pool,
        number=number,
        out=out,
        known=known or (),
        goals=goal or (),
        features=features,
        pooling=pooling,
        seed=seed,
        cache=cache,
        reading=Reading(energy_key, forces_key, virial_key, type_map, on_error.value, overlap),
    )
    screen = Screen(quiet, as_json)
    about = out.with_suffix(".json")
    goals = parse_goals(job.goals)
    wanted = [one.path for one in goals if one.path is not None]
    with Outputs(force=force, inputs=[*pool, *job.known, *wanted]) as outputs:
        page_path, about_path = outputs.claim(out), outputs.claim(about)
        with screen.progress() as progress:
            found = _compare(job, specs, goals, progress)
        found.write(page_path)
        record = found.to_dict()
        about_path.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    _describe(found, screen)
    screen.say(f"  {out}  open this in a browser\n  {about}  the same in numbers")
    screen.emit({"command": "compare", "files": {"page": str(out), "record": str(about)}, **record})


@dataclass(frozen=True, eq=False)
class _Found:
    """What was read, chosen and measured."""

    job: Job
    pool: Frames
    known: Frames | None
    features: Features
    known_features: Features | None
    exclusions: Sequence[Exclusion]
    notes: Sequence[str]
    timings: Mapping[str, float]
    choices: Mapping[str, Selection]
    refused: Mapping[str, str]
    measured: Comparison

    def write(self, path: Path) -> None:
        """The page."""
        from aliquot.report import write_comparison

        write_comparison(
            path,
            self.measured,
            self.choices,
            self.features,
            self.pool,
            known_features=self.known_features,
            known=self.known,
            refused=self.refused,
            exclusions=self.exclusions,
            notes=self.notes,
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        from aliquot import __version__

        first = next(iter(self.choices.values()))
        return {
            "format": "aliquot-comparison",
            "schema": SCHEMA,
            "aliquot": __version__,
            "number": self.job.number,
            "seed": self.job.seed,
            "pool": {"files": list(self.pool.files), "size": len(self.pool), "hash": first.pool_hash},
            "known": {
                "files": [] if self.known is None else list(self.known.files),
                "size": first.known_size,
                "hash": first.known_hash,
            },
            "features": dict(self.features.recipe),
            "timings": dict(self.timings),
            "notes": list(self.notes),
            "excluded": [{"file": e.file, "frame": e.frame, "problem": e.problem} for e in self.exclusions],
            "refused": dict(self.refused),
            "comparison": self.measured.to_dict(),
            "selections": {label: json.loads(choice.to_json()) for label, choice in self.choices.items()},
        }


def _compare(job: Job, specs: Sequence[MethodSpec], goals: Sequence[Goal], progress: Progress) -> _Found:
    """Read, describe, choose with every method, measure."""
    from aliquot.cli.job import describe_all, read_both
    from aliquot.cli.method_spec import with_values
    from aliquot.selection.comparison import compare

    timings: dict[str, float] = {}
    pool, known, exclusions, notes = read_both(job, progress, timings)
    n = options.count(str(job.number), len(pool))
    if n > len(pool):
        raise SelectionError(
            f"cannot select {n} of {len(pool)} candidates in {', '.join(map(str, job.pool))}; lower -n or add files"
        )
    targets = read_goals(goals, job.reading, progress)
    features, known_features, *tables = describe_all(job, pool, known, targets, progress, timings)
    assert features is not None
    prior = with_prior("bayes", {}, known, known_features, progress)
    aims: dict[str, Any] = {}
    if goals:
        files = [(f, t) for f, t in zip(targets, tables, strict=True) if t is not None]
        aims["goal"] = targets_of(goals, features, files, pool.config_type)
    specs = [replace(s, parameters=with_values(s.method, s.parameters, pool)[0]) for s in specs]

    def strata(spec: MethodSpec) -> Mapping[str, Any]:
        return strata_of(spec.method, spec.parameters, Limits(), pool, known)

    choices, refused = _choose(specs, n, features, known_features, prior, aims, strata, job.seed, progress)
    if not choices:
        label, why = next(iter(refused.items()))
        raise SelectionError(f"none of {len(refused)} methods could choose; the first, {label}: {why}")
    strength = prior.get("precision")  # what bayes had, so that it is measured by what it maximises
    measured = compare(features, choices, known=known_features, precision=strength, progress=progress)
    notes = tuple(dict.fromkeys([*notes, *features.notes]))
    return _Found(
        job,
        pool,
        known,
        features,
        known_features,
        exclusions,
        notes,
        timings,
        choices,
        refused,
        measured,
    )


def _choose(
    specs: Sequence[MethodSpec],
    n: int,
    features: Features,
    known: Features | None,
    prior: Mapping[str, Any],
    aims: Mapping[str, Any],
    strata: Callable[[MethodSpec], Mapping[str, Any]],
    seed: int,
    progress: Progress,
) -> tuple[dict[str, Selection], dict[str, str]]:
    """The choice of every method, and why some made none."""
    from dataclasses import fields

    from aliquot.cli.screen import in_command_words
    from aliquot.selection import METHODS, select

    choices: dict[str, Selection] = {}
    refused: dict[str, str] = {}
    for done, spec in enumerate(specs):
        progress("methods", done, len(specs))
        # How much a default matters is asked by choosing thrice; here one choice is wanted.
        once = any(f.name == "sensitivity" for f in fields(METHODS[spec.method].selector))
        parameters = {**({"sensitivity": False} if once else {}), **spec.parameters}
        if spec.method == "bayes" and "precision" not in spec.parameters:
            parameters.update(prior)
        if spec.parameters.get("score") == "goal":
            parameters.update(aims)
        try:
            parameters.update(strata(spec))
            choices[spec.label] = select(
                features, n, method=spec.method, known=known, seed=seed, progress=progress, **parameters
            )
        except SelectionError as error:
            refused[spec.label] = in_command_words(str(error))
    progress("methods", len(specs), len(specs))
    return choices, refused


def _describe(found: _Found, screen: Screen) -> None:
    """The comparison in a few lines."""
    from aliquot.report.compare_tables import seconds_of
    from aliquot.report.tables import number, seconds

    measured = found.measured
    for note in found.notes:
        screen.warn(f"note: {note}")
    told = measured.total_information
    rows = [
        [
            label,
            str(len(choice)),
            number(float(told[i]), 4),
            number(float(measured.radius[i])),
            number(float(measured.mean_distance[i])),
            seconds(seconds_of(choice)),
        ]
        for i, (label, choice) in enumerate(found.choices.items())
    ]
    screen.table(
        "information (nat), worst and mean distance in feature space, time to choose",
        ["method", "picks", "nat", "worst", "mean", "time"],
        rows,
    )
    for label, why in found.refused.items():
        screen.warn(f"{label} refused: {why}")
