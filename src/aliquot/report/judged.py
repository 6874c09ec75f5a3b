"""Labels beside predictions: which part of them judges, what is shown of it, and in which units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.fitting import Comparison, Error
from aliquot.structures import Frames

__all__ = ["LONG", "NAMES", "UNITS", "Judged", "part_name"]

Array = NDArray[np.float64]

#: Errors are shown in thousandths of eV.
UNITS: Final = {"energy": "meV/atom", "forces": "meV/Å", "virial": "meV/atom"}

#: Quantities as headings, and what one number of each is.
NAMES: Final = {"energy": "Energy", "forces": "Forces", "virial": "Virial"}
LONG: Final = {
    "energy": "energy per atom above free atoms (eV)",
    "forces": "force component (eV/Å)",
    "virial": "virial component per atom (eV)",
}


def part_name(part: str) -> str:
    """A part as it is called in running text.

    >>> part_name("train"), part_name("test")
    ('training', 'test')
    """
    return {"train": "training"}.get(part, part)


@dataclass(frozen=True, eq=False)
class Judged:
    """Labels and predictions of a potential.

    Parameters
    ----------
    comparison : Comparison
    frames : Frames
        Those compared.
    reference : dict of int to float
        Energy of a free atom by atomic number, eV.
    """

    comparison: Comparison
    frames: Frames
    reference: Mapping[int, float]

    @cached_property
    def table(self) -> tuple[Error, ...]:
        """Errors of every part, quantity and group."""
        return self.comparison.table()

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Parts with any label, the one that judges first."""
        order = ("test", "validation", "train")
        found = {e.part for e in self.table}
        return (*(p for p in order if p in found), *sorted(found - set(order)))

    @property
    def judge(self) -> str:
        """The part that says how good the potential is: test, else validation, else training structures."""
        return self.parts[0] if self.parts else ""

    @property
    def held_out(self) -> bool:
        """Whether the part that judges did not teach."""
        return self.judge != "train"

    @cached_property
    def quantities(self) -> tuple[str, ...]:
        """Those with labels."""
        return tuple(q for q in UNITS if len(self.comparison.label[q]))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Config types of the part that judges, those of most structures first."""
        names, sizes = np.unique(
            self.comparison.group[self.comparison.part == self.judge], return_counts=True
        )
        return tuple(names[np.argsort(-sizes, kind="stable")].tolist())

    def error(self, quantity: str, part: str | None = None) -> Error | None:
        """Errors of a part (the one that judges by default), all groups together."""
        wanted = (part or self.judge, quantity, "")
        return next((e for e in self.table if (e.part, e.quantity, e.group) == wanted), None)

    def median(self, quantity: str) -> float:
        """Median size of the errors of the part that judges, in :data:`UNITS`; 0 without labels."""
        size = np.abs(self.wrong(quantity)[self.inside(quantity, self.judge)])
        return float(np.median(size)) if len(size) else 0.0

    def count(self, part: str) -> int:
        """Structures of a part."""
        return int(np.count_nonzero(self.comparison.part == part))

    def inside(self, quantity: str, part: str) -> NDArray[np.bool_]:
        """Which numbers of a quantity are of a part."""
        return self.comparison.part[self.comparison.frame[quantity]] == part

    def wrong(self, quantity: str) -> Array:
        """Prediction − label, in thousandths of the unit of the label."""
        return 1000 * (self.comparison.predicted[quantity] - self.comparison.label[quantity])

    def labels(self, quantity: str) -> Array:
        """Labels; energies above those of free atoms, so that structures of all compositions share an axis."""
        label = self.comparison.label[quantity]
        return label - self._free[self.comparison.frame[quantity]] if quantity == "energy" else label

    @cached_property
    def _free(self) -> Array:
        """Mean energy of the free atoms of each frame, (n_frames,), eV."""
        frames = self.frames
        alone = np.array([self.reference.get(int(z), 0.0) for z in frames.elements])
        of = np.repeat(np.arange(len(frames)), frames.sizes)
        total = np.bincount(
            of, alone[np.searchsorted(frames.elements, frames.numbers)], minlength=len(frames)
        )
        return total / np.maximum(frames.sizes, 1)
