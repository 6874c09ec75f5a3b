"""Which answers can be believed? The others are set aside with the reason, and never become labels.

An answer is quarantined when a number is not finite, when the code says that it did not converge, when a force is
beyond any that a fit should see, or when the energy is far from those of its composition. The answers themselves stay
in the folder: other limits judge them anew, and nothing is calculated again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aliquot.errors import InputError
from aliquot.oracle.record import Answer, Labelled, Unlabelled
from aliquot.oracle.store import Failure
from aliquot.structures import Column, Frames, LabelKeys
from aliquot.structures.suspicion import ENERGY_OUTLIER, LARGE_FORCE, energy_outliers

__all__ = ["ENERGY_KINDS", "Limits", "assemble", "judge", "with_labels"]

#: Energies that a code may give, the better match to its forces first.
ENERGY_KINDS: Final = ("free_energy", "energy")

#: Where our labels are, and where they are looked for again.
_KEYS: Final = LabelKeys(("REF_energy",), ("REF_forces",), ("REF_virial",), ())
_PROVENANCE: Final = ("aliquot_oracle", "aliquot_oracle_id", "aliquot_energy_kind", "aliquot_label_seconds")

#: Voigt order as a matrix, row by row.
_MATRIX: Final = [0, 5, 4, 5, 1, 3, 4, 3, 2]


@dataclass(frozen=True)
class Limits:
    """What is believed.

    Parameters
    ----------
    max_force : float or None, eV/Å
        Length of the largest force on an atom.
    energy_spreads : float or None
        Largest distance of an energy per atom from the median of those with the same proportions of elements, in
        robust standard deviations; less than 1 eV is never too far, and fewer than eight such structures judge none.
    """

    max_force: float | None = LARGE_FORCE
    energy_spreads: float | None = ENERGY_OUTLIER

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise InputError(f"{name} must be positive, or None for no limit; got {value}")


def judge(answer: Answer, n_atoms: int, limits: Limits) -> str | None:
    """Why an answer cannot be believed by itself; None if it can."""
    if answer.forces is not None and answer.forces.shape != (n_atoms, 3):
        return f"forces have shape {answer.forces.shape}, expected {(n_atoms, 3)}"
    energies = [answer.energy] if answer.free_energy is None else [answer.energy, answer.free_energy]
    if not np.isfinite(energies).all():
        return f"the energy is not finite: {energies[-1]}"
    if answer.forces is not None:
        force = np.linalg.norm(answer.forces, axis=1)
        if not np.isfinite(force).all():
            atom = int(np.argmax(~np.isfinite(force)))
            return f"the force on atom {atom} is not finite: {answer.forces[atom].tolist()}"
        if limits.max_force is not None and force.max(initial=0.0) > limits.max_force:
            atom = int(np.argmax(force))
            return f"the force on atom {atom} is {force[atom]:.4g} eV/Å; the limit is {limits.max_force:g}"
    if answer.stress is not None and not np.isfinite(answer.stress).all():
        return f"the stress is not finite: {answer.stress.tolist()}"
    return "the calculation says that it did not converge" if answer.converged is False else None


def strangers(frames: Frames, known: Frames | None, limits: Limits) -> dict[int, str]:
    """Positions of labelled frames whose energies are far from the others' and those of ``known``, and why."""
    if limits.energy_spreads is None or not len(frames):
        return {}
    if known is not None and len(known):
        frames_and = Frames.concatenate([_energies_alone(frames), _energies_alone(known)])
    else:
        frames_and = frames
    return {
        i: reason
        for i, reason in energy_outliers(frames_and, spreads=limits.energy_spreads)
        if i < len(frames)
    }


def _energies_alone(frames: Frames) -> Frames:
    label = frames.energy
    columns = {"REF_energy": Column(label.values, label.present)}
    return replace(frames, frame_columns=columns, atom_columns={}, label_keys=_KEYS)


