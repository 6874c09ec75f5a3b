"""Blocks of rows are what a fit absorbs, in the order and with the weights that are promised."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

import aliquot.table
from aliquot.ace.evaluator import AceEvaluator
from aliquot.errors import InputError
from aliquot.features import featurize, featurizers
from aliquot.fitting import labelled_rows
from aliquot.structures import Frames
from aliquot.table import KINDS

SPEC = "ace:degree=6,order=2,cutoff=4"


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Two alloys of different size, shaken and labelled with anything."""
    rng = np.random.default_rng(3)
    atoms = []
    for repeat in (1, 2):
        some = bulk("NaCl", "rocksalt", a=5.6) * (repeat, 1, 1)
        some.positions += 0.1 * rng.standard_normal(some.positions.shape)
        some.info["REF_energy"], some.info["REF_virial"] = 1.0, np.eye(3)
        some.arrays["REF_forces"] = rng.standard_normal(some.positions.shape)
        atoms.append(some)
    return Frames.from_atoms(atoms)


def test_weighted_rows_are_those_of_a_fit(frames: Frames) -> None:
    (made,) = featurizers(f"{SPEC},rows=all,weights=20/2/3", frames)
    table = made(frames)
    for i in range(len(frames)):
        labelled = labelled_rows(AceEvaluator(made.basis), frames, i)
        expected = np.vstack([w * labelled[q][0] for q, w in (("energy", 20), ("forces", 2), ("virial", 3))])
        block = slice(table.offsets[i], table.offsets[i + 1])
        rows = table.weight[block, None] * table.rows[block]
        np.testing.assert_allclose(rows, expected, rtol=3e-7, atol=1e-7 * np.abs(expected).max())
        n = frames.sizes[i]
        assert table.kind[block].tolist() == [1] + [2] * (3 * n) + [3] * 6
    assert KINDS[1:] == ("energy", "force", "virial")


def test_energy_rows_and_columns_are_those_of_mean_pooling(frames: Frames) -> None:
    (mean,) = featurize(SPEC, frames)
    (table,) = featurize(f"{SPEC},rows=energy+forces", frames)
    np.testing.assert_allclose(table.rows[table.kind == 1], mean.rows, rtol=1e-5, atol=1e-7)
    assert table.names == mean.names
    np.testing.assert_array_equal(table.prior, mean.prior)


def test_large_tables_live_in_a_file(frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    (small,) = featurize(f"{SPEC},rows=all", frames)
    monkeypatch.setattr(aliquot.table, "IN_MEMORY", 100)
    (large,) = featurize(f"{SPEC},rows=all", frames)
    assert isinstance(large.rows, np.memmap)
    np.testing.assert_array_equal(large.rows, small.rows)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("ace:rows=energy+stress", "rows energy\\+stress"),
        ("ace:rows=forces+forces", "each once"),
        ("ace:weights=30/1/1", "need rows"),
        ("ace:rows=all,weights=30/1", "three numbers"),
        ("ace:rows=all,weights=30/0/1", "three positive"),
        ("ace:rows=all,weights=30/nan/1", "finite"),
    ],
)
def test_what_cannot_be_is_refused(frames: Frames, spec: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        featurize(spec, frames)


def test_embedded_elements_have_no_force_rows() -> None:
    many = Frames.from_atoms([bulk(x) for x in ("Cu", "Ag", "Au", "Ni", "Pd", "Pt", "Al")])
    two = Frames.from_atoms([bulk("CuAu", "rocksalt", a=5.0)])
    with pytest.raises(InputError, match="name a larger size"):
        featurize("ace:rows=energy+forces", many)
    (rows,) = featurize("ace:size=120,rows=energy+forces", two)  # few functions, but of each element's own
    assert 60 < rows.n_features <= 120
    with pytest.raises(InputError, match="no degree beside it"):
        featurize("ace:size=120,degree=8", two)
    with pytest.raises(InputError, match="pooling 'sum'"):
        featurize("ace:rows=energy", two, pooling="sum")
