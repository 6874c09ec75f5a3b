r"""How can one cell hold many new surroundings? By moving its atoms, one after the other, until each is new.

As published for ACE: of the atoms whose grade is below γ_lo one is drawn; it is moved until the largest grade of the
structure is γ_hi, no closer to any other than a minimum distance; the active set takes the surroundings in, so that the
next atom must find others. The end is reached when no atom is below γ_lo in terms of the set at the beginning.

Two ways to move an atom: a simplex on :math:`(\gamma_{max} - \gamma_{hi})^2`, as published, or steps along the
analytic gradient of :math:`\log \gamma`, cut by what is known to be too little and too much, which need far fewer
looks at the structure. In place of the grade, the leverage may be the measure.

References
----------
Y. Lysogorskiy, A. Bochkarev, M. Mrovec and R. Drautz, Phys. Rev. Materials 7, 043801 (2023),
doi:10.1103/PhysRevMaterials.7.043801
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.explore.measure import GradeMeasure, LeverageMeasure, Measure
from aliquot.explore.surrogate import AceSurrogate, Seen
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.uncertainty import Uncertainty
from aliquot.uncertainty.sites import Block

__all__ = ["GradeExploration", "GradeSettings", "Move", "explore_grades"]

Array = NDArray[np.float64]

#: γ_lo and γ_hi by measure. A training atom has a leverage of at most one.
TARGETS: Final = {"gamma": (5.0, 15.0), "leverage": (1.0, 2.0)}

#: Å: how far a restart shakes an atom, and edges of the first simplex.
_SHAKE: Final = 0.1

#: Å: the longest step along a gradient.
_STRIDE: Final = 0.3

#: Å: how far outside the minimum distance an atom is put that came too close.
_CLEAR: Final = 0.02

#: Looks per restart.
_LOOKS: Final = {"simplex": 150, "gradient": 30}


@dataclass(frozen=True)
class GradeSettings:
    """Settings of :func:`explore_grades`.

    Parameters
    ----------
    low, high : float, optional
        γ_lo and γ_hi; 5 and 15 by default, 1 and 2 of leverage.
    tolerance : float
        |γ_max − γ_hi| that counts as reached.
    min_distance : float or None, Å
        Between the moved atom and any other; by default 0.7 times the sum of covalent radii.
    way : {"gradient", "simplex"}
    measure : {"gamma", "leverage"}
    restarts : int
        From shaken places, farther and farther away, before an atom is left as it is.
    patience : int
        So many atoms in a row that could not be moved end the search.

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    low: float | None = None
    high: float | None = None
    tolerance: float = 1.0
    min_distance: float | None = None
    way: Literal["gradient", "simplex"] = "gradient"
    measure: Literal["gamma", "leverage"] = "gamma"
    restarts: int = 20
    patience: int = 5

    def __post_init__(self) -> None:
        if self.way not in _LOOKS or self.measure not in TARGETS:
            raise InputError(
                f"way is one of {', '.join(_LOOKS)}, measure one of {', '.join(TARGETS)}; got {self.way!r},"
                f" {self.measure!r}"
            )
        low, high = self.targets
        if not 0 < low < high - self.reach < np.inf:
            raise InputError(
                f"the target must lie above the lower limit by more than the tolerance; got low={low}, high={high},"
                f" tolerance={self.reach}"
            )
        if self.min_distance is not None and not 0 < self.min_distance < np.inf:
            raise InputError(f"min_distance must be positive; got {self.min_distance}")
        if self.restarts < 1 or self.patience < 1:
            raise InputError(
                f"restarts and patience must be at least 1; got {self.restarts}, {self.patience}"
            )

    @property
    def targets(self) -> tuple[float, float]:
        """γ_lo and γ_hi."""
        low, high = TARGETS[self.measure]
        return self.low or low, self.high or high

    @property
    def reach(self) -> float:
        """The tolerance, in the scale of the measure."""
        return self.tolerance * (
            1.0 if self.measure == "gamma" else TARGETS["leverage"][1] / TARGETS["gamma"][1]
        )


@dataclass(frozen=True)
class Move:
    """One atom moved.

    Parameters
    ----------
    structure, atom : int
    shift : float, Å
    reached : float
        The largest grade, by the active set before the move.
    median, largest : float
        Of all atoms after the move, by the active set at the beginning.
    left : int
        Atoms still below γ_lo.
    looks : int
        Evaluations that the move took.
    """

    structure: int
    atom: int
    shift: float
    reached: float
    median: float
    largest: float
    left: int
    looks: int


