r"""What one wants to know: linear quantities whose posterior variance a choice should remove.

A target is any linear combination t of features: the energy of a structure, the difference of two energies, a
mean. Of a set of targets only the weighted second moment :math:`\sum_j \omega_j t_j^\top t_j` matters, so a set is
kept as a triangular root of it, at most d × d whatever the number of targets. No label is needed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information.blocks import gather
from aliquot.information.posterior import Posterior
from aliquot.table import Features

__all__ = ["Target"]


@dataclass(frozen=True, eq=False)
class Target:
    """A set of quantities to be known.

    Parameters
    ----------
    root : (k, features) array
        In smoothness-scaled coordinates: ``rootᵀ root`` is the weighted second moment, k ≤ features.
    name : str
        For the reader of the answer.
    size : int
        Quantities in the set.
    share : float
        Importance beside other sets; positive.

    Examples
    --------
    >>> structures = Features.from_array(np.diag([2.0, 1.0]))
    >>> round(Target.of(structures, name="both").variance(Posterior(np.ones(2))), 9)
    2.5
    """

    root: NDArray[np.float64]
    name: str
    size: int
    share: float = 1.0

    @classmethod
    def of(cls, table: Features, *, name: str, weight: NDArray[np.float64] | None = None) -> Target:
        """The observables of structures (energies per atom, where they have energy rows), with these weights.

        Parameters
        ----------
        table : Features
        name : str
        weight : (structures,) array, optional
            Of each structure, not negative; brought to a sum of one. All alike by default.

        Raises
        ------
        SelectionError
        """
        weight = np.ones(len(table)) if weight is None else np.asarray(weight, np.float64)
        if (
            weight.shape != (len(table),)
            or not np.all(np.isfinite(weight) & (weight >= 0))
            or not weight.any()
        ):
            raise SelectionError(
                f"the weights of goal {name} must be {len(table)} numbers, none negative and not all zero"
            )
        factor = np.sqrt(weight / weight.sum())
        moment = Posterior(np.ones(table.n_features))
        for some, _ in table.tiles():
            blocks = gather(table, some)
            moment.absorb(blocks.observed_mean(blocks.x) * factor[some, None])
        return cls(moment.root, name, int(np.count_nonzero(weight)))

    @classmethod
    def combinations(
        cls,
        table: Features,
        coefficients: NDArray[np.float64],
        *,
        name: str,
        weight: NDArray[np.float64] | None = None,
    ) -> Target:
        """Linear combinations of the observables of structures, such as the difference of two.

        Parameters
        ----------
        table : Features
        coefficients : (combinations, structures) array
            Of the observables per structure (energies *per atom*).
        name : str
        weight : (combinations,) array, optional
        """
        points = np.vstack([_points(table, some) for some, _ in table.tiles()])
        rows = coefficients @ points * table.prior
        plain = Features.from_array(rows, prior=table.prior)
        return cls.of(plain, name=name, weight=weight)

    def with_share(self, share: float) -> Target:
        """The same set with another importance."""
        if not (np.isfinite(share) and share > 0):
            raise SelectionError(f"the importance of goal {self.name} must be positive; got {share}")
        return replace(self, share=float(share))

    def variance(self, posterior: Posterior) -> float:
        """Weighted mean of the posterior variances of the set."""
        return float(np.sum(np.square(posterior.whiten(self.root))))

    def digest(self) -> str:
        """Sixteen hexadecimal digits that identify the set."""
        return hashlib.blake2b(np.ascontiguousarray(self.root).tobytes(), digest_size=8).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """What a record keeps."""
        return {"name": self.name, "size": self.size, "share": self.share, "hash": self.digest()}


def _points(table: Features, some: slice) -> NDArray[np.float64]:
    blocks = gather(table, some)
    return blocks.observed_mean(blocks.x)
