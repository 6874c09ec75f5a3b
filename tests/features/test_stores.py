"""A store is a table on disk: the same numbers, the same choices, and the same bytes however often it was stopped."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from aliquot.errors import InputError
from aliquot.features.building import build_store
from aliquot.features.manifest import Manifest
from aliquot.features.merging import merge_stores
from aliquot.features.opening import open_store, save_store
from aliquot.features.shards import ShardedRows
from aliquot.features.writing import StoreWriter
from aliquot.selection import METHODS, select
from aliquot.structures import Frames, write
from aliquot.table import Features, Ids


def table_of(n: int = 200, d: int = 7, *, ragged: bool = False, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, n) if ragged else np.ones(n, np.int64)
    rows = rng.standard_normal((int(lengths.sum()), d)) * 0.6 ** np.arange(d)
    table = Features.from_array(
        rows.astype(np.float32),
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        weight=rng.uniform(0.5, 2.0, len(rows)),
        prior=np.linspace(1.0, 2.0, d),
    )
    files = Ids(table.ids.hash, ("a.xyz", "b.xyz"), (np.arange(n) % 2).astype(np.int32), table.ids.frame)
    return Features(**{**vars(table), "ids": files})


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("shard_rows", [1, 7, 64, 10_000])
def test_a_store_holds_the_table(tmp_path, shard_rows, ragged):
    table = table_of(ragged=ragged)
    save_store(tmp_path / "s", table, shard_rows=shard_rows)
    back = open_store(tmp_path / "s", verify=True)
    np.testing.assert_array_equal(back.rows[:], table.rows)
    for name in ("offsets", "kind", "weight", "prior"):
        np.testing.assert_array_equal(getattr(back, name), getattr(table, name))
        assert getattr(back, name).dtype == getattr(table, name).dtype
    assert back.names == table.names
    assert back.recipe == table.recipe
    for i in (0, 1, len(table) - 1):
        assert back.ids.name(i) == table.ids.name(i)
    assert back.ids.digest() == table.ids.digest()


def test_rows_are_indexed_as_an_array_is(tmp_path):
    table = table_of(100)
    save_store(tmp_path / "s", table, shard_rows=9)
    rows, array = open_store(tmp_path / "s").rows, np.asarray(table.rows)
    assert isinstance(rows, ShardedRows)
    assert rows.shape == array.shape
    assert rows.dtype == array.dtype
    rng = np.random.default_rng(1)
    mask = rng.random(100) < 0.3
    for key in (
        slice(None), slice(8, 10), slice(9, 9), slice(90, 500), slice(-3, None), slice(50, 3, -4), 17, -1,
        [5], [3, 4, 5, 6], [99, 0, 50, 50, -2], np.array([], np.int64), mask, rng.permutation(100),
        (slice(3, 30), slice(1, 3)), (np.array([4, 2]), 0), ...,
    ):  # fmt: skip
        found = rows[key]
        assert type(found) is np.ndarray or np.isscalar(found)
        np.testing.assert_array_equal(found, array[key])
    np.testing.assert_array_equal(np.asarray(rows), array)
    for wrong in (100, [-101], [0.5], np.ones(99, bool), np.zeros((2, 2), int)):
        with pytest.raises(IndexError):
            rows[wrong]


def test_rows_travel_as_a_path(tmp_path):
    table = table_of(5000, 40)
    save_store(tmp_path / "s", table, shard_rows=512)
    rows = open_store(tmp_path / "s").rows
    sent = pickle.dumps(rows)
    assert len(sent) < 500
    np.testing.assert_array_equal(pickle.loads(sent)[:], table.rows)  # noqa: S301
    with StoreWriter(tmp_path / "s", mode="append") as writer:  # the store grows; what was sent does not
        writer.append(table[:100])
        writer.finish()
    assert pickle.loads(sent).shape == table.rows.shape  # noqa: S301
    assert len(open_store(tmp_path / "s")) == 5100


def test_bytes_do_not_depend_on_the_pieces(tmp_path):
    table = table_of(300, ragged=True)
    for name, step in (("one", 300), ("few", 37), ("many", 1)):
        with StoreWriter(tmp_path / name, shard_rows=50) as writer:
            for start in range(0, 300, step):
                writer.append(table[start : start + step])
            writer.finish()
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "few") == bytes_of(tmp_path / "many")
    counts = [shard.rows for shard in Manifest.load(tmp_path / "one").shards]
    assert max(counts) <= 50
    assert len(counts) > 3


@pytest.mark.parametrize("method", ["bayes", "fps"])
def test_same_picks_from_memory_map_and_shards(tmp_path, method):
    table = table_of(5000, 12)
    known = table_of(20, 12, seed=9)
    np.save(tmp_path / "rows.npy", table.rows)
    mapped = Features(**{**vars(table), "rows": np.load(tmp_path / "rows.npy", mmap_mode="r")})
    expected = select(table, 40, method=method, known=known)
    places = {"map": mapped}
    for shard_rows in (64, 999, 4096, 100_000):
        save_store(tmp_path / f"s{shard_rows}", table, shard_rows=shard_rows)
        places[f"shards of {shard_rows}"] = open_store(tmp_path / f"s{shard_rows}")
    for name, place in places.items():
        answer = select(place, 40, method=method, known=known)
        assert answer.index.tolist() == expected.index.tolist(), name
        assert answer.gain is not None
        np.testing.assert_array_equal(answer.gain, expected.gain, err_msg=name)
        assert answer.notes == expected.notes
        assert answer.pool_hash == expected.pool_hash
        assert any("pass" in note for note in answer.notes)


def test_same_picks_from_blocks_in_shards(tmp_path):
    table = table_of(400, 9, ragged=True)
    save_store(tmp_path / "s", table, shard_rows=101)
    for method in ("bayes", "fps"):
        expected = select(table, 30, method=method).index.tolist()
        assert select(open_store(tmp_path / "s"), 30, method=method).index.tolist() == expected


# --- stopped, damaged, hostile ------------------------------------------------------------------------------


@pytest.fixture
def pool_file(tmp_path) -> Path:
    from ase.build import bulk

    rng = np.random.default_rng(3)
    images = []
    for _ in range(60):
        atoms = bulk("Cu", cubic=True, a=3.6 + 0.2 * rng.random())
        atoms.rattle(0.05, rng=rng)
        images.append(atoms)
    write(tmp_path / "pool.xyz", Frames.from_atoms(images))
    return tmp_path / "pool.xyz"


_BUILD = """
import sys, time
from pathlib import Path
import aliquot.features.building as building
building._BATCH_FRAMES = 3
plain = building.featurizer_of

