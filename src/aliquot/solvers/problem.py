r"""What is to be solved: weighted least squares, compressed, with a smoothness prior that scales the coefficients.

Rows A, targets y and the prior γ (inverse standard deviations of the coefficients c, up to a factor) are held as the
triangle of :math:`[A\; y]`. Solvers work in coordinates :math:`\theta = \gamma c`, in which the prior is isotropic,

.. math:: \|A c - y\|^2 = \|X \theta - b\|^2 + \rho^2, \qquad X = R\,\mathrm{diag}(\gamma)^{-1}, \quad b = z,

and answer in the coordinates of the rows, c. Columns are not brought to unit length: smooth functions go first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aliquot.errors import InputError
from aliquot.solvers.triangle import Triangle

__all__ = ["CostModel", "LeastSquares"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class CostModel(Protocol):
    """What evaluating a model costs, and what one function more would add."""

    def total(self, support: Index) -> float:
        """Cost of evaluating the functions of ``support``."""
        ...

    def marginal(self, support: Index) -> Array:
        """Added cost of each of the d functions given ``support``, (d,); positive; of members without meaning."""
        ...


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Weighted rows and targets, compressed, and what is known of the coefficients beforehand.

    Parameters
    ----------
    parts : dict of str to Triangle
        Triangles of weighted rows, all of the same columns; apart where their noise is to be told apart
        (energies, forces, virials), one otherwise.
    prior : (d,) array
        γ, positive.
    groups : (d,) array of int, optional
        Functions of one label come and go together.
    costs : CostModel, optional
        Of evaluation; sparse solvers weigh what a function explains against it.
    """

    parts: Mapping[str, Triangle]
    prior: Array
    groups: Index | None = None
    costs: CostModel | None = None

    @classmethod
    def of(
        cls,
        triangles: LeastSquares | Triangle | Mapping[str, Triangle],
        *,
        prior: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        groups: Sequence[Any] | NDArray[Any] | None = None,
        costs: CostModel | None = None,
    ) -> LeastSquares:
        """Check and put together.

        Parameters
        ----------
        triangles : Triangle or dict of str to Triangle
            A problem is returned as it is.
        prior : (d,) array, optional
            γ; ones by default.
        weights : (d,) array, optional
            Reluctance: multiplies γ. A function of weight 2 must explain twice as much to be chosen (or is shrunk as
            if it were twice as rough); weights by element steer the functions of that element.
        groups : (d,) sequence, optional
            Labels of any kind.
        costs : CostModel, optional

        Raises
        ------
        InputError
            If there are no rows, or shapes or signs are wrong.

        Examples
        --------
        >>> triangle = Triangle(2)
        >>> triangle.absorb(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 3.0, 5.0]))
        >>> problem = LeastSquares.of(triangle, prior=[1.0, 2.0])
        >>> problem.n_columns, problem.n_rows
        (2, 3)
        """
        if isinstance(triangles, LeastSquares):
            return triangles
        parts = {"all": triangles} if isinstance(triangles, Triangle) else dict(triangles)
        sizes = {t.n_columns for t in parts.values()}
        if len(sizes) != 1:
            raise InputError(
                f"least squares needs triangles of one number of columns, not of {sorted(sizes)}"
            )
        d = sizes.pop()
        if not sum(t.n_rows for t in parts.values()):
            raise InputError("there are no rows to fit")
        gamma = _positive(prior, d, "prior") * _positive(weights, d, "weights")
        labels: Index | None = None
        if groups is not None:
            if len(groups) != d:
                raise InputError(f"{len(groups)} group labels for {d} functions")
            names = {label: i for i, label in enumerate(dict.fromkeys(list(groups)))}
            labels = np.array([names[label] for label in groups], np.int64)
        return cls(parts, gamma, labels, costs)

    @property
    def n_columns(self) -> int:
        """Functions d."""
        return len(self.prior)

    @property
    def n_rows(self) -> int:
        """Rows that were compressed."""
        return sum(t.n_rows for t in self.parts.values())

    @cached_property
    def joined(self) -> Triangle:
        """The triangle of all parts."""
        first, *others = self.parts.values()
        for other in others:
            first = first.merge(other)
        return first

    @cached_property
    def _scaled(self) -> tuple[Array, Array, float]:
        factor = self.joined.factor
        X = np.asfortranarray(factor[:-1, :-1] / self.prior)
        return X, factor[:-1, -1].copy(), float(factor[-1, -1] ** 2)

    @property
    def X(self) -> Array:  # noqa: N802
        """Scaled factor of the rows, (d, d), upper triangular, column by column in memory."""
        return self._scaled[0]

    @property
    def b(self) -> Array:
        """Targets in the coordinates of the factor, (d,)."""
        return self._scaled[1]

    @property
    def rest(self) -> float:
        """Squared residual ρ² that no coefficients remove."""
        return self._scaled[2]


def _positive(values: ArrayLike | None, d: int, name: str) -> Array:
    out = np.ones(d) if values is None else np.array(values, np.float64)
    if out.shape != (d,) or not np.all(np.isfinite(out)) or not np.all(out > 0):
        raise InputError(f"{name} of shape {out.shape} for {d} functions: give one positive number for each")
    return out
