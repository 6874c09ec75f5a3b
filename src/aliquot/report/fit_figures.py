"""Figures of labels and predictions: parity with errors beneath, how errors are distributed, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.fitting import Calibration
from aliquot.report.canvas import CHOSEN, INK, KNOWN, MUTED, WIDTH, new_figure, svg
from aliquot.report.judged import LONG, NAMES, UNITS, Judged, part_name
from aliquot.report.tables import count, number, percent, plural, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DASHES", "PART_COLOURS", "calibration_curve", "distribution", "parity", "parity_caption"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Points beyond which they are drawn as pixels; points of one sort beyond which an even sample stands for them.
RASTER: Final = 2000
MOST: Final = 20_000

#: Groups are told apart by colour (most of Okabe and Ito), by shape, and from the seventh on by being hollow.
_MARKS: Final = (
    (CHOSEN, "D"),
    (KNOWN, "o"),
    ("#009e73", "s"),
    ("#cc79a7", "^"),
    ("#b58900", "v"),
    ("#8e6bbf", "P"),
)
_GROUPS: Final = 2 * len(_MARKS)

#: Lines of parts, told apart without colour too.
PART_COLOURS: Final = {"test": CHOSEN, "validation": KNOWN, "train": MUTED}
DASHES: Final[dict[str, Any]] = {"test": "-", "validation": (0, (6, 2)), "train": (0, (1.5, 1.5))}


@dataclass(frozen=True, eq=False)
class _Cloud:
    """Points that look alike."""

    label: str
    which: NDArray[np.int64]
    style: dict[str, Any]

    @property
    def shown(self) -> NDArray[np.int64]:
        """Those that are drawn: all, or an even sample."""
        if len(self.which) <= MOST:
            return self.which
        return self.which[np.linspace(0, len(self.which) - 1, MOST).astype(int)]


def _clouds(judged: Judged, quantity: str) -> list[_Cloud]:
    """Other parts in grey beneath; of the part that judges, every group."""
    inside = judged.inside(quantity, judged.judge)
    others = [part for part in judged.parts[1:] if judged.inside(quantity, part).any()]
    out: list[_Cloud] = []
    if others:
        said = " and ".join(part_name(p) for p in reversed(others))
        which = np.flatnonzero(~inside)
        style = {"marker": "o", "ms": 2.6, "mfc": MUTED, "mec": "none", "alpha": 0.45}
        out.append(_Cloud(f"{said} ({count(len(which))})", which, style))
    names = judged.comparison.group[judged.comparison.frame[quantity]]
    order = [name for name in judged.groups if np.any(inside & (names == name))]
    marks = {name: k for k, name in enumerate(judged.groups)}  # the same for every quantity
    if len(judged.groups) == 1:
        order, names = [judged.judge], np.full(len(names), judged.judge)
    most = _GROUPS if len(order) <= _GROUPS else _GROUPS - 1
    for name in order[:most]:
        which = np.flatnonzero(inside & (names == name))
        shown = part_name(name) if len(judged.groups) == 1 else _short(name or "(none)")
        out.append(
            _Cloud(f"{shown} ({count(len(which))})", which, _mark(min(marks.get(name, 0), _GROUPS - 1)))
        )
    if len(order) > most:
        which = np.flatnonzero(inside & ~np.isin(names, order[:most]))
        out.append(
            _Cloud(f"{len(order) - most} other types ({count(len(which))})", which, _mark(_GROUPS - 1))
        )
    return out


def _mark(k: int) -> dict[str, Any]:
    colour, marker = _MARKS[k % len(_MARKS)]
    hollow = k >= len(_MARKS)
    return {
        "marker": marker,
        "ms": 3.8,
        "mfc": "none" if hollow else colour,
        "mec": colour,
        "mew": 0.8 if hollow else 0.0,
        "alpha": 0.85,
    }


def _short(name: str, most: int = 24) -> str:
    name = printable(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def parity(judged: Judged, quantity: str) -> str:
    """Prediction against label, and beneath it the error against the label."""
    clouds, x, wrong = _clouds(judged, quantity), judged.labels(quantity), judged.wrong(quantity)
    (low, high), reach, _ = _window(judged, quantity)
    rows = -(-len(clouds) // 2)

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 5.2 + 0.19 * rows))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.9, 1))
        upper.plot((low, high), (low, high), color=INK, lw=0.8, zorder=1)
        lower.axhline(0.0, color=INK, lw=0.8, zorder=1)
        sizes = sorted((len(c.which) for c in clouds), reverse=True)
        many = sum(sizes) > RASTER
        small = float(np.clip((RASTER / sum(sizes)) ** 0.25, 0.42, 1.0))
        for cloud in clouds:
            at = cloud.shown
            style = {**cloud.style, "ms": cloud.style["ms"] * small}
            ends = {"ls": "none", "rasterized": many, "zorder": 2 + sizes.index(len(cloud.which))}
            upper.plot(x[at], x[at] + wrong[at] / 1000, **ends, **style)
            lower.plot(x[at], wrong[at], **ends, **style)
            upper.plot([], [], ls="none", label=cloud.label, **{**style, "ms": 4.6, "alpha": 1.0})
        upper.set(xlim=(low, high), ylim=(low, high), ylabel=f"predicted {_what(quantity)}")
        lower.locator_params(axis="x", nbins=7)
        lower.set(ylim=(-reach, reach), ylabel=f"error ({UNITS[quantity]})", xlabel=LONG[quantity])
        figure.legend(loc="outside upper left", ncols=2, handletextpad=0.1, columnspacing=1.4, fontsize=8.5)
        figure.align_ylabels()
        return figure

    found = judged.error(quantity)
    said = "" if found is None else f" mean absolute error {number(1000 * found.mae)} {UNITS[quantity]}"
    label = f"Predicted against labelled {quantity} of {part_name(judged.judge)} structures;{said}."
    return svg(f"parity-{quantity}", label, draw)


def _what(quantity: str) -> str:
    return {"energy": "(eV)", "forces": "(eV/Å)", "virial": "(eV)"}[quantity]


def parity_caption(judged: Judged, quantity: str) -> str:
    """What is in the figure, and what is not."""
    beyond = _window(judged, quantity)[2]
    groups = len(np.unique(judged.comparison.group[judged.comparison.part == judged.judge]))
    said = (
        f"Above: prediction against label of {part_name(judged.judge)} structures"
        f"{', by config type' if groups > 1 else ''}; the line is where they agree. Below: prediction minus label."
    )
    if beyond:
        said += f" Beyond the axes: {count(beyond)} of {plural(len(judged.wrong(quantity)), 'number')}."
    sampled = [len(c.which) for c in _clouds(judged, quantity) if len(c.which) > MOST]
    if sampled:
        said += (
            f" Of {' and '.join(count(n) for n in sampled)} points an even sample of {count(MOST)} is drawn."
        )
    return said


def _window(judged: Judged, quantity: str) -> tuple[tuple[float, float], float, int]:
    """Limits of labels and of errors, and how many numbers are outside them.

    A few far outliers would press all the rest flat: where the central 99 % of labels need less than 60 % of an axis,
    it ends there; errors end at 2.5 times the size that 95 % of them stay below.
    """
    x, wrong = judged.labels(quantity), judged.wrong(quantity)
    low, high = float(x.min()), float(x.max())
    near, far = np.quantile(x, (0.005, 0.995))
    if 0 < far - near < 0.6 * (high - low):
        low, high = float(near), float(far)
    margin = 0.04 * (high - low) or max(0.05 * abs(high), 1e-3)
    size = np.abs(wrong)
    reach, bulk = float(size.max()), 2.5 * float(np.quantile(size, 0.95))
    reach = bulk if 0 < bulk < 0.6 * reach else reach
    reach = 1.1 * reach or 1.0
    beyond = (x < low - margin) | (x > high + margin) | (size > reach)
    return (low - margin, high + margin), reach, int(beyond.sum())


def distribution(judged: Judged, quantity: str) -> str:
    """Share of labels whose error is smaller than the abscissa, by part."""
    curves: dict[str, tuple[Array, Array]] = {}
    for part in judged.parts:
        size = np.sort(np.abs(judged.wrong(quantity)[judged.inside(quantity, part)]))
        if len(size):
            at = np.unique(np.linspace(0, len(size) - 1, min(len(size), 240)).round().astype(int))
            curves[part] = (np.maximum(size[at], 1e-9), (at + 0.5) / len(size))
    floor = min(_low_end(size, share) for size, share in curves.values())
    ceiling = max(float(size[-1]) for size, _ in curves.values())

    def draw() -> Figure:
        figure, ax = new_figure(4.6)
        for part, (size, share) in reversed(curves.items()):
            half, most = (np.interp(p, share, size) for p in (0.5, 0.95))
            ax.plot(
                size,
                share,
                color=PART_COLOURS.get(part, CHOSEN),
                ls=DASHES.get(part, "-"),
                lw=1.7,
                label=f"{part_name(part)}: half below {number(half, 2)}, 95 % below {number(most, 2)}",
            )
        ax.set_xscale("log")
        ax.set(xlim=(floor, max(1.15 * ceiling, 2 * floor)), ylim=(0, 1.01))
        ax.set(xlabel=f"absolute error ({UNITS[quantity]})", ylabel="share with a smaller error")
        ax.yaxis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")
        plain_log(ax.xaxis)
        handles, labels = ax.get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside upper left", handlelength=3.0, fontsize=8.5)
        return figure

    label = (
        f"Distribution of the errors of {quantity} in {', '.join(part_name(p) for p in curves)} structures."
    )
    return svg(f"distribution-{quantity}", label, draw)


def _low_end(size: Array, share: Array) -> float:
    """Where an axis of errors begins: symmetry makes some errors nothing but rounding."""
    return float(max(np.interp(0.04, share, size), np.interp(0.5, share, size) / 100))


def plain_log(axis: Any) -> None:
    """Ticks of a logarithmic axis as ordinary numbers; also 2 and 5 where decades are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    decades = np.log10(high / low)
    subs = (1.0, 1.5, 2, 3, 4, 5, 6, 8) if decades < 0.9 else (1.0, 2.0, 5.0) if decades < 2.6 else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.6g}" if 1e-3 <= v < 1e6 else number(v, 1)))
    axis.set_minor_formatter(NullFormatter())


