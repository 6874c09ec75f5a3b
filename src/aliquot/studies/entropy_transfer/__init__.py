"""Does what entropy teaches transfer better than what experts teach? Two sets, one truth, many students.

Two sets of structures of tungsten, one made by hand and one by entropy, and random packings as a control, are labelled
by one potential (:mod:`.truth`). Linear, quadratic and network students (:mod:`.polynomial`, :mod:`.network`) learn
from one set, or a mixture, and are judged on held-out structures of each. One task is one student.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.progress import Progress
from aliquot.structures import Frames, read, write
from aliquot.studies.data import Data
from aliquot.studies.declaration import Task
from aliquot.studies.entropy_transfer.environments import (
    Environments,
    directions_of,
    look,
    open_environments,
    save_environments,
)
from aliquot.studies.entropy_transfer.judging import Student, answers, errors
from aliquot.studies.entropy_transfer.lessons import Familiar, Lessons, Scale, scale_of, scale_of_all
from aliquot.studies.entropy_transfer.network import Training, fit_network
from aliquot.studies.entropy_transfer.outcome import conclude
from aliquot.studies.entropy_transfer.polynomial import fit_polynomial
from aliquot.studies.entropy_transfer.sets import EXPERT, PACKED, SETS, draw_parts, groups_of, make_set
from aliquot.studies.entropy_transfer.truth import TRUTHS, label

__all__ = ["REVISION", "Settings", "conclude", "cost", "prepare", "tasks", "work"]

REVISION: Final = 1

#: Begin the names of students that are networks; their layers follow.
NETWORK: Final = "network "

#: Degree of the students that are polynomials, by name.
POLYNOMIALS: Final = {"linear": 1, "quadratic": 2, "quadratic, common scale": 2}

#: End the names of students whose site values are scaled by those of random packings, whoever teaches.
COMMON: Final = ", common scale"


@dataclass(frozen=True)
class Settings:
    """What is compared.

    Parameters
    ----------
    sets : tuple of str
        The expert set.
    seed : int
    expert, made : int
        Structures of the expert set (0 for all) and of each set that is made.
    atoms : int
        Of every structure that is made.
    truths : tuple of str
    repeats : tuple of int
        Splits and beginnings for each truth.
    teach : tuple of str
        Sets, or mixtures with equal shares as in ``expert + entropy``.
    students : tuple of str
        Of :data:`POLYNOMIALS`, or ``network`` with the widths of its layers.
    cutoff, degree : float
        Of the site values that students see, Å; order 3.
    slopes : int
        Directions of every structure along which forces are taught.
    run : int
        Consecutive structures of the expert set that stay together.
    test, validation : float
        Shares of groups.
    energy_weight : float, 1/Å
    epochs, batch : int
    rate : float
    """

    sets: tuple[str, ...] = ("w_szlachta2014",)
    seed: int = 0
    expert: int = 0
    made: int = 5000
    atoms: int = 32
    truths: tuple[str, ...] = ("EAM",)
    repeats: tuple[int, ...] = (5,)
    teach: tuple[str, ...] = (*SETS, "expert + entropy")
    students: tuple[str, ...] = (*POLYNOMIALS, "network 64", "network 16-16-16")
    cutoff: float = 5.0
    degree: float = 7.0
    slopes: int = 6
    run: int = 20
    test: float = 0.2
    validation: float = 0.1
    energy_weight: float = 10.0
    epochs: int = 30
    batch: int = 16
    rate: float = 0.02

    def __post_init__(self) -> None:
        unknown = [name for name in self.truths if name not in TRUTHS]
        if unknown or len(self.truths) != len(self.repeats):
            raise InputError(
                f"truths are some of {', '.join(TRUTHS)}, with a number of repeats each; got {self.truths} and"
                f" {self.repeats}"
            )
        for name in self.teach:
            parts_of(name)
        for name in self.students:
            if name not in POLYNOMIALS:
                hidden_of(name)

    @property
    def basis(self) -> AceBasis:
        """What students see of an environment."""
        return AceBasis(elements=(74,), cutoff=self.cutoff, degree=(self.degree,) * 3)


def parts_of(name: str) -> tuple[str, ...]:
    """The sets of a mixture.

    Examples
    --------
    >>> parts_of("expert + entropy")
    ('expert', 'entropy')
    """
    names = tuple(part.strip() for part in name.split("+"))
    if not set(names) <= set(SETS):
        raise InputError(f"{name!r} does not teach; use {', '.join(SETS)}, or some of them joined by +")
    return names


def hidden_of(name: str) -> tuple[int, ...]:
    """Widths of the hidden layers of a network.

    Examples
    --------
    >>> hidden_of("network 16-16")
    (16, 16)
    """
    widths = name.removeprefix(NETWORK).split("-")
    if not name.startswith(NETWORK) or not all(width.isdigit() and int(width) for width in widths):
        raise InputError(f"student {name!r} is not known; use linear, quadratic or network 16-16-16")
    return tuple(map(int, widths))


def tasks(settings: Settings) -> Sequence[Task]:
    """One student, taught once."""
    return [
        {"truth": truth, "repeat": repeat, "taught": taught, "student": student}
        for truth, repeats in zip(settings.truths, settings.repeats, strict=True)
        for repeat in range(repeats)
        for student in settings.students
        for taught in settings.teach
    ]


def cost(settings: Settings, task: Task) -> float:
    """Seconds, about."""
    if task["student"] == "linear":
        return 0.002 * settings.made
    return (0.004 if task["student"] == "quadratic" else 2e-4 * settings.epochs) * settings.made


def prepare(settings: Settings, data: Data, place: Path, progress: Progress) -> None:
    """Sets, labels and environments."""
    for number, name in enumerate(SETS):
        structures = place / f"{name}.xyz"
        if not structures.exists():
            made = make_set(
                name,
                data,
                source=settings.sets[0],
                n=settings.expert if name == EXPERT else settings.made,
                atoms=settings.atoms,
                seed=settings.seed,
                folder=place / "generation",
                progress=progress,
            )
            write(structures, made)
        frames = read(structures)
        directions = directions_of(frames, settings.slopes, seed=settings.seed + number)
        for truth in settings.truths:
            if not (file := place / f"{name}-{truth}.npz").exists():
                energies, forces = label(truth, frames, progress=progress)
                _write_arrays(file, _labels(frames, energies, forces, directions))
        if not (place / name / "values.npy").exists():
            save_environments(place / name, look(settings.basis, frames, directions, progress=progress))


def _labels(
    frames: Frames,
    energies: NDArray[np.float64],
    forces: NDArray[np.float64],
    directions: list[NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    """Energies per atom, forces, and forces along the directions."""
    along = [
        np.einsum("mia,ia->m", v, forces[frames.offsets[i] : frames.offsets[i + 1]])
        for i, v in enumerate(directions)
    ]
    return {"energies": energies / frames.sizes, "forces": forces, "slopes": np.array(along)}


def _write_arrays(file: Path, arrays: dict[str, NDArray[np.float64]]) -> None:
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".writing-", suffix=".npz", delete=False) as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]
    os.replace(out.name, file)


def work(settings: Settings, data: Data, place: Path, task: Task) -> list[dict[str, Any]]:
    """Teach one student, and judge it on every set; one row each, and one for every kind of the expert set."""
    sets = {name: _open(settings, place, name, task) for name in SETS}
    rng = np.random.default_rng([settings.seed, task["repeat"], 1])
    taught = parts_of(task["taught"])
    parts = [sets[name].taught(1.0 / len(taught), rng) for name in taught]
    scale = scale_of(parts) if not task["student"].endswith(COMMON) else scale_of_all(sets[PACKED].seen)
    student = _teach(settings, task["student"], parts, scale, rng)
    rows: list[dict[str, Any]] = []
    evaluator = AceEvaluator(settings.basis)
    familiar = Familiar.of(parts)
    for name, one in sets.items():
        strange = familiar.strange(one.seen, one.parts[2])
        rows.extend({**row, "strange": strange} for row in _judge(student, evaluator, name, one))
    count = sum(int(np.diff(seen.offsets)[lessons.train].sum()) for seen, lessons in parts)
    return [{**row, "taught_atoms": count} for row in rows]


def _teach(
    settings: Settings,
    name: str,
    parts: list[tuple[Environments, Lessons]],
    scale: Scale,
    rng: np.random.Generator,
) -> Student:
    if name in POLYNOMIALS:
        return fit_polynomial(POLYNOMIALS[name], parts, scale)
    training = Training(hidden_of(name), settings.epochs, settings.batch, settings.rate)
    return fit_network(training, parts, scale, rng=rng)


@dataclass(frozen=True, eq=False)
class _Set:
    """A set with labels of one truth, divided."""

    frames: Frames
    seen: Environments
    labels: dict[str, NDArray[np.float64]]
    parts: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    energy_weight: float

    def taught(self, share: float, rng: np.random.Generator) -> tuple[Environments, Lessons]:
        """What a share of the structures teaches."""
        train, validation = (
            np.sort(rng.permutation(part)[: round(share * len(part))]) for part in self.parts[:2]
        )
        lessons = Lessons(
            self.labels["energies"], self.labels["slopes"], train, validation, self.energy_weight
        )
        return self.seen, lessons

    def forces(self, chosen: NDArray[np.int64]) -> list[NDArray[np.float64]]:
        """True forces of these structures."""
        return [self.labels["forces"][self.seen.atoms(int(i))] for i in chosen]


def _open(settings: Settings, place: Path, name: str, task: Task) -> _Set:
    frames, (group, kind) = _structures(place / f"{name}.xyz", settings.run if name == EXPERT else 1)
    with np.load(place / f"{name}-{task['truth']}.npz") as kept:
        labels = dict(kept)
    rng = np.random.default_rng([settings.seed, task["repeat"], 0])  # the same for every student
    parts = draw_parts(group, kind, test=settings.test, validation=settings.validation, rng=rng)
    return _Set(frames, open_environments(place / name), labels, parts, settings.energy_weight)


@lru_cache(maxsize=len(SETS))
def _structures(place: Path, run: int) -> tuple[Frames, tuple[NDArray[np.int64], NDArray[np.str_]]]:
    """Read once by every process."""
    frames = read(place)
    return frames, groups_of(frames, run=run)


def _judge(student: Student, evaluator: AceEvaluator, name: str, one: _Set) -> list[dict[str, Any]]:
    chosen = one.parts[2]
    energies, forces = answers(student, evaluator, one.frames, chosen)
    truth, true_forces = one.labels["energies"][chosen], one.forces(chosen)
    kinds = one.frames.config_type[chosen] if name == EXPERT else np.full(len(chosen), "")
    rows: list[dict[str, Any]] = []
    for kind in ("", *np.unique(kinds[kinds != ""])):
        some = np.flatnonzero(kinds == kind) if kind else np.arange(len(chosen))
        told = errors(energies[some], [forces[k] for k in some], truth[some], [true_forces[k] for k in some])
        rows.append({"judged": name, "kind": str(kind), **told})
    return rows
