"""How are functions chosen? A path of models by each method, all of one problem and judged by one validation.

Sparse methods walk through the candidates. Beside them stand dense models of growing total degree: all functions whose
level is at most a share of the degree of their order, with coefficients of the largest evidence. They are
sub-triangles of the same rows.
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

__all__ = ["DENSE", "METHODS", "Method", "dense_supports", "levels", "solved", "sub_triangle"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

DENSE: Final = "dense"

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
        (problem, validation, settings, supports of dense models) -> Path.
    """

    label: str
    by_cost: bool
    like: str
    solve: Callable[[LeastSquares, Triangle, Settings, list[Index]], Path]

    def reach(self, settings: Settings) -> int | None:
        """Functions at which its path is cut short; None where it goes as far as it can."""
        return settings.asp_largest if self.like == "asp" else None


def _omp(problem: LeastSquares, validation: Triangle, settings: Settings, _: list[Index]) -> Path:
    return OMP().solve(problem, validation=validation)


def _omp_evidence(problem: LeastSquares, validation: Triangle, settings: Settings, _: list[Index]) -> Path:
    return OMP(penalty="evidence").solve(problem, validation=validation)


def _ard(problem: LeastSquares, validation: Triangle, settings: Settings, _: list[Index]) -> Path:
    return ARD().solve(problem, validation=validation)


def _rrqr(problem: LeastSquares, validation: Triangle, settings: Settings, _: list[Index]) -> Path:
    return RRQR(points=problem.n_columns).solve(problem, validation=validation)


def _asp(problem: LeastSquares, validation: Triangle, settings: Settings, _: list[Index]) -> Path:
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


def _dense(problem: LeastSquares, validation: Triangle, _: Settings, supports: list[Index]) -> Path:
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
    path = method.solve(problem, validation, settings, dense_supports(basis, settings.sizes))
    points = tuple(replace(p, cost=costs.total(p.support)) for p in path.points)
    return replace(path, points=points)


def levels(basis: AceBasis) -> Array:
    """Level of each column as a share of the degree of its order, (d,); of pair functions, of their number."""
    shares = [
        function.factors[0].n / basis.pair_degree
        if function.factors[0].l == PAIR
        else sum(f.n + basis.weight_l * f.l for f in function.factors) / basis.degree[function.order - 1]
        for function in basis.functions
    ]
    return np.tile(np.array(shares), len(basis.elements))


def dense_supports(basis: AceBasis, sizes: tuple[int, ...]) -> list[Index]:
    """Of each size, the largest model of a total degree that has at most so many functions; and the complete one."""
    level = levels(basis)
    shares, counts = np.unique(level, return_counts=True)
    total = np.cumsum(counts)
    places = {int(np.searchsorted(total, n, side="right")) - 1 for n in (*sizes, len(level))}
    return [np.flatnonzero(level <= shares[k]) for k in sorted(places) if k >= 0]


def sub_triangle(triangle: Triangle, support: Index) -> Triangle:
    """The triangle of the same rows and targets with some of the columns."""
    columns = np.append(support, triangle.n_columns)
    factor = np.asarray(np.linalg.qr(triangle.factor[:, columns], mode="r"))
    return Triangle.from_factor(factor, triangle.n_rows)
