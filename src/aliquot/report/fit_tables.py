"""The fit in numbers: errors by part and config type, models of the path, structures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aliquot.fitting import Error, Fit
from aliquot.fitting.checks import Outlier
from aliquot.fitting.contradictions import Contradiction
from aliquot.report.judged import NAMES, UNITS, Judged, part_name
from aliquot.report.tables import Raw, count, number, plural, table, text
from aliquot.structures import Frames

__all__ = [
    "capital",
    "contradiction_table",
    "error_tables",
    "ladder_table",
    "outlier_table",
    "place",
    "worst_tables",
]

#: Structures that are listed.
LISTED: Final = 60
OPEN: Final = 12


def capital(words: str) -> str:
    """The first letter large."""
    return words[:1].upper() + words[1:]


def error_tables(judged: Judged) -> str:
    """Errors of every config type of the part that judges, beside those of the other parts; these unfold."""
    shown = _error_table(judged, judged.judge)
    if len(judged.parts) == 1:
        return shown
    whole = _whole_table(judged)
    rest = "".join(
        _error_table(judged, part)
        for part in judged.parts[1:]
        if any(e.group for e in judged.table if e.part == part)
    )
    names = " and ".join(part_name(part) for part in judged.parts[1:])
    folded = f"<details><summary>{capital(names)} structures by config type</summary>{rest}</details>"
    return shown + whole + (folded if rest else "")


def _error_table(judged: Judged, part: str) -> str:
    """Errors of one part: all of it, then every config type."""
    errors = [e for e in judged.table if e.part == part]
    rows = [(group or "all", [e for e in errors if e.group == group]) for group in _groups(errors)]
    caption = f"{capital(part_name(part))} structures: mean absolute and root-mean-square errors"
    return _errors(caption, "config type", rows, judged, bold=len(rows) > 1)


def _groups(errors: Sequence[Error]) -> list[str]:
    """All together first, then by name."""
    return sorted({e.group for e in errors})


def _whole_table(judged: Judged) -> str:
    """Errors of every part, all config types together."""
    rows = [
        (part_name(part), [e for e in judged.table if e.part == part and not e.group])
        for part in judged.parts
    ]
    return _errors("All config types together, by part", "part", rows, judged)


def _errors(
    caption: str, head: str, rows: Sequence[tuple[str, list[Error]]], judged: Judged, *, bold: bool = False
) -> str:
    known = [q for q in judged.quantities if any(e.quantity == q for _, own in rows for e in own)]
    written: list[list[Any]] = []
    for name, errors in rows:
        own = {e.quantity: e for e in errors}
        cells: list[Any] = [name, count(max(e.structures for e in errors))]
        for quantity in known:
            e = own.get(quantity)
            cells += ["—", "—"] if e is None else [number(1000 * e.mae), number(1000 * e.rmse)]
        strong = bold and not written
        written.append([Raw(f"<strong>{text(c)}</strong>") for c in cells] if strong else cells)
    heads = [head, "structures"]
    for quantity in known:
        heads += [f"{NAMES[quantity].lower()} MAE ({UNITS[quantity]})", "RMSE"]
    return table(caption, heads, written, numeric=range(1, len(heads)))


def ladder_table(fit: Fit, judged: Judged) -> str:
    """Models of the path with their errors and measured time; the chosen one in bold."""
    columns = [
        (part, quantity)
        for part in judged.parts
        for quantity in judged.quantities
        if any(quantity in rung.errors.get(part, {}) for rung in fit.ladder)
    ]
    rows: list[list[Any]] = []
    for rung in fit.ladder:
        cells: list[Any] = [count(rung.size), number(fit.path[rung.point].penalty, 2)]
        for part, quantity in columns:
            found = rung.errors.get(part, {}).get(quantity)
            cells.append("—" if found is None else number(1000 * found[0]))
        cells.append("—" if rung.microseconds is None else number(rung.microseconds))
        chosen = rung.point == fit.chosen
        rows.append([Raw(f"<strong>{text(c)}</strong>") for c in cells] if chosen else cells)
    heads = ["functions", "λ", *(f"{part_name(p)} {q} ({UNITS[q]})" for p, q in columns), "µs per atom"]
    return table(
        "Some models of the path: mean absolute errors and measured time on one core; the chosen one in bold",
        heads,
        rows,
        numeric=range(1, len(heads)),
    )


def place(frames: Frames, i: int) -> Raw:
    """``file#frame`` of a structure, which may break after a slash."""
    return Raw(f'<span class="file">{text(frames.ids_name(i)).replace("/", "/<wbr>")}</span>')


