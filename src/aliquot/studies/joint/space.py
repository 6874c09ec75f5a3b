r"""What can be chosen, fitted and judged on one set: rows of all structures in the coordinates of its fits.

In the coordinates :math:`z = S V^\top \theta`, θ = Γ c, of :class:`~aliquot.studies.blocks.Blocks` a model of some
functions is :math:`z = W_{\cdot K} \theta_K` with :math:`W = S V^\top`: fits, errors and what a structure tells follow
from sums and rows that are there already, whatever the functions.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.fitting import Baseline, Weights, evaluation_cost, labelled_rows, reference_energies
from aliquot.progress import Progress
from aliquot.solvers import ARD, OMP, SharedCost, Triangle
from aliquot.structures import Frames
from aliquot.studies.blocks import CUT, Blocks, Sums, fitted, write_blocks
from aliquot.studies.data import Data
from aliquot.studies.learning_curve.pools import Division, gathered, largest_basis, set_aside
from aliquot.table import KINDS, Features, Ids

__all__ = ["Asked", "Model", "Space", "prepare_space"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_ENERGY, _FORCE = KINDS.index("energy"), KINDS.index("force")


class Asked(Division, Protocol):
    """What settings say about a set."""

    @property
    def functions(self) -> int: ...  # noqa: D102
    @property
    def weights(self) -> tuple[float, ...]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model.

    Parameters
    ----------
    z : (r,) array
    support : (k,) array of int
        Its functions.
    precision : float
        Of the prior, by the evidence.
    """

    z: Array
    support: Index
    precision: float


