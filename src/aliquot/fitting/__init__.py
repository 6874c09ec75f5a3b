"""From labelled structures to a potential."""

from __future__ import annotations

from aliquot.fitting.accumulate import Compressed, Key, accumulate, grams, labelled_rows
from aliquot.fitting.baseline import Baseline
from aliquot.fitting.basis import candidate_basis
from aliquot.fitting.contradictions import Contradiction, contradictions
from aliquot.fitting.costs import evaluation_cost
from aliquot.fitting.errors import UNITS, Comparison, Error, compare, errors_of_path
from aliquot.fitting.fit import fit
from aliquot.fitting.posterior import Posterior
from aliquot.fitting.prior import LEAST_LABELS, prior_from_labels
from aliquot.fitting.recipe import Recipe
from aliquot.fitting.record import Calibration, Fit, Rung
from aliquot.fitting.references import reference_energies
from aliquot.fitting.splits import TEST, TRAIN, VALIDATION, folds_of_groups, split_at_random, split_by_column
from aliquot.fitting.weights import QUANTITIES, Weights

__all__ = [
    "LEAST_LABELS",
    "QUANTITIES",
    "TEST",
    "TRAIN",
    "UNITS",
    "VALIDATION",
    "Baseline",
    "Calibration",
    "Comparison",
    "Compressed",
    "Contradiction",
    "Error",
    "Fit",
    "Key",
    "Posterior",
    "Recipe",
    "Rung",
    "Weights",
    "accumulate",
    "candidate_basis",
    "compare",
    "contradictions",
    "errors_of_path",
    "evaluation_cost",
    "fit",
    "folds_of_groups",
    "grams",
    "labelled_rows",
    "prior_from_labels",
    "reference_energies",
    "split_at_random",
    "split_by_column",
]
