"""Linear least squares on what is left of the data after compression. Arrays only."""

from __future__ import annotations

from aliquot.solvers.evidence import Evidence, best_prior
from aliquot.solvers.triangle import Gram, Triangle

__all__ = ["Evidence", "Gram", "Triangle", "best_prior"]
