"""How to fit: everything that a user may decide, with defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aliquot.ace.basis import AceBasis
from aliquot.fitting.accumulate import MEMORY
from aliquot.fitting.weights import Weights
from aliquot.solvers import OMP, Solver

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How to fit.

    Parameters
    ----------
    basis : AceBasis, optional
        Functions to choose from; :func:`~aliquot.fitting.candidate_basis` of the elements by default.
    solver : Solver
        Orthogonal matching pursuit with the penalty of the largest evidence by default.
    choice : str
        Which model of the path becomes the potential (:func:`aliquot.solvers.choose`).
    weights : Weights
    reference : dict of int to float, optional
        Energy of a free atom (eV) by atomic number; from the training structures by default.
    repulsion : bool
        Whether the universal repulsion acts between atoms that are closer than any two in the training structures.
    offsets : collection of str
        Groups whose energies are known up to a constant per atom, as those of another functional.
    force_cap : float, optional
        Atoms with a larger force (eV/Å) do not teach.
    robust : bool
        Whether labels that the model does not believe count less (Huber).
    by_cost : bool
        Whether solvers that can weigh what a function explains against its cost of evaluation do so.
    posterior : bool
        Whether the potential keeps the precision of its coefficients, for committees and error bars.
    learning_curve : bool
        Whether growing shares of the training structures are fitted too.
    memory : int
        Bytes that compressed rows may take.
    """

    basis: AceBasis | None = None
    solver: Solver = field(default_factory=lambda: OMP(penalty="evidence"))
    choice: str = "within 1.02"
    weights: Weights = field(default_factory=Weights)
    reference: Mapping[int, float] | None = None
    repulsion: bool = True
    offsets: Collection[str] = ()
    force_cap: float | None = None
    robust: bool = False
    by_cost: bool = False
    posterior: bool = False
    learning_curve: bool = False
    memory: int = MEMORY

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        solver: Any = self.solver
        return {
            "basis": self.basis and self.basis.to_dict(),
            "solver": {"name": type(solver).__name__, **asdict(solver)},
            "choice": self.choice,
            "weights": self.weights.to_dict(),
            "reference": self.reference and {str(z): e for z, e in self.reference.items()},
            "repulsion": self.repulsion,
            "offsets": sorted(self.offsets),
            "force_cap": self.force_cap,
            "robust": self.robust,
            "by_cost": self.by_cost,
            "posterior": self.posterior,
            "learning_curve": self.learning_curve,
        }
