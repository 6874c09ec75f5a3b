"""Explore, select, label, fit, test, and again, until the goal is reached or what may be spent is spent."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from aliquot.ace.potential import AcePotential
from aliquot.campaign.choosing import choose_batch
from aliquot.campaign.exploring import bare, explore
from aliquot.campaign.folder import Folder
from aliquot.campaign.learning import fit_model, judge_model, label_batch, label_start
from aliquot.campaign.record import History, Round
from aliquot.campaign.settings import Goal, Settings, Structures
from aliquot.errors import InputError
from aliquot.oracle import Oracle, open_oracle
from aliquot.progress import Progress, silent
from aliquot.structures import Frames, load, unusable, write
from aliquot.structures import read as read_frames
from aliquot.uncertainty import Uncertainty

__all__ = ["run"]


def run(
    settings: Settings,
    folder: Path | str,
    *,
    oracle: Oracle | Callable[[], Any] | None = None,
    executor: Executor | None = None,
    on_stage: Callable[[History, str], None] | None = None,
    progress: Progress = silent,
) -> History:
    """Run a campaign, or go on with one.

    Parameters
    ----------
    settings : Settings
        A later run may have another goal, and other settings for rounds that have not begun.
    folder : Path
        :mod:`aliquot.campaign.folder`.
    oracle : Oracle or callable, optional
        Instead of the one that the settings name.
    executor : concurrent.futures.Executor, optional
        Where labels are calculated.
    on_stage : callable, optional
        Called with the history and the name of a stage that has just been done.
    progress : callable

    Returns
    -------
    History
        ``ended`` says why.

    Raises
    ------
    InputError, SelectionError
        From a stage; everything done until then is kept, and the same call goes on.
    """
    who = open_oracle(settings.label.oracle) if oracle is None else oracle
    with Folder(folder, settings) as place:
        _copy_structures(place, settings)
        while True:
            history = place.history()
            if ended := verdict(settings.goal, history):
                return replace(history, ended=ended)
            number = next((one.number for one in history.rounds if not one.complete), len(history.rounds))
            told = place.begin(number, settings)
            told = replace(told, goal=settings.goal, label=settings.label)
            stage = _next_stage(place, number, told, who, executor, progress)
            if on_stage is not None:
                after = place.history()
                on_stage(after, stage)


def verdict(goal: Goal, history: History) -> str:
    """Why a campaign ends here; empty while it goes on. Rounds that have begun are brought to their end."""
    if not history.complete or len(history.complete) < len(history.rounds):
        return ""
    last = history.complete[-1]
    if _reached(goal, history):
        return "the goal is reached: " + _words(goal, history)
    if last.dry:
        return f"round {last.number} chose nothing: {last.stages['select']['why']}"
    if goal.labels is not None and last.asked >= goal.labels:
        return f"{last.asked} labels are spent, as many as the goal allows"
    if goal.cost is not None and last.cost >= goal.cost:
        return f"labels for {last.cost:g} are spent, as much as the goal allows"
    if goal.rounds is not None and last.number >= goal.rounds:
        return f"{last.number} rounds are done, as many as the goal allows"
    return ""


def _reached(goal: Goal, history: History) -> bool:
    """Whether the model is as good as asked, by everything that is asked of it."""
    if goal.force_mae is None and goal.gamma is None:
        return False
    error, gamma = _latest(history, "force_mae"), _latest(history, "gamma")
    good = goal.force_mae is None or (error is not None and error <= goal.force_mae)
    return good and (goal.gamma is None or (gamma is not None and gamma <= goal.gamma))


def _latest(history: History, name: str) -> float | None:
    """Of the last round that measured it, even to None."""
    stage = {"force_mae": "test", "gamma": "explore"}[name]
    measured = [one for one in history.rounds if stage in one.stages]
    return getattr(measured[-1], name) if measured else None


def _words(goal: Goal, history: History) -> str:
    parts: list[str] = []
    if goal.force_mae is not None:
        found = 1000 * (_latest(history, "force_mae") or 0.0)
        parts.append(f"forces are wrong by {found:.3g} meV/Å on the test structures")
    if goal.gamma is not None:
        parts.append(f"{goal.quantile:.4g} of grades are at most {_latest(history, 'gamma'):.3g}")
    return ", ".join(parts)


def _next_stage(
    place: Folder,
    number: int,
    settings: Settings,
    oracle: Oracle | Callable[[], Any],
    executor: Executor | None,
    progress: Progress,
) -> str:
    """Do the first stage of a round that is not done; its name."""
    history = place.history()
    now = history.rounds[number]
    stage = now.next_stage
    assert stage is not None
    earlier = replace(history, rounds=history.rounds[:number])
    if stage == "explore":
        found = explore(place, number, settings, _model(earlier), _walkers(place), progress=progress)
    elif stage == "select":
        found = _choose(place, now, earlier, settings, progress)
    elif stage == "label" and number == 0:
        found = label_start(place, settings, oracle, executor=executor, progress=progress)
    elif stage == "label":
        found = label_batch(place, number, settings, oracle, executor=executor, progress=progress)
    elif stage == "fit":
        found = fit_model(place, number, settings, progress=progress)
    else:
        found = judge_model(place, number, earlier.model, progress=progress)
    place.finish(number, stage, found)
    return stage


def _choose(
    place: Folder, now: Round, earlier: History, settings: Settings, progress: Progress
) -> dict[str, Any]:
    """The batch; nothing where the walks showed that the goal is reached already."""
    known = replace(earlier, rounds=(*earlier.rounds, now))
    if settings.goal.gamma is not None and _reached(settings.goal, known):
        return {"selected": 0, "why": "the walks showed that the goal is reached", "seconds": 0.0}
    return choose_batch(place, now, settings, _model(earlier), progress=progress)


def _model(history: History) -> Uncertainty:
    path = history.model
    assert path is not None  # the first round has fitted one
    return Uncertainty.load(path.with_suffix(".active"), AcePotential.load(path))


def _walkers(place: Folder) -> Frames:
    cells = place.place / "cells.xyz"
    return read_frames(cells if cells.exists() else place.place / "start.xyz")


def _copy_structures(place: Folder, settings: Settings) -> None:
    """Copies of what the campaign begins with, so that it no longer matters what becomes of the files.

    Nothing is copied before all of it can be used.
    """
    if place.round(0).exists():
        return
    cells = Structures(settings.explore.structures, "oracle")
    copies: dict[str, Frames] = {}
    for name, told in (("test.xyz", settings.test), ("cells.xyz", cells), ("start.xyz", settings.start)):
        if not told.structures:
            (place.place / name).unlink(missing_ok=True)
            continue
        frames = load(*told.structures).frames
        if bad := unusable(frames):
            raise InputError(f"{bad[0]}; remove it from the file")
        copies[name] = frames if told.labels == "file" else bare(frames)
    for frames in copies.values():
        _same_elements(frames, copies["start.xyz"])
    for name, frames in copies.items():
        write(place.place / name, frames, force=True)


def _same_elements(frames: Frames, start: Frames) -> None:
    """Refuse elements that nothing at the start teaches: the first model would know nothing of them, nor say so."""
    from ase.data import chemical_symbols

    if unknown := sorted(set(frames.elements) - set(start.elements)):
        raise InputError(
            f"{', '.join(chemical_symbols[z] for z in unknown)} of {frames.files[0]} is in no structure of [start];"
            " add some with it"
        )