def outlier_table(judged: Judged, outliers: Sequence[Outlier]) -> str:
    """Training structures whose labels the model does not believe."""
    if not outliers:
        return (
            "<p>No training structure has an error far beyond what is usual for its config type, so no label looks"
            " wrong.</p>"
        )
    frames, group = judged.frames, judged.comparison.group
    rows = [
        (
            place(frames, o.frame),
            str(group[o.frame]) or "(none)",
            o.quantity,
            f"{number(1000 * o.error)} {UNITS[o.quantity]}",
            f"{number(1000 * o.usual)} {UNITS[o.quantity]}",
            f"{number(o.error / o.usual, 2)}×" if o.usual > 0 else "—",
        )
        for o in outliers[:LISTED]
    ]
    rest = len(outliers) - len(rows)
    more = f"<p>{plural(rest, 'label')} more: in the record of the fit.</p>" if rest > 0 else ""
    said = (
        "<p>The errors of these training structures are far beyond what is usual for their config type. Either"
        " their labels contradict the others (another setting, no convergence) or nothing like them is in the"
        " training set.</p>"
    )
    heads = ["structure", "config type", "quantity", "r.m.s. error", "usual", "ratio"]
    first = table("Training structures to look at", heads, rows[:OPEN], numeric=[3, 4, 5])
    if len(rows) <= OPEN:
        return said + first
    others = table("More training structures to look at", heads, rows[OPEN:], numeric=[3, 4, 5])
    return f"{said}{first}<details><summary>{len(rows) - OPEN} more</summary>{others}{more}</details>"


def contradiction_table(judged: Judged, found: Sequence[Contradiction]) -> str:
    """Pairs of structures whose energies and forces cannot both be right."""
    if not found:
        return ""
    frames = judged.frames
    rows = [
        (
            place(frames, c.first),
            place(frames, c.second),
            number(c.displacement, 2),
            number(c.energy),
            number(c.work),
        )
        for c in found[:LISTED]
    ]
    rest = len(found) - len(rows)
    more = f"<p>{plural(rest, 'pair')} more: in the record of the fit.</p>" if rest else ""
    heads = [
        "structure",
        "and",
        "largest displacement (Å)",
        "difference of energies (eV)",
        "work of forces (eV)",
    ]
    said = (
        "<p>In each of these pairs atoms hardly move, so the difference of the energies must be the work of the"
        " forces. It is not: one of the two has a wrong energy or wrong forces, whatever the model.</p>"
    )
    first = table("Pairs whose labels contradict each other", heads, rows[:OPEN], numeric=[2, 3, 4])
    if len(rows) <= OPEN:
        return said + first
    others = table("More pairs whose labels contradict each other", heads, rows[OPEN:], numeric=[2, 3, 4])
    return f"{said}{first}<details><summary>{len(rows) - OPEN} more</summary>{others}{more}</details>"


def worst_tables(judged: Judged, most: int = 8) -> str:
    """Structures of the part that judges with the largest errors, by quantity."""
    frames, kept = judged.frames, judged.comparison
    shown: list[str] = []
    for quantity in ("energy", "forces"):
        found = kept.worst(quantity, len(kept.part)) if len(kept.label[quantity]) else []
        rows = [
            (place(frames, i), str(kept.group[i]) or "(none)", count(int(frames.sizes[i])), number(1000 * e))
            for i, e in [(i, e) for i, e in found if kept.part[i] == judged.judge][:most]
        ]
        heads = ["structure", "config type", "atoms", f"r.m.s. error ({UNITS[quantity]})"]
        caption = f"{capital(part_name(judged.judge))} structures with the largest errors of {quantity}"
        if rows:
            shown.append(f"<div>{table(caption, heads, rows, numeric=[2, 3])}</div>")
    return f'<div class="pair">{"".join(shown)}</div>' if shown else ""