@dataclass(frozen=True)
class Space:
    """A set as it was prepared.

    Parameters
    ----------
    place : Path
    """

    place: Path

    def _load(self, name: str) -> NDArray[Any]:
        return np.load(self.place / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def told(self) -> dict[str, Any]:
        """What was written beside the arrays."""
        return json.loads((self.place / "set.json").read_text("utf-8"))

    @cached_property
    def blocks(self) -> Blocks:
        """For fits."""
        return Blocks(self.place / "blocks")

    @cached_property
    def weights(self) -> Weights:
        """Of the fits."""
        energy, forces, virial = self.told["weights"]
        return Weights(energy, forces, virial)

    @cached_property
    def known(self) -> Index:
        """Structures that are labelled from the beginning."""
        return np.flatnonzero(np.array(self.told["known"], bool))

    @cached_property
    def known_sums(self) -> Sums:
        """What they bring to every fit."""
        return self.sums(np.empty(0, np.int64), self.known)

    @cached_property
    def directions(self) -> Array:
        """W, (r, d): from θ of all functions to z."""
        scaled = np.array(self.told["prior"])[:, None] * self.blocks.transform
        return np.square(self.blocks.singular)[:, None] * scaled.T

    @property
    def functions(self) -> int:
        """Functions d of the full basis."""
        return len(self.told["prior"])

    @cached_property
    def price(self) -> SharedCost:
        """Of evaluation."""
        return evaluation_cost(AceBasis.from_dict(self.told["basis"]))

    def split(self, repeat: int) -> tuple[Index, Index]:
        """Candidates and structures set aside in a repeat."""
        aside = np.array(self._load("aside")[repeat])
        candidates = ~aside
        candidates[self.known] = False
        return np.flatnonzero(candidates), np.flatnonzero(aside)

    # --- what can be fitted -----------------------------------------------------------------------------------

    def sums(self, chosen: Index, known: Index | None = None) -> Sums:
        """Of all that is known and chosen."""
        groups = np.full(len(self.blocks.sizes), "")
        if known is not None:
            return self.blocks.sums(known, self.weights, groups)
        return self.known_sums + self.blocks.sums(chosen, self.weights, groups)

    def full(self, sums: Sums) -> Model:
        """All functions."""
        fitted = self.blocks.fit(sums)
        return Model(fitted.z, np.arange(self.functions), fitted.evidence.precision)

    def within(self, sums: Sums, support: Index) -> Model:
        """The most probable model of some functions, under the prior of the largest evidence."""
        q, singular, _ = np.linalg.svd(self.directions[:, support], full_matrices=False)
        kept = singular > CUT * singular[0]
        q = q[:, kept]  # z = q ζ, and ζ is to these functions what z is to all
        turned = np.block(
            [
                [q.T @ sums.matrix[:-1, :-1] @ q, q.T @ sums.matrix[:-1, -1:]],
                [sums.matrix[-1:, :-1] @ q, sums.matrix[-1:, -1:]],
            ]
        )
        found = fitted(Sums(turned, sums.n_rows), singular[kept])
        return Model(q @ found.z, support, found.evidence.precision)

    def sparse(self, sums: Sums, precision: float, sizes: Sequence[int], solver: str) -> dict[int, Model]:
        """Models of at most so many functions each, those that a sparse solver takes.

        Parameters
        ----------
        sums : Sums
        precision : float
            Of the prior under which matching pursuit works.
        sizes : sequence of int
        solver : {"omp", "ard"}
        """
        root = self.root(sums.matrix)
        triangle = Triangle(self.functions)
        triangle.absorb(root[:, :-1] @ self.directions, root[:, -1])
        triangle.n_rows = sums.n_rows
        method = OMP(max_size=max(sizes), penalty=precision) if solver == "omp" else ARD(smallest=min(sizes))
        path = method.solve(triangle)
        order = np.argsort(path.sizes, kind="stable")
        best = {k: order[max(np.searchsorted(path.sizes[order], k, side="right") - 1, 0)] for k in sizes}
        return {k: self.within(sums, np.sort(path[int(i)].support)) for k, i in best.items()}

    def smooth(self, sums: Sums, k: int) -> Model:
        """A model of the k functions that the prior takes for the smoothest: a basis chosen without data."""
        return self.within(sums, np.sort(np.argsort(self.told["prior"], kind="stable")[:k]))

    @staticmethod
    def root(matrix: Array) -> Array:
        """Rows of which a matrix is the sum of outer products."""
        values, vectors = np.linalg.eigh(matrix)
        kept = values > np.finfo(float).eps * values[-1]
        return np.sqrt(values[kept])[:, None] * vectors[:, kept].T

    def judged(self, model: Model, which: Index) -> dict[str, float]:
        """Errors on some structures, and multiplications per atom that the model takes."""
        found = self.blocks.errors(model.z, which)
        return {
            "energy_rmse_meV": 1e3 * found.energy_rmse,
            "force_rmse_meV": 1e3 * found.force_rmse,
            "multiplications": self.price.total(model.support),
        }

    # --- what can be chosen -----------------------------------------------------------------------------------

    def candidates(self, which: Index, support: Index | None) -> Features:
        """Energy and force rows of structures, for a model of all functions or of some."""
        offsets = self._load("offsets")
        lengths = np.diff(offsets)[which]
        rows = np.concatenate([np.arange(int(offsets[i]), int(offsets[i + 1])) for i in which.tolist()])
        table = Features.from_array(
            np.array(self._load("rows")[rows]),
            offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
            weight=np.array(self._load("weight")[rows]),
            prior=1.0 / self.blocks.singular,
            ids=Ids.numbered(len(offsets) - 1)[which],
        )
        table = replace_kind(table, np.array(self._load("kind")[rows]))
        return table if support is None else self._turned(table, support)

    def labelled(self, sums: Sums, support: Index | None) -> Features:
        """What is labelled, as one block of rows with the same information."""
        root = self.root(sums.matrix[:-1, :-1])
        table = Features.from_array(
            root,
            offsets=np.array([0, len(root)]),
            prior=1.0 / self.blocks.singular,
            ids=Ids.numbered(1, "labelled"),
        )
        return table if support is None else self._turned(table, support)

    def _turned(self, table: Features, support: Index) -> Features:
        """The same rows for a model of some functions."""
        turned = Features.from_array(
            table.rows @ self.directions[:, support],
            offsets=table.offsets,
            weight=table.weight,
            ids=table.ids,
        )
        return replace_kind(turned, table.kind)


def replace_kind(table: Features, kind: NDArray[np.uint8]) -> Features:
    """The same table, its rows observing something else."""
    return Features(
        table.rows, table.offsets, kind, table.weight, table.prior, table.names, table.recipe, table.ids
    )


def prepare_space(settings: Asked, data: Data, name: str, place: Path, progress: Progress) -> None:
    """Write what the repeats on one set share into a folder that is not there yet, complete or not at all."""
    frames, groups, known, _ = gathered(settings, data, name)
    basis = largest_basis(tuple(frames.elements), settings.functions)
    baseline = Baseline(reference_energies(frames))
    energy, forces, virial = settings.weights
    place.parent.mkdir(parents=True, exist_ok=True)
    working = Path(tempfile.mkdtemp(prefix=".set-", dir=place.parent))
    try:
        weights = Weights(energy, forces, virial)
        write_blocks(working / "blocks", basis, frames, baseline=baseline, weights=weights, progress=progress)
        _write_rows(working, AceEvaluator(basis), frames, known, settings.weights, progress)
        np.save(working / "aside.npy", set_aside(frames, groups, known, settings))
        told = {
            "known": known.tolist(),
            "weights": list(settings.weights),
            "prior": np.tile(basis.prior, len(basis.elements)).tolist(),
            "basis": basis.to_dict(),
        }
        (working / "set.json").write_text(json.dumps(told), "utf-8")
        working.rename(place)
    finally:
        shutil.rmtree(working, ignore_errors=True)


def _write_rows(
    place: Path,
    evaluator: AceEvaluator,
    frames: Frames,
    known: NDArray[np.bool_],
    weights: tuple[float, ...],
    progress: Progress,
) -> None:
    """Energy (per atom) and force rows of every candidate; more force rows than directions as their triangle."""
    transform = Blocks(place / "blocks").transform
    rows: list[Array] = []
    kinds: list[NDArray[np.uint8]] = []
    weight: list[Array] = []
    lengths = np.zeros(len(frames), np.int64)
    for i in np.flatnonzero(~known).tolist():
        n, labelled = int(frames.sizes[i]), labelled_rows(evaluator, frames, i)
        forces = (
            labelled["forces"][0] @ transform if "forces" in labelled else np.zeros((0, transform.shape[1]))
        )
        if len(forces) > transform.shape[1]:
            forces = np.linalg.qr(forces, mode="r")
        rows.append(np.concatenate((labelled["energy"][0] @ transform / np.sqrt(n), forces)))
        kinds.append(np.array([_ENERGY] + [_FORCE] * len(forces), np.uint8))
        weight.append(np.array([weights[0] * np.sqrt(n)] + [weights[1]] * len(forces)))
        lengths[i] = len(rows[-1])
        progress("rows", i + 1, len(frames))
    np.save(place / "rows.npy", np.concatenate(rows))
    np.save(place / "kind.npy", np.concatenate(kinds))
    np.save(place / "weight.npy", np.concatenate(weight))
    np.save(place / "offsets.npy", np.concatenate(([0], np.cumsum(lengths))))
