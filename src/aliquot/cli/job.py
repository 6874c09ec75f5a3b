"""What is the main job? Read, leave out the unusable, describe, choose, write: the path of every selection.

``aliquot select`` runs it on the user's files and ``aliquot demo`` on the packaged example.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aliquot.cli.goals import parse_goals, read_goals, targets_of
from aliquot.cli.limits import Limits
from aliquot.cli.method_spec import formulas_of, with_values
from aliquot.cli.options import Reading, count, find_modules_here, read_usable
from aliquot.cli.outputs import Outputs
from aliquot.cli.prior import with_prior
from aliquot.cli.screen import Screen
from aliquot.cli.strata import strata_of
from aliquot.errors import InputError, SelectionError
from aliquot.progress import Progress

if TYPE_CHECKING:
    from aliquot.selection import Constraints, Cost, Selection
    from aliquot.structures import Exclusion, Frames
    from aliquot.structures.limits import Sieved
    from aliquot.table import Features

__all__ = ["Job", "Outcome", "describe_both", "read_both", "run"]

#: Keys with which chosen frames are signed.
KEYS = ("aliquot_rank", "aliquot_gain", "aliquot_cost", "aliquot_file", "aliquot_frame")

#: Extensions that ``-o`` understands; no extension means a folder.
FORMATS = (".xyz", ".extxyz", ".xyz.gz", ".xyz.xz", ".extxyz.gz", ".extxyz.xz", ".traj", ".db", "")


@dataclass(frozen=True)
class Job:
    """Everything that ``aliquot select`` was asked.

    Parameters
    ----------
    pool, known : sequence of Path
    number : str or None
        As given: ``"200"`` or ``"10%"``; None where a budget decides.
    out : Path
        The chosen structures; the record and the report are put beside it.
    rest : Path or None
        What was left.
    parameters : dict
        Of the method.
    """

    pool: Sequence[Path]
    number: str | None
    out: Path
    known: Sequence[Path] = ()
    rest: Path | None = None
    method: str = "bayes"
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    goals: Sequence[str] = ()
    features: str = "ace"
    pooling: str = "mean"
    seed: int = 0
    report: bool = True
    force: bool = False
    cache: bool = True
    reading: Reading = field(default_factory=Reading)
    limits: Limits = field(default_factory=Limits)

    def beside(self, extension: str) -> Path:
        """``selected.json`` beside ``selected.xyz``; ``picks.json`` beside the folder ``picks``."""
        return self.out.with_name(self.out.name.removesuffix(ending(self.out)) + extension)


@dataclass(frozen=True)
class Outcome:
    """What a job did; a feature store as the pool has no frames."""

    selection: Selection
    pool: Frames | None
    known: Frames | None
    exclusions: tuple[Exclusion, ...]
    files: Mapping[str, Path]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of ``--json``."""
        import json

        return {
            "command": "select",
            "files": {what: str(path) for what, path in self.files.items()},
            "excluded": [{"file": e.file, "frame": e.frame, "problem": e.problem} for e in self.exclusions],
            "selection": json.loads(self.selection.to_json()),
        }


def ending(path: Path) -> str:
    """``.xyz``, or ``.xyz.gz`` where it is packed."""
    return (Path(path.stem).suffix if path.suffix in (".gz", ".xz") else "") + path.suffix


