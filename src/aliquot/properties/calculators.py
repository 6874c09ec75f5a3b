"""What computes the energies? An ACE potential from its file, any other ASE calculator, and how often it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, all_changes

from aliquot.errors import InputError

__all__ = ["CountedCalculator", "open_calculator"]


class CountedCalculator(Calculator):
    """Any ASE calculator, with every evaluation counted and looked at.

    Energy, forces and stress are asked for together, so that nothing is computed twice.

    Parameters
    ----------
    inner : ase.calculators.calculator.Calculator

    Raises
    ------
    InputError
        If it computes no energy, forces or stress, or is not an ASE calculator at all.
    """

    def __init__(self, inner: Calculator) -> None:
        super().__init__()
        missing = {"energy", "forces", "stress"} - set(getattr(inner, "implemented_properties", ()))
        if missing or not hasattr(inner, "calculate"):
            raise InputError(
                f"{type(inner).__name__} does not compute {', '.join(sorted(missing)) or 'anything'}; lattices and"
                " elastic constants need energy, forces and stress: name another calculator"
            )
        self.inner, self.calls, self.atoms_evaluated = inner, 0, 0
        self.implemented_properties = ["energy", "forces", "stress"]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate; called by ASE.

        Raises
        ------
        InputError
            If a number that comes back is not finite.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        here = self.atoms
        if here is None:
            raise InputError("there is no structure to evaluate; pass atoms")
        self.inner.calculate(here, list(self.implemented_properties), list(system_changes))
        self.calls += 1
        self.atoms_evaluated += len(here)
        found = self.inner.results
        self.results: dict[str, Any] = {
            "energy": float(found["energy"]),
            "forces": np.array(found["forces"], float),
            "stress": np.array(found["stress"], float),
        }
        for name, values in self.results.items():
            if not np.isfinite(values).all():
                raise InputError(
                    f"the {name} of {len(here)} atoms ({here.symbols}) at {here.get_volume():.4g} Å³ is not finite"
                )


def open_calculator(spec: str) -> tuple[Calculator, tuple[str, ...] | None]:
    """The calculator that a path or name stands for, and the elements it knows, if it says so.

    Parameters
    ----------
    spec : str
        A potential of this package (``.ace``), a linear PACE potential (``.yace``, ``.yaml``), or
        ``python:module:factory``, a function without arguments that returns an ASE calculator.

    Raises
    ------
    InputError
        If the file cannot be read, or the module has no such function.
    """
    if spec.startswith("python:"):
        return _from_python(spec), None
    from ase.data import chemical_symbols

    from aliquot.ace.calculator import AceCalculator
    from aliquot.ace.potential import AcePotential

    path = Path(spec)
    if path.suffix in {".yace", ".yaml"}:
        from aliquot.ace.pace_read import read_pace

        potential = read_pace(path)
    else:
        potential = AcePotential.load(path)
    return AceCalculator(potential), tuple(chemical_symbols[z] for z in potential.basis.elements)


def _from_python(spec: str) -> Calculator:
    module, _, name = spec.removeprefix("python:").partition(":")
    if not module or not name:
        raise InputError(f"{spec!r} must name a module and a function, as in python:ase.calculators.emt:EMT")
    try:
        factory: Any = getattr(import_module(module), name, None)
    except ImportError as error:
        raise InputError(f"cannot import {module} for {spec}: {error}") from error
    if not callable(factory):
        raise InputError(f"module {module} has no function {name}")
    try:
        found: Any = factory()
    except Exception as error:  # other people's code may raise anything
        raise InputError(f"{spec} failed: {type(error).__name__}: {error}") from error
    made: object = found
    if not isinstance(made, BaseCalculator):  # newer ones, such as Espresso, are no Calculator
        raise InputError(f"{spec} returned {type(found).__name__}, not an ASE calculator")
    return found
