"""Who is left to choose from? Exclusions and near duplicates, for methods that know no constraints themselves.

Leaving candidates out makes a smaller pool, from which any method can choose. Constraints *between* picks, quotas and
distances, are another matter: only methods that choose one after another keep to those.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.progress import Progress
from aliquot.selection.constraints import Constraints
from aliquot.selection.protocol import Selector
from aliquot.selection.record import Selection
from aliquot.selection.request import Request
from aliquot.table import Features

__all__ = ["select_among"]


def select_among(
    selector: Selector,
    candidates: Features,
    n: int,
    groups: Constraints,
    *,
    known: Features | None,
    rng: np.random.Generator,
    progress: Progress,
    **more: Any,
) -> Selection:
    """The choice of ``selector`` from the candidates that take part.

    As with every constraint, known and repeated candidates take no part either. The rows of those that do are held
    in memory.

    ``more`` is for :meth:`Selector.select`: an executor.

    Raises
    ------
    SelectionError
        If fewer than ``n`` are left.
    """
    request = Request.check(candidates, 0, known=known, groups=groups, heeds=True)
    left = np.flatnonzero(request.distinct)
    if n > len(left):
        raise SelectionError(
            f"cannot select {n} of {len(candidates)} candidates: {len(left)} are left after repetitions, known"
            " structures and exclusions; lower n or relax what excludes them"
        )
    chosen = _for(selector, len(candidates), left).select(
        candidates[left], n, known=known, rng=rng, progress=progress, **more
    )
    return replace(
        chosen,
        index=left[chosen.index],
        pool_size=len(candidates),
        pool_hash=candidates.ids.digest(),
        recipe={**chosen.recipe, "constraints": groups.words()},
        notes=tuple(dict.fromkeys((*request.notes, *chosen.notes))),
    )


def _for(selector: Selector, n: int, left: NDArray[np.int64]) -> Selector:
    """The method with those hyper-parameters that are a number for each of n candidates cut to who is left."""
    own: Any = selector
    given = {f.name: getattr(own, f.name) for f in fields(own) if "ArrayLike" in str(f.type)}
    cut = {name: np.asarray(v)[left] for name, v in given.items() if v is not None and np.shape(v) == (n,)}
    return cast(Selector, replace(own, **cut))
