"""What does size buy? Errors along the path of models, against the number of functions and against time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aliquot.fitting import Fit, Rung
from aliquot.fitting.learning import Lesson
from aliquot.report.canvas import CHOSEN, INK, PAPER, new_figure, svg
from aliquot.report.fit_figures import DASHES, PART_COLOURS, plain_log
from aliquot.report.judged import UNITS, Judged, part_name
from aliquot.report.tables import count, number, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["chosen_rung", "error_by_data", "error_by_size", "error_by_time", "has_sizes", "path_curve"]

Array = NDArray[np.float64]


def has_sizes(fit: Fit) -> bool:
    """Whether the models of the path differ in size, rather than in the strength of a penalty."""
    sizes = fit.path.sizes
    return bool(sizes.min() != sizes.max())


def chosen_rung(fit: Fit) -> Rung | None:
    """Errors and time of the chosen model among those of the ladder."""
    return next((rung for rung in fit.ladder if rung.point == fit.chosen), None)


def _abscissa(fit: Fit) -> tuple[Array, str]:
    """What the points of the path differ in, and its name."""
    if has_sizes(fit):
        return fit.path.sizes.astype(float), "functions"
    penalty = fit.path.penalties
    if len(penalty) and penalty.min() > 0:
        return penalty, "penalty λ"
    return np.arange(1.0, len(fit.path) + 1), "model of the path"


def error_by_size(fit: Fit, judged: Judged, quantity: str) -> str:
    """Mean absolute error of the models of the ladder; the chosen one marked."""
    place, name = _abscissa(fit)
    lines: dict[str, tuple[Array, Array]] = {}
    for part in judged.parts:
        own = [(place[r.point], r.errors[part][quantity][0]) for r in fit.ladder if _knows(r, part, quantity)]
        if own:
            x, y = np.array(sorted(own)).T
            lines[part] = (x, 1000 * y)

    def draw() -> Figure:
        figure, ax = new_figure(3.4)
        for part, (x, y) in reversed(lines.items()):
            ax.plot(
                x, y, marker="o", ms=3.4, mec=PAPER, mew=0.5, lw=1.5, label=part_name(part), **_line(part)
            )
        taught = judged.error(quantity, "train")
        if taught is not None and "train" not in lines:
            ax.plot(
                [place[fit.chosen]],
                [1000 * taught.mae],
                ls="none",
                marker="s",
                ms=5.5,
                mfc="none",
                mec=PART_COLOURS["train"],
                label="training, chosen model",
            )
        _finish(figure, ax, name, f"mean absolute error ({UNITS[quantity]})")
        _mark(ax, float(place[fit.chosen]), _chosen_words(fit, name))
        return figure

    said = "; ".join(
        f"{part_name(p)} from {number(float(y[0]))} to {number(float(y[-1]))}" for p, (_, y) in lines.items()
    )
    label = f"Mean absolute error of {quantity} ({UNITS[quantity]}) against {name}: {said}."
    return svg(f"size-{quantity}", label, draw)


def error_by_data(fit: Fit, judged: Judged, quantity: str) -> str:
    """Mean absolute error of models fitted to growing shares of the training structures."""
    lines: dict[str, tuple[Array, Array]] = {}
    for part in judged.parts:
        own = [
            (of.structures, of.errors[part][quantity][0]) for of in fit.learning if _knows(of, part, quantity)
        ]
        if own:
            x, y = np.array(own, float).T
            lines[part] = (x, 1000 * y)

    def draw() -> Figure:
        figure, ax = new_figure(3.2)
        for part, (x, y) in reversed(lines.items()):
            ax.plot(
                x, y, marker="o", ms=4.5, mec=PAPER, mew=0.6, lw=1.5, label=part_name(part), **_line(part)
            )
        _finish(figure, ax, "training structures", f"mean absolute error ({UNITS[quantity]})")
        return figure

    said = "; ".join(
        f"{part_name(p)} from {number(float(y[0]))} to {number(float(y[-1]))}" for p, (_, y) in lines.items()
    )
    label = f"Mean absolute error of {quantity} ({UNITS[quantity]}) against training structures: {said}."
    return svg(f"learning-{quantity}", label, draw)


def _knows(rung: Rung | Lesson, part: str, quantity: str) -> bool:
    return quantity in rung.errors.get(part, {})


def _line(part: str) -> dict[str, Any]:
    return {"color": PART_COLOURS.get(part, CHOSEN), "ls": DASHES.get(part, "-")}


def _chosen_words(fit: Fit, name: str) -> str:
    chosen = fit.path[fit.chosen]
    if name == "functions":
        return f"chosen: {count(chosen.size)}"
    return f"chosen: λ = {number(chosen.penalty, 2)}" if "λ" in name else "chosen"


def _finish(figure: Figure, ax: Axes, xlabel: str, ylabel: str) -> None:
    """Logarithmic axes with plain numbers, labels and a legend."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * (high / low) ** 0.06)  # room for words at the top
    if high < 1.6 * low:  # almost level: leave room so that nothing looks steep
        ax.set_ylim(low / 1.3, high * 1.3)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    plain_log(ax.yaxis)
    plain_log(ax.xaxis)
    if "λ" in xlabel:
        _powers(ax.xaxis)
    figure.legend(loc="outside upper left", ncols=3, handlelength=2.8, fontsize=8.5)


