"""What survives when a generation is stopped? Everything up to the last line of its journal.

A folder with the recipe, the accepted structures (appended), a table of numbers (appended), and the state, which is
replaced as a whole and says how much of the other two belongs to it. What was appended after the last state is cut
off when the folder is opened again.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.explore.entropy import Gaussians, Standard
from aliquot.explore.recipe import Recipe
from aliquot.explore.state import State

__all__ = ["Journal"]

_RECIPE, _STATE, _STRUCTURES, _TABLE = "recipe.json", "state.npz", "structures.xyz", "numbers.f64"
_SCALARS: Final = ("weight", "attempts", "accepted", "verdicts", "history", "seconds")


class Journal:
    """The folder of one generation, as a context: held, nobody else writes there.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    recipe : Recipe

    Raises
    ------
    InputError
        If the folder holds something else, or the journal of another recipe, is in use, or cannot be written.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe
        wanted = json.loads(json.dumps(recipe.to_dict()))
        self._release = _held(folder)
        try:
            there = sorted(path.name for path in folder.iterdir())
            if _RECIPE in there:
                _check_same(folder, json.loads((folder / _RECIPE).read_text(encoding="utf-8")), wanted)
            elif there:
                raise InputError(f"{folder} holds {there[0]!r} and no generation; name a new or empty folder")
            else:
                _replace(folder / _RECIPE, (json.dumps(wanted, indent=1) + "\n").encode())
        except (OSError, ValueError) as error:
            self._release()
            if isinstance(error, InputError):
                raise
            raise InputError(f"cannot keep a generation in {folder}: {error}") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    @property
    def structures(self) -> Path:
        """The accepted structures, extended XYZ."""
        return self.folder / _STRUCTURES

    def load(self) -> State | None:
        """The last state, with the files cut to what belongs to it; None at the beginning."""
        place = self.folder / _STATE
        if not place.exists():
            for name in (_STRUCTURES, _TABLE):
                (self.folder / name).write_bytes(b"")
            return None
        try:
            with np.load(place, allow_pickle=False) as arrays:
                said = json.loads(str(arrays["record"]))
                held: dict[str, NDArray[np.float64]] = {
                    name: arrays[name] for name in arrays.files if name != "record"
                }
            for name in (_STRUCTURES, _TABLE):
                path = self.folder / name
                if path.stat().st_size < said["bytes"][name]:
                    raise ValueError(f"{name} is shorter than it was")
                os.truncate(path, said["bytes"][name])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(
                f"the generation in {self.folder} is damaged: {error}; begin in a new folder"
            ) from error
        ridge = self.recipe.ridge
        return State(
            Standard(held["mean"], held["inverse"]),
            Gaussians(held["known_count"], held["known_moment"], ridge),
            Gaussians(held["packed_count"], held["packed_moment"], ridge),
            **{name: said[name] for name in _SCALARS},
        )

    def discard(self) -> None:
        """Remove the folder if nothing has come of it yet."""
        if not (self.folder / _STATE).exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def append(self, state: State, text: str, table: NDArray[np.float64]) -> None:
        """Structures and numbers that were accepted since, and the state after them."""
        for name, data in ((_STRUCTURES, text.encode()), (_TABLE, table.astype("<f8").tobytes())):
            with open(self.folder / name, "ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        said: dict[str, Any] = {name: getattr(state, name) for name in _SCALARS}
        said["bytes"] = {name: (self.folder / name).stat().st_size for name in (_STRUCTURES, _TABLE)}
        buffer = BytesIO()
        np.savez(
            buffer,
            record=np.array(json.dumps(said, allow_nan=False)),
            mean=state.standard.mean,
            inverse=state.standard.inverse,
            known_count=state.known.count,
            known_moment=state.known.moment,
            packed_count=state.packed.count,
            packed_moment=state.packed.moment,
        )
        _replace(self.folder / _STATE, buffer.getvalue())

    def table(self, columns: int) -> NDArray[np.float64]:
        """All numbers that were appended, (n_accepted, columns)."""
        return np.fromfile(self.folder / _TABLE, "<f8").reshape(-1, columns)


def _held(folder: Path) -> Callable[[], None]:
    """Make the folder if need be and lock it; call the answer to let others in."""
    from aliquot.features.writing import locked

    try:
        return locked(folder)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot keep a generation in {folder}: {error}") from error


def _check_same(folder: Path, there: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse a folder of another recipe; name what differs."""
    unlike = [name for name in wanted if there.get(name) != wanted[name]]
    if unlike:
        name = next((n for n in unlike if n != "basis"), unlike[0])
        values = "" if name == "basis" else f", {there.get(name)} there and {wanted[name]} here"
        raise InputError(
            f"{folder} holds a generation of another recipe ({name} differs{values}); name another folder, or the same"
            " parameters to go on"
        )


def _replace(place: Path, data: bytes) -> None:
    """The whole file or the old one."""
    aside = place.with_name(f".{place.name}.new")
    with open(aside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, place)