def with_labels(
    frames: Frames, answers: Sequence[Answer], about: Mapping[str, str], *, energy: str = "free_energy"
) -> Frames:
    """The frames with the answers as labels, and no other labels.

    Parameters
    ----------
    frames : Frames
    answers : sequence of Answer
        One for each.
    about : mapping
        ``oracle`` and ``fingerprint``.
    energy : {"free_energy", "energy"}
        Which energy; that of which the forces are the derivative, where there are both, or the other one.
    """
    if energy not in ENERGY_KINDS:
        raise InputError(f"energy is one of {', '.join(ENERGY_KINDS)}; got {energy!r}")
    n, offsets = len(frames), frames.offsets
    free = [energy == "free_energy" and a.free_energy is not None for a in answers]
    energies = np.array(
        [a.free_energy if f else a.energy for a, f in zip(answers, free, strict=True)], np.float64
    )
    forces, virial = np.full((frames.n_atoms, 3), np.nan), np.full((n, 9), np.nan)
    has_forces, has_virial = np.zeros(n, bool), np.zeros(n, bool)
    for i, answer in enumerate(answers):
        if answer.forces is not None:
            forces[offsets[i] : offsets[i + 1]], has_forces[i] = answer.forces, True
        if answer.stress is not None and frames.volumes[i] > 0:
            virial[i] = -frames.volumes[i] * answer.stress[_MATRIX]
            has_virial[i] = True
    every = np.ones(n, bool)
    frame_columns = {
        **_without_labels(frames.frame_columns, frames.label_keys),
        "REF_energy": Column(energies, every),
        "aliquot_oracle": Column(np.full(n, about["oracle"]), every),
        "aliquot_oracle_id": Column(np.full(n, about["fingerprint"]), every),
        "aliquot_energy_kind": Column(np.where(free, "free_energy", "energy"), every),
    }
    seconds = np.array([a.seconds for a in answers], np.float64)
    if seconds.any():  # codes that ran elsewhere do not say
        frame_columns["aliquot_label_seconds"] = Column(seconds, every)
    atom_columns = _without_labels(frames.atom_columns, frames.label_keys)
    if has_virial.any():
        frame_columns["REF_virial"] = Column(virial, has_virial)
    if has_forces.any():
        atom_columns["REF_forces"] = Column(forces, has_forces)
    return replace(frames, frame_columns=frame_columns, atom_columns=atom_columns, label_keys=_KEYS)


def _without_labels(columns: Mapping[str, Column], keys: LabelKeys) -> dict[str, Column]:
    """Columns but for labels: those of another method beside ours would be a mixture."""
    old = {name for some in (keys, LabelKeys()) for names in vars(some).values() for name in names}
    return {name: column for name, column in columns.items() if name not in old | set(_PROVENANCE)}


# --- the record ---------------------------------------------------------------------------------------------


def assemble(
    frames: Frames,
    keys: Sequence[str],
    answers: Mapping[str, Answer],
    failures: Mapping[str, Failure | None],
    *,
    oracle: str,
    fingerprint: str,
    limits: Limits,
    known: Frames | None,
    energy: str,
    pending: str = "not calculated yet",
) -> Labelled:
    """Judge the answers, and make labels of those that can be believed; ``pending`` is said of the untried."""
    sizes = frames.sizes
    doubts: dict[int, str] = {}
    for i, key in enumerate(keys):
        if key in answers and (reason := judge(answers[key], int(sizes[i]), limits)) is not None:
            doubts[i] = reason
    index = np.array([i for i, key in enumerate(keys) if key in answers and i not in doubts], np.int64)
    about = {"oracle": oracle, "fingerprint": fingerprint}
    labelled = with_labels(frames[index], [answers[keys[int(i)]] for i in index], about, energy=energy)
    far = strangers(labelled, known, limits)
    if far:
        doubts.update({int(index[i]): reason for i, reason in far.items()})
        stay = np.array([i for i in range(len(index)) if i not in far], np.int64)
        labelled, index = labelled[stay], index[stay]
    lost: list[Unlabelled] = []
    for i, key in enumerate(keys):
        if i in doubts:
            lost.append(_unlabelled(frames, i, key, "quarantined", doubts[i], 0))
        elif key not in answers:
            failure = failures.get(key)
            kind = "failed" if failure is not None and failure.attempts else "pending"
            reason = pending if failure is None else failure.reason
            lost.append(_unlabelled(frames, i, key, kind, reason, 0 if failure is None else failure.attempts))
    seconds = float(sum(answers[key].seconds for key in {keys[int(i)] for i in index}))
    return Labelled(labelled, index, tuple(lost), 0, 0, seconds, oracle, fingerprint)


def _unlabelled(frames: Frames, i: int, key: str, kind: Any, reason: str, attempts: int) -> Unlabelled:
    file, frame = frames.files[frames.file[i]], int(frames.frame[i])
    return Unlabelled(kind, i, key, file, frame, reason, attempts)
