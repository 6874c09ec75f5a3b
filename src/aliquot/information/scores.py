r"""How much one more structure tells a linear model: scores read from its posterior.

==========  =============================================================  ======  ==========
score       gain of a candidate with rows X, noise 1/W                     bound   objective
==========  =============================================================  ======  ==========
entropy     :math:`\tfrac12\log\det(I + W X P^{-1} X^\top W)`, in nat      yes     yes
energy      mean over its observable rows of :math:`x P^{-1} x^\top`       yes     no
force-max   largest :math:`x P^{-1} x^\top` of its force rows              yes     no
force-mean  mean of these                                                 yes     no
==========  =============================================================  ======  ==========

and sums of these with positive weights, which inherit the bound. All absorb *all* rows of a candidate, weighted.
The observable rows are its energy rows, or all of its rows where it has none (a block of atoms). For candidates
of one row each, entropy and energy are increasing functions of
:math:`h = x P^{-1} x^\top`, and absorbing a row v-direction by v-direction lowers h by :math:`(x\cdot v)^2`.

References
----------
K. Chaloner and I. Verdinelli, Stat. Sci. 10, 273 (1995), doi:10.1214/ss/1177009939
C. van der Oord, M. Sachs, D. P. Kovács, C. Ortner and G. Csányi, npj Comput. Mater. 9, 168 (2023),
doi:10.1038/s41524-023-01104-6
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.information.blocks import Blocks, Part
from aliquot.information.posterior import Posterior, logdet_gains
from aliquot.information.protocol import SLACK
from aliquot.table import KINDS

__all__ = ["TERMS", "Energy", "Entropy", "WeightedSum"]

#: What a :class:`WeightedSum` may add up.
TERMS: Final = ("entropy", "energy", "force-max", "force-mean")

Vector = NDArray[np.float64]

_FORCE = KINDS.index("force")


def _lowered(posterior: Posterior, part: Part, h: Vector, since: NDArray[np.int64]) -> Vector | None:
    """Bring bounds ``h`` of ``x P⁻¹ xᵀ`` to now; None where starting from scratch is all one can, or cheaper."""
    if len(part.weight) != len(h) or np.any(np.diff(part.offsets) != 1):
        return None
    oldest = int(since.min())
    V = posterior.directions(oldest)
    if V is None or posterior.absorbed - float(since.mean()) > posterior.n_features:
        return None
    from aliquot.information.directions import lost  # numba: imported when needed

    rows, index = part.stored()
    less = np.empty(len(h))
    lost(rows, index, np.ascontiguousarray(V / part.prior), since - oldest, less)
    return np.maximum(h - less, 0.0) + SLACK * h


@dataclass(frozen=True, eq=False)
class Entropy:
    """Information gain of all rows of a candidate: D-optimality, in nat.

    Examples
    --------
    >>> entropy = Entropy(Posterior(np.ones(2)))
    >>> entropy.absorb(Blocks.from_rows([[1.0, 0.0]]))
    >>> np.exp(2 * entropy.gain(Blocks.from_rows(np.eye(2))))
    array([1.5, 2. ])
    """

    posterior: Posterior
    bound: ClassVar[bool] = True
    objective: ClassVar[bool] = True
    unit: ClassVar[str] = "nat"

    @property
    def absorbed(self) -> int:
        """Clock of :meth:`tighten`."""
        return self.posterior.absorbed

    def gain(self, blocks: Blocks) -> Vector:
        """½ log det(I + W X P⁻¹ Xᵀ W) of each candidate; O(d²) a row."""
        return logdet_gains(self.posterior.whiten(blocks.weighted), blocks.offsets)

    def tighten(self, blocks: Blocks, bound: Vector, *, since: NDArray[np.int64]) -> Vector:
        """Upper bounds now, from scratch."""
        return self.gain(blocks) * (1.0 + SLACK)

    def lower(self, part: Part, bound: Vector, *, since: NDArray[np.int64]) -> Vector | None:
        """Upper bounds now, for candidates of one row each; O(d) a row and pick."""
        if len(part.weight) != len(bound):
            return None
        noise_squared = 1.0 / np.square(part.weight)
        h = _lowered(self.posterior, part, np.expm1(2.0 * bound) * noise_squared, since)
        return None if h is None else 0.5 * np.log1p(h / noise_squared)

    def absorb(self, blocks: Blocks) -> None:
        """Add all rows, weighted."""
        self.posterior.absorb(blocks.weighted)

    def merge(self, other: Entropy) -> Entropy:
        """Data of both; the prior counts once."""
        return Entropy(self.posterior.merge(other.posterior))

    def copy(self) -> Entropy:
        """An independent copy."""
        return Entropy(self.posterior.copy())

    def reader(self, since: int) -> Entropy:
        """What another process needs."""
        return Entropy(self.posterior.reader(since))


@dataclass(frozen=True, eq=False)
class Energy:
    """Posterior variance of the observable of a candidate (mean over its observable rows).

    Examples
    --------
    >>> Energy(Posterior(np.full(2, 4.0))).gain(Blocks.from_rows([[2.0, 0.0]]))
    array([1.])
    """

    posterior: Posterior
    bound: ClassVar[bool] = True
    objective: ClassVar[bool] = False
    unit: ClassVar[str] = "variance"

    @property
    def absorbed(self) -> int:
        """Clock of :meth:`tighten`."""
        return self.posterior.absorbed

    def gain(self, blocks: Blocks) -> Vector:
        """Mean of x P⁻¹ xᵀ over the observable rows of each candidate; O(d²) a row."""
        return blocks.observed_mean(self.posterior.variance(blocks.x))

    def tighten(self, blocks: Blocks, bound: Vector, *, since: NDArray[np.int64]) -> Vector:
        """Upper bounds now, from scratch."""
        return self.gain(blocks) * (1.0 + SLACK)

    def lower(self, part: Part, bound: Vector, *, since: NDArray[np.int64]) -> Vector | None:
        """Upper bounds now, for candidates of one row each; O(d) a row and pick."""
        return _lowered(self.posterior, part, bound, since)

    def absorb(self, blocks: Blocks) -> None:
        """Add all rows, weighted."""
        self.posterior.absorb(blocks.weighted)

    def merge(self, other: Energy) -> Energy:
        """Data of both; the prior counts once."""
        return Energy(self.posterior.merge(other.posterior))

    def copy(self) -> Energy:
        """An independent copy."""
        return Energy(self.posterior.copy())

    def reader(self, since: int) -> Energy:
        """What another process needs."""
        return Energy(self.posterior.reader(since))


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """A sum of scores with positive weights: each can only shrink, and so does the sum.

    Parameters
    ----------
    posterior : Posterior
    terms : tuple of (str, float)
        Some of :data:`TERMS`, and their weights. Variances are those of the rows: energies per atom, force
        components; the entropy is in nat.

    Examples
    --------
    >>> from aliquot.information.blocks import gather
    >>> from aliquot.table import Features
    >>> table = Features.from_array(np.diag([2.0, 4.0]), kind="force", offsets=np.array([0, 2]))
    >>> WeightedSum(Posterior(np.full(2, 4.0)), (("force-max", 1.0), ("force-mean", 0.4))).gain(gather(table, slice(1)))
    array([5.])
    """

    posterior: Posterior
    terms: tuple[tuple[str, float], ...]
    bound: ClassVar[bool] = True
    objective: ClassVar[bool] = False
    unit: ClassVar[str] = "score"

    @property
    def absorbed(self) -> int:
        """Clock of :meth:`tighten`."""
        return self.posterior.absorbed

    def gain(self, blocks: Blocks) -> Vector:
        """The sum for each candidate; O(d²) a row."""
        z = self.posterior.whiten(blocks.x)
        variance = np.einsum("ij,ij->i", z, z)
        total = np.zeros(len(blocks))
        for name, factor in self.terms:
            if name == "entropy":
                total += factor * logdet_gains(z * blocks.weight[:, None], blocks.offsets)
            elif name == "energy":
                total += factor * blocks.observed_mean(variance)
            else:
                total += factor * _of_forces(name, variance, blocks)
        return total

    def tighten(self, blocks: Blocks, bound: Vector, *, since: NDArray[np.int64]) -> Vector:
        """Upper bounds now, from scratch."""
        return self.gain(blocks) * (1.0 + SLACK)

    def lower(self, part: Part, bound: Vector, *, since: NDArray[np.int64]) -> None:
        """Not from stored rows."""

    def absorb(self, blocks: Blocks) -> None:
        """Add all rows, weighted."""
        self.posterior.absorb(blocks.weighted)

    def merge(self, other: WeightedSum) -> WeightedSum:
        """Data of both; the prior counts once."""
        return WeightedSum(self.posterior.merge(other.posterior), self.terms)

    def copy(self) -> WeightedSum:
        """An independent copy."""
        return WeightedSum(self.posterior.copy(), self.terms)

    def reader(self, since: int) -> WeightedSum:
        """What another process needs."""
        return WeightedSum(self.posterior.reader(since), self.terms)


def _of_forces(name: str, variance: Vector, blocks: Blocks) -> Vector:
    """Largest or mean variance of the force rows of each candidate; 0 where it has none."""
    force = blocks.kind == _FORCE
    kept = np.where(force, variance, 0.0)
    if name == "force-max":
        return np.maximum.reduceat(kept, blocks.offsets[:-1])
    count = np.add.reduceat(force.astype(np.float64), blocks.offsets[:-1])
    return np.add.reduceat(kept, blocks.offsets[:-1]) / np.maximum(1.0, count)
