"""How good and how fast are the models of the paths? Errors of test structures in physical units, time per atom."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError
from aliquot.fitting import TEST, Baseline, errors_of_path
from aliquot.fitting.accumulate import Key
from aliquot.solvers import Path
from aliquot.structures import Frames
from aliquot.structures.neighbours import Neighbours, neighbours
from aliquot.studies.sparse_path.settings import Settings
from aliquot.studies.sparse_path.solving import DENSE, EQUAL, METHODS

__all__ = ["MATCHES", "Model", "Surroundings", "at_budget", "at_error", "compared", "judged", "surroundings"]

#: Atoms on which time is measured, about (copies of one structure, if it is small), and how often.
TIMED_ATOMS: Final = 250
REPEATS: Final = 3

#: Kinds of comparison at equal validation error, and with what.
MATCHES: Final = {"match": DENSE, "match-equal": EQUAL}


class Model(NamedTuple):
    """A point of the path of a method."""

    method: str
    point: int


class Surroundings(NamedTuple):
    """A structure with its neighbours."""

    numbers: NDArray[np.int32]
    pairs: Neighbours

    @property
    def neighbours(self) -> float:
        """Of an atom, on average."""
        return len(self.pairs.index) / len(self.numbers)


def surroundings(frames: Frames, cutoff: float) -> Surroundings:
    """The largest structure of at most :data:`TIMED_ATOMS` atoms (else the smallest of all), as often as it fits."""
    sizes = np.where(frames.sizes <= TIMED_ATOMS, frames.sizes, 0)
    i = int(np.argmax(sizes)) if sizes.max(initial=0) else int(np.argmin(frames.sizes))
    n, copies = int(frames.sizes[i]), max(1, TIMED_ATOMS // int(frames.sizes[i]))
    atoms = slice(frames.offsets[i], frames.offsets[i + 1])
    one = neighbours(frames.positions[atoms], frames.cells[i], frames.pbc[i], cutoff)
    m = len(one.index)
    first = np.concatenate([one.first[:-1] + k * m for k in range(copies)] + [np.array([copies * m])])
    index = np.concatenate([one.index + k * n for k in range(copies)])
    pairs = Neighbours(first, index, np.tile(one.vectors, (copies, 1)))
    return Surroundings(np.tile(frames.numbers[atoms], copies), pairs)


def at_budget(path: Path, n: int) -> int | None:
    """Of at most ``n`` functions, the point of the smallest validation error."""
    fits = np.flatnonzero((path.sizes <= n) & (path.sizes > 0))
    return int(fits[np.argmin(path.errors("validation")[fits])]) if len(fits) else None


def at_error(path: Path, limit: float) -> int | None:
    """The point of the fewest functions whose validation error is at most ``limit``."""
    error = path.errors("validation")
    good = np.flatnonzero(error <= limit)
    return int(good[np.lexsort((error[good], path.sizes[good]))[0]]) if len(good) else None


def judged(
    evaluator: AceEvaluator,
    frames: Frames,
    parts: NDArray[np.str_],
    paths: Mapping[str, Path],
    models: list[Model],
    baseline: Baseline,
    timed: Surroundings,
) -> dict[Model, dict[str, Any]]:
    """Size, cost, time and test errors of models.

    Raises
    ------
    InputError
        If no structure judges.
    """
    judges = np.flatnonzero(parts == TEST)
    if not len(judges):
        raise InputError("no structure judges: the published test is empty")
    coefficients = np.stack([paths[m.method].coefficients(m.point) for m in models], axis=1)
    groups = np.full(len(frames), "all")
    said = errors_of_path(
        evaluator, frames, coefficients, parts, which=judges, groups=groups, baseline=baseline, threads=1
    )
    energy, forces = Key(TEST, "energy", ""), Key(TEST, "forces", "")
    elements = evaluator.basis.elements
    reference = np.array([baseline.reference[z] for z in elements])
    out: dict[Model, dict[str, Any]] = {}
    for k, model in enumerate(models):
        point = paths[model.method][model.point]
        potential = AcePotential(evaluator.basis, coefficients[:, k].reshape(len(elements), -1), reference)
        out[model] = {
            "functions": point.size,
            "cost": point.cost,
            "us_per_atom": _microseconds(potential, timed),
            "validation": point.validation,
            "energy_mae_meV": 1e3 * float(said.mae[energy][k]),
            "energy_rmse_meV": 1e3 * float(said.rmse[energy][k]),
            "force_mae_meV_A": 1e3 * float(said.mae[forces][k]),
            "force_rmse_meV_A": 1e3 * float(said.rmse[forces][k]),
        }
    return out


def _microseconds(potential: AcePotential, timed: Surroundings) -> float:
    """Energy, forces and virial per atom on one core, neighbours given: the best of a few, in time of the processor."""
    best = np.inf
    for _ in range(1 + REPEATS):  # the first prepares the potential
        start = time.thread_time()
        potential.evaluate(timed.numbers, timed.pairs, threads=1)
        best = min(best, time.thread_time() - start)
    return 1e6 * best / len(timed.numbers)


def compared(paths: Mapping[str, Path], settings: Settings) -> dict[tuple[str, str, int], Model]:
    """Models by kind, method and number of functions n.

    Kinds are ``budget``: at most n functions; ``match``: as good as the dense model of that budget; ``match-equal``: as
    good as the dense model of one degree of that budget. A path that is cut short has no model of a larger budget.
    """
    out: dict[tuple[str, str, int], Model] = {}
    for n in settings.sizes:
        for name, path in paths.items():
            if METHODS[name].reaches(n, path, settings) and (point := at_budget(path, n)) is not None:
                out["budget", name, n] = Model(name, point)
        for kind, dense in MATCHES.items():
            if (aim := out.get(("budget", dense, n))) is None:
                continue
            limit = paths[dense].errors("validation")[aim.point]
            for name, path in paths.items():
                if name != dense and (point := at_error(path, limit)) is not None:
                    out[kind, name, n] = Model(name, point)
    return out
