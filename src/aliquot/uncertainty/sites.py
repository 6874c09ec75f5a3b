r"""Which numbers stand for an atom's surroundings? The derivatives of its energy by the coefficients.

Whether a model has seen the like of an atom, the numbers say that multiply its coefficients in the energy of the
atom, :math:`b_i = \partial E_i / \partial c`. For a linear potential they are its basis functions, and only the
*selected* ones, whose coefficients are not zero, can do harm (:class:`LinearSites`). For any other model they are the
gradient of its site energy by its parameters, at the parameters found (:class:`GradientSites`): the model, made
linear where it stands.

A function that does not take part in the energy of an element is no feature of its atoms: every element has features
of its own, and as many as it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError
from aliquot.structures.frames import Frames

__all__ = ["Block", "GradientSites", "LinearSites", "Sites"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Block:
    """Features of the atoms of one element in one structure.

    Parameters
    ----------
    element : int
        Its position among the elements of the model.
    atoms : (m,) array of int
        Which atoms of the structure.
    rows : (m, k) array
    """

    element: int
    atoms: Indices
    rows: Array


class Sites(Protocol):
    """Features of atoms, element by element."""

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of the elements."""
        ...

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of features of each."""
        ...

    def blocks(self, frames: Frames, i: int) -> list[Block]:
        """Features of the atoms of frame ``i``, one block per element that occurs."""
        ...


@dataclass(frozen=True, eq=False)
class LinearSites:
    """Basis functions of a linear potential.

    Parameters
    ----------
    potential : AcePotential
    full_basis : bool
        All functions of the basis, also those of zero coefficients. Their site matrix is singular to rounding as a
        rule, and what follows from it is noise.
    """

    potential: AcePotential
    full_basis: bool = False

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers of the basis."""
        return self.potential.basis.elements

    @property
    def model(self) -> AcePotential:
        """The potential whose functions are evaluated."""
        return self.potential if self.full_basis else self.potential.pruned

    @cached_property
    def supports(self) -> tuple[Indices, ...]:
        """Columns of the functions evaluated that belong to each element."""
        used = self.model.coefficients != 0.0
        return tuple(np.flatnonzero(row | self.full_basis) for row in used)

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of functions of each element."""
        return tuple(map(len, self.supports))

    @property
    def priors(self) -> tuple[Array, ...]:
        """Smoothness of those functions."""
        return tuple(self.model.basis.prior[support] for support in self.supports)

    @cached_property
    def evaluator(self) -> AceEvaluator:
        """Of the functions."""
        return AceEvaluator(self.model.basis)

    def blocks(self, frames: Frames, i: int) -> list[Block]:
        """Features of the atoms of frame ``i``."""
        numbers = frames.numbers[frames.offsets[i] : frames.offsets[i + 1]]
        species = self.model.basis.species(numbers)
        if not self.model.basis.functions:
            return []
        return self.split(species, self.evaluator.site_values(frames, i))

    def split(self, species: Indices, values: Array) -> list[Block]:
        """Values of all functions, (n_atoms, n_functions), by element; a view where it can be one."""
        out: list[Block] = []
        for z, support in enumerate(self.supports):
            atoms = np.flatnonzero(species == z)
            if len(atoms):
                rows = values if len(atoms) == len(species) else values[atoms]
                out.append(Block(z, atoms, rows if len(support) == rows.shape[1] else rows[:, support]))
        return out


@dataclass(frozen=True, eq=False)
class GradientSites:
    """Gradients of the site energies of any model by its parameters, as features.

    Parameters
    ----------
    elements : tuple of int
        Atomic numbers.
    widths : tuple of int
        Number of parameters of each.
    gradient : callable
        ``gradient(frames, i)``: a (n_atoms, k) array, k the largest of the widths; columns beyond the width of an
        atom's element are not read.
    """

    elements: tuple[int, ...]
    widths: tuple[int, ...]
    gradient: Callable[[Frames, int], Array]

    def blocks(self, frames: Frames, i: int) -> list[Block]:
        """Features of the atoms of frame ``i``.

        Raises
        ------
        InputError
            If the gradients have another shape or are not finite, or an element is unknown.
        """
        numbers = frames.numbers[frames.offsets[i] : frames.offsets[i + 1]]
        if unknown := sorted(set(numbers.tolist()) - set(self.elements)):
            raise InputError(f"{frames.ids_name(i)}: the model does not know atomic number {unknown}")
        rows = np.asarray(self.gradient(frames, i), np.float64)
        if rows.shape != (len(numbers), max(self.widths)):
            raise InputError(
                f"{frames.ids_name(i)}: gradients have shape {rows.shape}; {(len(numbers), max(self.widths))} is needed"
            )
        if not np.isfinite(rows).all():
            raise InputError(f"{frames.ids_name(i)}: a gradient is not finite")
        out: list[Block] = []
        for z, (number, width) in enumerate(zip(self.elements, self.widths, strict=True)):
            atoms = np.flatnonzero(numbers == number)
            if len(atoms):
                out.append(Block(z, atoms, rows[atoms, :width]))
        return out
