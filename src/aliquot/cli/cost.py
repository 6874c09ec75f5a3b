"""What does a structure cost, and how much may be spent? ``--cost``, a formula, and ``--budget``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from aliquot.cli.formula import evaluate
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.selection import Cost
    from aliquot.structures import Frames

__all__ = ["budget_of", "costs"]


def costs(text: str, frames: Frames, budget: float | None) -> Cost:
    """Cost of every frame; see :mod:`aliquot.cli.formula`.

    Raises
    ------
    InputError
        If the text is no formula, or a frame lacks a column.
    SelectionError
        If a cost is not positive and finite.
    """
    from aliquot.selection import Cost

    return Cost(evaluate(text, frames, option="--cost"), budget, text.replace(" ", ""))


def budget_of(text: str, total: Callable[[], float]) -> float:
    """``1e6``, or ``10%`` of what the whole pool would cost.

    >>> budget_of("10%", lambda: 500.0)
    50.0
    """
    found = re.fullmatch(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*(%?)\s*", text)
    value = float(found[1]) if found else 0.0
    if found is None or not 0 < value < float("inf") or (found[2] and value > 100):
        raise InputError(
            f"--budget {text}: give a positive number in the unit of --cost, or a share such as 10%"
        )
    return value / 100 * total() if found[2] else value
