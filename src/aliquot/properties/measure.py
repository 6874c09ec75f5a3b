"""What does the potential make of a crystal? Lattice, stiffness, vacancy and surfaces in one record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeVar, get_args

import numpy as np
from ase.calculators.calculator import Calculator

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.properties.calculators import CountedCalculator
from aliquot.properties.elastic import ElasticConstants, elastic_constants
from aliquot.properties.equation_of_state import EquationOfState, equation_of_state
from aliquot.properties.lattice import Lattice, relax_lattice
from aliquot.properties.prototypes import find_prototype
from aliquot.properties.slabs import check_miller
from aliquot.properties.surfaces import Surface, surface_energy
from aliquot.properties.vacancy import Vacancy, vacancy

__all__ = ["QUANTITIES", "CrystalProperties", "Quantity", "crystal_properties"]

_T = TypeVar("_T")

Quantity = Literal["eos", "elastic", "vacancy", "surfaces"]

#: What can be measured besides the lattice, which everything needs.
QUANTITIES: Final[tuple[Quantity, ...]] = get_args(Quantity)

_UNITS: Final = {
    "a, c, nearest, expected, images, thickness, vacuum": "Å",
    "energy, cohesive_energy, rms": "eV per atom",
    "formation_energy, unrelaxed_energy and change of the vacancy": "eV",
    "energy and unrelaxed_energy of surfaces": "J/m²",
    "volume": "Å³ per atom",
    "area": "Å²",
    "force, fmax": "eV/Å",
    "stress, relaxed, unrelaxed, bulk_modulus, shear_modulus, residual, born": "GPa (products: GPa²)",
}


@dataclass(frozen=True, eq=False)
class CrystalProperties:
    """What was measured of one crystal.

    Parameters
    ----------
    lattice : Lattice
    eos : EquationOfState or None
    elastic : ElasticConstants or None
    vacancy : Vacancy or None
    surfaces : tuple of Surface
    notes : tuple of str
        What to look at before a number is believed.
    settings : dict
        Everything that made these numbers.
    calls, atoms_evaluated : int
        Evaluations of the calculator, and atoms in all of them.
    """

    lattice: Lattice
    eos: EquationOfState | None
    elastic: ElasticConstants | None
    vacancy: Vacancy | None
    surfaces: tuple[Surface, ...]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    calls: int
    atoms_evaluated: int

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON has it, with a table of units; the same numbers give the same text."""
        at = self.lattice
        return {
            "format": "aliquot-properties",
            "schema": 1,
            "prototype": at.prototype.name,
            "elements": list(at.elements),
            "units": dict(_UNITS),
            "lattice": {
                "a": at.a,
                "c": at.c,
                "energy": at.energy,
                "cohesive_energy": at.cohesive_energy,
                "volume": at.volume,
                "nearest": at.nearest,
                "expected": at.expected,
                "stress": at.stress,
            },
            "eos": None if self.eos is None else asdict(self.eos),
            "elastic": None if self.elastic is None else asdict(self.elastic),
            "vacancy": None if self.vacancy is None else asdict(self.vacancy),
            "surfaces": [asdict(s) for s in self.surfaces],
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "calls": self.calls,
            "atoms_evaluated": self.atoms_evaluated,
        }


