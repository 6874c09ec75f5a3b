"""One self-contained page that puts several choices from one pool side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aliquot.errors import InputError
from aliquot.report.compare_figures import group_bars, information_curves, maps, overlap_matrix
from aliquot.report.figures import MAX_GROUPS
from aliquot.report.findings import Case, Excluded, composition
from aliquot.report.page import figure, page, tile
from aliquot.report.projection import pool_map
from aliquot.report.tables import (
    Raw,
    count,
    linked,
    number,
    percent,
    plural,
    seconds,
    table,
    text,
)
from aliquot.report.write import put
from aliquot.selection import METHODS, Selection
from aliquot.selection.comparison import Comparison
from aliquot.structures import Frames
from aliquot.table import Features

__all__ = ["seconds_of", "write_comparison"]


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
    put(path, _document(_Several(comparison, tuple(choices), cases, dict(refused or {}), tuple(notes))))
    return path


@dataclass(frozen=True, eq=False)
class _Several:
    """Everything that the sections are made from."""

    found: Comparison
    names: tuple[str, ...]
    cases: list[Case]
    refused: dict[str, str]
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Picks of the largest choice."""
        return max(len(case.selection) for case in self.cases)


def _document(several: _Several) -> str:
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
            ("numbers", "Side by side", _numbers(several)),
            ("overlap", "How much they agree", _overlap(several)),
            ("information", "Information, pick by pick", _information(several)),
            ("composition", "What they are made of", _composition(several)),
            ("map", "Where they lie in the pool", _maps(several)),
            ("record", "How it was done", _record(several)),
        ],
        footer=f"Made by aliquot {__version__}. This page is complete in itself: it loads and runs nothing.",
    )


def _best(several: _Several, values: Sequence[float], *, least: bool = False) -> int:
    return int(np.argmin(values) if least else np.argmax(values))


def _lede(several: _Several) -> str:
    found, names = several.found, several.names
    told = found.total_information
    most = _best(several, told.tolist())
    near = _best(several, found.radius.tolist(), least=True)
    said = [f"<strong>{text(names[most])}</strong> brings the most information, {number(told[most], 4)} nat"]
    if len(names) > 1:
        last = _best(several, told.tolist(), least=True)
        said[0] += f"; {text(names[last])} the least, {number(told[last], 4)}"
    said[0] += "."
    said.append(
        f"<strong>{text(names[near])}</strong> leaves the smallest worst distance,"
        f" {number(float(found.radius[near]))}"
        + (f" of {number(found.known_radius)} before any pick." if np.isfinite(found.known_radius) else ".")
    )
    return " ".join(said)


def _tiles(several: _Several) -> list[str]:
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


def _numbers(several: _Several) -> str:
    """The table of every measure; the best of each column in bold."""
    found = several.found
    told = found.total_information
    by, groups = composition(several.cases[0])
    reached = [_reached(case) for case in several.cases]
    kinds = sum(g.pool > 0 for g in groups)
    atoms = [case.chosen.n_atoms for case in several.cases]
    times = [seconds_of(case.selection) for case in several.cases]
    columns: list[tuple[str, list[str], int | None]] = [
        ("information (nat)", [number(float(v), 4) for v in told], int(np.argmax(told))),
        ("of the most", [percent(float(v / told.max())) if told.max() > 0 else "—" for v in told], None),
        ("worst distance", [number(float(v)) for v in found.radius], int(np.argmin(found.radius))),
        (
            "mean distance",
            [number(float(v)) for v in found.mean_distance],
            int(np.argmin(found.mean_distance)),
        ),
        (
            f"{by}s reached, of {kinds}",
            [count(r) for r in reached],
            int(np.argmax(reached)) if kinds > 1 else None,
        ),
        ("atoms to compute", [count(a) for a in atoms], int(np.argmin(atoms))),
        ("time to choose", [seconds(t) for t in times], int(np.argmin(times))),
    ]
    best = {head: which for head, _, which in columns}
    rows: list[list[Any]] = []
    for i, name in enumerate(several.names):
        cells: list[Any] = [name]
        for head, values, _ in columns:
            bold = best[head] is not None and values[i] == values[best[head] or 0]
            cells.append(Raw(f"<strong>{text(values[i])}</strong>") if bold else values[i])
        rows.append(cells)
    if np.isfinite(found.known_radius):
        blank = ["—"] * (len(columns) - 4)
        rows.append(["nothing more", "0", "—", number(found.known_radius), number(found.known_mean), *blank])
    shown = table(
        "Every choice measured with the same posterior and the same distances; the best of a column in bold",
        ["method", *(head for head, _, _ in columns)],
        rows,
        numeric=range(1, len(columns) + 1),
    )
    words = (
        "<p>Information: half the log-determinant that the picks add to the precision of one linear model, given"
        " what is known. Distance: from a candidate to the nearest chosen or known structure, in feature space;"
        " the worst is the covering radius. A method that maximises one of them is expected to win that"
        " column: what counts is how little it loses in the others.</p>"
    )
    return shown + words + _refused(several)


def _reached(case: Case) -> int:
    return sum(g.chosen > 0 for g in composition(case)[1])


def seconds_of(selection: Selection) -> float:
    """Time of the choice itself: without the extra runs that say how much a default matters."""
    return sum(t for stage, t in selection.timings.items() if stage != "sensitivity")


def _refused(several: _Several) -> str:
    if not several.refused:
        return ""
    rows = [(name, why) for name, why in several.refused.items()]
    return "<h3>Could not choose</h3>" + table("Methods that refused", ["method", "why"], rows, heard=True)


