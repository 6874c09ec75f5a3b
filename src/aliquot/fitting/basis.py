"""Which functions may a fit choose from, where the user names none? As many as a laptop can consider in a minute."""

from __future__ import annotations

from typing import Final

from aliquot.ace.basis import AceBasis, Prior, count_functions
from aliquot.ace.radial import bond_length
from aliquot.errors import InputError

__all__ = ["CANDIDATES", "candidate_basis"]

#: Coefficients that the default basis has at most, over all elements.
CANDIDATES: Final = 1500

#: Degree of each order, as a multiple of the degree of the third (25/21/17 in the benchmarks of ACE).
_DEGREES: Final = (1.5, 1.25, 1.0, 0.8)


def candidate_basis(
    elements: tuple[int, ...],
    *,
    order: int = 3,
    degree: tuple[float, ...] | None = None,
    cutoff: float | None = None,
    pair: int | None = None,
    weight_l: float = 1.5,
    smoothness: float = 4.0,
) -> AceBasis:
    """A linear ACE basis for a fit; what is not given is chosen.

    Parameters
    ----------
    elements : tuple of int
        Atomic numbers, ascending.
    order : int
        Correlation order; given by ``degree`` where that is given.
    degree : tuple of float, optional
        Of each order; the largest of at most :data:`CANDIDATES` coefficients by default.
    cutoff : float, optional
        Å; 2.5 times the longest bond length, within 5 and 6 Å, by default.
    pair : int, optional
        Pair functions per neighbour element; as many as the degree of the first order by default.
    weight_l : float
        Weight of l against n in the degree.
    smoothness : float
        Power p of the algebraic smoothness prior.

    Raises
    ------
    InputError
        If not even the smallest basis of this order fits.

    Examples
    --------
    >>> basis = candidate_basis((14,))
    >>> len(basis.functions), basis.degree
    (1309, (27.0, 22.0, 18.0))
    """
    if cutoff is None:
        cutoff = min(max(2.5 * max(bond_length(z) for z in elements), 5.0), 6.0)
    degree = degree or _largest(len(elements), order, weight_l)
    return AceBasis(
        elements=elements,
        cutoff=cutoff,
        degree=degree,
        weight_l=weight_l,
        pair_degree=int(degree[0]) if pair is None else pair,
        smoothness=Prior("algebraic", power=smoothness),
    )


def _largest(n_elements: int, order: int, weight_l: float) -> tuple[float, ...]:
    if not 1 <= order <= len(_DEGREES):
        raise InputError(f"correlation order {order} is not implemented; orders 1 to {len(_DEGREES)} are")
    best: tuple[float, ...] | None = None
    limit = CANDIDATES // n_elements
    for level in range(order, 41):
        degree = tuple(float(max(k + 1, round(factor * level))) for k, factor in enumerate(_DEGREES[:order]))
        if count_functions(degree, n_elements, weight_l=weight_l, stop_at=limit) > limit:
            break
        best = degree
    if best is None:
        raise InputError(
            f"no basis of order {order} for {n_elements} elements has at most {CANDIDATES:,} coefficients; name a"
            " degree or a lower order"
        )
    return best
