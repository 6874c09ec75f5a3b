"""Where does an interrupted search go on? At its last checkpoint: one numpy zip, no pickle, replaced as a whole.

It holds the structures found (with their labels, where they have some), the walk under way, the root of the covariance
and the state of the random generator: all that the future depends on. A digest of the question refuses the
checkpoint of another one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.explore.biased import Strength
from aliquot.explore.record import Pick, WalkRecord
from aliquot.explore.walk import Walk

__all__ = ["SearchState", "load_state", "question", "save_state"]

Array = NDArray[np.float64]

SCHEMA: Final = 1

_LABELS: Final = ("REF_energy", "REF_virial", "REF_forces")


@dataclass
class SearchState:
    """Everything that a search is at one moment.

    Parameters
    ----------
    rng : numpy.random.Generator
    found : list of ase.Atoms
        One per pick, labels under ``REF_`` keys.
    picks, walks : lists of records
    walk : Walk or None
        Under way.
    root : (k, m) array or None
        Of the covariance; None before the first structure.
    quiet : int
        Walks in a row that found nothing.
    labelled : int
        How many of the structures have labels that the model has been fitted to.
    seconds : float
    """

    rng: np.random.Generator
    found: list[Atoms] = field(default_factory=list[Atoms])
    picks: list[Pick] = field(default_factory=list[Pick])
    walks: list[WalkRecord] = field(default_factory=list[WalkRecord])
    walk: Walk | None = None
    root: Array | None = None
    quiet: int = 0
    labelled: int = 0
    seconds: float = 0.0


def question(**parts: Any) -> str:
    """What tells searches apart: a digest of settings and arrays."""
    h = hashlib.blake2b(digest_size=16)
    for name, part in sorted(parts.items()):
        h.update(name.encode())
        if isinstance(part, np.ndarray):
            h.update(np.ascontiguousarray(part).tobytes())
        else:
            h.update(json.dumps(part, sort_keys=True).encode())
    return h.hexdigest()


def save_state(path: Path, state: SearchState, asked: str) -> None:
    """Write the state; complete or not at all.

    Raises
    ------
    InputError
        If the place cannot be written to.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for i, atoms in enumerate(state.found):
        arrays |= _arrays_of(atoms, f"found.{i}")
    header: dict[str, Any] = {
        "format": "aliquot-search",
        "schema": SCHEMA,
        "asked": asked,
        "rng": state.rng.bit_generator.state,
        "picks": [vars(pick) for pick in state.picks],
        "walks": [vars(walk) for walk in state.walks],
        "quiet": state.quiet,
        "labelled": state.labelled,
        "seconds": state.seconds,
        "walk": None,
    }
    if state.root is not None:
        arrays["root"] = state.root
    if (walk := state.walk) is not None:
        arrays |= _arrays_of(walk.atoms, "walk") | {"walk.velocities": walk.atoms.get_velocities()}
        names = ("number", "start", "step", "tried", "accepted", "largest")
        header["walk"] = {name: getattr(walk, name) for name in names}
        header["walk"]["recent"] = walk.strength.recent
        header["walk"]["relative"], header["walk"]["window"] = walk.strength.relative, walk.strength.window
    _write(path, header, arrays)


def load_state(path: Path, asked: str) -> SearchState:
    """Read what :func:`save_state` wrote.

    Raises
    ------
    InputError
        If it is damaged, or belongs to another search.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read("search.json"))
            if header.get("format") != "aliquot-search" or header.get("schema") != SCHEMA:
                raise InputError("it is not a search of this version")
            if header["asked"] != asked:
                raise InputError(
                    "it belongs to a search with other settings, structures or model; name another file, or remove it"
                )
            arrays = {
                name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
                if name.endswith(".npy")
            }
        return _restored(header, arrays)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be continued: {error}") from error


def _restored(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> SearchState:
    rng = np.random.default_rng()
    rng.bit_generator.state = header["rng"]
    walk = None
    if (told := header["walk"]) is not None:
        atoms = _atoms_from(arrays, "walk")
        atoms.set_velocities(arrays["walk.velocities"])
        recent = [(float(a), float(b)) for a, b in told.pop("recent")]
        strength = Strength(told.pop("relative"), told.pop("window"), recent)
        walk = Walk(atoms=atoms, strength=strength, **told)
    return SearchState(
        rng,
        [_atoms_from(arrays, f"found.{i}") for i in range(len(header["picks"]))],
        [Pick(**pick) for pick in header["picks"]],
        [WalkRecord(**one) for one in header["walks"]],
        walk,
        arrays.get("root"),
        int(header["quiet"]),
        int(header["labelled"]),
        float(header["seconds"]),
    )


def _arrays_of(atoms: Atoms, name: str) -> dict[str, NDArray[Any]]:
    out: dict[str, NDArray[Any]] = {
        f"{name}.numbers": atoms.numbers.astype(np.int64),
        f"{name}.positions": atoms.positions,
        f"{name}.cell": atoms.cell.array,
        f"{name}.pbc": np.asarray(atoms.pbc, bool),
        f"{name}.masses": atoms.get_masses(),
    }
    for key in _LABELS:
        label = atoms.info.get(key, atoms.arrays.get(key))
        if label is not None:
            out[f"{name}.{key}"] = np.asarray(label, np.float64)
    return out


def _atoms_from(arrays: dict[str, NDArray[Any]], name: str) -> Atoms:
    atoms = Atoms(
        arrays[f"{name}.numbers"],
        positions=arrays[f"{name}.positions"],
        cell=arrays[f"{name}.cell"],
        pbc=arrays[f"{name}.pbc"],
    )
    if not np.array_equal(atoms.get_masses(), arrays[f"{name}.masses"]):
        atoms.set_array("masses", arrays[f"{name}.masses"])
    for key in _LABELS:
        if (label := arrays.get(f"{name}.{key}")) is not None:
            if key == "REF_forces":
                atoms.arrays[key] = label
            else:
                atoms.info[key] = float(label) if label.ndim == 0 else label
    return atoms


def _write(path: Path, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    try:
        handle, working = tempfile.mkstemp(prefix=".aliquot-", dir=path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr("search.json", json.dumps(header))
            for name, array in arrays.items():
                numbers = io.BytesIO()
                np.save(numbers, np.ascontiguousarray(array), allow_pickle=False)
                archive.writestr(f"{name}.npy", numbers.getvalue())
        os.replace(working, path)
    except OSError as error:
        Path(working).unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    except BaseException:
        Path(working).unlink(missing_ok=True)
        raise
