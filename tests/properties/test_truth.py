"""Properties against published values, analytic ones, and brute force that shares nothing with the code."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import bulk, surface
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from aliquot.properties import birch_murnaghan, crystal_properties


def test_copper_in_emt(energy_of, modulus_by_energy):
    """K. W. Jacobsen et al., Surf. Sci. 366, 394 (1996): a = 3.59 Å, B = 134 GPa, C44 = 90 GPa, cohesion 3.51 eV."""
    found = crystal_properties(EMT(), "fcc", elements=["Cu"], images=10.0, thickness=20.0)
    at, elastic = found.lattice, found.elastic
    assert at.a == pytest.approx(3.59, abs=0.005)
    assert at.cohesive_energy == pytest.approx(3.51, abs=0.01)
    # brute force: the lowest of many energies, by a parabola through three of them
    scan = np.linspace(3.585, 3.595, 11)
    energies = [energy_of(EMT(), bulk("Cu", "fcc", a)) for a in scan]
    k = int(np.argmin(energies))
    low, mid, high = energies[k - 1 : k + 2]
    lowest = scan[k] + (scan[1] - scan[0]) * (low - high) / (2 * (low - 2 * mid + high))
    assert at.a == pytest.approx(lowest, abs=2e-5)
    crystal = bulk("Cu", "fcc", at.a)
    c = elastic.relaxed
    assert modulus_by_energy(EMT(), crystal, np.diag([1, 0, 0])) == pytest.approx(c["C11"], rel=2e-3)
    tetragonal = modulus_by_energy(EMT(), crystal, np.diag([1, -1, 0])) / 2
    assert tetragonal == pytest.approx(c["C11"] - c["C12"], rel=2e-3)
    shear = modulus_by_energy(EMT(), crystal, [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])
    assert shear == pytest.approx(c["C44"], rel=2e-3)
    assert found.eos.bulk_modulus == pytest.approx(elastic.bulk_modulus, rel=5e-3)
    assert elastic.bulk_modulus == pytest.approx((c["C11"] + 2 * c["C12"]) / 3)
    assert elastic.stable
    assert all(value > 0 for value in elastic.born.values())
    assert found.vacancy.formation_energy < found.vacancy.unrelaxed_energy
    assert found.notes == ()
    # one atom out of a crystal, with other code
    big = bulk("Cu", "fcc", at.a, cubic=True) * 3
    hole = big.copy()
    del hole[17]
    n = len(big)
    by_hand = energy_of(EMT(), hole, fmax=1e-3) - (n - 1) / n * energy_of(EMT(), big)
    assert found.vacancy.supercell == (3, 3, 3)
    assert found.vacancy.formation_energy == pytest.approx(by_hand, abs=1e-4)


@pytest.mark.parametrize("miller", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0), (3, 1, 1), (1, -1, 0)])
def test_surfaces_of_copper_are_those_of_ase(miller, energy_of):
    """ASE's own builder, another thickness and cell: the same energy per area, unrelaxed and relaxed."""
    found = crystal_properties(
        EMT(), "fcc", elements=["Cu"], quantities=["surfaces"], surfaces=[miller], thickness=25.0
    )
    (face,) = found.surfaces
    other = surface(bulk("Cu", "fcc", found.lattice.a, cubic=True), miller, layers=8, vacuum=8.0)
    other.pbc = True
    area = np.linalg.norm(np.cross(other.cell[0], other.cell[1]))
    base = len(other) * found.lattice.energy
    per_area = units.m**2 / units.J / (2 * area)
    # the same surface, not the same thickness: EMT feels four layers
    assert face.unrelaxed_energy == pytest.approx((energy_of(EMT(), other) - base) * per_area, rel=1e-6)
    assert face.energy == pytest.approx((energy_of(EMT(), other, fmax=1e-3) - base) * per_area, rel=2e-3)
    assert face.thickness > 20.0
    assert face.vacuum == pytest.approx(15.0)
    ratio = area / face.area  # ASE's cell is a whole number of ours
    assert ratio == pytest.approx(round(ratio))


