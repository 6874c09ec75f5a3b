"""Tables, figures, one offline page: knows records alone."""

from aliquot.report.write import write_report

__all__ = ["write_report"]
