"""What does an indicator cost in dynamics? µs per atom beside the forces, which are computed anyway.

One core, the least CPU time of several calls, the neighbour list at hand. Grade and leverage take the values of the
functions that the forces need too. Spreads of a posterior or of a committee with the functions of the potential need
the derivatives of all of them, or a force call per member: the cheaper counts. Members of an ensemble share nothing but
the neighbour list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.structures import Frames
from aliquot.structures.neighbours import Neighbours, neighbours
from aliquot.uncertainty import LinearSites, Spread, Uncertainty
from aliquot.uncertainty.active import grades
from aliquot.uncertainty.leverage import leverage
from aliquot.uncertainty.spread import columns_of

__all__ = ["microseconds"]

Array = NDArray[np.float64]


def microseconds(
    known: Uncertainty,
    full: Uncertainty,
    committees: dict[str, Spread],
    ensemble: Sequence[AcePotential],
    sizes: Sequence[int],
    frames: Frames,
    *,
    repeats: int = 7,
) -> dict[str, float]:
    """µs per atom of the largest structure: ``forces``, and each indicator beside them.

    Parameters
    ----------
    known, full : Uncertainty
        Of the selected functions, with the posterior; of the full basis.
    committees : dict of str to Spread
    ensemble : sequence of AcePotential
    sizes : sequence of int
        Of ensembles: so many of the first members.
    frames : Frames
    repeats : int
    """
    i = int(np.argmax(frames.sizes))
    n = int(frames.sizes[i])
    potential = known.potential
    atoms = slice(frames.offsets[i], frames.offsets[i + 1])
    numbers = frames.numbers[atoms]
    pairs = _pairs(frames, i, potential.range)

    def best(work: Callable[[], object]) -> float:
        return _least(work, repeats) / n * 1e6

    forces = best(lambda: potential.evaluate(numbers, pairs, threads=1))
    values = np.empty((n, len(potential.pruned.basis.functions)))
    species = potential.pruned.basis.species(numbers)

    def beside(matrices: Sequence[Array], apply: Callable[[Array, Array], Array]) -> Callable[[], None]:
        def work() -> None:
            potential.evaluate(numbers, pairs, threads=1, values=values)
            for block in known.sites.split(species, values):
                apply(block.rows, matrices[block.element])

        return work

    columns = columns_of(potential)
    every = len(columns) == len(potential.pruned.basis.functions)

    def by_rows(spread: Spread) -> Callable[[], object]:
        def work() -> object:
            rows = known.sites.evaluator.rows(frames, i).forces
            return spread.std(rows if every else rows[..., columns])

        return work

    graded = best(beside([a.inverse for a in known.active], grades)) - forces
    out = {
        "forces": forces,
        "gamma": graded,
        "gamma, no guard": graded,
        "gamma, full basis": best(_alone(full.sites, [a.inverse for a in full.active], frames, i)),
        "leverage": best(beside(list(known.leverages), leverage)) - forces,
    }
    assert known.spread is not None
    out["posterior"] = best(by_rows(known.spread))
    for name, spread in committees.items():
        members = [_moved(potential, deviation) for deviation in spread.deviations]
        out[name] = min(best(by_rows(spread)), best(_together(members, numbers, pairs)))
    for size in sizes:
        some = ensemble[:size]
        wide = _pairs(frames, i, max(member.range for member in some))
        out[f"ensemble of {size}"] = best(_together(some, numbers, wide))
    return {name: max(value, 0.0) for name, value in out.items()}


def _pairs(frames: Frames, i: int, reach: float) -> Neighbours:
    atoms = slice(frames.offsets[i], frames.offsets[i + 1])
    return neighbours(frames.positions[atoms], frames.cells[i], frames.pbc[i], reach)


def _alone(sites: LinearSites, matrices: Sequence[Array], frames: Frames, i: int) -> Callable[[], None]:
    """Grades where the forces do not bring the functions along."""

    def work() -> None:
        for block in sites.blocks(frames, i):
            grades(block.rows, matrices[block.element])

    return work


def _together(
    members: Sequence[AcePotential], numbers: NDArray[np.integer[Any]], pairs: Neighbours
) -> Callable[[], object]:
    return lambda: [member.evaluate(numbers, pairs, threads=1) for member in members]


def _moved(potential: AcePotential, deviation: Array) -> AcePotential:
    """A member of a committee: the potential with other coefficients for the same functions."""
    coefficients = potential.coefficients.copy()
    coefficients[coefficients != 0.0] += deviation
    return replace(potential, coefficients=coefficients, precision=None)


def _least(work: Callable[[], object], repeats: int) -> float:
    work()
    times: list[float] = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)
