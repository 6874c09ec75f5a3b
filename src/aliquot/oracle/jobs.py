"""How do codes that run elsewhere label? One folder per structure goes out; whatever comes back is matched by its id.

``FOLDER/KEY/`` holds the input, ``structure.json`` (the id and the structure that was sent) and ``run.sh``;
``FOLDER/jobs.json`` says how the inputs were made, ``FOLDER/jobs.txt`` lists the folders for array jobs. Folders may be
moved and renamed in between: what counts is ``structure.json``. An output whose atoms are not where they were sent is
told and not used.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.oracle.evaluation import structure_of, to_atoms
from aliquot.oracle.labelling import keys_of
from aliquot.oracle.source import content_hash, fingerprint_of, plain
from aliquot.oracle.store import write_whole
from aliquot.oracle.templates import Template, template_of
from aliquot.progress import Progress, silent
from aliquot.structures import Frames

__all__ = ["STRUCTURE", "JobsWritten", "read_plan", "write_jobs"]

#: In each job: its id, and the structure that was sent.
STRUCTURE: Final = "structure.json"
_JOBS: Final = "jobs.json"
_FORMAT: Final = "aliquot-jobs"


@dataclass(frozen=True)
class JobsWritten:
    """What :func:`write_jobs` did: jobs written now, and those that were there."""

    folder: Path
    written: int
    kept: int
    fingerprint: str
    notes: tuple[str, ...] = ()


def write_jobs(
    frames: Frames,
    folder: Path | str,
    *,
    template: str,
    parameters: Mapping[str, Any] | None = None,
    files: Iterable[Path | str] = (),
    script: str | None = None,
    progress: Progress = silent,
) -> JobsWritten:
    """Write a folder for each structure, to be calculated elsewhere.

    Parameters
    ----------
    frames : Frames
        Equal ones get one folder.
    folder : Path
        New, or of an earlier call with the same template, parameters and files; then only what is missing is written.
    template : str
        ``espresso`` or ``vasp``.
    parameters : mapping
        Of the template.
    files : iterable of Path
        Copied into every folder, over what the template wrote under the same name.
    script : str, optional
        Text of a script; ``{{id}}``, ``{{formula}}`` and ``{{n_atoms}}`` are filled in. By default it runs the code.
    progress : callable

    Raises
    ------
    InputError
        If a structure has no cell, the parameters will not do, or the folder is of other jobs or cannot be written to.
    """
    code = template_of(template)
    parameters, copied = dict(parameters or {}), [Path(file) for file in files]
    about = {"template": template, "parameters": plain(parameters), "files": _contents(copied)}
    root, fingerprint = Path(folder), fingerprint_of(about)
    _check_cells(frames)
    first = {key: i for i, key in reversed(list(enumerate(keys_of(frames))))}
    text = _script(script) if script is not None else f'#!/bin/sh\ncd "$(dirname "$0")" && {code.script}\n'
    written = 0
    try:
        root.mkdir(parents=True, exist_ok=True)
        _begin(root, about, fingerprint)
        there = {str(json.loads(path.read_text(encoding="utf-8"))["id"]) for path in root.rglob(STRUCTURE)}
        for done, (key, i) in enumerate(sorted(first.items(), key=lambda item: item[1])):
            if key not in there:
                _write_job(root / key, key, structure_of(frames, i), code, parameters, copied, text)
                written += 1
            progress("write jobs", done + 1, len(first))
        names = sorted(str(path.parent.relative_to(root)) for path in root.rglob(STRUCTURE))
        write_whole(root / "jobs.txt", "".join(f"{name}\n" for name in names))
    except OSError as error:
        raise InputError(f"jobs cannot be written to {folder}: {error.strerror or error}") from error
    return JobsWritten(root, written, len(first) - written, fingerprint, _notes(template, parameters, copied))


def _contents(files: Iterable[Path]) -> dict[str, str]:
    contents: dict[str, str] = {}
    for file in files:
        if not file.is_file():
            raise InputError(f"{file} is not a file; name files that every job needs")
        if file.name in contents or file.name == STRUCTURE:
            raise InputError(f"two files of every job would be called {file.name}; rename one")
        contents[file.name] = content_hash(file)
    return contents


def _check_cells(frames: Frames) -> None:
    bad = np.flatnonzero(frames.volumes <= 0)
    if len(bad):
        raise InputError(
            f"{frames.ids_name(int(bad[0]))} has no cell that spans a volume, which plane waves need; give it one"
        )


def _begin(root: Path, about: Mapping[str, Any], fingerprint: str) -> None:
    """Sign the folder, or see that it is signed alike; remove what an earlier call was writing."""
    if (root / _JOBS).exists():
        plan = read_plan(root)
        if plan["fingerprint"] != fingerprint:
            differs = [k for k in about if plan["about"].get(k) != about[k]]
            raise InputError(f"{root} holds jobs with other {' and '.join(differs)}; name another folder")
    elif any(not entry.name.startswith(".") for entry in root.iterdir()):
        raise InputError(f"{root} holds other things; name a new or empty folder")
    else:
        plan = {"format": _FORMAT, "version": 1, "fingerprint": fingerprint, "about": about}
        write_whole(root / _JOBS, json.dumps(plan, indent=1))
    for rest in root.glob(".job-*"):
        shutil.rmtree(rest, ignore_errors=True)


def _write_job(
    place: Path,
    key: str,
    structure: Mapping[str, Any],
    code: Template,
    parameters: Mapping[str, Any],
    files: Iterable[Path],
    script: str,
) -> None:
    order = _grouped(structure["numbers"])
    atoms = to_atoms(structure)[order]
    aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=".job-"))
    try:
        code.write(aside, atoms, parameters)
        for file in files:
            shutil.copyfile(file, aside / file.name)
        fills = {"id": key, "formula": atoms.get_chemical_formula(), "n_atoms": str(len(atoms))}
        (aside / "run.sh").write_text(_filled(script, fills), encoding="utf-8")
        (aside / "run.sh").chmod(0o755)
        sent = {
            "id": key,
            "numbers": structure["numbers"].tolist(),
            "positions": structure["positions"].tolist(),
            "cell": structure["cell"].tolist(),
            "pbc": structure["pbc"].tolist(),
            "order": order.tolist(),
        }
        (aside / STRUCTURE).write_text(json.dumps(sent), encoding="utf-8")
        aside.chmod(0o755)
        os.rename(aside, place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _grouped(numbers: NDArray[Any]) -> NDArray[np.int64]:
    """Atoms by element, in the order in which the elements first appear."""
    _, first, kind = np.unique(numbers, return_index=True, return_inverse=True)
    return np.argsort(first[kind], kind="stable")


def _script(text: str) -> str:
    unknown = set(re.findall(r"\{\{(.*?)\}\}", text)) - {"id", "formula", "n_atoms"}
    if unknown:
        raise InputError(
            f"the script asks for {{{{{sorted(unknown)[0]}}}}}; there are {{{{id}}}}, {{{{formula}}}}, {{{{n_atoms}}}}"
        )
    return text


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def _notes(template: str, parameters: Mapping[str, Any], files: Iterable[Path]) -> tuple[str, ...]:
    names = {file.name for file in files}
    if template == "vasp" and "potcars" not in parameters and "POTCAR" not in names:
        return ("no POTCAR was written; name them in potcars of the parameters, or add them on the cluster",)
    return ()


def read_plan(root: Path) -> dict[str, Any]:
    """What ``jobs.json`` says.

    Raises
    ------
    InputError
        If it is not there, or not of jobs.
    """
    try:
        plan = json.loads((root / _JOBS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{root} holds no jobs of aliquot label --write-jobs ({_JOBS}: {error})") from error
    if not isinstance(plan, dict) or plan.get("format") != _FORMAT or not isinstance(plan.get("about"), dict):
        raise InputError(f"{root / _JOBS} was not written by aliquot label --write-jobs")
    return plan