def run(job: Job, screen: Screen) -> Outcome:
    """Do the job; every output appears, or none."""
    for place in (job.out, job.rest):
        if place is not None and ending(place) not in FORMATS:
            raise InputError(
                f"cannot write {place}: the extension {ending(place)!r} is not one of {', '.join(FORMATS[:-1])};"
                " a name without extension makes a folder of POSCAR files"
            )
    job.limits.check(job.number)
    goals = parse_goals(job.goals)
    _try_method(job)
    timings: dict[str, float] = {}
    wanted = [goal.path for goal in goals if goal.path is not None]
    with Outputs(force=job.force, inputs=[*job.pool, *job.known, *wanted]) as outputs:
        places = {"selected": job.out, "record": job.beside(".json")}
        if job.report:
            places["report"] = job.beside(".html")
        if job.rest is not None:
            places["rest"] = job.rest
        staged = {what: outputs.claim(place) for what, place in places.items()}
        with screen.progress() as progress:
            pool, known, exclusions, notes = read_both(job, progress, timings)
            sieved = job.limits.sieve(pool)
            pool, notes = sieved.frames, (*notes, *sieved.notes)
            parameters, said = with_values(job.method, job.parameters, pool)
            notes = (*notes, *said)
            n, cost = _affordable(job, pool, len(exclusions), sieved)
            exclusions = (*exclusions, *sieved.exclusions)
            strata = strata_of(job.method, job.parameters, job.limits, pool, known)
            targets = read_goals(goals, job.reading, progress)
            features, known_features, *tables = describe_all(job, pool, known, targets, progress, timings)
            assert features is not None
            groups = job.limits.constraints(
                pool, features, reading=job.reading, gone=exclusions, progress=progress
            )
            parameters = with_prior(job.method, parameters, known, known_features, progress)
            parameters.update(strata)
            if goals:
                files = [(f, t) for f, t in zip(targets, tables, strict=True) if t is not None]
                parameters["goal"] = targets_of(goals, features, files, job.limits.labels(pool))
            selection = _choose(job, parameters, n, features, known_features, cost, groups, progress)
        selection = selection.with_notes(*notes, *features.notes).with_timings(**timings)
        _write(staged, selection, pool, features, known, known_features, exclusions)
    files = {what: place for what, place in places.items() if place.exists()}
    return Outcome(selection, pool, known, exclusions, files)


def _try_method(job: Job) -> None:
    """Choose one of one, so that a wrong method or parameter is refused before the long work."""
    import numpy as np

    from aliquot.selection import select
    from aliquot.table import KINDS, Features

    energy = Features.from_array(np.ones((2, 1)), offsets=np.array([0, 2]))
    one = replace(energy, kind=np.array([KINDS.index("energy"), KINDS.index("force")], np.uint8))
    cost, groups = job.limits.trial()
    later = formulas_of(job.method, job.parameters)
    parameters = {key: value for key, value in job.parameters.items() if key not in later}
    select(one, 1, method=job.method, cost=cost, groups=groups, seed=job.seed, **parameters)


def read_both(
    job: Job, progress: Progress, timings: dict[str, float]
) -> tuple[Frames, Frames | None, tuple[Exclusion, ...], tuple[str, ...]]:
    """The pool and what is known, what was left out of both, and what to know about them."""
    with _timed(timings, "read"):
        pool, exclusions, notes = read_usable(job.pool, job.reading, progress)
        known = None
        if job.known:
            known, bad_known, known_notes = read_usable(job.known, job.reading, progress)
            exclusions = (*exclusions, *bad_known)
            notes = (*notes, *(f"known: {note}" for note in known_notes))
    if exclusions:
        notes = (*notes, f"{len(exclusions)} frames were excluded; the first: {exclusions[0]}")
    return pool, known, exclusions, notes


def _affordable(job: Job, pool: Frames, n_excluded: int, sieved: Sieved) -> tuple[int | None, Cost | None]:
    """How many to choose, at what cost; refused here, before the long work, if there are not so many."""
    import numpy as np

    files = ", ".join(map(str, job.pool))
    lost = {limit: n for limit, n in sieved.removed.items() if n}
    relax = " or ".join(f"relax {limit}, which removed {n} frames" for limit, n in lost.items())
    if len(pool) == 0:
        raise SelectionError(f"no candidate is left in {files}; {relax}")
    cost = job.limits.cost_of(pool)
    if job.number is None:
        assert cost is not None
        cost.check_affordable(np.ones(len(pool), bool))
        return None, cost
    n = count(job.number, len(pool))
    if n > len(pool):
        excluded = f" ({n_excluded} frames were excluded)" if n_excluded else ""
        remedy = f"lower -n or {relax or 'add files'}"
        raise SelectionError(f"cannot select {n} of {len(pool)} candidates in {files}{excluded}; {remedy}")
    return n, cost


