r"""What does an indicator mean in eV/Å? A map from indicator to error, learnt from held-out labels.

Three answers from labelled structures that took no part in the fit:

- *expected error*: the mean error at each value of the indicator, made monotone (isotonic regression);
- *scale*: the factor :math:`s = \sqrt{\langle e^2 \rangle / \langle u^2 \rangle}`
  by which an indicator u that is a standard
  deviation of the error e is off on the whole;
- *bounds*: for a nominal probability p, the error stays below :math:`q_p\, g(u)`, with g the expected error and q_p the
  quantile of :math:`e / g(u)`, where each fifth of the structures is judged by the g of the others (cross-conformal
  prediction), and each structure weighs the same. For a structure exchangeable with those n, that is so for a share p
  of its atoms on average, whatever the indicator is worth; a bad one makes wide bounds. The quantile is taken at
  p (n + 1) / n, so that few structures make bounds too wide (by up to 1 / n) rather than too narrow. For structures of
  another kind nothing is promised.

References
----------
J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani and L. Wasserman, J. Am. Stat. Assoc. 113, 1094 (2018),
doi:10.1080/01621459.2017.1307116; V. Vovk, Ann. Math. Artif. Intell. 74, 9 (2015), doi:10.1007/s10472-013-9368-4
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["LEVELS", "Calibration", "calibrate", "coverage"]

Array = NDArray[np.float64]

#: Nominal probabilities of bounds.
LEVELS: Final = (0.5, 0.68, 0.8, 0.9, 0.95)

#: Fewest structures that a calibration is learnt from.
FEWEST: Final = 10

#: Parts into which structures are divided; each is judged by the map of the others.
FOLDS: Final = 5

#: Steps of the isotonic map that are kept, at most.
KNOTS: Final = 200


@dataclass(frozen=True, eq=False)
class Calibration:
    """What an indicator says of an error.

    Parameters
    ----------
    target : str
        ``forces`` (length of the force error of an atom, eV/Å) or ``energy`` (error per atom, eV).
    indicator : str
        ``gamma``, ``leverage``, ``posterior``, ``committee`` or ``bootstrap``.
    knots : (m,) array
        Values of the indicator, ascending.
    errors : (m,) array
        Expected error at each, not descending.
    scale : float
    quantiles : dict of float to float
        q_p by p.
    structures : int
        On how many structures it rests.
    part : str
        What they are.
    """

    target: str
    indicator: str
    knots: Array
    errors: Array
    scale: float
    quantiles: Mapping[float, float]
    structures: int
    part: str

    def expected(self, indicator: Array) -> Array:
        """Expected error; beyond the largest value that was seen in proportion to the indicator."""
        return _mapped(indicator, self.knots, self.errors)

    def bound(self, indicator: Array, level: float = 0.9) -> Array:
        """What the error stays below with this probability, on exchangeable structures.

        Raises
        ------
        InputError
            If the level is none of those calibrated.
        """
        if level not in self.quantiles:
            known = ", ".join(f"{p:g}" for p in self.quantiles)
            raise InputError(f"bounds are known for the levels {known}; got {level}")
        return self.quantiles[level] * self.expected(indicator)

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "target": self.target,
            "indicator": self.indicator,
            "knots": self.knots.tolist(),
            "errors": self.errors.tolist(),
            "scale": self.scale,
            "quantiles": [[p, q] for p, q in self.quantiles.items()],
            "structures": self.structures,
            "part": self.part,
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Calibration:
        """What :meth:`to_dict` gave."""
        return cls(
            str(table["target"]),
            str(table["indicator"]),
            np.array(table["knots"], np.float64),
            np.array(table["errors"], np.float64),
            float(table["scale"]),
            {float(p): float(q) for p, q in table["quantiles"]},
            int(table["structures"]),
            str(table["part"]),
        )


def calibrate(
    indicator: Array,
    error: Array,
    structure: NDArray[np.int64],
    *,
    rng: np.random.Generator,
    target: str = "forces",
    name: str = "gamma",
    levels: tuple[float, ...] = LEVELS,
    part: str = "held-out structures",
) -> Calibration:
    """Learn the map from pairs of indicator and error.

    Parameters
    ----------
    indicator, error : (n,) arrays
        Not negative.
    structure : (n,) array of int
        Of which structure each is; structures are divided, not atoms, since atoms of one are alike.
    rng : numpy.random.Generator
        Divides them.
    target, name, part : str
    levels : tuple of float

    Raises
    ------
    InputError
        If there are fewer than 10 structures, or a number is negative or not finite.
    """
    kinds = np.unique(structure)
    if len(kinds) < FEWEST:
        raise InputError(
            f"{len(kinds)} labelled structures are too few to calibrate on; give at least {FEWEST} that the fit did"
            " not see"
        )
    if not (
        np.isfinite(indicator).all() and np.isfinite(error).all() and min(indicator.min(), error.min()) >= 0
    ):
        raise InputError("indicators and errors must be finite and not negative")
    weight, n = _equal_shares(structure), len(kinds)
    score = np.empty(len(error))
    for fold in np.array_split(rng.permutation(kinds), FOLDS):
        own = np.isin(structure, fold)
        knots, errors = _isotonic(indicator[~own], error[~own], weight[~own])
        score[own] = error[own] / _mapped(indicator[own], knots, errors)
    quantiles = {p: _quantile(score, weight, min(1.0, p * (n + 1) / n)) for p in levels}
    knots, errors = _isotonic(indicator, error, weight)
    squares = np.average(error**2, weights=weight), np.average(indicator**2, weights=weight)
    scale = float(np.sqrt(squares[0] / squares[1])) if squares[1] > 0 else float("inf")
    if not np.isfinite(scale):
        raise InputError(f"{name} is zero on all structures; it cannot be calibrated")
    return Calibration(target, name, knots, errors, scale, quantiles, len(kinds), part)


def coverage(
    calibration: Calibration, indicator: Array, error: Array, structure: NDArray[np.int64]
) -> dict[float, float]:
    """Share of errors below their bounds, by level; each structure weighs the same."""
    weight = _equal_shares(structure)
    return {
        p: float(np.average(error <= calibration.bound(indicator, p), weights=weight))
        for p in calibration.quantiles
    }


def _equal_shares(structure: NDArray[np.int64]) -> Array:
    """Weights that add up to one in each structure."""
    _, inverse, counts = np.unique(structure, return_inverse=True, return_counts=True)
    return 1.0 / counts[inverse]


def _mapped(indicator: Array, knots: Array, errors: Array) -> Array:
    """The map, continued through the origin beyond its end."""
    beyond = np.maximum(indicator / knots[-1], 1.0) if knots[-1] > 0 else 1.0
    return np.interp(indicator, knots, errors) * beyond


def _isotonic(x: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Steps of the monotone least-squares fit, at most :data:`KNOTS`; the least error is above zero."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(x, y, sample_weight=weight)
    at = np.unique(np.quantile(x, np.linspace(0, 1, KNOTS)))
    values = np.asarray(fitted.predict(at), np.float64)
    floor = 1e-3 * float(np.average(y, weights=weight)) or 1e-12
    return at, np.maximum(values, floor)


def _quantile(values: Array, weight: Array, level: float) -> float:
    """Smallest value that at least this share of the weight does not exceed."""
    order = np.argsort(values)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(values[order][min(np.searchsorted(share, level - 1e-12), len(order) - 1)])
