"""How do files become Frames? Extended XYZ by our own reader, everything else through ASE.

Every frame is checked on the way; one that cannot be
used stops the reading with its file, number and value, or with ``on_error="skip"`` is left out and counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from aliquot.errors import FrameError, InputError
from aliquot.progress import Progress, silent
from aliquot.structures.ase_formats import EXTENDED_XYZ, format_of, iterate_atoms
from aliquot.structures.atoms import from_atoms
from aliquot.structures.extended_xyz import parse_blocks
from aliquot.structures.frames import DEFAULT_LABEL_KEYS, Frames, LabelKeys
from aliquot.structures.framing import Fault, blocks
from aliquot.structures.index import FrameIndex
from aliquot.structures.screening import OVERLAP, Exclusion, problems
from aliquot.structures.sources import Source, existing_file

__all__ = ["Loaded", "OnError", "iter_batches", "label_notes", "load", "read"]

OnError = Literal["raise", "skip"]
PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Loaded:
    """What was read, what was left out and why, and what the user should know.

    Parameters
    ----------
    frames : Frames
    exclusions : tuple of Exclusion
        One per frame left out; empty unless ``on_error="skip"``.
    notes : tuple of str
        Which label keys serve which frames, mixtures of keys, files that may be cut off.
    """

    frames: Frames
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[str, ...] = ()


def read(
    *paths: PathLike,
    label_keys: LabelKeys = DEFAULT_LABEL_KEYS,
    type_map: Mapping[int, str] | None = None,
    on_error: OnError = "raise",
    frames: Sequence[int] | slice | None = None,
    overlap: float | None = OVERLAP,
    progress: Progress = silent,
) -> Frames:
    """Read files into one :class:`Frames`.

    Parameters
    ----------
    *paths : str or Path
        .xyz and .extxyz, also .gz and .xz; .traj, .db; VASP and LAMMPS files.
    label_keys : LabelKeys
        Which keys are energies, forces, virials and stresses.
    type_map : dict of int to str, optional
        Element of every LAMMPS atom type.
    on_error : {"raise", "skip"}
        What happens to a frame that cannot be used. :func:`load` also says which were skipped.
    frames : sequence of int or slice, optional
        Frame numbers to read (of one extended-XYZ file); only their bytes are read, through an index in the cache.
    overlap : float or None
        Atoms closer than this fraction of the sum of their covalent radii make a frame unusable; None to accept any
        distance.
    progress : callable

    Raises
    ------
    InputError
        If a file does not exist or is of no known format.
    FrameError
        If a frame cannot be used: names the file, the frame and what was found.

    Notes
    -----
    About 35 µs per frame of 64 atoms for extended XYZ; memory is that of the result, twice while parts are joined.

    Examples
    --------
    >>> frames = read("train.xyz", "pool.xyz.gz")                                           # doctest: +SKIP
    """
    return load(
        *paths,
        label_keys=label_keys,
        type_map=type_map,
        on_error=on_error,
        frames=frames,
        overlap=overlap,
        progress=progress,
    ).frames


def load(
    *paths: PathLike,
    label_keys: LabelKeys = DEFAULT_LABEL_KEYS,
    type_map: Mapping[int, str] | None = None,
    on_error: OnError = "raise",
    frames: Sequence[int] | slice | None = None,
    overlap: float | None = OVERLAP,
    progress: Progress = silent,
) -> Loaded:
    """Read files as :func:`read` does, and say what was left out and which keys were used."""
    if not paths:
        raise InputError("no file to read")
    if frames is not None and len(paths) != 1:
        raise InputError(f"frame numbers can be asked of one file; {len(paths)} are named")
    pieces: list[Loaded] = []
    for path in paths:
        if frames is not None:
            pieces.append(_read_some(path, frames, label_keys, on_error, overlap, progress))
            continue
        pieces.extend(
            iter_batches(
                path,
                label_keys=label_keys,
                type_map=type_map,
                on_error=on_error,
                overlap=overlap,
                progress=progress,
            )
        )
    parts = [p.frames for p in pieces if len(p.frames)]
    whole = Frames.concatenate(parts) if parts else Frames.empty(str(paths[0]), label_keys=label_keys)
    notes = dict.fromkeys(note for p in pieces for note in p.notes)
    return Loaded(whole, tuple(e for p in pieces for e in p.exclusions), (*label_notes(whole), *notes))


def iter_batches(
    path: PathLike,
    *,
    batch_frames: int = 1000,
    label_keys: LabelKeys = DEFAULT_LABEL_KEYS,
    type_map: Mapping[int, str] | None = None,
    on_error: OnError = "raise",
    overlap: float | None = OVERLAP,
    frames: range | None = None,
    progress: Progress = silent,
) -> Iterator[Loaded]:
    """Read one file, or the frames of some consecutive numbers of it, piece by piece, in the order of the file.

    Memory is bounded by a few pieces of text (4 MB, or the largest frame) and the frames made of them, whatever the
    size of the file. A batch has at most ``batch_frames`` frames and may have fewer.

    Raises
    ------
    InputError, FrameError
        As :func:`read`.
    """
    if on_error not in ("raise", "skip"):
        raise InputError(f'on_error is "raise" or "skip"; got {on_error!r}')
    if batch_frames < 1:
        raise InputError(f"a batch has at least one frame; got batch_frames={batch_frames}")
    place = existing_file(path)
    gate = _Gate(str(path), on_error, overlap, label_keys)
    if place.stat().st_size == 0:
        yield gate.pass_on(None, [Fault(-1, "is empty")])
        return
    kind = format_of(place)
    if kind == EXTENDED_XYZ:
        if frames is None:
            yield from _extended_xyz(place, gate, batch_frames, progress)
        else:
            yield from _by_number(path, gate, frames, batch_frames, progress)
    else:
        yield from _through_ase(place, kind, gate, batch_frames, type_map, progress, frames)


@dataclass(frozen=True)
class _Gate:
    """Lets good frames of one file through; stops at bad ones, or sets them aside."""

    file: str
    on_error: OnError
    overlap: float | None
    label_keys: LabelKeys

    def pass_on(self, frames: Frames | None, faults: Sequence[Fault], notes: tuple[str, ...] = ()) -> Loaded:
        """Check a piece that was read.

        Raises
        ------
        FrameError
            At the first fault, unless faults are skipped.
        """
        faults = list(faults)
        if frames is not None:
            found = problems(frames, overlap=self.overlap)
            faults += [Fault(int(frames.frame[i]), problem) for i, problem in found.items()]
            if found:
                frames = frames[np.setdiff1d(np.arange(len(frames)), list(found))]
        faults.sort(key=lambda fault: fault.frame)
        if faults and self.on_error == "raise":
            remedy = '; repair it, or skip such frames (on_error="skip", --on-error skip)'
            raise FrameError(self.file, faults[0].frame, faults[0].problem + remedy * (faults[0].frame >= 0))
        empty = Frames.empty(self.file, label_keys=self.label_keys)
        exclusions = tuple(Exclusion(self.file, f.frame, f.problem) for f in faults)
        return Loaded(empty if frames is None else frames, exclusions, notes)


def _extended_xyz(path: Path, gate: _Gate, batch_frames: int, progress: Progress) -> Iterator[Loaded]:
    found = False
    with Source(path) as source:
        for frames, faults in parse_blocks(
            blocks(source.read, max_frames=batch_frames), gate.file, gate.label_keys
        ):
            found = True
            yield gate.pass_on(frames, faults)
            progress("reading", source.position, source.size)
        if source.damage:
            yield gate.pass_on(None, [Fault(-1, source.damage)])
        elif not found:
            yield gate.pass_on(None, [Fault(-1, "holds no frames: it is empty")])
        elif source.ended_open:
            note = f"{path} does not end with a line end: if it was cut off, its last number is not whole"
            yield gate.pass_on(None, [], (note,))


def _by_number(
    path: PathLike, gate: _Gate, numbers: range, batch_frames: int, progress: Progress
) -> Iterator[Loaded]:
    """Consecutive frames, of whose bytes alone an index tells the place."""
    index = FrameIndex.build(path, label_keys=gate.label_keys, progress=progress)
    for start in range(numbers.start, numbers.stop, batch_frames):
        stop = min(start + batch_frames, numbers.stop)
        yield gate.pass_on(*index.fetch(range(start, stop)))
        progress("reading", stop - numbers.start, len(numbers))


def _through_ase(
    path: Path,
    kind: str,
    gate: _Gate,
    batch_frames: int,
    type_map: Mapping[int, str] | None,
    progress: Progress,
    frames_wanted: range | None = None,
) -> Iterator[Loaded]:
    numbered = enumerate(_guarded(path, kind, type_map))
    if frames_wanted is not None:
        numbered = islice(numbered, frames_wanted.start, frames_wanted.stop)
    done = 0
    while batch := list(islice(numbered, batch_frames)):
        faults = [Fault(i, image) for i, image in batch if isinstance(image, str)]
        faults += [
            Fault(i, "has no atoms") for i, image in batch if not isinstance(image, str) and not len(image)
        ]
        good = [(i, image) for i, image in batch if not isinstance(image, str) and len(image)]
        frames = None
        if good:
            numbers, images = [i for i, _ in good], [image for _, image in good]
            frames = from_atoms(images, source=gate.file, numbers=numbers, label_keys=gate.label_keys)
        done += len(batch)
        yield gate.pass_on(frames, faults)
        progress("reading", done, 0)
    if not done and frames_wanted is None:
        yield gate.pass_on(None, [Fault(-1, "holds no frames")])


def _guarded(path: Path, kind: str, type_map: Mapping[int, str] | None) -> Iterator[Any]:
    """What ASE reads, and in place of what it fails at, its words."""
    images = iterate_atoms(path, kind, type_map)
    while True:
        try:
            image = next(images)
        except StopIteration:
            return
        except InputError:
            raise
        except Exception as error:  # ASE's readers raise whatever their parsing meets
            yield f"ASE cannot read it as {kind} ({type(error).__name__}: {error}); no later frame is read either"
            return
        yield image


def _read_some(
    path: PathLike,
    frames: Sequence[int] | slice,
    label_keys: LabelKeys,
    on_error: OnError,
    overlap: float | None,
    progress: Progress,
) -> Loaded:
    kind = format_of(existing_file(path))
    if kind != EXTENDED_XYZ:
        raise InputError(f"{path}: frames are picked by number from extended XYZ only; this is {kind}")
    index = FrameIndex.build(path, label_keys=label_keys, progress=progress)
    try:
        numbers = np.atleast_1d(
            np.arange(len(index))[frames if isinstance(frames, slice) else np.asarray(frames, int)]
        )
    except IndexError:
        raise InputError(f"{path} has {len(index)} frames, counted from 0; asked for {frames}") from None
    found, faults = index.fetch(numbers)
    return _Gate(str(path), on_error, overlap, label_keys).pass_on(found, faults)


def label_notes(frames: Frames) -> tuple[str, ...]:
    """Which keys serve as labels and for how many frames; a mixture of keys is called one."""
    notes: list[str] = []
    for name, label in (("energy", frames.energy), ("forces", frames.forces), ("virial", frames.virial)):
        counts = label.counts()
        if not counts:
            continue
        served = ", ".join(f"{key} ({n} of {len(frames)} frames)" for key, n in counts.items())
        mixture = (
            f": {len(counts)} keys are mixed, which may be two levels of theory" if len(counts) > 1 else ""
        )
        notes.append(f"{name} from {served}{mixture}")
    return tuple(notes)