def describe_both(
    job: Job, pool: Frames, known: Frames | None, progress: Progress, timings: dict[str, float]
) -> tuple[Features, Features | None]:
    """Features of the pool and of what is known, in one basis."""
    features, known_features = describe_all(job, pool, known, (), progress, timings)
    assert features is not None
    return features, known_features


def describe_all(
    job: Job,
    pool: Frames,
    known: Frames | None,
    others: Sequence[Frames],
    progress: Progress,
    timings: dict[str, float],
) -> list[Features | None]:
    """Features of the pool, of what is known (if anything), and of other structures, in one basis."""
    from aliquot.features import featurize
    from aliquot.structures.cache import cache_folder

    find_modules_here(job.features)
    sets = [pool, known, *others]
    with _timed(timings, "features"):
        made = iter(
            featurize(
                job.features,
                *(some for some in sets if some is not None),
                pooling=job.pooling,
                cache=cache_folder("features") if job.cache else None,
                progress=progress,
            )
        )
    return [None if some is None else next(made) for some in sets]


def _choose(
    job: Job,
    parameters: Mapping[str, Any],
    n: int | None,
    features: Features,
    known: Features | None,
    cost: Cost | None,
    groups: Constraints | None,
    progress: Progress,
) -> Selection:
    from aliquot.selection import select

    chosen = select(
        features,
        n,
        method=job.method,
        known=known,
        cost=cost,
        groups=groups,
        seed=job.seed,
        progress=progress,
        **parameters,
    )
    check_any(job, chosen)
    return chosen


def check_any(job: Job, chosen: Selection) -> None:
    """Refuse to write nothing, which a method of random size may choose."""
    if len(chosen) == 0:
        raise SelectionError(
            f"nothing was chosen: {chosen.method} with seed {job.seed} made {chosen.stop}; raise n, or take another"
            " seed"
        )


def _write(
    staged: Mapping[str, Path],
    selection: Selection,
    pool: Frames,
    features: Features,
    known: Frames | None,
    known_features: Features | None,
    exclusions: Sequence[Exclusion],
) -> None:
    import numpy as np

    from aliquot.structures import write

    write(staged["selected"], signed(pool[selection.index], selection))
    left = np.setdiff1d(np.arange(len(pool)), selection.index)
    if "rest" in staged and len(left):
        write(staged["rest"], pool[left])
    if "report" in staged:
        from aliquot.report import write_report

        write_report(
            staged["report"],
            selection,
            features,
            pool,
            known_features=known_features,
            known=known,
            exclusions=exclusions,
        )
    staged["record"].write_text(selection.to_json() + "\n", encoding="utf-8")


def signed(chosen: Frames, selection: Selection) -> Frames:
    """The chosen frames with the keys that say when, why and whence each was chosen."""
    import numpy as np

    files = np.array([chosen.files[f] for f in chosen.file])
    earlier = {key: column for key, column in chosen.frame_columns.items() if key not in KEYS}
    chosen = replace(chosen, frame_columns=earlier)  # an earlier selection may have signed them
    chosen = chosen.with_frame_column("aliquot_rank", np.arange(1, len(chosen) + 1))
    if selection.gain is not None:
        chosen = chosen.with_frame_column("aliquot_gain", selection.gain)
    if selection.cost is not None:
        chosen = chosen.with_frame_column("aliquot_cost", selection.cost)
    return chosen.with_frame_column("aliquot_file", files).with_frame_column("aliquot_frame", chosen.frame)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[stage] = time.perf_counter() - start
