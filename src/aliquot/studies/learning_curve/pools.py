"""What do all repeats share? A cleaned set, its features, the blocks of its fits, and who is set aside when."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis, count_functions
from aliquot.errors import InputError
from aliquot.features import featurize
from aliquot.features.opening import open_store, save_store
from aliquot.fitting import (
    TEST,
    TRAIN,
    VALIDATION,
    Baseline,
    Weights,
    candidate_basis,
    prior_from_labels,
    reference_energies,
    split_at_random,
)
from aliquot.fitting.references import free_atoms
from aliquot.progress import Progress
from aliquot.structures import Frames
from aliquot.studies.blocks import Blocks, Sums, write_blocks
from aliquot.studies.data import Data
from aliquot.table import Features

if TYPE_CHECKING:
    from aliquot.studies.learning_curve import Settings

__all__ = ["LEAST", "Division", "Pool", "gathered", "largest_basis", "prepare_pool", "set_aside"]

#: Fewer candidates than this cannot be divided and compared.
LEAST: Final = 20

_TABLES: Final = ("energies", "forces")


class Division(Protocol):
    """What settings say about who is a candidate, who is known, and who judges."""

    @property
    def group(self) -> str: ...  # noqa: D102
    @property
    def known(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def train(self) -> str: ...  # noqa: D102
    @property
    def most(self) -> int: ...  # noqa: D102
    @property
    def repeats(self) -> int: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def test(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class Pool:
    """A set as it was prepared.

    Parameters
    ----------
    place : Path
    """

    place: Path

    @cached_property
    def told(self) -> dict[str, Any]:
        """What was written beside the arrays."""
        return json.loads((self.place / "pool.json").read_text("utf-8"))

    @cached_property
    def groups(self) -> NDArray[np.str_]:
        """Group of every structure, (n,)."""
        return np.array(self.told["groups"], str)

    @cached_property
    def known(self) -> NDArray[np.int64]:
        """Structures that every method knows, and every fit has."""
        return np.flatnonzero(np.array(self.told["known"], bool))

    @cached_property
    def aside(self) -> NDArray[np.bool_]:
        """Who judges in which repeat, (repeats, n)."""
        return np.load(self.place / "aside.npy", allow_pickle=False)

    @cached_property
    def blocks(self) -> Blocks:
        """For fits."""
        return Blocks(self.place / "blocks")

    @cached_property
    def weights(self) -> Weights:
        """Of the fits."""
        return Weights(*self.told["weights"])

    @cached_property
    def known_sums(self) -> Sums:
        """What the known structures bring to every fit."""
        return self.blocks.sums(self.known, self.weights, self.groups)

    def table(self, forces: bool) -> Features:
        """Features of all structures, in memory."""
        return _in_memory(self.place / _TABLES[forces])

    def precision(self, forces: bool) -> float | None:
        """Of the prior in these features, where labels of known structures tell it."""
        return self.told["precision"][_TABLES[forces]]

    def split(self, repeat: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Candidates and structures set aside in a repeat."""
        candidates = ~self.aside[repeat]
        candidates[self.known] = False
        return np.flatnonzero(candidates), np.flatnonzero(self.aside[repeat])


@lru_cache(maxsize=4)
def _in_memory(place: Path) -> Features:
    table = open_store(place)
    return table[np.arange(len(table))]


def prepare_pool(settings: Settings, data: Data, name: str, place: Path, progress: Progress) -> None:
    """Write what the repeats on one set share into a folder that is not there yet, complete or not at all.

    Raises
    ------
    InputError
        If structures are not labelled, or too few.
    """
    frames, groups, known, notes = gathered(settings, data, name)
    place.parent.mkdir(parents=True, exist_ok=True)
    working = Path(tempfile.mkdtemp(prefix=".pool-", dir=place.parent))
    try:
        energy, forces, virial = settings.weights
        weights = Weights(energy, forces, virial)
        reference = reference_energies(frames)
        basis = largest_basis(tuple(frames.elements), settings.functions)
        write_blocks(
            working / "blocks",
            basis,
            frames,
            baseline=Baseline(reference),
            weights=weights,
            progress=progress,
        )
        precision: dict[str, float | None] = {}
        has_forces = bool(frames.forces.present.any())
        few = largest_basis(basis.elements, settings.force_functions)
        specs = (settings.features, _force_rows(few) if has_forces else "")
        for table, spec in zip(_TABLES, specs, strict=True):
            if spec:
                (made,) = featurize(spec, frames, progress=progress)
                save_store(working / table, made)
                precision[table] = _precision(frames[known], made[known]) if known.any() else None
        np.save(working / "aside.npy", set_aside(frames, groups, known, settings))
        told = {
            "groups": groups.tolist(),
            "known": known.tolist(),
            "weights": list(settings.weights),
            "forces": has_forces,
            "precision": precision,
            "notes": notes,
            "functions": len(basis.elements) * len(basis.functions),
            "force_features": specs[1],
        }
        (working / "pool.json").write_text(json.dumps(told), "utf-8")
        working.rename(place)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _force_rows(basis: AceBasis) -> str:
    """Features of energy and force rows of a basis, as the command line has them."""
    degrees = "/".join(f"{degree:g}" for degree in basis.degree)
    return f"ace:degree={degrees},pair={basis.pair_degree},cutoff={basis.max_cutoff:g},rows=energy+forces"


