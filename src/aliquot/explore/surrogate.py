r"""Which linear model knows what is unknown? One whose energy is :math:`E = \sum_k c_k e_k`, e a row of features.

Biased dynamics asks three things of it: the row of a structure, the forces of any coefficients (one
vector–Jacobian product, or *pullback*), and, once per chosen structure, the rows of its forces.

- :class:`AceSurrogate`: the functions of an ACE potential, or of a bare basis. The mean and the bias of a potential
  that biases itself come from one pass.
- :class:`DescriptorSurrogate`: any descriptor of atoms that can be pulled back, whoever wrote it: summed over
  atoms it is the row. Forces of a network's invariants come from its own automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.ace.contraction import Contraction
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.linear_contraction import LinearContraction, linear_contraction
from aliquot.ace.potential import AcePotential, Evaluation
from aliquot.ace.verlet_list import VerletList
from aliquot.errors import InputError
from aliquot.structures.frames import Frames
from aliquot.structures.neighbours import Neighbours
from aliquot.uncertainty.spread import columns_of

__all__ = [
    "AceSurrogate",
    "DescriptorSurrogate",
    "Seen",
    "Surrogate",
    "SurrogateRows",
    "surrogate_from_python",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SurrogateRows:
    """Rows of one structure.

    Parameters
    ----------
    energy : (d,) array
    forces : (n_atoms, 3, d) array
    virial : (6, d) array or None
        xx, yy, zz, yz, xz, xy; None where the surrogate does not give it.
    """

    energy: Array
    forces: Array
    virial: Array | None


@dataclass(frozen=True, eq=False)
class Seen:
    """What a first look at a structure leaves for the second.

    Parameters
    ----------
    row : (d,) array
        Of the total energy.
    kept : object
        The surrogate's own.
    """

    row: Array
    kept: Any


class Surrogate(Protocol):
    """A linear model of the energy."""

    @property
    def n_features(self) -> int:
        """Length of a row."""
        ...

    @property
    def scales(self) -> Array:
        """What a unit coefficient of each feature is expected to be worth: the prior is on scale × coefficient."""
        ...

    def look(self, atoms: Atoms) -> Seen:
        """The energy row of a structure."""
        ...

    def pull(self, seen: Seen, cotangent: Array) -> tuple[Array, Array | None]:
        """Forces, (n_atoms, 3), and virial of the energy whose coefficients are ``cotangent``, (d,)."""
        ...

    def rows(self, atoms: Atoms) -> SurrogateRows:
        """All rows of a structure."""
        ...

    def forget(self) -> None:
        """Drop what was remembered of earlier structures."""
        ...


@dataclass(frozen=True, eq=False)
class _Densities:
    """Neighbours and densities of one structure."""

    numbers: NDArray[np.int64]
    species: NDArray[np.int64]
    pairs: Neighbours
    members: NDArray[np.int64]
    element: NDArray[np.int64]
    density: Array
    values: Array


class AceSurrogate:
    """The functions of a linear potential.

    Parameters
    ----------
    potential : AcePotential
        Rows have one entry for each coefficient that is not zero, in the order of its precision.
    skin : float, Å
        Of the neighbour list.
    """

    def __init__(self, potential: AcePotential, *, skin: float = 0.5) -> None:
        if not np.any(potential.coefficients):
            raise InputError("the potential has no functions, so nothing can be uncertain")
        self.potential, self.small = potential, potential.pruned
        self.columns = columns_of(potential)
        self.skin = skin
        self.forget()

    @classmethod
    def of_basis(cls, basis: AceBasis) -> AceSurrogate:
        """All functions of a basis, as the surrogate of somebody else's model."""
        shape = (len(basis.elements), len(basis.functions))
        return cls(AcePotential(basis, np.ones(shape), np.zeros(shape[0])))

    @property
    def n_features(self) -> int:
        """Coefficients that are not zero."""
        return len(self.columns)

    @property
    def scales(self) -> Array:
        """Smoothness of the functions."""
        return np.tile(self.small.basis.prior, len(self.small.basis.elements))[self.columns]

    def forget(self) -> None:
        """Search neighbours anew at the next look."""
        self._pairs = VerletList(self.potential.range, self.skin)

    @cached_property
    def _evaluator(self) -> AceEvaluator:
        return AceEvaluator(self.small.basis)

    @cached_property
    def _linear(self) -> LinearContraction:
        return linear_contraction(self._evaluator.program, self.small.coefficients != 0.0)

    @cached_property
    def _mean(self) -> Contraction:
        return self._linear(self.small.coefficients)

    def look(self, atoms: Atoms) -> Seen:
        """The energy row, densities kept."""
        from aliquot.ace.tilted_kernel import gather_functions, in_lanes

        basis, evaluator = self.small.basis, self._evaluator
        species = basis.species(atoms.numbers)
        pairs = self._pairs.update(atoms.positions, atoms.cell.array, atoms.pbc)
        members, element = in_lanes(species, len(basis.elements))
        density = np.empty((len(members), evaluator.program.n_density, members.shape[1]))
        values = np.empty((len(species), len(basis.functions)))
        around = (pairs.first, pairs.index, pairs.vectors, species, evaluator.radials, evaluator.program)
        gather_functions(*around, members, density, values)
        row = np.array([values[species == z].sum(axis=0) for z in range(len(basis.elements))])
        kept = _Densities(atoms.numbers, species, pairs, members, element, density, values)
        return Seen(row.ravel()[self.columns], kept)

    def pull(self, seen: Seen, cotangent: Array) -> tuple[Array, Array | None]:
        """Forces and virial of these coefficients: densities to forces, no first pass."""
        contraction = self._linear(self._spread_out(cotangent))
        _, forces, virial = self._pull(seen.kept, contraction, None)
        return forces[0], virial[0]

    def pull_with_mean(self, seen: Seen, cotangent: Array) -> tuple[Evaluation, Array, Array]:
        """What the potential itself says, and forces and virial of other coefficients, from one pass."""
        other = self._linear(self._spread_out(cotangent))
        energies, forces, virial = self._pull(seen.kept, self._mean, other)
        mean = self._complete(seen.kept, Evaluation(energies[0], forces[0], virial[0]))
        return mean, forces[1], virial[1]

    def pull_site(self, seen: Seen, atom: int, coefficients: Array) -> Array:
        """Forces of the energy of one atom, (n_atoms, 3), whose functions have these coefficients, (n_functions,)."""
        from aliquot.ace.tilted_kernel import pull_two

        kept: _Densities = seen.kept
        every = np.zeros(self.small.coefficients.shape)
        every[kept.species[atom]] = coefficients
        one = self._linear(every)
        ((block, lane),) = np.argwhere(kept.members == atom)
        members = np.full((1, kept.members.shape[1]), -1)
        members[0, lane] = atom
        n = len(kept.species)
        forces = np.zeros((1, n, 3))
        around = (kept.pairs.first, kept.pairs.index, kept.pairs.vectors, kept.species)
        basis = (self._evaluator.radials, self._evaluator.program)
        some = (members, kept.element[block : block + 1], kept.density[block : block + 1])
        pull_two(*around, *basis, *some, one, one, np.zeros((1, n)), forces, np.zeros((1, 3, 3)))
        return forces[0]

    def _spread_out(self, cotangent: Array) -> Array:
        out = np.zeros(self.small.coefficients.size)
        out[self.columns] = cotangent
        return out.reshape(self.small.coefficients.shape)

    def _pull(
        self, kept: _Densities, one: Contraction, two: Contraction | None
    ) -> tuple[Array, Array, Array]:
        from aliquot.ace.tilted_kernel import pull_two

        n, sets = len(kept.species), 1 if two is None else 2
        energies, forces, virial = np.zeros((sets, n)), np.zeros((sets, n, 3)), np.zeros((sets, 3, 3))
        pull_two(
            kept.pairs.first,
            kept.pairs.index,
            kept.pairs.vectors,
            kept.species,
            self._evaluator.radials,
            self._evaluator.program,
            kept.members,
            kept.element,
            kept.density,
            one,
            one if two is None else two,
            energies,
            forces,
            virial,
        )
        return energies, forces, virial

    def _complete(self, kept: _Densities, found: Evaluation) -> Evaluation:
        """Reference energies and repulsion, as the potential adds them."""
        found.energies[:] += self.small.reference[kept.species]
        if self.small.repulsion is not None:
            from aliquot.ace.repulsion import repel

            tables = self.small.repulsion.tables()
            pairs = kept.pairs
            around = (pairs.first, pairs.index, pairs.vectors, kept.species)
            repel(*around, tables, found.energies, found.forces, found.virial)
        return found

    def rows(self, atoms: Atoms) -> SurrogateRows:
        """Rows of energy, forces and virial."""
        found = self._evaluator.rows(Frames.from_atoms(atoms), 0)
        c = self.columns
        if len(c) == len(found.energy):
            return SurrogateRows(found.energy, found.forces, found.virial)
        return SurrogateRows(found.energy[c], found.forces[..., c], found.virial[:, c])