def test_lennard_jones_crystal():
    """Closed forms of fcc with the lattice sums A of the four shells that the cutoff leaves (lengths in bonds):

    r = σ (2 A12 / A6)^(1/6),  e = −ε A6² / (2 A12) less the shift at the cutoff,  B = (4 ε / σ³) A12 (A6 / A12)^(5/2).
    """
    sigma, epsilon = 2.62, 0.4
    lengths = np.sqrt(np.repeat([1, 2, 3, 4], [12, 6, 24, 12]))
    a6, a12 = (lengths**-6.0).sum(), (lengths**-12.0).sum()
    nearest = sigma * (2 * a12 / a6) ** (1 / 6)
    cutoff = 2.1 * nearest  # between the fourth shell and the fifth, at ±4 % of volume too
    calculator = LennardJones(sigma=sigma, epsilon=epsilon, rc=cutoff, smooth=False)
    found = crystal_properties(calculator, "fcc", elements=["Cu"], quantities=["eos", "elastic"], start=4.0)
    assert found.lattice.nearest == pytest.approx(nearest, rel=1e-7)
    shift = 4 * epsilon * ((sigma / cutoff) ** 12 - (sigma / cutoff) ** 6) * len(lengths) / 2
    assert found.lattice.energy == pytest.approx(-epsilon * a6**2 / (2 * a12) - shift, rel=1e-7)
    modulus = 4 * epsilon / sigma**3 * a12 * (a6 / a12) ** 2.5 / units.GPa
    assert found.elastic.bulk_modulus == pytest.approx(modulus, rel=1e-4)
    assert found.eos.bulk_modulus == pytest.approx(modulus, rel=2e-3)
    assert found.elastic.relaxed["C12"] == pytest.approx(found.elastic.relaxed["C44"], rel=1e-4)  # Cauchy


def test_hexagonal_copper(energy_of, modulus_by_energy):
    """hcp: c/a from a map of energies; tensor against energies with and without the atoms following."""
    found = crystal_properties(EMT(), "hcp", elements=["Cu"], quantities=["eos", "elastic"])
    at, relaxed, clamped = found.lattice, found.elastic.relaxed, found.elastic.unrelaxed
    energies = {
        (da, dc): energy_of(EMT(), bulk("Cu", "hcp", at.a * (1 + da), c=at.c * (1 + dc)))
        for da in (-1e-3, 0, 1e-3)
        for dc in (-1e-3, 0, 1e-3)
    }
    assert min(energies, key=lambda key: energies[key]) == (0, 0)
    assert at.c / at.a == pytest.approx(np.sqrt(8 / 3), rel=2e-3)
    crystal = bulk("Cu", "hcp", at.a, c=at.c)
    for constants, fmax in ((clamped, None), (relaxed, 1e-5)):
        along = modulus_by_energy(EMT(), crystal, np.diag([1, 0, 0]), fmax=fmax)
        assert along == pytest.approx(constants["C11"], rel=5e-3)
        shear = modulus_by_energy(EMT(), crystal, [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]], fmax=fmax)
        assert shear == pytest.approx((constants["C11"] - constants["C12"]) / 2, rel=5e-3)
    assert modulus_by_energy(EMT(), crystal, np.diag([0, 0, 1])) == pytest.approx(relaxed["C33"], rel=5e-3)
    assert clamped["C11"] > relaxed["C11"] + 5  # the atoms of hcp follow a strain in the plane
    assert found.eos.bulk_modulus == pytest.approx(found.elastic.bulk_modulus, rel=1e-2)
    assert found.elastic.residual < 1.0


def test_birch_murnaghan_finds_its_own_parameters():
    energy, volume, modulus, slope = -4.6, 20.0, 98.0 * units.GPa, 4.2
    at = np.linspace(0.92, 1.08, 11) * volume
    x = (volume / at) ** (2 / 3)
    curve = energy + 9 * volume * modulus / 16 * ((x - 1) ** 3 * slope + (x - 1) ** 2 * (6 - 4 * x))
    fit = birch_murnaghan(at, curve)
    assert fit.volume == pytest.approx(volume, rel=1e-8)
    assert fit.energy == pytest.approx(energy, rel=1e-8)
    assert fit.bulk_modulus == pytest.approx(98.0, rel=1e-6)
    assert fit.bulk_modulus_derivative == pytest.approx(slope, rel=1e-5)
    assert fit.rms < 1e-10
