r"""How wide is a prediction, coefficients being uncertain? The posterior, or a committee.

A prediction is :math:`\phi^\top c`. If the coefficients are spread about c with covariance :math:`M M^\top`, its
standard deviation is :math:`|\phi^\top M|`, exactly and for every quantity alike: the total energy (φ the sum of the
atoms' features), the energy of one atom, a force component (φ the derivative). Two sources of M:

- the posterior of the fit, :math:`M = U^{-1}` with :math:`U^\top U` the precision;
- a committee of m potentials, :math:`M = [c_1 - c, \ldots, c_m - c] / \sqrt m`: drawn from the posterior, or fitted
  again to structures drawn with replacement (bootstrap), where m − 1 takes the place of m and the mean that of c.

Both are of the model, were its form true. The error of a label also has what no coefficients explain; until a
calibration has compared the two (:mod:`aliquot.uncertainty.calibration`), a spread ranks but does not measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError

__all__ = ["Spread", "columns_of", "committee_from_posterior", "posterior_spread"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spread:
    """Covariance of the coefficients that are not zero, as a root.

    Parameters
    ----------
    kind : str
        ``posterior``, ``committee`` (drawn from it) or ``bootstrap``.
    root : (k, m) array
        M; the covariance is M Mᵀ. Columns of a committee are members' deviations over √m.
    """

    kind: str
    root: Array

    def std(self, rows: Array) -> Array:
        """Standard deviation of the predictions of rows (…, k): (…,)."""
        flat = rows.reshape(-1, rows.shape[-1]) @ self.root
        return np.sqrt(np.einsum("ij,ij->i", flat, flat)).reshape(rows.shape[:-1])

    @property
    def deviations(self) -> Array:
        """Deviations of the members from their centre, (m, k); their mean square is the variance."""
        return self.root.T * np.sqrt(self.root.shape[1])

    def by_element(self, widths: Sequence[int]) -> tuple[Array, ...]:
        """Roots of the coefficients of each element alone, at most as wide as they are long."""
        edges = np.cumsum([0, *widths])
        out: list[Array] = []
        for start, stop in pairwise(edges.tolist()):
            own = self.root[start:stop]
            short = own.shape[0] >= own.shape[1]
            out.append(own if short else np.asarray(np.linalg.qr(own.T, mode="r")).T.copy())
        return tuple(out)


def posterior_spread(potential: AcePotential) -> Spread:
    """The posterior of a potential that carries its precision.

    Raises
    ------
    InputError
        If it does not.
    """
    if potential.precision is None:
        raise InputError(
            "the potential does not carry the precision of its coefficients; fit it with --posterior"
            " (Recipe(posterior=True) in Python)"
        )
    diagonal = np.abs(np.diagonal(potential.precision))
    if diagonal.size and diagonal.min() == 0:
        raise InputError("the precision of the potential's coefficients is singular; fit it again")
    identity = np.eye(len(potential.precision))
    return Spread("posterior", scipy.linalg.solve_triangular(potential.precision, identity))


def committee_from_posterior(
    potential: AcePotential, members: int = 8, *, rng: np.random.Generator
) -> Spread:
    """A committee drawn from the posterior, :math:`c_m = c + U^{-1} z_m` with z of unit normal entries.

    Raises
    ------
    InputError
        If the potential carries no precision, or there are no members.
    """
    if members < 1:
        raise InputError(f"a committee needs members; got {members}")
    root = posterior_spread(potential).root
    draws = rng.standard_normal((root.shape[1], members))
    return Spread("committee", root @ draws / np.sqrt(members))


def columns_of(potential: AcePotential) -> NDArray[np.int64]:
    """Columns of rows of the pruned basis that belong to coefficients that are not zero."""
    return np.flatnonzero(potential.pruned.coefficients.ravel() != 0.0)
