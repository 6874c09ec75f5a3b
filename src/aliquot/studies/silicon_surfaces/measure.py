"""How good is the potential that is fitted to core and choice? Errors of every kind on every kind, and surfaces.

Errors on the *whole* set count structures of training too, as published; those on structures *set aside* do not.

The published set mixes two functionals: the Pandey frames are PBE, the others PW91. For some methods every fit is
made a second time with one unknown energy per atom for the Pandey frames (``control = "offset"``): it is eliminated
from the normal equations, and errors of Pandey frames are then those about their mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.studies.blocks import Fitted, Sums
from aliquot.studies.silicon_surfaces.settings import E0, TYPES, WEIGHTS
from aliquot.studies.silicon_surfaces.slabs import (
    REFERENCE,
    SURFACES,
    crystal,
    ideal_slab,
    surface_energies,
)
from aliquot.studies.silicon_surfaces.stock import Stock

__all__ = ["Measure"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_PANDEY: Final = "surface_111_pandey"

#: Precision of the prior is found to this (natural logarithm): far finer than what changes a prediction.
_TOLERANCE: Final = 0.25


@dataclass(eq=False)
class Measure:
    """Fits and judges choices of one repeat; a choice made by two methods is fitted once.

    Parameters
    ----------
    stock : Stock
    held : array of int
        Positions in the set of what is set aside.
    """

    stock: Stock
    held: Index
    _near: float | None = None
    _done: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)

    def of(self, chosen: Index, *, offset: bool = False) -> dict[str, Any]:
        """Columns of one row."""
        key = (offset, *sorted(chosen.tolist()))
        if key not in self._done:
            self._done[key] = self._of(chosen, offset)
        return self._done[key]

    def _of(self, chosen: Index, offset: bool) -> dict[str, Any]:
        frames = self.stock.frames
        sums = self.stock.sums(chosen)
        if offset:
            sums = self._without_offset(sums, chosen)
        fitted = self.stock.blocks.fit(sums, near=self._near, tolerance=_TOLERANCE)
        self._near = fitted.evidence.precision
        kinds = frames.config_type[chosen]
        return {
            "chosen": len(chosen),
            "atoms": int(frames.sizes[chosen].sum()),
            **{f"chosen_{kind}": int(np.sum(kinds == kind)) for kind in TYPES},
            "precision": fitted.evidence.precision,
            **self._errors(fitted.z, offset),
            **self._surfaces(fitted),
        }

    def _without_offset(self, sums: Sums, chosen: Index) -> Sums:
        """Sums from which one energy per atom of the chosen Pandey frames has been eliminated."""
        frames = self.stock.frames
        some = chosen[frames.config_type[chosen] == _PANDEY]
        if not len(some):
            return sums
        weight = WEIGHTS.of("energy", _PANDEY)
        column = weight * np.sqrt(frames.sizes[some].astype(np.float64))
        mixed = column @ (weight * self.stock.blocks.energy[some])
        return Sums(sums.matrix - np.outer(mixed, mixed) / float(column @ column), sums.n_rows - 1)

    @cached_property
    def _parts(self) -> dict[str, NDArray[np.bool_]]:
        """Masks of candidates: all, those set aside, and either of one kind."""
        which = self.stock.candidates
        kinds = self.stock.frames.config_type[which]
        held = np.isin(which, self.held)
        parts = {"candidates": np.ones(len(which), bool), "held": held}
        for kind in TYPES:
            parts[kind] = kinds == kind
            parts[f"held_{kind}"] = held & (kinds == kind)
        return parts

    def _errors(self, z: Array, offset: bool) -> dict[str, float]:
        """Root mean squares, meV/atom and meV/Å."""
        stock = self.stock
        told = stock.blocks.errors(z, stock.candidates)
        u = np.append(z, -1.0)
        core_energy = (stock.blocks.energy[stock.core] @ u) / np.sqrt(stock.frames.sizes[stock.core])
        _, forces, components = stock.known
        core_forces = max(float(u @ forces @ u), 0.0)
        energy = told.energy.copy()
        pandey = self._parts[_PANDEY]
        centred = float(np.std(energy[pandey]))
        if offset:
            energy[pandey] -= energy[pandey].mean()
        n_components = float(told.components.sum()) + components
        out = {
            "energy_rmse_meV": _rms(np.concatenate((core_energy, energy))),
            "force_rmse_meV_per_A": 1e3
            * float(np.sqrt((told.force_squares.sum() + core_forces) / n_components)),
            "energy_dia_meV": _rms(core_energy),
            "force_dia_meV_per_A": 1e3 * float(np.sqrt(core_forces / components)),
            "pandey_about_mean_meV": 1e3 * centred,
        }
        for name, mask in self._parts.items():
            if mask.any():
                out[f"energy_{name}_meV"] = _rms(energy[mask])
                squares, count = told.force_squares[mask].sum(), told.components[mask].sum()
                out[f"force_{name}_meV_per_A"] = 1e3 * float(np.sqrt(squares / count))
        return out

    @cached_property
    def _slabs(self) -> tuple[dict[str, Atoms], Atoms]:
        return {name: ideal_slab(name) for name in SURFACES}, crystal()

    def _surfaces(self, fitted: Fitted) -> dict[str, Any]:
        coefficients = self.stock.blocks.transform @ fitted.z
        potential = AcePotential(self.stock.basis, coefficients[None], np.array([E0]))
        found = surface_energies(potential, *self._slabs)
        out: dict[str, Any] = {}
        for name in SURFACES:
            gamma, end = found[name]
            out[f"gamma_{name}"] = gamma
            out[f"error_{name}"] = abs(gamma - REFERENCE[name])
            out[f"steps_{name}"] = end.steps
        out["error_100_111"] = float(np.sqrt((out["error_100"] ** 2 + out["error_111"] ** 2) / 2))
        return out


def _rms(errors: Array) -> float:
    return 1e3 * float(np.sqrt(np.mean(errors**2)))
