r"""What do the atoms of a structure move on? A soft core less entropy.

.. math:: V = \sum_{i<j} \tfrac\kappa2 \Big(1 - \frac{r_{ij}}{\sigma_{ij}}\Big)^2
              - K \Big[ \sum_z (M_z + m_z)\, J'_z + m\, S \Big],

the pairs nearer than :math:`\sigma`, J' the entropy of the growing set with this structure in it and S that of its own
environments (:mod:`aliquot.explore.entropy`), both in nat per dimension. The slope of the entropies goes through the
site values by one pullback. Cells keep their shape and volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.verlet_list import VerletList
from aliquot.explore.entropy import Gaussians, Standard, local_entropy
from aliquot.explore.packing import Packing
from aliquot.structures.neighbours import Neighbours, neighbours

__all__ = ["STIFFNESS", "Landscape", "soft_core"]

Array = NDArray[np.float64]

#: κ: what two atoms at one place would cost twice over.
STIFFNESS: Final = 100.0

#: Å by which the neighbour search looks farther.
_SKIN: Final = 0.6

_PERIODIC: Final = np.ones(3, bool)

#: Relaxed when no component of the slope is larger, 1/Å.
_FLAT: Final = 1e-2


def soft_core(
    species: NDArray[np.int64], pairs: Neighbours, repel_below: Array
) -> tuple[float, Array, float]:
    """Repulsion, its derivative by the positions (n_atoms, 3), and the shortest distance in units of σ.

    Parameters
    ----------
    species : (n_atoms,) array of int
    pairs : Neighbours
        Every pair from both ends.
    repel_below : (n_elements, n_elements) array, Å
        σ.
    """
    n = len(species)
    square = np.einsum("ij,ij->i", pairs.vectors, pairs.vectors)
    near = np.flatnonzero(square < repel_below.max() ** 2)
    centre = np.searchsorted(pairs.first, near, side="right") - 1
    sigma = repel_below[species[centre], species[pairs.index[near]]]
    r = np.sqrt(square[near])
    overlap = np.maximum(1.0 - r / sigma, 0.0)
    energy = 0.25 * STIFFNESS * float(overlap @ overlap)  # every pair is there twice
    with np.errstate(divide="ignore", invalid="ignore"):
        push = np.where(r > 0.0, STIFFNESS * overlap / (sigma * r), 0.0)
    along = push[:, None] * pairs.vectors[near]
    slope = np.empty((n, 3))
    for a in range(3):
        slope[:, a] = np.bincount(centre, along[:, a], n)
    return energy, slope, float(np.min(r / sigma, initial=np.inf))


@dataclass(eq=False)
class Landscape:
    """V of one structure.

    Parameters
    ----------
    evaluator : AceEvaluator
    packing : Packing
        Its numbers and cell.
    repel_below : (n_elements, n_elements) array, Å
    standard : Standard, optional
        Not needed without a weight.
    known : Gaussians, optional
        The growing set; without it there is no global part.
    local : bool
        Whether S takes part.
    weight : float
        K.
    """

    evaluator: AceEvaluator
    packing: Packing
    repel_below: Array
    standard: Standard | None = None
    known: Gaussians | None = None
    local: bool = False
    weight: float = 0.0

    def __post_init__(self) -> None:
        self.species = self.evaluator.basis.species(self.packing.numbers)
        sighted = self.weight > 0.0 and self.standard is not None
        reach = max(self.evaluator.basis.max_cutoff if sighted else 0.0, float(self.repel_below.max()))
        self._list = VerletList(reach, _SKIN)

    def around(self, positions: Array) -> Neighbours:
        """All that an environment at these positions sees."""
        reach = max(self.evaluator.basis.max_cutoff, float(self.repel_below.max()))
        return neighbours(positions, self.packing.cell, _PERIODIC, reach)

    def values(self, positions: Array) -> Array:
        """Site values (n_atoms, d), not standardised."""
        return self.evaluator.values_near(self.species, self.around(positions))

    def __call__(self, positions: Array) -> tuple[float, Array]:
        """V and its derivative by the positions, (n_atoms, 3), 1/Å."""
        pairs = self._list.update(positions, self.packing.cell, _PERIODIC)
        value, slope, _ = soft_core(self.species, pairs, self.repel_below)
        if self.weight == 0.0 or self.standard is None:
            return value, slope
        z = self.standard(self.evaluator.values_near(self.species, pairs), self.species)
        entropy, rise = 0.0, np.zeros_like(z)
        if self.known is not None:
            entropy, rise = self.known.slope(z, self.species)
        if self.local:
            within, steep = local_entropy(z, self.species)
            entropy += len(z) * within
            rise += len(z) * steep
        cotangent = rise * self.standard.inverse[self.species]
        forces, _ = self.evaluator.pullback_near(self.species, pairs, cotangent)
        return value - self.weight * entropy, slope + self.weight * forces

    def relax(self, positions: Array, steps: int) -> tuple[Array, int]:
        """Positions after at most so many steps of L-BFGS, and how often V was evaluated."""
        shape = positions.shape

        def function(x: Array) -> tuple[float, Array]:
            value, slope = self(x.reshape(shape))
            return value, slope.ravel()

        found = minimize(
            function,
            positions.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": steps, "maxfun": 2 * steps, "gtol": _FLAT, "maxcor": 8},
        )
        return np.asarray(found.x, float).reshape(shape), int(found.nfev)
