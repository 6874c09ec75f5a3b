"""One self-contained page about one selection: checks the records, builds the sections, writes the file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aliquot.errors import InputError
from aliquot.report import account, surroundings, top
from aliquot.report.findings import Case, Excluded
from aliquot.report.gains import gains
from aliquot.report.page import page
from aliquot.report.provenance import record
from aliquot.selection import Selection
from aliquot.structures import Frames
from aliquot.table import Features

__all__ = ["put", "write_report"]


def write_report(
    path: str | os.PathLike[str],
    selection: Selection,
    features: Features,
    pool: Frames,
    *,
    known_features: Features | None = None,
    known: Frames | None = None,
    exclusions: Sequence[Excluded] = (),
    force: bool = False,
) -> Path:
    """Write one HTML page that shows what was chosen, why, and from what.

    The page is complete in itself: figures are inline SVG, nothing is fetched and nothing is executed, so it
    can be mailed, printed and archived. The same records give the same bytes.

    Parameters
    ----------
    path : path
        Where to write.
    selection : Selection
        What was chosen; ``selection.index`` are positions in ``pool``.
    features : Features
        One candidate per frame of the pool, in the same order. May be memory-mapped.
    pool : Frames
        The candidates.
    known_features, known : Features and Frames, optional
        What was labelled already; either may be left out, and what needs it is then left out too.
    exclusions : sequence
        Frames that could not take part: anything with ``file``, ``frame`` and ``problem``.
    force : bool
        Replace a file that is already there.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the file exists (and ``force`` is not set), its folder does not, or the records do not belong
        together.

    Notes
    -----
    Time and size are bounded whatever the pool: the map and the distances use a stated sample of a large one.
    """
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path} exists already; give another name, or force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    case = Case(selection, features, pool, known_features, known, tuple(exclusions))
    _check(case)
    put(path, _document(case))
    return path


def _check(case: Case) -> None:
    """Records of different pools would give a page that looks right and is wrong."""
    chosen, features, pool = case.selection, case.features, case.pool
    if not len(pool) == len(features) == chosen.pool_size:
        raise InputError(
            f"the selection was made from {chosen.pool_size} candidates, but there are {len(features)} in the"
            f" features and {len(pool)} frames in the pool; give the ones it was made from"
        )
    if len(chosen) and not np.array_equal(features.ids.hash[chosen.index], chosen.ids.hash):
        raise InputError(
            "the picks are not the candidates at their positions; give the features it was made from"
        )
    for name, found in (("known", case.known), ("known_features", case.known_features)):
        if found is not None and len(found) != chosen.known_size:
            raise InputError(
                f"the selection was conditioned on {chosen.known_size} known structures, but {name} has"
                f" {len(found)}; give the ones it was made with"
            )
    if case.known_features is not None and case.known_features.n_features != features.n_features:
        raise InputError(
            f"the pool has {features.n_features} features and the known structures"
            f" {case.known_features.n_features}; make both with one basis"
        )


def _document(case: Case) -> str:
    from aliquot import __version__

    return page(
        account.headline(case),
        lede=account.lede(case),
        tiles=account.tiles(case),
        sections=[
            ("asked", "What was asked, what was found", account.asked(case)),
            ("gain", "What each pick brought", gains(case)),
            ("map", "Where the picks lie in the pool", surroundings.on_the_map(case)),
            ("composition", "Composition before and after", surroundings.groups(case)),
            ("labels", "Energies and forces covered", surroundings.labels(case)),
            ("distances", "Shortest distances", surroundings.distances(case)),
            ("structures", top.heading(case), top.most_informative(case)),
            ("record", "Timings, recipe and references", record(case)),
        ],
        footer=f"Made by aliquot {__version__}. This page is complete in itself: it loads and runs nothing.",
    )


def put(path: Path, document: str) -> None:
    """To a temporary name in the same folder, then renamed: never a half-written page."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.write(document)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
