"""What does one calculator say about one structure? Everything it can, asked for at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_changes

from aliquot.structures import Frames

__all__ = ["evaluate", "keys_of", "structure_of", "to_atoms"]

#: Keys of a frame that change what its energy is, beside the geometry.
STATE_INFO: Final = ("charge", "spin", "multiplicity")
STATE_ARRAYS: Final = ("initial_magmoms", "initial_charges")


def structure_of(frames: Frames, i: int) -> dict[str, Any]:
    """Frame ``i`` as plain arrays: geometry, charge and spin, and no labels, constraints or anything else."""
    atoms = frames[i].to_atoms()[0]
    return {
        "numbers": atoms.numbers,
        "positions": atoms.positions,
        "cell": atoms.cell.array,
        "pbc": atoms.pbc,
        "info": {k: atoms.info[k] for k in STATE_INFO if k in atoms.info},
        "arrays": {k: atoms.arrays[k] for k in STATE_ARRAYS if k in atoms.arrays},
    }


def keys_of(frames: Frames) -> list[str]:
    """Content hash of each frame, and of its charge and spin where it has them: the name of its label."""
    keys: list[str] = []
    for i, content in enumerate(frames.hashes):
        structure = structure_of(frames, i)
        state = {k: np.asarray(v).tolist() for k, v in {**structure["info"], **structure["arrays"]}.items()}
        state = {k: v for k, v in sorted(state.items()) if np.any(np.asarray(v) != 0)}
        more = f"-{hashlib.blake2b(repr(state).encode(), digest_size=8).hexdigest()}" if state else ""
        keys.append(content.decode() + more)
    return keys


def to_atoms(structure: Mapping[str, Any]) -> Atoms:
    """The Atoms that :func:`structure_of` describes."""
    atoms = Atoms(structure["numbers"], structure["positions"], cell=structure["cell"], pbc=structure["pbc"])
    atoms.info.update(structure["info"])
    for name, values in structure["arrays"].items():
        atoms.set_array(name, np.asarray(values))
    return atoms


def evaluate(calculator: Any, structure: Mapping[str, Any], folder: str | None = None) -> dict[str, Any]:
    """Energy, and forces and stress where the calculator has them, as :class:`Answer` takes them.

    Parameters
    ----------
    calculator : ase.calculators.calculator.Calculator
    structure : dict
        As of :func:`structure_of`.
    folder : str, optional
        Where a calculator that works with files shall work.

    Raises
    ------
    Exception
        Whatever the calculator raises.
    ValueError
        If it ended without energy or forces, or they have the wrong shape.
    """
    atoms = to_atoms(structure)
    has = set(getattr(calculator, "implemented_properties", ("energy", "forces")))
    wanted = [name for name in ("energy", "forces") if name in has]
    if "stress" in has and atoms.pbc.any() and atoms.cell.rank == 3:
        wanted.append("stress")
    if folder is not None and hasattr(calculator, "directory"):
        calculator.directory = Path(folder)  # some want no less than a Path
    started = time.perf_counter()
    try:
        calculator.calculate(atoms, wanted, list(all_changes))
    except PropertyNotImplementedError:
        if "stress" not in wanted:
            raise
        wanted.remove("stress")  # some know only then that this cell has none
        calculator.calculate(atoms, wanted, list(all_changes))
    seconds = time.perf_counter() - started
    found = calculator.results
    for name in ("energy", "forces"):
        if name in wanted and found.get(name) is None:
            raise ValueError(f"the calculation ended without {name}; the code must be told to compute them")
    answer: dict[str, Any] = {"energy": float(found["energy"]), "seconds": seconds}
    if found.get("free_energy") is not None:
        answer["free_energy"] = float(found["free_energy"])
    for name, shape in (("forces", (len(atoms), 3)), ("stress", (6,))):
        if name in wanted and found.get(name) is not None:
            values = np.array(found[name], np.float64)
            if name == "stress" and values.shape == (3, 3):
                values = values.ravel()[[0, 4, 8, 5, 2, 1]]
            if values.shape != shape:
                raise ValueError(f"{name} have shape {values.shape}, expected {shape}")
            answer[name] = values
    answer["converged"] = _converged(calculator)
    return answer


def _converged(calculator: Any) -> bool | None:
    """Whether the calculator says that it converged; None where it says nothing."""
    said = getattr(calculator, "results", {}).get("converged", getattr(calculator, "converged", None))
    return bool(said) if isinstance(said, bool | np.bool_) else None