def _precision(frames: Frames, table: Features) -> float | None:
    found = prior_from_labels(frames, table)
    return found.precision if found is not None and found.stationary else None


def gathered(
    settings: Division, data: Data, name: str
) -> tuple[Frames, NDArray[np.str_], NDArray[np.bool_], list[str]]:
    """Labelled, different structures of a set with those that are known, their groups, who is known, and remarks."""
    pool, notes = _labelled(data.read(name), settings.group, name)
    groups = _groups(pool, settings.group)
    types = {one.partition(":")[2] for one in settings.known if one.partition(":")[0] == name}
    known = free_atoms(pool) | np.isin(groups, list(types))
    if types and not known.any():
        raise InputError(f"{name} has no structure of {settings.group} {', '.join(sorted(types))}")
    if settings.train:
        train, more = _labelled(data.read(settings.train), settings.group, settings.train)
        notes += more
        new = ~np.isin(pool.hashes, train.hashes)
        if not new.all():
            notes.append(f"{int((~new).sum())} structures of the pool are known already and were left out")
        pool, known = pool[new], known[new]
        known = np.concatenate((known, np.ones(len(train), np.bool_)))
        groups = np.concatenate((groups[new], _groups(train, settings.group)))
        pool = Frames.concatenate((pool, train))
    keep = _thinned(groups, known, settings)
    if not keep.all():
        notes.append(f"{int((keep & ~known).sum())} of {int((~known).sum())} candidates, drawn at random")
    n = int((keep & ~known).sum())
    if n < LEAST:
        raise InputError(f"{name} has {n} different labelled candidates; a comparison needs at least {LEAST}")
    return pool[keep], groups[keep], known[keep], notes


def _labelled(frames: Frames, group: str, name: str) -> tuple[Frames, list[str]]:
    """Different structures with energies."""
    notes: list[str] = []
    if not frames.energy.present.any():
        raise InputError(
            f"no structure of {name} has an energy; methods are compared on labelled structures (REF_energy,"
            " REF_forces); for unlabelled ones aliquot compare shows what each would choose"
        )
    labelled = frames.energy.present & np.isfinite(frames.energy.values)
    _, first = np.unique(frames.hashes, return_index=True)
    different = np.zeros(len(frames), np.bool_)
    different[first] = True
    for kept, what in ((labelled, "without an energy"), (different | ~labelled, "that repeat another one")):
        if not kept.all():
            notes.append(f"{int((~kept).sum())} structures {what} were left out")
    return frames[labelled & different], notes


def _groups(frames: Frames, name: str) -> NDArray[np.str_]:
    column = frames.frame_columns.get(name)
    if column is None:
        return np.full(len(frames), "", "U1")
    return np.where(column.present, column.values.astype(str), "")


def _thinned(groups: NDArray[np.str_], known: NDArray[np.bool_], settings: Division) -> NDArray[np.bool_]:
    """Who stays where there are more candidates than the study takes: the same share of every group, at random."""
    keep = np.ones(len(groups), np.bool_)
    candidates = np.flatnonzero(~known)
    if settings.most and len(candidates) > settings.most:
        order = np.random.default_rng(settings.seed).permutation(candidates)
        order = order[np.argsort(groups[order], kind="stable")]
        places = ((np.arange(settings.most) + 0.5) * len(order) / settings.most).astype(np.int64)
        keep[candidates] = False
        keep[order[places]] = True
    return keep


def set_aside(
    frames: Frames, groups: NDArray[np.str_], known: NDArray[np.bool_], settings: Division
) -> NDArray[np.bool_]:
    """Who judges in which repeat: the same share of the candidates of every group."""
    grouped = frames.with_frame_column("config_type", groups)
    parts = np.where(known, VALIDATION, TRAIN)  # only what teaches is divided
    seeds = [settings.seed * 100_003 + repeat for repeat in range(settings.repeats)]
    return np.array(
        [
            split_at_random(grouped, parts, validation=0.0, test=settings.test, seed=seed) == TEST
            for seed in seeds
        ]
    )


def largest_basis(elements: tuple[int, ...], functions: int) -> AceBasis:
    """The largest basis of order 3 with at most so many coefficients over all elements, or the smallest there is.

    Examples
    --------
    >>> [len(largest_basis((29,), n).functions) for n in (1, 100, 300)]
    [13, 88, 291]
    """
    n, best = len(elements), (4.0, 4.0, 3.0)
    for level in range(3, 31):
        degree = (float(round(1.5 * level)), float(round(1.25 * level)), float(level))
        per_element = count_functions(degree, n) + int(degree[0]) * n
        if n * per_element > functions:
            break
        best = degree
    return candidate_basis(elements, degree=best)