class DescriptorSurrogate:
    """Any descriptor of atoms that can be pulled back.

    Parameters
    ----------
    values : callable
        ``values(atoms)``: a finite (n_atoms, d) array, d always the same.
    pullback : callable
        ``pullback(atoms, cotangent)`` with ``cotangent`` (n_atoms, d): forces (n_atoms, 3), the negative gradient of
        the sum of cotangent × values by the positions; or (forces, virial).
    elements : sequence of int, optional
        Atomic numbers; each then has coefficients of its own. One set for all by default.
    name : str
        For messages.

    Notes
    -----
    The rows of forces of a chosen structure take d pullbacks.
    """

    def __init__(
        self,
        values: Callable[[Atoms], Any],
        pullback: Callable[[Atoms, Array], Any],
        *,
        elements: Sequence[int] | None = None,
        name: str = "the descriptor",
    ) -> None:
        self.values, self.pullback, self.name = values, pullback, name
        self.elements = None if elements is None else tuple(elements)
        self._width: int | None = None

    @property
    def n_features(self) -> int:
        """Columns of the descriptor, times the elements that are told apart."""
        if self._width is None:
            raise InputError(f"{self.name} has not been asked for any structure yet")
        return self._width * (1 if self.elements is None else len(self.elements))

    @property
    def scales(self) -> Array:
        """Nothing is known of somebody else's features."""
        return np.ones(self.n_features)

    def forget(self) -> None:
        """Nothing is remembered."""

    def look(self, atoms: Atoms) -> Seen:
        """Sums over atoms.

        Raises
        ------
        InputError
            If the values are not a finite table of the same width as before, or an element is unknown.
        """
        values = np.asarray(self.values(atoms), np.float64)
        if (
            values.ndim != 2
            or len(values) != len(atoms)
            or values.shape[1] != (self._width or values.shape[1])
        ):
            raise InputError(
                f"{self.name} returned shape {values.shape} for {len(atoms)} atoms; expected"
                f" ({len(atoms)}, {self._width or 'features'})"
            )
        if not np.isfinite(values).all():
            raise InputError(f"{self.name} returned a number that is not finite")
        self._width = values.shape[1]
        return Seen((self._group(atoms).T @ values).ravel(), atoms)

    def _group(self, atoms: Atoms) -> Array:
        """Which coefficients each atom has, (n_atoms, groups)."""
        if self.elements is None:
            return np.ones((len(atoms), 1))
        out = (atoms.numbers[:, None] == np.array(self.elements)).astype(np.float64)
        if not out.any(axis=1).all():
            missing = sorted(set(atoms.numbers.tolist()) - set(self.elements))
            raise InputError(f"{self.name} does not know atomic number {', '.join(map(str, missing))}")
        return out

    def pull(self, seen: Seen, cotangent: Array) -> tuple[Array, Array | None]:
        """Forces of these coefficients, by one pullback.

        Raises
        ------
        InputError
            If what comes back is not (n_atoms, 3) and finite.
        """
        atoms: Atoms = seen.kept
        each = self._group(atoms) @ cotangent.reshape(-1, self._width or 1)
        found = self.pullback(atoms, each)
        forces, virial = found if isinstance(found, tuple) else (found, None)
        forces = np.asarray(forces, np.float64)
        if forces.shape != (len(atoms), 3) or not np.isfinite(forces).all():
            raise InputError(
                f"the pullback of {self.name} returned shape {forces.shape}, or numbers that are not finite; expected"
                f" ({len(atoms)}, 3)"
            )
        return forces, None if virial is None else np.asarray(virial, np.float64).reshape(3, 3)

    def rows(self, atoms: Atoms) -> SurrogateRows:
        """Row by row: one pullback per feature."""
        seen = self.look(atoms)
        found = [self.pull(seen, unit) for unit in np.eye(self.n_features)]
        forces = np.stack([forces for forces, _ in found], axis=-1)
        virials = [v for _, v in found if v is not None]
        virial = None
        if len(virials) == len(found):
            virial = np.stack([v[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] for v in virials], axis=-1)
        return SurrogateRows(seen.row, forces, virial)


def surrogate_from_python(spec: str) -> DescriptorSurrogate:
    """The surrogate of ``python:module:function``, whose function has an attribute ``pullback``.

    Raises
    ------
    InputError
        If there is no such function, or it cannot be pulled back.
    """
    from aliquot.features.external import load_callable

    found = load_callable(spec.removeprefix("python:"))
    pullback = getattr(found, "pullback", None)
    if not callable(pullback):
        raise InputError(
            f"{spec} has no pullback(atoms, cotangent), without which there are no bias forces; add it as an attribute"
            " of the function, or a method of the callable object"
        )
    return DescriptorSurrogate(found, pullback, elements=getattr(found, "elements", None), name=spec)
