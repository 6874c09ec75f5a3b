r"""How much does each label count? One weight per quantity and config type, as ACEpotentials means them.

A fit minimises

.. math:: \sum_s \frac{w_E^2}{N_s} (E_s - \hat E_s)^2 + w_F^2 \lVert F_s - \hat F_s \rVert^2
   + \frac{w_V^2}{N_s} \lVert V_s - \hat V_s \rVert^2 ,

with total energies E (eV), force components F (eV/Å) and the six components of the virial V (eV): weights multiply
residuals, and energies and virials are divided by the square root of the number of atoms N.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from aliquot.declared import read_toml
from aliquot.errors import InputError

__all__ = ["QUANTITIES", "Weights"]

#: What structures are labelled with.
QUANTITIES: Final = ("energy", "forces", "virial")

_DEFAULT: Final = "default"


@dataclass(frozen=True)
class Weights:
    """Weights of energies, forces and virials.

    Parameters
    ----------
    energy, forces, virial : float
        Of every config type that has none of its own; 0 leaves a quantity out.
    groups : dict of str to (float, float, float)
        Weights of some config types, in the same order. Capitals do not matter.

    Raises
    ------
    InputError
        If a weight is negative or not a number, or two names differ only in capitals.

    Examples
    --------
    >>> weights = Weights(groups={"Liquid": (10.0, 0.7, 0.2)})
    >>> weights.of("forces", "liquid"), weights.of("forces", "bulk")
    (0.7, 1.0)
    """

    energy: float = 30.0
    forces: float = 1.0
    virial: float = 1.0
    groups: Mapping[str, tuple[float, float, float]] = field(
        default_factory=dict[str, tuple[float, float, float]]
    )

    def __post_init__(self) -> None:
        for name, values in ((_DEFAULT, (self.energy, self.forces, self.virial)), *self.groups.items()):
            if len(values) != len(QUANTITIES) or not all(0 <= w < np.inf for w in values):
                raise InputError(
                    f"weights of {name} are {values}; they must be three numbers that are not negative, of"
                    f" {', '.join(QUANTITIES)}"
                )
        folded = {name.casefold(): values for name, values in self.groups.items()}
        if len(folded) < len(self.groups):
            raise InputError(f"config types {', '.join(self.groups)} differ only in capitals")
        object.__setattr__(self, "groups", folded)

    def of(self, quantity: str, group: str) -> float:
        """The weight of a quantity in a config type."""
        own = self.groups.get(group.casefold(), (self.energy, self.forces, self.virial))
        return own[QUANTITIES.index(quantity)]

    def check(self, present: Iterable[str]) -> None:
        """Refuse weights of config types that do not occur.

        Raises
        ------
        InputError
            Naming them and those that do.
        """
        there = sorted({str(name) for name in present})
        unknown = sorted(set(self.groups) - {name.casefold() for name in there})
        if unknown:
            raise InputError(
                f"weights are given for config type {', '.join(unknown)}, which no structure has; there are"
                f" {', '.join(repr(name) for name in there)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """What :meth:`from_dict` reads."""
        default = {q: getattr(self, q) for q in QUANTITIES}
        return {
            _DEFAULT: default,
            **{g: dict(zip(QUANTITIES, w, strict=True)) for g, w in self.groups.items()},
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], *, source: str = "the table of weights") -> Weights:
        """From ``{"default": {"energy": 30, …}, "liquid": {"forces": 0.7}}``; what is left out is the default's.

        Raises
        ------
        InputError
            If an entry is not such a table.
        """
        default = dict(zip(QUANTITIES, (cls.energy, cls.forces, cls.virial), strict=True))
        named: dict[str, dict[str, float]] = {}
        for name, entry in table.items():
            if not isinstance(entry, Mapping) or not set(entry) <= set(QUANTITIES):
                raise InputError(
                    f"{source}: {name} is {entry!r}; give a table of {', '.join(QUANTITIES)} for each config type"
                )
            named[name] = {}
            for quantity, value in entry.items():
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise InputError(f"{source}: weight {quantity} of {name} is {value!r}, not a number")
                named[name][quantity] = float(value)
        default |= named.pop(_DEFAULT, {})
        filled = {name: default | entry for name, entry in named.items()}
        groups = {name: (w["energy"], w["forces"], w["virial"]) for name, w in filled.items()}
        return cls(**default, groups=groups)

    @classmethod
    def from_text(cls, text: str) -> Weights:
        """From ``30/1/1`` (energy, forces, virial) or the name of a TOML file with one table per config type.

        Raises
        ------
        InputError
            If it is neither.
        """
        parts = text.split("/")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if len(numbers) == len(QUANTITIES):
            return cls(numbers[0], numbers[1], numbers[2])
        path = Path(text)
        if not path.is_file():
            raise InputError(
                f"weights {text!r} are neither three numbers such as 30/1/1 (energy, forces, virial) nor a TOML file"
            )
        return cls.from_dict(read_toml(path), source=str(path))
