r"""How wrong is a model? Mean absolute and root-mean-square errors per part, quantity and config type.

Energies per atom (eV/atom), force components (eV/Å), the six components of the virial per atom (eV/atom).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential, Evaluation
from aliquot.fitting.accumulate import Baseline, Key, each
from aliquot.fitting.weights import QUANTITIES
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames

__all__ = ["UNITS", "Comparison", "Error", "compare", "errors_of_path"]

Array = NDArray[np.float64]

#: What errors are measured in.
UNITS: Final = {"energy": "eV/atom", "forces": "eV/Å", "virial": "eV/atom"}

_VOIGT: Final = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])


@dataclass(frozen=True)
class Error:
    """Errors of one quantity in one part and group.

    Parameters
    ----------
    part, quantity, group : str
        ``group`` is empty for all groups together, and ``(none)`` for structures of no group.
    structures, values : int
        How many structures, and how many numbers (components) they give.
    mae, rmse : float
        In :data:`UNITS`.
    """

    part: str
    quantity: str
    group: str
    structures: int
    values: int
    mae: float
    rmse: float

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        return vars(self).copy()


@dataclass(frozen=True, eq=False)
class Comparison:
    """Labels and predictions, number by number.

    Parameters
    ----------
    label, predicted : dict of str to (values,) array
        By quantity, in :data:`UNITS`, in the order of the frames.
    frame : dict of str to (values,) array of int
        Which frame each number belongs to.
    part, group : (n_frames,) array of str
    """

    label: Mapping[str, Array]
    predicted: Mapping[str, Array]
    frame: Mapping[str, NDArray[np.int64]]
    part: NDArray[np.str_]
    group: NDArray[np.str_]

    def table(self) -> tuple[Error, ...]:
        """Errors of every part and quantity: of all groups, then of each."""
        out: list[Error] = []
        for part in dict.fromkeys(self.part.tolist()):
            for quantity in QUANTITIES:
                here = self.part[self.frame[quantity]] == part
                if not here.any():
                    continue
                frame = self.frame[quantity][here]
                wrong = self.predicted[quantity][here] - self.label[quantity][here]
                out.append(_error(part, quantity, "", frame, wrong))
                names = self.group[frame]
                kinds = sorted(set(names.tolist()))
                if len(kinds) > 1:
                    for name in kinds:
                        some = names == name
                        out.append(_error(part, quantity, name or "(none)", frame[some], wrong[some]))
        return tuple(out)

    def worst(self, quantity: str, count: int) -> list[tuple[int, float]]:
        """Frames of the largest root-mean-square error of a quantity, the worst first."""
        frame, wrong = self.frame[quantity], self.predicted[quantity] - self.label[quantity]
        there, position, n = np.unique(frame, return_inverse=True, return_counts=True)
        rms = np.sqrt(np.bincount(position, np.square(wrong)) / n)
        order = np.argsort(-rms, kind="stable")[:count]
        return [(int(there[k]), float(rms[k])) for k in order]


def _error(part: str, quantity: str, group: str, frame: NDArray[np.int64], wrong: Array) -> Error:
    return Error(
        part,
        quantity,
        group,
        len(np.unique(frame)),
        len(wrong),
        float(np.mean(np.abs(wrong))),
        float(np.sqrt(np.mean(np.square(wrong)))),
    )


def compare(
    potential: AcePotential | Callable[[Frames, int], Evaluation],
    frames: Frames,
    *,
    parts: NDArray[np.str_] | None = None,
    groups: NDArray[np.str_] | None = None,
    offsets: Mapping[str, float] | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Predictions beside labels.

    Parameters
    ----------
    potential : AcePotential
    frames : Frames
    parts, groups : (n_frames,) array of str, optional
        ``test`` and the config types by default.
    offsets : dict of str to float, optional
        Energy per atom (eV) by which labels of a group lie above those of the others; subtracted.
    threads : int, optional
    progress : callable
    """
    part = np.full(len(frames), "test") if parts is None else parts
    group = frames.config_type if groups is None else groups
    label: dict[str, list[Array]] = {q: [] for q in QUANTITIES}
    predicted: dict[str, list[Array]] = {q: [] for q in QUANTITIES}
    frame: dict[str, list[NDArray[np.int64]]] = {q: [] for q in QUANTITIES}

    def note(i: int, quantity: str, true: Array, said: Array) -> None:
        label[quantity].append(np.asarray(true, float))
        predicted[quantity].append(np.asarray(said, float))
        frame[quantity].append(np.full(len(true), i, np.int64))

    with ThreadPoolExecutor(threads) as pool:
        evaluations = pool.map(lambda i: potential(frames, i), range(len(frames)))
        for i, said in enumerate(evaluations):
            n = int(frames.sizes[i])
            atoms = slice(frames.offsets[i], frames.offsets[i + 1])
            if frames.energy.present[i]:
                shift = (offsets or {}).get(str(group[i]), 0.0)
                note(
                    i, "energy", np.array([frames.energy.values[i] / n - shift]), np.array([said.energy / n])
                )
            if frames.forces.present[i]:
                note(i, "forces", frames.forces.values[atoms].ravel(), said.forces.ravel())
            if frames.virial.present[i]:
                note(i, "virial", frames.virial.values[i][_VOIGT] / n, said.virial[_VOIGT] / n)
            progress("errors", i + 1, len(frames))

    def joined(pieces: list[Any], kind: type) -> Any:
        return np.concatenate(pieces) if pieces else np.empty(0, kind)

    return Comparison(
        {q: joined(v, float) for q, v in label.items()},
        {q: joined(v, float) for q, v in predicted.items()},
        {q: joined(v, np.int64) for q, v in frame.items()},
        np.asarray(part),
        np.asarray(group),
    )


