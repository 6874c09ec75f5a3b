"""Which silicon surfaces to label: the study of Rocke and Kermode, with every method on the same held-out protocol.

Known are 490 frames of bulk silicon; N of 186 surface frames are chosen and labelled; a linear ACE potential is fitted
and judged by its errors and by the energies of three surfaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from aliquot.studies.data import Data
from aliquot.studies.silicon_surfaces.conclude import conclude
from aliquot.studies.silicon_surfaces.measure import Measure
from aliquot.studies.silicon_surfaces.methods import choices, ways_of
from aliquot.studies.silicon_surfaces.published import cur_scores
from aliquot.studies.silicon_surfaces.settings import CONTROLLED, WHOLE, Settings, cost, set_aside, tasks
from aliquot.studies.silicon_surfaces.stock import Stock, prepare

__all__ = ["REVISION", "Settings", "conclude", "cost", "prepare", "tasks", "work"]

REVISION: Final = 1

#: Groups that ask what other descriptors to choose by would change; all others are one comparison, M.
_DESCRIPTORS: Final = ("small", "large", "net-core", "net-total")


def work(settings: Settings, data: Data, place: Path, task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All methods of one group in one repeat: one row for every method and budget."""
    frames = data.read(settings.sets[0])
    repeat, group = int(task["repeat"]), str(task["group"])
    pool, held = set_aside(settings, frames, repeat)
    stock = Stock(settings, frames, place)
    whole = (
        group == "whole"
    )  # as published: nothing is set aside, and only the draws differ from repeat to repeat
    if whole:
        pool, held = stock.candidates, stock.candidates[:0]
    measure = Measure(stock, held)
    rows: list[dict[str, Any]] = []
    spread = (
        float(np.ptp(cur_scores(np.array(stock.array("M-means")[pool])))) if group == "published" else None
    )
    for way in ways_of(group):
        if (settings.methods and way.name not in settings.methods) or (
            whole and repeat and way.method != "random"
        ):
            continue
        features = WHOLE if whole else way.features if group in _DESCRIPTORS else "M"
        for n, chosen in choices(stock, way, pool, repeat):
            told: dict[str, Any] = {"features": features, "method": way.name, "n": n}
            if way.name == "published-cur":
                told["spread_of_scores"] = spread
            if way.features.startswith("net"):
                told["network_rmse_meV"] = 1e3 * float(stock.array(f"{way.features}-left"))
            rows.append({**told, "control": "", **measure.of(chosen)})
            if way.name in CONTROLLED and features == "M" and settings.control:
                rows.append({**told, "control": "offset", **measure.of(chosen, offset=True)})
    return rows
