"""Which method, with which parameters? ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``, in lists too.

A comma separates parameters as well as methods: a piece that is ``KEY=VALUE`` belongs to the method before it,
any other piece begins a method. So ``fps,bayes:score=energy,precision=1e-3,random`` is three methods. A value may
have parameters of its own, as in ``kdpp:kernel=polynomial:degree=3,offset=1``: a ``KEY=VALUE`` that is no parameter
of the method goes on with such a value. A parameter that is a number for every candidate, as in
``kdpp:quality=column:weight``, is a formula; see :mod:`aliquot.cli.formula`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from aliquot.cli.formula import check_formula, evaluate
from aliquot.errors import InputError, SelectionError

if TYPE_CHECKING:
    from aliquot.structures import Frames

__all__ = [
    "EVERY",
    "MethodSpec",
    "formulas_of",
    "parameters_of",
    "parse_method",
    "parse_methods",
    "split_methods",
    "with_values",
]

#: The word for all methods.
EVERY: Final = "all"

_KEY_VALUE: Final = re.compile(r"\s*(\w+)\s*=(.*)", re.DOTALL)


@dataclass(frozen=True)
class MethodSpec:
    """A method as asked for.

    Parameters
    ----------
    label : str
        As written, without spaces.
    method : str
        Its name in the catalogue.
    parameters : dict
    """

    label: str
    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])


def parse_methods(texts: Sequence[str]) -> list[MethodSpec]:
    """Every method named in the texts, once; ``all`` is each of the catalogue, and Bayes once per score.

    Raises
    ------
    InputError, SelectionError
        If a method or a parameter is not known or makes no sense.

    Examples
    --------
    >>> [s.label for s in parse_methods(["fps,bayes:score=energy", "random"])]
    ['fps', 'bayes:score=energy', 'random']
    >>> parse_methods(["kdpp:kernel=polynomial:degree=3,offset=1"])[0].parameters
    {'kernel': 'polynomial:degree=3,offset=1'}
    """
    named = [one for text in split_methods(texts) for one in (_every() if text == EVERY else [text])]
    return [parse_method(text) for text in dict.fromkeys(named)]


def split_methods(texts: Sequence[str]) -> list[str]:
    """Every method as it is written.

    Examples
    --------
    >>> split_methods(["fps,kdpp:kernel=rbf,scale=2", "random"])
    ['fps', 'kdpp:kernel=rbf,scale=2', 'random']
    """
    written: list[str] = []
    for piece in ",".join(texts).split(","):
        if _KEY_VALUE.fullmatch(piece) and written:
            written[-1] += f",{piece.strip()}"
        elif piece.strip():
            written.append(piece.strip())
    if not written:
        raise InputError("--methods names no method; aliquot methods lists them")
    return written


def _every() -> list[str]:
    """All of the catalogue; Bayesian selection with each of its scores."""
    from aliquot.selection import METHODS
    from aliquot.selection.score import SCORES

    default = next(f.default for f in fields(METHODS["bayes"].selector) if f.name == "score")
    scores = [f"bayes:score={score}" for score in SCORES if score != default]
    return [label for name in METHODS for label in ([name, *scores] if name == "bayes" else [name])]


def parse_method(text: str) -> MethodSpec:
    """One method.

    Raises
    ------
    InputError, SelectionError

    Examples
    --------
    >>> parse_method("bayes:score=energy,precision=1e-3")
    MethodSpec(label='bayes:score=energy,precision=1e-3', method='bayes',
        parameters={'score': 'energy', 'precision': 0.001})
    """
    from aliquot.selection import METHODS, selector_named

    method, _, rest = (part.strip() for part in text.partition(":"))
    if method not in METHODS:
        raise SelectionError(f"method {method!r} is not known; choose one of {', '.join(METHODS)}")
    parameters = parameters_of(METHODS[method].selector, text, rest)
    selector_named(method, parameters)
    return MethodSpec(text, method, parameters)


def parameters_of(kind: type[Any], text: str, rest: str) -> dict[str, Any]:
    """Values for the fields of a dataclass from ``KEY=VALUE,KEY=VALUE``; ``text`` is all that was written.

    Raises
    ------
    InputError
        If a piece is of another form, or a value of another type.
    """
    types = {f.name: str(f.type) for f in fields(kind)}
    given: dict[str, str] = {}
    for piece in rest.split(",") if rest else []:
        pair = _KEY_VALUE.fullmatch(piece)
        last = next(reversed(given), None)
        if pair and pair[1] not in types and last is not None and ":" in given[last]:
            given[last] += f",{piece.strip()}"
        elif pair:
            given[pair[1]] = pair[2].strip()
        else:
            raise InputError(f"{text!r}: {piece!r} is not KEY=VALUE, as in bayes:score=energy")
    return {key: _value(text, key, value, types.get(key, "str")) for key, value in given.items()}


def formulas_of(method: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameters that are formulas still: numbers for every candidate, as written."""
    from aliquot.selection import METHODS

    arrays = {f.name for f in fields(METHODS[method].selector) if "ArrayLike" in str(f.type)}
    return {key: value for key, value in parameters.items() if key in arrays and isinstance(value, str)}


def with_values(
    method: str, parameters: Mapping[str, Any], pool: Frames
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The same with the values of the formulas for the pool, and what to say of them.

    Raises
    ------
    InputError
        If a frame lacks a column.
    """
    made, notes = dict(parameters), list[str]()
    for key, text in formulas_of(method, parameters).items():
        made[key] = values = evaluate(text, pool, option=f"{method}:{key}")
        notes.append(f"{key} of a candidate: {text}, from {values.min():.6g} to {values.max():.6g}")
    return made, tuple(notes)


def _value(text: str, key: str, value: str, kind: str) -> Any:
    """The value in the type that the parameter has."""
    kinds = set(re.findall(r"\w+", kind))
    if "None" in kinds and value == "none":
        return None
    if "ArrayLike" in kinds:
        check_formula(value, option=f"{text.partition(':')[0]}:{key}")
        return value
    if "bool" in kinds and value in ("true", "false"):
        return value == "true"
    for name, convert in (("int", int), ("float", float)):
        if name in kinds:
            try:
                return convert(value)
            except ValueError:
                pass
    if kinds & {"str", "Literal"}:
        return value
    raise InputError(f"{text!r}: {key} must be {kind.replace(' | ', ' or ')}; got {value!r}")