@dataclass(frozen=True, eq=False)
class PathErrors:
    """Errors of several models at once.

    Parameters
    ----------
    mae, rmse : dict of Key to (models,) array
        In :data:`UNITS`; of all groups together under the group ``""``.
    """

    mae: Mapping[Key, Array] = field(default_factory=dict[Key, Array])
    rmse: Mapping[Key, Array] = field(default_factory=dict[Key, Array])


def errors_of_path(
    evaluator: AceEvaluator,
    frames: Frames,
    coefficients: Array,
    parts: NDArray[np.str_],
    *,
    which: Iterable[int] | None = None,
    groups: NDArray[np.str_] | None = None,
    offsets: Mapping[str, Array] | None = None,
    baseline: Baseline | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> PathErrors:
    """Errors of many models in one pass over rows, of which only sums are kept.

    Parameters
    ----------
    evaluator : AceEvaluator
    frames : Frames
    coefficients : (d, models) array
    parts : (n_frames,) array of str
    which : iterable of int, optional
        Frames to judge by; all by default.
    groups : (n_frames,) array of str, optional
    offsets : dict of str to (models,) array, optional
        Per atom, eV.
    baseline : callable, optional
    threads : int, optional
    progress : callable
    """
    group = frames.config_type if groups is None else groups
    sums: dict[Key, list[Any]] = {}
    chosen = list(range(len(frames))) if which is None else [int(i) for i in which]
    stream = each(evaluator, frames, chosen, baseline=baseline, threads=threads)
    with threadpool_limits(1, "blas"):  # the cores are busy with rows
        for count, (i, labelled) in enumerate(stream):
            for quantity, (rows, target) in labelled.items():
                wrong = rows @ coefficients - target[:, None]
                if quantity != "forces":
                    wrong /= np.sqrt(frames.sizes[i])  # rows are per √atom
                if quantity == "energy" and offsets and str(group[i]) in offsets:
                    wrong += offsets[str(group[i])]
                for name in ("", str(group[i]) or "(none)"):
                    held = sums.setdefault(Key(str(parts[i]), quantity, name), [0, 0.0, 0.0])
                    held[0] += len(wrong)
                    held[1] = held[1] + np.abs(wrong).sum(axis=0)
                    held[2] = held[2] + np.square(wrong).sum(axis=0)
            progress("errors", count + 1, len(chosen))
    return PathErrors(
        {key: absolute / n for key, (n, absolute, _) in sums.items()},
        {key: np.sqrt(square / n) for key, (n, _, square) in sums.items()},
    )
