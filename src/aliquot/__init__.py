"""Choose which atomic structures are worth a DFT calculation, and know why.

The names below are imported when first used, so that ``import aliquot`` and ``aliquot --help`` are quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aliquot.errors import AliquotError as AliquotError
    from aliquot.features import featurize as featurize
    from aliquot.report import write_report as write_report
    from aliquot.selection import Selection as Selection
    from aliquot.selection import select as select
    from aliquot.structures import Frames as Frames
    from aliquot.structures import read as read
    from aliquot.structures import write as write
    from aliquot.table import Features as Features

__version__ = "0.1.0"

_HOME = {
    "AliquotError": "errors",
    "Features": "table",
    "Frames": "structures",
    "Selection": "selection",
    "featurize": "features",
    "read": "structures",
    "select": "selection",
    "write": "structures",
    "write_report": "report",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'aliquot' has no attribute {name!r}")
    return getattr(import_module(f"aliquot.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
