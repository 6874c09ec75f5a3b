"""What a PACE file holds, whichever of its two formats it is in, and the potential that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis, Factor, Function, RadialMix
from aliquot.ace.pace import Table, canonical, project, same_factors
from aliquot.ace.potential import AcePotential
from aliquot.ace.radial import ChebExpCos, RadialFamily, SBessel
from aliquot.errors import InputError

__all__ = ["Bond", "PaceContent", "Term", "potential_of"]

Array = NDArray[np.float64]

#: Largest correlation order that our basis has.
MAX_ORDER = 4


@dataclass(frozen=True, eq=False)
class Bond:
    """Radial functions around a centre towards one kind of neighbour.

    Parameters
    ----------
    base : str
        Radial kind, ``ChebExpCos`` or ``SBessel``.
    lam, cutoff, dcut : float
        λ, cutoff (Å) and width of the last switch (Å); SBessel uses only the cutoff.
    coefficients : (n, l, k) array
        Rₙₗ = Σₖ c gₖ of the products of two and more factors; single densities use gₖ themselves.
    """

    base: str
    lam: float
    cutoff: float
    dcut: float
    coefficients: Array

    def family(self) -> RadialFamily:
        """The base functions gₖ."""
        return SBessel() if self.base == SBessel.name else ChebExpCos(self.lam, self.dcut)


class Term(NamedTuple):
    """Products of one class around one centre; elements are positions in ``PaceContent.elements``."""

    centre: int
    elements: tuple[int, ...]
    ns: tuple[int, ...]
    ls: tuple[int, ...]
    table: Table


@dataclass(frozen=True, eq=False)
class PaceContent:
    """A linear potential in PACE's conventions.

    Parameters
    ----------
    elements : tuple of int
        Atomic numbers in the order of the file.
    reference : tuple of float
        E₀ of each, eV.
    bonds : dict
        (centre, neighbour) → :class:`Bond`, for every ordered pair.
    terms : list of Term
    """

    elements: tuple[int, ...]
    reference: tuple[float, ...]
    bonds: dict[tuple[int, int], Bond]
    terms: list[Term] = field(default_factory=list)


def potential_of(content: PaceContent, *, meta: dict[str, Any] | None = None) -> AcePotential:
    """The same potential in our basis.

    Raises
    ------
    InputError
        If it has something that our basis cannot express.
    """
    _check(content)
    place = {i: int(p) for p, i in enumerate(np.argsort(content.elements))}  # our elements are ascending
    bonds = {(place[a], place[b]): bond for (a, b), bond in content.bonds.items()}
    z = len(place)
    many = sorted({(n, l) for t in content.terms if len(t.ns) > 1 for n, l in zip(t.ns, t.ls, strict=True)})
    mix, shift = _mix(bonds, many, content.terms)
    sums: dict[tuple[int, tuple[Factor, ...]], Table] = {}
    for term in content.terms:
        factors, table = _in_our_order(term, place, shift)
        known = sums.setdefault((place[term.centre], factors), {})
        for ms, coefficient in table.items():
            known[ms] = known.get(ms, 0.0) + coefficient
    values: dict[Function, Array] = {}
    for (centre, factors), table in sums.items():
        for big, coefficient in project(table, tuple(f.l for f in factors), same_factors(factors)).items():
            values.setdefault(Function(factors, big), np.zeros(z))[centre] = coefficient
    functions = tuple(sorted(values, key=lambda f: (f.order, f)))
    if not functions:
        raise InputError("every coefficient of the file is zero; there is nothing to import")
    cutoffs = tuple(tuple(bonds[a, b].cutoff for b in range(z)) for a in range(z))
    basis = AceBasis(
        elements=tuple(sorted(content.elements)),
        cutoff=cutoffs,
        degree=_degree(functions),
        radial=bonds[0, 0].family(),
        only=functions,
        mix=mix,
    )
    reference = np.array([content.reference[i] for i in np.argsort(content.elements)], float)
    return AcePotential(basis, np.array([values[f] for f in functions]).T.copy(), reference, meta=meta or {})


def _check(content: PaceContent) -> None:
    first = content.bonds[0, 0]
    for (a, b), bond in content.bonds.items():
        if bond.base not in (ChebExpCos.name, SBessel.name):
            raise InputError(
                f"bond [{a}, {b}] has radial functions {bond.base!r}; {ChebExpCos.name} and {SBessel.name}"
                " can be imported"
            )
        settings, theirs = (first.base, first.family()), (bond.base, bond.family())
        if settings != theirs:
            raise InputError(
                f"bond [{a}, {b}] has radial functions {theirs[1]}, bond [0, 0] {settings[1]}; a basis here has"
                " one kind, λ and dcut for all bonds"
            )
        if bond.cutoff != content.bonds[b, a].cutoff:
            raise InputError(
                f"bonds [{a}, {b}] and [{b}, {a}] have cutoffs {bond.cutoff} and {content.bonds[b, a].cutoff};"
                " a cutoff here belongs to a pair of elements, whichever is the centre"
            )
    for term in content.terms:
        if not 1 <= len(term.ns) <= MAX_ORDER:
            raise InputError(f"a function has rank {len(term.ns)}; ranks 1 to {MAX_ORDER} can be imported")
        for element, n, l in zip(term.elements, term.ns, term.ls, strict=True):
            shape = content.bonds[term.centre, element].coefficients.shape
            limits = (shape[2], 0) if len(term.ns) == 1 else (shape[0], shape[1] - 1)
            if not (1 <= n <= limits[0] and 0 <= l <= limits[1]):
                raise InputError(
                    f"a function of rank {len(term.ns)} uses n = {n}, l = {l}, but bond"
                    f" [{term.centre}, {element}] ends at n = {limits[0]}, l = {limits[1]}"
                )


def _mix(
    bonds: dict[tuple[int, int], Bond], many: Sequence[tuple[int, int]], terms: Sequence[Term]
) -> tuple[RadialMix | None, int]:
    """The radial mix (none if Rₙₗ = gₙ), and by how much n of single densities shifts to stay apart from Rₙₗ."""
    z = 1 + max(a for a, _ in bonds)
    n_base = max(bond.coefficients.shape[2] for bond in bonds.values())
    single = sorted({t.ns[0] for t in terms if len(t.ns) == 1})
    shift = max((n for n, _ in many), default=0)
    pairs = (*many, *((shift + k, 0) for k in single))
    matrix = np.zeros((z, z, len(pairs), n_base))
    plain = True
    for (a, b), bond in bonds.items():
        n_max, l_count, own = bond.coefficients.shape
        for row, (n, l) in enumerate(many):
            if n <= n_max and l < l_count:
                matrix[a, b, row, :own] = bond.coefficients[n - 1, l]
                plain = plain and bool(np.array_equal(matrix[a, b, row], np.arange(n_base) == n - 1))
        for row, k in enumerate(single, start=len(many)):
            matrix[a, b, row, k - 1] = 1.0
    return (None, 0) if plain else (RadialMix(pairs, matrix), shift)


def _in_our_order(term: Term, place: dict[int, int], shift: int) -> tuple[tuple[Factor, ...], Table]:
    """Factors in ascending (l, n, channel), and the canonical table that goes with this order."""
    up = shift if len(term.ns) == 1 else 0
    factors = [Factor(place[e], n + up, l) for e, n, l in zip(term.elements, term.ns, term.ls, strict=True)]
    order = sorted(range(len(factors)), key=lambda i: (factors[i].l, factors[i].n, factors[i].channel))
    ordered = tuple(factors[i] for i in order)
    table: Table = {}
    for ms, coefficient in term.table.items():
        key = tuple(ms[i] for i in order)
        table[key] = table.get(key, 0.0) + coefficient
    return ordered, canonical(table, same_factors(ordered))


def _degree(functions: Sequence[Function]) -> tuple[float, ...]:
    """Largest level n + 1.5 l of each order in use."""
    highest = max(f.order for f in functions)
    levels = [
        max((sum(f.n + 1.5 * f.l for f in g.factors) for g in functions if g.order == v), default=float(v))
        for v in range(1, highest + 1)
    ]
    return tuple(levels)
