"""Random selection: the baseline that every other method has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from aliquot.progress import Progress, silent
from aliquot.selection.method import Method
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["CATALOGUE", "Random"]


@dataclass(frozen=True)
class Random:
    """Uniformly at random without replacement, from the candidates that are new.

    Structures that are already known, and repetitions within the pool, are drawn only when nothing else is
    left. Every ordered choice of ``n`` new candidates is equally likely, so each prefix is a random choice too.
    """

    def select(
        self,
        candidates: Features,
        n: int,
        *,
        known: Features | None = None,
        cost: Any = None,
        groups: Any = None,
        rng: np.random.Generator,
        progress: Progress = silent,
    ) -> Selection:
        """Draw ``n`` candidates; see :class:`aliquot.selection.Selector`.

        Examples
        --------
        >>> import numpy as np
        >>> pool = Features.from_array(np.eye(5))
        >>> len(Random().select(pool, 3, rng=np.random.default_rng(0)))
        3
        """
        start = perf_counter()
        request = Request.check(candidates, n, known=known, cost=cost, groups=groups)
        drawn = [rng.permutation(np.flatnonzero(mask))[:k] for k, mask in request.phases()]
        index = np.concatenate([np.empty(0, np.int64), *drawn]).astype(np.int64)
        progress("select", n, n)
        return request.answer(
            index,
            method="random",
            recipe={"method": "random"},
            nested=True,
            timings={"select": perf_counter() - start},
        )


CATALOGUE = {
    "random": Method(
        Random, "uniformly at random, without replacement", "N", "8 bytes a candidate", (), gives=("nested",)
    ),
}
