"""Structures that come of it: diverse, sound, the same for the same seed, and kept when work stops."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from aliquot.errors import InputError
from aliquot.explore import Recipe, generate
from aliquot.explore import generation as module
from aliquot.explore.attempt import REACH
from aliquot.explore.journal import Journal
from aliquot.structures.contacts import contacts
from aliquot.structures.neighbours import neighbours

SMALL = Recipe("W", atoms=(6, 12), features="ace:degree=6,cutoff=5", reference=12, steps=15, seed=3)


@pytest.fixture(scope="module")
def made():
    return generate(SMALL, 40)


def test_structures_are_sound(made):
    frames, sigma = made.frames, SMALL.repel_below[0, 0]
    assert len(frames) == 40
    assert set(frames.elements) == {74}
    assert not contacts(frames, np.ones(40, bool), 0.0, SMALL.closest * sigma - 1e-9)
    for i in range(40):
        atoms = slice(frames.offsets[i], frames.offsets[i + 1])
        pairs = neighbours(
            frames.positions[atoms], frames.cells[i], frames.pbc[i], REACH * SMALL.basis.r0[0, 0]
        )
        assert np.all(np.diff(pairs.first) > 0)  # nobody is alone
        inside = frames.positions[atoms] @ np.linalg.inv(frames.cells[i])
        assert inside.min() > -1e-9
        assert inside.max() < 1 + 1e-9
    assert sum(made.verdicts.values()) == made.attempts
    assert made.verdicts["accepted"] >= 40


def test_more_diverse_than_the_packings_it_began_with(made):
    again = made.compare("again", made.frames)
    assert again.numbers == pytest.approx(made.census.numbers, rel=1e-9, nan_ok=True)
    assert again.means == pytest.approx(made.census.means, rel=1e-6, abs=1e-9)
    assert made.census.column("volume") == pytest.approx(made.packed.column("volume"))
    assert made.census.entropy > made.packed.entropy + 0.1
    assert made.census.column("local").mean() > made.packed.column("local").mean()


def test_entropy_is_that_of_the_structures(made):
    exact = generate(SMALL, made.verdicts["accepted"])
    assert exact.compare("again", exact.frames).entropy == pytest.approx(exact.census.entropy, rel=1e-9)


def test_same_seed_same_structures_whoever_works(made):
    with ThreadPoolExecutor(3) as pool:
        other = generate(SMALL, 40, executor=pool)
    np.testing.assert_array_equal(made.frames.positions, other.frames.positions)
    np.testing.assert_array_equal(made.frames.cells, other.frames.cells)
    assert generate(replace(SMALL, seed=4), 3).frames.n_atoms != generate(SMALL, 3).frames.n_atoms


def test_the_first_of_many_are_those_of_few(made):
    few = generate(SMALL, 11)
    np.testing.assert_array_equal(few.frames.positions, made.frames.positions[: few.frames.n_atoms])
    assert few.census.entropy == pytest.approx(few.compare("same", few.frames).entropy, rel=1e-9)


def test_goes_on_where_it_was_stopped(tmp_path, monkeypatch, made):
    folder = tmp_path / "kept"
    monkeypatch.setattr(module, "EVERY", 0.0)

    class StopError(Exception):
        pass

    def stop(stage, done, total):
        if done >= 20:
            raise StopError

    with pytest.raises(StopError):
        generate(SMALL, 40, folder=folder, progress=stop)
    with open(folder / "structures.xyz", "ab") as file:  # killed while appending
        file.write(b"7\nLattice=")
    done = generate(SMALL, 40, folder=folder)
    np.testing.assert_array_equal(done.frames.positions, made.frames.positions)
    np.testing.assert_array_equal(done.census.means, made.census.means)
    assert done.census.entropy == made.census.entropy
    more = generate(SMALL, 48, folder=folder)
    np.testing.assert_array_equal(more.frames.positions[: done.frames.n_atoms], done.frames.positions)


def test_a_folder_of_something_else(tmp_path):
    kept = tmp_path / "kept"
    generate(SMALL, 2, folder=kept)
    with pytest.raises(InputError, match="seed differs, 3 there and 5 here"):
        generate(replace(SMALL, seed=5), 2, folder=kept)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("words")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        generate(SMALL, 2, folder=tmp_path / "full")
    (kept / "state.npz").write_bytes(b"not an archive")
    with pytest.raises(InputError, match="damaged"):
        generate(SMALL, 2, folder=kept)
    (tmp_path / "file").write_text("words")
    with pytest.raises(InputError, match="not a folder"):
        generate(SMALL, 2, folder=tmp_path / "file")


def test_two_at_one_folder(tmp_path):
    with Journal(tmp_path / "kept", SMALL), pytest.raises(InputError, match="another process"):
        generate(SMALL, 2, folder=tmp_path / "kept")
    generate(SMALL, 2, folder=tmp_path / "kept")


def test_nothing_is_left_of_what_could_not_begin(tmp_path):
    with pytest.raises(InputError, match="own images"):
        generate(replace(SMALL, volume=(0.5, 0.6)), 2, folder=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_a_worker_that_dies():
    class Dead(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future: Future = Future()
            future.set_exception(BrokenExecutor("killed"))
            return future

    with pytest.raises(InputError, match="worker process died"):
        generate(SMALL, 2, executor=Dead())


def test_too_dense_for_the_core_says_so():
    with pytest.raises(InputError, match="400 attempts in a row"):
        generate(replace(SMALL, volume=(6.5, 6.6), atoms=(12, 12), steps=2), 2)


@pytest.mark.parametrize("more", [{"objective": "local"}, {"objective": "global"}, {"strict": True}])
def test_other_objectives(more):
    done = generate(replace(SMALL, **more), 20)
    assert len(done.frames) == 20
    assert done.census.entropy > done.packed.entropy


def test_compounds_and_mixtures():
    hafnia = generate(Recipe("HfO2", atoms=(6, 12), features="ace:degree=5", reference=8, steps=8), 12)
    for i in range(12):
        numbers = hafnia.frames.numbers[hafnia.frames.offsets[i] : hafnia.frames.offsets[i + 1]]
        assert np.sum(numbers == 8) == 2 * np.sum(numbers == 72)
    mixed = generate(Recipe("W-Be", atoms=(8, 8), features="ace:degree=5", reference=8, steps=8), 12)
    shares = {int(np.sum(mixed.frames.numbers[8 * i : 8 * i + 8] == 4)) for i in range(12)}
    assert len(shares) > 3


def test_no_structures_wanted():
    with pytest.raises(InputError, match="positive"):
        generate(SMALL, 0)
