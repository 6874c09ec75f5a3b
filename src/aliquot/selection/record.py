"""Selection: what was chosen, in which order, why it stopped, and how good it provably is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.table import Ids

__all__ = ["SCHEMA", "Certificate", "Selection", "Sensitivity", "SuggestedStop"]

#: Version of the JSON form; raised when a field changes its meaning.
SCHEMA: Final = 1


@dataclass(frozen=True)
class Certificate:
    """How far from the best possible subset of the same size the choice can be at most.

    Parameters
    ----------
    achieved : float
        Objective of the chosen set, nat for log-determinants.
    upper_bound : float
        No subset of this size reaches more.
    objective, argument : str
        What is bounded, and the argument that bounds it, in a few words.
    """

    achieved: float
    upper_bound: float
    objective: str
    argument: str


@dataclass(frozen=True)
class SuggestedStop:
    """Where more picks stop paying: the first pick whose prediction was already better known than its noise.

    Parameters
    ----------
    n : int or None
        Picks worth making; None if every pick was still worth it.
    predicted_std, noise : float
        Predictive standard deviation at that pick (or at the last one) and the stated noise, in the unit of
        the rows.
    reason : str
        The sentence that a report prints.
    """

    n: int | None
    predicted_std: float
    noise: float
    reason: str


@dataclass(frozen=True)
class Sensitivity:
    """How much the picks depend on a default that no label has set: the share kept when it is changed.

    Parameters
    ----------
    parameter : str
    value : float
        What was used.
    kept : dict of str to float
        Overlap with the picks at other values, e.g. ``{"10x": 0.93, "0.1x": 0.95}``.
    """

    parameter: str
    value: float
    kept: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Selection:
    """A chosen subset.

    Parameters
    ----------
    index : (n,) array of int
        Positions in the pool, in the order chosen.
    ids : Ids
        Content hash, file and frame number of each pick.
    method : str
        Name of the selector.
    recipe : dict
        Everything that made this choice: selector parameters and the recipe of the features.
    stop : str
        Why it stopped.
    pool_size, known_size : int
    pool_hash, known_hash : str
        Digests of the ids; empty where nothing was known.
    gain : (n,) array or None
        Gain of each pick when it was made.
    gain_unit : str
        What the gain is: ``"nat"``, ``"distance"``, …
    certificate, suggested_stop, sensitivity
        None where the method has none.
    nested : bool or None
        Whether every prefix is the selection of that size; None where not defined.
    seed : int or None
    timings : dict of str to float
        Seconds by stage.
    references : tuple of str
        Papers to cite.
    notes : tuple of str
        What a user should know about this choice: duplicates passed over, features left out, ….
    cost : (n,) array or None
        Cost of each pick.
    cost_unit : str
        What costs are measured in: ``"atoms^3"``, ….
    budget : float or None
        What could be spent, where that decided how many were chosen.
    """

    index: NDArray[np.int64]
    ids: Ids
    method: str
    recipe: Mapping[str, Any]
    stop: str
    pool_size: int
    known_size: int
    pool_hash: str
    known_hash: str
    gain: NDArray[np.float64] | None = None
    gain_unit: str = ""
    certificate: Certificate | None = None
    suggested_stop: SuggestedStop | None = None
    sensitivity: Sensitivity | None = None
    nested: bool | None = None
    seed: int | None = None
    timings: Mapping[str, float] = field(default_factory=dict[str, float])
    references: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cost: NDArray[np.float64] | None = None
    cost_unit: str = ""
    budget: float | None = None

    def __post_init__(self) -> None:
        if len(np.unique(self.index)) != len(self.index):
            raise InputError("a selection cannot hold the same candidate twice")
        if len(self.ids) != len(self.index) or (self.gain is not None and len(self.gain) != len(self.index)):
            raise InputError("ids, gains and picks of a selection must have the same length")
        if self.cost is not None and len(self.cost) != len(self.index):
            raise InputError("costs and picks of a selection must have the same length")

    def __len__(self) -> int:
        return len(self.index)

    @property
    def spent(self) -> float | None:
        """Cost of all picks together; None where no cost was given."""
        return None if self.cost is None else float(self.cost.sum())

    def with_timings(self, **seconds: float) -> Selection:
        """The same selection with more stages timed."""
        return replace(self, timings={**self.timings, **seconds})

    def with_notes(self, *notes: str) -> Selection:
        """The same selection with more notes, before those it has."""
        return replace(self, notes=(*notes, *self.notes))

    def to_json(self) -> str:
        """Self-describing JSON, with the version of aliquot and of this schema."""
        from aliquot import __version__

        record: dict[str, Any] = {"format": "aliquot-selection", "schema": SCHEMA, "aliquot": __version__}
        for name, value in self.__dict__.items():
            if name == "ids":
                record["picks"] = [
                    {"hash": h.decode(), "file": self.ids.files[f], "frame": int(k)}
                    for h, f, k in zip(self.ids.hash, self.ids.file, self.ids.frame, strict=True)
                ]
            elif isinstance(value, np.ndarray):
                record[name] = value.tolist()
            elif isinstance(value, (Certificate, SuggestedStop, Sensitivity)):
                record[name] = asdict(value)
            else:
                record[name] = value
        return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Selection:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        InputError
            If the text is not a selection, or of a schema that this version does not know.
        """
        try:
            parsed: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"not a selection file: {error}") from error
        record = cast(dict[str, Any], parsed) if isinstance(parsed, dict) else {}
        if record.get("format") != "aliquot-selection":
            raise InputError("not a selection file: the key 'format' is not 'aliquot-selection'")
        if record.get("schema") != SCHEMA:
            found = record.get("schema")
            raise InputError(f"selection schema {found!r} is not known here; this version reads {SCHEMA}")
        fields = {
            name: value for name, value in record.items() if name not in ("format", "schema", "aliquot")
        }
        try:
            return _from_fields(fields)
        except (KeyError, TypeError) as error:
            raise InputError(
                f"not a complete selection file: {error}; write it again with aliquot"
            ) from error


def _from_fields(record: dict[str, Any]) -> Selection:
    """Turn lists back into arrays and records."""
    picks: list[dict[str, Any]] = record.pop("picks")
    files = tuple(dict.fromkeys(p["file"] for p in picks))
    gain, cost = record.pop("gain"), record.pop("cost", None)  # records before costs have no such key
    nested_records: dict[str, Any] = {
        "certificate": Certificate,
        "suggested_stop": SuggestedStop,
        "sensitivity": Sensitivity,
    }
    for name, kind in nested_records.items():
        if record[name] is not None:
            record[name] = kind(**record[name])
    return Selection(
        index=np.array(record.pop("index"), np.int64),
        ids=Ids(
            np.array([p["hash"] for p in picks], dtype="S32"),
            files,
            np.array([files.index(p["file"]) for p in picks], np.int32),
            np.array([p["frame"] for p in picks], np.int64),
        ),
        gain=None if gain is None else np.array(gain, np.float64),
        cost=None if cost is None else np.array(cost, np.float64),
        references=tuple(record.pop("references")),
        notes=tuple(record.pop("notes")),
        **record,
    )