def _powers(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator

    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda v, _: number(v, 1)))


def _mark(ax: Axes, x: float, words: str) -> None:
    """A dashed line at the chosen model; one without functions has no place on a logarithmic axis."""
    if x <= 0:
        return
    ax.axvline(x, color=INK, lw=1.0, ls=(0, (4, 3)), zorder=1)
    left, right = np.log(ax.get_xlim())
    late = np.log(x) > 0.5 * (left + right)
    ax.annotate(
        words,
        (x, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-5 if late else 5, -3),
        textcoords="offset points",
        ha="right" if late else "left",
        va="top",
        gid="halo-chosen",
    ).set_in_layout(False)


def error_by_time(fit: Fit, judged: Judged, quantity: str) -> str:
    """Error of the part that judges against the measured time per atom; sizes written beside points."""
    own = [r for r in fit.ladder if _knows(r, judged.judge, quantity) and r.microseconds is not None]
    time = np.array([r.microseconds for r in own], float)
    error = np.array([1000 * r.errors[judged.judge][quantity][0] for r in own])
    at = next((k for k, r in enumerate(own) if r.point == fit.chosen), None)

    def draw() -> Figure:
        figure, ax = new_figure(3.4)
        ax.plot(
            time,
            error,
            ls="none",
            marker="o",
            ms=4.6,
            mec=PAPER,
            mew=0.5,
            label="models of the path",
            **_dot(),
        )
        if at is not None:
            style = {"ls": "none", "marker": "D", "ms": 8, "mec": INK, "mfc": CHOSEN, "mew": 0.9}
            ax.plot(time[at], error[at], label="chosen", zorder=4, **style)
        _finish(
            figure,
            ax,
            "energy, forces and virial on one core (µs per atom)",
            f"{part_name(judged.judge)} mean absolute error ({UNITS[quantity]})",
        )
        _sizes(figure, ax, [(r.size, t, e) for r, t, e in zip(own, time, error, strict=True)], at)
        return figure

    said = "" if at is None else f"; chosen: {number(error[at])} at {number(time[at])} µs"
    label = (
        f"Error of {quantity} ({UNITS[quantity]}) against µs per atom for {plural(len(own), 'model')}{said}."
    )
    return svg(f"time-{quantity}", label, draw)


def _dot() -> dict[str, Any]:
    return {"color": PART_COLOURS["validation"]}


def _sizes(figure: Figure, ax: Axes, points: list[tuple[int, float, float]], at: int | None) -> None:
    """Numbers of functions beside points, where they cover neither a point nor one another."""
    figure.draw_without_rendering()  # the layout is settled, so pixels are what they will be
    scale = figure.dpi / 72
    pixels = ax.transData.transform([(t, e) for _, t, e in points])
    taken: list[Array] = []
    order = sorted(range(len(points)), key=lambda k: (k != at, k))
    for k in order:
        place = pixels[k] + scale * np.array([0.0, 10.0])
        wide = np.array([1.0, 1.6]) / scale  # numbers are wider than high
        others = [*np.delete(pixels, k, axis=0), *taken]
        if k != at and any(np.linalg.norm((place - o) * wide) < 13 for o in others):
            continue
        taken.append(place)
        ax.annotate(
            count(points[k][0]),
            points[k][1:],
            xytext=(0, 10),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            fontweight="bold" if k == at else "normal",
            gid=f"halo-size-{k}",
        ).set_in_layout(False)


def path_curve(fit: Fit) -> str:
    """Weighted errors that the choice rests on, of every stored model."""
    place, name = _abscissa(fit)
    curves = {
        part: fit.path.errors(key) for part, key in (("train", "training"), ("validation", "validation"))
    }
    curves = {part: y for part, y in curves.items() if np.isfinite(y).any()}
    order = np.argsort(place, kind="stable")
    order = order[place[order] > 0]

    def draw() -> Figure:
        figure, ax = new_figure(3.4)
        for part, y in curves.items():
            ax.plot(place[order], y[order], lw=1.6, label=part_name(part), **_line(part))
        _finish(figure, ax, name, "weighted root-mean-square error")
        _mark(ax, float(place[fit.chosen]), _chosen_words(fit, name))
        return figure

    said = ", ".join(f"{part_name(p)} {number(float(np.nanmin(y)))} at the lowest" for p, y in curves.items())
    return svg("path", f"Weighted root-mean-square error against {name}: {said}.", draw)
