r"""Do energies and forces of neighbouring structures agree? Where atoms barely move, the work tells the energy.

For two structures of the same atoms in the same cell, whose atoms differ by small displacements d,

.. math:: E_b - E_a = -\tfrac12 \sum_i (F_{a,i} + F_{b,i}) \cdot d_i + O(d^3) ,

the trapezoidal rule. Steps of trajectories and relaxations make such pairs. One of a pair that disagrees has a wrong
energy, or wrong forces: another number of k-points, a calculation that did not converge. No model is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.structures.frames import Frames

__all__ = ["Contradiction", "contradictions"]

#: Largest displacement of an atom between the structures of a pair, Å.
NEAR: Final = 0.1

#: Smallest disagreement that counts, eV.
LEAST: Final = 0.05

#: Of the change of the work along the way, which bounds what the rule may leave out.
ALLOWANCE: Final = 0.25


@dataclass(frozen=True)
class Contradiction:
    """Two structures whose labels cannot both be right.

    Parameters
    ----------
    first, second : int
        Frames.
    displacement : float
        Of the atom that moved most, Å.
    energy : float
        Difference of the energies, eV.
    work : float
        What forces say it should be, eV.
    """

    first: int
    second: int
    displacement: float
    energy: float
    work: float

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        return vars(self).copy()


def contradictions(frames: Frames) -> tuple[Contradiction, ...]:
    """Pairs of near-identical structures whose energies disagree with their forces, the worst first.

    Structures that follow one another in a file are compared, and exact repetitions wherever they are.

    Parameters
    ----------
    frames : Frames
        With energies and forces; others are passed over.

    Notes
    -----
    O(atoms).
    """
    found: list[Contradiction] = []
    for a, b in _pairs(frames):
        moved = _displacements(frames, a, b)
        farthest = float(np.sqrt(np.square(moved).sum(axis=1).max(initial=0.0)))
        if farthest > NEAR:
            continue
        first, second = _forces(frames, a), _forces(frames, b)
        energy = float(frames.energy.values[b] - frames.energy.values[a])
        work = -0.5 * float(np.sum((first + second) * moved))
        change = abs(float(np.sum((second - first) * moved)))
        if abs(energy - work) > max(LEAST, ALLOWANCE * change):
            found.append(Contradiction(a, b, farthest, energy, work))
    return tuple(sorted(found, key=lambda c: -abs(c.energy - c.work)))


def _pairs(frames: Frames) -> list[tuple[int, int]]:
    """Neighbours in their files, and repetitions, of the same size and cell and with all labels."""
    n = len(frames)
    if n < 2:
        return []
    following = np.stack((np.arange(n - 1), np.arange(1, n)), axis=1)
    following = following[frames.file[following[:, 0]] == frames.file[following[:, 1]]]
    order = np.argsort(frames.hashes, kind="stable")
    alike = frames.hashes[order[1:]] == frames.hashes[order[:-1]]
    repeated = np.sort(np.stack((order[:-1], order[1:]), axis=1)[alike], axis=1)
    pairs = np.unique(np.concatenate((following, repeated)), axis=0)
    a, b = pairs.T
    labelled = frames.energy.present & frames.forces.present & np.isfinite(frames.energy.values)
    same = labelled[a] & labelled[b] & (frames.sizes[a] == frames.sizes[b])
    same &= np.all(np.abs(frames.cells[a] - frames.cells[b]) < 1e-6, axis=(1, 2))
    same &= np.all(frames.pbc[a] == frames.pbc[b], axis=1)
    return [(int(i), int(j)) for i, j in pairs[same] if np.array_equal(_atoms(frames, i), _atoms(frames, j))]


def _atoms(frames: Frames, i: int) -> NDArray[np.int32]:
    return frames.numbers[frames.offsets[i] : frames.offsets[i + 1]]


def _forces(frames: Frames, i: int) -> NDArray[np.float64]:
    return np.nan_to_num(frames.forces.values[frames.offsets[i] : frames.offsets[i + 1]])


def _displacements(frames: Frames, a: int, b: int) -> NDArray[np.float64]:
    """Shortest way from each atom of one structure to that of the other, (n, 3), Å."""
    first = frames.positions[frames.offsets[a] : frames.offsets[a + 1]]
    second = frames.positions[frames.offsets[b] : frames.offsets[b + 1]]
    moved = second - first
    if frames.pbc[a].all() and abs(np.linalg.det(frames.cells[a])) > 1e-9:
        steps = np.round(moved @ np.linalg.inv(frames.cells[a]))
        moved -= steps @ frames.cells[a]
    return moved
