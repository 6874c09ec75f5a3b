"""Where along a trajectory does a potential leave what it knows? Every frame and atom of a file, assessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.progress import Progress, silent
from aliquot.structures.columns import Column
from aliquot.structures.frames import Frames
from aliquot.uncertainty.active import TOLERANCE
from aliquot.uncertainty.uncertainty import Assessment, Uncertainty

__all__ = ["BREAK", "INSIDE", "SELECT", "Graded", "grade"]

Array = NDArray[np.float64]

#: Grade up to which the training set spans what an atom sees: one, and what MaxVol leaves to do. Members of the active
#: set have a grade of one but for rounding, and are no extrapolation.
INSIDE: Final = TOLERANCE

#: Grades from which a structure is worth a label, and from which dynamics should stop; customary values.
SELECT: Final = 5.0
BREAK: Final = 25.0


@dataclass(frozen=True, eq=False)
class Graded:
    """Assessments of many frames as flat arrays.

    Parameters
    ----------
    frames : Frames
    gamma, leverage : (n_atoms,) arrays
    forces_std : (n_atoms, 3) array or None, eV/Å
    energy_std : (n_frames,) array or None, eV
        Of total energies.
    kind : str
        Where standard deviations come from.
    expected : (n_atoms,) array or None, eV/Å
        Expected force error, by the calibration of ``indicator``.
    indicator : str
    """

    frames: Frames
    gamma: Array
    leverage: Array
    forces_std: Array | None
    energy_std: Array | None
    kind: str
    expected: Array | None = None
    indicator: str = ""

    def largest(self, values: Array) -> Array:
        """Largest of per-atom values in each frame, (n_frames,); zero where there are no atoms."""
        out = np.zeros(len(self.frames))
        some = np.flatnonzero(self.frames.sizes)
        if len(some):
            out[some] = np.maximum.reduceat(values, self.frames.offsets[:-1][some])
        return out

    @property
    def gamma_max(self) -> Array:
        """Grade of each frame: the largest of its atoms."""
        return self.largest(self.gamma)

    @property
    def force_std(self) -> Array | None:
        """Length of the standard deviation of each atom's force, (n_atoms,), eV/Å."""
        return None if self.forces_std is None else np.linalg.norm(self.forces_std, axis=1)

    def worst_atom(self, i: int) -> int:
        """Atom of the largest grade in frame ``i``."""
        return int(np.argmax(self.gamma[self.frames.offsets[i] : self.frames.offsets[i + 1]]))

    def worst(self, count: int) -> list[int]:
        """Frames of the largest grades, the largest first; the earlier of equals."""
        return np.argsort(-self.gamma_max, kind="stable")[:count].tolist()

    def above(self, threshold: float) -> int:
        """Frames with a larger grade."""
        return int(np.count_nonzero(self.gamma_max > threshold))

    @property
    def extrapolating(self) -> int:
        """Frames of which an atom is beyond what the training set spans."""
        return self.above(INSIDE)

    def annotated(self) -> Frames:
        """The frames with what was found as further keys.

        Per atom ``gamma``, ``leverage``, ``forces_std`` (eV/Å) and ``expected_force_error`` (eV/Å); per frame
        ``gamma_max``, ``leverage_max`` and ``energy_std`` (eV), as far as they are known.
        """
        per_atom: dict[str, Any] = {"gamma": self.gamma, "leverage": self.leverage}
        per_frame: dict[str, Any] = {"gamma_max": self.gamma_max, "leverage_max": self.largest(self.leverage)}
        if self.forces_std is not None:
            per_atom["forces_std"] = self.forces_std
        if self.energy_std is not None:
            per_frame["energy_std"] = self.energy_std
        if self.expected is not None:
            per_atom["expected_force_error"] = self.expected
        every = np.ones(len(self.frames), bool)
        return replace(
            self.frames,
            frame_columns={
                **self.frames.frame_columns,
                **{k: Column(v, every) for k, v in per_frame.items()},
            },
            atom_columns={**self.frames.atom_columns, **{k: Column(v, every) for k, v in per_atom.items()}},
        )


def grade(
    known: Uncertainty, frames: Frames, *, spreads: bool = True, threads: int = 1, progress: Progress = silent
) -> Graded:
    """Assess every frame.

    Parameters
    ----------
    known : Uncertainty
    frames : Frames
    spreads : bool
        Also the standard deviations of forces, which cost several force calls per frame.
    threads, progress

    Raises
    ------
    InputError
        If a frame has an element that the potential does not know.
    """
    found = list(known.each(frames, forces=spreads, threads=threads, progress=progress))
    gamma, lever = (_joined(a.gamma for a in found), _joined(a.leverage for a in found))
    std = _stacked(found)
    energies = [a.energy_std for a in found if a.energy_std is not None]
    kind = found[0].kind if found else ""
    out = Graded(frames, gamma, lever, std, np.array(energies) if len(energies) == len(found) else None, kind)
    for indicator, values in ((kind, out.force_std), ("gamma", gamma)):
        calibration = known.calibration("forces", indicator)
        if calibration is not None and values is not None:
            return replace(out, expected=calibration.expected(values), indicator=indicator)
    return out


def _joined(pieces: Iterable[Array]) -> Array:
    return np.concatenate([np.empty(0), *pieces])


def _stacked(found: list[Assessment]) -> Array | None:
    pieces = [a.forces_std for a in found if a.forces_std is not None]
    return np.concatenate(pieces) if pieces and len(pieces) == len(found) else None
