"""What do the indicators of labelled structures say of their errors? Pairs to calibrate on, and to judge by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.uncertainty.calibration import LEVELS, Calibration, calibrate, coverage
from aliquot.uncertainty.uncertainty import Uncertainty

__all__ = ["Observed", "calibrated", "coverages", "observe"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Observed:
    """Indicators beside true errors.

    Parameters
    ----------
    forces : (n,) array
        Length of the force error of each labelled atom, eV/Å.
    frame : (n,) array of int
        Of which frame.
    per_atom : dict of str to (n,) array
        ``gamma``, ``leverage`` and, where there is a spread, the standard deviation of the force by its kind.
    energy : (m,) array
        Absolute energy error per atom of each labelled structure, eV.
    energy_frame : (m,) array of int
    per_frame : dict of str to (m,) array
        The same indicators of whole structures: largest γ and leverage, standard deviation of the energy per atom.
    """

    forces: Array
    frame: NDArray[np.int64]
    per_atom: dict[str, Array]
    energy: Array
    energy_frame: NDArray[np.int64]
    per_frame: dict[str, Array]


def observe(known: Uncertainty, frames: Frames, *, threads: int = 1, progress: Progress = silent) -> Observed:
    """Assess labelled structures and compare.

    Raises
    ------
    InputError
        If no structure has forces or energies.
    """
    forces: list[Array] = []
    frame: list[NDArray[np.int64]] = []
    energy: list[float] = []
    whole: list[int] = []
    atom: dict[str, list[Array]] = {}
    structure: dict[str, list[float]] = {}
    for i in range(len(frames)):
        has_forces, has_energy = bool(frames.forces.present[i]), bool(frames.energy.present[i])
        if not (has_forces or has_energy):
            continue
        said = known.potential(frames, i, threads=threads)
        told = known.assess(frames, i, forces=has_forces, threads=threads)
        n = int(frames.sizes[i])
        if has_forces:
            label = frames.forces.values[frames.offsets[i] : frames.offsets[i + 1]]
            forces.append(np.linalg.norm(said.forces - label, axis=1))
            frame.append(np.full(n, i))
            atom.setdefault("gamma", []).append(told.gamma)
            atom.setdefault("leverage", []).append(told.leverage)
            if (std := told.force_std) is not None:
                atom.setdefault(told.kind, []).append(std)
        if has_energy:
            energy.append(abs(said.energy - float(frames.energy.values[i])) / n)
            whole.append(i)
            structure.setdefault("gamma", []).append(told.largest)
            structure.setdefault("leverage", []).append(float(told.leverage.max(initial=0.0)))
            if told.energy_std is not None:
                structure.setdefault(told.kind, []).append(told.energy_std / n)
        progress("errors", i + 1, len(frames))
    if not forces and not energy:
        raise InputError(
            f"none of the {len(frames)} structures has a label to compare with; name the keys of energies and forces"
        )
    return Observed(
        np.concatenate(forces) if forces else np.empty(0),
        np.concatenate(frame) if frame else np.empty(0, np.int64),
        {name: np.concatenate(values) for name, values in atom.items()},
        np.array(energy),
        np.array(whole, np.int64),
        {name: np.array(values) for name, values in structure.items()},
    )


def calibrated(
    known: Uncertainty,
    frames: Frames,
    *,
    rng: np.random.Generator,
    part: str = "held-out structures",
    levels: tuple[float, ...] = LEVELS,
    threads: int = 1,
    progress: Progress = silent,
) -> Uncertainty:
    """The same, with what its indicators mean on labelled structures that the fit did not see.

    Parameters
    ----------
    known : Uncertainty
    frames : Frames
        Labelled, and of the kind on which bounds shall hold.
    rng : numpy.random.Generator
        Divides them into two halves.
    part : str
        What they are, for the record.
    levels, threads, progress

    Raises
    ------
    InputError
        If fewer than ten structures have forces, or indicators say nothing.
    """
    seen = observe(known, frames, threads=threads, progress=progress)
    found: list[Calibration] = []
    for name, values in seen.per_atom.items():
        found.append(
            calibrate(
                values, seen.forces, seen.frame, rng=rng, target="forces", name=name, levels=levels, part=part
            )
        )
    for name, values in seen.per_frame.items():
        found.append(
            calibrate(
                values,
                seen.energy,
                seen.energy_frame,
                rng=rng,
                target="energy",
                name=name,
                levels=levels,
                part=part,
            )
        )
    return replace(known, calibrations=tuple(found))


def coverages(known: Uncertainty, seen: Observed) -> list[tuple[Calibration, dict[float, float]]]:
    """Of each calibration, the share of errors of these structures below their bounds."""
    out: list[tuple[Calibration, dict[float, float]]] = []
    for one in known.calibrations:
        if one.target == "forces" and one.indicator in seen.per_atom and len(seen.forces):
            out.append((one, coverage(one, seen.per_atom[one.indicator], seen.forces, seen.frame)))
        if one.target == "energy" and one.indicator in seen.per_frame and len(seen.energy):
            out.append((one, coverage(one, seen.per_frame[one.indicator], seen.energy, seen.energy_frame)))
    return out
