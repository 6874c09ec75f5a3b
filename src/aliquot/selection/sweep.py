"""Greedy choice where every candidate has a value for every pick, because no stale value bounds a new one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aliquot.progress import Progress, silent
from aliquot.selection.greedy import TIE
from aliquot.selection.request import Request

__all__ = ["sweep"]


def sweep(
    request: Request,
    values: Callable[[], NDArray[np.float64]],
    absorb: Callable[[int], None],
    *,
    strategy: str = "plain",
    scale: float = 0.0,
    progress: Progress = silent,
) -> NDArray[np.int64]:
    """Choose, again and again, the open candidate of the largest value, and absorb it.

    Parameters
    ----------
    request : Request
        Who may be chosen, and how many. With a budget, a largest value of 0 ends the run.
    values : callable
        Value of every candidate now.
    absorb : callable
        Takes the pick.
    strategy : {"plain", "per cost"}
    scale : float
        Values of this size are rounded like 1; values equal to 1e-9 of it, or of the best, are ties, which go
        to the smaller content hash.
    """
    table = request.candidates
    rank = np.empty(len(table), np.int64)
    rank[np.lexsort((np.arange(len(table)), table.ids.hash))] = np.arange(len(table))
    index: list[int] = []
    for k, mask in request.phases():
        ledger = request.ledger(strategy, mask)
        open_, price = (mask.copy(), None) if ledger is None else (ledger.open, ledger.price)
        done = 0
        while done < k and open_.any():
            worth = np.where(open_, values() if price is None else values() / price, -np.inf)
            best = float(worth.max())
            if best == 0.0 and request.budget is not None:
                break
            tied = np.flatnonzero(worth >= best - TIE * max(scale, abs(best)))
            pick = int(tied[np.argmin(rank[tied])])
            if ledger is None:
                open_[pick] = False
            elif ledger.admits(pick):
                ledger.enter(pick)
                open_ = ledger.open
            else:
                continue
            absorb(pick)
            index.append(pick)
            done += 1
            progress("select", len(index), request.n)
        if ledger is not None:
            ledger.check_complete(request.n)
    return np.array(index, np.int64)
