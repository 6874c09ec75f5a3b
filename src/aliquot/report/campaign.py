"""One self-contained page about a campaign: error, grade and cost, round by round."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aliquot.campaign.record import STAGES, History, Round
from aliquot.report.canvas import CHOSEN, INK, KNOWN, MUTED, POOL, new_figure, svg
from aliquot.report.fit_figures import plain_log
from aliquot.report.page import facts, figure, page, tile
from aliquot.report.provenance import versions
from aliquot.report.tables import count, number, plural, seconds, sentence, table, text
from aliquot.report.write import put

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_campaign"]

#: Grades beyond are drawn as this.
MOST = 1000.0

_SHADES = {"explore": KNOWN, "select": CHOSEN, "label": INK, "fit": POOL, "test": MUTED}
_HATCH = {"explore": "", "select": "", "label": "///", "fit": "", "test": "..."}


def write_campaign(path: str | os.PathLike[str], history: History) -> Path:
    """Write the page; nothing is fetched and nothing is executed. A page that is there is replaced.

    Parameters
    ----------
    path : path
    history : History
    """
    path = Path(path)
    rounds = history.complete
    last = rounds[-1] if rounds else None
    document = page(
        f"A campaign of {plural(max(len(rounds) - 1, 0), 'round')}",
        kicker="campaign",
        lede=_lede(history),
        tiles=[
            tile(count(last.asked if last else 0), "labels asked for"),
            tile(_milli(_last(rounds, "force_mae")), "force error on the test, meV/Å"),
            tile(_milli(_last(rounds, "energy_mae")), "energy error on the test, meV/atom"),
            tile(
                _gamma(_walked(rounds)), f"grade at quantile {_goal(history, 'quantile')} of the last walks"
            ),
        ],
        sections=[
            ("error", "Error on the test structures", _error(history)),
            ("grade", "How far the walks lead beyond what is known", _grades(history)),
            ("cost", "What each round cost", _cost(rounds)),
            ("rounds", "Every round", _rounds(rounds)),
            ("record", "What was asked", _record(history)),
        ],
        footer=f"Made by {versions()}. This page is complete in itself: it loads and runs nothing.",
    )
    put(path, document)
    return path


def _lede(history: History) -> str:
    rounds = history.complete
    if not rounds:
        return "No round is complete yet."
    first, last = _first(rounds), rounds[-1]
    words = f"{count(last.asked)} labels were asked for; {count(last.labelled)} teach."
    now = _last(rounds, "force_mae")
    if first is not None and now is not None:
        words += f" Forces on the test structures were wrong by {_milli(first)} meV/Å, and are wrong by "
        words += f"<strong>{_milli(now)}</strong> meV/Å (mean absolute error of a component)."
    return words + (f" It ended: {sentence(history.ended)}" if history.ended else " It has not ended.")


def _first(rounds: Sequence[Round]) -> float | None:
    return next((one.force_mae for one in rounds if one.force_mae is not None), None)


def _last(rounds: Sequence[Round], name: str) -> float | None:
    found = [value for one in rounds if (value := getattr(one, name)) is not None]
    return found[-1] if found else None


def _walked(rounds: Sequence[Round]) -> Round | None:
    walked = [one for one in rounds if "explore" in one.stages]
    return walked[-1] if walked else None


def _milli(value: float | None) -> str:
    return "–" if value is None else number(1000 * value)


def _gamma(one: Round | None) -> str:
    if one is None or (one.gamma is None and not one.beyond):
        return "–"
    return "beyond" if one.gamma is None else number(one.gamma)


def _goal(history: History, name: str) -> str:
    value = history.settings.get("goal", {}).get(name)
    return "–" if value is None else f"{value:g}"


def _error(history: History) -> str:
    judged = [one for one in history.complete if one.force_mae is not None]
    if not judged:
        return "<p>There are no test structures.</p>"
    labels = [one.asked for one in judged]
    errors = [1000 * (one.force_mae or 0.0) for one in judged]
    met = [(one.asked, 1000 * one.surprise) for one in judged if one.surprise is not None]
    goal = history.settings.get("goal", {}).get("force_mae")

    def draw() -> Figure:
        drawn, ax = new_figure(3.2)
        ax.plot(labels, errors, color=KNOWN, marker="o", ms=4, lw=1.2, label="test structures")
        if met:
            ax.plot(*zip(*met, strict=True), color=CHOSEN, marker="s", ms=4, lw=0, mfc="none",
                    label="new labels, by the model before")  # fmt: skip
        if goal is not None:
            ax.axhline(1000 * goal, color=MUTED, ls="--", lw=0.9, label="goal")
        ax.set_yscale("log")
        ax.set(xlabel="labels", ylabel="force MAE (meV/Å)")
        _whole(ax)
        plain_log(ax.yaxis)
        ax.legend()
        return drawn

    return figure(
        svg("error", f"Force error from {number(errors[0])} to {number(errors[-1])} meV/Å.", draw),
        "Mean absolute error of a force component after each round, by the labels asked for until then. Squares: what"
        " the model before made of the structures chosen in the round; they are chosen to be hard.",
    )


def _grades(history: History) -> str:
    walked = [one for one in history.complete if "explore" in one.stages]
    if not walked:
        return "<p>No walk is finished yet.</p>"
    goal = history.settings.get("goal", {}).get("gamma")

    def draw() -> Figure:
        drawn, ax = new_figure(2.8)
        graded = [
            one for one in walked if one.stages["explore"]["gamma_largest"] > 0
        ]  # else nothing was found
        largest = [_shown(one.stages["explore"]["gamma_largest"]) for one in graded]
        ax.plot(
            [one.number for one in graded], largest, color=POOL, marker="^", ms=4, lw=1.0, label="largest"
        )
        inside = [(one.number, _shown(one.gamma)) for one in walked if one.gamma is not None]
        if inside:
            ax.plot(*zip(*inside, strict=True), color=KNOWN, marker="o", ms=4, lw=1.2, label="quantile")
        if goal is not None:
            ax.axhline(goal, color=MUTED, ls="--", lw=0.9, label="goal")
        ax.set_yscale("log")
        ax.set(xlabel="round", ylabel="γ", xlim=(walked[0].number - 0.5, walked[-1].number + 0.5))
        ax.set_ylim(min([0.5, *largest]) / 1.3, max([10.0, *largest]) * 1.5)
        _whole(ax)
        plain_log(ax.yaxis)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
        return drawn

    last = walked[-1].stages["explore"]
    if last.get("looks") == 0:  # rounds of older versions do not count them
        return figure(
            svg("grade", "Extrapolation grades of the structures found in each round.", draw),
            f"Largest grade (up to {MOST:g}) of the structures that biased walks found, by the model before; grades are"
            " not looked at on their way. In the last round, fewer than asked for were found at"
            f" {count(last['stopped'])} of {plural(len(last['walks']), 'temperature')}.",
        )
    return figure(
        svg("grade", "Extrapolation grades of the walks of each round.", draw),
        f"Grades (up to {MOST:g}) along the walks of each round, by the model before. In the last,"
        f" {count(last['stopped'])} of {plural(len(last['walks']), 'walk')} ended early; a quantile is missing"
        " where too many did.",
    )


def _shown(gamma: float) -> float:
    """A grade as it is drawn: the first models know so little that theirs have no meaning but "large"."""
    return min(max(gamma, 1e-2), MOST)


def _whole(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _cost(rounds: Sequence[Round]) -> str:
    if not rounds:
        return "<p>Nothing yet.</p>"

    def draw() -> Figure:
        drawn, ax = new_figure(2.8)
        base = np.zeros(len(rounds))
        x = [one.number for one in rounds]
        for stage in STAGES:
            height = np.array([one.seconds.get(stage, 0.0) for one in rounds])
            ax.bar(x, height, bottom=base, color=_SHADES[stage], hatch=_HATCH[stage], label=stage, width=0.7)
            base += height
        ax.set(xlabel="round", ylabel="wall time (s)")
        _whole(ax)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(STAGES), columnspacing=1.2)
        return drawn

    total = sum(one.stages.get("label", {}).get("oracle_seconds", 0.0) for one in rounds)
    return figure(
        svg("cost", "Wall time of every stage of every round.", draw),
        f"Wall time by stage, from the last beginning of each. The oracle calculated {seconds(total)} in all; labels"
        f" cost {number(rounds[-1].cost)} in the unit of the settings.",
    )


def _rounds(rounds: Sequence[Round]) -> str:
    heads = ["round", "candidates", "chosen", "labelled", "labels so far", "functions", "γ", "force MAE (meV/Å)",
             "energy MAE (meV/atom)", "seconds"]  # fmt: skip
    rows: list[list[object]] = []
    for one in rounds:
        walked = one.stages.get("explore", {})
        rows.append(
            [
                one.number,
                walked.get("candidates", "–"),
                one.stages.get("select", {}).get("selected", "–"),
                one.stages.get("label", {}).get("labelled", "–"),
                one.asked,
                one.stages.get("fit", {}).get("size", "–"),
                _gamma(one) if walked else "–",
                _milli(one.force_mae),
                _milli(one.energy_mae),
                f"{sum(one.seconds.values()):.1f}",
            ]
        )
    failed = [
        f"round {one.number}: {why}"
        for one in rounds
        for why in one.stages.get("label", {}).get("failed", ())
    ]
    made = table("Every round", heads, rows, numeric=range(len(heads)), heard=True)
    if failed:
        made += (
            "<h3>Structures without a label</h3><ul>"
            + "".join(f"<li>{text(why)}</li>" for why in failed)
            + "</ul>"
        )
    return made


def _record(history: History) -> str:
    pairs = [("Folder", f"<code>{text(history.folder)}</code>")]
    for name, told in history.settings.items():
        if isinstance(told, dict):
            said = "; ".join(f"{key} = {value}" for key, value in told.items())
            pairs.append((name.capitalize(), f"<code>{text(said)}</code>"))
        elif name == "seed":
            pairs.append(("Seed", text(told)))
    if history.model is not None:
        pairs.append(("Potential", f"<code>{text(history.model)}</code>"))
    notes = [note for one in history.rounds[-1:] for note in one.stages.get("fit", {}).get("notes", ())]
    said = "".join(f"<li>{sentence(note)}</li>" for note in dict.fromkeys(notes))
    return facts(pairs) + (f'<h3>Notes</h3><ul class="notes">{said}</ul>' if said else "")
