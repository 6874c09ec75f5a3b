"""``aliquot featurize``, ``merge``, and ``select`` from a store: the same choice as from the files."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.cli.featurize import part_of
from aliquot.errors import InputError
from aliquot.examples import example_files
from aliquot.features.manifest import Manifest
from aliquot.features.opening import open_store, save_store
from aliquot.selection import Selection
from aliquot.structures import read
from aliquot.structures.fetching import fetch
from aliquot.table import Features

SPEC = "ace:degree=6,cutoff=4.0"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for packed, name in zip(example_files(), ("pool.xyz", "train.xyz"), strict=True):
        Path(name).write_bytes(lzma.decompress(packed.read_bytes()))
    return tmp_path


def run(*words: object, code: int = 0) -> dict:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else {"error": result.output}


def test_from_jobs_to_the_same_choice(here):
    for i in (1, 2, 3):
        out = run(
            "featurize", "pool.xyz", "-o", f"part-{i}", "--shard", f"{i}/3", "--elements", "Cu",
            "--features", SPEC,
        )  # fmt: skip
        assert out["structures"] in (133, 134)
    assert run("merge", "part-1", "part-2", "part-3", "-o", "store")["structures"] == 400
    first = run("select", "store", "--known", "train.xyz", "-n", 20, "-o", "a.xyz")
    files = run(
        "select", "pool.xyz", "--known", "train.xyz", "-n", 20, "--features", SPEC, "-o", "b.xyz", "--no-cache"
    )  # fmt: skip
    assert first["selection"]["picks"] == files["selection"]["picks"]
    assert first["selection"]["pool_hash"] == files["selection"]["pool_hash"]
    assert first["selection"]["recipe"] == files["selection"]["recipe"]
    assert Path("a.xyz").read_bytes() == Path("b.xyz").read_bytes()
    assert "<svg" in Path("a.html").read_text(encoding="utf-8")


def test_choosing_in_jobs_and_then_among_their_choices(here):
    for i in (1, 2):
        run("featurize", "pool.xyz", "-o", f"p{i}", "--shard", f"{i}/2", "--features", SPEC)
    run("merge", "p1", "p2", "-o", "store")
    union = set()
    for i in (1, 2):
        out = run("select", "store", "-n", 15, "--shard", f"{i}/2", "-o", f"{i}.xyz", "--no-report")
        half = {pick["frame"] for pick in out["selection"]["picks"]}
        assert all((frame < 200) == (i == 1) for frame in half)
        union |= half
    out = run("select", "store", "-n", 15, "--among", "1.json", "--among", "2.json")
    assert {pick["frame"] for pick in out["selection"]["picks"]} <= union
    assert out["selection"]["pool_size"] == len(union) == 30
    run("select", "store", "-n", 2, "--shard", "1/3", "-o", "c.xyz", code=2)  # two shards, three parts
    record = json.loads(Path("1.json").read_text())
    record["picks"][3]["hash"] = "0" * 32
    Path("strange.json").write_text(json.dumps(record))
    message = run("select", "store", "-n", 2, "--among", "strange.json", "-o", "d.xyz", code=2)["error"]
    assert "1 of 15 structures in the records are not in the pool" in " ".join(message.split())


def test_a_second_run_goes_on_and_says_so(here):
    assert run("featurize", "pool.xyz", "-o", "store", "--features", SPEC)["kept"] == 0
    assert run("featurize", "pool.xyz", "-o", "store", "--features", SPEC)["kept"] == 400
    assert "differ in" in run("featurize", "pool.xyz", "-o", "store", code=2)["error"]
    assert run("featurize", "train.xyz", "-o", "store", "--features", SPEC, "--append")["structures"] == 460


def test_files_that_are_gone_leave_the_record(here):
    run("featurize", "pool.xyz", "-o", "store", "--features", SPEC)
    Path("pool.xyz").rename("moved.xyz")
    out = run("select", "store", "-n", 5)
    assert set(out["files"]) == {"record"}
    assert any("are not written: " in note and "pool.xyz" in note for note in out["selection"]["notes"])
    assert not Path("selected.xyz").exists()
    assert len(Selection.from_json(Path("selected.json").read_text())) == 5
    lines = Path("moved.xyz").read_text().splitlines(keepends=True)
    Path("pool.xyz").write_text("".join(lines[len(lines) // 2 :]))
    out = run("select", "store", "-n", 5, "--force")
    assert any("has changed" in note or "no frame" in note for note in out["selection"]["notes"])


def test_known_must_go_with_the_store(here):
    run("featurize", "pool.xyz", "-o", "store", "--features", SPEC)
    run("featurize", "train.xyz", "-o", "known", "--features", SPEC)
    run("featurize", "train.xyz", "-o", "other", "--features", "ace:degree=5,cutoff=4.0")
    by_store = run("select", "store", "--known", "known", "-n", 9, "-o", "a.xyz")
    by_file = run("select", "store", "--known", "train.xyz", "-n", 9, "-o", "b.xyz")
    assert by_store["selection"]["picks"] == by_file["selection"]["picks"]
    assert by_store["selection"]["known_size"] == 60
    assert "do not go together" in run("select", "store", "--known", "other", "-n", 9, code=2)["error"]
    save_store("made", Features.from_array(np.random.default_rng(0).standard_normal((50, 3))))
    assert len(run("select", "made", "-n", 9, "-o", "c.xyz")["selection"]["picks"]) == 9
    message = run("select", "made", "--known", "train.xyz", "-n", 9, "-o", "d.xyz", code=2)["error"]
    assert "does not say how its features are made" in message


def test_code_named_in_a_manifest_is_not_run_unasked(here):
    run("featurize", "pool.xyz", "-o", "store", "--features", SPEC)
    path = Path("store/manifest.json")
    path.write_text(path.read_text().replace(f'"spec": "{SPEC}"', '"spec": "python:os:abort"'))
    assert Manifest.load(Path("store")).source is not None
    message = run("select", "store", "--known", "train.xyz", "-n", 3, code=2)["error"]
    assert "give --features python:os:abort" in message.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["select", "store", "-n", "3", "--rest", "rest.xyz"], "has no structures"),
        (["select", "store", "-n", "3", "--max-force", "5"], "has no structures"),
        (["select", "store", "pool.xyz", "-n", "3"], "not the only pool"),
        (["select", "store", "-n", "3", "--features", "soap"], "not soap"),
        (["select", "store", "-n", "3", "--shard", "0/4"], "I from 1 to N"),
        (["select", "pool.xyz", "-n", "3", "--shard", "1/4"], "feature store"),
        (["select", "pool.xyz", "-n", "3", "--workers", "2"], "feature store"),
        (
            ["select", "store", "-n", "3", "--workers", "2", "--method", "random"],
            "no passes over a pool to share",
        ),
        (["select", "store", "-n", "3", "--among", "nowhere.json"], "nowhere.json"),
        (["featurize", "pool.xyz", "-o", "new", "--elements", "Xx"], "'Xx' is not an element"),
        (["featurize", "pool.xyz", "-o", "new", "--elements", "Si"], "atomic number 29"),
        (["featurize", "pool.xyz", "-o", "new", "--features", "file:a.npy"], "is a table already"),
        (["merge", "store", "-o", "store"], "holds a feature store"),
        (["merge", "pool.xyz", "-o", "new"], "not a feature store"),
    ],
)
def test_refusals(here, words, message):
    run("featurize", "pool.xyz", "-o", "store", "--features", SPEC)
    assert message in " ".join(run(*words, code=2)["error"].split())
    assert not Path("selected.xyz").exists()


@pytest.mark.parametrize("method", ["bayes:sensitivity=false", "fps", "two-level:parts=3"])
def test_workers_change_nothing(tmp_path, monkeypatch, method):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    save_store("store", Features.from_array(rows), shard_rows=3000)
    run("select", "store", "-n", 9, "--method", method, "-o", "one.xyz", "--no-report")
    run("select", "store", "-n", 9, "--method", method, "-o", "two.xyz", "--no-report", "--workers", 2)
    one, two = (Selection.from_json(Path(name).read_text()) for name in ("one.json", "two.json"))
    assert one.index.tolist() == two.index.tolist()
    assert one.gain.tolist() == two.gain.tolist()
    assert one.certificate == two.certificate


def test_parts():
    assert part_of("3/64") == (2, 64)
    for wrong in ("0/3", "4/3", "1", "a/b", "1/0"):
        with pytest.raises(InputError):
            part_of(wrong)


def test_structures_that_a_record_names(here):
    frames = read("pool.xyz", "train.xyz")
    some = np.array([450, 3, 399, 400, 7, 3])
    found = fetch(frames.ids[some])
    assert found.ids.digest() == frames.ids[some].digest()
    np.testing.assert_array_equal(found.positions, frames[some].positions)
    with pytest.raises(InputError, match="no structure"):
        fetch(frames.ids[some[:0]])


def test_parts_of_a_store_are_all_of_it(here):
    run("featurize", "pool.xyz", "-o", "s", "--features", SPEC)
    whole = open_store("s")
    save_store("small", whole[:], shard_rows=37)
    parts = [open_store("small", part=(i, 4)) for i in range(4)]
    np.testing.assert_array_equal(np.concatenate([p.rows[:] for p in parts]), whole.rows[:])
    assert [p.ids.name(0) for p in parts] == [whole.ids.name(s) for s in np.cumsum([0, *map(len, parts[:3])])]
