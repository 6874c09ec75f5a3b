"""Which structures taught most? The ten picks of largest gain, drawn and tabulated."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.report.atoms_drawing import MAX_BALLS, drawing, element_colour
from aliquot.report.findings import Case, energy_per_atom, formulas, max_force, shortest_distances
from aliquot.report.page import figure
from aliquot.report.tables import Raw, count, number, plural, printable, table, text
from aliquot.structures import Frames

__all__ = ["TOP", "heading", "most_informative"]

#: How many structures are shown.
TOP: Final = 10


def _largest(case: Case) -> NDArray[np.int64]:
    """Picks of largest gain, ties in order of choice; the first ones where there is no gain."""
    gain = case.selection.gain
    order = np.arange(len(case.selection)) if gain is None else np.argsort(-gain, kind="stable")
    return order[:TOP].astype(np.int64)


def heading(case: Case) -> str:
    """Heading of the section, by what it can show."""
    n = len(_largest(case))
    words = {
        1: "one",
        2: "two",
        3: "three",
        4: "four",
        5: "five",
        6: "six",
        7: "seven",
        8: "eight",
        9: "nine",
    }
    said = words.get(n, "ten")
    if case.selection.gain is None:
        return f"The first {said} picks" if n > 1 else "The first pick"
    if case.selection.method == "fps":  # the gain is a distance, not information
        return f"The {said} farthest picks" if n > 1 else "The farthest pick"
    return f"The {said} most informative structures" if n > 1 else "The most informative structure"


def most_informative(case: Case) -> str:
    """Gallery and table."""
    which = _largest(case)
    if not len(which):
        return "<p>Nothing was chosen.</p>"
    frames = case.chosen[which]
    names = formulas(frames)
    cards = [_card(case, frames, names, i, int(pick)) for i, pick in enumerate(which)]
    hidden = int(np.sum(frames.sizes > MAX_BALLS))
    note = (
        f"<p>Of structures with more than {MAX_BALLS} atoms the nearest {MAX_BALLS} are drawn.</p>"
        if hidden
        else ""
    )
    gallery = f'{_legend(frames)}<div class="gallery">{"".join(cards)}</div>'
    return gallery + note + _table(case, frames, names, which)


def _card(case: Case, frames: Frames, names: NDArray[np.str_], i: int, pick: int) -> str:
    kind = printable(frames.config_type[i])
    size = plural(int(frames.sizes[i]), "atom")
    label = f"Pick {pick + 1}: {names[i]}, {size}, seen in orthographic projection"
    gain = case.selection.gain
    amount = "" if gain is None else f" · {_amount(float(gain[pick]), case.selection.gain_unit)}"
    caption = f"<b>{pick + 1}</b>{amount}<br>{_subscripts(names[i])}{', ' + text(kind) if kind else ''}"
    return figure(drawing(frames, i, label=label, key=f"pick{pick + 1}"), caption)


def _amount(gain: float, unit: str) -> str:
    """A gain with its unit; a distance in feature space has a name instead."""
    return f"distance {number(gain)}" if unit == "distance" else f"{number(gain)} {text(unit)}"


def _subscripts(formula: str) -> str:
    return re.sub(r"(\d+)", r"<sub>\1</sub>", text(formula))


def _legend(frames: Frames) -> str:
    """Colours of the elements, by name."""

    def swatch(z: int) -> str:
        colour = "".join(f"{round(255 * c):02x}" for c in element_colour(z))
        return (
            f'<svg aria-hidden="true" viewBox="0 0 14 14"><circle cx="7" cy="7" r="6" fill="#{colour}"'
            ' stroke="#161b22" stroke-width=".6"/></svg>'
        )

    items = [f"<li>{swatch(z)}{text(s)}</li>" for z, s in zip(frames.elements, frames.symbols, strict=True)]
    return f'<ul class="legend" aria-label="Elements">{"".join(items)}</ul>'


def _table(case: Case, frames: Frames, names: NDArray[np.str_], which: NDArray[np.int64]) -> str:
    """The same structures in numbers; a column that nothing fills is left out."""
    gain, unit = case.selection.gain, case.selection.gain_unit
    size = np.maximum(frames.sizes, 1)
    volume = np.where(frames.volumes > 0, frames.volumes / size, np.nan)
    names_of = [text(name).replace("/", "/<wbr>") for name in frames.files]
    columns: list[tuple[str, bool, list[object]]] = [
        ("pick", True, [count(int(p) + 1) for p in which]),
        (
            {"": "gain", "distance": "distance"}.get(unit, f"gain ({unit})"),
            True,
            [] if gain is None else _numbers(gain[which], 3),
        ),
        ("config type", False, list(frames.config_type)),
        ("formula", False, [Raw(_subscripts(name)) for name in names]),
        ("atoms", True, [count(int(n)) for n in frames.sizes]),
        ("volume per atom (Å³)", True, _numbers(volume, 4)),
        ("shortest distance (Å)", True, _numbers(shortest_distances(frames), 4)),
        (
            "energy per atom (eV)",
            True,
            [f"{e:.4f}".replace("-", "−") if np.isfinite(e) else "—" for e in energy_per_atom(frames)],
        ),
        ("largest force (eV/Å)", True, _numbers(max_force(frames), 3)),
        ("file", False, [Raw(f'<span class="file">{names_of[f]}</span>') for f in frames.file]),
        ("frame", True, [str(k) for k in frames.frame]),
    ]
    kept = [c for c in columns if any(v not in ("", "—") for v in c[2])]
    return table(
        heading(case),
        [name for name, _, _ in kept],
        list(zip(*(values for _, _, values in kept), strict=True)),
        numeric=[i for i, (_, right, _) in enumerate(kept) if right],
        heard=True,
    )


def _numbers(values: NDArray[np.float64], digits: int) -> list[object]:
    return [number(float(v), digits) for v in values]
