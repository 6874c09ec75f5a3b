"""Features: pooling by hand, many elements in bounded size, other people's numbers, and the cache."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.features import featurize, featurizers
from aliquot.features.ace import MAX_FEATURES, AceFeaturizer, choose_ace
from aliquot.features.cache import cached
from aliquot.features.shards import ShardedRows
from aliquot.structures import Frames
from aliquot.table import KINDS


def rattled(atoms: Atoms, seed: int) -> Atoms:
    out = atoms.copy()
    out.rattle(0.08, seed=seed)
    return out


@pytest.fixture
def alloy() -> Frames:
    cells = [bulk("NaCl", "rocksalt", 5.64, cubic=True), bulk("Na", "bcc", 4.2, cubic=True), Atoms("Cl")]
    return Frames.from_atoms([rattled(c, i) for i, c in enumerate(cells)])


def by_hand(featurizer: AceFeaturizer, frames: Frames, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Site values and centre weights of one frame."""
    values = AceEvaluator(featurizer.basis).site_values(frames, i)
    numbers = frames.numbers[frames.offsets[i] : frames.offsets[i + 1]]
    return values, featurizer.centres[:, [featurizer.basis.elements.index(z) for z in numbers]]


def test_mean_pooling_is_the_energy_row_per_atom(alloy):
    featurizer = choose_ace(alloy.elements, degree=6)
    table = featurizer(alloy)
    for i in range(len(alloy)):
        values, centres = by_hand(featurizer, alloy, i)
        expected = np.concatenate([(c[:, None] * values).mean(axis=0) for c in centres])
        np.testing.assert_allclose(table.rows[i], expected, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(table.weight, np.sqrt([8, 2, 1]))
    assert set(table.kind) == {KINDS.index("energy")}
    assert table.names[0].startswith("Na:")
    assert table.n_features == 2 * len(featurizer.basis.functions) == len(table.prior)


def test_sum_element_and_none_pooling(alloy):
    mean, total, element, none = (
        choose_ace(alloy.elements, degree=5, pooling=p)(alloy) for p in ("mean", "sum", "element", "none")
    )
    np.testing.assert_allclose(total.rows, mean.rows * alloy.sizes[:, None], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(total.weight * total.rows[0, 0], total.weight * total.rows[0, 0])
    # what the posterior absorbs, weight × row, does not depend on mean or sum
    np.testing.assert_allclose(
        total.weight[:, None] * total.rows, mean.weight[:, None] * mean.rows, rtol=1e-5, atol=1e-7
    )
    half = mean.n_features // 2
    np.testing.assert_allclose(element.rows[0, :half], 2 * mean.rows[0, :half], rtol=1e-5)
    np.testing.assert_allclose(element.rows[1, :half], mean.rows[1, :half], rtol=1e-5)
    assert np.all(element.rows[1, half:] == 0)  # no chlorine there
    assert none.rows.shape == (alloy.n_atoms, mean.n_features)
    assert set(none.kind) == {KINDS.index("atom")}
    np.testing.assert_allclose(none.rows[:8].mean(axis=0), mean.rows[0], rtol=1e-4, atol=1e-6)


def test_features_do_not_depend_on_threads_or_batches(alloy):
    many = Frames.concatenate([alloy] * 40)
    table = choose_ace(alloy.elements, degree=5)(many)
    for repeat in range(40):
        np.testing.assert_array_equal(table.rows[3 * repeat : 3 * repeat + 3], table.rows[:3])


@pytest.mark.parametrize("n_elements", [1, 2, 3, 5, 12])
def test_default_size_is_bounded_whatever_the_number_of_elements(n_elements):
    elements = tuple(range(21, 21 + n_elements))
    featurizer = choose_ace(elements)
    assert 300 <= len(featurizer.names) <= MAX_FEATURES
    assert bool(featurizer.notes) == (n_elements > 2)
    if featurizer.notes:
        assert "element-resolved basis" in featurizer.notes[0]


def test_twelve_elements_are_told_apart():
    rng = np.random.default_rng(0)
    elements = tuple(range(21, 33))
    base = bulk("Ni", cubic=True) * (2, 2, 2)
    frames = []
    for seed in range(30):
        atoms = rattled(base, seed)
        atoms.numbers = rng.choice(elements, len(atoms))
        frames.append(atoms)
    swapped = frames[0].copy()
    swapped.numbers[:2] = [swapped.numbers[0] % 12 + 21, swapped.numbers[1]]
    pool = Frames.from_atoms([*frames, swapped])
    (table,) = featurize("ace", pool)
    assert table.n_features <= MAX_FEATURES
    distance = np.linalg.norm(table.rows[0] - table.rows[-1]) / np.linalg.norm(table.rows[0])
    assert distance > 1e-4
    # an element's weights do not depend on who else is in the pool
    (fewer,) = featurize("ace", pool[:5])
    assert fewer.n_features == table.n_features


def test_pool_and_known_share_one_basis(alloy):
    copper = Frames.from_atoms([bulk("Cu", cubic=True)])
    one, two = featurize("ace:degree=5", alloy, copper)
    assert one.recipe == two.recipe
    assert one.n_features == two.n_features
    with pytest.raises(InputError, match="atomic number 29 is not among"):
        choose_ace(alloy.elements, degree=5)(copper)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mace", "not known"),
        ("ace:depth=3", "not known"),
        ("ace:degree=high", "not a number"),
        ("ace:degree=nan", "finite"),
        ("ace:order=5", "orders 1 to 4"),
        ("ace:pair=4", "needs a degree"),
        ("ace:radial=spline", "radial family"),
        ("ace:prior=rough", "prior"),
        ("ace:degree=12/x", "not a number"),
        ("ace:cutoff=-1", "cutoff"),
        ("python:nothing", "must name a module and a function"),
        ("python:no_such_module_here:f", "cannot import"),
        ("python:math:no_such_function", "no function"),
        ("file:missing.npy", "does not exist"),
        ("file:a.npy,b.npy", "names 2 file"),
    ],
)
def test_bad_specifications_name_what_is_wrong(alloy, spec, message):
    with pytest.raises(InputError, match=message):
        featurize(spec, alloy)


