"""Which model of a path? A rule that can be stated before the path is seen, and judged without test data."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.solvers.path import Path

__all__ = ["RULES", "choose"]

Array = NDArray[np.float64]

#: Rules and what they mean.
RULES: Final = {
    "final": "the last model of the path",
    "size N": "the best of at most N functions",
    "within Q": "the smallest whose error is at most Q times the smallest error",
    "knee": "where the error stops falling: farthest below the straight line between the ends, on logarithmic axes",
    "best": "the one of the smallest error",
}

#: What errors may be, in the order in which they are trusted.
MEASURES: Final = ("evidence", "validation", "training")

_RULE: Final = re.compile(
    r"(?:(?P<plain>final|knee|best)|size (?P<size>[1-9]\d{0,8})|within (?P<within>\d+(?:\.\d*)?))"
    r"(?: by (?P<measure>evidence|validation|training))?"
)


def choose(path: Path, rule: str) -> tuple[int, str]:
    r"""Choose a point of a path.

    Parameters
    ----------
    path : Path
    rule : str
        One of :data:`RULES`, and ``by evidence``, ``by validation`` or ``by training`` if that is to decide;
        otherwise the first of these that the path has.

    Returns
    -------
    point : int
    reason : str
        In words, with numbers; says what decided.

    Raises
    ------
    InputError
        If the rule is not known, no point satisfies it, or the path does not have what should decide.

    Notes
    -----
    The log-evidence of m labels is the sum of what each adds when it is predicted from those before it. As an error it
    is :math:`\exp(-\log p / m)`, up to a factor: the geometric mean of what these predictions miss. It is less
    noisy than the error of a few validation structures, of which one may be odd.
    """
    asked = _RULE.fullmatch(rule.strip())
    if asked is None or (asked["within"] is not None and float(asked["within"]) < 1):
        raise InputError(
            f"the rule {rule!r} is not known; choose one of {', '.join(RULES)}, with N ≥ 1 and Q ≥ 1, and"
            " 'by evidence', 'by validation' or 'by training' if that is to decide"
        )
    if not len(path):
        raise InputError(f"the path of {path.method} is empty: {path.stopped}")
    if asked["plain"] == "final":
        return len(path) - 1, f"the last of {len(path)} models"
    which, errors = _errors(path, asked["measure"])
    if asked["plain"] == "knee":
        return _knee(path, which, errors)
    if asked["size"] is not None:
        return _by_size(path, int(asked["size"]), which, errors)
    return _within(path, 1.0 if asked["within"] is None else float(asked["within"]), which, errors)


def _errors(path: Path, measure: str | None) -> tuple[str, Array]:
    """What decides, and the error of each point by it."""
    for name in MEASURES if measure is None else (measure,):
        if name == "evidence":
            found = path.errors("log_evidence")
            if np.isfinite(found).any():
                return name, np.exp(-(found - np.nanmax(found)) / path.n_rows)
        else:
            found = path.errors(name)
            if np.isfinite(found).any():
                return f"{name} error", found
    raise InputError(
        f"the path of {path.method} has no {measure} to choose by; leave that out, or use another solver"
    )


def _by_size(path: Path, n: int, which: str, errors: Array) -> tuple[int, str]:
    fits = np.flatnonzero((path.sizes <= n) & np.isfinite(errors))
    if len(fits) == 0:
        raise InputError(
            f"no model of the path has at most {n} functions; the smallest has {path.sizes.min()}"
        )
    best = int(fits[np.argmin(errors[fits])])
    return best, f"{path[best].size} functions are the best of at most {n} by {which}"


def _within(path: Path, factor: float, which: str, errors: Array) -> tuple[int, str]:
    least = int(np.nanargmin(errors))
    good = np.flatnonzero(errors <= factor * errors[least])
    best = int(good[np.lexsort((errors[good], path.sizes[good]))[0]])
    if best == least:
        return best, f"{path[best].size} functions are the best by {which}"
    return best, (
        f"{path[best].size} functions are the fewest that are within {100 * (factor - 1):.3g} % of the best by {which},"
        f" which are {path[least].size}"
    )


def _knee(path: Path, which: str, errors: Array) -> tuple[int, str]:
    usable = np.flatnonzero((path.sizes > 0) & np.isfinite(errors) & (errors > 0))
    if len(set(path.sizes[usable].tolist())) < 3:
        raise InputError("a knee needs models of three sizes; use another rule")
    usable = usable[np.argsort(path.sizes[usable], kind="stable")]
    x, y = np.log(path.sizes[usable]), np.minimum.accumulate(np.log(errors[usable]))
    below = (x.max() - x) / (x.max() - x.min()) - (y - y.min()) / max(float(y.max() - y.min()), 1e-300)
    best = int(usable[np.argmax(below)])
    return best, f"{path[best].size} functions are at the knee by {which}"
