r"""How good is a method over all budgets? The area under its learning curve, on logarithmic axes.

With the error :math:`e_k` at n_k labels, the *level* of a curve is :math:`\int \log e\; d\log n` over the range of
budgets, divided by its length: the mean logarithm of the error. Levels of two methods on the same division differ by
the logarithm of the ratio of their errors. For energies and forces together, both logarithms count alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.learning_curve.contenders import RANDOM
from aliquot.studies.results import Results
from aliquot.studies.statistics import Interval, interval

__all__ = ["COLUMNS", "PURPOSES", "Curves", "curves", "labels_of_random", "level", "ratio"]

Array = NDArray[np.float64]

#: What errors are of.
COLUMNS: Final = {"energies": "energy_rmse_meV", "forces": "force_rmse_meV"}

#: What a method may be wanted for.
PURPOSES: Final = ("energies", "forces", "both")


@dataclass(frozen=True, eq=False)
class Curves:
    """Logarithms of errors on one set.

    Parameters
    ----------
    n : (steps,) array
        Labels.
    logs : dict of str to (steps, repeats) array
        By method; NaN where it failed.
    longer : (more steps,) array
        Labels of the random choice, which is followed further.
    random : (more steps, repeats) array
    """

    n: Array
    logs: dict[str, Array]
    longer: Array
    random: Array

    @property
    def methods(self) -> tuple[str, ...]:
        """Who has a curve."""
        return tuple(self.logs)


def curves(results: Results, purpose: str, methods: Sequence[str]) -> Curves | None:
    """Curves of the methods on one set; None where there is no such error.

    Parameters
    ----------
    results : Results
        Of one set.
    purpose : {"energies", "forces", "both"}
    methods : sequence of str
    """
    rows = results.only(lambda row: row.get("group") == "all")
    columns = list(COLUMNS.values()) if purpose == "both" else [COLUMNS[purpose]]
    columns = [name for name in columns if np.isfinite(rows.column(name)).any()]
    if not columns:
        return None
    repeats = sorted(results.values("repeat"))
    longest = rows.where(method=RANDOM)
    n = np.array([s.column("n").mean() for _, s in longest.by("step")])
    steps = 1 + int(max(rows.only(lambda row: row["method"] != RANDOM).column("step"), default=len(n) - 1))
    logs: dict[str, Array] = {}
    for name in methods:
        some = rows.where(method=name)
        if not some.rows:
            continue
        here = np.full((len(n), len(repeats)), np.nan)
        values = np.mean([np.log(some.column(column)) for column in columns], axis=0)
        for row, value in zip(some.rows, values, strict=True):
            here[int(row["step"]), repeats.index(row["repeat"])] = value
        logs[name] = here
    random = logs[RANDOM]
    return Curves(n[:steps], {name: here[:steps] for name, here in logs.items()}, n, random)


def level(n: Array, logs: Array) -> Array:
    """The mean over log n of every repeat, (repeats,).

    Examples
    --------
    >>> level(np.array([1.0, 10.0, 100.0]), np.array([[1.0], [2.0], [3.0]]))
    array([2.])
    """
    if len(n) == 1:
        return logs[0]
    x = np.log(n)
    widths = np.diff(x)[:, None]
    return np.sum(widths * (logs[1:] + logs[:-1]) / 2, axis=0) / (x[-1] - x[0])


def ratio(differences: Array, *, statistic: str = "mean", seed: int = 0) -> Interval:
    """Differences of logarithms as a ratio with its interval: their geometric mean, or median.

    Examples
    --------
    >>> ratio(np.log([0.5, 0.5])).text(2)
    '0.5 [0.5, 0.5]'
    """
    found = interval(differences, statistic=statistic, seed=seed)
    return Interval(float(np.exp(found.value)), float(np.exp(found.low)), float(np.exp(found.high)))


def labels_of_random(n: Array, random: Array, error: float) -> float:
    """With how many labels a random choice comes down to an error for the first time; infinite if never.

    Parameters
    ----------
    n : (steps,) array
    random : (steps,) array
        Logarithms of its errors.
    error : float
        Logarithm.

    Examples
    --------
    >>> float(labels_of_random(np.array([1.0, 100.0]), np.array([2.0, 0.0]), 1.0).round(6))
    10.0
    """
    below = np.flatnonzero(random <= error)
    if not len(below):
        return float("inf")
    k = int(below[0])
    if k == 0:
        return float(n[0])
    part = (random[k - 1] - error) / (random[k - 1] - random[k])
    return np.exp(np.log(n[k - 1]) + part * np.log(n[k] / n[k - 1]))
