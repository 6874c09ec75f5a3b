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
    "evidence": "the most probable one",
}


def choose(path: Path, rule: str) -> tuple[int, str]:
    """Choose a point of a path.

    Parameters
    ----------
    path : Path
    rule : str
        One of :data:`RULES`. Errors are those of validation rows where there are any; otherwise the log-evidence
        decides (``within Q`` then takes the most probable), and training errors where there is none.

    Returns
    -------
    point : int
    reason : str
        In words, with numbers.

    Raises
    ------
    InputError
        If the rule is not known, or no point satisfies it.
    """
    if not len(path):
        raise InputError(f"the path of {path.method} is empty: {path.stopped}")
    words = rule.split()
    name, value = (words[0] if words else ""), words[1:]
    if name == "final" and not value:
        return len(path) - 1, f"the last of {len(path)} models"
    if name == "size" and len(value) == 1 and re.fullmatch(r"[1-9]\d{0,8}", value[0]):
        return _by_size(path, int(value[0]))
    if (
        name == "within"
        and len(value) == 1
        and re.fullmatch(r"\d+(\.\d*)?", value[0])
        and float(value[0]) >= 1
    ):
        return _within(path, float(value[0]))
    if name == "knee" and not value:
        return _knee(path)
    if name == "evidence" and not value:
        return _most_probable(path)
    raise InputError(
        f"the rule {rule!r} is not known; choose one of {', '.join(RULES)}, with N ≥ 1 and Q ≥ 1"
    )


def _judge(path: Path) -> tuple[str, Array] | None:
    """Errors to choose by: of validation, or else None where the evidence or the training must decide."""
    errors = path.errors("validation")
    return ("validation", errors) if np.isfinite(errors).any() else None


def _has_evidence(path: Path) -> bool:
    return bool(np.isfinite(path.errors("log_evidence")).any())


def _most_probable(path: Path) -> tuple[int, str]:
    evidence = path.errors("log_evidence")
    if not np.isfinite(evidence).any():
        raise InputError(f"the path of {path.method} has no evidence to choose by; use another rule")
    best = int(np.nanargmax(evidence))
    return best, f"{path[best].size} functions have the largest evidence, {evidence[best]:.6g}"


def _by_size(path: Path, n: int) -> tuple[int, str]:
    fits = np.flatnonzero(path.sizes <= n)
    if len(fits) == 0:
        raise InputError(
            f"no model of the path has at most {n} functions; the smallest has {path.sizes.min()}"
        )
    judged = _judge(path)
    which, errors = judged if judged is not None else ("training", path.errors("training"))
    best = int(fits[np.nanargmin(errors[fits])])
    return best, f"{path[best].size} functions have the smallest {which} error of at most {n}"


def _within(path: Path, factor: float) -> tuple[int, str]:
    judged = _judge(path)
    if judged is None and _has_evidence(path):
        return _most_probable(path)
    which, errors = judged if judged is not None else ("training", path.errors("training"))
    least = int(np.nanargmin(errors))
    good = np.flatnonzero(errors <= factor * errors[least])
    best = int(good[np.lexsort((errors[good], path.sizes[good]))[0]])
    return best, (
        f"{path[best].size} functions are the fewest whose {which} error is within {100 * (factor - 1):.3g} % of the"
        f" smallest, which {path[least].size} functions have"
    )


def _knee(path: Path) -> tuple[int, str]:
    judged = _judge(path)
    which, errors = judged if judged is not None else ("training", path.errors("training"))
    usable = np.flatnonzero((path.sizes > 0) & np.isfinite(errors) & (errors > 0))
    if len(usable) < 3 or len(set(path.sizes[usable].tolist())) < 3:
        raise InputError("a knee needs models of three sizes; use another rule")
    usable = usable[np.argsort(path.sizes[usable], kind="stable")]
    x, y = np.log(path.sizes[usable]), np.minimum.accumulate(np.log(errors[usable]))
    below = (x.max() - x) / (x.max() - x.min()) - (y - y.min()) / max(float(y.max() - y.min()), 1e-300)
    best = int(usable[np.argmax(below)])
    return best, f"{path[best].size} functions are at the knee of the {which} error"
