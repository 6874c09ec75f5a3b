"""The surface on which atoms are driven: its slope by finite differences, its core by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.ace.evaluator import AceEvaluator
from aliquot.explore.entropy import Gaussians, Standard
from aliquot.explore.landscape import STIFFNESS, Landscape, soft_core
from aliquot.explore.packing import draw_packing
from aliquot.explore.recipe import Recipe
from aliquot.structures.neighbours import neighbours


def begun(composition, **more):
    recipe = Recipe(composition, atoms=(8, 8), features="ace:degree=6,cutoff=5", **more)
    rng = np.random.default_rng(7)
    evaluator = AceEvaluator(recipe.basis)
    packings = [draw_packing(recipe, rng) for _ in range(8)]
    species = [recipe.basis.species(p.numbers) for p in packings]
    rows = np.concatenate([Landscape(evaluator, p, recipe.repel_below).values(p.positions) for p in packings])
    kinds = np.concatenate(species)
    standard = Standard.of(rows, kinds, len(recipe.basis.elements))
    empty = Gaussians.empty(len(recipe.basis.elements), rows.shape[1], ridge=recipe.ridge)
    return recipe, evaluator, packings[0], standard, empty.joined(standard(rows, kinds), kinds)


@pytest.mark.parametrize("composition", ["W", "HfO3", "Ti-Al-Ni-Cu"])
@pytest.mark.parametrize("parts", ["both", "global", "local", "core"])
def test_slope_by_finite_differences(composition, parts):
    recipe, evaluator, packing, standard, known = begun(composition, volume=(9.0, 12.0))
    surface = Landscape(
        evaluator,
        packing,
        recipe.repel_below,
        standard,
        known if parts in ("both", "global") else None,
        parts in ("both", "local"),
        0.0 if parts == "core" else 2.0,
    )
    _, slope = surface(packing.positions)
    assert np.abs(slope).max() > 1e-3
    h = 1e-5
    for atom, axis in ((0, 0), (3, 1), (5, 2), (7, 0)):
        ends = []
        for step in (h, -h):
            moved = packing.positions.copy()
            moved[atom, axis] += step
            ends.append(surface(moved)[0])
        near = pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-6 * np.abs(slope).max())
        assert slope[atom, axis] == near


def test_core_by_brute_force():
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [0, 2.5, 0]])
    cell, sigma = np.eye(3) * 5.2, np.array([[2.0, 3.0], [3.0, 3.0]])
    species = np.array([0, 1, 1])
    pairs = neighbours(positions, cell, np.ones(3, bool), 4.0)
    energy, _, shortest = soft_core(species, pairs, sigma)
    told = 0.0
    for i, j, r in (
        (0, 1, 1.0),
        (0, 2, 2.5),
        (0, 2, 2.7),
        (1, 2, np.hypot(1, 2.5)),
        (1, 2, np.hypot(1, 2.7)),
    ):
        told += 0.5 * STIFFNESS * max(0.0, 1 - r / sigma[species[i], species[j]]) ** 2
    assert energy == pytest.approx(told)
    assert shortest == pytest.approx(1 / 3)


def test_relaxation_on_the_core_leaves_no_overlap():
    recipe, evaluator, packing, _, _ = begun("W")
    core = Landscape(evaluator, packing, recipe.repel_below)
    before = core(packing.positions)[0]
    positions, calls = core.relax(packing.positions, 50)
    assert before > 1.0
    assert core(positions)[0] < 1e-3
    assert 1 < calls <= 101


def test_relaxation_with_entropy_raises_it():
    recipe, evaluator, packing, standard, known = begun("W")
    core = Landscape(evaluator, packing, recipe.repel_below)
    start, _ = core.relax(packing.positions, 50)
    kinds = core.species
    driven = Landscape(evaluator, packing, recipe.repel_below, standard, known, True, 0.1)
    end, _ = driven.relax(start, 50)
    before, after = (known.gain(standard(core.values(x), kinds), kinds) for x in (start, end))
    assert after > before + 1.0
