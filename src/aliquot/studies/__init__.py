"""Published comparisons, re-run on real data: a declared protocol, repeats, paired statistics, a held-out test."""

from __future__ import annotations

from aliquot.studies.data import Data
from aliquot.studies.declaration import SIZES, Study, studies, study_named
from aliquot.studies.duration import expected, left
from aliquot.studies.record import Conclusion, Curve, Figure, Finding, Panel, Record, Table
from aliquot.studies.results import Results
from aliquot.studies.run import Plan, plan, run_study

__all__ = [
    "SIZES",
    "Conclusion",
    "Curve",
    "Data",
    "Figure",
    "Finding",
    "Panel",
    "Plan",
    "Record",
    "Results",
    "Study",
    "Table",
    "expected",
    "left",
    "plan",
    "run_study",
    "studies",
    "study_named",
]
