r"""Which atoms see which, along a trajectory: one search, used until the atoms have moved too far.

The search finds every pair within cutoff + skin and keeps it with the cell shift S. At each later step the vectors
:math:`d_{ij} = x_j - x_i + S H` follow from the new positions x and cell H, and pairs beyond the cutoff are
dropped, in one compiled pass. The list misses nothing while

.. math:: 2 \max_i |u_i| \le \sigma_{min}(F)\,(\text{cutoff} + \text{skin}) - \text{cutoff}, \qquad
          x = x_0 F + u, \quad F = H_0^{-1} H,

with :math:`x_0, H_0` those of the search and :math:`\sigma_{min}` the smallest singular value: a pair that was too
far then is too far now. With a fixed cell this is the usual half of the skin; a breathing cell of constant-pressure
dynamics does not force a search at every step.

References
----------
L. Verlet, Phys. Rev. 159, 98 (1967), doi:10.1103/PhysRev.159.98.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.structures.neighbours import Neighbours

__all__ = ["VerletList", "spanning_cell"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Search:
    """What one search found, and where the atoms were.

    Pairs ``first[i]:first[i + 1]`` of ``index`` and ``shift`` have atom i at their centre; ``shift`` is a row of
    ``shifts`` (·, 3), whole lattice vectors.
    """

    fractional: Array
    cell: Array
    periodic: NDArray[np.bool_]
    first: NDArray[np.int64]
    index: NDArray[np.int32]
    shift: NDArray[np.int32]
    shifts: Array


class VerletList:
    """Neighbours of every atom within a cutoff, found again only when needed.

    Parameters
    ----------
    cutoff : float, Å
    skin : float, Å
        How much farther the search looks; 0 searches at every call.

    Notes
    -----
    Memory: 8 bytes for each pair within cutoff + skin and 32 for the pair that is handed out. An atom that was put
    back into the cell, by any lattice vector, has not moved.

    Examples
    --------
    >>> pairs = VerletList(3.0, skin=0.5)
    >>> positions, cell = np.array([[0.0, 0, 0], [0, 0, 2.9]]), np.diag([9.0, 9, 9])
    >>> [len(pairs.update(positions * x, cell, np.ones(3, bool)).index) for x in (1.0, 1.04, 1.05)]
    [2, 0, 0]
    >>> pairs.searches
    1
    """

    def __init__(self, cutoff: float, skin: float = 0.5) -> None:
        if not (np.isfinite(cutoff) and cutoff > 0):
            raise InputError(f"the cutoff must be a positive distance in Å; got {cutoff}")
        if not (np.isfinite(skin) and skin >= 0):
            raise InputError(f"the skin must be a distance in Å, zero or more; got {skin}")
        self.cutoff, self.skin = float(cutoff), float(skin)
        #: Searches made so far.
        self.searches = 0
        self._search: _Search | None = None
        self._out: Neighbours | None = None

    def update(self, positions: Array, cell: Array, pbc: NDArray[Any]) -> Neighbours:
        """Neighbours within the cutoff at these positions; the arrays are overwritten by the next call.

        Parameters
        ----------
        positions : (n_atoms, 3) array, Å
        cell : (3, 3) array, Å
            Lattice vectors as rows; rows of axes that are not periodic are not read.
        pbc : (3,) array of bool

        Raises
        ------
        InputError
            If a position is not finite or the periodic lattice vectors do not span a volume.
        """
        positions = np.ascontiguousarray(positions, np.float64)
        periodic = np.asarray(pbc, bool)
        bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
        if len(bad):
            raise InputError(f"position of atom {bad[0]} is {positions[bad[0]]}; it must be finite")
        cell = spanning_cell(cell, periodic)
        unwrapped = None if self.skin == 0.0 else self._follow(positions, cell, periodic)
        if unwrapped is None:
            unwrapped = self._find(positions, cell, periodic)
        return self._within(unwrapped, cell)

    def _follow(self, positions: Array, cell: Array, periodic: NDArray[np.bool_]) -> Array | None:
        """Positions next to those of the last search; None if that does not serve any more."""
        from aliquot.ace.verlet_kernel import follow

        last = self._search
        if last is None or len(last.fractional) != len(positions):
            return None
        if not np.array_equal(last.periodic, periodic):
            return None
        smallest = np.linalg.svd(np.linalg.solve(last.cell, cell), compute_uv=False)[-1]
        room = smallest * (self.cutoff + self.skin) - self.cutoff
        unwrapped = np.empty_like(positions)
        moved = follow(positions, cell, np.linalg.inv(cell), periodic, last.fractional, unwrapped)
        return unwrapped if 2.0 * moved <= room else None

    def _find(self, positions: Array, cell: Array, periodic: NDArray[np.bool_]) -> Array:
        """Search; positions inside the cell."""
        from vesin import NeighborList

        fractional = positions @ np.linalg.inv(cell)
        whole = np.where(periodic, np.floor(fractional), 0.0)
        unwrapped = positions - whole @ cell
        search = NeighborList(cutoff=self.cutoff + self.skin, full_list=True, sorted=True)
        centre, index, steps = search.compute(points=unwrapped, box=cell, periodic=periodic, quantities="ijS")
        low = steps.min(axis=0, initial=0)
        width = steps.max(axis=0, initial=0) - low + 1
        code = np.asarray(np.ravel_multi_index(tuple((steps - low).T), tuple(width)))
        self._search = _Search(
            fractional=fractional - whole,
            cell=cell,
            periodic=periodic,
            first=np.searchsorted(centre, np.arange(len(positions) + 1)).astype(np.int64),
            index=index.astype(np.int32),
            shift=code.astype(np.int32),
            shifts=np.indices(tuple(width)).reshape(3, -1).T + low.astype(np.float64),
        )
        n = len(index)
        self._out = Neighbours(
            np.empty(len(positions) + 1, np.int64), np.empty(n, np.int64), np.empty((n, 3))
        )
        self.searches += 1
        return unwrapped

    def _within(self, unwrapped: Array, cell: Array) -> Neighbours:
        """Vectors of the pairs that are within the cutoff now."""
        from aliquot.ace.verlet_kernel import within

        search, out = self._search, self._out
        assert search is not None
        assert out is not None
        count = within(
            search.first,
            search.index,
            search.shift,
            search.shifts @ cell,
            unwrapped,
            self.cutoff**2,
            out.first,
            out.index,
            out.vectors,
        )
        return Neighbours(out.first, out.index[:count], out.vectors[:count])


def spanning_cell(cell: Array, periodic: NDArray[np.bool_]) -> Array:
    """Lattice vectors with the rows of non-periodic axes replaced by unit vectors normal to the others.

    Raises
    ------
    InputError
        If the rows of the periodic axes are not finite, or depend on each other.
    """
    from ase.geometry import complete_cell

    cell = np.where(periodic[:, None], np.asarray(cell, np.float64), 0.0)
    if not np.all(np.isfinite(cell)):
        raise InputError(f"the lattice vectors must be finite numbers; got {cell.tolist()}")
    out = np.array(complete_cell(cell), np.float64)
    flat = abs(np.linalg.det(out)) <= 1e-10 * np.linalg.norm(out, axis=1).prod()
    if flat or not np.array_equal(cell.any(axis=1), periodic):
        raise InputError(
            f"the lattice vectors of periodic axes {np.flatnonzero(periodic).tolist()} do not span a cell:"
            f" {cell.tolist()}; give them, or set pbc to False there"
        )
    return out
