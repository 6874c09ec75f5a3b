"""What do the figures of a study look like? Panels side by side, one legend of its own, bands of confidence.

A label has the same colour, marker and line in every panel of every figure of a study; where a figure has more labels
than there are colours, markers are hollow and lines broken, so that no two are alike.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.report.canvas import CHOSEN, INK, KNOWN, MUTED, svg
from aliquot.report.fit_figures import plain_log
from aliquot.report.markdown import plain
from aliquot.studies.record import Curve, Figure, Panel, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = ["Look", "drawing", "looks", "width"]

Array = NDArray[np.float64]

#: Colours that differ for every eye, in the order in which labels get them; each is seen on light and on dark paper.
_COLOURS: Final = (
    KNOWN,
    CHOSEN,
    "#009e73",
    "#cc79a7",
    "#b8860b",
    "#7fa31b",
    "#7b5bb5",
    INK,
    "#a0522d",
    MUTED,
)
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
_LINES: Final = ("-", (0, (4, 1.6)), (0, (1, 1.2)))

#: Most curves of a panel that get bands; more get bars side by side, which can be told apart.
_BANDS: Final = 4

#: Inches: a panel alone, what that and its legend take at least, and panels that share the width of the page.
_ALONE, _LEAST, _PAGE = 5.6, 7.4, 10.2

#: Letters of the longest label that is written in full.
_LETTERS: Final = 52


@dataclass(frozen=True)
class Look:
    """How the curve of a label is drawn."""

    colour: str
    marker: str
    line: Any
    hollow: bool


def looks(record: Record) -> dict[str, Look]:
    """The look of every label of a study; where colours are fewer, labels that never meet in a figure may share one."""
    figures = [_labels(figure) for figure in record.conclusion.figures]
    labels = dict.fromkeys(label for some in figures for label in some)
    if len(labels) <= len(_COLOURS):
        return {label: _look(number) for number, label in enumerate(labels)}
    numbers: dict[str, int] = {}
    for label in labels:
        met = {numbers.get(other) for some in figures if label in some for other in some}
        numbers[label] = next(number for number in range(len(labels)) if number not in met)
    return {label: _look(number) for label, number in numbers.items()}


def _look(number: int) -> Look:
    turn, place = divmod(number, len(_COLOURS))
    return Look(
        _COLOURS[place],
        _MARKERS[(place + 3 * turn) % len(_MARKERS)],
        _LINES[turn % len(_LINES)],
        bool(turn % 2),
    )


def width(figure: Figure) -> float:
    """Inches that a figure is wide: a panel alone has its legend beside it."""
    if len(figure.panels) != 1:
        return _PAGE
    return max(_LEAST, _ALONE + 0.75 + 4.6 / 72 * _longest(_labels(figure)))


def _labels(figure: Figure) -> list[str]:
    return list(dict.fromkeys(curve.label for panel in figure.panels for curve in panel.curves))


def _longest(labels: Sequence[str]) -> int:
    """Letters of the longest label, as it is written."""
    return max((min(len(plain(label)), _LETTERS) for label in labels), default=1)


def drawing(figure: Figure, looks: Mapping[str, Look]) -> str:
    """A figure as inline SVG.

    Parameters
    ----------
    figure : Figure
    looks : dict of str to Look
        From :func:`looks`.
    """
    labels = _labels(figure)
    columns = len(figure.panels) if len(figure.panels) <= 3 else 2 if len(figure.panels) == 4 else 3
    rows = -(-len(figure.panels) // max(columns, 1))
    beside = len(figure.panels) == 1
    per_row = _per_row(labels)
    above = 0.0 if beside else 0.2 * -(-len(labels) // per_row)

    def draw() -> Canvas:
        from matplotlib.figure import Figure as Canvas

        height = (
            max(3.6, 0.4 + 0.19 * len(labels)) if beside else above + (3.3 if columns < 3 else 2.9) * rows
        )
        canvas = Canvas(figsize=(width(figure), height))
        canvas.set_layout_engine("constrained", w_pad=0.1, wspace=0.02)
        for number, panel in enumerate(figure.panels, 1):
            _panel(canvas.add_subplot(rows, columns, number), panel, looks, 46 if columns < 3 else 36)
        joined = {curve.label for panel in figure.panels for curve in panel.curves if curve.line}
        handles = [_handle(looks[label], label in joined) for label in labels]
        names = [textwrap.shorten(plain(label), _LETTERS, placeholder="…") for label in labels]
        if beside:
            canvas.legend(handles, names, loc="outside right upper", handlelength=2.2)
        elif labels:
            order = _row_by_row(len(labels), per_row)
            canvas.legend(
                [handles[k] for k in order],
                [names[k] for k in order],
                loc="outside upper left",
                ncols=per_row,
                handlelength=2.2,
                columnspacing=1.4,
            )
        return canvas

    return svg(f"study-{figure.name}", plain(figure.caption), draw)


def _per_row(labels: Sequence[str]) -> int:
    """Labels that stand side by side above the panels: all if they fit, else as many in every row."""
    taken = [4.6 * min(len(plain(label)), _LETTERS) + 44 for label in labels]
    if sum(taken) <= 72 * _PAGE:
        return max(1, len(labels))
    most = max(1, int(72 * _PAGE / max(taken)))
    return -(-len(labels) // -(-len(labels) // most))


def _row_by_row(n: int, columns: int) -> list[int]:
    """Order in which a legend that fills columns must be told ``n`` labels for them to read row by row.

    >>> _row_by_row(5, 3)
    [0, 3, 1, 4, 2]
    """
    return [k for column in range(columns) for k in range(column, n, columns)]


def _handle(look: Look, joined: bool) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], **_pen(look, joined))


def _pen(look: Look, line: bool) -> dict[str, Any]:
    return {
        "color": look.colour,
        "marker": look.marker,
        "ms": 4.2,
        "mew": 1.0,
        "mfc": "none" if look.hollow else look.colour,
        "ls": look.line if line else "none",
        "lw": 1.3,
    }


def _panel(ax: Axes, panel: Panel, looks: Mapping[str, Look], letters: int) -> None:
    ax.set_title("\n".join(textwrap.wrap(plain(panel.title), letters)), loc="left", fontsize=9.5, pad=8)
    ax.set(xlabel=plain(panel.xlabel), ylabel=plain(panel.ylabel))
    seen = [_seen(curve, panel) for curve in panel.curves]
    if not any(np.isfinite(y).any() for _, y, _, _ in seen):
        ax.text(0.5, 0.5, "nothing to show", transform=ax.transAxes, ha="center", color=MUTED)
        ax.set(xticks=[], yticks=[])
        return
    if panel.reference is not None and (panel.reference > 0 or not panel.log_y):
        ax.axhline(panel.reference, color=MUTED, ls="--", lw=0.9, zorder=1)
    ax.set(xscale="log" if panel.log_x else "linear", yscale="log" if panel.log_y else "linear")
    aside = _aside(panel, seen)
    if len(panel.curves) > _BANDS and any(aside):
        ax.margins(x=0.09)
    for curve, some, points in zip(panel.curves, seen, aside, strict=True):
        _curve(ax, curve, looks[curve.label], some, None if len(panel.curves) <= _BANDS else points)
    if panel.log_y:
        _plain(ax.yaxis)
    if panel.log_x:
        _at_values(ax, np.unique(np.concatenate([x for x, *_ in seen])))


def _aside(panel: Panel, seen: Sequence[tuple[Array, Array, Array, Array]]) -> list[float]:
    """Points by which curves of the same places are drawn to the left or right, so that their bars do not meet."""
    same = len({curve.x for curve in panel.curves}) == 1 and any(
        np.isfinite(low).any() for *_, low, _ in seen
    )
    step = min(2.4, 16 / max(1, len(seen) - 1)) if same and len(panel.curves[0].x) <= 12 else 0.0
    return [step * (number - (len(seen) - 1) / 2) for number in range(len(seen))]


def _curve(
    ax: Axes, curve: Curve, look: Look, seen: tuple[Array, Array, Array, Array], aside: float | None
) -> None:
    """A curve with its band, or with bars and so many points aside."""
    from matplotlib.transforms import ScaledTranslation

    x, y, low, high = seen
    every = max(1, len(x) // 12) if curve.line else None
    drawn: list[Any] = ax.plot(x, y, **_pen(look, curve.line), markevery=every, zorder=3)
    told = np.isfinite(y) & np.isfinite(low) & np.isfinite(high)
    if aside is None and curve.line and told.sum() > 1:
        ax.fill_between(x[told], low[told], high[told], color=look.colour, alpha=0.16, lw=0, zorder=2)
    elif told.any():
        drawn.append(
            ax.vlines(x[told], low[told], high[told], color=look.colour, lw=0.9, alpha=0.7, zorder=2)
        )
    if aside:
        # the axes have taken the values, which stay as they are
        moved = ax.transData + ScaledTranslation(aside / 72, 0, ax.figure.dpi_scale_trans)
        for one in drawn:
            one.set_transform(moved)


def _seen(curve: Curve, panel: Panel) -> tuple[Array, Array, Array, Array]:
    """Numbers of a curve; NaN where its axis has no place for one."""
    x, y = np.asarray(curve.x, np.float64), np.asarray(curve.y, np.float64)
    ends = [
        np.asarray(end, np.float64) if len(end) else np.full(len(y), np.nan)
        for end in (curve.low, curve.high)
    ]
    x, y, low, high = (np.where(np.isfinite(v), v, np.nan) for v in (x, y, *ends))
    if panel.log_y:
        y = np.where(y > 0, y, np.nan)
        low = np.where(low > 0, low, np.nan)
    if panel.log_x:
        y = np.where(x > 0, y, np.nan)
    return np.where(np.isnan(y), np.nan, x), y, low, high


def _plain(axis: Any) -> None:
    """Ordinary numbers along a logarithmic axis; evenly spaced ones where it spans little."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    low, high = sorted(axis.get_view_interval())
    if high > 4 * low:
        plain_log(axis)
        return
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_locator(NullLocator())


def _at_values(ax: Axes, values: Array) -> None:
    """Ticks of a logarithmic axis: at the budgets themselves where these are few, else at round numbers."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    values = values[np.isfinite(values)]
    ends = np.log10(ax.get_xlim())
    apart = np.diff(np.log10(values)) / (ends[1] - ends[0]) if len(values) > 1 else np.ones(1)
    if len(values) > 9 or apart.min() < 0.07:
        _plain(ax.xaxis)
        return
    ax.xaxis.set_major_locator(FixedLocator(list(values)))
    ax.xaxis.set_major_formatter(FixedFormatter([f"{v:,.6g}" for v in values]))
    ax.xaxis.set_minor_locator(NullLocator())
