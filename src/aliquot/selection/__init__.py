"""How a budget is spent."""

from aliquot.selection.record import Certificate, Selection, Sensitivity, SuggestedStop

__all__ = ["Certificate", "Selection", "Sensitivity", "SuggestedStop"]
