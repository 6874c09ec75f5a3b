"""One self-contained page that puts several choices from one pool side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aliquot.errors import InputError
from aliquot.report.compare_figures import information_curves, maps
from aliquot.report.compare_record import record
from aliquot.report.compare_tables import Several, groups, overlaps, side_by_side
from aliquot.report.findings import Case, Excluded
from aliquot.report.page import figure, page, tile
from aliquot.report.projection import PoolMap, pool_map
from aliquot.report.tables import count, number, percent, plural, table, text
from aliquot.report.write import put
from aliquot.selection import Selection
from aliquot.selection.comparison import Comparison
from aliquot.structures import Frames
from aliquot.table import Features

__all__ = ["write_comparison"]


def write_comparison(
    path: str | os.PathLike[str],
    comparison: Comparison,
    choices: Mapping[str, Selection],
    features: Features,
    pool: Frames,
    *,
    known_features: Features | None = None,
    known: Frames | None = None,
    refused: Mapping[str, str] | None = None,
    exclusions: Sequence[Excluded] = (),
    notes: Sequence[str] = (),
    force: bool = False,
) -> Path:
    """Write one HTML page that compares choices: overlap, information, distances, composition, maps, time.

    Parameters
    ----------
    path : path
    comparison : Comparison
        From :func:`aliquot.selection.comparison.compare`, of these choices.
    choices : dict of str to Selection
        In the order of ``comparison.names``.
    features, pool
        What all were chosen from: a table and its frames.
    known_features, known
        What was known to all.
    refused : dict of str to str
        Methods that could not choose, and why.
    exclusions : sequence
        Frames left out before.
    notes : sequence of str
    force : bool
        Replace a file that is already there.

    Raises
    ------
    InputError
        If the file exists, its folder does not, or the records do not belong together.
    """
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path} exists already; give another name, or force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if tuple(choices) != comparison.names or not len(pool) == len(features):
        raise InputError("the comparison is not of these choices, or the features are not of this pool")
    cases = [Case(c, features, pool, known_features, known, tuple(exclusions)) for c in choices.values()]
    put(path, _document(Several(comparison, tuple(choices), cases, dict(refused or {}), tuple(notes))))
    return path


def _document(several: Several) -> str:
    from aliquot import __version__

    first = several.cases[0].selection
    given = f", conditioned on {count(first.known_size)} known" if first.known_size else ""
    return page(
        f"{plural(len(several.names), 'way')} to choose {count(several.n)} of"
        f" {plural(first.pool_size, 'structure')}{given}",
        kicker="comparison of methods",
        lede=_lede(several),
        tiles=_tiles(several),
        sections=[
            ("numbers", "Side by side", side_by_side(several)),
            ("overlap", "How much they agree", overlaps(several)),
            ("information", "Information, pick by pick", _information(several)),
            ("composition", "What they are made of", groups(several)),
            ("map", "Where they lie in the pool", _maps(several)),
            ("record", "How it was done", record(several)),
        ],
        footer=f"Made by aliquot {__version__}. This page is complete in itself: it loads and runs nothing.",
    )


def _lede(several: Several) -> str:
    found, names = several.found, several.names
    told = found.total_information
    most = int(np.argmax(told))
    near = int(np.argmin(found.radius))
    said = [f"<strong>{text(names[most])}</strong> brings the most information, {number(told[most], 4)} nat"]
    if len(names) > 1:
        last = int(np.argmin(told))
        said[0] += f"; {text(names[last])} the least, {number(told[last], 4)}"
    said[0] += "."
    said.append(
        f"<strong>{text(names[near])}</strong> leaves the smallest worst distance,"
        f" {number(float(found.radius[near]))}"
        + (f" of {number(found.known_radius)} before any pick." if np.isfinite(found.known_radius) else ".")
    )
    return " ".join(said)


def _tiles(several: Several) -> list[str]:
    sets = [set(case.selection.index.tolist()) for case in several.cases]
    out = [
        tile(count(len(sets)), "methods compared on one pool"),
        tile(
            f"{count(several.n)} <small>of {count(several.cases[0].selection.pool_size)}</small>",
            "picks each",
        ),
    ]
    if len(sets) > 1:
        upper = several.found.overlap[np.triu_indices(len(sets), 1)]
        out += [
            tile(count(len(set.intersection(*sets))), "structures that every method picks"),
            tile(count(len(set.union(*sets))), "different structures in all choices together"),
            tile(percent(float(np.median(upper))), "median overlap of two choices"),
        ]
    return out


def _information(several: Several) -> str:
    curves = several.found.information
    if not several.n:
        return "<p>Nothing was chosen.</p>"
    drawn = figure(information_curves(several.names, curves), "")
    loose = [
        name for name, case in zip(several.names, several.cases, strict=True) if not case.selection.nested
    ]
    said = [
        "<p>What the first picks of each choice bring together, in the order in which they were chosen.</p>"
    ]
    if loose:
        said.append(
            f"<p>The first picks of {text(', '.join(loose))} are not a choice of that size: only the end of the line"
            " counts.</p>"
        )
    most = int(np.argmax(several.found.total_information))
    rows = []
    for name, curve in zip(several.names, curves, strict=True):
        enough = np.flatnonzero(curves[most] >= curve[-1] * (1 - 1e-12)) if len(curve) else np.empty(0)
        rows.append((name, count(int(enough[0]) + 1) if len(enough) else "—"))
    said.append(
        table(f"Picks of {several.names[most]} that bring as much", ["all of", "picks"], rows, numeric=[1])
    )
    return f'<div class="lead"><div>{drawn}</div><div>{"".join(said)}</div></div>'


def _maps(several: Several) -> str:
    points = _same_axes(several)
    if not points[0].explained[0] > 0:
        return "<p>All structures have the same features, so there is no direction to draw a map along.</p>"
    caption = (
        "Dots: candidates. Diamonds: picks."
        + (" Hollow squares: known." if len(points[0].known) else "")
        + " All maps have the same axes, the two directions in feature space in which structures differ most;"
        f" they carry {percent(float(points[0].explained.sum()))} of the variance."
    )
    return f'<div class="wide">{figure(maps(several.names, points), caption)}</div>'


def _same_axes(several: Several) -> list[PoolMap]:
    """One map per choice, all from one projection; what another choice has is a candidate there."""
    case = several.cases[0]
    picked = np.unique(np.concatenate([c.selection.index for c in several.cases]))
    base = pool_map(case.features, picked, case.known_features)
    shown = picked[base.rank - 1]
    out: list[PoolMap] = []
    for one in several.cases:
        own = np.isin(shown, one.selection.index)
        others = np.concatenate([base.candidates, base.chosen[~own]])
        out.append(replace(base, candidates=others, chosen=base.chosen[own], rank=base.rank[own]))
    return out
