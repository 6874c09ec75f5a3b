"""From a few structures to a potential: explore, select, label, fit, test, and again until a stated goal."""

from aliquot.campaign.folder import read_history
from aliquot.campaign.loop import run
from aliquot.campaign.reading import read_settings, settings_from
from aliquot.campaign.record import History, Round
from aliquot.campaign.settings import (
    Choosing,
    Exploring,
    Fitting,
    Goal,
    Labelling,
    Settings,
    Structures,
)

__all__ = [
    "Choosing",
    "Exploring",
    "Fitting",
    "Goal",
    "History",
    "Labelling",
    "Round",
    "Settings",
    "Structures",
    "read_history",
    "read_settings",
    "run",
    "settings_from",
]