@dataclass(frozen=True, eq=False)
class GradeExploration:
    """What was found.

    Parameters
    ----------
    frames : Frames
        One per starting structure, with ``gamma`` (or ``leverage``) of every atom by the active set at the beginning.
    moves : tuple of Move
    notes : tuple of str
    seconds : float
    """

    frames: Frames
    moves: tuple[Move, ...]
    notes: tuple[str, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "structures": len(self.frames),
            "moves": [vars(move) for move in self.moves],
            "looks": sum(move.looks for move in self.moves),
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }


def explore_grades(
    known: Uncertainty,
    starts: Frames,
    *,
    settings: GradeSettings | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> GradeExploration:
    """Move atoms until none is known any more.

    Parameters
    ----------
    known : Uncertainty
        Grades on the selected functions.
    starts : Frames
        Each is explored; what one has shown counts as known for the next.
    settings : GradeSettings, optional
    seed : int
    progress : callable

    Raises
    ------
    InputError
        If there is no structure, no atom could be moved, or grades are on the full basis.

    Notes
    -----
    A look costs the functions of all atoms and k² for each; a gradient adds the forces of one atom's energy.
    """
    if known.full_basis:
        raise InputError("moves follow the selected functions; build the uncertainty without full_basis")
    if not len(starts):
        raise InputError("there is no structure to start from")
    settings = settings or GradeSettings()
    measure: Measure = (
        GradeMeasure.start(known) if settings.measure == "gamma" else LeverageMeasure.start(known)
    )
    began, rng = time.perf_counter(), np.random.default_rng(seed)
    moves: list[Move] = []
    images: list[Atoms] = []
    notes: list[str] = []
    for s, atoms in enumerate(starts.to_atoms()):
        cell = _Cell(s, _bare(atoms), known, measure, measure, settings, rng)
        stuck = 0
        for move in cell.moves():
            if move is None:
                stuck += 1
                progress("atoms that cannot be moved", stuck, 0)
            else:
                moves.append(move)
                progress("atoms", len(atoms) - move.left, len(atoms))
        measure = cell.measure
        final = cell.grades(cell.start)
        if left := int(np.count_nonzero(final < settings.targets[0])):
            notes.append(
                f"{starts.ids_name(s)}: {left} of {len(atoms)} atoms are still below {settings.targets[0]:g}, as"
                f" {stuck} could not be moved to the target; a smaller minimum distance or a lower target"
                " gives more room"
            )
        cell.atoms.set_array(settings.measure, final)
        cell.atoms.info["config_type"] = "explored"
        images.append(cell.atoms)
    if not moves:
        raise InputError(
            f"no atom was moved: {notes[0]}"
            if notes
            else f"every atom is above {settings.targets[0]:g} as it is: the structures are new already, label them"
        )
    return GradeExploration(
        Frames.from_atoms(images, source="explore"), tuple(moves), tuple(notes), time.perf_counter() - began
    )


def _bare(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


class _Reached(Exception):  # noqa: N818 (no error)
    """Ends a simplex."""


@dataclass
class _Cell:
    """One structure under way."""

    number: int
    atoms: Atoms
    known: Uncertainty
    start: Measure
    measure: Measure
    settings: GradeSettings
    rng: np.random.Generator
    looks: int = 0
    surrogate: AceSurrogate = field(init=False)

    def __post_init__(self) -> None:
        self.surrogate = AceSurrogate(self.known.potential)

    def blocks(self) -> tuple[Seen, list[Block]]:
        """Functions of all atoms as they are."""
        seen = self.surrogate.look(self.atoms)
        self.looks += 1
        return seen, self.known.sites.split(seen.kept.species, seen.kept.values)

    def grades(self, measure: Measure) -> Array:
        """Of all atoms as they are."""
        return measure.of(self.blocks()[1], len(self.atoms))

    def moves(self) -> Iterator[Move | None]:
        """Move one atom after another; None where one could not be."""
        low, _ = self.settings.targets
        stuck: set[int] = set()
        failed = 0
        while failed < self.settings.patience:
            pool = [int(i) for i in np.flatnonzero(self.grades(self.start) < low) if int(i) not in stuck]
            if not pool:
                return
            atom, before = int(self.rng.choice(pool)), self.looks
            home = self.atoms.positions[atom].copy()
            reached = self._move(atom, home)
            if reached is None:
                self.atoms.positions[atom] = home
                stuck.add(atom)
                failed += 1
                yield None
                continue
            failed = 0
            _, blocks = self.blocks()
            self.measure = self.measure.seen(blocks)
            after = self.start.of(blocks, len(self.atoms))
            yield Move(
                self.number,
                atom,
                float(np.linalg.norm(self.atoms.positions[atom] - home)),
                reached,
                float(np.median(after)),
                float(after.max()),
                int(np.count_nonzero(after < low)),
                self.looks - before,
            )

    def _move(self, atom: int, home: Array) -> float | None:
        """Try, restart, give up; the grade reached."""
        walk = self._by_simplex if self.settings.way == "simplex" else self._by_gradient
        for attempt in range(self.settings.restarts):
            first = (
                0.0 if self.settings.way == "simplex" else 1.0
            )  # in a perfect lattice there is no gradient
            shake = _SHAKE * (first + 0.25 * attempt)
            self.atoms.positions[atom] = home + shake * self.rng.standard_normal(3)
            if (reached := walk(atom)) is not None:
                return reached
        return None

    def _look(self, atom: int, place: Array) -> tuple[float, float, int, Seen, list[Block]]:
        """Largest grade, room (Å, negative where too close), whose grade, and what was seen."""
        self.atoms.positions[atom] = place
        seen, blocks = self.blocks()
        each = self.measure.of(blocks, len(self.atoms))
        top = int(np.argmax(each))
        return float(each[top]), self._room(atom, seen), top, seen, blocks

    def _rooms(self, atom: int, seen: Seen) -> tuple[Array, Array]:
        """Room (Å) to every neighbour, and the vectors to them."""
        from ase.data import covalent_radii

        pairs = seen.kept.pairs
        mine = slice(pairs.first[atom], pairs.first[atom + 1])
        vectors, index = pairs.vectors[mine], pairs.index[mine]
        radii = covalent_radii[self.atoms.numbers]
        least = self.settings.min_distance or 0.7 * (radii[atom] + radii[index])
        return np.linalg.norm(vectors, axis=1) - least, vectors

    def _room(self, atom: int, seen: Seen) -> float:
        return float(self._rooms(atom, seen)[0].min(initial=np.inf))

    def _away(self, atom: int, seen: Seen) -> Array:
        """The shift (3,) that takes an atom away from the one that it is too close to."""
        rooms, vectors = self._rooms(atom, seen)
        worst = int(np.argmin(rooms))
        return (rooms[worst] - _CLEAR) * vectors[worst] / np.linalg.norm(vectors[worst])

    def _by_simplex(self, atom: int) -> float | None:
        """Nelder–Mead on the squared distance from the target."""
        from scipy.optimize import minimize

        origin = self.atoms.positions[atom].copy()
        _, high = self.settings.targets
        found: list[float] = []

        def cost(shift: Array) -> float:
            grade, room, *_ = self._look(atom, origin + shift)
            if room >= 0 and abs(grade - high) < self.settings.reach:
                found.append(grade)
                raise _Reached
            return (grade - high) ** 2 + 1000.0 * max(0.0, -room)

        simplex = np.concatenate((np.zeros((1, 3)), 2 * _SHAKE * np.eye(3)))
        options = {"maxfev": _LOOKS["simplex"], "initial_simplex": simplex}
        try:
            minimize(cost, np.zeros(3), method="Nelder-Mead", options=options)
        except _Reached:
            return found[0]
        return None

    def _by_gradient(self, atom: int) -> float | None:
        """Newton steps on log γ, sliding along other atoms; between too little and too much, the secant."""
        place = self.atoms.positions[atom].copy()
        _, high = self.settings.targets
        ends: dict[bool, tuple[Array, float]] = {}
        for _ in range(_LOOKS["gradient"]):
            grade, room, top, seen, blocks = self._look(atom, place)
            if room < 0:
                place = place + self._away(atom, seen)
                ends.clear()
                continue
            if abs(grade - high) < self.settings.reach:
                return grade
            wanted = float(np.log(high / max(grade, 1e-12)))
            ends[grade > high] = (place.copy(), wanted)
            if len(ends) == 2:
                (below, up), (above, down) = ends[False], ends[True]
                share = float(np.clip(up / (up - down), 0.1, 0.9))
                place = below + share * (above - below)
                continue
            slope = self._slope(atom, top, seen, blocks) / max(grade, 1e-12)
            steep = float(np.linalg.norm(slope))
            if steep == 0.0:
                return None
            place = place + slope / steep * np.clip(wanted / steep, -_STRIDE, _STRIDE)
        return None

    def _slope(self, atom: int, top: int, seen: Seen, blocks: list[Block]) -> Array:
        """Derivative of the largest grade by the place of an atom, (3,)."""
        (block,) = [block for block in blocks if top in block.atoms]
        row = block.rows[int(np.flatnonzero(block.atoms == top)[0])]
        support = self.known.sites.supports[block.element]
        coefficients = np.zeros(seen.kept.values.shape[1])
        coefficients[support] = self.measure.slope(block.element, row)
        return -self.surrogate.pull_site(seen, top, coefficients)[atom]
