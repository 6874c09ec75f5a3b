"""What a fit answers: a potential, the path of models it was chosen from, and how wrong each of them is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.fitting.checks import Outlier
from aliquot.fitting.contradictions import Contradiction
from aliquot.fitting.errors import UNITS, Comparison, Error
from aliquot.fitting.learning import Lesson
from aliquot.fitting.weights import Weights
from aliquot.solvers import Path

__all__ = ["Calibration", "Fit", "Rung"]

#: Version of the JSON form.
SCHEMA: Final = 1


@dataclass(frozen=True)
class Rung:
    """One model of the path, and what it is worth.

    Parameters
    ----------
    point : int
        Position in the path.
    size : int
        Functions.
    errors : dict of str to dict of str to (float, float)
        Mean absolute and root-mean-square error by part and quantity.
    microseconds : float or None
        Measured time of energy, forces and virial per atom on one core, neighbour search apart.
    """

    point: int
    size: int
    errors: Mapping[str, Mapping[str, tuple[float, float]]]
    microseconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "point": self.point,
            "size": self.size,
            "errors": {part: {q: list(e) for q, e in of.items()} for part, of in self.errors.items()},
            "microseconds_per_atom": self.microseconds,
        }


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often held-out labels fall where the posterior says they fall.

    Parameters
    ----------
    nominal : (levels,) array
        Probability of central intervals.
    observed : dict of str to (levels,) array
        Fraction of held-out labels inside, by quantity.
    spread : dict of str to float
        Root mean square of error over predicted standard deviation; 1 were it calibrated.
    part : str
        On which structures.
    """

    nominal: NDArray[np.float64]
    observed: Mapping[str, NDArray[np.float64]]
    spread: Mapping[str, float]
    part: str

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "nominal": self.nominal.tolist(),
            "observed": {q: o.tolist() for q, o in self.observed.items()},
            "rms_error_over_deviation": dict(self.spread),
            "part": self.part,
        }


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted potential and its story.

    Parameters
    ----------
    potential : AcePotential
    path : Path
        All models; coefficients in the coordinates of the rows, element by element.
    chosen : int
        Point of the path that became the potential.
    reason : str
        Why that one.
    ladder : tuple of Rung
        Some models of the path with their errors.
    comparison : Comparison
        Labels and predictions of the potential.
    weights : Weights
    offsets : dict of str to float
        Energy per atom (eV) by which labels of a group lie above the others.
    outliers : tuple of Outlier
        Training structures that the model does not believe.
    contradictions : tuple of Contradiction
        Pairs of structures whose labels cannot both be right.
    calibration : Calibration or None
    learning : tuple of Lesson
        What growing shares of the training structures teach, if that was asked.
    reference_from : str
        Where the energies of free atoms come from.
    notes : tuple of str
    recipe : dict
        Everything that was asked, JSON values.
    timings : dict of str to float
        Seconds.
    """

    potential: AcePotential
    path: Path
    chosen: int
    reason: str
    ladder: tuple[Rung, ...]
    comparison: Comparison
    weights: Weights
    offsets: Mapping[str, float] = field(default_factory=dict[str, float])
    outliers: tuple[Outlier, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    calibration: Calibration | None = None
    learning: tuple[Lesson, ...] = ()
    reference_from: str = ""
    notes: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])
    timings: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def size(self) -> int:
        """Functions of the potential (coefficients that are not zero)."""
        return int(np.count_nonzero(self.potential.coefficients))

    def errors(self) -> tuple[Error, ...]:
        """Errors of the potential."""
        return self.comparison.table()

    def to_dict(self) -> dict[str, Any]:
        """The record of ``path.json``: everything but the numbers of every label."""
        from aliquot import __version__

        return {
            "format": "aliquot-fit",
            "schema": SCHEMA,
            "aliquot": __version__,
            "recipe": dict(self.recipe),
            "notes": list(self.notes),
            "size": self.size,
            "chosen": self.chosen,
            "reason": self.reason,
            "units": dict(UNITS),
            "errors": [e.to_dict() for e in self.errors()],
            "ladder": [rung.to_dict() for rung in self.ladder],
            "offsets": dict(self.offsets),
            "outliers": [o.to_dict() for o in self.outliers],
            "contradictions": [c.to_dict() for c in self.contradictions],
            "learning": [lesson.to_dict() for lesson in self.learning],
            "calibration": self.calibration and self.calibration.to_dict(),
            "reference": {
                "energies": dict(
                    zip(
                        map(str, self.potential.basis.elements),
                        self.potential.reference.tolist(),
                        strict=True,
                    )
                ),
                "from": self.reference_from,
            },
            "timings": dict(self.timings),
            "path": self.path.to_dict(),
        }

    def to_json(self) -> str:
        """JSON text; equal fits give equal text but for timings."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)
