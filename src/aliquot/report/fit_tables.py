"""The fit in numbers: errors by part and config type, models of the path, structures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aliquot.fitting import Error, Fit
from aliquot.fitting.checks import Outlier
from aliquot.report.judged import NAMES, UNITS, Judged, part_name
from aliquot.report.tables import Raw, count, number, plural, table, text
from aliquot.structures import Frames

__all__ = ["capital", "error_tables", "ladder_table", "outlier_table", "place", "worst_table"]

#: Structures that are listed.
LISTED: Final = 40
#: Rows beyond which the parts that do not judge unfold.
SHORT: Final = 8


def capital(words: str) -> str:
    """The first letter large."""
    return words[:1].upper() + words[1:]


def error_tables(judged: Judged) -> str:
    """One table per part, the one that judges first; long ones of the others unfold."""
    out: list[str] = []
    for part in judged.parts:
        own = [e for e in judged.table if e.part == part]
        shown, rows = _error_table(part, own, judged.quantities)
        if part != judged.judge and rows > SHORT:
            shown = f"<details><summary>{capital(part_name(part))} structures</summary>{shown}</details>"
        out.append(shown)
    return "".join(out)


def _error_table(part: str, errors: Sequence[Error], quantities: Sequence[str]) -> tuple[str, int]:
    groups = list(dict.fromkeys(e.group for e in errors))
    known = [q for q in quantities if any(e.quantity == q for e in errors)]
    rows: list[list[Any]] = []
    for group in groups:
        own = {e.quantity: e for e in errors if e.group == group}
        cells: list[Any] = [group or "all", count(max(e.structures for e in own.values()))]
        for quantity in known:
            e = own.get(quantity)
            cells += ["—", "—"] if e is None else [number(1000 * e.mae), number(1000 * e.rmse)]
        rows.append(
            [Raw(f"<strong>{text(c)}</strong>") for c in cells] if not group and len(groups) > 1 else cells
        )
    heads = ["config type", "structures"]
    for quantity in known:
        heads += [f"{NAMES[quantity].lower()} MAE ({UNITS[quantity]})", "RMSE"]
    caption = f"{capital(part_name(part))} structures: mean absolute and root-mean-square errors"
    return table(caption, heads, rows, numeric=range(1, len(heads))), len(rows)


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
            "<p>No training structure has an error far beyond what is usual for its config type: no label contradicts"
            " the others.</p>"
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
    more = f"<p>{plural(rest, 'label')} more are in the record.</p>" if rest > 0 else ""
    said = (
        "<p>The errors of these training structures are far beyond what is usual for their config type. Either"
        " their labels contradict the others (another setting, no convergence) or nothing like them is in the"
        " training set.</p>"
    )
    heads = ["structure", "config type", "quantity", "r.m.s. error", "usual", "ratio"]
    return said + table("Training structures to look at", heads, rows, numeric=[3, 4, 5]) + more


def worst_table(judged: Judged, most: int = 8) -> str:
    """Structures of the part that judges with the largest errors."""
    frames, kept = judged.frames, judged.comparison
    rows: list[tuple[Any, ...]] = []
    for quantity in ("energy", "forces"):
        found = kept.worst(quantity, len(kept.part)) if len(kept.label[quantity]) else []
        own = [(i, e) for i, e in found if kept.part[i] == judged.judge][:most]
        rows += [
            (
                place(frames, i),
                str(kept.group[i]) or "(none)",
                count(int(frames.sizes[i])),
                quantity,
                f"{number(1000 * e)} {UNITS[quantity]}",
            )
            for i, e in own
        ]
    heads = ["structure", "config type", "atoms", "quantity", "r.m.s. error"]
    caption = f"{capital(part_name(judged.judge))} structures with the largest errors"
    return table(caption, heads, rows, numeric=[2, 4]) if rows else ""