def _overlap(several: _Several) -> str:
    found = several.found
    if len(several.names) < 2:
        return "<p>There is only one choice.</p>"
    drawn = figure(overlap_matrix(several.names, found.common, found.overlap), "")
    sets = [set(case.selection.index.tolist()) for case in several.cases]
    times = np.zeros(several.cases[0].selection.pool_size, np.int64)
    for chosen in sets:
        times[list(chosen)] += 1
    m, n, total = len(sets), several.n, len(times)
    chance = n / max(1, 2 * total - n)
    agreed = table(
        "How many methods pick a structure",
        ["picked by", "structures"],
        [(_of(k, m), count(int(np.sum(times == k)))) for k in range(m, 0, -1)],
        numeric=[1],
    )
    words = (
        "<p>Each cell: the share of all structures picked by either method that both pick, and how many that"
        f" is. Two random choices of {count(n)} would overlap by about {percent(chance)}.</p>"
    )
    return f'<div class="lead"><div>{drawn}</div><div>{words}{agreed}</div></div>'


def _of(k: int, m: int) -> str:
    return f"all {m} methods" if k == m else f"{plural(k, 'method')}"


def _information(several: _Several) -> str:
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
        verb = "gives a set without an order" if len(loose) == 1 else "give sets without an order"
        said.append(f"<p>{text(', '.join(loose))} {verb} of worth: only the end of the line counts.</p>")
    most = int(np.argmax(several.found.total_information))
    rows = []
    for name, curve in zip(several.names, curves, strict=True):
        enough = np.flatnonzero(curves[most] >= curve[-1] * (1 - 1e-12)) if len(curve) else np.empty(0)
        rows.append((name, count(int(enough[0]) + 1) if len(enough) else "—"))
    said.append(
        table(f"Picks of {several.names[most]} that bring as much", ["all of", "picks"], rows, numeric=[1])
    )
    return f'<div class="lead"><div>{drawn}</div><div>{"".join(said)}</div></div>'


def _composition(several: _Several) -> str:
    by, groups = composition(several.cases[0])
    held = [g for g in groups if g.pool]
    if len(held) <= 1:
        return f"<p>Every structure has the same {by}.</p>"
    chosen = np.array([[g.chosen for g in composition(case)[1] if g.pool] for case in several.cases]).T
    counts = np.column_stack([[g.pool for g in held], chosen]).astype(float)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    order = np.argsort(-shares.max(axis=1), kind="stable")
    names = [g.name for g in held]
    if len(held) > MAX_GROUPS:
        top, rest = np.sort(order[: MAX_GROUPS - 1]), order[MAX_GROUPS - 1 :]
        shares = np.vstack([shares[top], shares[rest].sum(axis=0)])
        shown = [*(names[i] for i in top), f"other ({len(rest)} {by}s)"]
    else:
        shown = names
    bars = group_bars(shown, several.names, shares)
    every = table(
        f"Structures by {by}",
        [by, "pool", *several.names],
        [(name, *(count(int(v)) for v in row)) for name, row in zip(names, counts, strict=True)],
        numeric=range(1, len(several.names) + 2),
    )
    legend = "Hatched: the pool. Solid: each choice; the stroke is the share in the pool."
    return (
        f'<div class="wide">{figure(bars, legend)}</div>'
        f"<details><summary>Numbers of structures, all {plural(len(held), by)}</summary>{every}</details>"
    )


def _maps(several: _Several) -> str:
    case = several.cases[0]
    points = [pool_map(case.features, c.selection.index, case.known_features) for c in several.cases]
    if not points[0].explained[0] > 0:
        return "<p>All structures have the same features, so there is no direction to draw a map along.</p>"
    caption = (
        "Dots: candidates. Diamonds: picks."
        + (" Hollow squares: known." if len(points[0].known) else "")
        + " All maps have the same axes, the two directions in feature space in which structures differ most;"
        f" they carry {percent(float(points[0].explained.sum()))} of the variance."
    )
    return f'<div class="wide">{figure(maps(several.names, points), caption)}</div>'


def _record(several: _Several) -> str:
    rows = []
    cited: dict[str, None] = {}
    for name, case in zip(several.names, several.cases, strict=True):
        chosen = case.selection
        line = METHODS.get(chosen.method)
        proof = chosen.certificate
        certified = (
            "—" if proof is None else f"{number(proof.achieved, 4)} of at most {number(proof.upper_bound, 4)}"
        )
        nested = {True: "yes", False: "no", None: "—"}[chosen.nested]
        stop = chosen.suggested_stop
        stopped = "—" if stop is None else ("after all" if stop.n is None else f"after {count(stop.n)}")
        rows.append((name, "" if line is None else line.summary, certified, nested, stopped))
        cited.update(dict.fromkeys(chosen.references))
    shown = table(
        "What each method does, and what it promises",
        ["method", "what it does", "certificate", "nested", "suggested stop"],
        rows,
    )
    notes = "".join(
        f"<li>{text(note)}</li>" for note in dict.fromkeys([*several.notes, *several.cases[0].features.notes])
    )
    listed = f"<h3>Notes</h3><ul class=notes>{notes}</ul>" if notes else ""
    references = "".join(f"<li>{linked(reference)}</li>" for reference in cited)
    return (
        shown
        + listed
        + (f'<h3>References</h3><ol class="references">{references}</ol>' if references else "")
    )
