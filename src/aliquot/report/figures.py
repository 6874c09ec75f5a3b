"""One function per figure of the report: arrays in, an inline SVG out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.report.canvas import CHOSEN, INK, MUTED, PAPER, POOL, new_figure, svg
from aliquot.report.findings import Group
from aliquot.report.tables import count, number, percent, plural, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MAX_GROUPS", "composition_bars", "gain_curve", "histogram"]

FloatArray = NDArray[np.float64]

#: Groups with a bar of their own; the rest share one.
MAX_GROUPS: Final = 14


def gain_curve(gain: FloatArray, unit: str, stop: int | None) -> str:
    """Gain of each pick against its number; the suggested stop as a dashed line."""
    picks = np.arange(1, len(gain) + 1)
    positive = gain[gain > 0]
    log = len(positive) == len(gain) > 1 and positive.max() > 20 * positive.min()

    def draw() -> Figure:
        figure, ax = new_figure(3.2)
        few = len(gain) <= 80
        ax.plot(picks, gain, color=CHOSEN, lw=1.6, marker="o" if few else None, ms=4.2, mec=PAPER, mew=0.7)
        if log:
            ax.set_yscale("log")
            ax.set_ylim(gain.min() / 1.4, gain.max() * 1.9)  # room for the words at the top
            _plain_log(ax.yaxis)
        elif np.min(gain) >= 0:
            ax.set_ylim(0, 1.14 * np.max(gain) if np.max(gain) > 0 else 1)
        _whole_numbers(ax, len(gain))
        if stop is not None and 0 <= stop <= len(gain):
            ax.axvline(stop + 0.5, color=INK, lw=1.0, ls=(0, (4, 3)))
            late = stop > 0.6 * len(gain)
            ax.annotate(
                f"suggested stop: {count(stop)}",
                (stop + 0.5, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(-5 if late else 5, -3),
                textcoords="offset points",
                ha="right" if late else "left",
                va="top",
            ).set_in_layout(False)
        ax.set(xlabel="pick", ylabel=gain_label(unit))
        return figure

    scale = ", logarithmic axis" if log else ""
    marked = f"; suggested stop after {stop}" if stop is not None else ""
    ends = f"from {number(gain[0])} to {number(gain[-1])} {unit}"
    label = f"Gain of each of {plural(len(gain), 'pick')}{scale}: {ends}{marked}."
    return svg("gain", label, draw)


def gain_label(unit: str) -> str:
    """What the gain is, with its unit."""
    if unit == "distance":
        return "distance to the nearest known or chosen"
    return f"gain of this pick ({printable(unit)})" if unit else "gain of this pick"


def _whole_numbers(ax: Axes, n: int) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.set_xlim(0.5 if n < 20 else 1 - 0.02 * n, n + max(0.5, 0.02 * n))
    round_numbers = MaxNLocator(integer=True, min_n_ticks=1, nbins=8, steps=[1, 2, 5, 10]).tick_values(1, n)
    ax.set_xticks([int(v) for v in round_numbers if 1 <= v <= n])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: count(int(v))))


def _plain_log(axis: Any) -> None:
    """Ticks of a logarithmic axis as ordinary numbers: 0.1, 1, 10; also 2 and 5 where decades are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    decades = np.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda v, _: number(v, 1)))
    axis.set_minor_formatter(NullFormatter())


