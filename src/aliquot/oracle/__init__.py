"""What are the energy and forces of a structure? Asked of any ASE calculator, or of a code that runs elsewhere."""

from aliquot.oracle.collecting import collect_jobs
from aliquot.oracle.jobs import JobsWritten, write_jobs
from aliquot.oracle.judging import Limits
from aliquot.oracle.labelling import label
from aliquot.oracle.record import Answer, Labelled, Unlabelled
from aliquot.oracle.source import EMBEDDED, Oracle, as_oracle, open_oracle
from aliquot.oracle.templates import TEMPLATES

__all__ = [
    "EMBEDDED",
    "Answer",
    "JobsWritten",
    "Labelled",
    "Limits",
    "TEMPLATES",
    "Oracle",
    "Unlabelled",
    "as_oracle",
    "collect_jobs",
    "label",
    "open_oracle",
    "write_jobs",
]
