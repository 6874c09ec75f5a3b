"""Which crystals are there? Prototypes by name, built from elements and lattice constants.

A prototype is a crystal structure without its scale: the lattice, the sites, and which element sits on which. What is
known of its scale beforehand is only where to begin looking: the distance of nearest neighbours, from ASE's table of
the elements' own structures, or from covalent radii.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii, reference_states

from aliquot.errors import InputError

__all__ = ["PROTOTYPES", "Prototype", "expected_distance", "find_prototype"]

Miller = tuple[int, int, int]

_CUBIC: Final[tuple[Miller, ...]] = ((1, 0, 0), (1, 1, 0), (1, 1, 1))
_HEXAGONAL: Final[tuple[Miller, ...]] = ((0, 0, 1), (1, 0, 0))


@dataclass(frozen=True)
class Prototype:
    """One crystal structure.

    Parameters
    ----------
    name : str
        As :func:`ase.build.bulk` calls it.
    n_elements : int
        How many elements it is made of, in the order of the sites.
    system : {"cubic", "hexagonal"}
    nearest : float
        Distance of nearest neighbours over the lattice constant a, in the ideal structure.
    """

    name: str
    n_elements: int
    system: Literal["cubic", "hexagonal"]
    nearest: float

    @property
    def surfaces(self) -> tuple[Miller, ...]:
        """The surfaces that are looked at unless others are named."""
        return _CUBIC if self.system == "cubic" else _HEXAGONAL

    def primitive(self, elements: Sequence[str], a: float) -> Atoms:
        """The primitive cell with lattice constant ``a`` (Å), c/a and inner coordinates ideal.

        >>> PROTOTYPES["diamond"].primitive(["Si"], 5.43).get_chemical_formula()
        'Si2'
        """
        extra = {"c": a * np.sqrt(8 / 3), "u": 3 / 8} if self.name == "wurtzite" else {}
        if self.name == "hcp":
            extra = {"covera": np.sqrt(8 / 3)}
        return bulk("".join(elements), crystalstructure=self.name, a=a, **extra)

    def conventional(self, relaxed: Atoms, a: float) -> Atoms:
        """The cell whose axes Miller indices refer to: the cube, or the hexagonal cell itself.

        Parameters
        ----------
        relaxed : ase.Atoms
            The relaxed primitive cell.
        a : float, Å
        """
        if self.system == "hexagonal":
            return relaxed.copy()
        elements = list(dict.fromkeys(relaxed.get_chemical_symbols()))
        return bulk("".join(elements), crystalstructure=self.name, a=a, cubic=True)


def _catalogue() -> dict[str, Prototype]:
    two, three, ideal = (float(np.sqrt(x)) for x in (2.0, 3.0, 3 / 8))
    return {
        p.name: p
        for p in (
            Prototype("sc", 1, "cubic", 1.0),
            Prototype("fcc", 1, "cubic", 1 / two),
            Prototype("bcc", 1, "cubic", three / 2),
            Prototype("hcp", 1, "hexagonal", 1.0),
            Prototype("diamond", 1, "cubic", three / 4),
            Prototype("rocksalt", 2, "cubic", 0.5),
            Prototype("zincblende", 2, "cubic", three / 4),
            Prototype("cesiumchloride", 2, "cubic", three / 2),
            Prototype("wurtzite", 2, "hexagonal", ideal),
        )
    }


#: Name to prototype.
PROTOTYPES: Final = _catalogue()


def find_prototype(name: str, elements: Sequence[str]) -> Prototype:
    """The prototype of that name, if these elements can form it.

    Raises
    ------
    InputError
        If there is no such prototype or element, or their number does not fit.
    """
    if name not in PROTOTYPES:
        raise InputError(f"there is no prototype {name!r}; there are {', '.join(PROTOTYPES)}")
    found = PROTOTYPES[name]
    unknown = [e for e in elements if e not in atomic_numbers or e == "X"]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no chemical element")
    if len(elements) != found.n_elements or len(set(elements)) != len(elements):
        fitting = [p.name for p in PROTOTYPES.values() if p.n_elements == len(set(elements))]
        raise InputError(
            f"{name} is made of {_counted(found.n_elements)}, not of {' and '.join(elements) or 'none'};"
            f" name {_counted(found.n_elements)}"
            + (f", or another prototype: {', '.join(fitting)}" if fitting else "")
        )
    return found


def _counted(n: int) -> str:
    return "one element" if n == 1 else f"{n} different elements"


def expected_distance(elements: Sequence[str]) -> float:
    """Where nearest neighbours are to be expected, Å: where the search for the crystal begins.

    That of the element's own structure where ASE's table has one of our prototypes for it, otherwise the sum of the
    covalent radii.

    >>> round(expected_distance(["Si"]), 3), round(expected_distance(["Na", "Cl"]), 3)
    (2.351, 2.68)
    """
    numbers = [atomic_numbers[e] for e in elements]
    if len(numbers) == 1:
        state = reference_states[numbers[0]] or {}
        if state.get("symmetry") in PROTOTYPES and state.get("a"):
            return PROTOTYPES[state["symmetry"]].nearest * float(state["a"])
        return 2 * float(covalent_radii[numbers[0]])
    return float(sum(covalent_radii[z] for z in numbers))