def test_every_parameter_of_the_basis_can_be_named(alloy):
    spec = "ace:degree=8/7/6/5,pair=4,radial=SBessel,cutoff=4.5,weight_l=2,prior=exponential"
    (table,) = featurize(spec, alloy)
    basis = table.recipe["basis"]
    assert basis["degree"] == [8, 7, 6, 5]
    assert basis["radial"] == {"family": "SBessel"}
    assert basis["smoothness"]["kind"] == "exponential"
    assert (basis["pair_degree"], basis["weight_l"], basis["cutoff"][0][0]) == (4, 2.0, 4.5)
    assert sum("pair" in name for name in table.names) == 2 * 2 * 4  # centres × neighbours × functions
    assert np.all(np.isfinite(table.rows))


def test_unknown_pooling_lists_the_choices(alloy):
    with pytest.raises(InputError, match="mean, sum, element, none"):
        featurize("ace", alloy, pooling="median")


@pytest.fixture
def descriptors(monkeypatch):
    module = types.ModuleType("my_descriptors")
    module.calls = 0

    def height(atoms):
        module.calls += 1
        return np.stack([atoms.positions[:, 2], atoms.numbers.astype(float)], axis=1)

    module.height = height
    module.broken = lambda atoms: np.full((len(atoms), 2), np.nan)
    module.flat = lambda atoms: np.zeros(len(atoms))
    monkeypatch.setitem(sys.modules, "my_descriptors", module)
    return module


def test_any_callable(alloy, descriptors):
    (table,) = featurize("python:my_descriptors:height", alloy)
    expected = [alloy.positions[alloy.offsets[i] : alloy.offsets[i + 1], 2].mean() for i in range(3)]
    np.testing.assert_allclose(table.rows[:, 0], expected, rtol=1e-6, atol=1e-7)
    with pytest.raises(InputError, match="feature 0 of atom 0 is nan"):
        featurize("python:my_descriptors:broken", alloy)
    with pytest.raises(InputError, match="expected"):
        featurize("python:my_descriptors:flat", alloy)


def test_numbers_from_files(alloy, tmp_path):
    rng = np.random.default_rng(0)
    per_frame, per_atom = rng.normal(size=(3, 5)), rng.normal(size=(alloy.n_atoms, 4))
    np.save(tmp_path / "frames.npy", per_frame)
    np.save(tmp_path / "atoms.npy", per_atom)
    (table,) = featurize(f"file:{tmp_path / 'frames.npy'}", alloy)
    np.testing.assert_array_equal(table.rows, per_frame)
    (table,) = featurize(f"file:{tmp_path / 'atoms.npy'}", alloy)
    np.testing.assert_allclose(table.rows[0], per_atom[:8].mean(axis=0), rtol=1e-6)
    np.save(tmp_path / "wrong.npy", rng.normal(size=(4, 5)))
    with pytest.raises(InputError, match="4 rows"):
        featurize(f"file:{tmp_path / 'wrong.npy'}", alloy)
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"not a \.npy file of numbers"):
        featurize(f"file:{tmp_path / 'objects.npy'}", alloy)


def test_soap_is_invariant_and_follows_the_atoms():
    pytest.importorskip("featomic", reason="needs the extra aliquot[soap]")
    water = molecule("H2O")
    turned = water.copy()
    turned.rotate(40, (1, 2, 3))
    order = [2, 0, 1]
    frames = Frames.from_atoms([water, turned, water[order]])
    (table,) = featurize("soap:n_max=3,l_max=2", frames, pooling="none")
    rows = table.rows.reshape(3, 3, -1)
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5 * np.abs(rows).max())
    np.testing.assert_allclose(rows[0][order], rows[2], atol=1e-6 * np.abs(rows).max())
    assert not np.allclose(rows[0][0], rows[0][1])


def test_the_cache_computes_once_and_repairs_itself(alloy, descriptors, tmp_path):
    (make,) = featurizers("python:my_descriptors:height", alloy)
    first = cached(make, alloy, tmp_path)
    calls = descriptors.calls
    again = cached(make, alloy, tmp_path)
    assert descriptors.calls == calls
    np.testing.assert_array_equal(first.rows, again.rows)
    labelled = alloy.with_frame_column("energy", np.zeros(3))
    cached(make, labelled, tmp_path)
    assert descriptors.calls == calls, "labels are not part of the content"
    cached(make, alloy[:2], tmp_path)
    assert descriptors.calls > calls
    calls = descriptors.calls
    for entry in tmp_path.iterdir():
        (entry / "000000" / "rows.npy").write_bytes(b"broken")
    np.testing.assert_array_equal(cached(make, alloy, tmp_path).rows, first.rows)
    assert descriptors.calls > calls
    assert isinstance(cached(make, alloy, tmp_path).rows, ShardedRows)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]  # nothing half-written is left
