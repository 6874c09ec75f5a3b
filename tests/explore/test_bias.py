"""Bias forces are gradients; what a structure teaches is what a posterior with its rows would know."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from aliquot.ace.basis import AceBasis
from aliquot.ace.contraction import contract
from aliquot.ace.linear_contraction import linear_contraction
from aliquot.ace.potential import AcePotential
from aliquot.ace.program import compile_program
from aliquot.errors import InputError
from aliquot.explore import (
    AceSurrogate,
    Biased,
    DescriptorSurrogate,
    Noise,
    bias_from_frames,
    bias_from_potential,
    surrogate_from_python,
)
from aliquot.structures import Frames
from aliquot.uncertainty import committee_from_posterior

STEP = 1e-4


def slope(function, atoms, i, k):
    """Central difference by one coordinate."""
    ends = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[i, k] += sign * STEP
        ends.append(function(moved))
    return (ends[0] - ends[1]) / (2 * STEP)


def strain_slope(function, atoms, a, b):
    """Central difference by one component of a strain."""
    ends = []
    for sign in (1, -1):
        strain = np.eye(3)
        strain[a, b] += sign * STEP / 10
        moved = atoms.copy()
        moved.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
        ends.append(function(moved))
    return (ends[0] - ends[1]) / (0.2 * STEP)


class Counts:
    """A small descriptor: sums over neighbours of Gaussians of the distance, with their pullback."""

    centres = np.linspace(2.2, 4.2, 5)
    cutoff = 5.0

    def _pairs(self, atoms):
        from ase.neighborlist import neighbor_list

        return neighbor_list("ijDd", atoms, self.cutoff)

    def _shape(self, d):
        fade = 0.5 * (1 + np.cos(np.pi * d / self.cutoff))
        bump = np.exp(-((d[:, None] - self.centres) ** 2))
        rise = -2 * (d[:, None] - self.centres) * bump
        fall = -0.5 * np.pi / self.cutoff * np.sin(np.pi * d / self.cutoff)
        return bump * fade[:, None], rise * fade[:, None] + bump * fall[:, None]

    def __call__(self, atoms):
        i, _, _, d = self._pairs(atoms)
        value, _ = self._shape(d)
        out = np.zeros((len(atoms), len(self.centres)))
        np.add.at(out, i, value)
        return out

    def pullback(self, atoms, cotangent):
        i, j, D, d = self._pairs(atoms)
        _, rise = self._shape(d)
        along = (rise * cotangent[i]).sum(axis=1)[:, None] * D / d[:, None]
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, along)
        np.add.at(forces, j, -along)
        return forces, -np.einsum("pa,pb->ab", D, along)


counts = Counts()


def bias_of(kind, unsure, alloy):
    if kind == "posterior":
        return bias_from_potential(unsure)
    if kind == "committee":
        return bias_from_potential(
            unsure, spread=committee_from_posterior(unsure, 8, rng=np.random.default_rng(2))
        )
    seen = Frames.from_atoms([alloy(seed) for seed in (1, 2)])
    if kind == "basis":
        basis = AceBasis(elements=(29, 79), cutoff=4.5, degree=(4, 4))
        return bias_from_frames(AceSurrogate.of_basis(basis), seen)
    return bias_from_frames(DescriptorSurrogate(counts, counts.pullback, elements=(29, 79)), seen)


@pytest.mark.parametrize("kind", ["posterior", "committee", "basis", "descriptor"])
def test_bias_forces_are_the_gradient_of_sigma(kind, unsure, alloy):
    bias, atoms = bias_of(kind, unsure, alloy), alloy(11)
    tilt = bias.tilt(atoms)
    assert tilt.sigma > 0
    for i, k in ((0, 0), (3, 1), (6, 2), (7, 0)):
        assert tilt.uphill[i, k] == pytest.approx(slope(bias.sigma, atoms, i, k), rel=1e-5, abs=1e-8)
    for a, b in ((0, 0), (1, 2), (2, 2)):
        # the virial of −σ is −d(−σ)/dε; a symmetric strain takes half of it from either side
        expected = 0.5 * (strain_slope(bias.sigma, atoms, a, b) + strain_slope(bias.sigma, atoms, b, a))
        assert tilt.virial[a, b] == pytest.approx(expected, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("kind", ["posterior", "committee", "descriptor"])
def test_bias_force_is_at_most_the_spread_of_the_force(kind, unsure, alloy):
    bias, atoms = bias_of(kind, unsure, alloy), alloy(12)
    spread = bias.forces_std(atoms)
    assert np.all(np.abs(bias.tilt(atoms).uphill) <= spread * (1 + 1e-9) + 1e-12)
    assert np.linalg.norm(spread) > 0


def test_committee_sigma_is_the_spread_of_the_energies_of_its_members(unsure, alloy):
    spread = committee_from_posterior(unsure, 6, rng=np.random.default_rng(4))
    bias, atoms = bias_from_potential(unsure, spread=spread), alloy(13)
    frames, kept = Frames.from_atoms(atoms), unsure.coefficients.ravel() != 0
    energies = []
    for deviation in spread.deviations:
        member = unsure.coefficients.ravel().copy()
        member[kept] += deviation
        shape = unsure.coefficients.shape
        energies.append(AcePotential(unsure.basis, member.reshape(shape), unsure.reference)(frames).energy)
    centre = unsure(frames).energy
    assert bias.sigma(atoms) == pytest.approx(np.sqrt(np.mean((np.array(energies) - centre) ** 2)), rel=1e-8)


def test_mean_and_bias_from_one_pass_are_those_of_two(unsure, alloy):
    bias, atoms = bias_from_potential(unsure), alloy(14)
    felt = Biased(bias)(atoms)
    alone = unsure(Frames.from_atoms(atoms))
    assert felt.energy == pytest.approx(alone.energy, abs=1e-10)
    np.testing.assert_allclose(felt.forces, alone.forces, atol=1e-10)
    np.testing.assert_allclose(felt.tilt.uphill, bias.tilt(atoms).uphill, atol=1e-12)
    moved = slope(lambda a: Biased(bias)(a).energy - 2.5 * bias.sigma(a), atoms, 2, 1)
    assert felt.biased(2.5)[2, 1] == pytest.approx(-moved, rel=1e-5)


def test_mean_of_another_calculator(unsure, alloy):
    felt = Biased(bias_from_potential(unsure), EMT())(alloy(15))
    atoms = alloy(15)
    atoms.calc = EMT()
    assert felt.energy == pytest.approx(atoms.get_potential_energy())
    np.testing.assert_allclose(felt.forces, atoms.get_forces())


@pytest.mark.parametrize("kind", ["posterior", "committee", "descriptor"])
def test_a_structure_teaches_as_its_rows_would(kind, unsure, alloy):
    bias, atoms = bias_of(kind, unsure, alloy), alloy(16, 0.3)
    after, gain = bias.taught(atoms)
    X = bias.noise.whiten(bias.surrogate.rows(atoms))
    C = bias.spread.root @ bias.spread.root.T
    inner = np.eye(len(X)) + X @ C @ X.T
    assert gain == pytest.approx(0.5 * np.linalg.slogdet(inner)[1], rel=1e-8)
    np.testing.assert_allclose(
        after.spread.root @ after.spread.root.T,
        C - C @ X.T @ np.linalg.solve(inner, X @ C),
        atol=1e-7 * np.abs(C).max(),
    )
    assert after.sigma(atoms) < bias.sigma(atoms)


def test_coefficients_become_a_contraction_by_one_product(unsure):
    small = unsure.pruned
    program = compile_program(small.basis)
    linear = linear_contraction(program, small.coefficients != 0)
    for ours, theirs in zip(linear(small.coefficients), contract(program, small.coefficients), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_refusals(unsure, alloy):
    bare = AcePotential(unsure.basis, unsure.coefficients, unsure.reference, precision=unsure.precision)
    with pytest.raises(InputError, match="noisy"):
        bias_from_potential(bare)
    assert bias_from_potential(bare, noise=Noise()).noise.forces == 0.1
    with pytest.raises(InputError, match="--posterior"):
        bias_from_potential(AcePotential(unsure.basis, unsure.coefficients, unsure.reference), noise=Noise())
    with pytest.raises(InputError, match="positive"):
        Noise(forces=0.0)
    with pytest.raises(InputError, match="pullback"):
        surrogate_from_python("python:ase.build:bulk")
    with pytest.raises(InputError, match="calculator"):
        Biased(bias_of("descriptor", unsure, alloy))
    with pytest.raises(InputError, match="atomic number 13"):
        bias_of("descriptor", unsure, alloy).tilt(bulk("Al", cubic=True))
    broken = DescriptorSurrogate(lambda atoms: np.full((len(atoms), 2), np.nan), counts.pullback)
    with pytest.raises(InputError, match="not finite"):
        broken.look(alloy(1))
