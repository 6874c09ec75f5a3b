"""Where a potential is ignorant, and by how much."""

from __future__ import annotations

from aliquot.uncertainty.active import ActiveSet, active_sets
from aliquot.uncertainty.asi import write_asi
from aliquot.uncertainty.bootstrap import bootstrap_committee
from aliquot.uncertainty.calibration import Calibration, calibrate, coverage
from aliquot.uncertainty.indicators import Observed, calibrated, coverages, observe
from aliquot.uncertainty.sites import GradientSites, LinearSites, Sites
from aliquot.uncertainty.spread import Spread, committee_from_posterior, posterior_spread
from aliquot.uncertainty.uncertainty import Assessment, Uncertainty

__all__ = [
    "ActiveSet",
    "Assessment",
    "Calibration",
    "GradientSites",
    "LinearSites",
    "Observed",
    "Sites",
    "Spread",
    "Uncertainty",
    "active_sets",
    "bootstrap_committee",
    "calibrate",
    "calibrated",
    "committee_from_posterior",
    "coverage",
    "coverages",
    "observe",
    "posterior_spread",
    "write_asi",
]
