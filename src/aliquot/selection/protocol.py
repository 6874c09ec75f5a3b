"""What a selector is: hyper-parameters in the constructor, the problem in ``select``, the answer a record."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from aliquot.progress import Progress, silent
from aliquot.selection.record import Selection
from aliquot.table import Features

__all__ = ["Selector"]


class Selector(Protocol):
    """Chooses ``n`` of the candidates.

    Write your own as a frozen dataclass whose fields are its hyper-parameters, and hold it to the contract
    with :func:`aliquot.testing.check_selector`.
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
        """Choose exactly ``n`` different candidates.

        Parameters
        ----------
        candidates : Features
            The pool.
        n : int
        known : Features, optional
            What is already labelled; the choice is made given it.
        cost : Cost or (candidates,) array, optional
        groups : Constraints, optional
            Each refused by methods that cannot heed it. With a budget, ``n`` is an upper limit. A method that names
            ``"executor"`` among what it heeds also takes ``executor``, any :class:`concurrent.futures.Executor`.
        rng : numpy.random.Generator
            The only source of randomness.
        progress : Progress

        Raises
        ------
        SelectionError
            If the choice cannot be made as asked; the message says why, with numbers.
        """
        ...
