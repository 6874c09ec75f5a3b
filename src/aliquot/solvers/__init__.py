"""Linear least squares on what is left of the data after compression. Arrays only."""

from __future__ import annotations

from typing import Final

from aliquot.solvers import ard, asp, bayesian, omp, ridge, rrqr, tsvd
from aliquot.solvers.ard import ARD
from aliquot.solvers.asp import ASP
from aliquot.solvers.bayesian import EvidenceRidge
from aliquot.solvers.choice import RULES, choose
from aliquot.solvers.costs import SharedCost
from aliquot.solvers.evidence import Evidence, best_prior
from aliquot.solvers.omp import OMP
from aliquot.solvers.path import Path, Point, Step
from aliquot.solvers.problem import CostModel, LeastSquares
from aliquot.solvers.protocol import Method, Solver
from aliquot.solvers.ridge import Ridge
from aliquot.solvers.rrqr import RRQR
from aliquot.solvers.triangle import Gram, Triangle
from aliquot.solvers.tsvd import TSVD

__all__ = [
    "ARD",
    "ASP",
    "OMP",
    "RRQR",
    "RULES",
    "SOLVERS",
    "CostModel",
    "Evidence",
    "EvidenceRidge",
    "Gram",
    "LeastSquares",
    "Method",
    "Path",
    "Point",
    "Ridge",
    "SharedCost",
    "Solver",
    "Step",
    "TSVD",
    "Triangle",
    "best_prior",
    "choose",
]

#: Every solver by name.
SOLVERS: Final[dict[str, Method]] = {
    name: method
    for module in (ridge, bayesian, tsvd, rrqr, ard, omp, asp)
    for name, method in module.CATALOGUE.items()
}
