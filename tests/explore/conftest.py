"""A potential of two elements that carries a posterior, and structures that it does not know well."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.explore import Noise
from aliquot.structures import Frames

NOISE = Noise(0.05, 0.5, 0.5)


def alloy(seed: int, scale: float = 0.1) -> Atoms:
    """Four atoms of copper and four of gold, rattled."""
    atoms = bulk("Cu", cubic=True, a=3.85).repeat((2, 1, 1))
    atoms.numbers[::2] = 79
    atoms.rattle(scale, seed=seed)
    return atoms


@pytest.fixture(scope="session", name="alloy")
def alloy_fixture() -> Callable[..., Atoms]:
    """``alloy(seed, scale)``."""
    return alloy


@pytest.fixture(scope="session")
def unsure() -> AcePotential:
    """Coefficients fitted to EMT, some of them zero; the precision of what is left."""
    from ase.calculators.emt import EMT

    basis = AceBasis(elements=(29, 79), cutoff=4.5, degree=(5, 5, 5))
    evaluator = AceEvaluator(basis)
    images = [alloy(seed) for seed in range(6)]
    frames = Frames.from_atoms(images)
    kept = np.arange(evaluator.n_columns) % 7 != 3
    prior = np.tile(basis.prior, 2)[kept]
    rows, targets = [0.3 * np.diag(prior)], [np.zeros(kept.sum())]
    for i, atoms in enumerate(images):
        found = evaluator.rows(frames, i)
        atoms.calc = EMT()
        rows += [
            found.energy[None, kept] / (NOISE.energy * np.sqrt(8)),
            found.forces[..., kept].reshape(24, -1) / NOISE.forces,
        ]
        targets += [
            np.array([atoms.get_potential_energy()]) / (NOISE.energy * np.sqrt(8)),
            atoms.get_forces().ravel() / NOISE.forces,
        ]
    A = np.concatenate(rows)
    coefficients = np.zeros(len(kept))
    coefficients[kept] = np.linalg.lstsq(A, np.concatenate(targets), rcond=None)[0]
    return AcePotential(
        basis,
        coefficients.reshape(2, -1),
        np.array([0.1, -0.2]),
        meta={"noise": {"energy": NOISE.energy, "forces": NOISE.forces, "virial": NOISE.virial}},
        precision=np.linalg.qr(A, mode="r"),
    )
