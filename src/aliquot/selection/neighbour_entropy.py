r"""How evenly do environments fill the space they occupy? Greedy nearest-neighbour entropy.

.. math:: H(S) = \frac1M \sum_i \ln\big(M \min_{j \ne i} |x_i - x_j|\big)

in nat, over the M environments of known and chosen structures. Joining a candidate shortens some nearest-neighbour
distances :math:`\rho_i` and adds its own, so that for every candidate c two numbers are kept,

.. math:: G_c = \sum_i \ln \min\big(\rho_i, |x_i - c|\big), \qquad r_c = \min_i |x_i - c| ,

with minima over all environments of c, and after each pick only the distances to its environments and to those
whose nearest neighbour it has become are computed. Distances are sums of squared differences, without cancellation.

References
----------
M. Karabin and D. Perez, J. Chem. Phys. 153, 094110 (2020), arXiv:2002.07876
L. F. Kozachenko and N. N. Leonenko, Probl. Inf. Transm. 23, 95 (1987)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliquot.information import gather
from aliquot.information.environments import distances, environments, sizes
from aliquot.progress import Progress
from aliquot.selection.request import Request
from aliquot.selection.sweep import sweep
from aliquot.table import Features

__all__ = ["Neighbours", "most_even"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.int64]


class Neighbours:
    """Nearest-neighbour distances within a growing set, and what each candidate would do to them.

    Parameters
    ----------
    table : Features
    floor : float
        Distances below it count as it: equal environments would make the entropy minus infinity.
    """

    def __init__(self, table: Features, *, floor: float) -> None:
        self.table, self.floor = table, floor
        self.points: Matrix = np.empty((0, table.n_features))
        self.rho: Vector = np.empty(0)
        self.kept: Vector = np.zeros(len(table))  # G
        alone = [np.empty(0)]
        for some, _ in table.tiles():
            x, offsets = environments(gather(table, some))
            alone.extend(_nearest_other(part) for part in np.split(x, offsets[1:-1]))
        self.sizes: Indices = sizes(table)
        self.offsets: Indices = np.concatenate(([0], np.cumsum(self.sizes))).astype(np.int64)
        self.nearest: Vector = np.concatenate(alone)  # of each row, among its own structure and the set

    def value(self) -> float:
        """H of the set; minus infinity while there are fewer than two environments."""
        M = len(self.rho)
        if M < 2:
            return -np.inf
        return float(np.log(np.maximum(self.rho, self.floor)).mean() + np.log(M))

    def values(self) -> Vector:
        """H of the set with each candidate joined to it."""
        M = len(self.rho) + self.sizes
        with np.errstate(invalid="ignore"):  # a candidate that would be alone: minus infinity
            own = np.add.reduceat(np.log(np.maximum(self.nearest, self.floor)), self.offsets[:-1])
            joined = (self.kept + own) / M + np.log(M)
        return np.where(M < 2, -np.inf, joined)

    def absorb(self, x: Matrix) -> None:
        """Add environments, (m, features)."""
        new = _nearest_other(x)
        old = self.rho.copy()
        if len(self.points):
            between = distances(self.points, x)
            new = np.minimum(new, between.min(axis=0))
            self.rho = np.minimum(self.rho, between.min(axis=1))
        changed = np.flatnonzero(self.rho < old)
        moved = self.points[changed]
        for some, _ in self.table.tiles():
            rows, offsets = environments(gather(self.table, some))
            to_new, start = distances(rows, x), int(self.offsets[some.start])
            here = slice(start, start + len(rows))
            self.nearest[here] = np.minimum(self.nearest[here], to_new.min(axis=1, initial=np.inf))
            self.kept[some] += self._logs(to_new, offsets, new)
            if len(changed):
                to_moved = distances(rows, moved)
                after = self._logs(to_moved, offsets, self.rho[changed])
                self.kept[some] += after - self._logs(to_moved, offsets, old[changed])
        self.points, self.rho = np.vstack((self.points, x)), np.concatenate((self.rho, new))

    def _logs(self, distance: Matrix, offsets: Indices, rho: Vector) -> Vector:
        """For each candidate, the sum over these environments of the logarithm of what ρ would become."""
        nearest: Matrix = np.minimum.reduceat(distance, offsets[:-1], axis=0)
        return np.log(np.clip(nearest, self.floor, np.maximum(rho, self.floor))).sum(axis=1)


def most_even(
    state: Neighbours, request: Request, *, centre: Vector, progress: Progress
) -> tuple[Indices, list[float]]:
    """Picks in order, and H after each.

    Parameters
    ----------
    state : Neighbours
        Holds what is known.
    request : Request
    centre : (features,) array
        Where nothing has a neighbour yet, the candidate nearest to it is the first.
    """
    path: list[float] = []

    def values() -> Vector:
        entropy = state.values()
        return entropy if np.any(entropy > -np.inf) else -_away(state.table, centre)

    def absorb(pick: int) -> None:
        state.absorb(environments(gather(state.table, np.array([pick])))[0])
        path.append(state.value())

    return sweep(request, values, absorb, scale=1.0, progress=progress), path


def _away(table: Features, centre: Vector) -> Vector:
    """Distance of the mean environment of each candidate to the centre."""
    away = np.empty(len(table))
    for some, _ in table.tiles():
        x, offsets = environments(gather(table, some))
        mean = np.add.reduceat(x, offsets[:-1], axis=0) / np.diff(offsets)[:, None]
        away[some] = np.sqrt(np.square(mean - centre).sum(axis=1))
    return away


def _nearest_other(x: Matrix) -> Vector:
    """Distance of each environment of one structure to the nearest other of it; infinite where there is none."""
    if len(x) < 2:
        return np.full(len(x), np.inf)
    distance = distances(x, x)
    distance[np.diag_indices_from(distance)] = np.inf
    return distance.min(axis=1)
