"""Which frames cannot be what they claim to be, and which are the same? Found here, with the values.

A frame is unusable when its positions or cell are not finite, when its periodic axes span no volume, when a label
is no number of the right shape, or when two atoms lie closer than a stated fraction of their covalent radii.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.structures.columns import Column
from aliquot.structures.elements import symbols
from aliquot.structures.frames import Frames

__all__ = ["CLOSEST", "OVERLAP", "Exclusion", "exact_duplicates", "overlaps", "problems", "unusable"]

#: Two atoms closer than this fraction of the sum of their covalent radii overlap.
OVERLAP: Final = 0.35

#: Two atoms closer than this overlap whatever they are, Å.
CLOSEST: Final = 0.1

#: Sine of an angle between periodic axes below which they span no volume.
_FLAT: Final = 1e-6


@dataclass(frozen=True)
class Exclusion:
    """A frame that was left out, and why; frame -1 means the whole file."""

    file: str
    frame: int
    problem: str

    def __str__(self) -> str:
        where = self.file if self.frame < 0 else f"{self.file}, frame {self.frame}"
        return f"{where}: {self.problem}"


def unusable(frames: Frames, *, overlap: float | None = OVERLAP) -> list[Exclusion]:
    """Frames that no method can use, each with what was found; none of them is removed.

    Parameters
    ----------
    frames : Frames
    overlap : float or None
        Fraction of the sum of covalent radii below which two atoms overlap; None to accept any distance.

    Examples
    --------
    >>> from ase import Atoms
    >>> pair = Frames.from_atoms([Atoms("H2", [(0, 0, 0), (0, 0, 0.05)])], source="pair")
    >>> print(unusable(pair)[0])
    pair, frame 0: atoms 0 (H) and 1 (H) are 0.05 Å apart; less than 0.217 Å counts as overlap
    """
    found = problems(frames, overlap=overlap)
    return [Exclusion(frames.files[frames.file[i]], int(frames.frame[i]), found[i]) for i in sorted(found)]


def problems(frames: Frames, *, overlap: float | None) -> dict[int, str]:
    """The first problem of every unusable frame, by its position in ``frames``."""
    found: dict[int, str] = {}
    checks = [_not_finite(frames), _no_volume(frames), _bad_labels(frames)]
    for check in checks:
        for i, problem in check:
            found.setdefault(i, problem)
    if overlap is not None:
        sound = np.array([i not in found for i in range(len(frames))], bool)
        for i, problem in overlaps(frames, sound, overlap):
            found.setdefault(i, problem)
    return found


# --- geometry -----------------------------------------------------------------------------------------------


def _not_finite(frames: Frames) -> Iterator[tuple[int, str]]:
    finite = np.isfinite(frames.positions)
    if not finite.all():
        bad = np.logical_not(np.all(finite, axis=1))
        which = np.searchsorted(frames.offsets, np.flatnonzero(bad), side="right") - 1
        for i in np.unique(which):
            atom = int(np.argmax(bad[frames.offsets[i] : frames.offsets[i + 1]]))
            value = frames.positions[frames.offsets[i] + atom].tolist()
            yield int(i), f"position of atom {atom} is not finite: {value}"
    for i in np.flatnonzero(~_finite_cells(frames)):
        yield int(i), f"the cell is not finite: {frames.cells[i].tolist()}"


def _finite_cells(frames: Frames) -> NDArray[np.bool_]:
    return np.asarray(np.all(np.isfinite(frames.cells), axis=(1, 2)))


def _no_volume(frames: Frames) -> Iterator[tuple[int, str]]:
    """Periodic axes that are zero or dependent: Gram determinant of the periodic axes, each scaled to length 1."""
    finite = _finite_cells(frames) & frames.pbc.any(axis=1)
    lengths = np.linalg.norm(np.where(finite[:, None, None], frames.cells, 0.0), axis=2)
    short = finite & (np.where(frames.pbc, lengths, 1.0) < CLOSEST).any(axis=1)
    unit = np.where(finite[:, None, None], frames.cells, 0.0) / np.maximum(lengths, CLOSEST)[:, :, None]
    gram = unit @ unit.transpose(0, 2, 1)
    both = frames.pbc[:, :, None] & frames.pbc[:, None, :]
    gram = np.where(both, gram, np.eye(3))
    flat = finite & ~short & (np.linalg.det(gram) < _FLAT**2)
    for i in np.flatnonzero(short | flat):
        axes = "".join("abc"[k] for k in np.flatnonzero(frames.pbc[i]))
        yield int(i), f"the periodic axes {axes} span no volume: cell {frames.cells[i].tolist()}"


def overlaps(frames: Frames, sound: NDArray[np.bool_], fraction: float) -> Iterator[tuple[int, str]]:
    """Frames in which two atoms lie closer than ``fraction`` of their covalent radii, or :data:`CLOSEST`."""
    from aliquot.structures.contacts import contacts

    for i, (a, b, distance, limit) in contacts(frames, sound, fraction, CLOSEST).items():
        names = symbols(frames.numbers[frames.offsets[i] + np.array([a, b])])
        yield (
            i,
            f"atoms {a} ({names[0]}) and {b} ({names[1]}) are {distance:.3g} Å apart;"
            f" less than {limit:.3g} Å counts as overlap",
        )


# --- labels -------------------------------------------------------------------------------------------------


def _bad_labels(frames: Frames) -> Iterator[tuple[int, str]]:
    keys = frames.label_keys
    tensor = [(3, 3), (9,), (6,)]
    for names, columns, shapes in (
        (keys.energy, frames.frame_columns, [()]),
        (keys.virial + keys.stress, frames.frame_columns, tensor),
        (keys.forces, frames.atom_columns, [(3,)]),
    ):
        for name in names:
            if name in columns:
                yield from _bad_label(frames, name, columns[name], shapes)


def _bad_label(
    frames: Frames, name: str, column: Column, shapes: list[tuple[int, ...]]
) -> Iterator[tuple[int, str]]:
    ragged = column.values.dtype == object
    if not ragged and column.values.dtype.kind in "if" and column.values.shape[1:] in shapes:
        return
    per_atom = shapes == [(3,)]
    for i in np.flatnonzero(column.present):
        value: Any = column.values[i]
        if per_atom and not ragged:
            value = column.values[frames.offsets[i] : frames.offsets[i + 1]]
        array = np.asarray(value) if not isinstance(value, str) else np.array(value)
        shape = array.shape[1:] if per_atom else array.shape
        if array.dtype.kind not in "iuf":
            yield int(i), f"label {name} is not numeric: {str(value)[:60]!r}"
        elif shape not in shapes:
            yield int(i), f"label {name} has shape {shape}, expected {' or '.join(map(str, shapes))}"


# --- duplicates ---------------------------------------------------------------------------------------------


def exact_duplicates(frames: Frames) -> list[NDArray[np.int64]]:
    """Groups of two or more frames with the same numbers, cell, periodicity and positions, bit for bit.

    Returns
    -------
    list of arrays
        Positions in ``frames``, ascending; groups in the order of their first member.
    """
    _, inverse = np.unique(frames.hashes, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1) if len(order) else []
    return sorted((g for g in groups if len(g) > 1), key=lambda g: int(g[0]))
