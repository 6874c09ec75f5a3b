"""What rows are worth: the posterior of a linear model, and the scores that are read from it.

Everything here is mergeable: data of two machines add up to the data of both, and the prior is counted once.
"""

from __future__ import annotations

from aliquot.information.blocks import Blocks, gather
from aliquot.information.distance import Distance
from aliquot.information.posterior import Posterior, default_precision
from aliquot.information.protocol import Information
from aliquot.information.reduction import Reduction
from aliquot.information.scores import TERMS, Energy, Entropy, WeightedSum
from aliquot.information.target import Target

__all__ = [
    "TERMS",
    "Blocks",
    "Distance",
    "Energy",
    "Entropy",
    "Information",
    "Posterior",
    "Reduction",
    "Target",
    "WeightedSum",
    "default_precision",
    "gather",
]
