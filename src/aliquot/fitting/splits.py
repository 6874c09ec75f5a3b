"""Which structures teach, which decide, which judge? Training, validation and test, or folds of whole groups.

Structures of equal content (the same atoms in the same places) always go together: a copy in the validation set would
reward remembering. Free atoms always teach: they say nothing else than a reference energy.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.fitting.references import free_atoms
from aliquot.structures.frames import Frames

__all__ = ["TEST", "TRAIN", "VALIDATION", "folds_of_groups", "split_at_random", "split_by_column"]

TRAIN: Final = "train"
VALIDATION: Final = "validation"
TEST: Final = "test"

#: Words in files that mean the same.
_WORDS: Final = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}

Parts = NDArray[np.str_]


def split_by_column(frames: Frames, name: str) -> Parts:
    """The part that a column of the file names for each structure.

    Parameters
    ----------
    frames : Frames
    name : str
        Its values are words such as ``train``, ``val``, ``test``; capitals do not matter.

    Returns
    -------
    (n_frames,) array of str
        ``train``, ``validation`` or ``test``.

    Raises
    ------
    InputError
        If there is no such column, or a value is another word: names the frame.
    """
    column = frames.frame_columns.get(name)
    if column is None:
        raise InputError(
            f"no frame has a column {name!r} to split by; there are {', '.join(sorted(frames.frame_columns))}"
        )
    out = np.full(len(frames), TRAIN, f"U{len(VALIDATION)}")
    for i, (value, there) in enumerate(zip(column.values, column.present, strict=True)):
        word = str(value).strip().casefold() if there else "nothing"
        if word not in _WORDS:
            raise InputError(
                f"{frames.ids_name(i)}: column {name} is {word!r}; a split is one of {', '.join(_WORDS)}"
            )
        out[i] = _WORDS[word]
    return out


def split_at_random(
    frames: Frames, parts: Parts | None = None, *, validation: float = 0.15, test: float = 0.0, seed: int = 0
) -> Parts:
    """Set a share of the training structures aside, the same share of every config type.

    Parameters
    ----------
    frames : Frames
    parts : (n_frames,) array of str, optional
        An earlier split; only what teaches there is divided. Everything by default.
    validation, test : float
        Shares of the structures divided.
    seed : int

    Returns
    -------
    (n_frames,) array of str

    Raises
    ------
    InputError
        If shares are not between 0 and 1, together.
    """
    if min(validation, test) < 0 or not validation + test < 1:
        raise InputError(
            f"shares for validation and test are {validation:g} and {test:g}; each must be at least 0 and the"
            " sum below 1"
        )
    out = np.full(len(frames), TRAIN, f"U{len(VALIDATION)}") if parts is None else parts.astype("U10")
    free = np.flatnonzero((out == TRAIN) & ~free_atoms(frames))
    hashes = frames.hashes
    rng = np.random.default_rng(seed)
    order = free[np.lexsort((hashes[free],))]  # the same split whatever the order of the files
    order = rng.permutation(order)
    order = order[np.argsort(frames.config_type[order], kind="stable")]
    _, which = np.unique(hashes[order], return_inverse=True)
    _, first = np.unique(which, return_index=True)
    leaders = order[np.sort(first)]  # one structure of each content, type by type, at random within
    draws = np.zeros(len(leaders), np.int64)
    for share, mark in ((validation, 1), (test, 2)):
        # evenly spaced through the sorted types: every type gives its share, and the total is the share of all
        count = round(share * len(leaders))
        left = np.flatnonzero(draws == 0)
        draws[left[_spread(count, len(left))]] = mark
    named = {
        bytes(hashes[i]): (TRAIN, VALIDATION, TEST)[mark] for i, mark in zip(leaders, draws, strict=True)
    }
    out[free] = [named[bytes(hashes[i])] for i in free]
    return out


def _spread(count: int, n: int) -> NDArray[np.int64]:
    """``count`` places of ``n``, evenly spaced."""
    return ((np.arange(count) + 0.5) * n / max(1, count)).astype(np.int64)


def folds_of_groups(groups: NDArray[np.str_], n_folds: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Divide structures into folds of whole groups, as equal in size as groups allow.

    Parameters
    ----------
    groups : (n_frames,) array of str
    n_folds : int
    seed : int
        Settles the order of groups of equal size.

    Returns
    -------
    (n_frames,) array of int
        Fold of each structure.

    Raises
    ------
    InputError
        If there are fewer groups than folds.

    Examples
    --------
    >>> folds_of_groups(np.array(["a", "a", "b", "c", "c", "c"]), 2).tolist()
    [1, 1, 1, 0, 0, 0]
    """
    names, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if not 2 <= n_folds <= len(names):
        raise InputError(
            f"cannot make {n_folds} folds of {len(names)} groups; at least 2, and at most one per group"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold, filled = np.zeros(len(names), np.int64), np.zeros(n_folds)
    for group in order:  # the largest first, each into the emptiest fold
        fold[group] = np.argmin(filled)
        filled[fold[group]] += sizes[group]
    return fold[which]
