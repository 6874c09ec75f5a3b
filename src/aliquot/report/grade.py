"""One self-contained page about a trajectory: where the potential leaves what it knows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aliquot.report.canvas import CHOSEN, INK, KNOWN, MUTED, new_figure, svg
from aliquot.report.findings import Excluded
from aliquot.report.fit_figures import plain_log
from aliquot.report.fit_record import excluded
from aliquot.report.page import facts, figure, page, tile
from aliquot.report.provenance import versions
from aliquot.report.tables import count, number, plural, sentence, table, text
from aliquot.report.write import put
from aliquot.uncertainty.graded import INSIDE, Graded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_grades"]

#: Frames that the page lists.
LISTED = 20


def write_grades(
    path: str | os.PathLike[str],
    graded: Graded,
    *,
    model: str,
    select: float,
    stop: float,
    exclusions: Sequence[Excluded] = (),
    notes: Sequence[str] = (),
) -> Path:
    """Write the page; nothing is fetched and nothing is executed.

    Parameters
    ----------
    path : path
    graded : Graded
    model : str
        Name of the potential.
    select, stop : float
        Grades from which a structure is worth a label, and dynamics should stop.
    exclusions, notes
        Frames left out, and what to know.
    """
    path = Path(path)
    frames, top = graded.frames, graded.gamma_max
    outside = graded.extrapolating
    inside = " never" if outside == 0 else f" in {plural(outside, 'frame')} of {count(len(frames))}"
    document = page(
        f"{Path(model).name} along {plural(len(frames), 'frame')}",
        kicker="extrapolation",
        lede=f"The potential extrapolates (γ above 1){inside}; the largest grade is"
        f" <strong>{number(float(top.max(initial=0.0)))}</strong>. {_meaning(graded)}",
        tiles=[
            tile(count(len(frames)), "frames"),
            tile(number(float(top.max(initial=0.0))), "largest grade γ"),
            tile(count(graded.above(select)), f"frames above {select:g}: worth a label"),
            tile(count(graded.above(stop)), f"frames above {stop:g}: do not trust"),
        ],
        sections=[
            ("grades", "The grade along the file", _along(graded, select, stop)),
            ("atoms", "The grades of all atoms", _atoms(graded, select, stop)),
            ("frames", "Frames of the largest grades", _worst(graded)),
            ("record", "What was graded", _record(graded, model, notes) + excluded(exclusions)),
        ],
        footer=f"Made by {versions()}. This page is complete in itself: it loads and runs nothing.",
    )
    put(path, document)
    return path


def _meaning(graded: Graded) -> str:
    """What standard deviations are worth."""
    if graded.expected is not None:
        return "Expected errors are calibrated on held-out structures, and hold for structures like those."
    if graded.force_std is None:
        return "Errors in eV/Å are not estimated."
    return (
        "Standard deviations are those of the model, were its form true: <strong>not calibrated</strong>, they rank"
        " but do not measure."
    )


def _along(graded: Graded, select: float, stop: float) -> str:
    top = graded.gamma_max

    def draw() -> Figure:
        drawn, ax = new_figure(3.4)
        x = np.arange(len(top))
        ax.plot(x, np.maximum(top, 1e-3), color=KNOWN, lw=1.0, marker="o", ms=2.2 if len(top) < 400 else 0)
        for level, words, colour in ((1.0, "known", MUTED), (select, "select", INK), (stop, "stop", CHOSEN)):
            ax.axhline(level, color=colour, lw=0.9, ls="--")
            ax.annotate(words, (1.0, level), xycoords=("axes fraction", "data"), xytext=(3, -3),
                        textcoords="offset points", color=colour, fontsize=8.5, annotation_clip=False)  # fmt: skip
        ax.set_yscale("log")
        low, high = float(np.maximum(top, 1e-3).min()), float(top.max(initial=1.0))
        ax.set_ylim(min(0.5, low) / 1.3, max(high, stop) * 1.5)
        ax.set(xlabel="frame", ylabel="largest γ of its atoms")
        plain_log(ax.yaxis)
        return drawn

    said = f"The largest grade of each frame, from {number(float(top.min()))} to {number(float(top.max()))}."
    return figure(
        svg("along", said, draw),
        f"Below 1 the training set spans what the atoms see; from {select:g} a frame is worth a label, beyond"
        f" {stop:g} forces mean little.",
    )


def _atoms(graded: Graded, select: float, stop: float) -> str:
    gamma = np.maximum(graded.gamma, 1e-3)

    def draw() -> Figure:
        drawn, ax = new_figure(2.8)
        bins = np.geomspace(gamma.min() / 1.01, max(float(gamma.max()), 1.0) * 1.05, 60)
        ax.hist(gamma, bins=list(bins), color=KNOWN, alpha=0.8)
        for level, colour in ((1.0, MUTED), (select, INK), (stop, CHOSEN)):
            ax.axvline(level, color=colour, lw=0.9, ls="--")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set(xlabel="γ", ylabel="atoms")
        plain_log(ax.xaxis)
        plain_log(ax.yaxis)
        return drawn

    beyond = int(np.count_nonzero(graded.gamma > INSIDE))
    return figure(
        svg("atoms", f"Histogram of the grades of {count(len(gamma))} atoms.", draw),
        f"{count(beyond)} of {plural(len(gamma), 'atom')} have a grade above 1. Lines: 1, {select:g} and {stop:g}.",
    )


def _worst(graded: Graded) -> str:
    frames, top, lever = graded.frames, graded.gamma_max, graded.largest(graded.leverage)
    heads = ["frame", "γ", "atom", "leverage"]
    force = None if graded.force_std is None else graded.largest(graded.force_std)
    expected = None if graded.expected is None else graded.largest(graded.expected)
    if force is not None:
        heads.append(f"σ of a force, {graded.kind} (meV/Å)")
    if expected is not None:
        heads.append("largest expected force error (meV/Å)")
    rows: list[list[object]] = []
    for i in graded.worst(LISTED):
        row: list[object] = [
            frames.ids_name(i),
            number(float(top[i])),
            graded.worst_atom(i),
            number(float(lever[i])),
        ]
        row += [number(1000 * float(x[i])) for x in (force, expected) if x is not None]
        rows.append(row)
    return table("Frames of the largest grades", heads, rows, numeric=range(1, len(heads)), heard=True)


def _record(graded: Graded, model: str, notes: Sequence[str]) -> str:
    made = facts(
        [
            ("Potential", f"<code>{text(model)}</code>"),
            ("Files", ", ".join(f"<code>{text(name)}</code>" for name in graded.frames.files)),
            ("Structures", f"<code>{text(graded.frames.ids.digest())}</code>"),
            ("Standard deviations", text(graded.kind or "none")),
            ("Calibrated by", text(graded.indicator or "nothing: not calibrated")),
            ("Versions", versions()),
        ]
    )
    said = "".join(f"<li>{sentence(note)}</li>" for note in dict.fromkeys(notes))
    return made + (f'<h3>Notes</h3><ul class="notes">{said}</ul>' if said else "")
