"""Tidy results: one row per measurement, plain values in named columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Results"]


@dataclass(frozen=True)
class Results:
    """Rows of names and plain values; a row need not have every column.

    Examples
    --------
    >>> results = Results(({"n": 5, "method": "a", "rmse": 2.0}, {"n": 5, "method": "b", "rmse": 1.0}))
    >>> results.where(method="b").column("rmse")
    array([1.])
    >>> [(key, len(some.rows)) for key, some in results.by("n", "method")]
    [((5, 'a'), 1), ((5, 'b'), 1)]
    """

    rows: tuple[Mapping[str, Any], ...]

    def where(self, **values: Any) -> Results:
        """Rows with these values."""
        return self.only(lambda row: all(row.get(name) == value for name, value in values.items()))

    def only(self, keep: Callable[[Mapping[str, Any]], bool]) -> Results:
        """Rows that are kept."""
        return Results(tuple(row for row in self.rows if keep(row)))

    def by(self, *names: str) -> Iterator[tuple[tuple[Any, ...], Results]]:
        """Groups of equal values, in the order in which they first appear."""
        groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row.get(name) for name in names), []).append(row)
        for key, rows in groups.items():
            yield key, Results(tuple(rows))

    def column(self, name: str) -> NDArray[np.float64]:
        """Numbers of one column; NaN where a row has none."""
        return np.array([np.nan if row.get(name) is None else row[name] for row in self.rows], np.float64)

    def values(self, name: str) -> tuple[Any, ...]:
        """Different values of a column, in the order in which they first appear."""
        return tuple(dict.fromkeys(row[name] for row in self.rows if name in row))

    def to_csv(self) -> str:
        """The rows as a table; empty where a row has no such column."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        out = io.StringIO()
        writer = csv.DictWriter(out, names, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(_shortened(self.rows))
        return out.getvalue()


def _shortened(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {name: f"{value:.8g}" if isinstance(value, float) else value for name, value in row.items()}
