"""From labelled structures to what a fit needs of them."""

from __future__ import annotations

from aliquot.fitting.accumulate import QUANTITIES, accumulate, grams, labelled_rows
from aliquot.fitting.prior import LEAST_LABELS, prior_from_labels
from aliquot.fitting.references import reference_energies

__all__ = [
    "LEAST_LABELS",
    "QUANTITIES",
    "accumulate",
    "grams",
    "labelled_rows",
    "prior_from_labels",
    "reference_energies",
]
