"""Frames from ASE's Atoms and back, losing no key.

What an ``Atoms`` carries beyond its geometry becomes columns under the name ASE gives it: ``info``, ``arrays``
(tags, momenta, initial magnetic moments and charges among them) and the results a calculator holds. Forces are
taken as the calculator has them, without constraints applied: ``get_forces()`` would hand out zeros for fixed
atoms. Constraints become the per-atom key ``move_mask`` where that says everything (as ASE writes it), else the
frame key ``ase_constraints``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import FrameError, InputError
from aliquot.structures.columns import Column, atom_column, frame_columns
from aliquot.structures.frames import DEFAULT_LABEL_KEYS, Frames, LabelKeys

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["from_atoms", "to_atoms"]

#: Frame keys that hold what ASE keeps outside ``info``.
_CONSTRAINTS: Final = "ase_constraints"
_ORIGIN: Final = "celldisp"


def from_atoms(
    images: Sequence[Atoms],
    *,
    source: str = "atoms",
    numbers: Sequence[int] | None = None,
    label_keys: LabelKeys = DEFAULT_LABEL_KEYS,
) -> Frames:
    """Frames of a list of Atoms; ``numbers`` are their places in the source, by default 0, 1, ….

    Raises
    ------
    FrameError
        If an image has no atoms.
    """
    frame = np.arange(len(images), dtype=np.int64) if numbers is None else np.asarray(numbers, np.int64)
    sizes = np.array([len(a) for a in images], np.int64)
    for i in np.flatnonzero(sizes == 0):
        raise FrameError(source, int(frame[i]), "has no atoms")
    if not len(images):
        return Frames.empty(source, label_keys=label_keys)
    parts = [_parts(atoms) for atoms in images]
    items, arrays = [p[0] for p in parts], [p[1] for p in parts]
    names = dict.fromkeys(name for a in arrays for name in a)
    return Frames(
        numbers=np.concatenate([a.numbers for a in images]).astype(np.int32),
        positions=np.concatenate([a.positions for a in images]).astype(np.float64),
        cells=np.array([np.asarray(a.cell) for a in images], np.float64),
        pbc=np.array([a.pbc for a in images], bool),
        offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        files=(source,),
        file=np.zeros(len(images), np.int32),
        frame=frame,
        frame_columns=frame_columns(items),
        atom_columns={name: atom_column([a.get(name) for a in arrays], sizes) for name in names},
        label_keys=label_keys,
    )


def _parts(atoms: Atoms) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Frame keys and per-atom keys of one Atoms."""
    items = {str(key): _plain(value) for key, value in atoms.info.items()}
    arrays = {k: np.asarray(v) for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    for name, value in _results(atoms).items():
        per_atom = isinstance(value, np.ndarray) and value.ndim > 0 and _is_per_atom(name)
        held: dict[str, Any] = arrays if per_atom else items
        if name in held and not _same(held[name], value):
            name = f"calculator_{name}"
        held[name] = value
    if atoms.constraints:
        mask = _move_mask(atoms)
        if mask is not None and "move_mask" not in arrays:
            arrays["move_mask"] = mask
        else:
            items[_CONSTRAINTS] = [_described(c) for c in atoms.constraints]
    origin = np.asarray(atoms.get_celldisp(), np.float64).ravel()
    if origin.any():
        items[_ORIGIN] = origin
    return items, arrays


def _plain(value: Any) -> Any:
    """Python scalars for numpy's, arrays for tuples and lists of numbers; everything else as it is."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else value
    if isinstance(value, list | tuple) and value:
        flat = all(type(v) in (int, float) for v in value) or all(type(v) is bool for v in value)
        return np.array(value) if flat else list(value)
    if type(value).__name__ == "Spacegroup":
        return str(getattr(value, "symbol", value))
    return value


def _same(a: Any, b: Any) -> bool:
    try:
        return bool(np.array_equal(np.asarray(a, np.float64), np.asarray(b, np.float64)))
    except (TypeError, ValueError):
        return False


def _is_per_atom(name: str) -> bool:
    from ase.outputs import ArrayProperty, all_outputs

    known = all_outputs.get(name)
    return isinstance(known, ArrayProperty) and known.shapespec[:1] == ("natoms",)


def _results(atoms: Atoms) -> dict[str, Any]:
    """What the calculator holds for these very positions, calculating nothing; stress as a matrix."""
    calculator = atoms.calc
    if calculator is None:
        return {}
    results: dict[str, Any] = {}
    for name, held in getattr(calculator, "results", {}).items():
        try:
            value = calculator.get_property(name, atoms, allow_calculation=False)
        except (NotImplementedError, KeyError, TypeError):
            value = held
        if value is None:
            continue
        if name in ("stress", "virial") and np.shape(value) == (6,):
            value = np.asarray(value)[[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3)
        results[name] = _plain(np.asarray(value) if isinstance(value, list | tuple) else value)
    return results


def _move_mask(atoms: Atoms) -> NDArray[np.bool_] | None:
    """Which atoms, or which of their components, may move; None where constraints say more than that."""
    from ase.constraints import FixAtoms, FixCartesian

    mask = np.ones((len(atoms), 3), bool)
    for constraint in atoms.constraints:
        if type(constraint) is FixAtoms:
            mask[constraint.index] = False
        elif type(constraint) is FixCartesian:
            mask[constraint.index] &= ~np.asarray(constraint.mask, bool)
        else:
            return None
    return mask[:, 0] if (mask == mask[:, :1]).all() else mask


def _described(constraint: Any) -> Any:
    """A constraint as JSON can hold it; its text where ASE gives no such form."""
    if not hasattr(constraint, "todict"):
        return str(constraint)
    return _lists(constraint.todict())


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _lists(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [_lists(v) for v in value] if isinstance(value, list | tuple) else value


# --- back ---------------------------------------------------------------------------------------------------


def to_atoms(frames: Frames) -> list[Atoms]:
    """One Atoms per frame: keys in ``info`` and ``arrays`` under their names, no calculator attached.

    Constraints that :func:`from_atoms` met are set again.
    """
    from ase import Atoms

    images: list[Atoms] = []
    for i in range(len(frames)):
        where = slice(frames.offsets[i], frames.offsets[i + 1])
        atoms = Atoms(frames.numbers[where], frames.positions[where], cell=frames.cells[i], pbc=frames.pbc[i])
        for name, value in atom_values(frames, i).items():
            if name in ("numbers", "positions"):
                raise InputError(
                    f"{frames.ids_name(i)}: the per-atom key {name} clashes with ASE's; rename it"
                )
            atoms.set_array(name, np.asarray(value))
        info = deepcopy(frame_values(frames.frame_columns, i))
        _constrain(atoms, info)
        if isinstance(info.get(_ORIGIN), np.ndarray) and info[_ORIGIN].shape == (3,):
            atoms.set_celldisp(info.pop(_ORIGIN))
        atoms.info.update(info)
        images.append(atoms)
    return images


def _constrain(atoms: Atoms, info: dict[str, Any]) -> None:
    from ase.constraints import FixAtoms, FixCartesian, dict2constraint

    mask = atoms.arrays.get("move_mask")
    if mask is not None and mask.dtype == bool and not mask.all() and mask.shape[1:] in ((), (3,)):
        del atoms.arrays["move_mask"]
        if mask.ndim == 1:
            atoms.set_constraint(FixAtoms(mask=~mask))
        else:
            held = np.flatnonzero(~mask.all(axis=1))
            atoms.set_constraint([FixCartesian(int(a), mask=~mask[a]) for a in held])
    described = info.get(_CONSTRAINTS)
    if isinstance(described, list) and all(isinstance(c, dict) for c in described):
        atoms.set_constraint([*atoms.constraints, *(dict2constraint(dict(c)) for c in described)])
        del info[_CONSTRAINTS]


def frame_values(columns: Mapping[str, Column], i: int) -> dict[str, Any]:
    """The keys that frame ``i`` has, with Python scalars for numbers, logicals and text."""
    values: dict[str, Any] = {}
    for name, column in columns.items():
        if column.present[i]:
            value = column.values[i]
            values[name] = value.item() if isinstance(value, np.generic) else value
    return values


def atom_values(frames: Frames, i: int) -> dict[str, NDArray[Any]]:
    """The per-atom keys that frame ``i`` has, each (n_atoms of the frame, ...)."""
    where = slice(frames.offsets[i], frames.offsets[i + 1])
    return {
        name: np.asarray(column.values[i]) if column.values.dtype == object else column.values[where]
        for name, column in frames.atom_columns.items()
        if column.present[i]
    }