def composition_bars(groups: Sequence[Group]) -> str:
    """Share of each group in the pool and among the chosen, as pairs of bars."""
    totals = np.array([[g.pool, g.chosen] for g in groups], float).sum(axis=0)
    shares = np.array([[g.pool, g.chosen] for g in groups], float) / np.maximum(totals, 1)
    names = [_short(g.name) for g in groups]

    def draw() -> Figure:
        figure, ax = new_figure(0.8 + 0.42 * len(groups))
        y = np.arange(len(groups))
        ax.barh(y - 0.19, shares[:, 0], 0.34, label="pool", fc="none", ec=MUTED, lw=0.8, hatch="////")
        ax.barh(y + 0.19, shares[:, 1], 0.34, label="chosen", color=CHOSEN)
        for i, pair in enumerate(shares):
            for share, shift in zip(pair, (-0.19, 0.19), strict=True):
                ax.annotate(
                    percent(share),
                    (share, i + shift),
                    xytext=(3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7.5,
                    color=INK if shift > 0 else MUTED,
                )
        ax.set_yticks(y, names)
        ax.set(ylim=(len(groups) - 0.45, -0.55), xlim=(0, max(0.05, 1.14 * float(shares.max(initial=0)))))
        ax.grid(axis="y", visible=False)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")
        ax.set_xlabel("share of structures")
        figure.legend(loc="outside upper left", ncols=2)
        return figure

    label = "Share of each group in the pool and among the chosen: " + "; ".join(
        f"{printable(g.name)} {percent(a)} and {percent(b)}" for g, (a, b) in zip(groups, shares, strict=True)
    )
    return svg("composition", label + ".", draw)


def _short(name: str, most: int = 26) -> str:
    name = printable(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def histogram(name: str, pool: FloatArray, chosen: FloatArray, quantity: str) -> tuple[str, int, int]:
    """Distribution of a quantity in the pool and among the chosen, and how many of each lie beyond the axis.

    Filled steps for the pool, a line and one stroke per structure for the chosen. A logarithmic axis serves
    positive values over more than two decades; otherwise far outliers are left beyond the ends.
    """
    values = np.concatenate([pool, chosen])
    log = bool(values.min() > 0 and np.quantile(values, 0.98) > 100 * np.quantile(values, 0.02))
    edges = _edges(pool, chosen, log)
    shown = chosen[(chosen >= edges[0]) & (chosen <= edges[-1])]
    beyond = int(np.sum((pool < edges[0]) | (pool > edges[-1])))

    def draw() -> Figure:
        figure, ax = new_figure(2.9)
        weights = [np.full(len(v), 1 / max(1, len(v))) for v in (pool, chosen)]
        heights = [np.histogram(v, edges, weights=w)[0] for v, w in zip((pool, chosen), weights, strict=True)]
        ax.stairs(heights[0], edges, fill=True, color=POOL, alpha=0.55, label=f"pool ({count(len(pool))})")
        ax.stairs(heights[1], edges, color=CHOSEN, lw=1.8, label=f"chosen ({count(len(chosen))})")
        if len(chosen) <= 150:
            foot = ax.get_xaxis_transform()
            ax.plot(shown, 0 * shown, "|", color=CHOSEN, ms=9, mew=0.9, clip_on=False, transform=foot)
        _histogram_axes(ax, edges, log_values=log, tail=heights[0].max() > 0.5, least=0.5 / len(pool))
        ax.set_xlabel(quantity)
        figure.legend(loc="outside upper left", ncols=2, handlelength=1.4)
        return figure

    label = (
        f"Histogram of {quantity}: {len(pool)} of the pool from {number(pool.min(), 5)} to"
        f" {number(pool.max(), 5)}"
    )
    if len(chosen):
        label += f", {len(chosen)} chosen from {number(chosen.min(), 5)} to {number(chosen.max(), 5)}"
    return svg(name, label + ".", draw), beyond, len(chosen) - len(shown)


def _histogram_axes(ax: Axes, edges: FloatArray, *, log_values: bool, tail: bool, least: float) -> None:
    """Scales and ticks; where one bin holds most of the pool, shares are logarithmic so that tails are seen."""
    if log_values:
        ax.set_xscale("log")
        ax.set_xlim(edges[0], edges[-1])
        _plain_log(ax.xaxis)
    else:
        margin = 0.015 * (edges[-1] - edges[0])
        ax.set_xlim(edges[0] - margin, edges[-1] + margin)
    if tail:
        ax.set_yscale("log")
        ax.set_ylim(least, 1.5)
        ax.minorticks_off()
    else:
        ax.set_ylim(bottom=0)
        ax.locator_params(axis="y", nbins=5)
    ax.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")
    ax.set_ylabel("share of structures" + (" (log)" if tail else ""))


def _edges(pool: FloatArray, chosen: FloatArray, log: bool) -> FloatArray:
    """Edges of at most 40 bins over everything, or over the bulk of both where outliers would press it flat."""
    low, high = float(pool.min()), float(pool.max())
    bulk = np.quantile(pool, (0.005, 0.995))
    if len(chosen):
        low, high = min(low, float(chosen.min())), max(high, float(chosen.max()))
        bulk = np.concatenate([bulk, np.quantile(chosen, (0.05, 0.95))])
    if bulk.max() - bulk.min() < 0.4 * (high - low) and not log:
        low, high = float(bulk.min()), float(bulk.max())
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        half = max(1e-3, 1e-3 * abs(low))
        low, high = low - half, high + half
    n = int(np.clip(min(2 * np.sqrt(len(pool)), 4 * np.sqrt(max(len(chosen), 9))), 8, 40))
    return np.geomspace(low, high, n + 1) if log else np.linspace(low, high, n + 1)
