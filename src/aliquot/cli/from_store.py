"""What is the main job where the pool is a feature store? Choose from rows on disk; then fetch the chosen structures.

The structures of a store stay in their files. Those chosen are read from there, by file and number, and compared
with their content hashes; where a file has gone or has changed, the record alone is written and the reason is said.
The page is written for stores of up to :data:`PAGE_FRAMES` structures, all of which it shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aliquot.cli.job import Job, Outcome, check_any, signed
from aliquot.cli.limits import Limits
from aliquot.cli.method_spec import formulas_of
from aliquot.cli.options import count
from aliquot.cli.outputs import Outputs
from aliquot.cli.prior import with_prior
from aliquot.cli.processes import processes
from aliquot.cli.screen import Screen
from aliquot.errors import InputError, SelectionError
from aliquot.progress import Progress

if TYPE_CHECKING:
    from aliquot.features.manifest import Manifest
    from aliquot.selection import Selection
    from aliquot.structures import Frames
    from aliquot.table import Features, Ids

__all__ = ["PAGE_FRAMES", "names_store", "run_from_store"]

#: Structures of the largest store that gets a page.
PAGE_FRAMES: Final = 20_000


def names_store(paths: Sequence[Path]) -> bool:
    """Whether the pool is a feature store.

    Raises
    ------
    InputError
        If there are several, or a store beside files.
    """
    from aliquot.features.manifest import is_store

    stores = [path for path in paths if is_store(path)]
    if stores and len(paths) > 1:
        raise InputError(
            f"{stores[0]} is a feature store and not the only pool; join stores with aliquot merge, or add files to"
            " one with aliquot featurize --append"
        )
    return bool(stores)


@dataclass(frozen=True, eq=False)
class _Tables:
    """Candidates and known structures of one recipe, and what narrowed the candidates."""

    pool: Features
    known: Features | None
    known_frames: Frames | None
    notes: tuple[str, ...]


def run_from_store(
    job: Job,
    screen: Screen,
    *,
    part: tuple[int, int] = (0, 1),
    among: Sequence[Path] = (),
    workers: int = 1,
) -> Outcome:
    """Do the job; every output appears, or none.

    Parameters
    ----------
    job : Job
        Its pool is one store.
    screen : Screen
    part : (int, int)
        Choose from the i-th of N runs of shards.
    among : sequence of Path
        Records of earlier choices: choose among what they chose.
    workers : int
        Processes that read the store.
    """
    from aliquot.selection import select

    _check(job)
    with Outputs(force=job.force, inputs=[*job.pool, *job.known, *among]) as outputs:
        staged = {"record": outputs.claim(job.beside(".json")), "selected": outputs.claim(job.out)}
        if job.report:
            staged["report"] = outputs.claim(job.beside(".html"))
        with screen.progress() as progress:
            tables = _open(job, part, among, progress)
            parameters = with_prior(job.method, job.parameters, tables.known_frames, tables.known, progress)
            assert job.number is not None
            with processes(workers) as executor:
                selection = select(
                    tables.pool,
                    count(job.number, len(tables.pool)),
                    method=job.method,
                    known=tables.known,
                    seed=job.seed,
                    progress=progress,
                    executor=executor,
                    **parameters,
                )
        check_any(job, selection)
        selection = selection.with_notes(*tables.notes, *tables.pool.notes)
        selection = _write(job, staged, selection, tables)
    places = {"selected": job.out, "record": job.beside(".json"), "report": job.beside(".html")}
    files = {what: place for what, place in places.items() if what in staged and place.exists()}
    return Outcome(selection, None, None, (), files)


def _check(job: Job) -> None:
    """Refuse what needs structures."""
    if job.goals:
        raise InputError(
            f"{job.pool[0]} is a feature store, which has no structures: --goal needs the files; --score goal chooses"
            " towards the mean over the store itself"
        )
    if formulas := formulas_of(job.method, job.parameters):
        raise InputError(
            f"{job.pool[0]} is a feature store, which has no structures: {', '.join(formulas)} of {job.method} needs"
            " the files; leave it out, or name the files as the pool"
        )
    if job.limits != Limits() or job.rest is not None or job.number is None:
        raise InputError(
            f"{job.pool[0]} is a feature store, which has no structures: costs, budgets, groups, exclusions, limits and"
            " --rest need the files; leave them out, or name the files as the pool"
        )


def _open(job: Job, part: tuple[int, int], among: Sequence[Path], progress: Progress) -> _Tables:
    from aliquot.features.manifest import Manifest
    from aliquot.features.opening import open_store

    store = job.pool[0]
    manifest, pool = Manifest.load(store), open_store(store, part=part)
    if job.features != "ace" and (manifest.source is None or manifest.source.spec != job.features):
        made = "features of another program" if manifest.source is None else manifest.source.spec
        raise InputError(f"{store} holds {made}, not {job.features}; leave out --features")
    notes: tuple[str, ...] = ()
    if part != (0, 1):
        notes = (f"part {part[0] + 1} of {part[1]} of {store}: positions count from its first structure",)
    if among:
        pool, note = _narrowed(pool, among)
        notes = (*notes, note)
    known, frames = _known(job, manifest, progress)
    if known is not None and frames is None:
        notes = (*notes, "the files of the known structures are not there: their labels cannot set the prior")
    return _Tables(pool, known, frames, notes)


def _narrowed(pool: Features, records: Sequence[Path]) -> tuple[Features, str]:
    """The candidates that earlier choices have chosen."""
    import numpy as np

    from aliquot.selection import Selection

    chosen = [Selection.from_json(_text(path)) for path in records]
    hashes = {one for record in chosen for one in record.ids.hash.tolist()}
    index = np.flatnonzero(np.isin(pool.ids.hash, list(hashes)))
    strangers = len(hashes) - len(np.unique(pool.ids.hash[index]))
    if strangers:
        raise SelectionError(
            f"--among: {strangers} of {len(hashes)} structures in the records are not in the pool; give the records of"
            " choices from this store"
        )
    note = f"chosen among the {len(index)} structures that {len(records)} earlier choices had chosen"
    return pool[index], note


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--among {path}: cannot be read: {error}") from error


def _known(job: Job, manifest: Manifest, progress: Progress) -> tuple[Features | None, Frames | None]:
    """What is known, described as the store is, and with its labels where these can be had."""
    if not job.known:
        return None, None
    from aliquot.features import featurizer_of
    from aliquot.features.manifest import Manifest
    from aliquot.features.opening import open_store

    if names_store(job.known):
        if why := manifest.differs_from(Manifest.load(job.known[0])):
            raise InputError(f"{job.pool[0]} and {job.known[0]} do not go together: {why}")
        known = open_store(job.known[0])
        frames = _structures(job, known.ids)
        return known, None if isinstance(frames, str) else frames
    source = manifest.source
    if source is None:
        raise InputError(f"{job.pool[0]} does not say how its features are made; give --known as a store")
    if source.spec.startswith("python:") and job.features != source.spec:
        raise InputError(f"{job.pool[0]} was made by {source.spec}; to run it, give --features {source.spec}")
    from aliquot.cli.options import find_modules_here, read_usable

    find_modules_here(source.spec)
    featurizer = featurizer_of(source.spec, source.elements, pooling=source.pooling)
    if why := manifest.other_recipe(featurizer.recipe):
        raise InputError(f"{job.pool[0]} was made by another version of {source.spec}: {why}")
    frames = read_usable(job.known, job.reading, progress)[0]
    return featurizer(frames, progress=progress), frames


def _write(job: Job, staged: Mapping[str, Path], selection: Selection, tables: _Tables) -> Selection:
    """Everything that can be written; what cannot, and why, becomes a note."""
    from aliquot.structures import write

    chosen = _structures(job, selection.ids)
    if isinstance(chosen, str):
        selection = selection.with_notes(f"the chosen structures are not written: {chosen}")
    else:
        write(staged["selected"], signed(chosen, selection))
        if "report" in staged:
            selection = _page(job, staged["report"], selection, tables)
    staged["record"].write_text(selection.to_json() + "\n", encoding="utf-8")
    return selection


def _page(job: Job, place: Path, selection: Selection, tables: _Tables) -> Selection:
    from aliquot.report import write_report

    n = len(tables.pool)
    if n > PAGE_FRAMES:
        return selection.with_notes(f"no page: it would show {n} structures, and shows {PAGE_FRAMES} at most")
    frames = _structures(job, tables.pool.ids)
    if isinstance(frames, str):
        return selection.with_notes(f"no page: {frames}")
    if tables.known is not None and tables.known_frames is None:
        return selection.with_notes("no page: it would show the known structures")
    write_report(
        place, selection, tables.pool, frames, known_features=tables.known, known=tables.known_frames
    )
    return selection


def _structures(job: Job, ids: Ids) -> Frames | str:
    """The structures of these ids, or why they cannot be had."""
    from aliquot.structures.fetching import fetch

    try:
        return fetch(ids, label_keys=job.reading.label_keys(), type_map=job.reading.types())
    except InputError as error:
        return str(error)
