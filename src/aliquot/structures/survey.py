"""What is in these files? Counts, labels and their keys, ranges, shortest distances, duplicates, suspicious frames.

The survey is a record; ``aliquot inspect`` draws it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.progress import Progress, silent
from aliquot.structures.distances import Distances, distances
from aliquot.structures.elements import symbols
from aliquot.structures.frames import Frames, Label
from aliquot.structures.neighbours import neighbours
from aliquot.structures.reading import Loaded, label_notes
from aliquot.structures.screening import OVERLAP, Exclusion, exact_duplicates, problems
from aliquot.structures.similar import NEAR, near_duplicates
from aliquot.structures.suspicion import suspicions

__all__ = ["IsolatedAtom", "LabelSummary", "Range", "Survey", "survey"]

#: A single atom with no other one closer than this is isolated, Å.
_ALONE = 8.0


@dataclass(frozen=True)
class Range:
    """Smallest and largest value and the frames (``file#frame``) that have them; the mean over frames."""

    smallest: float
    smallest_at: str
    largest: float
    largest_at: str
    mean: float


@dataclass(frozen=True)
class LabelSummary:
    """How many frames each key serves, and how many have no such label."""

    keys: Mapping[str, int]
    missing: int


@dataclass(frozen=True)
class IsolatedAtom:
    """A frame with one atom and nothing near: its energy is the reference of its element."""

    element: str
    at: str
    energy: float | None


@dataclass(frozen=True)
class Survey:
    """What some frames are.

    Parameters
    ----------
    n_frames, n_atoms : int
    files : dict of str to int
        Frames of each file.
    elements : dict of str to int
        Atoms of each element.
    compositions, config_types, periodicity : dict of str to int
        Frames of each formula, config type, and set of periodic axes (``abc``, ``ab``, ``none``).
    labels : dict of str to LabelSummary
        For energy, forces and virial.
    ranges : dict of str to Range
        ``atoms`` per frame, ``energy_per_atom`` (eV), ``largest_force`` (eV/Å),
        ``volume_per_atom`` (Å³, where periodic).
    shortest : dict of str to Range
        By pair of elements, over frames: the shortest distance, Å, as far as it is below 4 Å.
    exact_duplicates, near_duplicates : tuple of tuple of str
        Groups of frames (``file#frame``); the near ones are not exact, and the first of each group stands for it.
    suspicious : tuple of Exclusion
        Frames to look at, each with what was found. They are not left out.
    isolated_atoms : tuple of IsolatedAtom
    frame_keys, atom_keys : dict of str to int
        Frames that have each key.
    exclusions : tuple of Exclusion
        Frames that could not be read and were left out.
    notes : tuple of str
    """

    n_frames: int
    n_atoms: int
    files: Mapping[str, int]
    elements: Mapping[str, int]
    compositions: Mapping[str, int]
    config_types: Mapping[str, int]
    periodicity: Mapping[str, int]
    labels: Mapping[str, LabelSummary]
    ranges: Mapping[str, Range]
    shortest: Mapping[str, Range]
    exact_duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    suspicious: tuple[Exclusion, ...]
    isolated_atoms: tuple[IsolatedAtom, ...]
    frame_keys: Mapping[str, int]
    atom_keys: Mapping[str, int]
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON can hold it, with the version of this form."""
        return {"format": "aliquot-survey", "schema": 1, **asdict(self)}


def survey(
    frames: Frames | Loaded, *, near: float = NEAR, overlap: float = OVERLAP, progress: Progress = silent
) -> Survey:
    """Look through frames.

    Parameters
    ----------
    frames : Frames or Loaded
        With a :class:`Loaded` the exclusions and notes of the reading are kept.
    near : float
        Frames whose positions and lattice vectors agree within this are near duplicates, Å.
    overlap : float
        Fraction of the sum of covalent radii below which two atoms are suspicious.
    progress : callable

    Notes
    -----
    One neighbour list up to 4 Å per frame; n log n in the number of frames.

    Examples
    --------
    >>> from ase.build import bulk
    >>> found = survey(Frames.from_atoms([bulk("Cu"), bulk("Cu"), bulk("Cu", a=3.7)]))
    >>> found.elements, found.exact_duplicates, round(found.shortest["Cu-Cu"].smallest, 3)
    ({'Cu': 3}, (('atoms#0', 'atoms#1'),), 2.553)
    """
    loaded = frames if isinstance(frames, Loaded) else Loaded(frames, (), label_notes(frames))
    frames = loaded.frames
    broken = problems(frames, overlap=None)
    sound = frames[np.setdiff1d(np.arange(len(frames)), list(broken))] if broken else frames
    found = distances(sound, progress=progress)
    exact = exact_duplicates(sound)
    near_groups = _near_only(sound, found, exact, near)
    return Survey(
        n_frames=len(frames),
        n_atoms=frames.n_atoms,
        files=_counts([frames.files[f] for f in frames.file]),
        elements={str(symbols(np.array([z]))[0]): int(np.sum(frames.numbers == z)) for z in frames.elements},
        compositions=_most(Counter(_formulas(frames))),
        config_types=_most(Counter(t for t in frames.config_type.tolist() if t)),
        periodicity=_most(Counter(_axes(p) for p in frames.pbc)),
        labels={
            name: LabelSummary(label.counts(), int(np.sum(~label.present))) for name, label in _labels(sound)
        },
        ranges=_ranges(sound),
        shortest=_shortest(sound, found),
        exact_duplicates=_named(sound, exact),
        near_duplicates=_named(sound, near_groups),
        suspicious=suspicions(frames, broken, sound, exact, overlap=overlap),
        isolated_atoms=_isolated(sound),
        frame_keys={k: int(c.present.sum()) for k, c in frames.frame_columns.items()},
        atom_keys={k: int(c.present.sum()) for k, c in frames.atom_columns.items()},
        exclusions=loaded.exclusions,
        notes=loaded.notes,
    )


# --- counts -------------------------------------------------------------------------------------------------


def _counts(names: Sequence[str]) -> dict[str, int]:
    return dict(Counter(names))


def _most(counts: Counter[str]) -> dict[str, int]:
    """Counts, the most frequent first."""
    return dict(counts.most_common())


def _axes(pbc: NDArray[np.bool_]) -> str:
    return "".join(name for name, periodic in zip("abc", pbc, strict=True) if periodic) or "none"


def _formulas(frames: Frames) -> list[str]:
    """Formula of every frame, elements in the order of their numbers: ``O64Hf32``."""
    names = symbols(np.array(frames.elements, np.int64)) if frames.elements else np.zeros(0, "U2")
    counts = (
        np.stack([_per_frame(frames, frames.numbers == z) for z in frames.elements], 1) if len(names) else []
    )
    return [
        "".join(f"{s}{n if n > 1 else ''}" for s, n in zip(names, row, strict=True) if n) for row in counts
    ]


def _per_frame(frames: Frames, flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.add.reduceat(flags.astype(np.int64), frames.offsets[:-1])


def _labels(frames: Frames) -> list[tuple[str, Label]]:
    return [("energy", frames.energy), ("forces", frames.forces), ("virial", frames.virial)]


# --- ranges -------------------------------------------------------------------------------------------------


def _ranges(frames: Frames) -> dict[str, Range]:
    sizes = frames.sizes.astype(np.float64)
    force = np.linalg.norm(frames.forces.values, axis=1)
    largest = np.maximum.reduceat(force, frames.offsets[:-1]) if len(frames) else np.zeros(0)
    volume = np.where(frames.pbc.all(axis=1), frames.volumes / np.maximum(sizes, 1), np.nan)
    values = {
        "atoms": sizes,
        "energy_per_atom": frames.energy.values / np.maximum(sizes, 1),
        "largest_force": largest,
        "volume_per_atom": volume,
    }
    ranges = {name: _range(frames, v) for name, v in values.items()}
    return {name: r for name, r in ranges.items() if r is not None}


def _range(frames: Frames, values: NDArray[np.float64]) -> Range | None:
    """The range of the finite values, one per frame; None if there is none."""
    finite = np.flatnonzero(np.isfinite(values))
    if not len(finite):
        return None
    low, high = finite[np.argmin(values[finite])], finite[np.argmax(values[finite])]
    return Range(
        float(values[low]),
        frames.ids_name(low),
        float(values[high]),
        frames.ids_name(high),
        float(values[finite].mean()),
    )


def _shortest(frames: Frames, found: Distances) -> dict[str, Range]:
    names = symbols(np.array(found.elements, np.int64)) if found.elements else np.zeros(0, "U2")
    shortest: dict[str, Range] = {}
    for a in range(len(names)):
        for b in range(a, len(names)):
            values = _range(frames, found.shortest[:, a, b])
            if values is not None:
                shortest[f"{names[a]}-{names[b]}"] = values
    return shortest


# --- groups -------------------------------------------------------------------------------------------------


def _near_only(
    frames: Frames, found: Distances, exact: Sequence[NDArray[np.int64]], tolerance: float
) -> list[NDArray[np.int64]]:
    """Near duplicates among frames of which exact duplicates count once."""
    repeats = np.concatenate([g[1:] for g in exact]) if exact else np.zeros(0, np.int64)
    once = np.setdiff1d(np.arange(len(frames)), repeats)
    groups = near_duplicates(frames[once], found.traits[once], tolerance=tolerance)
    return [once[g] for g in groups]


def _named(frames: Frames, groups: Sequence[NDArray[np.int64]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(frames.ids_name(int(i)) for i in group) for group in groups)


def _isolated(frames: Frames) -> tuple[IsolatedAtom, ...]:
    alone: list[IsolatedAtom] = []
    for i in np.flatnonzero(frames.sizes == 1):
        atom = int(frames.offsets[i])
        pairs = neighbours(frames.positions[atom : atom + 1], frames.cells[i], frames.pbc[i], _ALONE)
        if not len(pairs.index):
            energy = float(frames.energy.values[i])
            name = str(symbols(frames.numbers[atom : atom + 1])[0])
            alone.append(IsolatedAtom(name, frames.ids_name(int(i)), energy if np.isfinite(energy) else None))
    return tuple(alone)
