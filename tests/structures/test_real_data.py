"""Real data sets: every count of the manifest, and the round trip of every key."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from aliquot.structures import load, read, survey, write
from aliquot.structures.distances import distances
from aliquot.structures.similar import near_duplicates

from .conftest import assert_same

SETS = [
    "hf_hfo2_cesmix",
    "hfo2_subset",
    "si_gap18_available",
    "si_gap18_core_surface",
    "ta_snap2015",
    "tial_tutorial",
    "w_szlachta2014",
    "water_deepmd",
    "wbe_wood2019",
    "zuo2020_Cu",
    "zuo2020_Ge",
    "zuo2020_Li",
    "zuo2020_Mo",
    "zuo2020_Ni",
    "zuo2020_Si",
]


@pytest.mark.parametrize("name", SETS)
def test_counts(name: str, data_folder: Path) -> None:
    expected = json.loads((data_folder / "manifest.json").read_text())[name]
    loaded = load(data_folder / expected["file"])
    frames = loaded.frames
    assert not loaded.exclusions
    assert len(frames) == expected["structures"]
    assert frames.n_atoms == expected["atoms"]
    assert (frames.sizes.min(), frames.sizes.max()) == (expected["min_atoms"], expected["max_atoms"])
    assert sorted(frames.symbols) == sorted(expected["elements"])
    assert dict(Counter(frames.config_type.tolist())) == expected["config_types"]
    for label, n in ((frames.energy, "n_energy"), (frames.forces, "n_forces"), (frames.virial, "n_virial")):
        assert int(label.present.sum()) == expected[n]
        assert set(label.counts()) <= {"REF_energy", "REF_forces", "REF_virial"}


@pytest.mark.parametrize("name", ["tial_tutorial", "zuo2020_Ge", "ta_snap2015"])
def test_round_trip(name: str, data_folder: Path, tmp_path: Path) -> None:
    frames = read(data_folder / f"{name}.xyz.xz")
    write(tmp_path / "again.xyz", frames)
    assert_same(frames, read(tmp_path / "again.xyz"))


def test_isolated_atom(data_folder: Path) -> None:
    frames = read(data_folder / "si_gap18_core_surface.xyz.xz")
    (atom,) = survey(frames).isolated_atoms
    assert (atom.element, atom.energy) == ("Si", -158.54496821)


def test_virials_are_positive_under_compression(data_folder: Path) -> None:
    frames = read(data_folder / "ta_snap2015.xyz.xz")
    bcc = np.flatnonzero(frames.config_type == "Volume_BCC")
    volume = frames.volumes[bcc] / frames.sizes[bcc]
    trace = np.trace(frames.virial.values[bcc], axis1=1, axis2=2)
    assert trace[np.argmin(volume)] > 0 > trace[np.argmax(volume)]


def test_known_near_duplicates_are_found(data_folder: Path) -> None:
    """Published pairs of near-identical frames of the tungsten-beryllium set."""
    table = data_folder / "wbe_label_inconsistencies.csv"
    if not table.is_file():
        pytest.skip(f"no {table.name} in {data_folder}")
    with table.open() as file:
        pairs = [
            (int(r["index_a"]), int(r["index_b"]))
            for r in csv.DictReader(file)
            if float(r["max_dx_A"]) < 0.005
        ]
    assert len(pairs) > 10
    frames = read(data_folder / "wbe_wood2019.xyz.xz")
    some = frames[np.unique(pairs)]
    groups = near_duplicates(some, distances(some).traits)
    followers = set(some.frame[np.concatenate([g[1:] for g in groups])].tolist())
    alike = [np.abs(frames[a].cells - frames[b].cells).max() <= 0.01 for a, b in pairs]
    assert sum(alike) > 10
    assert all(a in followers or b in followers for (a, b), same in zip(pairs, alike, strict=True) if same)
