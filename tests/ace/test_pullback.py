"""Forces and virial of functions of site values, against rows, potentials and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.structures import Frames

ROCKSALT = bulk("MgO", "rocksalt", a=4.2, cubic=True)
CASES = {
    "one element": (bulk("Cu", cubic=True) * (2, 1, 1), (29,), (9, 9, 9), {}),
    "order four": (bulk("Si", cubic=True), (14,), (8, 8, 8, 8), {}),
    "two elements, pair functions": (ROCKSALT, (8, 12), (7, 7, 6), {"pair_degree": 3}),
    "embedded": (ROCKSALT, (8, 12), (6, 6), {"embedding": ((1.0, 1.0), (0.3, -0.7))}),
    "cutoff beyond the cell": (bulk("Cu"), (29,), (6, 6, 6), {}),
    "a cluster": (Atoms("Cu3", [(0, 0, 0), (2.3, 0.1, 0), (0.4, 2.4, 0.3)]), (29,), (6, 6), {}),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    atoms, elements, degree, more = CASES[request.param]
    rng = np.random.default_rng(5)
    atoms = atoms.copy()
    atoms.rattle(0.1, rng=rng)
    evaluator = AceEvaluator(AceBasis(elements=elements, cutoff=4.5, degree=degree, **more))
    return atoms, evaluator, rng.normal(size=(len(atoms), len(evaluator.basis.functions)))


def test_finite_differences_of_a_function_that_is_not_linear(case):
    atoms, evaluator, weights = case

    def function(some: Atoms) -> float:
        values = evaluator.site_values(Frames.from_atoms([some]), 0)
        return float(np.sum(np.sin(weights) * values + 0.1 * weights * values**2))

    frames = Frames.from_atoms([atoms])
    values = evaluator.site_values(frames, 0)
    forces, virial = evaluator.pullback(frames, 0, np.sin(weights) + 0.2 * weights * values)
    scale, h = np.abs(forces).max() + np.abs(virial).max(), 1e-5
    for atom, axis in ((0, 0), (len(atoms) // 2, 1), (len(atoms) - 1, 2)):
        ends = []
        for step in (h, -h):
            moved = atoms.copy()
            moved.positions[atom, axis] += step
            ends.append(function(moved))
        assert forces[atom, axis] == pytest.approx(-(ends[0] - ends[1]) / (2 * h), abs=2e-7 * scale)
    for a, b in ((0, 0), (1, 2), (2, 0)):
        ends = []
        for step in (h, -h):
            strain = np.eye(3)
            strain[a, b] += step  # x' = x (1 + e): ∂/∂e_ab moves component b by component a
            moved = atoms.copy()
            moved.set_cell(atoms.cell @ strain)
            moved.set_positions(atoms.positions @ strain)
            ends.append(function(moved))
        assert virial[a, b] == pytest.approx(-(ends[0] - ends[1]) / (2 * h), abs=2e-7 * scale)


def test_same_as_the_rows_where_every_atom_has_the_same_cotangents():
    atoms, elements, degree, more = CASES["two elements, pair functions"]
    evaluator = AceEvaluator(AceBasis(elements=elements, cutoff=4.5, degree=degree, **more))
    atoms = atoms.copy()
    atoms.rattle(0.1, seed=3)
    frames = Frames.from_atoms([atoms])
    coefficients = np.random.default_rng(1).normal(size=(2, len(evaluator.basis.functions)))
    forces, virial = evaluator.pullback(frames, 0, coefficients[evaluator.basis.species(frames.numbers)])
    rows = evaluator.rows(frames, 0)
    np.testing.assert_allclose(forces, rows.forces @ coefficients.ravel(), rtol=1e-10, atol=1e-10)
    voigt = rows.virial @ coefficients.ravel()
    for k, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        assert virial[a, b] == pytest.approx(voigt[k], rel=1e-10, abs=1e-9)
        assert virial[a, b] == pytest.approx(virial[b, a], abs=1e-9)


def test_other_shapes_are_refused():
    evaluator = AceEvaluator(AceBasis(elements=(29,), cutoff=4.5, degree=(5, 5)))
    with pytest.raises(InputError, match="shape"):
        evaluator.pullback(Frames.from_atoms([bulk("Cu")]), 0, np.zeros((2, 3)))
