r"""Blocks of rows of a linear ACE potential: what a fit would absorb if a structure were labelled.

A structure of N atoms has one energy row (per atom), 3N force rows and 6 virial rows. Their weights are those of a
fit with weights :math:`w_E/w_F/w_V` on total energies per :math:`\sqrt N`, force components and virials per
:math:`\sqrt N`: the rows here carry :math:`w_E \sqrt N`, :math:`w_F` and :math:`w_V / \sqrt N`.

3N rows per structure soon exceed memory: large tables are kept in a nameless temporary file (:func:`room`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.features.ace import AceFeaturizer
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.table import KINDS, Features, room

__all__ = ["QUANTITIES", "WEIGHTS", "AceBlockFeaturizer"]

#: What rows may observe, in the order in which they stand in a block.
QUANTITIES: Final = ("energy", "forces", "virial")

#: Default weights of energy, forces and virial.
WEIGHTS: Final = (30.0, 1.0, 1.0)

_KIND = {"energy": "energy", "forces": "force", "virial": "virial"}


@dataclass(frozen=True, eq=False)
class AceBlockFeaturizer:
    """Energy, force and virial rows of a linear ACE basis.

    Parameters
    ----------
    basis : AceBasis
        With functions of its own for every element.
    quantities : tuple of str
        Some of :data:`QUANTITIES`, in that order.
    weights : (float, float, float)
        Of energy, forces and virial.

    Raises
    ------
    InputError
        If the basis embeds elements, or a quantity or weight cannot be.
    """

    basis: AceBasis
    quantities: tuple[str, ...] = QUANTITIES
    weights: tuple[float, float, float] = WEIGHTS

    def __post_init__(self) -> None:
        unknown = [name for name in self.quantities if name not in QUANTITIES]
        if unknown or not self.quantities or len(set(self.quantities)) != len(self.quantities):
            raise InputError(
                f"rows {'+'.join(self.quantities) or '(none)'} are not understood; use some of {', '.join(QUANTITIES)},"
                " each once, as in energy+forces"
            )
        if len(self.weights) != 3 or not all(np.isfinite(w) and w > 0 for w in self.weights):
            raise InputError(
                f"weights must be three positive numbers for energy/forces/virial; got {self.weights}"
            )
        if self.basis.embedding is not None:
            raise InputError(
                "force and virial rows need functions of their own for every element, and the"
                f" {len(self.basis.elements)} elements of this basis are embedded; give a basis without an embedding"
            )

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Basis, quantities and weights."""
        return {
            "features": "ace",
            "basis": self.basis.to_dict(),
            "rows": list(self._ordered),
            "weights": list(self.weights),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def _ordered(self) -> tuple[str, ...]:
        return tuple(name for name in QUANTITIES if name in self.quantities)

    def __call__(self, frames: Frames, *, progress: Progress = silent) -> Features:
        """The table of these frames: one block of rows each."""
        featurizer = AceFeaturizer(self.basis, np.eye(len(self.basis.elements)))
        featurizer.check_elements(frames)
        sizes = frames.sizes
        lengths = np.zeros(len(frames), np.int64)
        for name in self._ordered:
            lengths += {"energy": 1, "forces": 3 * sizes, "virial": 6}[name]
        offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        evaluator = AceEvaluator(self.basis)
        rows = room((int(offsets[-1]), evaluator.n_columns), np.float32)
        kind, weight = np.empty(len(rows), np.uint8), np.empty(len(rows))

        def one(i: int) -> None:
            made, n, start = evaluator.rows(frames, i), int(sizes[i]), int(offsets[i])
            parts = {"energy": made.energy[None] / n, "forces": made.forces, "virial": made.virial}
            e, f, v = self.weights
            weights = {"energy": e * np.sqrt(n), "forces": f, "virial": v / np.sqrt(n)}
            for name in self._ordered:
                part = parts[name].reshape(-1, rows.shape[1])
                if not np.all(np.isfinite(part)):
                    raise InputError(
                        f"{frames.ids_name(i)}: a {name} row is not finite; are two atoms at one place?"
                    )
                place = slice(start, start + len(part))
                rows[place] = part
                kind[place] = KINDS.index(_KIND[name])
                weight[place] = weights[name]
                start = place.stop

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for done, _ in enumerate(pool.map(one, range(len(frames))), 1):
                progress("features", done, len(frames))
        return Features(
            rows=rows,
            offsets=offsets,
            kind=kind,
            weight=weight,
            prior=np.tile(self.basis.prior, len(self.basis.elements)),
            names=featurizer.names,
            recipe=self.recipe,
            ids=frames.ids,
        )
