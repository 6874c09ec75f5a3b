"""Which frames go beyond a limit that a user has set? Forces too large, atoms too close.

Other than unusable frames, these could be computed; somebody has decided that they are not worth it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.structures.contacts import contacts
from aliquot.structures.elements import symbols
from aliquot.structures.frames import Frames
from aliquot.structures.screening import Exclusion

__all__ = ["Sieved", "sieve"]


@dataclass(frozen=True, eq=False)
class Sieved:
    """What limits leave.

    Parameters
    ----------
    frames : Frames
        Those within all limits.
    kept : (n,) array of int
        Their positions among all.
    exclusions : tuple of Exclusion
        The others, each with the value that was too much.
    removed : dict of str to int
        Frames lost to each limit, ``{"max_force=30": 91}``; a frame beyond both counts for the first.
    notes : tuple of str
    """

    frames: Frames
    kept: NDArray[np.int64]
    exclusions: tuple[Exclusion, ...]
    removed: dict[str, int]
    notes: tuple[str, ...]


def sieve(frames: Frames, *, max_force: float | None = None, min_distance: float | None = None) -> Sieved:
    """Leave out frames with a force above ``max_force`` or two atoms nearer than ``min_distance``.

    Parameters
    ----------
    frames : Frames
        With finite positions and cells.
    max_force : float, optional
        eV/Å. Frames without forces stay, and are counted.
    min_distance : float, optional
        Å, periodic images included.

    Raises
    ------
    InputError
        If a limit is not a positive number.

    Examples
    --------
    >>> from ase import Atoms
    >>> pair = Frames.from_atoms([Atoms("H2", [(0, 0, 0), (0, 0, d)]) for d in (0.5, 0.8)], source="h2")
    >>> sieved = sieve(pair, min_distance=0.6)
    >>> print(sieved.removed, sieved.exclusions[0])
    {'min_distance=0.6': 1} h2, frame 0: atoms 0 (H) and 1 (H) are 0.5 Å apart; min_distance=0.6
    """
    for name, value in (("max_force", max_force), ("min_distance", min_distance)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} must be positive and finite; got {value}")
    found: dict[int, str] = {}
    removed: dict[str, int] = {}
    notes: list[str] = []
    if max_force is not None:
        found = _too_forceful(frames, max_force)
        removed[f"max_force={max_force:g}"] = len(found)
        if without := int(np.sum(~frames.forces.present)):
            notes.append(
                f"{without} of {len(frames)} frames have no forces, so max_force says nothing about them"
            )
    if min_distance is not None:
        near = _too_near(frames, min_distance)
        removed[f"min_distance={min_distance:g}"] = len(near.keys() - found.keys())
        found = {**near, **found}
    out = sorted(found)
    kept = np.setdiff1d(np.arange(len(frames)), out)
    notes += [f"{limit} removed {n} of {len(frames)} frames" for limit, n in removed.items()]
    exclusions = tuple(Exclusion(frames.files[frames.file[i]], int(frames.frame[i]), found[i]) for i in out)
    return Sieved(frames[kept] if out else frames, kept, exclusions, removed, tuple(notes))


def _too_forceful(frames: Frames, limit: float) -> dict[int, str]:
    norms = np.linalg.norm(frames.forces.values, axis=1)
    beyond = np.flatnonzero(norms > limit)
    owner = np.searchsorted(frames.offsets, beyond, side="right") - 1
    said: dict[int, str] = {}
    for i in np.unique(owner).tolist():
        own = norms[frames.offsets[i] : frames.offsets[i + 1]]
        atom = int(np.nanargmax(own))
        said[i] = f"the force on atom {atom} is {own[atom]:.4g} eV/Å; max_force={limit:g}"
    return said


def _too_near(frames: Frames, limit: float) -> dict[int, str]:
    said: dict[int, str] = {}
    for i, (a, b, distance, _) in contacts(frames, np.ones(len(frames), bool), 0.0, limit).items():
        one, other = symbols(frames.numbers[frames.offsets[i] + np.array([a, b])])
        said[i] = f"atoms {a} ({one}) and {b} ({other}) are {distance:.3g} Å apart; min_distance={limit:g}"
    return said
