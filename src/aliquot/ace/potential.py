r"""A linear ACE potential: basis, coefficients, reference energies, repulsion; energies, forces, virial.

.. math:: E = \sum_i \Big[ E_0(z_i) + \sum_k c_{z_i k} B_{ik} \Big] + E_{rep}

One file holds all of it (:mod:`aliquot.ace.potential_file`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.ace.contraction import Contraction, contract
from aliquot.ace.program import Program, Radials, compile_program, compile_radials
from aliquot.ace.repulsion import Repulsion
from aliquot.errors import InputError
from aliquot.structures.frames import Frames
from aliquot.structures.neighbours import Neighbours, neighbours

__all__ = ["AcePotential", "Evaluation"]

#: Atoms per thread below which starting threads costs more than it saves.
ATOMS_PER_THREAD: Final = 200

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a potential says of one structure.

    Parameters
    ----------
    energies : (n_atoms,) array, eV
        Site energies; they add up to the energy.
    forces : (n_atoms, 3) array, eV/Å
    virial : (3, 3) array, eV
        −volume × Cauchy stress.
    """

    energies: Array
    forces: Array
    virial: Array

    @property
    def energy(self) -> float:
        """Total energy, eV."""
        return float(self.energies.sum())


@dataclass(frozen=True, eq=False)
class AcePotential:
    """A linear ACE potential.

    Parameters
    ----------
    basis : AceBasis
    coefficients : (n_elements, n_functions) array, eV
        Row by element of the centre. Functions whose coefficients are all zero cost nothing.
    reference : (n_elements,) array, eV
        Energy of the isolated atom of each element.
    repulsion : Repulsion, optional
    meta : dict
        Anything JSON-serialisable about where it comes from.
    precision : (k, k) array, optional
        Upper triangular U; UᵀU is the posterior precision of the k coefficients that are not zero, in the order of
        the flattened array.

    Raises
    ------
    InputError
        If shapes disagree or a number is not finite.

    Notes
    -----
    With 33 neighbours and 211, 668, 1429 functions about 7, 10 and 15 µs per atom on one core, neighbour search
    apart (``benchmarks/bench_features.py``). Large structures are spread over threads.
    """

    basis: AceBasis
    coefficients: Array
    reference: Array
    repulsion: Repulsion | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    precision: Array | None = None

    def __post_init__(self) -> None:
        shape = (len(self.basis.elements), len(self.basis.functions))
        if self.coefficients.shape != shape:
            raise InputError(f"coefficients have shape {self.coefficients.shape}, the basis needs {shape}")
        if self.reference.shape != shape[:1]:
            raise InputError(f"reference energies have shape {self.reference.shape}, expected {shape[:1]}")
        if not (np.all(np.isfinite(self.coefficients)) and np.all(np.isfinite(self.reference))):
            raise InputError("coefficients and reference energies must be finite")
        k, U = int(np.count_nonzero(self.coefficients)), self.precision
        if U is not None and (U.shape != (k, k) or not np.all(np.isfinite(U))):
            raise InputError(
                f"the precision has shape {U.shape}; finite numbers, ({k}, {k}), are needed for {k} coefficients"
            )
        if self.basis.embedding is not None:
            raise InputError("a potential needs functions of their own for every element")
        if self.repulsion is not None and len(self.repulsion.height) != shape[0]:
            raise InputError(
                f"the repulsion is for {len(self.repulsion.height)} elements, the basis has {shape[0]}"
            )

    # --- evaluation -----------------------------------------------------------------------------------------

    @cached_property
    def pruned(self) -> AcePotential:
        """The same potential without functions that no centre uses."""
        used = np.any(self.coefficients != 0.0, axis=0)
        if used.all():
            return self
        kept = tuple(f for f, keep in zip(self.basis.functions, used, strict=True) if keep)
        return replace(self, basis=replace(self.basis, only=kept), coefficients=self.coefficients[:, used])

    @cached_property
    def _compiled(self) -> tuple[Radials, Program, Contraction] | None:
        small = self.pruned
        if not small.basis.functions:
            return None
        program = compile_program(small.basis)
        return compile_radials(small.basis), program, contract(program, small.coefficients)

    @property
    def range(self) -> float:
        """Distance (Å) beyond which atoms do not interact."""
        return max(self.basis.max_cutoff, self.repulsion.range if self.repulsion else 0.0)

    def __call__(self, frames: Frames, i: int = 0, *, threads: int | None = None) -> Evaluation:
        """Evaluate frame ``i``.

        Raises
        ------
        InputError
            If the frame has an element that the potential does not know, or atoms coincide.
        """
        atoms = slice(frames.offsets[i], frames.offsets[i + 1])
        pairs = neighbours(frames.positions[atoms], frames.cells[i], frames.pbc[i], self.range)
        return self.evaluate(frames.numbers[atoms], pairs, threads=threads)

    def evaluate(
        self,
        numbers: NDArray[np.integer[Any]],
        pairs: Neighbours,
        *,
        threads: int | None = None,
        values: Array | None = None,
    ) -> Evaluation:
        """Evaluate a structure whose neighbours (within :attr:`range`) are known.

        ``values``, (n_atoms, functions of :attr:`pruned`), receives the functions of every atom on the way.

        Raises
        ------
        InputError
            If an element is not known, atoms coincide, or ``threads`` is not positive.
        """
        species = self.basis.species(numbers)
        n = len(species)
        if threads is not None and threads < 1:
            raise InputError(f"the number of threads must be positive; got {threads}")
        workers = max(1, min(threads or _cores(), n // ATOMS_PER_THREAD))
        edges = np.linspace(0, n, workers + 1).astype(int)
        if workers == 1:
            parts = [self._span(species, pairs, 0, n, values)]
        else:
            with ThreadPoolExecutor(workers) as pool:
                parts = list(
                    pool.map(
                        lambda span: self._span(species, pairs, span[0], span[1], values), pairwise(edges)
                    )
                )
        energies, forces, virial = (np.sum(arrays, axis=0) for arrays in zip(*parts, strict=True))
        energies += self.reference[species]
        if self.repulsion is not None:
            from aliquot.ace.repulsion import repel

            tables = self.repulsion.tables()
            repel(pairs.first, pairs.index, pairs.vectors, species, tables, energies, forces, virial)
        if not (np.isfinite(energies).all() and np.isfinite(forces).all()):
            raise InputError(_why_not_finite(pairs))
        return Evaluation(energies, forces, virial)

    def _span(
        self, species: NDArray[np.int64], pairs: Neighbours, start: int, stop: int, values: Array | None
    ) -> tuple[Array, Array, Array]:
        """Site energies of some atoms, and their contribution to forces and virial."""
        energies, out, virial = np.zeros(len(species)), np.zeros((len(species), 3)), np.zeros((3, 3))
        if self._compiled is not None and stop > start:
            from aliquot.ace.forces_kernel import forces_and_values

            forces_and_values(
                pairs.first,
                pairs.index,
                pairs.vectors,
                species,
                *self._compiled,
                start,
                stop,
                energies,
                out,
                virial,
                np.empty((0, 0)) if values is None else values,
            )
        return energies, out, virial

    # --- the file -------------------------------------------------------------------------------------------

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write the potential to one file (:mod:`aliquot.ace.potential_file`); complete or not at all.

        Raises
        ------
        InputError
            If the file exists and ``force`` is not set, or cannot be written.
        """
        from aliquot.ace.potential_file import write_potential

        return write_potential(self, Path(path), force=force)

    @classmethod
    def load(cls, path: Path | str) -> AcePotential:
        """Read what :meth:`save` wrote; nothing in the file is executed.

        Raises
        ------
        InputError
            If the file is not a potential, is damaged, or of a schema that this version does not know.
        """
        from aliquot.ace.potential_file import read_potential

        return read_potential(Path(path))


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _why_not_finite(pairs: Neighbours) -> str:
    lengths = np.linalg.norm(pairs.vectors, axis=1)
    if len(lengths) == 0 or not np.isfinite(lengths).all():
        return "energies or forces are not finite; are the positions and the cell?"
    nearest = int(np.argmin(lengths))
    centre = int(np.searchsorted(pairs.first, nearest, side="right")) - 1
    return (
        f"energies or forces are not finite: atoms {centre} and {int(pairs.index[nearest])} are"
        f" {lengths[nearest]:.3g} Å apart"
    )
