"""One self-contained page about a potential on labelled structures: how wrong it is, and where."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aliquot.errors import InputError
from aliquot.fitting import Comparison
from aliquot.report.findings import Excluded
from aliquot.report.fit_record import excluded
from aliquot.report.fit_tables import error_tables, worst_tables
from aliquot.report.judged import LONG, UNITS, Judged
from aliquot.report.page import facts, page, tile
from aliquot.report.parities import parities
from aliquot.report.provenance import pretty, versions
from aliquot.report.tables import count, number, plural, sentence, text
from aliquot.report.write import put
from aliquot.structures import Frames

__all__ = ["write_model_errors"]


def write_model_errors(
    path: str | os.PathLike[str],
    comparison: Comparison,
    frames: Frames,
    *,
    model: str,
    reference: Mapping[int, float],
    size: int,
    meta: Mapping[str, Any] | None = None,
    exclusions: Sequence[Excluded] = (),
    notes: Sequence[str] = (),
    force: bool = False,
) -> Path:
    """Write one HTML page about the errors of a potential; nothing is fetched and nothing is executed.

    Parameters
    ----------
    path : path
        Where to write.
    comparison : Comparison
        From :func:`aliquot.fitting.compare`, of these frames.
    frames : Frames
    model : str
        Name of the potential.
    reference : dict of int to float
        Its energies of free atoms, eV, by atomic number.
    size : int
        Its functions.
    meta : dict, optional
        What it says of its origin.
    exclusions : sequence
        Frames that could not take part: anything with ``file``, ``frame`` and ``problem``.
    notes : sequence of str
    force : bool
        Replace a file that is already there.

    Raises
    ------
    InputError
        If the file exists (and ``force`` is not set), its folder does not, there are no labels, or these are not the
        frames compared.
    """
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path} exists already; give another name, or force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if len(frames) != len(comparison.part):
        raise InputError(
            f"the comparison is of {len(comparison.part)} structures, but {len(frames)} are given; give those compared"
        )
    judged = Judged(comparison, frames, reference)
    if not judged.quantities:
        raise InputError(
            f"none of the {len(frames)} structures has a label; there is nothing to compare with"
        )
    origin = _origin(judged, model, size, meta or {}, notes) + excluded(exclusions)
    put(path, _document(judged, model, size, origin))
    return path


def _document(judged: Judged, model: str, size: int, origin: str) -> str:
    from aliquot import __version__

    kinds = len(judged.groups)
    of_kinds = f" of {plural(kinds, 'config type')}" if kinds > 1 else ""
    amounts = [
        f"{'energies' if q == 'energy' else q} by <strong>{number(1000 * e.mae)}</strong> {UNITS[q]}"
        for q in ("energy", "forces")
        if (e := judged.error(q)) is not None
    ]
    misses = f" it misses {' and '.join(amounts)} on average" if amounts else " it was compared with virials"
    return page(
        f"{Path(model).name} on {plural(len(judged.frames), 'structure')}",
        kicker="test of a potential",
        lede=f"{plural(size, 'function')}; on {plural(len(judged.frames), 'structure')}{of_kinds}{misses}."
        " Whether these structures took part in its fit, this page cannot know.",
        tiles=_tiles(judged),
        sections=[
            ("errors", "How wrong it is", error_tables(judged)),
            ("parity", "Predictions beside labels", parities(judged)),
            ("structures", "Structures with the largest errors", worst_tables(judged)),
            ("record", "What was tested", origin),
        ],
        footer=f"Made by aliquot {__version__}. This page is complete in itself: it loads and runs nothing.",
    )


def _tiles(judged: Judged) -> list[str]:
    out = [tile(count(len(judged.frames)), "structures")]
    for quantity in judged.quantities:
        e = judged.error(quantity)
        if e is not None:
            unit = f"<small>{UNITS[quantity]}</small>"
            words = f"mean absolute error of {quantity}; r.m.s. {number(1000 * e.rmse)}"
            out.append(tile(f"{number(1000 * e.mae)} {unit}", words))
    return out


def _origin(judged: Judged, model: str, size: int, meta: Mapping[str, Any], notes: Sequence[str]) -> str:
    """Potential, structures, notes and versions."""
    compared = "; ".join(
        f"{LONG[q].split(' (')[0]}: {count(len(judged.comparison.label[q]))}" for q in judged.quantities
    )
    made = facts(
        [
            ("Potential", f"<code>{text(model)}</code>, {plural(size, 'function')}"),
            ("Files", ", ".join(f"<code>{text(name)}</code>" for name in judged.frames.files)),
            ("Structures", f"<code>{text(judged.frames.ids.digest())}</code>"),
            ("Compared", text(compared)),
            ("Versions", versions()),
        ]
    )
    said = "".join(f"<li>{sentence(note)}</li>" for note in dict.fromkeys(notes))
    noted = f'<h3>Notes</h3><ul class="notes">{said}</ul>' if said else ""
    own = (
        f"<details><summary>What the potential says of itself (JSON)</summary><pre>{pretty(meta)}</pre></details>"
        if meta
        else ""
    )
    return made + own + noted
