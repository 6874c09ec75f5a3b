"""What are the energy and forces of a structure? Asked of any ASE calculator, or of a code that runs elsewhere."""

from aliquot.oracle.judging import Limits
from aliquot.oracle.labelling import label
from aliquot.oracle.record import Answer, Labelled, Unlabelled
from aliquot.oracle.source import EMBEDDED, Oracle, as_oracle, open_oracle

__all__ = [
    "EMBEDDED",
    "Answer",
    "Labelled",
    "Limits",
    "Oracle",
    "Unlabelled",
    "as_oracle",
    "label",
    "open_oracle",
]
