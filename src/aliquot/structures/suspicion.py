"""Which frames should somebody look at before trusting them? Those named here, with the reason.

Those that are unusable; labels that are not finite; forces so large that a run has probably failed; energies per
atom far from those of the same composition; the same structure twice with different energies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.structures.frames import Frames
from aliquot.structures.screening import Exclusion, overlaps

__all__ = ["ENERGY_OUTLIER", "LARGE_FORCE", "SAME_ENERGY", "energy_outliers", "suspicions"]

#: Forces larger than this are suspicious, eV/Å.
LARGE_FORCE: Final = 50.0

#: Energies per atom further from the median than this many robust standard deviations, and than 1 eV, are.
ENERGY_OUTLIER: Final = 20.0
_ENERGY_FLOOR: Final = 1.0

#: Fewest frames of one composition among which one can be an outlier.
_ENOUGH: Final = 8

#: Energies per atom of the same structure should agree within this, eV.
SAME_ENERGY: Final = 1e-3


def suspicions(
    frames: Frames,
    broken: Mapping[int, str],
    sound: Frames,
    duplicates: Sequence[NDArray[np.int64]],
    *,
    overlap: float,
) -> tuple[Exclusion, ...]:
    """Frames to look at, in the order of the files, each with every reason.

    Parameters
    ----------
    frames : Frames
    broken : dict of int to str
        Problem of each unusable frame, by position in ``frames``.
    sound : Frames
        The others.
    duplicates : list of arrays
        Groups of exact duplicates, positions in ``sound``.
    overlap : float
        Fraction of the sum of covalent radii.
    """
    found = [_exclusion(frames, i, problem) for i, problem in broken.items()]
    checks = (
        overlaps(sound, np.ones(len(sound), bool), overlap),
        _labels_not_finite(sound),
        _large_forces(sound),
        energy_outliers(sound),
        _disagreeing_duplicates(sound, duplicates),
    )
    if len(sound):
        found += [_exclusion(sound, i, problem) for check in checks for i, problem in check]
    order = {name: k for k, name in enumerate(frames.files)}
    return tuple(sorted(found, key=lambda e: (order[e.file], e.frame)))


def _exclusion(frames: Frames, i: int, problem: str) -> Exclusion:
    return Exclusion(frames.files[frames.file[i]], int(frames.frame[i]), problem)


def _labels_not_finite(frames: Frames) -> Iterator[tuple[int, str]]:
    for name, label in (("energy", frames.energy), ("forces", frames.forces), ("virial", frames.virial)):
        bad = ~np.isfinite(label.values.reshape(len(label.values), -1)).all(axis=1)
        if name == "forces":
            bad = np.logical_or.reduceat(bad, frames.offsets[:-1]) if len(frames) else bad
        for i in np.flatnonzero(bad & label.present):
            yield int(i), f"label {label.keys[label.key[i]]} is not finite"


def _large_forces(frames: Frames) -> Iterator[tuple[int, str]]:
    force = np.linalg.norm(np.nan_to_num(frames.forces.values, posinf=0.0, neginf=0.0), axis=1)
    if not np.any(force > LARGE_FORCE):
        return
    for i in np.flatnonzero(np.maximum.reduceat(force, frames.offsets[:-1]) > LARGE_FORCE):
        own = force[frames.offsets[i] : frames.offsets[i + 1]]
        atom = int(np.argmax(own))
        yield (
            int(i),
            f"force on atom {atom} is {own[atom]:.4g} eV/Å; above {LARGE_FORCE:g} a run has often failed",
        )


def energy_outliers(
    frames: Frames, *, spreads: float = ENERGY_OUTLIER, floor: float = _ENERGY_FLOOR
) -> Iterator[tuple[int, str]]:
    """Frames whose energy per atom is far from the median of the same proportions of elements, and the reason.

    Parameters
    ----------
    frames : Frames
    spreads : float
        How many robust standard deviations are far.
    floor : float, eV/atom
        What is never far.
    """
    energy = frames.energy.values / np.maximum(frames.sizes, 1)
    usable = np.isfinite(energy) & (frames.sizes > 1)
    if not usable.any():
        return
    share = np.stack(
        [np.add.reduceat((frames.numbers == z).astype(float), frames.offsets[:-1]) for z in frames.elements],
        1,
    )
    share = np.round(share / np.maximum(frames.sizes, 1)[:, None], 6)
    _, kind = np.unique(share, axis=0, return_inverse=True)
    for k in np.unique(kind[usable]):
        members = np.flatnonzero(usable & (kind == k))
        if len(members) < _ENOUGH:
            continue
        middle = float(np.median(energy[members]))
        away = energy[members] - middle
        spread = 1.4826 * float(np.median(np.abs(away)))
        for i in members[np.abs(away) > max(spreads * spread, floor)]:
            yield (
                int(i),
                f"energy {energy[i]:.6g} eV/atom is {energy[i] - middle:+.4g} from the median of the {len(members)}"
                f" frames of its composition, whose spread is {spread:.3g}",
            )


def _disagreeing_duplicates(
    frames: Frames, duplicates: Sequence[NDArray[np.int64]]
) -> Iterator[tuple[int, str]]:
    energy = frames.energy.values / np.maximum(frames.sizes, 1)
    for group in duplicates:
        labelled = group[np.isfinite(energy[group])]
        for i in labelled[1:]:
            gap = float(energy[i] - energy[labelled[0]])
            if abs(gap) > SAME_ENERGY:
                twin = frames.ids_name(int(labelled[0]))
                yield int(i), f"is the same structure as {twin}, but its energy differs by {gap:+.4g} eV/atom"
