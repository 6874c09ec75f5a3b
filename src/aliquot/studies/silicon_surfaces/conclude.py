"""What the study found (to be written)."""
from __future__ import annotations
from aliquot.studies.record import Conclusion
def conclude(settings, results):
    """Empty."""
    return Conclusion("")
