"""Atoms in and out."""

from aliquot.structures.columns import Column
from aliquot.structures.frames import DEFAULT_LABEL_KEYS, Frames, Label, LabelKeys
from aliquot.structures.index import FrameIndex
from aliquot.structures.reading import Loaded, iter_batches, load, read
from aliquot.structures.screening import Exclusion, exact_duplicates, unusable
from aliquot.structures.survey import Survey, survey
from aliquot.structures.writing import write

__all__ = [
    "DEFAULT_LABEL_KEYS",
    "Column",
    "Exclusion",
    "FrameIndex",
    "Frames",
    "Label",
    "LabelKeys",
    "Loaded",
    "Survey",
    "exact_duplicates",
    "iter_batches",
    "load",
    "read",
    "survey",
    "unusable",
    "write",
]