def slow(*args, **options):
    made = plain(*args, **options)
    class Slow:
        recipe, notes = made.recipe, made.notes
        def __call__(self, frames):
            time.sleep(0.02)
            return made(frames)
    return Slow()

building.featurizer_of = slow
print("ready", flush=True)
building.build_store([sys.argv[1]], "ace:degree=5,cutoff=4.0", sys.argv[2], shard_rows=7)
"""


def test_killed_at_any_point_and_resumed_it_is_the_same(tmp_path, pool_file):
    spec = "ace:degree=5,cutoff=4.0"
    build_store([pool_file], spec, tmp_path / "whole", shard_rows=7)
    rng, kills, seen = np.random.default_rng(int(time.time())), 0, set()
    place = tmp_path / "stopped"
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", _BUILD, str(pool_file), str(place)], stdout=subprocess.PIPE
        ) as run:
            assert run.stdout is not None
            run.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.3))  # all of it takes 0.4 s at least
            run.send_signal(signal.SIGKILL)
            run.wait()
            kills += run.returncode == -signal.SIGKILL
        if (place / "manifest.json").exists():
            manifest = Manifest.load(place)
            seen.add(len(manifest.shards))
            if not manifest.complete:
                with pytest.raises(InputError, match="not finished"):
                    open_store(place)
    assert kills
    built = build_store([pool_file], spec, place, shard_rows=7)
    assert built.candidates == 60
    assert bytes_of(place) == bytes_of(tmp_path / "whole")
    assert build_store([pool_file], spec, place).kept == 60  # nothing left to do


def test_every_state_that_a_kill_can_leave_is_taken_up(tmp_path, pool_file):
    spec, whole, place = "ace:degree=4,cutoff=4.0", tmp_path / "whole", tmp_path / "s"
    build_store([pool_file], spec, whole, shard_rows=13)
    manifest = Manifest.load(whole)
    for kept in range(
        len(manifest.shards) + 1
    ):  # so many shards are entered; the next is written but not entered
        for leftover in ("whole", "half", "hidden", "none"):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(whole, place)
            for k in range(kept + (leftover in ("whole", "half")), len(manifest.shards)):
                shutil.rmtree(place / f"{k:06d}")
            if leftover == "half" and kept < len(manifest.shards):
                (place / f"{kept:06d}" / "frame.npy").unlink()
            if leftover == "hidden":
                (place / f".{kept:06d}").mkdir()
                (place / f".{kept:06d}" / "rows.npy").write_bytes(b"begun")
                (place / ".manifest.json").write_text('{"format":')
            Manifest(**{**vars(manifest), "shards": manifest.shards[:kept], "complete": False}).save(place)
            assert build_store([pool_file], spec, place).kept == sum(
                s.candidates for s in manifest.shards[:kept]
            )
            assert bytes_of(place) == bytes_of(whole)


def test_damaged_shards_are_found_and_made_again(tmp_path, pool_file):
    spec, place = "ace:degree=4,cutoff=4.0", tmp_path / "s"
    build_store([pool_file], spec, place, shard_rows=13)
    before = bytes_of(place)
    rows = place / "000002" / "rows.npy"
    content = bytearray(rows.read_bytes())
    content[-3] ^= 1
    rows.write_bytes(content)
    open_store(place)  # which bit is set cannot be seen without reading everything
    with pytest.raises(InputError, match=r"shard 2 .* damaged"):
        open_store(place, verify=True)
    with pytest.raises(InputError, match=r"shard 2 .* damaged"):
        merge_stores([place], tmp_path / "merged")
    assert build_store([pool_file], spec, place).kept == 26
    assert bytes_of(place) == before
    rows.write_bytes(bytes(content[:-8]))
    with pytest.raises(InputError, match="cut off"):
        open_store(place)
    rows.unlink()
    with pytest.raises(InputError, match="missing"):
        open_store(place)


def test_other_files_and_recipes_are_refused(tmp_path, pool_file):
    from aliquot.structures import read

    place = tmp_path / "s"
    build_store([pool_file], "ace:degree=4,cutoff=4.0", place, shard_rows=13)
    with pytest.raises(InputError, match=r"recipes .*differ"):
        build_store([pool_file], "ace:degree=5,cutoff=4.0", place)
    frames = read(pool_file)
    write(tmp_path / "other.xyz", frames[::-1])
    with pytest.raises(InputError, match=r"other.xyz#0 is not the structure"):
        build_store([tmp_path / "other.xyz"], "ace:degree=4,cutoff=4.0", place)
    write(tmp_path / "fewer.xyz", frames[:50])
    with pytest.raises(InputError, match="60 candidates and the files only 50"):
        build_store([tmp_path / "fewer.xyz"], "ace:degree=4,cutoff=4.0", place)
    with pytest.raises(InputError, match="holds a feature store"):
        StoreWriter(place)
    with pytest.raises(InputError, match="begun with shard_rows=13"):
        StoreWriter(place, mode="resume", shard_rows=14)
    (tmp_path / "jobs" / "000001").mkdir(parents=True)
    (tmp_path / "jobs" / "000001" / "POSCAR").write_text("mine")
    for attempt in (lambda p: StoreWriter(p), lambda p: merge_stores([place], p)):
        with pytest.raises(InputError, match="000001"):
            attempt(tmp_path / "jobs")
    assert (tmp_path / "jobs" / "000001" / "POSCAR").exists()


def test_one_writer_at_a_time(tmp_path):
    with StoreWriter(tmp_path / "s"), pytest.raises(InputError, match="another process is writing"):
        StoreWriter(tmp_path / "s")


def test_a_store_that_cannot_be_begun_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.xyz"):
        build_store([tmp_path / "nowhere.xyz"], "ace", tmp_path / "s")
    with pytest.raises(InputError, match="at least one candidate"), StoreWriter(tmp_path / "s") as writer:
        writer.finish()
    assert not (tmp_path / "s").exists()


def test_appending_adds_shards_and_can_be_stopped(tmp_path, pool_file):
    from aliquot.structures import read

    frames, spec, place = read(pool_file), "ace:degree=4,cutoff=4.0", tmp_path / "s"
    write(tmp_path / "first.xyz", frames[:40])
    write(tmp_path / "more.xyz", frames[40:])
    build_store([tmp_path / "first.xyz"], spec, place, shard_rows=13)
    before = bytes_of(place)
    with StoreWriter(place, mode="append") as writer:  # killed before anything is finished
        writer.append(open_store_of(tmp_path, frames[40:55], spec))
    with pytest.raises(InputError, match="not finished"):
        open_store(place)
    with pytest.raises(InputError, match="being appended to"):
        build_store([tmp_path / "first.xyz"], spec, place)
    built = build_store([tmp_path / "more.xyz"], spec, place, append=True)
    assert (built.candidates, built.kept) == (60, 13)
    after = bytes_of(place)
    assert {k: v for k, v in after.items() if k in before and k != "manifest.json"} == {
        k: v for k, v in before.items() if k != "manifest.json"
    }
    build_store([pool_file], spec, tmp_path / "whole")
    np.testing.assert_array_equal(open_store(place).rows[:], open_store(tmp_path / "whole").rows[:])


def open_store_of(folder: Path, frames: Frames, spec: str) -> Features:
    from aliquot.features import featurize

    return featurize(spec, frames)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(schema=99), "schema 99"),
        (lambda m: m.update(format="other"), "format"),
        (lambda m: m.update(dtype="object"), "object"),
        (lambda m: m["shards"][0].update(rows=5), "rows.npy"),
        (lambda m: m["shards"][0].update(files=[]), "of file 1 of 0"),
        (lambda m: m["shards"].append(m["shards"][0]), "missing"),
        (lambda m: m.pop("recipe"), "recipe"),
        (lambda m: m.update(prior=[-1.0] * 7), "prior"),
        (lambda m: m.update(shards=3), "cannot|not"),
    ],
)
def test_a_manifest_that_lies_is_refused(tmp_path, change, message):
    save_store(tmp_path / "s", table_of(30), shard_rows=10)
    path = tmp_path / "s" / "manifest.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=message):
        open_store(tmp_path / "s")


def test_nothing_outside_the_folder_is_read_or_run(tmp_path):
    save_store(tmp_path / "s", table_of(30), shard_rows=10)
    save_store(tmp_path / "t", table_of(30), shard_rows=10)
    shard = tmp_path / "s" / "000001"
    rows = shard / "rows.npy"
    good = rows.read_bytes()
    rows.unlink()
    rows.symlink_to(tmp_path / "t" / "000001" / "rows.npy")
    with pytest.raises(InputError, match="not a plain file"):
        open_store(tmp_path / "s")
    rows.unlink()
    rows.write_bytes(good)
    open_store(tmp_path / "s")
    kind = shard / "kind.npy"
    np.save(kind, np.array([os.system] * 10, object), allow_pickle=True)
    with pytest.raises(InputError, match="object"):
        open_store(tmp_path / "s")
    shutil.rmtree(shard)
    shard.symlink_to(tmp_path / "t" / "000001")
    with pytest.raises(InputError, match="is a link"):
        open_store(tmp_path / "s")
    manifest = tmp_path / "s" / "manifest.json"
    manifest.unlink()
    manifest.symlink_to(tmp_path / "t" / "manifest.json")
    with pytest.raises(InputError, match="link"):
        open_store(tmp_path / "s")


# --- jobs ---------------------------------------------------------------------------------------------------


def test_jobs_of_an_array_make_the_same_table(tmp_path, pool_file):
    from aliquot.structures import read

    frames, spec = read(pool_file), "ace:degree=5,cutoff=4.0"
    names = [str(tmp_path / name) for name in ("a.xyz", "b.xyz")]
    write(Path(names[0]), frames[:17])
    write(Path(names[1]), frames[17:])
    build_store(names, spec, tmp_path / "whole", shard_rows=11)
    for i in range(4):
        build_store(names, spec, tmp_path / f"job{i}", part=(i, 4), elements=(29,), shard_rows=11)
    merge_stores([tmp_path / f"job{i}" for i in range(4)], tmp_path / "merged")
    merged, whole = open_store(tmp_path / "merged", verify=True), open_store(tmp_path / "whole")
    np.testing.assert_array_equal(merged.rows[:], whole.rows[:])
    assert [merged.ids.name(i) for i in range(60)] == [whole.ids.name(i) for i in range(60)]
    assert select(merged, 10).index.tolist() == select(whole, 10).index.tolist()


def test_a_merge_that_was_stopped_begins_again(tmp_path):
    table = table_of(60)
    save_store(tmp_path / "a", table[:30], shard_rows=10)
    save_store(tmp_path / "b", table[30:], shard_rows=10)
    merge_stores([tmp_path / "a", tmp_path / "b"], tmp_path / "whole")
    place = tmp_path / "stopped"
    for k in range(4):  # what a kill leaves: shards, the last one hidden and half full, and no manifest
        shutil.copytree(tmp_path / "whole" / f"{k:06d}", place / f"{k:06d}")
    (place / "000003").rename(place / ".000003")
    (place / ".000003" / "frame.npy").unlink()
    with pytest.raises(InputError, match="not a feature store"):
        open_store(place)
    assert merge_stores([tmp_path / "a", tmp_path / "b"], place) == 60
    assert bytes_of(place) == bytes_of(tmp_path / "whole")


def test_workers_read_for_themselves(tmp_path):
    table = table_of(500, 5)
    save_store(tmp_path / "s", table, shard_rows=64)
    rows = open_store(tmp_path / "s").rows
    spans = [slice(start, start + 100) for start in range(0, 500, 100)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        read = list(workers.map(rows.__getitem__, spans))
    np.testing.assert_array_equal(np.concatenate(read), table.rows)


def test_stores_of_different_recipes_are_not_merged(tmp_path, pool_file):
    for degree in (4, 5):
        build_store([pool_file], f"ace:degree={degree},cutoff=4.0", tmp_path / f"d{degree}")
    with pytest.raises(
        InputError, match=r"d4 and .*d5 cannot be merged: the recipes \w{16} and \w{16} differ in basis"
    ):
        merge_stores([tmp_path / "d4", tmp_path / "d5"], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_chooses_from_shards_as_from_memory(tmp_path, method):
    table = table_of(300, 6, seed=4)
    save_store(tmp_path / "s", table, shard_rows=77)
    known = table_of(5, 6, seed=8)
    expected = select(table, 12, method=method, known=known, seed=3)
    answer = select(open_store(tmp_path / "s"), 12, method=method, known=known, seed=3)
    assert answer.index.tolist() == expected.index.tolist()
