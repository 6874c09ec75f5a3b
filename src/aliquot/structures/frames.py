"""Frames: many structures as a few flat arrays, with every key of their files.

Atoms of all frames stand one after another; ``offsets`` says where each frame begins. What a file says about
an atom or a frame beyond its geometry is a :class:`Column` under the key of the file. Labels (energy, forces,
virial) are *resolved* from those columns by explicit key lists, never guessed from a calculator, so writing
the columns back loses nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.structures.columns import Column
from aliquot.table import Ids

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["DEFAULT_LABEL_KEYS", "Column", "Frames", "Label", "LabelKeys"]


@dataclass(frozen=True)
class LabelKeys:
    """Which keys are labels, in order of preference; the first one that a frame has is used for that frame.

    ``stress`` keys serve where no virial key is present: virial = −volume × stress.
    """

    energy: tuple[str, ...] = ("REF_energy", "dft_energy", "DFT_energy", "energy")
    forces: tuple[str, ...] = (
        "REF_forces",
        "REF_force",
        "dft_forces",
        "dft_force",
        "DFT_forces",
        "DFT_force",
        "forces",
        "force",
    )
    virial: tuple[str, ...] = ("REF_virial", "dft_virial", "DFT_virial", "virial")
    stress: tuple[str, ...] = ("REF_stress", "dft_stress", "DFT_stress", "stress")


DEFAULT_LABEL_KEYS: Final = LabelKeys()


@dataclass(frozen=True, eq=False)
class Label:
    """A resolved label: values (NaN where missing), mask, and which key gave it, frame by frame.

    ``key`` holds positions in ``keys``; -1 where the frame has none.
    """

    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    keys: tuple[str, ...]
    key: NDArray[np.int8]

    def counts(self) -> dict[str, int]:
        """Frames served by each key."""
        return {name: n for i, name in enumerate(self.keys) if (n := int(np.sum(self.key == i)))}


@dataclass(frozen=True, eq=False)
class Frames:
    """Structures as flat arrays.

    Parameters
    ----------
    numbers : (n_atoms,) array of int
        Atomic numbers.
    positions : (n_atoms, 3) array of float
        Cartesian, Å.
    cells : (n_frames, 3, 3) array of float
        Lattice vectors as rows, Å; zero rows where there is none.
    pbc : (n_frames, 3) array of bool
    offsets : (n_frames + 1,) array of int
        Atoms ``offsets[i]:offsets[i + 1]`` are frame ``i``.
    files : tuple of str
        Source files as the user named them.
    file : (n_frames,) array of int
        Position in ``files``.
    frame : (n_frames,) array of int
        Frame number in its file, from 0.
    frame_columns, atom_columns : dict of str to Column
        Every other key, by the name it has in the file.
    label_keys : LabelKeys
        Where the labels are looked for.

    Notes
    -----
    Labels: :attr:`energy` eV (total), :attr:`forces` eV/Å, :attr:`virial` eV (= −volume × Cauchy stress).
    """

    numbers: NDArray[np.int32]
    positions: NDArray[np.float64]
    cells: NDArray[np.float64]
    pbc: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    files: tuple[str, ...]
    file: NDArray[np.int32]
    frame: NDArray[np.int64]
    frame_columns: Mapping[str, Column] = field(default_factory=dict)
    atom_columns: Mapping[str, Column] = field(default_factory=dict)
    label_keys: LabelKeys = DEFAULT_LABEL_KEYS

    def __post_init__(self) -> None:
        n_frames, n_atoms = len(self.offsets) - 1, int(self.offsets[-1])
        for name, array, shape in (
            ("numbers", self.numbers, (n_atoms,)),
            ("positions", self.positions, (n_atoms, 3)),
            ("cells", self.cells, (n_frames, 3, 3)),
            ("pbc", self.pbc, (n_frames, 3)),
            ("file", self.file, (n_frames,)),
            ("frame", self.frame, (n_frames,)),
        ):
            if array.shape != shape:
                raise InputError(f"frames: {name} has shape {array.shape}, expected {shape}")

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"Frames({len(self)} frames, {self.n_atoms} atoms, {'-'.join(self.symbols) or 'empty'})"

    @property
    def n_atoms(self) -> int:
        """Atoms in all frames together."""
        return int(self.offsets[-1])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Atoms per frame, (n_frames,)."""
        return np.diff(self.offsets)

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that occur, ascending."""
        return tuple(int(z) for z in np.unique(self.numbers))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Chemical symbols that occur, by atomic number."""
        from ase.data import chemical_symbols

        return tuple(chemical_symbols[z] for z in self.elements)

    @cached_property
    def volumes(self) -> NDArray[np.float64]:
        """Cell volume of each frame in Å³, (n_frames,); 0 where the cell does not span space."""
        return np.abs(np.linalg.det(self.cells)) if len(self) else np.zeros(0)

    # --- labels ---------------------------------------------------------------------------------------------

    @cached_property
    def energy(self) -> Label:
        """Total energies, eV; values (n_frames,)."""
        return self._resolve(self.frame_columns, self.label_keys.energy, (), per_atom=False)

    @cached_property
    def forces(self) -> Label:
        """Forces, eV/Å; values (n_atoms, 3)."""
        return self._resolve(self.atom_columns, self.label_keys.forces, (3,), per_atom=True)

    @cached_property
    def virial(self) -> Label:
        """Virials, eV; values (n_frames, 3, 3). From a stress key (eV/Å³) where no virial key is present."""
        virial = self._resolve(self.frame_columns, self.label_keys.virial, (3, 3), per_atom=False)
        stress = self._resolve(self.frame_columns, self.label_keys.stress, (3, 3), per_atom=False)
        use = stress.present & ~virial.present
        if not np.any(use):
            return virial
        values = virial.values.copy()
        values[use] = -self.volumes[use, None, None] * stress.values[use]
        key = np.where(use, stress.key + len(virial.keys), virial.key).astype(np.int8)
        return Label(values, virial.present | use, virial.keys + stress.keys, key)

    def _resolve(
        self, columns: Mapping[str, Column], keys: Sequence[str], shape: tuple[int, ...], *, per_atom: bool
    ) -> Label:
        length = self.n_atoms if per_atom else len(self)
        values = np.full((length, *shape), np.nan)
        present = np.zeros(len(self), bool)
        found = np.full(len(self), -1, np.int8)
        for position, name in enumerate(keys):
            column = columns.get(name)
            if column is None:
                continue
            use = column.present & ~present
            if not np.any(use):
                continue
            if use.all() and column.values.dtype != object:
                whole = self._label_value(name, -1, column.values, values.shape)
                return Label(whole, use, tuple(keys), np.full(len(self), position, np.int8))
            if column.values.dtype == object:
                for i in np.flatnonzero(use):
                    where: Any = slice(self.offsets[i], self.offsets[i + 1]) if per_atom else i
                    values[where] = self._label_value(name, int(i), column.values[i], values[where].shape)
            else:
                where = np.repeat(use, self.sizes) if per_atom else use
                values[where] = self._label_value(name, -1, column.values[where], values[where].shape)
            present |= use
            found[use] = position
        return Label(values, present, tuple(keys), found)

    def _label_value(self, name: str, i: int, value: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """The value of a label as floats; symmetric 3×3 tensors may also be given in Voigt order."""
        try:
            array = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{self._where(i)}: label {name} is not numeric: {value!r}") from None
        if shape[-2:] == (3, 3) and array.shape[-1:] == (6,):  # xx yy zz yz xz xy
            return array[..., [0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(shape)
        if array.size != int(np.prod(shape)):
            raise InputError(f"{self._where(i)}: label {name} has shape {array.shape}, expected {shape}")
        return array.reshape(shape)

    def _where(self, i: int) -> str:
        return self.ids_name(i) if i >= 0 else ", ".join(self.files)

    def ids_name(self, i: int) -> str:
        """``file#frame`` of frame ``i``, for messages."""
        return f"{self.files[self.file[i]]}#{self.frame[i]}"

    @cached_property
    def config_type(self) -> NDArray[np.str_]:
        """The ``config_type`` of every frame, (n_frames,); empty where there is none."""
        column = self.frame_columns.get("config_type")
        if column is None:
            return np.full(len(self), "", dtype="U1")
        return np.where(column.present, column.values.astype(str), "")

    # --- identity -------------------------------------------------------------------------------------------

    @cached_property
    def hashes(self) -> NDArray[np.bytes_]:
        """Content hash of every frame over numbers, cell, pbc and positions; labels do not enter."""
        numbers = np.ascontiguousarray(self.numbers, "<i4")
        positions = np.ascontiguousarray(self.positions, "<f8") + 0.0  # −0.0 and 0.0 are the same place
        cells = np.ascontiguousarray(self.cells, "<f8") + 0.0
        pbc = np.ascontiguousarray(self.pbc, np.uint8)
        out: list[str] = []
        for i in range(len(self)):
            atoms = slice(self.offsets[i], self.offsets[i + 1])
            h = hashlib.blake2b(numbers[atoms], digest_size=16)
            h.update(positions[atoms])
            h.update(cells[i])
            h.update(pbc[i])
            out.append(h.hexdigest())
        return np.array(out, dtype="S32")

    @cached_property
    def ids(self) -> Ids:
        """Hash, file and frame number of every frame."""
        return Ids(self.hashes, self.files, self.file, self.frame)

    # --- subsets -----------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Frames:
        """The named frames (positions, slice or mask), in that order. An integer gives a one-frame Frames."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        sizes = self.sizes[chosen]
        offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        atoms = np.repeat(self.offsets[:-1][chosen] - offsets[:-1], sizes) + np.arange(offsets[-1])

        def take(column: Column, per_atom: bool) -> Column:
            flat = per_atom and column.values.dtype != object
            return Column(column.values[atoms if flat else chosen], column.present[chosen])

        return replace(
            self,
            numbers=self.numbers[atoms],
            positions=self.positions[atoms],
            cells=self.cells[chosen],
            pbc=self.pbc[chosen],
            offsets=offsets,
            file=self.file[chosen],
            frame=self.frame[chosen],
            frame_columns={k: take(c, False) for k, c in self.frame_columns.items()},
            atom_columns={k: take(c, True) for k, c in self.atom_columns.items()},
        )

    def __iter__(self) -> Iterator[Frames]:
        for i in range(len(self)):
            yield self[i]

    def with_frame_column(self, name: str, values: NDArray[Any]) -> Frames:
        """The same frames with one more key (or a replaced one) per frame."""
        column = Column(np.asarray(values), np.ones(len(self), bool))
        return replace(self, frame_columns={**self.frame_columns, name: column})

    # --- at the edge ----------------------------------------------------------------------------------------

    @classmethod
    def empty(cls, source: str, *, label_keys: LabelKeys = DEFAULT_LABEL_KEYS) -> Frames:
        """No frames, of a source that may yet be named."""
        return cls(
            numbers=np.zeros(0, np.int32),
            positions=np.zeros((0, 3)),
            cells=np.zeros((0, 3, 3)),
            pbc=np.zeros((0, 3), bool),
            offsets=np.zeros(1, np.int64),
            files=(source,),
            file=np.zeros(0, np.int32),
            frame=np.zeros(0, np.int64),
            label_keys=label_keys,
        )

    @classmethod
    def from_atoms(
        cls,
        images: Atoms | Iterable[Atoms],
        *,
        source: str = "atoms",
        label_keys: LabelKeys = DEFAULT_LABEL_KEYS,
    ) -> Frames:
        """Frames of ASE Atoms, with every key of their info, arrays, constraints and calculator results.

        Examples
        --------
        >>> from ase.build import bulk
        >>> Frames.from_atoms([bulk("Cu"), bulk("NaCl", "rocksalt", a=5.6)])
        Frames(2 frames, 3 atoms, Na-Cl-Cu)
        """
        from aliquot.structures.atoms import from_atoms

        one = hasattr(images, "get_positions")  # an Atoms is itself iterable, atom by atom
        listed: Any = [images] if one else list(images)
        return from_atoms(listed, source=source, label_keys=label_keys)

    def to_atoms(self) -> list[Atoms]:
        """One ASE Atoms per frame: keys under their names in info and arrays; no calculator is attached."""
        from aliquot.structures.atoms import to_atoms

        return to_atoms(self)

    # --- unions ---------------------------------------------------------------------------------------------

    @classmethod
    def concatenate(cls, parts: Sequence[Frames]) -> Frames:
        """Join frames in order; a key that only some parts have is marked missing in the others."""
        if not parts:
            raise InputError("no frames to join")
        if len(parts) == 1:
            return parts[0]
        sizes = np.concatenate([p.sizes for p in parts])
        ids = Ids.concatenate([Ids(np.zeros(len(p), "S32"), p.files, p.file, p.frame) for p in parts])
        return cls(
            numbers=np.concatenate([p.numbers for p in parts]),
            positions=np.concatenate([p.positions for p in parts]),
            cells=np.concatenate([p.cells for p in parts]),
            pbc=np.concatenate([p.pbc for p in parts]),
            offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
            files=ids.files,
            file=ids.file,
            frame=ids.frame,
            frame_columns=_join([p.frame_columns for p in parts], parts, per_atom=False),
            atom_columns=_join([p.atom_columns for p in parts], parts, per_atom=True),
            label_keys=parts[0].label_keys,
        )


def _join(
    columns: Sequence[Mapping[str, Column]], parts: Sequence[Frames], *, per_atom: bool
) -> dict[str, Column]:
    """Join the columns of several parts, key by key."""
    names = list(dict.fromkeys(name for part in columns for name in part))
    return {name: _join_one([c.get(name) for c in columns], parts, per_atom=per_atom) for name in names}


def _join_one(pieces: Sequence[Column | None], parts: Sequence[Frames], *, per_atom: bool) -> Column:
    present = np.concatenate(
        [np.zeros(len(part), bool) if c is None else c.present for c, part in zip(pieces, parts, strict=True)]
    )
    held = [c.values for c in pieces if c is not None]
    if _alike(held):
        dtype = np.result_type(*held)
        blank = [
            np.zeros((part.n_atoms if per_atom else len(part), *held[0].shape[1:]), dtype)
            if c is None
            else c.values
            for c, part in zip(pieces, parts, strict=True)
        ]
        return Column(np.concatenate(blank), present)
    ragged = np.empty(len(present), object)
    start = 0
    for c, part in zip(pieces, parts, strict=True):
        if c is not None:
            for i in np.flatnonzero(c.present):
                whole = c.values.dtype == object or not per_atom
                ragged[start + i] = c.values[i] if whole else c.values[part.offsets[i] : part.offsets[i + 1]]
        start += len(part)
    return Column(ragged, present)


def _alike(columns: Sequence[NDArray[Any]]) -> bool:
    """Whether columns can be stored as one array without changing a value."""
    kinds = {c.dtype.kind for c in columns}
    if "O" in kinds or len({c.shape[1:] for c in columns}) > 1:
        return False
    exact = all(c.dtype.kind == "f" or not np.any(np.abs(c) > 2**53) for c in columns if c.dtype.kind in "if")
    return len(kinds) == 1 or (kinds == {"i", "f"} and exact)
