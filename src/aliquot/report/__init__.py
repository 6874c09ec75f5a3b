"""Tables, figures, one offline page: knows records alone."""

from aliquot.report.compare import write_comparison
from aliquot.report.write import write_report

__all__ = ["write_comparison", "write_report"]
