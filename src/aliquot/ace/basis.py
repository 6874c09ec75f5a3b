r"""Which functions make up an ACE basis, what they are called and how smooth they are believed to be.

A basis function of correlation order :math:`\nu` around atom i is an invariant product of atomic densities,

.. math:: B_i = \sum_{m_1 \ldots m_\nu} C_{m_1 \ldots m_\nu} \prod_{t=1}^{\nu} A_{i\,c_t n_t l_t m_t}, \qquad
          A_{i\,c n l m} = \sum_{j} W_{c z_j}\, R_n(r_{ij})\, Y_{lm}(\hat r_{ij}),

with orthonormal real harmonics Y, unit-norm couplings C (:mod:`aliquot.ace.coupling`) and *channels* c: one
per element by default (W the identity), or fewer when elements are embedded. A function belongs to the basis
if the *level* of its factors, :math:`\sum_t (n_t + w_l l_t)`, is at most the degree of its order. This is the
one normalisation used everywhere; it differs from PACE's by one constant per function.

*Pair functions* :math:`B_i = \sum_j R^{pair}_n(r_{ij})`, with radial functions of their own that repel at short
distances, are a separate block of order 1.

The smoothness prior Γ is an inverse standard deviation of the coefficients, up to one common factor:
:math:`\sum_t [n_t^p + (w_l l_t)^p]` (algebraic), :math:`\exp \sum_t (n_t + w_l l_t)` (exponential) or
:math:`\exp \sum_t (n_t^2 + (w_l l_t)^2)/\sigma^2` (Gaussian).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import comb, pi, prod, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.coupling import invariants
from aliquot.ace.radial import AgnesiJacobi, AgnesiPair, RadialFamily, bond_length, radial_from_dict
from aliquot.errors import InputError
from aliquot.table import recipe_hash

__all__ = ["PAIR", "AceBasis", "Factor", "Function", "Prior", "RadialMix", "count_functions"]

#: A basis of more functions than this is refused: its tables alone would take gigabytes.
MAX_FUNCTIONS: Final = 400_000

#: Tables of a typical function of order 3 or 4: its record, and some eight products of 72 bytes.
BYTES_PER_FUNCTION: Final = 1200

#: In place of l: a pair function, which has no angular part.
PAIR: Final = -1


class Factor(NamedTuple):
    """One factor of a product: density channel, radial index (from 1), angular momentum (or :data:`PAIR`)."""

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

    def terms(self) -> tuple[tuple[tuple[int, ...], float], ...]:
        """Its products: (position of m of each factor, coefficient); see :mod:`aliquot.ace.coupling`.

        Raises
        ------
        KeyError
            If there is no such coupling.
        """
        if self.factors[0].l == PAIR:
            return (((0,), sqrt(4 * pi)),)  # undoes the harmonic Y₀₀
        same = tuple(self.factors.index(f) for f in self.factors)
        return dict(invariants(tuple(f.l for f in self.factors), same))[self.L]


@dataclass(frozen=True)
class Prior:
    """Smoothness prior: ``algebraic`` (power p), ``exponential``, or ``gaussian`` (width σ).

    Examples
    --------
    >>> Prior().gamma([(Factor(0, 2, 0), Factor(0, 1, 1))], weight_l=1.5)
    array([22.0625])
    """

    kind: str = "algebraic"
    power: float = 4.0
    width: float = sqrt(2.0)

    def __post_init__(self) -> None:
        if self.kind not in ("algebraic", "exponential", "gaussian"):
            raise InputError(f"prior {self.kind!r} is not known; use algebraic, exponential or gaussian")
        if not (self.power > 0 and self.width > 0):
            raise InputError(f"the prior needs positive power and width; got {self.power}, {self.width}")

    def gamma(self, products: list[tuple[Factor, ...]], *, weight_l: float) -> NDArray[np.float64]:
        """Γ of each product, (n,)."""
        p, width = self.power, self.width
        rule = {
            "algebraic": lambda n, l: n**p + (weight_l * l) ** p,
            "exponential": lambda n, l: n + weight_l * l,
            "gaussian": lambda n, l: (n / width) ** 2 + (weight_l * l / width) ** 2,
        }[self.kind]
        sums = np.array([sum(rule(f.n, max(f.l, 0)) for f in factors) for factors in products])
        return sums if self.kind == "algebraic" else np.exp(sums)


@dataclass(frozen=True, eq=False)
class RadialMix:
    """Radial functions Rₙₗ = Σₖ c gₖ of an imported potential.

    Parameters
    ----------
    pairs : tuple of (n, l)
        What each row of ``matrix`` is.
    matrix : (Z, Z, n_pairs, n_base) array
        Coefficients c for every pair of elements.
    """

    pairs: tuple[tuple[int, int], ...]
    matrix: NDArray[np.float64]


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


@dataclass(frozen=True, eq=False)
class AceBasis:
    """A linear ACE basis for stated elements.

    Parameters
    ----------
    elements : tuple of int
        Atomic numbers, ascending.
    cutoff : float or (n_elements, n_elements) nested tuple of float
        Å; one for all pairs, or a symmetric table.
    degree : tuple of float
        Largest level of each correlation order, e.g. ``(16, 16, 16)``; its length is the order, 1 to 4.
    weight_l : float
        Weight of l in the level.
    pair_degree : int
        Number of pair functions per neighbour element; 0 for none.
    radial, pair_radial : RadialFamily
        Families of the many-body and of the pair functions.
    bond_lengths : tuple of float, optional
        r₀ of each element, Å; of a pair: the mean. From :func:`~aliquot.ace.radial.bond_length` if not given.
    embedding : tuple of tuples of float, optional
        W, one row per channel, one column per element; the identity if not given.
    smoothness : Prior
    only : tuple of Function, optional
        Just these functions, in ascending order of correlation; ``degree`` then only bounds the order.
    mix : RadialMix, optional
        Radial functions that combine the base family, as imported potentials have.

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
    cutoff: float | tuple[tuple[float, ...], ...]
    degree: tuple[float, ...]
    weight_l: float = 1.5
    pair_degree: int = 0
    radial: RadialFamily = field(default_factory=AgnesiJacobi)
    pair_radial: RadialFamily = field(default_factory=AgnesiPair)
    bond_lengths: tuple[float, ...] | None = None
    embedding: tuple[tuple[float, ...], ...] | None = None
    smoothness: Prior = field(default_factory=Prior)
    only: tuple[Function, ...] | None = None
    mix: RadialMix | None = None

    def __post_init__(self) -> None:
        n = len(self.elements)
        if not self.elements or tuple(sorted(set(self.elements))) != self.elements:
            raise InputError(
                f"elements must be distinct atomic numbers in ascending order; got {self.elements}"
            )
        cutoffs = np.atleast_2d(np.asarray(self.cutoff, float))
        if cutoffs.shape not in ((1, 1), (n, n)) or not np.array_equal(cutoffs, cutoffs.T):
            raise InputError(
                f"the cutoff must be one distance or a symmetric {n} × {n} table; got {self.cutoff}"
            )
        if not (np.all(np.isfinite(cutoffs)) and np.all(cutoffs > 0)):
            raise InputError(f"the cutoff must be a positive distance in Å; got {self.cutoff}")
        if not 1 <= len(self.degree) <= 4:
            raise InputError(f"correlation order {len(self.degree)} is not implemented; orders 1 to 4 are")
        if self.weight_l <= 0:
            raise InputError(f"the weight of l must be positive; got {self.weight_l}")
        if self.pair_degree < 0:
            raise InputError(f"the number of pair functions cannot be negative; got {self.pair_degree}")
        if self.pair_radial.kind != AgnesiPair.kind:
            raise InputError(
                f"pair functions are of the family {AgnesiPair.name}; got {self.pair_radial.name}"
            )
        if self.radial.kind == AgnesiPair.kind:
            raise InputError(f"many-body functions cannot be of the family {AgnesiPair.name}, which diverges")
        if self.embedding is not None and any(len(row) != n for row in self.embedding):
            raise InputError(f"an embedding needs {n} columns, one per element")
        if self.only is None:
            self._check_size()

    def _check_size(self) -> None:
        if any(d < order for order, d in enumerate(self.degree, start=1)):
            raise InputError(
                f"degree {self.degree} leaves an order without functions: order ν needs at least ν"
            )
        size = count_functions(self.degree, self.n_channels, weight_l=self.weight_l)
        if size > MAX_FUNCTIONS:
            raise InputError(
                f"degree {self.degree} with {self.n_channels} channels has {size:,} functions per element (at least"
                f" {size * BYTES_PER_FUNCTION / 1e9:.1f} GB of tables, limit {MAX_FUNCTIONS:,} functions); lower the"
                " degree or the order, or embed the elements"
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

    @property
    def max_cutoff(self) -> float:
        """Longest cutoff, Å: the range of the neighbour list."""
        return float(np.max(self.cutoffs))

    @cached_property
    def cutoffs(self) -> NDArray[np.float64]:
        """Cutoff of every pair of elements, (n_elements, n_elements), Å."""
        n = len(self.elements)
        return np.broadcast_to(np.asarray(self.cutoff, float), (n, n)).copy()

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
        """All functions: pair functions, then by order, level, factors. The same list serves every centre."""
        if self.only is not None:
            return self.only
        pairs = [
            Function((Factor(c, n, PAIR),), -1)
            for n in range(1, self.pair_degree + 1)
            for c in range(self.n_channels)
        ]
        found: list[tuple[int, float, Function]] = []
        for order, largest in enumerate(self.degree, start=1):
            for product in _products(order, largest, self.weight_l):
                level = sum(n + self.weight_l * l for n, l in product)
                for factors in self._assignments(product):
                    same = tuple(factors.index(f) for f in factors)
                    for big, _ in invariants(tuple(f.l for f in factors), same):
                        found.append((order, level, Function(factors, big)))
        found.sort(key=lambda item: (item[0], item[1], item[2]))
        return (*pairs, *(f for _, _, f in found))

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
        return self.smoothness.gamma([f.factors for f in self.functions], weight_l=self.weight_l)

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
            "".join(f"{labels[f.channel]}({f.n},{'pair' if f.l == PAIR else f.l})" for f in function.factors)
            + (f"L{function.L}" if function.L >= 0 else "")
            for function in self.functions
        )

    # --- its radial functions -------------------------------------------------------------------------------

    @cached_property
    def n_base(self) -> int:
        """Functions of the many-body family in use."""
        if self.mix is not None:
            return self.mix.matrix.shape[3]
        return max((f.n for function in self.functions for f in function.factors if f.l != PAIR), default=1)

    @cached_property
    def n_pair(self) -> int:
        """Pair functions in use."""
        return max((f.n for function in self.functions for f in function.factors if f.l == PAIR), default=0)

    @cached_property
    def _mixed_row(self) -> dict[tuple[int, int], int]:
        return {} if self.mix is None else {pair: row for row, pair in enumerate(self.mix.pairs)}

    def radial_row(self, n: int, l: int) -> int:
        """Where the kernels keep the radial function (n, l): base rows, then pair rows, then mixed rows."""
        if l == PAIR:
            return self.n_base + n - 1
        return n - 1 if self.mix is None else self.n_base + self.n_pair + self._mixed_row[n, l]

    def radial_functions(
        self, z: int, other: int, r: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """All rows for centre ``z`` and neighbour ``other`` (positions in ``elements``); the specification."""
        options = {"r0": float(self.r0[z, other]), "cutoff": float(self.cutoffs[z, other])}
        base = np.array(self.radial.evaluate(r, self.n_base, **options))
        pair = np.array(self.pair_radial.evaluate(r, self.n_pair, **options)).reshape(2, self.n_pair, len(r))
        mixed = [] if self.mix is None else [np.einsum("pk,skr->spr", self.mix.matrix[z, other], base)]
        values, slopes = np.concatenate([base, pair, *mixed], axis=1)
        return values, slopes

    # --- identity -------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable specification, complete enough to make the same basis again."""
        mix = self.mix and {"pairs": [list(p) for p in self.mix.pairs], "matrix": self.mix.matrix.tolist()}
        only = self.only and [[[list(f) for f in function.factors], function.L] for function in self.only]
        return {
            "basis": "ace",
            "version": 1,
            "elements": list(self.elements),
            "cutoff": self.cutoffs.tolist(),
            "degree": list(self.degree),
            "weight_l": self.weight_l,
            "pair_degree": self.pair_degree,
            "radial": self.radial.to_dict(),
            "pair_radial": self.pair_radial.to_dict(),
            "bond_lengths": np.diag(self.r0).tolist(),
            "embedding": None if self.embedding is None else [list(row) for row in self.embedding],
            "smoothness": asdict(self.smoothness),
            "only": only,
            "mix": mix,
        }

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> AceBasis:
        """The basis that :meth:`to_dict` described.

        Raises
        ------
        InputError
            If something is missing, of another version, or not known.
        """
        if spec.get("basis") != "ace" or spec.get("version") != 1:
            raise InputError(
                f"not an ACE basis of version 1: {spec.get('basis')!r}, version {spec.get('version')!r}"
            )
        try:
            only, mix, embedding = spec["only"], spec["mix"], spec["embedding"]
            return cls(
                elements=tuple(spec["elements"]),
                cutoff=tuple(map(tuple, spec["cutoff"])),
                degree=tuple(spec["degree"]),
                weight_l=spec["weight_l"],
                pair_degree=spec["pair_degree"],
                radial=radial_from_dict(spec["radial"]),
                pair_radial=radial_from_dict(spec["pair_radial"]),
                bond_lengths=tuple(spec["bond_lengths"]),
                embedding=embedding and tuple(map(tuple, embedding)),
                smoothness=Prior(**spec["smoothness"]),
                only=only
                and tuple(Function(tuple(Factor(*f) for f in factors), big) for factors, big in only),
                mix=mix and RadialMix(tuple(map(tuple, mix["pairs"])), np.array(mix["matrix"], float)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the description of the ACE basis is damaged: {error!r}") from error

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
            from ase.data import chemical_symbols

            z = int(numbers[wrong[0]])
            raise InputError(
                f"atom {wrong[0]} has atomic number {z} ({chemical_symbols[z]}), which is not among the elements"
                f" of the basis, {', '.join(chemical_symbols[e] for e in self.elements)}"
            )
        return position.astype(np.int64)
