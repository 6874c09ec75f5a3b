"""How a budget is spent: choose a few of many candidates, for stated reasons.

Three things are kept apart: the problem (:func:`select` and its arguments), the method (a
:class:`Selector` such as ``Bayes(score="energy")``) and the answer (a :class:`Selection`).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.progress import Progress, silent
from aliquot.selection import (
    bayes,
    cur,
    direct,
    dpp,
    dpp_map,
    entropy,
    exchange,
    fps,
    kdpp,
    kmeans,
    kmedoids,
    leverage,
    maxvol,
    msc,
    sieve,
    sketch,
    stratified,
    two_level,
    uniform,
)
from aliquot.selection.bayes import Bayes
from aliquot.selection.constraints import Constraints
from aliquot.selection.cost import Cost
from aliquot.selection.cur import CUR
from aliquot.selection.direct import DIRECT
from aliquot.selection.dpp import DPP
from aliquot.selection.dpp_map import DPPMap
from aliquot.selection.entropy import MaxEntropy
from aliquot.selection.exchange import Exchange
from aliquot.selection.fps import FPS
from aliquot.selection.kdpp import KDPP
from aliquot.selection.kmeans import KMeans
from aliquot.selection.kmedoids import KMedoids
from aliquot.selection.leverage import Leverage
from aliquot.selection.maxvol import MaxVol
from aliquot.selection.method import Method
from aliquot.selection.msc import SetCover
from aliquot.selection.narrowed import select_among
from aliquot.selection.protocol import Selector
from aliquot.selection.record import Certificate, Selection, Sensitivity, SuggestedStop
from aliquot.selection.sieve import Sieve
from aliquot.selection.sketch import Sketch
from aliquot.selection.stratified import Stratified
from aliquot.selection.two_level import TwoLevel
from aliquot.selection.uniform import Random
from aliquot.table import Features

__all__ = [
    "CUR",
    "DIRECT",
    "DPP",
    "FPS",
    "KDPP",
    "METHODS",
    "Bayes",
    "Certificate",
    "Constraints",
    "Cost",
    "DPPMap",
    "Exchange",
    "KMeans",
    "KMedoids",
    "Leverage",
    "MaxEntropy",
    "MaxVol",
    "Method",
    "Random",
    "Selection",
    "Selector",
    "Sensitivity",
    "SetCover",
    "Sieve",
    "Sketch",
    "Stratified",
    "SuggestedStop",
    "TwoLevel",
    "select",
    "selector_named",
]


#: Every method by the name that ``select`` and the command line know.
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        name: method
        for module in (
            bayes,
            fps,
            dpp,
            kdpp,
            dpp_map,
            kmeans,
            kmedoids,
            maxvol,
            direct,
            stratified,
            exchange,
            cur,
            leverage,
            uniform,
            entropy,
            msc,
            two_level,
            sieve,
            sketch,
        )
        for name, method in module.CATALOGUE.items()
    }
)


_HEEDED = {
    "cost": "costs",
    "groups": "constraints between picks",
    "executor": "executors: it has no passes over a pool to share",
}


def select(
    candidates: Features,
    n: int | None = None,
    *,
    method: str = "bayes",
    known: Features | None = None,
    cost: Cost | NDArray[np.floating[Any]] | None = None,
    groups: Constraints | None = None,
    seed: int = 0,
    progress: Progress = silent,
    executor: Executor | None = None,
    **parameters: Any,
) -> Selection:
    """Choose ``n`` of the candidates, or as many as a budget buys.

    Parameters
    ----------
    candidates : Features
        The pool.
    n : int, optional
        How many; left out where a budget decides.
    method : str
        One of :data:`METHODS`.
    known : Features, optional
        What is already labelled; the choice is made given it.
    cost : Cost or (candidates,) array, optional
        What each candidate costs: gains are compared per cost; with a budget, that is what is spent.
    groups : Constraints, optional
        Who may be chosen, and with whom. Methods that cannot heed costs or constraints between picks refuse them;
        candidates are left out for every method.
    seed : int
        Same seed, same answer.
    progress : Progress
    executor : concurrent.futures.Executor, optional
        Processes, ``client.get_executor()`` of Dask, or any other: its workers read a pool on disk. The choice is the
        same. Methods without anything to share refuse it.
    **parameters
        Hyper-parameters of the method, such as ``score="energy"``.

    Returns
    -------
    Selection

    Raises
    ------
    SelectionError
        If the method or a parameter is not known, or the choice cannot be made as asked.

    Examples
    --------
    >>> pool = Features.from_array(np.array([[3.0, 0.0], [3.0, 0.1], [0.0, 1.0]]))
    >>> select(pool, 2).index.tolist()
    [1, 2]
    >>> select(pool, 2, method="fps").stop
    '2 of 3 candidates chosen, as asked'
    """
    selector = selector_named(method, parameters)
    alone = isinstance(groups, Constraints) and not groups.binding and "groups" not in METHODS[method].heeds
    for asked, given in (("cost", cost), ("groups", None if alone else groups), ("executor", executor)):
        if given is not None and asked not in METHODS[method].heeds:
            able = ", ".join(name for name, line in METHODS.items() if asked in line.heeds)
            raise SelectionError(
                f"method {method} cannot heed {_HEEDED[asked]}; leave them out or use {able}"
            )
    more: dict[str, Any] = {} if executor is None else {"executor": executor}
    budget = cost.budget if isinstance(cost, Cost) else None
    if n is None and budget is None:
        raise SelectionError("neither n nor a budget is given; say how many to select, or what they may cost")
    if groups is not None and alone and n is not None:
        among = select_among(
            selector,
            candidates,
            n,
            groups,
            known=known,
            rng=np.random.default_rng(seed),
            progress=progress,
            **more,
        )
        return replace(among, seed=seed)
    chosen = selector.select(
        candidates,
        len(candidates) if n is None else n,
        known=known,
        cost=cost,
        groups=groups,
        rng=np.random.default_rng(seed),
        progress=progress,
        **more,
    )
    return replace(chosen, seed=seed)


def selector_named(method: str, parameters: Mapping[str, Any]) -> Selector:
    """The method of this name with these hyper-parameters.

    Raises
    ------
    SelectionError
        If the method or a parameter is not known.
    """
    if method not in METHODS:
        raise SelectionError(f"method {method!r} is not known; choose one of {', '.join(METHODS)}")
    kind = METHODS[method].selector
    accepted = [field.name for field in fields(kind)]
    unknown = sorted(set(parameters) - set(accepted))
    if unknown:
        has = f"it has {', '.join(accepted)}" if accepted else "it has none"
        raise SelectionError(f"method {method} has no parameter {', '.join(unknown)}; {has}")
    return kind(**parameters)
