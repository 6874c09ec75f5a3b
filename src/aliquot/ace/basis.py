r"""Which functions make up an ACE basis, what they are called and how smooth they are believed to be.

A basis function of correlation order :math:`\nu` around atom i is an invariant product of atomic densities,

.. math:: B_i = \sum_{m_1 \ldots m_\nu} C_{m_1 \ldots m_\nu} \prod_{t=1}^{\nu} A_{i\,c_t n_t l_t m_t}, \qquad
          A_{i\,c n l m} = \sum_{j} W_{c z_j}\, R_n(r_{ij})\, Y_{lm}(\hat r_{ij}),

with orthonormal real harmonics Y, unit-norm couplings C (:mod:`aliquot.ace.coupling`) and *channels* c: one
per element by default (W the identity), or fewer when elements are embedded. A function belongs to the basis
if the *level* of its factors, :math:`\sum_t (n_t + w_l l_t)`, is at most the degree of its order. This is the
one normalisation used everywhere; it differs from PACE's by one constant per function.

The smoothness prior is :math:`\Gamma = \sum_t [n_t^p + (w_l l_t)^p]`, an inverse standard deviation of the
coefficient up to one common factor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import comb, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.coupling import invariants
from aliquot.ace.radial import AgnesiJacobi, bond_length
from aliquot.errors import InputError
from aliquot.table import recipe_hash

__all__ = ["AceBasis", "Factor", "Function", "count_functions"]

#: A basis of more functions than this is refused: its tables alone would take gigabytes.
MAX_FUNCTIONS = 400_000


class Factor(NamedTuple):
    """One factor of a product: density channel, radial index (from 1) and angular momentum."""

    channel: int
    n: int
    l: int


class Function(NamedTuple):
    """One basis function: its factors in ascending order, and the intermediate L (−1 below order 4)."""

    factors: tuple[Factor, ...]
    L: int

    @property
    def order(self) -> int:
        """Correlation order: number of neighbours that interact."""
        return len(self.factors)


def _levels(degree: float, weight_l: float) -> list[tuple[float, int, int]]:
    """(level, n, l) of every radial–angular pair with level up to ``degree``, ascending."""
    return sorted(
        (n + weight_l * l, n, l)
        for l in range(int((degree - 1) / weight_l + 1e-9) + 1)
        for n in range(1, int(degree - weight_l * l + 1e-9) + 1)
    )


def _products(order: int, degree: float, weight_l: float) -> Iterator[tuple[tuple[int, int], ...]]:
    """Every multiset of (n, l) of one order within the degree whose l can couple to an invariant."""
    singles = _levels(degree, weight_l)

    def extend(
        start: int, chosen: tuple[tuple[int, int], ...], room: float
    ) -> Iterator[tuple[tuple[int, int], ...]]:
        missing = order - len(chosen)
        if missing == 0:
            ls = sorted(l for _, l in chosen)
            if sum(ls) % 2 == 0 and ls[-1] <= sum(ls[:-1]):
                yield chosen
            return
        for i in range(start, len(singles)):
            level, n, l = singles[i]
            if level * missing > room + 1e-9:
                break
            yield from extend(i, (*chosen, (n, l)), room - level)

    yield from extend(0, (), degree)


def count_functions(
    degree: tuple[float, ...], channels: int, *, weight_l: float = 1.5, stop_at: int | None = None
) -> int:
    """Number of basis functions per centre, without building them (exact up to order 3, a bound for order 4).

    Parameters
    ----------
    degree : tuple of float
        Largest level of each correlation order, from order 1.
    channels : int
    stop_at : int, optional
        Stop counting beyond this number.

    Examples
    --------
    >>> [count_functions((d, d, d), 1) for d in (12, 16, 19)]
    [211, 668, 1429]
    """
    total = 0
    for order, largest in enumerate(degree, start=1):
        for product in _products(order, largest, weight_l):
            assignments = prod(comb(channels + r - 1, r) for r in Counter(product).values())
            per_class = 1 if order < 4 else len(invariants(tuple(l for _, l in product), tuple(range(4))))
            total += assignments * per_class
            if stop_at is not None and total > stop_at:
                return total
    return total


@dataclass(frozen=True)
class AceBasis:
    """A linear ACE basis for stated elements.

    Parameters
    ----------
    elements : tuple of int
        Atomic numbers, ascending.
    cutoff : float
        Å; one for all pairs.
    degree : tuple of float
        Largest level of each correlation order, e.g. ``(16, 16, 16)``; its length is the order, 1 to 4.
    weight_l : float
        Weight of l in the level.
    radial : AgnesiJacobi
        Radial family.
    bond_lengths : tuple of float, optional
        r₀ of each element, Å; of a pair: the mean. From :func:`~aliquot.ace.radial.bond_length` if not given.
    embedding : tuple of tuples of float, optional
        W, one row per channel, one column per element; the identity if not given.
    prior_power : float
        Exponent p of the smoothness prior.

    Raises
    ------
    InputError
        For a cutoff or degree that leaves no function, unordered elements, or too large a basis.

    Examples
    --------
    >>> basis = AceBasis(elements=(14,), cutoff=5.5, degree=(12, 12, 12))
    >>> len(basis.functions), basis.names[:2]
    (211, ('Si(1,0)', 'Si(2,0)'))
    """

    elements: tuple[int, ...]
    cutoff: float
    degree: tuple[float, ...]
    weight_l: float = 1.5
    radial: AgnesiJacobi = field(default_factory=AgnesiJacobi)
    bond_lengths: tuple[float, ...] | None = None
    embedding: tuple[tuple[float, ...], ...] | None = None
    prior_power: float = 4.0

    def __post_init__(self) -> None:
        if not self.elements or tuple(sorted(set(self.elements))) != self.elements:
            raise InputError(
                f"elements must be distinct atomic numbers in ascending order; got {self.elements}"
            )
        if not (np.isfinite(self.cutoff) and self.cutoff > 0):
            raise InputError(f"the cutoff must be a positive distance in Å; got {self.cutoff}")
        if not 1 <= len(self.degree) <= 4:
            raise InputError(f"correlation order {len(self.degree)} is not implemented; orders 1 to 4 are")
        if self.weight_l <= 0:
            raise InputError(f"the weight of l must be positive; got {self.weight_l}")
        if any(d < order for order, d in enumerate(self.degree, start=1)):
            raise InputError(
                f"degree {self.degree} leaves an order without functions: order ν needs at least ν"
            )
        if self.embedding is not None and any(len(row) != len(self.elements) for row in self.embedding):
            raise InputError(f"an embedding needs {len(self.elements)} columns, one per element")
        size = count_functions(self.degree, self.n_channels, weight_l=self.weight_l, stop_at=MAX_FUNCTIONS)
        if size > MAX_FUNCTIONS:
            raise InputError(
                f"degree {self.degree} with {self.n_channels} channels has more than {MAX_FUNCTIONS}"
                " functions per element; lower the degree or the order, or embed the elements"
            )

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def order(self) -> int:
        """Highest correlation order."""
        return len(self.degree)

    @property
    def n_channels(self) -> int:
        """Density channels."""
        return len(self.elements) if self.embedding is None else len(self.embedding)

    @cached_property
    def channel_weights(self) -> NDArray[np.float64]:
        """W, (n_channels, n_elements)."""
        return np.eye(len(self.elements)) if self.embedding is None else np.array(self.embedding, float)

    @cached_property
    def r0(self) -> NDArray[np.float64]:
        """Bond length of every pair of elements, (n_elements, n_elements), Å."""
        own = self.bond_lengths or tuple(bond_length(z) for z in self.elements)
        return 0.5 * (np.array(own)[:, None] + np.array(own)[None, :])

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """All functions: by order, then level, then factors. The same list serves every centre."""
        found: list[tuple[int, float, Function]] = []
        for order, largest in enumerate(self.degree, start=1):
            for product in _products(order, largest, self.weight_l):
                level = sum(n + self.weight_l * l for n, l in product)
                for factors in self._assignments(product):
                    same = tuple(factors.index(f) for f in factors)
                    for big, _ in invariants(tuple(f.l for f in factors), same):
                        found.append((order, level, Function(factors, big)))
        found.sort(key=lambda item: (item[0], item[1], item[2]))
        return tuple(f for _, _, f in found)

    def _assignments(self, product: tuple[tuple[int, int], ...]) -> list[tuple[Factor, ...]]:
        """Every distinct way to give the factors of a product their channels; factors by (l, n, c)."""
        sets: set[tuple[Factor, ...]] = {()}
        for n, l in product:
            sets = {(*s, Factor(c, n, l)) for s in sets for c in range(self.n_channels)}
        key = lambda f: (f.l, f.n, f.channel)  # noqa: E731
        return sorted({tuple(sorted(s, key=key)) for s in sets})

    @cached_property
    def prior(self) -> NDArray[np.float64]:
        """Smoothness prior Γ of every function, (n_functions,)."""
        p, w = self.prior_power, self.weight_l
        return np.array(
            [sum(f.n**p + (w * f.l) ** p for f in function.factors) for function in self.functions]
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Printable names: ``Si(2,1)Si(3,1)``, with the neighbour (or ``c0``, …), n and l; L for order 4."""
        from ase.data import chemical_symbols

        labels = (
            [chemical_symbols[z] for z in self.elements]
            if self.embedding is None
            else [f"c{k}" for k in range(self.n_channels)]
        )
        return tuple(
            "".join(f"{labels[f.channel]}({f.n},{f.l})" for f in function.factors)
            + (f"L{function.L}" if function.L >= 0 else "")
            for function in self.functions
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable specification, complete enough to make the same basis again."""
        return {
            "basis": "ace",
            "version": 1,
            "elements": list(self.elements),
            "cutoff": self.cutoff,
            "degree": list(self.degree),
            "weight_l": self.weight_l,
            "radial": self.radial.to_dict(),
            "bond_lengths": np.diag(self.r0).tolist(),
            "embedding": None if self.embedding is None else [list(row) for row in self.embedding],
            "prior_power": self.prior_power,
        }

    @property
    def hash(self) -> str:
        """Identifies the basis."""
        return recipe_hash(self.to_dict())

    def species(self, numbers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Position in ``elements`` of every atomic number.

        Raises
        ------
        InputError
            If a number is not an element of this basis.
        """
        known = np.array(self.elements)
        position = np.searchsorted(known, numbers).clip(max=len(known) - 1)
        wrong = np.flatnonzero(known[position] != numbers)
        if len(wrong):
            raise InputError(
                f"atom {wrong[0]} has atomic number {int(numbers[wrong[0]])}, which is not among the elements"
                f" of the basis, {self.elements}"
            )
        return position.astype(np.int64)
