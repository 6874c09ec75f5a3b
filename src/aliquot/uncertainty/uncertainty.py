"""How much should one trust a potential here? Grade, leverage and spread of every atom, from one object.

Built once from the potential and its training structures, kept in a file beside the potential
(:mod:`aliquot.uncertainty.file`), and asked for any structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential, Evaluation
from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.structures.neighbours import Neighbours
from aliquot.uncertainty.active import HOLD, SINGULAR, TOLERANCE, ActiveSet, active_sets, grades
from aliquot.uncertainty.calibration import Calibration
from aliquot.uncertainty.guard import believable, force_errors
from aliquot.uncertainty.leverage import leverage, leverage_roots
from aliquot.uncertainty.sites import Block, LinearSites
from aliquot.uncertainty.spread import Spread, columns_of, posterior_spread

__all__ = ["Assessment", "Uncertainty"]

Array = NDArray[np.float64]

#: Where leverage says that grades mean little: fewer training atoms than this per function.
FEW: Final = 1.0


@dataclass(frozen=True, eq=False)
class Assessment:
    """How far one structure is from what the training set knows.

    Parameters
    ----------
    gamma : (n_atoms,) array
        Extrapolation grade; up to about 1 is interpolation.
    leverage : (n_atoms,) array
    energies_std : (n_atoms,) array or None, eV
        Of the atoms' energies; None where the potential has no posterior or committee.
    energy_std : float or None, eV
        Of the total energy.
    forces_std : (n_atoms, 3) array or None, eV/Å
        None too where forces were not asked for.
    kind : str
        Where spreads come from: ``posterior``, ``committee``, ``bootstrap``, or empty.
    """

    gamma: Array
    leverage: Array
    energies_std: Array | None = None
    energy_std: float | None = None
    forces_std: Array | None = None
    kind: str = ""

    @property
    def largest(self) -> float:
        """Grade of the structure: the largest of its atoms."""
        return float(self.gamma.max(initial=0.0))

    @property
    def force_std(self) -> Array | None:
        """Standard deviation of the force of each atom, √(σx² + σy² + σz²), (n_atoms,)."""
        return None if self.forces_std is None else np.linalg.norm(self.forces_std, axis=1)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Everything that says where a linear potential is ignorant.

    Parameters
    ----------
    potential : AcePotential
    active : tuple of ActiveSet
        One per element of the basis.
    leverages : tuple of (k, k) arrays
        One per element (:func:`~aliquot.uncertainty.leverage.leverage_roots`).
    spread : Spread or None
        Of the coefficients.
    calibrations : tuple of Calibration
        What indicators mean in eV and eV/Å; empty while nobody has compared them with labels.
    full_basis : bool
        Whether grade and leverage are on all functions of the basis.
    notes : tuple of str
        What the user should know.
    recipe : dict
        How it was made, JSON values.

    Notes
    -----
    Per atom and k functions: grade and leverage 2 k² flops each beside the functions themselves, which cost half a
    force call, or a twentieth of one where forces are computed anyway; spreads of forces 6 k² flops and the derivatives
    of every function.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from aliquot.ace.basis import AceBasis
    >>> basis = AceBasis(elements=(29,), cutoff=4.5, degree=(4, 4))
    >>> potential = AcePotential(basis, 0.1 / basis.prior[None, :], np.zeros(1))
    >>> cells = [bulk("Cu", cubic=True) for _ in range(8)]
    >>> for seed, cell in enumerate(cells):
    ...     cell.rattle(0.1, seed=seed)
    >>> seen = Frames.from_atoms(cells)
    >>> known = Uncertainty.build(potential, seen, guard=False)
    >>> bool(known.assess(seen, 0).largest < 1.01)
    True
    >>> cells[0].positions[0] += 0.8
    >>> bool(known.assess(Frames.from_atoms(cells), 0).largest > 5)
    True
    """

    potential: AcePotential
    active: tuple[ActiveSet, ...]
    leverages: tuple[Array, ...]
    spread: Spread | None = None
    calibrations: tuple[Calibration, ...] = ()
    full_basis: bool = False
    notes: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])

    # --- how it is made -------------------------------------------------------------------------------------

    @classmethod
    def build(
        cls,
        potential: AcePotential,
        frames: Frames,
        *,
        full_basis: bool = False,
        guard: bool = True,
        tolerance: float = TOLERANCE,
        hold: int = HOLD,
        spread: Spread | None = None,
        threads: int | None = None,
        progress: Progress = silent,
    ) -> Uncertainty:
        """From a potential and the structures it was fitted to.

        Parameters
        ----------
        potential : AcePotential
        frames : Frames
            Its training structures. Labels are needed by the guard alone.
        full_basis : bool
            On all functions of the basis instead of the selected ones; a note says what that is worth.
        guard : bool
            Leave out atoms whose force error is an outlier (:mod:`aliquot.uncertainty.guard`).
        tolerance : float
            Of MaxVol.
        hold : int
            Bytes of environments that compete at a time.
        spread : Spread, optional
            A committee; the posterior by default, where the potential carries it.
        threads, progress

        Raises
        ------
        InputError
            If an element of the potential does not occur, or the spread is of another potential.
        """
        sites = LinearSites(potential, full_basis)
        keep, notes = None, ()
        if guard:
            keep, notes = _guarded(potential, frames, threads, progress)
        sets, factors = active_sets(
            sites, frames, keep=keep, tolerance=tolerance, hold=hold, progress=progress
        )
        if spread is None and potential.precision is not None:
            spread = posterior_spread(potential)
        _check_spread(potential, spread)
        recipe = {
            "structures": len(frames),
            "structures_hash": frames.ids.digest(),
            "guard": guard,
            "tolerance": tolerance,
            "environments": [one.environments for one in sets],
        }
        notes += tuple(
            note
            for z, one in zip(sites.elements, sets, strict=True)
            for note in _conditions(z, one, full_basis)
        )
        return cls(
            potential,
            sets,
            leverage_roots(factors, sites.priors),
            spread,
            full_basis=full_basis,
            notes=notes,
            recipe=recipe,
        )

    def with_spread(self, spread: Spread) -> Uncertainty:
        """The same with another source of spreads; calibrations of the old one are dropped."""
        _check_spread(self.potential, spread)
        kept = tuple(c for c in self.calibrations if c.indicator in ("gamma", "leverage"))
        return replace(self, spread=spread, calibrations=kept)

    # --- what it says ---------------------------------------------------------------------------------------

    @cached_property
    def sites(self) -> LinearSites:
        """Features of atoms."""
        return LinearSites(self.potential, self.full_basis)

    @cached_property
    def _selected(self) -> LinearSites:
        return LinearSites(self.potential)

    @cached_property
    def _site_roots(self) -> tuple[Array, ...]:
        assert self.spread is not None
        return self.spread.by_element(self._selected.widths)

    def assess(self, frames: Frames, i: int = 0, *, forces: bool = True, threads: int = 1) -> Assessment:
        """Everything about frame ``i``; without ``forces`` the spreads of forces, which cost most, are left out.

        Raises
        ------
        InputError
            If the frame has an element that the potential does not know.
        """
        blocks = self.sites.blocks(frames, i)
        n = int(frames.sizes[i])
        gamma, lever = self._grades(blocks, n), self._leverage(blocks, n)
        if self.spread is None:
            return Assessment(gamma, lever)
        selected = self._selected.blocks(frames, i) if self.full_basis else blocks
        energies = np.zeros(n)
        for block in selected:
            flat = block.rows @ self._site_roots[block.element]
            energies[block.atoms] = np.sqrt(np.einsum("ij,ij->i", flat, flat))
        if not forces:
            total = np.concatenate([block.rows.sum(axis=0) for block in self._whole(selected)])
            return Assessment(gamma, lever, energies, float(self.spread.std(total)), None, self.spread.kind)
        rows, columns = self._selected.evaluator.rows(frames, i, threads=threads), columns_of(self.potential)
        everything = len(columns) == len(rows.energy)
        energy = rows.energy if everything else rows.energy[columns]
        derivatives = rows.forces if everything else rows.forces[..., columns]
        return Assessment(
            gamma,
            lever,
            energies,
            float(self.spread.std(energy)),
            self.spread.std(derivatives),
            self.spread.kind,
        )

    def each(
        self, frames: Frames, *, forces: bool = True, threads: int = 1, progress: Progress = silent
    ) -> Iterator[Assessment]:
        """:meth:`assess`, frame by frame."""
        for i in range(len(frames)):
            yield self.assess(frames, i, forces=forces, threads=threads)
            progress("grades", i + 1, len(frames))

    def evaluate(
        self, numbers: NDArray[np.integer[Any]], pairs: Neighbours, *, threads: int | None = None
    ) -> tuple[Evaluation, Array]:
        """Energies and forces with the grade of every atom: functions come along with the forces.

        Parameters
        ----------
        numbers, pairs, threads
            As for :meth:`aliquot.ace.potential.AcePotential.evaluate`.
        """
        if self.full_basis:
            raise InputError(
                "grades along with forces are of the selected functions; build without full_basis"
            )
        small = self.potential.pruned
        values = np.empty((len(numbers), len(small.basis.functions)))
        found = self.potential.evaluate(numbers, pairs, threads=threads, values=values)
        blocks = self.sites.split(small.basis.species(numbers), values)
        return found, self._grades(blocks, len(numbers))

    def calibration(self, target: str, indicator: str) -> Calibration | None:
        """What an indicator means for an error, if that is known."""
        found = [c for c in self.calibrations if (c.target, c.indicator) == (target, indicator)]
        return found[0] if found else None

    def _grades(self, blocks: list[Block], n: int) -> Array:
        out = np.zeros(n)
        for block in blocks:
            out[block.atoms] = grades(block.rows, self.active[block.element].inverse)
        return out

    def _leverage(self, blocks: list[Block], n: int) -> Array:
        out = np.zeros(n)
        for block in blocks:
            out[block.atoms] = leverage(block.rows, self.leverages[block.element])
        return out

    def _whole(self, blocks: list[Block]) -> list[Block]:
        """Blocks of all elements, also of those that do not occur."""
        there = {block.element: block for block in blocks}
        nothing = np.empty(0, np.int64)
        return [
            there.get(z, Block(z, nothing, np.empty((0, k)))) for z, k in enumerate(self._selected.widths)
        ]

    # --- the file -------------------------------------------------------------------------------------------

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write everything but the potential to one file (:mod:`aliquot.uncertainty.file`)."""
        from aliquot.uncertainty.file import write_uncertainty

        return write_uncertainty(self, Path(path), force=force)

    @classmethod
    def load(cls, path: Path | str, potential: AcePotential) -> Uncertainty:
        """Read what :meth:`save` wrote for this potential.

        Raises
        ------
        InputError
            If the file is damaged, of another schema, or was made for another potential.
        """
        from aliquot.uncertainty.file import read_uncertainty

        return read_uncertainty(Path(path), potential)


def _guarded(
    potential: AcePotential, frames: Frames, threads: int | None, progress: Progress
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Atoms that may be in the active set, and what was left out."""
    errors = force_errors(potential, frames, threads=threads, progress=progress)
    keep = believable(frames.numbers, errors)
    notes: tuple[str, ...] = ()
    if not np.isfinite(errors).any():
        notes = ("no training structure has forces: no atom could be judged an outlier",)
    elif not keep.all():
        notes = (
            f"{np.count_nonzero(~keep)} of {len(keep)} training atoms are left out of the active set, as their force"
            " errors are outliers (beyond the upper quartile by 1.5 interquartile ranges)",
        )
    return keep, notes


def _conditions(z: int, one: ActiveSet, full_basis: bool) -> Iterator[str]:
    """What to know about the active set of an element."""
    from ase.data import chemical_symbols

    name = chemical_symbols[z]
    if full_basis:
        yield (
            f"grades of {name} are on the full basis of {one.n_features} functions, condition of the site matrix"
            f" {one.condition:.1e}: those on the selected functions are more trustworthy"
        )
    elif one.condition > SINGULAR:
        yield (
            f"the condition of the site matrix of {name} is {one.condition:.1e}, above {SINGULAR:.0e}: grades are"
            " partly rounding; leverage is not, and fewer functions would help"
        )
    if one.environments < FEW * one.n_features:
        yield (
            f"{one.environments} training atoms of {name} cannot span {one.n_features} functions: almost everything"
            " else has a large grade; leverage is the better measure"
        )


def _check_spread(potential: AcePotential, spread: Spread | None) -> None:
    k = int(np.count_nonzero(potential.coefficients))
    if spread is not None and len(spread.root) != k:
        raise InputError(f"the spread is of {len(spread.root)} coefficients, the potential has {k}")
