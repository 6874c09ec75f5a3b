"""The map of the pool as a figure: known, candidate and chosen told apart by shape, fill and outline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.report.canvas import CHOSEN, INK, KNOWN, MUTED, new_figure, svg
from aliquot.report.projection import PoolMap
from aliquot.report.tables import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["RASTER_POINTS", "TITLED", "map_figure", "window"]

FloatArray = NDArray[np.float64]

#: Points of one sort beyond which they are drawn as pixels, so that the page stays small.
RASTER_POINTS: Final = 3000
#: Picks that carry their number on the map.
NUMBERED: Final = 10
#: Picks that say what they are when the pointer rests on them.
TITLED: Final = 300


def map_figure(points: PoolMap, titles: Sequence[str]) -> str:
    """Known, candidate and chosen structures in the plane of the two widest directions.

    ``titles`` says what each shown pick is, for the pointer.
    """
    named = {f"pick-{i}": title for i, title in enumerate(titles[:TITLED])}

    def draw() -> Figure:
        figure, ax = new_figure(4.6)
        _cloud(
            ax,
            points.known,
            "s",
            3.6,
            f"known ({count(points.n_known)})",
            mec=KNOWN,
            mfc="none",
            mew=0.6,
            alpha=0.7,
        )
        _cloud(
            ax,
            points.candidates,
            "o",
            3.6,
            f"candidate, not chosen ({count(points.n_candidates)})",
            mec="none",
            mfc=MUTED,
            alpha=0.8,
        )
        size = float(np.interp(len(points.chosen), [60, 600], [6.0, 3.4]))
        style: dict[str, Any] = {"marker": "D", "ms": size, "mfc": CHOSEN, "mec": INK, "mew": size / 10}
        singly = min(len(points.chosen), TITLED)
        _cloud(ax, points.chosen[singly:], "D", size, "", mfc=CHOSEN, mec=INK, mew=size / 10)
        for i in reversed(range(singly)):  # the first picks on top
            ax.plot(*points.chosen[i], zorder=5, **style, gid=f"pick-{i}")
        if len(points.chosen):
            ax.plot([], [], ls="none", label=f"chosen ({count(points.n_chosen)})", **style)
        _limits(ax, points)
        for axis, name, share in ((ax.xaxis, "first", 0), (ax.yaxis, "second", 1)):
            axis.set_label_text(
                f"{name} principal component ({percent(points.explained[share])} of variance)"
            )
            axis.set_ticks([])  # the unit of a principal component means nothing
        figure.legend(loc="outside upper left", ncols=3, handletextpad=0.1, columnspacing=1.2)
        _number_picks(figure, ax, points)
        return figure

    label = (
        f"Map of the pool along its two principal components: {points.n_known} known as hollow squares,"
        f" {points.n_candidates} candidates not chosen as dots, {points.n_chosen} chosen as diamonds."
    )
    return svg("map", label, draw, titles=named)


def _cloud(ax: Axes, xy: FloatArray, marker: str, size: float, label: str, **style: Any) -> None:
    """Points as vectors, or as pixels where they are many."""
    if not len(xy):
        return
    many = len(xy) > RASTER_POINTS
    ax.plot(
        *xy.T,
        ls="none",
        marker=marker,
        ms=size * (0.7 if many else 1),
        rasterized=many,
        label=label or "_nolegend_",
        **style,
    )


def window(points: PoolMap) -> tuple[FloatArray, int]:
    """Limits of the map, ((x low, x high), (y low, y high)), and how many structures lie beyond them.

    A few far outliers (an isolated atom) would press all the rest into a corner: where the central 99 %
    of all structures and every pick need less than 60 % of an axis, that axis ends there.
    """
    everything = np.concatenate([points.candidates, points.known, points.chosen])
    low, high = everything.min(axis=0), everything.max(axis=0)
    core = np.concatenate([np.quantile(everything, (0.005, 0.995), axis=0), points.chosen])
    near, far = core.min(axis=0), core.max(axis=0)
    trim = (far - near < 0.6 * (high - low)) & (far > near)
    low, high = np.where(trim, near, low), np.where(trim, far, high)
    margin = np.where(high > low, 0.06 * (high - low), np.maximum(np.abs(high), 1.0))
    limits = np.stack([low - margin, high + margin], axis=1)
    beyond = np.any((everything < limits[:, 0]) | (everything > limits[:, 1]), axis=1)
    return limits, int(np.sum(beyond))


def _limits(ax: Axes, points: PoolMap) -> None:
    (x, y), _ = window(points)
    ax.set_xlim(*x)
    ax.set_ylim(*y)


def _number_picks(figure: Figure, ax: Axes, points: PoolMap) -> None:
    """Write the first picks' numbers where they cover neither each other nor another pick."""
    figure.draw_without_rendering()  # the layout is settled, so pixels are what they will be
    scale = figure.dpi / 72
    at = ax.transData.transform(points.chosen) if len(points.chosen) else points.chosen
    angles = np.deg2rad([45, 0, 90, 135, -45, 180, -90, -135])
    offsets = 9.5 * scale * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    box = ax.get_window_extent()
    taken: list[FloatArray] = []
    for i in np.flatnonzero(points.rank <= NUMBERED):
        places = at[i] + offsets
        others = np.delete(at, i, axis=0)
        gaps = [
            min(
                _gap(place, others, scale),
                _gap(place, np.array(taken).reshape(-1, 2), scale * 1.3),
                np.inf if box.contains(*place) else 0.0,
            )
            for place in places
        ]
        clear = [k for k, gap in enumerate(gaps) if gap >= 10]
        best = clear[0] if clear else int(np.argmax(gaps))
        taken.append(places[best])
        ax.annotate(
            str(points.rank[i]),
            points.chosen[i],
            xytext=offsets[best] / scale,
            textcoords="offset points",
            ha="center",
            va="center",
            fontweight="bold",
            zorder=6,
            gid=f"halo-{i}",
        )


def _gap(place: FloatArray, others: FloatArray, scale: float) -> float:
    """Distance to the nearest of others, in points."""
    return float(np.min(np.linalg.norm(others - place, axis=1))) / scale if len(others) else np.inf
