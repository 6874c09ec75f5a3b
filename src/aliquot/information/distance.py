r"""How far a structure is from everything already known: the information of farthest-point sampling.

The gain of a candidate is the Euclidean distance of its point to the nearest absorbed point, in
smoothness-scaled coordinates. The point of a candidate of several rows is the mean of its observable rows
(its energy rows, or all of its rows where it has none). Noise weights play no part.

Distances can only shrink, so a stale value is an upper bound. Panels of distances come from
:math:`|x|^2 - 2 x\cdot p + |p|^2` by matrix products; the cancellation in it is bounded, and exact values are
sums of squared differences with the few points that can be nearest.

References
----------
T. F. Gonzalez, Theor. Comput. Sci. 38, 293 (1985), doi:10.1016/0304-3975(85)90224-5
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.information.blocks import Blocks, Part

__all__ = ["Distance"]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_PANEL_ENTRIES = 1 << 21  # entries of one panel of distances: 16 MB
_ROUNDING = 2.0 * float(np.finfo(np.float64).eps)


class Distance:
    """Distance to the nearest absorbed point; infinite while there is none.

    Parameters
    ----------
    n_features : int

    Examples
    --------
    >>> distance = Distance(2)
    >>> distance.absorb(Blocks.from_rows([[0.0, 0.0], [3.0, 0.0]]))
    >>> distance.gain(Blocks.from_rows([[0.0, 1.0], [3.0, 4.0]]))
    array([1., 4.])
    """

    bound: ClassVar[bool] = True
    objective: ClassVar[bool] = False
    unit: ClassVar[str] = "distance"

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features
        self._points: Matrix = np.empty((0, n_features))
        self._squares: Vector = np.empty(0)  # |p|²
        self._clock = [0]  # points absorbed at each tick

    @property
    def absorbed(self) -> int:
        """Clock of :meth:`tighten`."""
        return len(self._clock) - 1

    @property
    def points(self) -> Matrix:
        """Absorbed points, (points, features)."""
        return self._points[: self._clock[-1]]

    def gain(self, blocks: Blocks) -> Vector:
        """Distance of each candidate to the nearest absorbed point, from squared differences."""
        x = blocks.observed_mean(blocks.x)
        nearest = np.full(len(x), np.inf)
        for points in self._panels(0, len(x)):
            shifted, own, allowance = self._panel(x, points)
            bound = np.minimum(shifted.min(axis=1), nearest - own) + 2.0 * allowance
            rows, columns = np.nonzero(shifted <= bound[:, None])
            for some in range(0, len(rows), 4096):
                i, j = rows[some : some + 4096], columns[some : some + 4096]
                exact = np.square(x[i] - self._points[points][j]).sum(axis=1)
                np.minimum.at(nearest, i, exact)
        return np.sqrt(nearest)

    def tighten(self, blocks: Blocks, bound: Vector, *, since: NDArray[np.int64]) -> Vector:
        """Upper bounds now, from the points absorbed since; 2 d flops for each of them and each candidate."""
        x = blocks.observed_mean(blocks.x)
        nearest = np.square(bound)
        for points in self._panels(self._clock[int(since.min())], len(x)):
            shifted, own, allowance = self._panel(x, points)
            nearest = np.minimum(nearest, np.maximum(shifted.min(axis=1) + own, 0.0) + allowance)
        return np.sqrt(nearest)

    def lower(self, part: Part, bound: Vector, *, since: NDArray[np.int64]) -> None:
        """Not from stored rows."""

    def absorb(self, blocks: Blocks) -> None:
        """Add the point of each of these candidates."""
        count, new = self._clock[-1], blocks.observed_mean(blocks.x)
        if count + len(new) > len(self._points):
            room = np.empty((max(16, 2 * count, count + len(new)), self.n_features))
            room[:count] = self.points
            self._points = room
            self._squares = np.resize(self._squares, len(room))
        self._points[count : count + len(new)] = new
        self._squares[count : count + len(new)] = np.einsum("ij,ij->i", new, new)
        self._clock.append(count + len(new))

    def merge(self, other: Distance) -> Distance:
        """Points of both; there is no prior."""
        if self.n_features != other.n_features:
            raise InputError(f"points of {self.n_features} and {other.n_features} features cannot be merged")
        merged = self.copy()
        merged.absorb(Blocks.from_rows(other.points))
        return merged

    def copy(self) -> Distance:
        """An independent copy."""
        twin = Distance(self.n_features)
        twin._points, twin._squares = self._points.copy(), self._squares.copy()
        twin._clock = list(self._clock)
        return twin

    def reader(self, since: int) -> Distance:
        """What another process needs: the points, without room for more."""
        twin = Distance(self.n_features)
        twin._points, twin._squares = self.points, self._squares[: len(self.points)]
        twin._clock = list(self._clock)
        return twin

    def _panels(self, first: int, n: int) -> list[slice]:
        """Slices of the points from ``first`` on, so that a panel with ``n`` candidates stays small."""
        stop, step = self._clock[-1], max(1, _PANEL_ENTRIES // max(1, n))
        return [slice(k, min(k + step, stop)) for k in range(first, stop, step)]

    def _panel(self, x: Matrix, points: slice) -> tuple[Matrix, Vector, Vector]:
        """Squared distances less |x|², (candidates, points); |x|²; how far rounding can have moved them."""
        own: Vector = np.einsum("ij,ij->i", x, x)
        shifted: Matrix = x @ self._points[points].T
        shifted *= -2.0
        shifted += self._squares[points]
        allowance = _ROUNDING * (self.n_features + 8) * (own + self._squares[points].max())
        return shifted, own, allowance
