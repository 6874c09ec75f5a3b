"""What does the user want to know? ``--goal pool``, ``--goal pool:liq=2,amo=0.5`` or ``--goal 0.5*slabs.xyz``.

A file names structures whose energies (per atom) are to be known; no label is needed. Three keys of a frame say
more: ``goal_minus`` is the number (from 0) of a frame of the same file whose energy, scaled to as many atoms, is
subtracted, as for the surface energy of a slab above its bulk; ``goal_area`` divides that difference (Å², of both
faces); ``goal_weight`` is the importance of the frame in its file, 1 by default, and 0 for frames that are only
subtracted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aliquot.errors import InputError, SelectionError
from aliquot.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aliquot.cli.options import Reading
    from aliquot.information import Target
    from aliquot.structures import Frames
    from aliquot.table import Features

__all__ = ["Goal", "parse_goals", "read_goals", "targets_of"]

_GOAL: Final = re.compile(r"(?:(?P<share>[^*]+)\*)?(?P<what>[^:*]+)(?::(?P<groups>.*))?", re.DOTALL)
_GROUP: Final = re.compile(r"(?P<name>[^=]*)=(?P<weight>[^=]+)")


@dataclass(frozen=True)
class Goal:
    """One ``--goal``.

    Parameters
    ----------
    text : str
        As given.
    path : Path or None
        None for the pool.
    share : float
        Importance beside other goals.
    groups : dict of str to float
        Weights of groups of structures; 1 where not named.
    """

    text: str
    path: Path | None
    share: float = 1.0
    groups: Mapping[str, float] = field(default_factory=dict[str, float])


def parse_goals(texts: Sequence[str]) -> tuple[Goal, ...]:
    """Read every ``--goal``.

    Raises
    ------
    InputError

    Examples
    --------
    >>> parse_goals(["0.5*pool:liq=2"])[0].groups
    {'liq': 2.0}
    """
    goals: list[Goal] = []
    for text in texts:
        found = _GOAL.fullmatch(text.strip())
        if found is None:
            raise InputError(
                f"--goal {text!r} is not understood; give pool, a file, pool:GROUP=WEIGHT,… or 0.5*FILE"
            )
        groups: dict[str, float] = {}
        for part in filter(None, (found["groups"] or "").split(",")):
            pair = _GROUP.fullmatch(part)
            if pair is None:
                raise InputError(f"--goal {text!r}: {part!r} is not of the form GROUP=WEIGHT")
            groups[pair["name"].strip()] = _number(text, pair["weight"])
        share = 1.0 if found["share"] is None else _number(text, found["share"])
        what = found["what"].strip()
        goals.append(Goal(text, None if what == "pool" else Path(what), share, groups))
    return tuple(goals)


def _number(text: str, part: str) -> float:
    try:
        value = float(part)
    except ValueError:
        raise InputError(f"--goal {text!r}: {part.strip()!r} is not a number") from None
    if not 0 <= value < float("inf"):
        raise InputError(f"--goal {text!r}: the weight {part.strip()} must be 0 or more, and finite")
    return value


def read_goals(goals: Sequence[Goal], reading: Reading, progress: Progress) -> tuple[Frames, ...]:
    """The structures of every goal that is a file; any that cannot be used is an error."""
    from aliquot.cli.options import read_usable

    frames: list[Frames] = []
    for goal in goals:
        if goal.path is not None:
            some, exclusions, _ = read_usable([goal.path], reading, progress)
            if exclusions:
                raise InputError(f"--goal {goal.text}: a target cannot be used: {exclusions[0]}")
            frames.append(some)
    return tuple(frames)


def targets_of(
    goals: Sequence[Goal],
    features: Features,
    files: Sequence[tuple[Frames, Features]],
    labels: NDArray[np.str_],
) -> tuple[Target, ...]:
    """What the mathematics wants: targets.

    Parameters
    ----------
    goals : sequence of Goal
    features : Features
        Of the candidates.
    files : sequence of (Frames, Features)
        Of every goal that is a file, in order.
    labels : (candidates,) array of str
        Group of each candidate.
    """
    from aliquot.information import Target

    rest = iter(files)
    targets: list[Target] = []
    for goal in goals:
        if goal.path is None:
            target = Target.of(features, name="pool", weight=_weights(goal, labels))
        else:
            frames, table = next(rest)
            target = _of_file(goal, frames, table)
        targets.append(target.with_share(goal.share))
    return tuple(targets)


def _weights(goal: Goal, labels: NDArray[np.str_]) -> NDArray[np.float64]:
    import numpy as np

    there = set(labels.tolist())
    for name in goal.groups:
        if name not in there:
            known = ", ".join(sorted(there)[:8]) or "none"
            raise SelectionError(f"--goal {goal.text}: no structure is of group {name!r}; there are {known}")
    return np.array([goal.groups.get(label, 1.0) for label in labels.tolist()])


def _of_file(goal: Goal, frames: Frames, table: Features) -> Target:
    import numpy as np

    from aliquot.information import Target

    n = len(frames)
    minus, area = _column(frames, "goal_minus"), _column(frames, "goal_area")
    weight = _column(frames, "goal_weight")
    position = {(int(f), int(k)): i for i, (f, k) in enumerate(zip(frames.file, frames.frame, strict=True))}
    rows: list[NDArray[np.float64]] = []
    weights: list[float] = []
    grouped = _weights(goal, frames.config_type) if goal.groups else np.ones(n)
    for i in range(n):
        row, scale = np.zeros(n), 1.0
        row[i] = 1.0
        if np.isfinite(minus[i]):
            j = position.get((int(frames.file[i]), int(minus[i])))
            if j is None or j == i or minus[i] != int(minus[i]):
                raise InputError(
                    f"{frames.ids_name(i)}: goal_minus={minus[i]:g} is no other frame of that file"
                )
            _check_composition(frames, i, j)
            row[j] = -1.0
            scale = float(frames.sizes[i])
        if np.isfinite(area[i]):
            if not area[i] > 0:
                raise InputError(f"{frames.ids_name(i)}: goal_area={area[i]:g} must be positive")
            scale = float(frames.sizes[i]) / float(area[i])
        rows.append(scale * row)
        weights.append(float(grouped[i]) * (1.0 if np.isnan(weight[i]) else float(weight[i])))
    return Target.combinations(table, np.array(rows), name=str(goal.path), weight=np.array(weights))


def _column(frames: Frames, key: str) -> NDArray[np.float64]:
    import numpy as np

    column = frames.frame_columns.get(key)
    out = np.full(len(frames), np.nan)
    if column is None:
        return out
    for i in np.flatnonzero(column.present).tolist():
        value: Any = column.values[i]
        try:
            out[i] = float(value)
        except (TypeError, ValueError):
            raise InputError(f"{frames.ids_name(i)}: {key}={value!r} is not a number") from None
    return out


def _check_composition(frames: Frames, i: int, j: int) -> None:
    """A difference of energies per atom means something where both are made of the same."""
    import numpy as np

    def share(k: int) -> NDArray[np.float64]:
        numbers = frames.numbers[frames.offsets[k] : frames.offsets[k + 1]]
        return np.bincount(numbers, minlength=120) / len(numbers)

    if not np.allclose(share(i), share(j)):
        raise InputError(
            f"{frames.ids_name(i)}: goal_minus names {frames.ids_name(j)}, which is of another composition; energies"
            " per atom can only be subtracted where elements stand in the same ratio"
        )
