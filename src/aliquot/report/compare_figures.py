"""Figures of the comparison page: overlaps as a matrix, information as curves, groups as bars, picks as maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.report.canvas import CHOSEN, GRID, INK, KNOWN, MUTED, PAPER, POOL, new_figure, svg
from aliquot.report.map_figure import RASTER_POINTS, window
from aliquot.report.projection import PoolMap
from aliquot.report.tables import count, number, percent, plural, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["WIDE", "group_bars", "information_curves", "maps", "overlap_matrix"]

FloatArray = NDArray[np.float64]

#: Width of a figure that spans the page, inches: the same size of lettering as in narrow ones.
WIDE: Final = 11.2

#: Colour and dashes of each line: told apart without colour too. The colours are those of Okabe and Ito.
_LINES: Final[tuple[tuple[str, Any], ...]] = (
    (CHOSEN, "-"),
    (KNOWN, (0, (6, 2))),
    ("#009e73", (0, (3, 1.5))),
    ("#cc79a7", (0, (8, 2, 1.5, 2))),
    ("#b58900", (0, (1.2, 1.4))),
    ("#56b4e9", (0, (4, 1.5, 1, 1.5, 1, 1.5))),
    (INK, (0, (10, 3))),
)


def overlap_matrix(names: Sequence[str], common: NDArray[np.int64], overlap: FloatArray) -> str:
    """Share of picks that each two choices have in common, with the numbers."""
    m = len(names)

    def draw() -> Figure:
        from matplotlib.patches import Rectangle

        figure, ax = new_figure(max(1.6, 5.0 * min(1.0, (m + 0.6) / 6.2)))
        top = max(0.25, float(np.max(overlap - np.diag(np.diag(overlap)), initial=0.0)))
        small = m > 7
        for i in range(m):
            for j in range(m):
                own = i == j
                shade = 0.0 if own else 0.04 + 0.78 * float(overlap[i, j]) / top
                box = Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, lw=0.8 if own else 0)
                box.set(facecolor="none" if own else CHOSEN, edgecolor=GRID, alpha=None if own else shade)
                ax.add_patch(box)
                _cell(ax, i, j, percent(float(overlap[i, j])), count(int(common[i, j])), own=own, small=small)
        ax.set(xlim=(-0.5, m - 0.5), ylim=(m - 0.5, -0.5))
        ax.set_xticks(
            range(m),
            [_short(n, 14) for n in names],
            rotation=30 if m > 5 else 0,
            ha="left" if m > 5 else "center",
        )
        ax.set_yticks(range(m), [_short(n, 22) for n in names])
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        return figure

    pairs = [f"{names[i]} and {names[j]} {percent(float(overlap[i, j]))}" for i in range(m) for j in range(i)]
    return svg("overlap", "Overlap of the choices: " + "; ".join(map(printable, pairs)) + ".", draw)


def _cell(ax: Axes, i: int, j: int, share: str, shared: str, *, own: bool, small: bool) -> None:
    if own:
        ax.text(j, i, f"{shared}\npicks", ha="center", va="center", color=MUTED, fontsize=7 if small else 8)
        return
    ax.text(j, i - 0.02, share, ha="center", va="bottom", color=INK, fontsize=8 if small else 11)
    ax.text(j, i + 0.1, f"{shared} shared", ha="center", va="top", color=INK, fontsize=6 if small else 7.5)


def information_curves(names: Sequence[str], curves: Sequence[FloatArray]) -> str:
    """Information of the first picks of each choice, best at the end first in the legend."""
    order = sorted(range(len(names)), key=lambda i: -curves[i][-1] if len(curves[i]) else 0.0)

    def draw() -> Figure:
        figure, ax = new_figure(3.9)
        for i in reversed(order):
            colour, dashes = _LINES[i % len(_LINES)]
            picks = np.concatenate([[0], np.arange(1, len(curves[i]) + 1)])
            label = (
                f"{_short(names[i], 28)}  {number(float(curves[i][-1]), 4)}" if len(curves[i]) else names[i]
            )
            ax.plot(picks, np.concatenate([[0.0], curves[i]]), color=colour, ls=dashes, lw=1.7, label=label)
        ax.set(xlabel="picks", ylabel="information (nat)", xlim=(0, None), ylim=(0, None))
        ax.xaxis.get_major_locator().set_params(integer=True)
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(handles[::-1], labels[::-1], loc="lower right", handlelength=3.2, labelspacing=0.35)
        return figure

    ends = ", ".join(f"{names[i]} {number(float(curves[i][-1]), 4)}" for i in order if len(curves[i]))
    return svg(
        "information", f"Information against the number of picks; at the end {printable(ends)} nat.", draw
    )


def group_bars(groups: Sequence[str], names: Sequence[str], shares: FloatArray) -> str:
    """Share of each group in the pool (first column) and in each choice, (groups, 1 + choices)."""
    columns = ["pool", *names]

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDE, 0.75 + 0.27 * len(groups)))
        axes: Any = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        y, top = np.arange(len(groups)), 1.45 * float(shares.max(initial=0.01))
        for k, (ax, name) in enumerate(zip(axes, columns, strict=True)):
            style: dict[str, Any] = (
                {"fc": "none", "ec": MUTED, "lw": 0.8, "hatch": "////"} if k == 0 else {"color": CHOSEN}
            )
            ax.barh(y, shares[:, k], 0.58, **style)
            if k:
                ax.vlines(shares[:, 0], y - 0.42, y + 0.42, color=MUTED, lw=1.1)
            for i, share in enumerate(shares[:, k]):
                at = max(share, shares[i, 0]) if k else share
                ax.annotate(
                    percent(float(share)) if share else "—",
                    (at, i),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7.5,
                    color=INK if k and share else MUTED,
                )
            ax.set(xlim=(0, top), ylim=(len(groups) - 0.4, -0.6))
            ax.set_title(_short(name, 20), loc="left", fontsize=9, fontweight="bold", color=INK)
            ax.tick_params(axis="both", length=0)
            ax.set_xticks([])
            ax.grid(visible=False)
            ax.spines["bottom"].set_visible(False)
        axes[0].set_yticks(y, [_short(g, 28) for g in groups])
        return figure

    told = "; ".join(
        f"{printable(g)} " + ", ".join(f"{c} {percent(float(s))}" for c, s in zip(columns, row, strict=True))
        for g, row in zip(groups, shares, strict=True)
    )
    return svg("composition", f"Share of each group in the pool and in each choice: {told}.", draw)


def maps(names: Sequence[str], points: Sequence[PoolMap]) -> str:
    """Where the picks of each choice lie among the candidates, one small map each, all with the same axes."""
    across = min(3, len(names))
    down = -(-len(names) // across)

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDE, 2.75 * down * 3 / across if across > 1 else 5.0))
        axes: Any = figure.subplots(down, across, squeeze=False).ravel()
        limits = [window(p)[0] for p in points]
        low = np.min([limit[:, 0] for limit in limits], axis=0)
        high = np.max([limit[:, 1] for limit in limits], axis=0)
        for ax, name, place in zip(axes, names, points, strict=False):
            _dots(ax, place.candidates, "o", 2.6, mfc=POOL, mec="none", alpha=0.75)
            _dots(ax, place.known, "s", 2.8, mfc="none", mec=KNOWN, mew=0.5, alpha=0.7)
            size = float(np.interp(len(place.chosen), [40, 400], [4.2, 2.6]))
            _dots(ax, place.chosen, "D", size, mfc=CHOSEN, mec=PAPER, mew=0.4)
            ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
            ax.set_title(_short(name, 30), loc="left", fontsize=9, fontweight="bold", color=INK)
            ax.spines[:].set_visible(True)
            ax.spines[:].set_color(GRID)
            ax.grid(visible=False)
        for ax in axes[len(names) :]:
            ax.set_visible(False)
        return figure

    return svg(
        "maps",
        f"The picks of {plural(len(names), 'choice')} on the map of the pool: {', '.join(names)}.",
        draw,
    )


def _dots(ax: Axes, xy: FloatArray, marker: str, size: float, **style: Any) -> None:
    """Points as vectors, or as pixels where they are many."""
    if len(xy):
        many = len(xy) > RASTER_POINTS // 3
        ax.plot(*xy.T, ls="none", marker=marker, ms=size * (0.8 if many else 1), rasterized=many, **style)


def _short(name: str, most: int) -> str:
    name = printable(name)
    return name if len(name) <= most else name[: most - 1] + "…"
