"""What a solver answers: a path of models, from few functions or strong priors to many or weak ones.

A solver that takes no steps answers with a path of one point or several without steps. Paths are records: they keep
supports and coefficients, and go to JSON and back without loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["Path", "Point", "Step"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Version of the JSON form.
SCHEMA: Final = 1


class Step(NamedTuple):
    """What changed at one step.

    Parameters
    ----------
    penalty : float
        λ at which it happened; of methods without one, the largest score.
    added, dropped : tuple of int
        Functions that came and went.
    """

    penalty: float
    added: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Point:
    """One model of a path.

    Parameters
    ----------
    step : int
        Steps taken before it.
    penalty : float
        λ; meaning and unit are the solver's.
    support : (k,) array of int
        Its functions, in the order of the columns for dense solvers, of entry for others.
    values : (k,) array
        Their coefficients c, in the coordinates of the rows.
    training : float
        Root-mean-square weighted error.
    validation : float, optional
        The same of the validation rows.
    log_evidence : float, optional
        Natural logarithm of the probability of the training targets under a model of these functions.
    violation : float, optional
        Largest violation of the optimality conditions that the solver certifies, relative to λ.
    cost : float, optional
        Of evaluation, by the cost model.
    """

    step: int
    penalty: float
    support: Index
    values: Array
    training: float
    validation: float | None = None
    log_evidence: float | None = None
    violation: float | None = None
    cost: float | None = None

    @property
    def size(self) -> int:
        """Number of functions."""
        return len(self.support)

    def coefficients(self, n_columns: int) -> Array:
        """All coefficients, (n_columns,), zero outside the support."""
        out = np.zeros(n_columns)
        out[self.support] = self.values
        return out


@dataclass(frozen=True, eq=False)
class Path:
    """Models that a solver found, in the order found.

    Parameters
    ----------
    method : str
        Name in the catalogue.
    parameters : dict
        Hyper-parameters, JSON values.
    n_columns, n_rows : int
        Of the problem.
    points : tuple of Point
    steps : tuple of Step
    stopped : str
        Why the path ends.
    notes : tuple of str
        What the user should know.
    seconds : float
    findings : dict of str to float or bool
        Numbers of the whole run, such as noises and whether an optimum is stationary.
    state : dict
        From which the solver can continue the path, JSON values; empty where it cannot.
    """

    method: str
    parameters: Mapping[str, Any]
    n_columns: int
    n_rows: int
    points: tuple[Point, ...]
    steps: tuple[Step, ...] = ()
    stopped: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    findings: Mapping[str, float | bool] = field(default_factory=dict[str, "float | bool"])
    state: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, i: int) -> Point:
        return self.points[i]

    @property
    def sizes(self) -> Index:
        """Functions of each point."""
        return np.array([p.size for p in self.points], np.int64)

    @property
    def penalties(self) -> Array:
        """λ of each point."""
        return np.array([p.penalty for p in self.points])

    def errors(self, which: str = "training") -> Array:
        """Training, validation, log_evidence, violation or cost of each point; NaN where unknown."""
        if which not in _MEASURES:
            raise InputError(f"a path knows {', '.join(_MEASURES)}, not {which!r}")
        values = [getattr(p, which) for p in self.points]
        return np.array([np.nan if v is None else v for v in values], np.float64)

    def coefficients(self, i: int = -1) -> Array:
        """All coefficients of a point, (n_columns,), in the coordinates of the rows."""
        return self.points[i].coefficients(self.n_columns)

    def matrix(self, which: Iterable[int] | None = None) -> Array:
        """Coefficients of several points (all by default), (n_columns, points)."""
        chosen = range(len(self.points)) if which is None else which
        return np.stack([self.coefficients(i) for i in chosen], axis=1)

    def thinned(self, count: int) -> Path:
        """The same path with at most ``count`` points (at least 2), evenly spread; first and last stay."""
        if len(self.points) <= count:
            return self
        places = np.linspace(0, len(self.points) - 1, max(2, count)).round()
        return replace(self, points=tuple(self.points[int(i)] for i in np.unique(places).tolist()))

    def to_dict(self) -> dict[str, Any]:
        """JSON object; floats keep all digits."""
        return {
            "schema": SCHEMA,
            "method": self.method,
            "parameters": dict(self.parameters),
            "n_columns": self.n_columns,
            "n_rows": self.n_rows,
            "points": [_point_to_dict(p) for p in self.points],
            "steps": [[s.penalty, list(s.added), list(s.dropped)] for s in self.steps],
            "stopped": self.stopped,
            "notes": list(self.notes),
            "seconds": self.seconds,
            "findings": dict(self.findings),
            "state": dict(self.state),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Path:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        InputError
            If it is not such a record, or of another schema.
        """
        if record.get("schema") != SCHEMA:
            raise InputError(
                f"a path of schema {record.get('schema')!r} cannot be read; this version reads {SCHEMA}"
            )
        try:
            return cls(
                method=str(record["method"]),
                parameters=dict(record["parameters"]),
                n_columns=int(record["n_columns"]),
                n_rows=int(record["n_rows"]),
                points=tuple(_point_from_dict(p, int(record["n_columns"])) for p in record["points"]),
                steps=tuple(Step(float(s[0]), tuple(s[1]), tuple(s[2])) for s in record["steps"]),
                stopped=str(record["stopped"]),
                notes=tuple(record["notes"]),
                seconds=float(record["seconds"]),
                findings=dict(record["findings"]),
                state=dict(record["state"]),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise InputError(f"this is not the record of a path: {error!r}") from error


_MEASURES: Final = ("training", "validation", "log_evidence", "violation", "cost")


def _point_to_dict(point: Point) -> dict[str, Any]:
    scalars = {name: getattr(point, name) for name in ("step", "penalty", *_MEASURES)}
    return scalars | {"support": point.support.tolist(), "values": point.values.tolist()}


def _point_from_dict(record: Mapping[str, Any], n_columns: int) -> Point:
    support = np.array(record["support"], np.int64)
    values = np.array(record["values"], np.float64)
    inside = bool(np.all((support >= 0) & (support < n_columns)))
    if (
        support.shape != values.shape
        or support.ndim != 1
        or not inside
        or len(set(support.tolist())) != len(support)
    ):
        raise InputError(
            f"a point of this path has {support.size} functions and {values.size} coefficients; functions must be"
            f" different, below {n_columns}, and have one coefficient each"
        )
    scalars = {name: record[name] for name in ("step", "penalty", *_MEASURES)}
    return Point(support=support, values=values, **scalars)
