"""One line of the catalogue of methods; every module with a selector has a ``CATALOGUE`` of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Method"]


@dataclass(frozen=True)
class Method:
    """A line of the catalogue of methods.

    Parameters
    ----------
    selector : type
        Its hyper-parameters are the fields of this dataclass.
    summary : str
        What it does, in one line.
    cost, memory : str
        For N candidates of one row, d features and n picks.
    references : tuple of str
    heeds : tuple of str
        Which of ``"cost"``, ``"groups"`` and ``"executor"`` it keeps to; it refuses the others.
    gives : tuple of str
        ``"certificate"`` where its answers, with its defaults, say how far from the best they can be; ``"nested"``
        where the first picks of an answer are the answer of that size.
    """

    selector: type[Any]
    summary: str
    cost: str
    memory: str
    references: tuple[str, ...]
    heeds: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
