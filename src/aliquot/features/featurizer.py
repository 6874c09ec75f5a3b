"""Featurizer: frames in, Features out, with a recipe that can make them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from aliquot.progress import Progress
from aliquot.structures.frames import Frames
from aliquot.table import Features

__all__ = ["Featurizer"]


class Featurizer(Protocol):
    """Turns structures into one table; the same featurizer must serve the pool and the known set.

    A featurizer may also have ``pullback(frames, i, cotangent) -> (forces, virial)``, the vector–Jacobian
    product that biased dynamics needs.
    """

    @property
    def recipe(self) -> Mapping[str, Any]:
        """JSON-serialisable and complete: equal recipes give equal features."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the choice of these features."""
        ...

    def __call__(self, frames: Frames, *, progress: Progress = ...) -> Features:
        """The table of these frames, one block per frame."""
        ...
