"""How are functions chosen? A path of models by each method, all of one problem and judged by one validation.

Sparse methods walk through the candidates. Beside them stand dense models of growing total degree, with coefficients of
the largest evidence: all functions whose level is at most a share of the degree of their order, which is lower for
higher orders; and all functions whose level is at most one degree, the same for all orders. They are sub-triangles of
the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import PAIR, AceBasis
from aliquot.errors import InputError
from aliquot.solvers import ARD, ASP, OMP, RRQR, EvidenceRidge, LeastSquares, Path, SharedCost, Triangle
from aliquot.studies.sparse_path.settings import Settings

__all__ = ["DENSE", "EQUAL", "METHODS", "Method", "dense_supports", "levels", "solved", "sub_triangle"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

DENSE: Final = "dense"
EQUAL: Final = "dense-equal"

#: Share of its first λ at which active-set pursuit ends: only its largest size shall end it.
_SMALLEST: Final = 1e-16


@dataclass(frozen=True)
class Method:
    """How a path is found.

    Parameters
    ----------
    label : str
        On the page.
    by_cost : bool
        Whether it weighs what a function explains against its cost of evaluation.
    like : str
        The method that it is a variant of, itself as a rule.
    solve : callable
        (problem, validation, settings, basis) -> Path.
    """

    label: str
    by_cost: bool
    like: str
    solve: Callable[[LeastSquares, Triangle, Settings, AceBasis], Path]

    def reaches(self, n: int, path: Path, settings: Settings) -> bool:
        """Whether its path has models of up to ``n`` functions, or all that there can be; not if it is cut short."""
        if self.like == "asp":
            return n <= settings.asp_largest
        return self.like != EQUAL or n <= path.sizes.max()


def _omp(problem: LeastSquares, validation: Triangle, settings: Settings, _: AceBasis) -> Path:
    return OMP().solve(problem, validation=validation)


def _omp_evidence(problem: LeastSquares, validation: Triangle, settings: Settings, _: AceBasis) -> Path:
    return OMP(penalty="evidence").solve(problem, validation=validation)


def _ard(problem: LeastSquares, validation: Triangle, settings: Settings, _: AceBasis) -> Path:
    return ARD().solve(problem, validation=validation)


def _rrqr(problem: LeastSquares, validation: Triangle, settings: Settings, _: AceBasis) -> Path:
    return RRQR(points=problem.n_columns).solve(problem, validation=validation)


def _asp(problem: LeastSquares, validation: Triangle, settings: Settings, _: AceBasis) -> Path:
    """One run that stores models on the way, and short ones that end at each budget: a model of exactly each size."""
    largest = min(settings.asp_largest, problem.n_columns)
    solver = ASP(max_size=largest, points=settings.asp_points, debias="tsvd", smallest=_SMALLEST)
    path = solver.solve(problem, validation=validation)
    found = {point.size: point for point in path.points}
    for n in settings.sizes:
        if n < largest and n not in found:
            ended = replace(solver, max_size=n, points=1).solve(problem, validation=validation)
            found[ended[-1].size] = ended[-1]
    return replace(path, points=tuple(found[size] for size in sorted(found)))


def _dense(problem: LeastSquares, validation: Triangle, settings: Settings, basis: AceBasis) -> Path:
    return _complete(problem, validation, dense_supports(levels(basis), settings.sizes))


def _equal(problem: LeastSquares, validation: Triangle, settings: Settings, basis: AceBasis) -> Path:
    return _complete(problem, validation, dense_supports(levels(basis, equal=True), settings.sizes))


def _complete(problem: LeastSquares, validation: Triangle, supports: list[Index]) -> Path:
    """One model of the largest evidence for each support."""
    points = []
    for support in supports:
        own = LeastSquares.of(sub_triangle(problem.joined, support), prior=problem.prior[support])
        point = EvidenceRidge().solve(own, validation=sub_triangle(validation, support))[0]
        cost = None if problem.costs is None else problem.costs.total(support)
        points.append(replace(point, support=support[point.support], cost=cost))
    return Path(DENSE, {}, problem.n_columns, problem.n_rows, tuple(points), stopped="all degrees")


#: Every method by name; those by cost are told what functions cost.
METHODS: Final[dict[str, Method]] = {
    DENSE: Method("dense, evidence", False, DENSE, _dense),
    EQUAL: Method("dense, one degree", False, EQUAL, _equal),
    "rrqr": Method("RRQR", False, "rrqr", _rrqr),
    "omp": Method("OMP", False, "omp", _omp),
    "omp-evidence": Method("OMP, evidence", False, "omp-evidence", _omp_evidence),
    "asp": Method("ASP", False, "asp", _asp),
    "ard": Method("ARD", False, "ard", _ard),
    "omp-cost": Method("OMP by cost", True, "omp", _omp),
    "asp-cost": Method("ASP by cost", True, "asp", _asp),
    "ard-cost": Method("ARD by cost", True, "ard", _ard),
}


def solved(
    name: str,
    basis: AceBasis,
    training: Triangle,
    validation: Triangle,
    costs: SharedCost,
    settings: Settings,
) -> Path:
    """The path of a method; every point knows its cost.

    Raises
    ------
    InputError
        If there is no such method.
    """
    if name not in METHODS:
        raise InputError(f"method {name!r} is not known; choose from {', '.join(METHODS)}")
    method = METHODS[name]
    prior = np.tile(basis.prior, len(basis.elements))
    problem = LeastSquares.of(training, prior=prior, costs=costs if method.by_cost else None)
    path = method.solve(problem, validation, settings, basis)
    points = tuple(replace(p, cost=costs.total(p.support)) for p in path.points)
    return replace(path, points=points)


def levels(basis: AceBasis, *, equal: bool = False) -> Array:
    """Level of each column as a share of the degree of its order, (d,); of pair functions, of their number.

    ``equal`` takes the degree of the highest order for all: functions up to one are a model of one degree.
    """
    last = basis.degree[-1]
    shares: list[float] = []
    for function in basis.functions:
        pair = function.factors[0].l == PAIR
        level = function.factors[0].n if pair else sum(f.n + basis.weight_l * f.l for f in function.factors)
        degree = basis.pair_degree if pair else basis.degree[function.order - 1]
        shares.append(level / (last if equal else degree))
    return np.tile(np.array(shares), len(basis.elements))


def dense_supports(level: Array, sizes: tuple[int, ...]) -> list[Index]:
    """Of each size, the largest model of a level that has at most so many functions; and that of level one."""
    shares, counts = np.unique(level[level <= 1], return_counts=True)
    total = np.cumsum(counts)
    places = {int(np.searchsorted(total, n, side="right")) - 1 for n in (*sizes, int(total[-1]))}
    return [np.flatnonzero(level <= shares[k]) for k in sorted(places) if k >= 0]


def sub_triangle(triangle: Triangle, support: Index) -> Triangle:
    """The triangle of the same rows and targets with some of the columns."""
    columns = np.append(support, triangle.n_columns)
    factor = np.asarray(np.linalg.qr(triangle.factor[:, columns], mode="r"))
    return Triangle.from_factor(factor, triangle.n_rows)
