"""Figures of the comparison page: information as curves, picks as small maps with the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.report.canvas import CHOSEN, GRID, INK, KNOWN, PAPER, POOL, new_figure, svg
from aliquot.report.map_figure import RASTER_POINTS, window
from aliquot.report.projection import PoolMap
from aliquot.report.tables import number, plural, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["information_curves", "maps"]

FloatArray = NDArray[np.float64]

#: Width of a figure that spans the page, inches: the same size of lettering as in narrow ones.
WIDE: Final = 11.2

#: Lines beyond which the legend goes below the axes.
_INSIDE: Final = 6

#: Colours and dashes of the lines, told apart without colour too. Most colours are those of Okabe and Ito.
_COLOURS: Final = (CHOSEN, KNOWN, "#009e73", "#cc79a7", "#b58900", "#8e6bbf", INK)
_DASHES: Final[tuple[Any, ...]] = (
    "-",
    (0, (6, 2)),
    (0, (3, 1.5)),
    (0, (8, 2, 1.5, 2)),
    (0, (1.2, 1.4)),
    (0, (4, 1.5, 1, 1.5, 1, 1.5)),
    (0, (10, 3)),
)


def information_curves(names: Sequence[str], curves: Sequence[FloatArray]) -> str:
    """Information of the first picks of each choice, best at the end first in the legend."""
    order = sorted(range(len(names)), key=lambda i: -curves[i][-1] if len(curves[i]) else 0.0)
    below = len(names) > _INSIDE
    legend_rows = -(-len(names) // 2) if below else 0

    def draw() -> Figure:
        from matplotlib.ticker import MaxNLocator

        figure, ax = new_figure(3.9 + 0.19 * legend_rows)
        for rank, i in reversed(list(enumerate(order))):
            style = {
                "color": _COLOURS[rank % len(_COLOURS)],
                "ls": _DASHES[(rank + rank // len(_COLOURS)) % len(_DASHES)],
            }
            end = number(float(curves[i][-1]), 4) if len(curves[i]) else "—"
            picks = np.arange(len(curves[i]) + 1)
            ax.plot(
                picks,
                np.concatenate([[0.0], curves[i]]),
                lw=1.6,
                label=f"{short(names[i], 28)}  {end}",
                **style,
            )
        ax.set(xlabel="picks", ylabel="information (nat)", xlim=(0, None), ylim=(0, None))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
        handles, labels = ax.get_legend_handles_labels()
        handles, labels = handles[::-1], labels[::-1]
        style = {"handlelength": 3.2, "labelspacing": 0.35}
        if below:
            figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, **style)
        else:
            ax.legend(handles, labels, loc="lower right", **style)
        return figure

    ends = ", ".join(f"{names[i]} {number(float(curves[i][-1]), 4)}" for i in order if len(curves[i]))
    return svg(
        "information", f"Information against the number of picks; at the end {printable(ends)} nat.", draw
    )


def maps(names: Sequence[str], points: Sequence[PoolMap]) -> str:
    """Where the picks of each choice lie among the candidates, one small map each, all with the same axes."""
    across = min(3, len(names))
    down = -(-len(names) // across)
    many = sum(len(p.candidates) + len(p.known) for p in points) > RASTER_POINTS

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDE, 2.75 * down * 3 / across if across > 1 else 5.0))
        axes: Any = figure.subplots(down, across, squeeze=False).ravel()
        limits = [window(p)[0] for p in points]
        low = np.min([limit[:, 0] for limit in limits], axis=0)
        high = np.max([limit[:, 1] for limit in limits], axis=0)
        for ax, name, place in zip(axes, names, points, strict=False):
            _dots(ax, place.known, "s", 2.8, raster=many, mfc="none", mec=KNOWN, mew=0.5, alpha=0.7)
            _dots(ax, place.candidates, "o", 2.8, raster=many, mfc=POOL, mec="none", alpha=0.8)
            size = float(np.interp(len(place.chosen), [40, 400], [4.6, 2.8]))
            _dots(
                ax,
                place.chosen,
                "D",
                size,
                raster=len(place.chosen) > RASTER_POINTS // 3,
                mfc=CHOSEN,
                mec=PAPER,
                mew=0.4,
            )
            ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
            ax.set_title(short(name, 38), loc="left", fontsize=9, fontweight="bold", color=INK)
            ax.spines[:].set_visible(True)
            ax.spines[:].set_color(GRID)
            ax.grid(visible=False)
        for ax in axes[len(names) :]:
            ax.set_visible(False)
        return figure

    said = ", ".join(map(printable, names))
    return svg("maps", f"The picks of {plural(len(names), 'choice')} on the map of the pool: {said}.", draw)


def _dots(ax: Axes, xy: FloatArray, marker: str, size: float, *, raster: bool, **style: Any) -> None:
    """Points as vectors, or as pixels where they are many."""
    if len(xy):
        small = 0.8 if len(xy) > RASTER_POINTS // 3 else 1.0
        ax.plot(*xy.T, ls="none", marker=marker, ms=size * small, rasterized=raster, **style)


def short(name: str, most: int) -> str:
    """At most so many characters.

    >>> short("kdpp:kernel=rbf", 8)
    'kdpp:ke…'
    """
    name = printable(name)
    return name if len(name) <= most else name[: most - 1] + "…"
