"""Every record may be small, empty, constant or half there, and the page still says what is true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from aliquot.structures import Column
from aliquot.table import Features


def test_nothing_known(records, write):
    records.optional = {}
    page = write(records.choose([1, 2], known_size=0, known_hash=""))
    assert page.head == "2 of 30 structures chosen"
    assert "Knownnothing" in page.sections["asked"]
    assert "known" not in page.sections["map"].replace("candidates and known", "")


def test_known_without_features(records, write):
    del records.optional["known_features"]
    assert "without features and are not on the map" in write(records).sections["map"]


def test_random_has_no_gain(records, write):
    bare = {"gain": None, "gain_unit": "", "certificate": None, "suggested_stop": None, "sensitivity": None}
    page = write(records.choose(range(12), method="random", recipe={}, nested=None, **bare))
    assert "assigns no gain to a pick" in page.sections["gain"]
    assert "None: this method gives no bound" in page.sections["gain"]
    rows = page.tables["The first ten picks"]
    assert [r[0] for r in rows[1:]] == [str(k) for k in range(1, 11)]
    assert not any(h.startswith("gain") for h in rows[0])


def test_no_pick(records, write):
    page = write(records.choose([]))
    assert page.head.startswith("0 of 30 structures chosen")
    assert "Nothing was chosen" in page.sections["gain"]
    assert "Nothing was chosen" in page.sections["structures"]


def test_one_pick(records, write):
    page = write(records.choose([7]))
    assert "The most informative structure" in page.sections["structures"]
    assert "Gain of each pick" in page.sections["gain"]


def test_every_candidate_chosen(records, write):
    page = write(records.choose(range(30)))
    assert page.head.startswith("30 of 30")
    assert "candidate, not chosen" not in page.sections["map"]


def test_empty_pool(records, write, frames_of):
    empty = replace(records, pool=frames_of([]), features=records.features[:0])
    page = write(empty.choose([]))
    assert page.head.startswith("0 of 0 structures chosen")
    assert "The pool is empty" in page.sections["composition"]


@pytest.mark.parametrize("gain", [[3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [-2.0, -1.0, -4.0], [1e6, 1.0, 1e-9]])
def test_gains_of_any_size(records, write, gain):
    page = write(records.choose([1, 2, 3], gain=np.array(gain)))
    assert "Gain of each pick" in page.sections["gain"]


def test_gains_that_are_not_finite(records, write):
    page = write(records.choose([1, 2], gain=np.array([np.inf, 1.0])))
    assert "Some gains are not finite" in page.sections["gain"]


def test_formulas_stand_in_for_config_types(records, write, frames_of):
    images = [Atoms("H2O" if k % 3 else "CO2", positions=np.eye(3) * 1.3) for k in range(30)]
    page = write(replace(records, pool=frames_of(images)).choose([0, 1, 2], known_size=7))
    assert "No frame names a config type" in page.sections["composition"]
    (rows,) = [rows for caption, rows in page.tables.items() if caption.startswith("Structures by formula")]
    assert [r[0] for r in rows[1:3]] == ["H2O", "CO2"]


def test_one_formula_alone(records, write, frames_of):
    images = [Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.7 + 0.01 * k]]) for k in range(30)]
    records.optional = {}
    page = write(replace(records, pool=frames_of(images)).choose([0], known_size=0))
    assert "Every structure has the same formula: H2." in page.sections["composition"]


def test_many_groups_share_the_last_bar(records, write):
    names = np.array([f"type {k:02d}" for k in range(30)])
    pool = records.pool
    columns = {**pool.frame_columns, "config_type": Column(names, np.ones(30, bool))}
    page = write(replace(records, pool=replace(pool, frame_columns=columns)))
    assert "other (" in page.sections["composition"]


def test_lone_atoms_without_a_cell(records, write, frames_of):
    pool = frames_of([Atoms("He") for _ in range(30)])
    page = write(replace(records, pool=pool))
    assert "No structure of the pool has two atoms near each other" in page.sections["distances"]
    rows = page.tables["The six most informative structures"]
    assert "volume per atom (Å³)" not in rows[0]
    assert "shortest distance (Å)" not in rows[0]


def test_periodic_flags_without_a_cell(records, write, frames_of):
    pool = frames_of([Atoms("He2", positions=[[0, 0, 0], [0, 0, 3.0]], pbc=True) for _ in range(30)])
    assert "3.000" in write(replace(records, pool=pool)).sections["distances"]


def test_no_label_at_all(records, write):
    pool = replace(records.pool, frame_columns={}, atom_columns={})
    assert (
        "No structure of the pool has an energy or forces"
        in write(replace(records, pool=pool)).sections["labels"]
    )


def test_energies_that_are_nan(records, write):
    nan = Column(np.full(30, np.nan), np.ones(30, bool))
    pool = replace(records.pool, frame_columns={**records.pool.frame_columns, "REF_energy": nan})
    page = write(replace(records, pool=pool))
    assert "No structure of the pool has a value of: energy per atom (eV)" in page.sections["labels"]
    assert "30 of 30 structures have this label" in page.sections["labels"]  # the forces


def test_labels_of_some_but_of_no_chosen_one(records, write):
    present = np.arange(30) >= 25
    old = records.pool.frame_columns["REF_energy"]
    columns = {**records.pool.frame_columns, "REF_energy": Column(old.values, present)}
    pool = replace(records.pool, frame_columns=columns, atom_columns={})
    assert "5 of 30 structures have this label" in write(replace(records, pool=pool)).sections["labels"]


@pytest.mark.parametrize(
    "rows",
    [np.ones((30, 3)), np.zeros((30, 1)), np.ones((30, 3), np.float32)],
    ids=["constant", "zero", "float32"],
)
def test_features_without_a_direction(records, write, rows):
    del records.optional["known_features"]
    features = Features.from_array(rows, ids=records.features.ids)
    assert "no direction to draw a map along" in write(replace(records, features=features)).sections["map"]


def test_one_feature(records, write):
    del records.optional["known_features"]
    features = Features.from_array(np.arange(30.0)[:, None], ids=records.features.ids)
    words = write(replace(records, features=features)).sections["map"]
    assert "first principal component (100 % of variance)" in words
    assert "second principal component (0 % of variance)" in words


def test_blocks_on_disk(records, write, tmp_path):
    rng = np.random.default_rng(5)
    lengths = rng.integers(1, 6, size=30)
    rows = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", np.float32, (int(lengths.sum()), 5))
    rows[:] = rng.normal(size=rows.shape)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    features = Features.from_array(rows, offsets=offsets, kind="atom", ids=records.features.ids)
    assert isinstance(features.rows, np.memmap)
    page = write(replace(records, features=features))
    assert "Mean scaled row of each structure" in page.sections["map"]
    assert f"{lengths.sum()} rows in all" in page.sections["asked"]


def test_a_small_group_that_the_choice_favours_keeps_its_bar(records, write):
    names = np.array([f"type {k % 15:02d}" for k in range(29)] + ["rare"])
    columns = {**records.pool.frame_columns, "config_type": Column(names, np.ones(30, bool))}
    pool = replace(records.pool, frame_columns=columns)
    words = write(replace(records, pool=pool).choose([29, 0, 1])).sections["composition"]
    assert "rare" in words.split("Structures by config type")[0]
    assert "other (3 groups)" in words


def test_farthest_point_sampling_speaks_of_distances(records, write):
    page = write(records.choose([1, 2, 3], method="fps", recipe={}, gain_unit="distance", certificate=None))
    assert page.tables["The three farthest picks"][0][:2] == ["pick", "distance"]
    assert "distance to the nearest known or chosen" in page.sections["gain"]
