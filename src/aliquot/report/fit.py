"""One self-contained page about one fit: how good it is, where it fails, why this model, what it is made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from aliquot.errors import InputError
from aliquot.fitting import Fit
from aliquot.report.findings import Excluded
from aliquot.report.fit_curves import (
    chosen_rung,
    error_by_data,
    error_by_size,
    error_by_time,
    has_sizes,
    path_curve,
)
from aliquot.report.fit_figures import calibration_curve
from aliquot.report.fit_functions import functions
from aliquot.report.fit_record import labels, record
from aliquot.report.fit_tables import (
    contradiction_table,
    error_tables,
    ladder_table,
    outlier_table,
    worst_tables,
)
from aliquot.report.judged import NAMES, UNITS, Judged, part_name
from aliquot.report.page import figure, page, tile
from aliquot.report.parities import parities
from aliquot.report.tables import count, number, plural, sentence, table, text
from aliquot.report.write import put
from aliquot.solvers import SOLVERS
from aliquot.structures import Frames

__all__ = ["write_fit_report"]

#: Errors within this factor of what the posterior predicts count as calibrated.
CALIBRATED: Final = 1.33
#: Largest difference of coverages that still counts as the predicted distribution.
UNLIKE: Final = 0.15
#: A mean this many times the median is made by a few.
FEW: Final = 3.0


def write_fit_report(
    path: str | os.PathLike[str],
    fit: Fit,
    frames: Frames,
    *,
    exclusions: Sequence[Excluded] = (),
    notes: Sequence[str] = (),
    force: bool = False,
) -> Path:
    """Write one HTML page about a fit, complete in itself: nothing is fetched and nothing is executed.

    Parameters
    ----------
    path : path
        Where to write.
    fit : Fit
    frames : Frames
        Those that were fitted, of all parts.
    exclusions : sequence
        Frames that could not take part: anything with ``file``, ``frame`` and ``problem``.
    notes : sequence of str
        What to know besides the notes of the fit.
    force : bool
        Replace a file that is already there.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the file exists (and ``force`` is not set), its folder does not, or these are not the frames of the fit.

    Notes
    -----
    Size and time are bounded whatever the data: beyond some thousand labels points are drawn as pixels.
    """
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path} exists already; give another name, or force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if len(frames) != len(fit.comparison.part):
        raise InputError(
            f"the fit is of {len(fit.comparison.part)} structures, but {len(frames)} are given; give those it was"
            " made from"
        )
    put(path, _document(fit, frames, exclusions, notes))
    return path


def _document(fit: Fit, frames: Frames, exclusions: Sequence[Excluded], notes: Sequence[str]) -> str:
    from aliquot import __version__

    basis = fit.potential.basis
    reference = dict(zip(basis.elements, fit.potential.reference.tolist(), strict=True))
    judged = Judged(fit.comparison, frames, reference)
    doubtful = (
        contradiction_table(judged, fit.contradictions)
        + outlier_table(judged, fit.outliers)
        + worst_tables(judged)
    )
    sections = [
        ("errors", "How wrong it is", error_tables(judged)),
        ("parity", "Predictions beside labels", parities(judged)),
        ("size", "What size buys, and why this model", _size(fit, judged)),
        ("functions", "Which functions the data chose", functions(fit)),
        ("outliers", "Structures to look at", doubtful),
        *([("learning", "Would more data help?", _learning(fit, judged))] if fit.learning else []),
        ("calibration", "Does it know how wrong it is?", _calibration(fit)),
        ("labels", "What it was fitted to", labels(fit, judged, exclusions, notes)),
        ("record", "Recipe, time and papers to cite", record(fit, judged)),
    ]
    return page(
        f"A potential for {_elements(fit)} of {plural(fit.size, 'function')}",
        kicker="fit report",
        lede=_lede(fit, judged),
        tiles=_tiles(fit, judged),
        sections=sections,
        footer=f"Made by aliquot {__version__}. This page is complete in itself: it loads and runs nothing.",
    )


def _elements(fit: Fit) -> str:
    from ase.data import chemical_symbols

    *first, last = (chemical_symbols[z] for z in fit.potential.basis.elements)
    return f"{', '.join(first)} and {last}" if first else last


def _lede(fit: Fit, judged: Judged) -> str:
    """What was fitted to what, how good it is, and why this model."""
    method = SOLVERS.get(fit.path.method)
    named = fit.path.method if method is None else method.summary.split(":")[0]
    whole = "All" if fit.size == fit.path.n_columns else f"{count(fit.size)} of"
    said = [
        f"{whole} {plural(fit.path.n_columns, 'function')} of a linear atomic cluster expansion, fitted by"
        f" {text(named)} to {plural(fit.path.n_rows, 'label')} of {plural(judged.count('train'), 'structure')}."
    ]
    amounts = [
        f"{'energies' if q == 'energy' else q} by <strong>{number(1000 * e.mae)}</strong> {UNITS[q]}"
        for q in ("energy", "forces")
        if (e := judged.error(q)) is not None
    ]
    if amounts and judged.held_out:
        seen = (
            " that had no part in the fit"
            if judged.judge == "test"
            else " that chose the model but did not teach"
        )
        which = f"{plural(judged.count(judged.judge), f'{part_name(judged.judge)} structure')}{seen}"
        said.append(f"On {which}, it misses {' and '.join(amounts)} on average.")
        if (few := judged.median("energy")) and amounts and FEW * few < 1000 * _mae(judged, "energy"):
            said.append(
                f"A few structures make that average: half of the energies are off by less than {number(few, 2)}."
            )
    elif amounts:
        said.append(
            f"On the training structures themselves it misses {' and '.join(amounts)} on average; they taught it, so"
            " errors elsewhere are larger."
        )
    said.append(sentence(fit.reason))
    return " ".join(said)


def _mae(judged: Judged, quantity: str) -> float:
    found = judged.error(quantity)
    return 0.0 if found is None else found.mae


def _tiles(fit: Fit, judged: Judged) -> list[str]:
    out = [tile(f"{count(fit.size)} <small>of {count(fit.path.n_columns)}</small>", "functions")]
    for quantity in judged.quantities:
        e = judged.error(quantity)
        if e is not None:
            words = f"{part_name(judged.judge)} error of {quantity}, mean absolute"
            out.append(tile(f"{number(1000 * e.mae)} <small>{UNITS[quantity]}</small>", words))
    rung = chosen_rung(fit)
    if rung is not None and rung.microseconds is not None:
        words = "per atom for energy, forces and virial on one core"
        out.append(tile(f"{number(rung.microseconds)} <small>µs</small>", words))
    doubtful = len(fit.outliers) + len(fit.contradictions)
    if doubtful:
        out.append(tile(count(doubtful), '<a href="#outliers">labels to look at</a>'))
    return out


def _size(fit: Fit, judged: Judged) -> str:
    """The path, with the chosen model marked."""
    why = f"<p>{sentence(fit.reason)}"
    if judged.judge == "test":
        why += " Test structures had no part in the choice."
    why += "</p>"
    if len(fit.path) == 1:
        return f"{why}<p>The solver answers with one model; there is no path to show.</p>{ladder_table(fit, judged)}"
    known = [q for q in ("energy", "forces") if any(q in r.errors.get(judged.judge, {}) for r in fit.ladder)]
    sizes = [figure(error_by_size(fit, judged, q), "") for q in known]
    timed = has_sizes(fit) and any(r.microseconds is not None for r in fit.ladder)
    times = [figure(error_by_time(fit, judged, q), "") for q in known] if timed else []
    stopped = f"<p>Where the path ends: {text(fit.path.stopped)}.</p>" if fit.path.stopped else ""
    weighted = (
        f"<div>{figure(path_curve(fit), '')}</div><div><p>What the solver makes small: errors of all quantities"
        f" together, times their weights. The choice rests on this curve.</p>{stopped}</div>"
    )
    across = "number of functions" if has_sizes(fit) else "strength of the penalty"
    return (
        why
        + f"<h3>Error against {across}</h3>{_pair(sizes)}"
        + (f"<h3>Error against time</h3>{_pair(times)}{_TIMED}" if times else "")
        + f'<h3>The path as the solver saw it</h3><div class="pair">{weighted}</div>'
        + f"<details><summary>These models in numbers</summary>{ladder_table(fit, judged)}</details>"
    )


def _learning(fit: Fit, judged: Judged) -> str:
    """Errors against the number of training structures."""
    known = [
        q for q in ("energy", "forces") if any(q in of.errors.get(judged.judge, {}) for of in fit.learning)
    ]
    rows = [
        (
            count(of.structures),
            count(of.rows),
            count(of.size),
            *(number(1000 * of.errors[judged.judge][q][0]) for q in known),
        )
        for of in fit.learning
        if all(q in of.errors.get(judged.judge, {}) for q in known)
    ]
    heads = ["structures", "labels", "functions chosen"]
    heads += [f"{part_name(judged.judge)} {q} ({UNITS[q]})" for q in known]
    shown = table("Mean absolute errors by what taught", heads, rows, numeric=range(len(heads)))
    return (
        "<p>Growing shares of the training structures, each with its own path and the same rule; the same structures"
        " judge. Where the lines still fall, more data of the same sort helps.</p>"
        f"{_pair([figure(error_by_data(fit, judged, q), '') for q in known])}{shown}"
    )


_TIMED: Final = (
    "<p>Measured on the machine of this fit, without the search for neighbours. Beside points: functions.</p>"
)


def _pair(drawn: Sequence[str]) -> str:
    return f'<div class="pair">{"".join(f"<div>{d}</div>" for d in drawn)}</div>'


def _calibration(fit: Fit) -> str:
    """Whether the posterior's error bars can be believed."""
    found = fit.calibration
    if found is None:
        return (
            "<p>No structures were held out, so the error bars of the posterior were not compared with errors: they"
            " are not calibrated.</p>"
        )
    said: list[str] = []
    for quantity, spread in found.spread.items():
        inside = 1 / CALIBRATED <= spread <= CALIBRATED
        verdict = "about as large as predicted" if inside else "<strong>not calibrated</strong>"
        if inside and np.abs(found.observed[quantity] - found.nominal).max() > UNLIKE:
            verdict += ", but not distributed as predicted"
        said.append(
            f"<li>{NAMES[quantity]}: errors are {number(spread)} times what is predicted (root mean square):"
            f" {verdict}.</li>"
        )
    words = (
        f"<p>For every label of {part_name(found.part)} structures the posterior of the coefficients predicts an"
        " interval, noise of labels included. Were it right, a share p of the labels would lie inside the interval of"
        " probability p.</p>"
        f'<ul class="notes">{"".join(said)}</ul>'
        "<p>Where errors are larger than predicted, multiply the error bars of a committee by that factor before"
        " using them.</p>"
    )
    return f'<div class="pair"><div>{figure(calibration_curve(found), "")}</div><div>{words}</div></div>'
