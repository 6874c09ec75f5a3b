"""Where does the model meet what it does not know? Walks at a ladder of temperatures, each under guard of the grade."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.campaign.folder import Folder, write_json
from aliquot.campaign.hyperactive import search
from aliquot.campaign.settings import Exploring, Settings
from aliquot.dynamics.engines import ase_engine
from aliquot.dynamics.guarded import CANDIDATES, GRADES, STATE, TRAJECTORY, Guard, run_guarded
from aliquot.progress import Progress, silent
from aliquot.structures import Column, Frames, read, unusable, write
from aliquot.uncertainty import Uncertainty

__all__ = ["explore"]


@dataclass(frozen=True)
class _Walk:
    """One walk of a round."""

    folder: Path
    number: int
    temperature: float
    seed: tuple[int, ...]

    @property
    def record(self) -> Path:
        return self.folder.with_suffix(".json")


def explore(
    place: Folder,
    number: int,
    settings: Settings,
    known: Uncertainty,
    starts: Frames,
    *,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Walk, and gather candidates in ``candidates.xyz`` of the round.

    A walk that was cut goes on from its last state, a finished one is not walked again.

    Parameters
    ----------
    place : Folder
    number : int
        Of the round.
    settings : Settings
        Of the round.
    known : Uncertainty
        Of the last model.
    starts : Frames
        One of which each walk begins with.
    progress : callable

    Returns
    -------
    dict
        What ``explore.json`` holds. ``gamma_quantile`` is of the largest grade at every look of every walk; looks
        that a walk never came to, since it ended, count as above all, and None means that they are too many.
    """
    began = time.perf_counter()
    told = settings.explore
    walks = list(_walks(place.round(number), number, settings))
    for done, walk in enumerate(walks):
        progress("explore", done, len(walks))
        if not walk.record.exists():
            write_json(walk.record, (_go if told.mode == "md" else _search)(walk, told, known, starts))
    progress("explore", len(walks), len(walks))
    found, dropped = _gather(walks, place.tried(number))
    if len(found) > told.pool:
        rng = np.random.default_rng([settings.seed, number, 10**6])
        found = found[np.sort(rng.permutation(len(found))[: told.pool])]
    if len(found):
        write(place.round(number) / "candidates.xyz", found, force=True)
    records = [json.loads(walk.record.read_text("utf-8")) for walk in walks]
    grades, looks = np.array([record["largest"] for record in records]), 0
    if told.mode == "md":
        grades = np.concatenate([_grades(walk.folder) for walk in walks])
        looks = len(walks) * (told.steps // told.every + 1)
    return {
        "candidates": len(found),
        "dropped": dropped,
        "looks": looks and len(grades),
        "gamma_quantile": _quantile(grades, looks, settings.goal.quantile) if looks else None,
        "gamma_largest": float(grades.max(initial=0.0)),
        "stopped": sum(not record["finished"] for record in records),
        "walks": records,
        "seconds": time.perf_counter() - began,
    }


def _walks(folder: Path, number: int, settings: Settings) -> Iterator[_Walk]:
    told = settings.explore
    each = told.walkers if told.mode == "md" else 1
    for k, temperature in enumerate(t for t in told.temperatures for _ in range(each)):
        yield _Walk(folder / f"walk-{k:03d}", k, temperature, (settings.seed, number, k))


def _go(walk: _Walk, told: Exploring, known: Uncertainty, starts: Frames) -> dict[str, Any]:
    """One walk, from its beginning or its last state; its record."""
    rng = np.random.default_rng(walk.seed)
    first = bare(starts[[int(rng.integers(len(starts)))]]).to_atoms()[0]
    first.positions += rng.normal(scale=told.displace, size=first.positions.shape)
    make = ase_engine(
        known,
        timestep=told.timestep,
        temperature=walk.temperature,
        friction=told.friction,
        seed=int(rng.integers(2**31)),
        threads=1,
    )
    again = (walk.folder / STATE).exists()
    if not again:
        shutil.rmtree(walk.folder, ignore_errors=True)
    done = run_guarded(
        known,
        None if again else first,
        make,
        steps=told.steps,
        guard=Guard(told.select, told.stop, told.every, told.spacing, told.dump),
        folder=walk.folder,
        settings={"temperature": walk.temperature, "timestep": told.timestep, "friction": told.friction},
        resume=again,
    )
    return {
        "temperature": walk.temperature,
        "steps": done.steps,
        "finished": done.finished,
        "reason": done.reason,
        "largest": done.largest,
    }


def _search(walk: _Walk, told: Exploring, known: Uncertainty, starts: Frames) -> dict[str, Any]:
    """Biased walks at one temperature, from displaced starts; their record."""
    rng = np.random.default_rng(walk.seed)
    first = bare(starts)
    first = replace(
        first, positions=first.positions + rng.normal(scale=told.displace, size=first.positions.shape)
    )
    return search(walk.folder, told, walk.temperature, known, first, seed=int(rng.integers(2**31)))


def _gather(walks: list[_Walk], tried: set[bytes]) -> tuple[Frames, int]:
    """Structures that were written down, each once, none that was tried or is unusable; how many were left out."""
    parts: list[Frames] = []
    for walk in walks:
        for name in (CANDIDATES, TRAJECTORY):
            if (walk.folder / name).exists():
                some = read(walk.folder / name)
                gamma = some.frame_columns["gamma_max"].values
                some = bare(some).with_frame_column("gamma_max", gamma)
                parts.append(some.with_frame_column("temperature", np.full(len(some), walk.temperature)))
    if not parts:
        return Frames.empty("candidates"), 0
    every = Frames.concatenate(parts)
    bad = {(e.file, e.frame) for e in unusable(every)}
    keep, seen = list[int](), set(tried)
    for i, content in enumerate(every.hashes):
        if bytes(content) not in seen and (every.files[every.file[i]], int(every.frame[i])) not in bad:
            keep.append(i)
            seen.add(bytes(content))
    return every[np.array(keep, np.int64)], len(every) - len(keep)


def bare(frames: Frames) -> Frames:
    """Geometry, charge and spin alone."""
    kept: dict[str, Column] = {
        k: v for k, v in frames.frame_columns.items() if k in ("charge", "spin", "multiplicity")
    }
    return replace(frames, frame_columns=kept, atom_columns={})


def _grades(folder: Path) -> NDArray[np.float64]:
    return np.loadtxt(folder / GRADES, delimiter=",", skiprows=1, ndmin=2)[:, 1]


def _quantile(grades: NDArray[np.float64], looks: int, quantile: float) -> float | None:
    """The grade that this share of all looks does not exceed."""
    rank = int(np.ceil(quantile * max(looks, len(grades)))) - 1
    return float(np.sort(grades)[rank]) if rank < len(grades) else None
