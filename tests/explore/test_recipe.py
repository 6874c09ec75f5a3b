"""Compositions, cells and the parameters of a recipe."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aliquot.errors import InputError
from aliquot.explore.composition import Composition
from aliquot.explore.packing import draw_packing
from aliquot.explore.recipe import SHAPES, Recipe, atomic_volume


def test_formula_keeps_its_ratio():
    hafnia = Composition("Hf4O8")
    assert hafnia.unit == 3
    assert hafnia.sizes(10, 20) == (12, 15, 18)
    for n in hafnia.sizes(3, 12):
        assert Counter(hafnia.draw(n, np.random.default_rng(n)).tolist()) == {8: 2 * n // 3, 72: n // 3}


def test_mixture_has_every_ratio():
    rng = np.random.default_rng(0)
    seen = Counter(
        tuple(np.bincount(Composition("Ti-Al-Ni").draw(3, rng), minlength=30)[[13, 22, 28]])
        for _ in range(3000)
    )
    assert len(seen) == 10  # all ways to share three atoms
    assert min(seen.values()) > 230
    assert max(seen.values()) < 370


@pytest.mark.parametrize("text", ["", "w", "Xx", "W-", "W-W", "W2-Be", "WW", "W0", "Hf O2", "W/Be"])
def test_what_is_no_composition(text):
    with pytest.raises(InputError):
        Composition(text)


def test_sizes_that_do_not_fit():
    with pytest.raises(InputError, match="multiples of 3"):
        Recipe("HfO2", atoms=(4, 5))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"atoms": (0, 3)}, "atoms"),
        ({"atoms": (5, 3)}, "atoms"),
        ({"volume": (0.0, 1.0)}, "volume"),
        ({"shapes": ("ball",)}, "ball"),
        ({"shapes": ()}, "none"),
        ({"objective": "most"}, "most"),
        ({"strict": True, "objective": "local"}, "strict"),
        ({"core": 0.0}, "core"),
        ({"steps": 0}, "steps"),
        ({"ridge": 0.0}, "ridge"),
        ({"seed": -1}, "seed"),
        ({"features": "soap"}, "gradients"),
    ],
)
def test_wrong_parameters(wrong, said):
    with pytest.raises((InputError, ImportError), match=said):
        Recipe("W", **wrong)


def test_packings_are_what_was_asked_for():
    recipe = Recipe("W", atoms=(6, 24), volume=(14.0, 20.0))
    rng = np.random.default_rng(1)
    packings = [draw_packing(recipe, rng) for _ in range(150)]
    sizes = {len(p.numbers) for p in packings}
    assert min(sizes) >= 6
    assert max(sizes) <= 24
    assert len(sizes) > 12
    volumes = np.array([abs(np.linalg.det(p.cell)) / len(p.numbers) for p in packings])
    assert 14.0 <= volumes.min() < 14.5
    assert 19.5 < volumes.max() <= 20.0
    assert Counter(p.shape for p in packings).keys() == SHAPES.keys()
    steps = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    steps = steps[steps.any(axis=1)]
    apart = recipe.closest * recipe.repel_below[0, 0]
    assert min(np.linalg.norm(steps @ p.cell, axis=1).min() for p in packings) >= apart


def test_cell_too_small_for_an_atom():
    recipe = Recipe("W", atoms=(1, 1), volume=(2.0, 3.0))
    with pytest.raises(InputError, match="own images"):
        draw_packing(recipe, np.random.default_rng(0))


def test_volumes_of_crystals():
    from ase.build import bulk

    for symbol, z in (("W", 74), ("Cu", 29), ("Ti", 22), ("Si", 14)):
        atoms = bulk(symbol)
        assert atomic_volume(z) == pytest.approx(atoms.get_volume() / len(atoms), rel=1e-3)
    assert 5 < atomic_volume(8) < 20
    assert 5 < atomic_volume(31) < 40


def test_basis_stays_small_for_many_elements():
    for text in ("W", "W-Be", "Hf-O-Zr", "Ti-Al-Ni-Cu-Fe-V"):
        assert 50 <= len(Recipe(text).basis.functions) <= 150
