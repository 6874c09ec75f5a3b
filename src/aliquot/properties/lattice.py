"""How large is the unit cell? Lattice constants at zero stress, energy and cohesion per atom.

First a scan: the energy of the prototype with neighbours from 0.7 to 1.5 times the expected distance. Its minima are
where crystals can be; the one nearest to what is expected is refined until the stress vanishes: cubic crystals by a
root of the pressure, hexagonal ones by relaxing a, c and the atoms. Any deeper energy in the scan is told of, because
molecular dynamics will find it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms, units
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from numpy.typing import NDArray
from scipy.optimize import brentq

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.properties.calculators import CountedCalculator
from aliquot.properties.prototypes import Prototype, expected_distance
from aliquot.properties.relaxation import shortest_distance

__all__ = ["Lattice", "isolated_energy", "relax_cell", "relax_lattice"]

#: Distances of the scan, over the expected one; steps of 2 %.
SCAN: Final = np.geomspace(0.7, 1.5, 39)

#: Side (Å) of the box around an isolated atom: more than any potential reaches.
BOX: Final = 30.0

#: Relaxation of cells: eV, as ASE's cell filter counts, and eV/Å.
CELL_FMAX: Final = 2e-5
CELL_STEPS: Final = 300


@dataclass(frozen=True, eq=False)
class Lattice:
    """A crystal at zero stress.

    Parameters
    ----------
    prototype : Prototype
    elements : tuple of str
    a : float, Å
    c : float or None, Å
        None in cubic crystals.
    energy : float, eV
        Per atom.
    cohesive_energy : float or None, eV
        Energy of isolated atoms minus that of the crystal, per atom; None where the calculator has no isolated atoms.
    volume : float, Å³
        Per atom.
    nearest, expected : float, Å
        Distance of nearest neighbours, and where the search began.
    stress : float, GPa
        Largest component of what is left.
    primitive : ase.Atoms
        The primitive cell, without calculator.
    """

    prototype: Prototype
    elements: tuple[str, ...]
    a: float
    c: float | None
    energy: float
    cohesive_energy: float | None
    volume: float
    nearest: float
    expected: float
    stress: float
    primitive: Atoms

    @property
    def conventional(self) -> Atoms:
        """The cell whose axes Miller indices refer to."""
        return self.prototype.conventional(self.primitive, self.a)


def relax_lattice(
    calculator: CountedCalculator,
    prototype: Prototype,
    elements: Sequence[str],
    *,
    start: float | None = None,
    progress: Progress = silent,
) -> tuple[Lattice, tuple[str, ...]]:
    """Find the lattice constants of a prototype, and what there is to say about them.

    Parameters
    ----------
    calculator : CountedCalculator
    prototype : Prototype
    elements : sequence of str
        In the order of the prototype's sites.
    start : float, Å, optional
        Lattice constant near which to look.

    Raises
    ------
    InputError
        If the energy has no minimum near there, the stress contradicts it, or the relaxation does not converge.
    """
    expected = expected_distance(elements) if start is None else start * prototype.nearest
    scale = expected / prototype.nearest  # lattice constant of the expected distance
    energies = _scan(calculator, prototype, elements, scale, progress)
    here, notes = _choose(energies, expected, f"{''.join(elements)} {prototype.name}")

    def pressure(a: float) -> float:
        return -float(_evaluated(calculator, prototype, elements, a).get_stress()[:3].mean())

    a = _zero(pressure, scale * SCAN[here - 1 : here + 2])
    atoms = _evaluated(calculator, prototype, elements, a)
    if prototype.system == "hexagonal":
        relax_cell(atoms)
        a = float(np.linalg.norm(atoms.cell.array[0]))
    energy, stress = atoms.get_potential_energy() / len(atoms), np.abs(atoms.get_stress()).max() / units.GPa
    alone = isolated_energy(calculator, elements)
    atoms.calc = None
    nearest = shortest_distance(atoms, 1.2 * prototype.nearest * a)
    if abs(nearest / expected - 1) > 0.15:
        notes = (
            *notes,
            f"neighbours are {nearest:.3f} Å apart, {nearest / expected - 1:+.0%} from the {expected:.3f} Å expected",
        )
    if alone is None:
        notes = (*notes, "no cohesive energy: the calculator gives no energy for isolated atoms")
    c = float(np.linalg.norm(atoms.cell.array[2])) if prototype.system == "hexagonal" else None
    cohesion = None if alone is None else alone - energy
    volume = float(atoms.get_volume()) / len(atoms)
    found = Lattice(
        prototype, tuple(elements), a, c, energy, cohesion, volume, nearest, expected, float(stress), atoms
    )
    return found, notes


def relax_cell(atoms: Atoms, *, constant_volume: bool = False) -> None:
    """Relax cell and atoms in place.

    Raises
    ------
    InputError
        If it does not converge.
    """
    whole: Any = FrechetCellFilter(atoms, constant_volume=constant_volume)
    quiet: Any = None
    if not BFGS(whole, logfile=quiet, maxstep=0.05).run(fmax=CELL_FMAX, steps=CELL_STEPS):
        left = np.abs(whole.get_forces()).max()
        raise InputError(
            f"the cell of {atoms.symbols} does not relax: forces are still {left:.3g} eV after {CELL_STEPS} steps;"
            " is the energy smooth, and does the stress belong to it?"
        )


def isolated_energy(calculator: CountedCalculator, elements: Sequence[str]) -> float | None:
    """Mean energy of isolated atoms, eV; None where the calculator refuses them."""
    energies: list[float] = []
    for element in elements:
        atom = Atoms(element, positions=[[BOX / 2] * 3], cell=[BOX] * 3, pbc=True, calculator=calculator)
        try:
            energies.append(atom.get_potential_energy())
        except Exception:  # whatever other people's calculators raise; the caller says so
            return None
    return float(np.mean(energies))


def _evaluated(
    calculator: CountedCalculator, prototype: Prototype, elements: Sequence[str], a: float
) -> Atoms:
    atoms = prototype.primitive(elements, a)
    atoms.calc = calculator
    return atoms


def _scan(
    calculator: CountedCalculator,
    prototype: Prototype,
    elements: Sequence[str],
    scale: float,
    progress: Progress,
) -> NDArray[np.float64]:
    """Energies per atom at the distances of the scan; infinite where the calculator has no number."""
    energies = np.full(len(SCAN), np.inf)
    refused: InputError | None = None
    for k, factor in enumerate(SCAN):
        atoms = _evaluated(calculator, prototype, elements, scale * float(factor))
        try:
            energies[k] = atoms.get_potential_energy() / len(atoms)
        except InputError as error:
            refused = error
        progress("lattice scan", k + 1, len(SCAN))
    if refused is not None and np.isinf(energies).all():
        raise refused
    return energies


def _choose(energies: NDArray[np.float64], expected: float, what: str) -> tuple[int, tuple[str, ...]]:
    """The minimum of the scan nearest to the expected distance, and the deeper ones in words."""
    flat = 1e-9
    inner = energies[1:-1]
    minima = 1 + np.flatnonzero((energies[:-2] - inner > flat) & (energies[2:] - inner > flat))
    low, high = SCAN[0] * expected, SCAN[-1] * expected
    if len(minima) == 0:
        side = "collapses" if energies[0] < energies[-1] - flat else "flies apart"
        raise InputError(
            f"{what} has no lattice constant: with neighbours from {low:.2f} to {high:.2f} Å the energy has no minimum"
            f" and the crystal {side} ({energies[0]:.4g} and {energies[-1]:.4g} eV per atom at the ends);"
            " name a lattice constant to start from, or do not trust the potential here"
        )
    here = int(minima[np.argmin(np.abs(np.log(SCAN[minima])))])
    deepest = int(np.argmin(energies))
    if energies[deepest] >= energies[here] - flat:
        return here, ()
    return here, (
        f"the potential has a hole: with neighbours {SCAN[deepest] * expected:.2f} Å apart the energy is"
        f" {energies[here] - energies[deepest]:.3g} eV per atom below this crystal's",
    )


def _zero(pressure: Callable[[float], float], bracket: NDArray[np.float64]) -> float:
    """Root of the pressure between the neighbours of the scan's minimum."""
    low, middle, high = (float(x) for x in bracket)
    at = pressure(middle)
    if at > 0:  # wants to expand
        low, there = middle, pressure(high)
        fits = there < 0
    else:
        high, there = middle, pressure(low)
        fits = there > 0
    if at == 0:
        return middle
    if not fits:
        raise InputError(
            f"energy and stress contradict each other: the energy has a minimum near a = {middle:.4f} Å, but the"
            f" pressure does not change its sign there ({at / units.GPa:.3g} and {there / units.GPa:.3g} GPa)"
        )
    root: Any = brentq(pressure, low, high, xtol=1e-10)
    return float(root)
