"""From structures to the values and rows of a basis: neighbours, then one compiled pass."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.ace.program import (
    Jacobian,
    Program,
    Radials,
    compile_jacobian,
    compile_program,
    compile_radials,
)
from aliquot.errors import InputError
from aliquot.structures.frames import Frames
from aliquot.structures.neighbours import Neighbours, neighbours

__all__ = ["AceEvaluator", "Rows"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one structure: the coefficient of column k multiplies what function k contributes.

    Columns are the functions of the first element's centres, then of the second's, ….

    Parameters
    ----------
    energy : (d,) array, eV per unit coefficient
        Total energy.
    forces : (n_atoms, 3, d) array, eV/Å
    virial : (6, d) array, eV
        xx, yy, zz, yz, xz, xy of −Σ r ⊗ dE/dr.
    """

    energy: Array
    forces: Array
    virial: Array


class AceEvaluator:
    """Evaluates every function of a basis on every atom.

    Parameters
    ----------
    basis : AceBasis

    Notes
    -----
    For 33 neighbours and 211, 668, 1429 functions of order 3: values about 3, 4 and 7 µs per atom, rows about 20,
    76 and 190, on one 2026 core, neighbour search apart (``benchmarks/bench_features.py``). The kernels release
    the interpreter lock, so threads over structures scale.

    Examples
    --------
    >>> from ase.build import bulk
    >>> evaluator = AceEvaluator(AceBasis(elements=(29,), cutoff=5.0, degree=(6, 6, 6)))
    >>> frames = Frames.from_atoms([bulk("Cu", cubic=True)])
    >>> evaluator.site_values(frames, 0).shape, evaluator.rows(frames, 0).forces.shape
    ((4, 25), (4, 3, 25))
    """

    def __init__(self, basis: AceBasis) -> None:
        self.basis = basis

    @cached_property
    def radials(self) -> Radials:
        """Radial numbers, compiled once."""
        return compile_radials(self.basis)

    @cached_property
    def program(self) -> Program:
        """Product lists, compiled once."""
        return compile_program(self.basis)

    @cached_property
    def jacobian(self) -> Jacobian:
        """Sparsity of the derivatives, compiled once."""
        return compile_jacobian(self.program)

    @property
    def n_columns(self) -> int:
        """Columns of rows: functions × elements."""
        return len(self.basis.functions) * len(self.basis.elements)

    def _surroundings(self, frames: Frames, i: int) -> tuple[NDArray[np.int64], Neighbours]:
        atoms = slice(frames.offsets[i], frames.offsets[i + 1])
        species = self.basis.species(frames.numbers[atoms])
        pairs = neighbours(frames.positions[atoms], frames.cells[i], frames.pbc[i], self.basis.max_cutoff)
        return species, pairs

    def site_values(self, frames: Frames, i: int) -> Array:
        """Values of frame ``i``, (n_atoms, n_functions)."""
        return self.values_near(*self._surroundings(frames, i))

    def values_near(self, species: NDArray[np.int64], pairs: Neighbours) -> Array:
        """Values of a structure whose neighbours (within the longest cutoff) are known, (n_atoms, n_functions)."""
        from aliquot.ace.values_kernel import site_values

        out = np.empty((len(species), len(self.basis.functions)))
        site_values(pairs.first, pairs.index, pairs.vectors, species, self.radials, self.program, out)
        return out

    def pullback(self, frames: Frames, i: int, cotangent: Array) -> tuple[Array, Array]:
        """Forces (n_atoms, 3) and virial (3, 3) of a function of the values of frame ``i``.

        Parameters
        ----------
        cotangent : (n_atoms, n_functions) array
            Derivative of the function by every value; eV make the result eV/Å and eV.
        """
        return self.pullback_near(*self._surroundings(frames, i), cotangent)

    def pullback_near(
        self, species: NDArray[np.int64], pairs: Neighbours, cotangent: Array
    ) -> tuple[Array, Array]:
        """:meth:`pullback` of a structure whose neighbours are known.

        Raises
        ------
        InputError
            If the cotangents are not one number for every function of every atom.
        """
        from aliquot.ace.pullback_kernel import pullback

        shape = (len(species), len(self.basis.functions))
        if cotangent.shape != shape:
            raise InputError(f"cotangents have shape {cotangent.shape}; the values have shape {shape}")
        forces, virial = np.zeros((len(species), 3)), np.zeros((3, 3))
        given = np.ascontiguousarray(cotangent, np.float64)
        where = (pairs.first, pairs.index, pairs.vectors, species, self.radials, self.program)
        pullback(*where, given, forces, virial)
        return forces, virial

    def rows(self, frames: Frames, i: int, *, threads: int = 1) -> Rows:
        """Energy, force and virial rows of frame ``i``; ``threads`` share its atoms (and need memory each).

        Raises
        ------
        InputError
            If elements are embedded: columns would belong to no element, so nothing could be fitted.
        """
        if self.basis.embedding is not None:
            raise InputError("rows need functions of their own for every element; this basis embeds elements")
        species, pairs = self._surroundings(frames, i)
        n, z, k = len(species), len(self.basis.elements), len(self.basis.functions)
        edges = np.linspace(0, n, max(1, min(threads, n)) + 1).astype(int)
        if len(edges) == 2:
            energy, derivative = self._span(species, pairs, (0, n))
        else:
            with ThreadPoolExecutor(len(edges) - 1) as pool:
                parts = list(pool.map(lambda span: self._span(species, pairs, span), pairwise(edges)))
            energy, derivative = (np.sum(arrays, axis=0) for arrays in zip(*parts, strict=True))
        virial = derivative[n:].transpose(0, 3, 1, 2).reshape(8, z * k)[:6]
        forces = derivative[:n, :, :, :3].transpose(0, 3, 1, 2).reshape(n, 3, z * k)
        return Rows(energy.ravel(), forces, virial)

    def _span(
        self, species: NDArray[np.int64], pairs: Neighbours, span: tuple[int, int]
    ) -> tuple[Array, Array]:
        """What the centres start:stop contribute to the rows of a structure."""
        from aliquot.ace.rows_kernel import rows

        n, z, k = len(species), len(self.basis.elements), len(self.basis.functions)
        energy, derivative = np.zeros((z, k)), np.zeros((n + 2, z, k, 4))
        surroundings = (pairs.first, pairs.index, pairs.vectors, species)
        rows(*surroundings, self.radials, self.program, self.jacobian, *span, energy, derivative)
        return energy, derivative