def calibration_curve(found: Calibration) -> str:
    """Observed against nominal coverage of central intervals."""
    marks = {"energy": (CHOSEN, "D"), "forces": (KNOWN, "o"), "virial": ("#009e73", "s")}

    def draw() -> Figure:
        figure, ax = new_figure(3.8)
        ax.plot((0, 1), (0, 1), color=INK, lw=0.8)
        for quantity, observed in found.observed.items():
            colour, marker = marks.get(quantity, (MUTED, "v"))
            ax.plot(
                found.nominal,
                observed,
                color=colour,
                marker=marker,
                ms=4,
                lw=1.3,
                label=NAMES[quantity].lower(),
            )
        ax.set(
            xlim=(0, 1), ylim=(0, 1.01), xlabel="probability of the interval", ylabel="share of labels inside"
        )
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(lambda v, _: f"{100 * v:.3g} %")
        _in_the_corner(ax, "too cautious", (0.03, 0.96), "left", "top")
        _in_the_corner(ax, "too sure of itself", (0.97, 0.04), "right", "bottom")
        figure.legend(loc="outside upper left", ncols=3)
        return figure

    middle = len(found.nominal) // 2
    said = ", ".join(
        f"{q}: {percent(float(o[middle]))} where {percent(float(found.nominal[middle]))} were expected"
        for q, o in found.observed.items()
    )
    return svg("calibration", f"Observed against nominal coverage. {said}.", draw)


def _in_the_corner(ax: Axes, words: str, at: tuple[float, float], ha: str, va: str) -> None:
    ax.annotate(words, at, xycoords="axes fraction", ha=ha, va=va, color=MUTED, fontsize=8.5)  # pyright: ignore[reportArgumentType]