def crystal_properties(
    calculator: Calculator,
    prototype: str,
    *,
    elements: Sequence[str],
    quantities: Sequence[str] = QUANTITIES,
    surfaces: Sequence[tuple[int, int, int]] | None = None,
    start: float | None = None,
    images: float = 15.0,
    thickness: float = 30.0,
    vacuum: float = 15.0,
    fmax: float = 1e-3,
    steps: int = 500,
    progress: Progress = silent,
) -> CrystalProperties:
    """Measure a crystal with any ASE calculator.

    Parameters
    ----------
    calculator : ase.calculators.calculator.Calculator
        Must compute energy, forces and stress.
    prototype : str
        A name of :data:`~aliquot.properties.prototypes.PROTOTYPES`.
    elements : sequence of str
        In the order of the prototype's sites.
    quantities : sequence of {"eos", "elastic", "vacancy", "surfaces"}
        What to measure besides the lattice. What cannot be measured is None, and a note says why.
    surfaces : sequence of Miller indices, optional
        (100), (110) and (111) in cubic crystals, (001) and (100) in hexagonal ones.
    start : float, Å, optional
        Lattice constant near which to look; from tables by default.
    images : float, Å
        Least distance between a vacancy and its images; a second supercell has two thirds of it.
    thickness, vacuum : float, Å
        Of slabs.
    fmax : float, eV/Å
    steps : int
        Of a relaxation, before it counts as failed (twice as many: L-BFGS, then FIRE).

    Raises
    ------
    InputError
        If prototype and elements do not fit, a setting makes no sense, or there is no crystal to measure.

    Examples
    --------
    >>> from ase.calculators.emt import EMT
    >>> copper = crystal_properties(EMT(), "fcc", elements=["Cu"], quantities=["elastic"])
    >>> round(copper.lattice.a, 3), round(copper.elastic.relaxed["C44"])
    (3.59, 90)
    """
    kind = find_prototype(prototype, elements)
    wanted = tuple(surfaces or kind.surfaces) if "surfaces" in quantities else ()
    relaxing = {"fmax": fmax, "steps": steps}
    lengths = {"images": images, "thickness": thickness, "vacuum": vacuum}
    _check(quantities, wanted, {**lengths, **relaxing, "start": 1.0 if start is None else start})
    counted = CountedCalculator(calculator)
    lattice, found_notes = relax_lattice(counted, kind, elements, start=start, progress=progress)
    notes = list(found_notes)

    def attempt(name: str, measure: Callable[..., _T], *given: Any, **settings: Any) -> _T | None:
        try:
            return measure(counted, lattice, *given, progress=progress, **settings)
        except InputError as error:
            notes.append(f"no {name}: {error}")
            return None

    eos = attempt("equation of state", equation_of_state) if "eos" in quantities else None
    elastic = attempt("elastic constants", elastic_constants) if "elastic" in quantities else None
    missing = attempt("vacancy", vacancy, images=images, **relaxing) if "vacancy" in quantities else None
    slabs = {"thickness": thickness, "vacuum": vacuum, **relaxing}
    tried = [attempt(f"surface {m}", surface_energy, m, **slabs) for m in wanted]
    faces = tuple(face for face in tried if face is not None)
    settings = {
        "quantities": [q for q in QUANTITIES if q in quantities],
        "start": start,
        **lengths,
        **relaxing,
    }
    notes += _doubts(eos, elastic, missing, faces)
    calls = counted.calls, counted.atoms_evaluated
    return CrystalProperties(lattice, eos, elastic, missing, faces, tuple(notes), settings, *calls)


def _check(
    quantities: Sequence[str], surfaces: Sequence[tuple[int, int, int]], positive: Mapping[str, float]
) -> None:
    unknown = sorted(set(quantities) - set(QUANTITIES))
    if unknown:
        raise InputError(f"there is no quantity {unknown[0]!r}; there are {', '.join(QUANTITIES)}")
    for miller in surfaces:
        check_miller(miller)
    for name, value in positive.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} must be a positive number; got {value}")


def _doubts(
    eos: EquationOfState | None,
    elastic: ElasticConstants | None,
    missing: Vacancy | None,
    faces: Sequence[Surface],
) -> list[str]:
    """What to look at before a number is believed."""
    notes: list[str] = []
    if elastic is not None and not elastic.stable:
        violated = [f"{name} = {value:.4g}" for name, value in elastic.born.items() if value <= 0]
        reason = ", ".join(violated) or "the atoms are not stable at their sites"
        notes.append(f"the crystal is unstable against small strains: {reason}")
    if eos and elastic and elastic.bulk_modulus:
        apart = eos.bulk_modulus / elastic.bulk_modulus - 1
        if abs(apart) > 0.03:
            notes.append(
                f"the bulk moduli of the energies ({eos.bulk_modulus:.1f} GPa) and of the stresses"
                f" ({elastic.bulk_modulus:.1f} GPa) differ by {apart:+.0%}: energies are not smooth over ±4 % of volume"
            )
    if missing is not None and missing.problem:
        notes.append(f"no vacancy: {missing.problem}")
    elif missing is not None and missing.change is not None and abs(missing.change) > 0.05:
        notes.append(
            f"the vacancy changed by {missing.change:+.3f} eV with the larger supercell; take a larger one still"
        )
    notes += [f"no relaxed surface {s.name}: {s.problem}" for s in faces if s.problem]
    notes += [
        f"surface {s.name}: the slab ends in different elements below and above; the energy is the mean of both sides"
        for s in faces
        if s.sides_differ
    ]
    notes += [
        f"surface {s.name} has a negative energy" for s in faces if s.energy is not None and s.energy < 0
    ]
    return notes
