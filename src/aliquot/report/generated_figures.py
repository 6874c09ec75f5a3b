"""Figures of the page about generated structures: several sets in one frame, entropy as the set grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.explore import Census, Generated
from aliquot.report.canvas import CHOSEN, INK, KNOWN, MUTED, PAPER, POOL, new_figure, svg
from aliquot.report.map_figure import RASTER_POINTS
from aliquot.report.projection import evenly, principal_axes
from aliquot.report.tables import count, number, percent, plural, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DISTINCT", "distribution", "entropy_curve", "set_map", "weight_curve"]

FloatArray = NDArray[np.float64]

#: Colours and dashes: generated, packings, others.
_COLOURS: Final = (CHOSEN, POOL, KNOWN, "#009e73", "#cc79a7", INK)
_DASHES: Final = ("-", "-", (0, (6, 2)), (0, (3, 1.5)), (0, (1.2, 1.4)), (0, (8, 2, 1.5, 2)))
_MARKERS: Final = ("D", "o", "s", "^", "v", "P")

#: Sets that can be told apart on one page.
DISTINCT: Final = len(_COLOURS)

#: Structures of each set on the map at most.
_SHOWN: Final = 5000


def _label(one: Census) -> str:
    return f"{printable(one.name)[:40]} ({count(len(one))})"


def distribution(
    name: str, column: str, sets: Sequence[Census], quantity: str, *, whole: bool = False
) -> str:
    """Share of the structures of every set in bins of one column; nothing where no set has numbers."""
    held = [(i, one, values) for i, one in enumerate(sets) if len(values := _finite(one.column(column)))]
    if not held:
        return ""
    everything = np.concatenate([np.quantile(values, [0.0, 0.005, 0.995, 1.0]) for _, _, values in held])
    low, high = everything.reshape(-1, 4)[:, 1].min(), everything.reshape(-1, 4)[:, 2].max()
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 33) if not whole else np.arange(np.floor(low), np.ceil(high) + 1.0)
    edges = edges if len(edges) > 2 else np.linspace(low, high, 17)

    def draw() -> Figure:
        figure, ax = new_figure(2.9)
        for i, one, values in reversed(held):
            heights = np.histogram(values, edges)[0] / len(values)
            filled = one is sets[1]
            style = {"fill": True, "alpha": 0.55} if filled else {"lw": 1.7, "ls": _DASHES[i]}
            ax.stairs(heights, edges, color=_COLOURS[i], label=_label(one), **style)
        ax.set_xlabel(quantity)
        ax.set_ylabel("share of structures")
        ax.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")
        ax.set_ylim(bottom=0)
        _legend(figure, ax)
        return figure

    said = "; ".join(
        f"{printable(one.name)} {number(float(np.quantile(v, 0.05)))} to {number(float(np.quantile(v, 0.95)))}"
        for _, one, v in held
    )
    return svg(name, f"Histogram of {quantity}; from the 5th to the 95th percentile: {said}.", draw)


def set_map(sets: Sequence[Census]) -> tuple[str, float]:
    """Mean environments of all sets along the two widest directions, and the share of variance these hold."""
    points = [one.means[evenly(len(one), _SHOWN)] for one in sets]
    centre, axes, explained = principal_axes(np.concatenate(points))

    def draw() -> Figure:
        figure, ax = new_figure(4.4)
        many = sum(map(len, points)) > RASTER_POINTS
        for i in (*range(1, len(sets)), 0):
            xy = (points[i] - centre) @ axes
            hollow = i >= 2
            ax.plot(
                *xy.T,
                ls="none",
                marker=_MARKERS[i],
                ms=2.6 if many else 4.0,
                mfc="none" if hollow else _COLOURS[i],
                mec=_COLOURS[i] if hollow else PAPER,
                mew=0.7 if hollow else 0.3,
                alpha=0.75,
                rasterized=many,
                label=_label(sets[i]),
                zorder=3 if i == 0 else 2,
            )
        for axis, name, share in ((ax.xaxis, "first", 0), (ax.yaxis, "second", 1)):
            axis.set_label_text(
                f"{name} principal component ({percent(float(explained[share]))} of variance)"
            )
            axis.set_ticks([])
        _legend(figure, ax)
        return figure

    names = ", ".join(f"{plural(len(one), 'structure')} {printable(one.name)}" for one in sets)
    return svg("map", f"Map of mean environments along two principal components: {names}.", draw), float(
        explained.sum()
    )


def entropy_curve(made: Generated, others: Sequence[Census]) -> str:
    """Entropy of the set with every structure, of the packings it began with, and of other sets as levels."""
    n = len(made.curve)
    at = np.unique(np.geomspace(1, n, min(n, 400)).astype(int)) - 1

    def draw() -> Figure:
        figure, ax = new_figure(3.3)
        for k in (1, 0):
            label = ("generated", "random packings in the same cells")[k]
            ax.plot(at + 1, made.curve[at, k], color=_COLOURS[k], lw=1.7, label=label)
        for i, one in enumerate(others, start=2):
            ax.axhline(one.entropy, color=_COLOURS[i], ls=_DASHES[i], lw=1.3, label=_label(one))
        if n > 30:
            ax.set_xscale("log")
            ax.xaxis.set_major_formatter(lambda v, _: count(round(v)))
            ax.minorticks_off()
        ax.set(xlabel="structures", ylabel="entropy (nat per dimension)")
        _legend(figure, ax)
        return figure

    ends = made.curve[-1]
    label = (
        f"Entropy of the set against its size, in nat per dimension: {number(float(ends[0]), 4)} at the end,"
        f" {number(float(ends[1]), 4)} for random packings."
    )
    return svg("entropy", label, draw)


def weight_curve(made: Generated) -> str:
    """K after every round, and the share of attempts that were accepted."""
    rounds = [line for line in made.history if line["accepted"] > 0]
    attempts = np.array([line["attempts"] for line in rounds], float)
    accepted = np.array([line["accepted"] for line in rounds], float)
    weight = np.array([line["weight"] for line in rounds])

    def draw() -> Figure:
        figure, ax = new_figure(2.7)
        ax.plot(attempts, weight, color=CHOSEN, lw=1.6, label="weight K of the entropy (left)")
        ax.set(xlabel="attempts", ylabel="K", ylim=(0, None))
        ax.xaxis.set_major_formatter(lambda v, _: count(round(v)))
        right = ax.twinx()
        right.plot(
            attempts, accepted / attempts, color=MUTED, lw=1.3, ls=(0, (4, 2)), label="accepted (right)"
        )
        right.set_ylim(0, 1.02)
        right.grid(visible=False)
        right.spines["right"].set_visible(True)
        right.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")
        figure.legend(loc="outside upper left", ncols=2, handlelength=1.6)
        return figure

    label = f"Weight of the entropy and share of accepted attempts; at the end {number(float(weight[-1]))}."
    return svg("weight", label, draw)


def _legend(figure: Figure, ax: Axes) -> None:
    """Generated first, whatever the order of drawing."""
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: (not labels[i].startswith("generated"), i))
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="outside upper left",
        ncols=2,
        handlelength=1.6,
    )


def _finite(values: FloatArray) -> FloatArray:
    return values[np.isfinite(values)]
