"""Do the labels agree with one another? What a fit can find out about them, beyond what reading can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.fitting.accumulate import Baseline, accumulate
from aliquot.fitting.basis import candidate_basis
from aliquot.fitting.errors import Comparison
from aliquot.fitting.weights import QUANTITIES, Weights
from aliquot.solvers import LeastSquares, Ridge
from aliquot.structures.frames import Frames

__all__ = ["Outlier", "Presence", "check_labels", "outliers", "virials_look_inverted"]

Array = NDArray[np.float64]

#: Structures from which the sign of virials is told.
SAMPLE: Final = 60

#: Fewer virials than this tell nothing.
LEAST_VIRIALS: Final = 5

#: An error this many times the usual one of its config type is an outlier.
FAR: Final = 6.0

#: Fewest structures among which one can be an outlier.
ENOUGH: Final = 8


@dataclass(frozen=True)
class Presence:
    """How many training structures have each label."""

    structures: int
    energy: int
    forces: int
    virial: int


def check_labels(frames: Frames, teach: NDArray[np.bool_]) -> tuple[Presence, tuple[str, ...]]:
    """Count labels of training structures, and say what their absence means.

    Raises
    ------
    InputError
        If there is nothing to learn from.
    """
    present = {q: int(np.count_nonzero(getattr(frames, q).present & teach)) for q in QUANTITIES}
    found = Presence(int(teach.sum()), **present)
    keys = {q: ", ".join(getattr(frames, q).keys) for q in QUANTITIES}
    if not (found.energy or found.forces or found.virial):
        raise InputError(
            f"none of the {found.structures} training structures in {', '.join(frames.files)} has a label (energy:"
            f" {keys['energy']}; forces: {keys['forces']}); name the keys with --energy-key and --forces-key"
        )
    if not found.energy:
        raise InputError(
            f"none of the {found.structures} training structures has an energy (looked for {keys['energy']}): a"
            " potential needs some; name the key with --energy-key"
        )
    notes: list[str] = []
    if not found.forces:
        notes.append(
            f"no training structure has forces (looked for {keys['forces']}): the fit rests on {found.energy} energies"
        )
    if found.structures == 1:
        notes.append("one training structure only: nothing can be said about errors elsewhere")
    for quantity in QUANTITIES:
        there = present[quantity]
        if 0 < there < found.structures and quantity != "virial":
            notes.append(
                f"{found.structures - there} of {found.structures} training structures have no {quantity}"
            )
    return found, tuple(notes)


def virials_look_inverted(frames: Frames, which: NDArray[np.int64], baseline: Baseline | None) -> str | None:
    """Tell whether virials have the sign opposite to the strain derivative of the energy.

    A small model is fitted to energies and forces alone; its virials, −dE/dε, are the finite-strain response of
    the labels. If the negative of the labels agrees with them much better, a sentence says so.

    Parameters
    ----------
    frames : Frames
    which : array of int
        Structures that may be used.
    baseline : callable, optional
        Subtracted from labels.
    """
    usable = which[frames.virial.present[which] & frames.energy.present[which] & (frames.sizes[which] > 1)]
    if len(usable) < LEAST_VIRIALS:
        return None
    some = usable[np.linspace(0, len(usable) - 1, min(SAMPLE, len(usable))).astype(int)]
    basis = candidate_basis(
        frames.elements, order=2, degree=(10.0, 8.0) if len(frames.elements) < 3 else (6.0, 5.0)
    )
    sample = frames[some]
    held = accumulate(AceEvaluator(basis), sample, groups=np.full(len(sample), ""), baseline=baseline)
    found = held.triangles
    virial = next(t for key, t in found.items() if key.quantity == "virial")
    rest = held.weighted(["all"], Weights(virial=0.0))
    prior = np.tile(basis.prior, len(basis.elements))
    path = Ridge((1e-8,)).solve(LeastSquares.of(rest, prior=prior))
    predicted, label = virial.R @ path.coefficients(-1), virial.z
    agree, opposed = np.linalg.norm(predicted - label), np.linalg.norm(predicted + label)
    if opposed < 0.5 * agree:
        return (
            f"virial labels ({frames.virial.keys[frames.virial.key[some[0]]]}) have the sign opposite to the change"
            " of the energy under strain: a virial here is −volume × stress, with a positive trace under compression;"
            " give the stress instead (--stress-key), change the sign, or leave virials out (--weights 30/1/0)"
        )
    return None


@dataclass(frozen=True)
class Outlier:
    """A training structure whose label the model does not believe.

    Parameters
    ----------
    frame : int
    quantity : str
    error : float
        Root-mean-square error of this structure, in the unit of the quantity.
    usual : float
        Robust scale of the errors of its config type.
    """

    frame: int
    quantity: str
    error: float
    usual: float

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        return vars(self).copy()


def outliers(comparison: Comparison, of: Callable[[str], bool] = lambda _: True) -> tuple[Outlier, ...]:
    """Structures whose error is far beyond the usual one of their config type, the worst first.

    Parameters
    ----------
    comparison : Comparison
    of : callable
        Which parts to look at.
    """
    out: list[Outlier] = []
    for quantity in ("energy", "forces"):
        errors = comparison.worst(quantity, len(comparison.part))
        if not errors:
            continue
        frame = np.array([i for i, _ in errors])
        size = np.array([e for _, e in errors])
        inside = np.array([of(str(part)) for part in comparison.part[frame]])
        frame, size = frame[inside], size[inside]
        groups = comparison.group[frame]
        least = (
            1.4826 * float(np.median(size)) if len(size) else 0.0
        )  # perfect crystals are not judged by themselves
        for group in np.unique(groups):
            own = groups == group
            if np.count_nonzero(own) < ENOUGH:
                continue
            usual = max(1.4826 * float(np.median(size[own])), least)
            far = own & (size > FAR * usual)
            out += [
                Outlier(int(i), quantity, float(e), usual) for i, e in zip(frame[far], size[far], strict=True)
            ]
    return tuple(sorted(out, key=lambda o: -o.error / max(o.usual, 1e-12)))
