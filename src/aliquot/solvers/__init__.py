"""Linear least squares on what is left of the data after compression. Arrays only."""

from __future__ import annotations

from aliquot.solvers.triangle import Gram, Triangle

__all__ = ["Gram", "Triangle"]
