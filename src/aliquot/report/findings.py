"""What do the frames themselves say? Groups, energies, forces and shortest distances, before and after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from aliquot.report.projection import evenly
from aliquot.selection import Selection
from aliquot.structures import Frames
from aliquot.structures.neighbours import neighbours
from aliquot.table import Features

__all__ = [
    "Case",
    "Excluded",
    "Group",
    "composition",
    "distance_sample",
    "energy_above_composition",
    "energy_per_atom",
    "formulas",
    "max_force",
    "shortest_distances",
    "symbols",
]

#: Frames and atoms whose shortest distances are searched at most, for the pool and for the picks each.
DISTANCE_FRAMES: Final = 1500
DISTANCE_ATOMS: Final = 150_000
#: Å; the search widens only where it finds nothing, and beyond the last an atom counts as alone.
SEARCH_RADII: Final = (2.8, 5.6, 12.0)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Excluded(Protocol):
    """A frame that was left out before the choice: which, and why."""

    @property
    def file(self) -> str:
        """As the user named it."""
        ...

    @property
    def frame(self) -> int:
        """From 0; negative when the whole file is meant."""
        ...

    @property
    def problem(self) -> str:
        """What was found, with the value."""
        ...


@dataclass(frozen=True, eq=False)
class Case:
    """The records that one report is made from."""

    selection: Selection
    features: Features
    pool: Frames
    known_features: Features | None
    known: Frames | None
    exclusions: tuple[Excluded, ...]

    @cached_property
    def chosen(self) -> Frames:
        """The chosen structures, in order of choice."""
        return self.pool[self.selection.index]


@dataclass(frozen=True)
class Group:
    """Structures of one config type (or formula): how many are known, in the pool, and chosen."""

    name: str
    known: int
    pool: int
    chosen: int


def _element_counts(frames: Frames) -> tuple[IntArray, tuple[str, ...]]:
    """Atoms of each element in each frame, (n_frames, n_elements), and the symbols."""
    elements = np.asarray(frames.elements, np.int64)
    owner = np.repeat(np.arange(len(frames)), frames.sizes)
    flat = owner * len(elements) + np.searchsorted(elements, frames.numbers)
    counts = np.bincount(flat, minlength=len(frames) * len(elements))
    return counts.reshape(len(frames), len(elements)), frames.symbols


def formulas(frames: Frames, *, reduced: bool = False) -> NDArray[np.str_]:
    """Chemical formula of every frame, elements in alphabetical order, (n_frames,).

    ``reduced`` divides by the greatest common divisor: Hf4O8 becomes HfO2.
    """
    counts, symbols = _element_counts(frames)
    if not counts.size:
        return np.full(len(frames), "", "U1")
    if reduced:
        counts = counts // np.maximum(np.gcd.reduce(counts, axis=1), 1)[:, None]
    kinds, which = np.unique(counts, axis=0, return_inverse=True)
    order = sorted(range(len(symbols)), key=lambda i: symbols[i])
    names = [
        "".join(f"{symbols[i]}{'' if row[i] == 1 else row[i]}" for i in order if row[i]) for row in kinds
    ]
    return np.asarray(names, str)[which.reshape(-1)]


def composition(case: Case) -> tuple[str, list[Group]]:
    """What the structures are grouped by, and the groups, the largest of the pool first.

    Groups are config types; where no frame has one, reduced formulas; where there is one of those, formulas.
    """
    pool, known = case.pool, case.known
    if np.any(pool.config_type != ""):
        by, labels = "config type", pool.config_type
        known_labels = None if known is None else known.config_type
    else:
        reduced = len(np.unique(formulas(pool, reduced=True))) > 1
        by, labels = "formula", formulas(pool, reduced=reduced)
        known_labels = None if known is None else formulas(known, reduced=reduced)
    in_pool = dict(zip(*_counted(labels), strict=True))
    picked = dict(zip(*_counted(labels[case.selection.index]), strict=True))
    had = {} if known_labels is None else dict(zip(*_counted(known_labels), strict=True))
    names = sorted({*in_pool, *had}, key=lambda name: (-in_pool.get(name, 0), -had.get(name, 0), name))
    return by, [
        Group(name or "(none)", had.get(name, 0), in_pool.get(name, 0), picked.get(name, 0)) for name in names
    ]


def _counted(labels: NDArray[np.str_]) -> tuple[list[str], list[int]]:
    names, counts = np.unique(labels, return_counts=True)
    return names.tolist(), counts.tolist()


def symbols(numbers: Iterable[object]) -> list[str]:
    """Chemical symbols of atomic numbers; what is none stays as it is.

    >>> symbols([14, "O"])
    ['Si', 'O']
    """
    from ase.data import chemical_symbols

    known = range(len(chemical_symbols))
    return [chemical_symbols[z] if isinstance(z, int) and z in known else str(z) for z in numbers]


def energy_per_atom(frames: Frames) -> FloatArray:
    """Energy of each frame per atom, eV, (n_frames,); NaN where a frame has no energy."""
    return np.where(
        frames.energy.present & (frames.sizes > 0),
        frames.energy.values / np.maximum(frames.sizes, 1),
        np.nan,
    )


def energy_above_composition(frames: Frames) -> FloatArray:
    """Energy per atom less the least-squares sum of one reference energy per element, eV, (n_frames,).

    With several elements the energy per atom says little but the composition; the remainder says the state.
    """
    counts, _ = _element_counts(frames)
    energies = energy_per_atom(frames)
    has = np.isfinite(energies)
    if not np.any(has):
        return energies
    fractions = counts / np.maximum(frames.sizes, 1)[:, None]
    references = np.linalg.lstsq(fractions[has], energies[has], rcond=None)[0]
    return energies - fractions @ references


def max_force(frames: Frames) -> FloatArray:
    """Largest force on an atom of each frame, eV/Å, (n_frames,); NaN where a frame has no forces."""
    out = np.full(len(frames), np.nan)
    filled = frames.sizes > 0
    if np.any(frames.forces.present):
        norms = np.linalg.norm(frames.forces.values, axis=1)
        out[filled] = np.fmax.reduceat(norms, frames.offsets[:-1][filled])
    return np.where(frames.forces.present, out, np.nan)


def shortest_distances(frames: Frames) -> FloatArray:
    """Shortest distance between two atoms (or an atom and its own image) of each frame, Å, (n_frames,).

    NaN where no pair is closer than the last of :data:`SEARCH_RADII`. Starting from a bond length keeps the
    cost at a few neighbours per atom.
    """
    out = np.full(len(frames), np.nan)
    for i in range(len(frames)):
        atoms = slice(frames.offsets[i], frames.offsets[i + 1])
        periodic = frames.pbc[i] & np.any(frames.cells[i] != 0, axis=1)
        for cutoff in SEARCH_RADII if atoms.stop > atoms.start else ():
            found = neighbours(frames.positions[atoms], frames.cells[i], periodic, cutoff)
            if len(found.index):
                out[i] = float(np.sqrt(np.min(np.einsum("ij,ij->i", found.vectors, found.vectors))))
                break
    return out


def distance_sample(frames: Frames) -> IntArray:
    """Positions of the frames whose distances are searched: all, or an even sample of bounded cost."""
    mean_size = max(1.0, frames.n_atoms / max(1, len(frames)))
    most = max(10, min(DISTANCE_FRAMES, int(DISTANCE_ATOMS / mean_size)))
    return evenly(len(frames), most)
