"""From labelled structures to what a fit needs of them."""

from __future__ import annotations

from aliquot.fitting.accumulate import QUANTITIES, accumulate, grams, labelled_rows

__all__ = ["QUANTITIES", "accumulate", "grams", "labelled_rows"]
