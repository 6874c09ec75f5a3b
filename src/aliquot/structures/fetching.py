"""Where are the structures that a record names? In the files it names, at the numbers it gives, with that content."""

from __future__ import annotations

from typing import Any

import numpy as np

from aliquot.errors import InputError
from aliquot.structures.ase_formats import EXTENDED_XYZ, format_of
from aliquot.structures.frames import Frames, LabelKeys
from aliquot.structures.index import FrameIndex
from aliquot.structures.reading import iter_batches
from aliquot.structures.sources import existing_file
from aliquot.table import Ids

__all__ = ["fetch"]


def fetch(ids: Ids, *, label_keys: LabelKeys | None = None, type_map: dict[int, str] | None = None) -> Frames:
    """The structures of these ids, in that order; of extended XYZ only their bytes are read.

    Parameters
    ----------
    ids : Ids
        Such as those of a selection, or of a table of features.
    label_keys, type_map
        As of :func:`aliquot.structures.read`.

    Raises
    ------
    InputError
        If a file is not there, or a frame of it no longer has the content that the hash is of.
    """
    keys = LabelKeys() if label_keys is None else label_keys
    if len(ids) == 0:
        raise InputError("no structure is asked for")
    parts: list[Frames] = []
    order: list[np.ndarray[Any, Any]] = []
    for number, name in enumerate(ids.files):
        members = np.flatnonzero(ids.file == number)
        if len(members):
            found = _of_file(name, ids.frame[members], keys, type_map)
            _check(found, ids[members])
            parts.append(found)
            order.append(members)
    return Frames.concatenate(parts)[np.argsort(np.concatenate(order))]


def _of_file(
    name: str, numbers: np.ndarray[Any, Any], keys: LabelKeys, type_map: dict[int, str] | None
) -> Frames:
    if format_of(existing_file(name)) == EXTENDED_XYZ:
        index = FrameIndex.build(name, label_keys=keys)
        return index.fetch(numbers)[0]
    kept: list[Frames] = []
    for loaded in iter_batches(name, label_keys=keys, type_map=type_map, on_error="skip", overlap=None):
        some = loaded.frames[np.isin(loaded.frames.frame, numbers)]
        kept.extend([some] if len(some) else [])
    if not kept:
        return Frames.empty(name, label_keys=keys)
    found = Frames.concatenate(kept)
    numbers = numbers[np.isin(numbers, found.frame)]
    return found[np.searchsorted(found.frame, numbers)]


def _check(found: Frames, ids: Ids) -> None:
    """Refuse a file that has changed."""
    same = len(found) == len(ids) and np.array_equal(found.hashes, ids.hash)
    if not same:
        there = dict(zip(found.frame.tolist(), found.hashes.tolist(), strict=True))
        changed = next(i for i in range(len(ids)) if there.get(int(ids.frame[i])) != ids.hash[i])
        raise InputError(f"{ids.name(changed)} is no longer the structure it was: the file has changed")
