"""What did a study find? Tables, curves and findings, with everything needed to run it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

__all__ = ["Conclusion", "Curve", "Figure", "Finding", "Panel", "Record", "Table"]

#: A cell of a table: text, a number, or nothing.
Cell = str | float | int | None


@dataclass(frozen=True)
class Finding:
    """One expectation and what became of it.

    Parameters
    ----------
    claim : str
        What a paper states, or we expected, with its number.
    measured : str
        What came out, with its interval and unit.
    holds : bool or None
        None where it cannot be decided from what was measured.
    """

    claim: str
    measured: str
    holds: bool | None


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Parameters
    ----------
    name : str
        Short, of letters and hyphens.
    title : str
    header : tuple of str
    rows : tuple of tuple
        Of text, numbers or None, as many as the header.
    note : str
        Unit, what intervals are, what is bold.
    """

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"table {self.name}: {len(row)} cells under {len(self.header)} heads")


@dataclass(frozen=True)
class Curve:
    """A line with its band.

    Parameters
    ----------
    label : str
    x, y : tuple of float
    low, high : tuple of float
        Ends of the confidence interval; empty for none.
    line : bool
        False for points alone.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    line: bool = True


@dataclass(frozen=True)
class Panel:
    """A pair of axes; ``reference`` is drawn as a horizontal line."""

    title: str
    xlabel: str
    ylabel: str
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False
    reference: float | None = None


@dataclass(frozen=True)
class Figure:
    """Panels side by side; curves of the same label look alike in all."""

    name: str
    caption: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Conclusion:
    """What a protocol makes of all results.

    Parameters
    ----------
    summary : str
        The answer to the question of the study in two or three sentences, with numbers.
    findings : tuple of Finding
    tables : tuple of Table
    figures : tuple of Figure
    """

    summary: str
    findings: tuple[Finding, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Record:
    """A study that has been run.

    Parameters
    ----------
    name, title, paper, question, method, published, discussion : str
        As declared; Markdown.
    size : str
    settings : dict
    inputs : dict of str to str
        SHA-256 of every file of data.
    command : str
    version : str
    versions : dict of str to str
        Of what computed.
    seconds : float
        Of work, over all tasks, whenever they were done.
    conclusion : Conclusion
    """

    name: str
    title: str
    paper: str
    question: str
    method: str
    published: str
    discussion: str
    size: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    command: str
    version: str
    versions: Mapping[str, str]
    seconds: float
    conclusion: Conclusion = field(default_factory=lambda: Conclusion(""))

    def to_dict(self) -> dict[str, Any]:
        """JSON object; None for what is not a finite number."""
        return {"format": "aliquot study", "schema": 1, **_plain(asdict(self))}


def _plain(value: Any) -> Any:
    """As JSON has it: protocols compute with numpy."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
