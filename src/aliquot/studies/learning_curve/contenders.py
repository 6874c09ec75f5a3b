"""Which methods compete, on which features, and what does each one choose? As on the command line.

A method is written as everywhere, ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``; ``with forces`` behind it gives it
energy and force rows of a smaller basis in place of one row per structure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError, SelectionError
from aliquot.selection import METHODS, select, selector_named
from aliquot.table import Features

__all__ = ["RANDOM", "WITH_FORCES", "Contender", "check", "contender", "picks"]

Index = NDArray[np.int64]

#: What every method has to beat.
RANDOM: Final = "random"

#: Behind a method that sees force rows.
WITH_FORCES: Final = " with forces"


@dataclass(frozen=True)
class Contender:
    """A method as it competes.

    Parameters
    ----------
    label : str
        As written.
    method : str
    parameters : dict
    forces : bool
        Whether it sees force rows.
    """

    label: str
    method: str
    parameters: Mapping[str, Any]
    forces: bool


def contender(text: str) -> Contender:
    """A method from what is written.

    Raises
    ------
    InputError or SelectionError
        If the method or a parameter is not known.

    Examples
    --------
    >>> contender("bayes:score=energy with forces").parameters
    {'score': 'energy'}
    """
    label = " ".join(text.split())
    spec = label.removesuffix(WITH_FORCES)
    method, _, rest = spec.partition(":")
    parameters: dict[str, Any] = {}
    for piece in filter(None, rest.split(",")):
        name, equals, value = (part.strip() for part in piece.partition("="))
        if not equals:
            raise InputError(f"method {label!r}: {piece!r} is not KEY=VALUE, as in bayes:score=energy")
        parameters[name] = _value(value)
    selector_named(method, parameters)
    return Contender(label, method, parameters, spec != label)


def _value(text: str) -> Any:
    """A number where it is one, else the word."""
    if text in ("true", "false"):
        return text == "true"
    number = re.fullmatch(r"[+-]?(\d+)?(\.\d*)?([eE][+-]?\d+)?", text)
    if not number or not any(c.isdigit() for c in text):
        return text
    return float(text) if number[2] or number[3] else int(text)


def picks(
    one: Contender,
    candidates: Features,
    known: Features | None,
    sizes: Sequence[int],
    *,
    groups: NDArray[np.str_],
    precision: float | None,
    seed: int,
) -> dict[int, Index]:
    """What a method chooses for each budget, in its order; one choice for all where it is nested.

    Parameters
    ----------
    one : Contender
    candidates, known : Features
    sizes : sequence of int
        Budgets, ascending.
    groups : (candidates,) array of str
        For methods that give each group its share.
    precision : float or None
        Of the prior, where labels of known structures tell it; used by ``bayes``, as on the command line.
    seed : int

    Raises
    ------
    SelectionError
        If a choice cannot be made.
    """
    parameters = dict(one.parameters)
    if one.method == "bayes":
        parameters.setdefault("sensitivity", False)
        if precision is not None:
            parameters.setdefault("precision", precision)
    if one.method == "stratified":
        parameters["labels"] = groups
    out: dict[int, Index] = {}
    for n in reversed(sizes):
        chosen = select(candidates, n, method=one.method, known=known, seed=seed, **parameters)
        if chosen.nested:
            return {size: chosen.index[:size] for size in sizes}
        out[n] = chosen.index
    return {n: out[n] for n in sizes}


def check(texts: Sequence[str]) -> tuple[Contender, ...]:
    """All contenders of a study, the random choice among them.

    Raises
    ------
    InputError or SelectionError
    """
    made = tuple(contender(text) for text in dict.fromkeys(texts))
    if RANDOM not in [one.label for one in made]:
        raise InputError(f"methods must contain {RANDOM}, which the others have to beat")
    if len(made) < 2:
        raise SelectionError(f"{RANDOM} alone cannot be compared; name a method: {', '.join(METHODS)}")
    return made
