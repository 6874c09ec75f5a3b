"""What came back from codes that ran elsewhere? Matched by id, and looked at: the same atoms, in the same places."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms

from aliquot.errors import InputError
from aliquot.oracle.evaluation import keys_of
from aliquot.oracle.jobs import STRUCTURE, read_plan
from aliquot.oracle.judging import Limits, assemble
from aliquot.oracle.record import Answer, Labelled
from aliquot.oracle.store import Failure
from aliquot.oracle.templates import Template, template_of
from aliquot.progress import Progress, silent
from aliquot.structures import Frames

__all__ = ["TOLERANCE", "collect_jobs"]

#: Positions and cells that come back may differ by so much from those sent, Å: outputs are rounded.
TOLERANCE: Final = 1e-3


def collect_jobs(
    frames: Frames,
    folder: Path | str,
    *,
    limits: Limits | None = None,
    known: Frames | None = None,
    energy: str = "free_energy",
    progress: Progress = silent,
) -> Labelled:
    """Make labels of what came back.

    Parameters
    ----------
    frames : Frames
        Structures to be labelled; their jobs are found by content, in any order.
    folder : Path
        As of :func:`write_jobs`, wherever its parts are by now.
    limits, known, energy
        As of :func:`~aliquot.oracle.label`.
    progress : callable

    Raises
    ------
    InputError
        If the folder holds no jobs, or two of them answer for one structure.
    """
    root = Path(folder)
    plan = read_plan(root)
    code = template_of(str(plan["about"]["template"]))
    keys = keys_of(frames)
    wanted, answers = set(keys), dict[str, Answer]()
    failures: dict[str, Failure | None] = {}
    answered_by: dict[str, Path] = {}
    places = sorted(root.rglob(STRUCTURE))
    for done, place in enumerate(places):
        sent = _read_sent(place)
        key = str(sent["id"])
        if key in wanted:
            found = _collect_one(code, place.parent, sent)
            if isinstance(found, Answer):
                if key in answers:
                    raise InputError(
                        f"{answered_by[key]} and {place.parent} answer for one structure; leave one"
                    )
                answers[key], answered_by[key] = found, place.parent
                failures.pop(key, None)
            elif key not in answers:
                failures[key] = found
        progress("collect jobs", done + 1, len(places))
    record = assemble(
        frames,
        keys,
        answers,
        failures,
        oracle=code.name,
        fingerprint=str(plan["fingerprint"]),
        limits=limits or Limits(),
        known=known,
        energy=energy,
    )
    return replace(record, computed=len(answers))


def _read_sent(path: Path) -> dict[str, Any]:
    try:
        sent = json.loads(path.read_text(encoding="utf-8"))
        order = np.asarray(sent["order"], np.int64)
        return {
            "id": str(sent["id"]),
            "numbers": np.asarray(sent["numbers"], np.int64)[order],
            "positions": np.asarray(sent["positions"], np.float64)[order],
            "cell": np.asarray(sent["cell"], np.float64),
            "order": order,
        }
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{path} is damaged ({type(error).__name__}); restore it or remove its job"
        ) from error


def _collect_one(code: Template, folder: Path, sent: Mapping[str, Any]) -> Answer | Failure:
    """The answer of one job, in the order in which its atoms were given; or why there is none."""
    try:
        found = code.read(folder)
    except Exception as error:  # parsers meet every kind of broken file
        return Failure(f"{folder.name}: the output cannot be read ({type(error).__name__}: {error})", 1)
    if found.atoms is None:
        return Failure(f"{folder.name}: {found.problem}", 1 if found.complete else 0)
    if (why := _differs(found.atoms, sent)) is not None:
        return Failure(f"{folder.name}: the output is of another structure: {why}", 1)
    results = getattr(found.atoms.calc, "results", {})
    energy, forces, stress = (results.get(name) for name in ("energy", "forces", "stress"))
    if energy is None:
        return Failure(f"{folder.name}: the output has no energy", 1)
    if forces is not None:
        given = np.empty((len(sent["order"]), 3))
        given[sent["order"]] = np.asarray(forces, np.float64)
        forces = given
    free = results.get("free_energy")
    return Answer(
        energy=float(energy),
        free_energy=None if free is None else float(free),
        forces=forces,
        stress=None if stress is None else np.asarray(stress, np.float64),
        converged=found.converged,
    )


def _differs(atoms: Atoms, sent: Mapping[str, Any]) -> str | None:
    """How a structure that came back differs from the one that was sent; atoms may be in another image."""
    if len(atoms) != len(sent["numbers"]):
        return f"{len(atoms)} atoms came back, {len(sent['numbers'])} were sent"
    if (atoms.numbers != sent["numbers"]).any():
        atom = int(np.argmax(atoms.numbers != sent["numbers"]))
        return f"atom {atom} of the input is {atoms.symbols[atom]}, another element was sent"
    cell = sent["cell"]
    if (gap := np.abs(atoms.cell.array - cell).max()) > TOLERANCE:
        return f"its cell differs by {gap:.3g} Å"
    fractional = np.linalg.solve(cell.T, (atoms.positions - sent["positions"]).T).T
    away = np.linalg.norm((fractional - np.round(fractional)) @ cell, axis=1)
    if (gap := away.max()) > TOLERANCE:
        return f"atom {int(np.argmax(away))} of the input is {gap:.3g} Å from where it was sent"
    return None
