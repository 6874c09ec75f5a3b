"""``aliquot select`` on real files: outputs, refusals, hostile names, JSON."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.selection import Selection

QUICK = ["--features", "ace:degree=6,cutoff=4.0,order=2", "--no-cache", "--no-report"]


@pytest.fixture
def pool(tmp_path, silicon_pool, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("pool.xyz")
    write(path, silicon_pool, format="extxyz")
    return path


def run(*arguments: str | Path):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result, *words: str) -> None:
    """Exit code 2, nothing on stdout, one message on stderr with these words."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("aliquot: ")
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_writes_the_chosen_with_their_reasons(pool, silicon_pool):
    result = run("select", pool, "-n", 5, "--rest", "rest.xyz", *QUICK)
    assert result.exit_code == 0, result.output
    assert sorted(os.listdir()) == ["pool.xyz", "rest.xyz", "selected.json", "selected.xyz"]
    record = Selection.from_json(Path("selected.json").read_text(encoding="utf-8"))
    chosen, rest = read("selected.xyz", ":"), read("rest.xyz", ":")
    assert len(record) == len(chosen) == 5
    assert len(rest) == 7
    for rank, (atoms, i) in enumerate(zip(chosen, record.index, strict=True), start=1):
        source = silicon_pool[int(i)]
        assert atoms.info["aliquot_rank"] == rank
        assert atoms.info["aliquot_gain"] == pytest.approx(record.gain[rank - 1])
        assert atoms.info["aliquot_file"] == "pool.xyz"
        assert atoms.info["aliquot_frame"] == i
        assert atoms.info["config_type"] == source.info["config_type"]
        assert atoms.info["REF_energy"] == pytest.approx(source.info["REF_energy"])
        np.testing.assert_allclose(atoms.arrays["REF_forces"], source.arrays["REF_forces"], atol=1e-7)
    left = {tuple(a.positions[1]) for a in rest}
    assert not left & {tuple(a.positions[1]) for a in chosen}


def test_chosen_again_they_carry_only_the_new_signature(pool):
    assert run("select", pool, "-n", 6, *QUICK).exit_code == 0
    again = run("select", "selected.xyz", "-n", 2, "--method", "random", "-o", "again.xyz", *QUICK)
    assert again.exit_code == 0, again.output
    for rank, atoms in enumerate(read("again.xyz", ":"), start=1):
        assert atoms.info["aliquot_rank"] == rank
        assert atoms.info["aliquot_file"] == "selected.xyz"
        assert "aliquot_gain" not in atoms.info  # chance gains nothing


def test_report_is_written_beside(pool):
    result = run("select", pool, "-n", 3, "-o", "out.xyz", *QUICK[:-1])
    assert result.exit_code == 0, result.output
    page = Path("out.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "pool.xyz" in page


def test_json_is_one_object_and_nothing_else(pool):
    result = run("select", pool, "-n", "25%", "--json", *QUICK)
    assert result.exit_code == 0
    assert result.stderr == ""
    answer = json.loads(result.stdout)
    assert answer["files"] == {"selected": "selected.xyz", "record": "selected.json"}
    assert len(answer["selection"]["picks"]) == 3
    assert answer["excluded"] == []


def test_quiet_says_nothing(pool):
    result = run("select", pool, "-n", 2, "-q", *QUICK)
    assert (result.exit_code, result.output) == (0, "")


def test_same_seed_same_choice(pool):
    picks = []
    for name, seed in (("a.xyz", 3), ("b.xyz", 3), ("c.xyz", 4)):
        assert (
            run("select", pool, "-n", 6, "--method", "random", "--seed", seed, "-o", name, *QUICK).exit_code
            == 0
        )
        picks.append(json.loads(Path(name).with_suffix(".json").read_text())["index"])
    assert picks[0] == picks[1] != picks[2]


def test_known_conditions_the_choice(pool, silicon_pool):
    write("known.xyz", silicon_pool[:6], format="extxyz")
    result = run("select", pool, "-n", 4, "--known", "known.xyz", "--json", *QUICK)
    assert result.exit_code == 0, result.output
    selection = json.loads(result.stdout)["selection"]
    assert selection["known_size"] == 6
    assert min(selection["index"]) >= 6  # what is known teaches nothing
    assert any("known" in note and "6 " in note for note in selection["notes"])


@pytest.mark.parametrize("name", ["picks.traj", "picks.db", "picks.extxyz", "picks.xyz.gz"])
def test_formats_by_extension(pool, name):
    assert run("select", pool, "-n", 3, "-o", name, *QUICK).exit_code == 0
    assert len(read(name, ":")) == 3
    assert Path("picks.json").exists()


def test_folder_of_poscars(pool):
    assert run("select", pool, "-n", 3, "-o", "picks", *QUICK).exit_code == 0
    files = [path for path in sorted(Path("picks").iterdir()) if path.name.startswith("POSCAR-")]
    assert len(files) == 3
    assert len(read(files[0], format="vasp")) == 8
    assert Path("picks.json").exists()
    refused(run("select", pool, "-n", 3, "-o", "picks", *QUICK), "picks", "--force")
    assert run("select", pool, "-n", 2, "-o", "picks", "--force", *QUICK).exit_code == 0
    assert len(list(Path("picks").glob("POSCAR-*"))) == 2


@pytest.mark.parametrize("taken", ["selected.xyz", "selected.json", "selected.html", "rest.xyz"])
def test_nothing_is_overwritten_without_force(pool, taken):
    Path(taken).write_text("precious")
    call = ["select", pool, "-n", 2, "--rest", "rest.xyz", *QUICK[:-1]]
    refused(run(*call), taken, "--force")
    assert Path(taken).read_text() == "precious"
    assert sorted(os.listdir()) == sorted(["pool.xyz", taken])
    assert run(*call, "--force").exit_code == 0
    assert Path(taken).read_text() != "precious"


def test_input_is_not_overwritten_even_with_force(pool):
    before = pool.read_bytes()
    refused(run("select", pool, "-n", 2, "-o", "pool.xyz", "--force", *QUICK), "is an input")
    assert pool.read_bytes() == before


def test_too_many_are_refused_before_the_work(pool):
    refused(run("select", pool, "-n", 13, *QUICK), "cannot select 13 of 12 candidates in pool.xyz")
    assert os.listdir() == ["pool.xyz"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pool.xyz", "-n", "0"], ["-n 0"]),
        (["pool.xyz", "-n", "150%"], ["-n 150%"]),
        (["pool.xyz", "-n", "2", "-o", "out.pdf"], ["out.pdf", ".xyz"]),
        (["pool.xyz", "-n", "2", "--rest", "rest.txt"], ["rest.txt", ".xyz"]),
        (["pool.xyz", "-n", "2", "-o", "no/where.xyz"], ["no/where.xyz"]),
        (["missing.xyz", "-n", "2"], ["missing.xyz"]),
        (["pool.xyz", "-n", "2", "--method", "magic"], ["magic", "bayes"]),
        (["missing.xyz", "-n", "2", "--method", "magic"], ["magic"]),  # before anything is read
        (["pool.xyz", "-n", "2", "--score", "magic"], ["magic", "entropy"]),
        (["pool.xyz", "-n", "2", "--method", "fps", "--score", "energy"], ["fps", "score"]),
        (["pool.xyz", "-n", "2", "--features", "magic"], ["magic"]),
        (["pool.xyz", "-n", "2", "--pooling", "magic"], ["magic"]),
        (["pool.xyz", "-n", "2", "--type-map", "1:Si"], ["1:Si"]),
    ],
)
def test_bad_input_is_one_message(pool, arguments, words):
    refused(run("select", *arguments, "--no-cache"), *words)
    assert os.listdir() == ["pool.xyz"]


@pytest.mark.parametrize(
    "arguments",
    [["select"], ["select", "pool.xyz"], ["select", "pool.xyz", "-n", "2", "--seed", "x"], ["slect"]],
)
def test_usage_errors_exit_with_2(pool, arguments):
    assert run(*arguments).exit_code == 2


def test_unusable_frames_stop_or_are_skipped_and_counted(pool, silicon_pool):
    silicon_pool[4].positions[2] = silicon_pool[4].positions[3] + 0.01
    write("bad.xyz", silicon_pool, format="extxyz")
    refused(run("select", "bad.xyz", "-n", 2, *QUICK), "bad.xyz, frame 4", "--on-error skip")
    result = run("select", "bad.xyz", "-n", 11, "--on-error", "skip", "--json", *QUICK)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert [(e["file"], e["frame"]) for e in answer["excluded"]] == [("bad.xyz", 4)]
    assert sorted(p["frame"] for p in answer["selection"]["picks"]) == [0, 1, 2, 3, *range(5, 12)]
    assert "1 frames were excluded" in str(answer["selection"]["notes"])
    assert run("select", "bad.xyz", "-n", 12, "--overlap", "0", "--force", *QUICK).exit_code == 0
    refused(
        run("select", "bad.xyz", "-n", 12, "--on-error", "skip", "--force", *QUICK), "12 of 11", "excluded"
    )


def test_duplicates_are_noted(pool, silicon_pool):
    write("twice.xyz", [*silicon_pool, silicon_pool[0], silicon_pool[1]], format="extxyz")
    result = run("select", "twice.xyz", "-n", 3, "--json", *QUICK)
    notes = json.loads(result.stdout)["selection"]["notes"]
    assert any(note.startswith("2 candidates are an exact repetition") for note in notes)


def test_full_disk_is_one_message_and_leaves_nothing(pool, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    result = run("select", pool, "-n", 2, *QUICK)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert os.listdir() == ["pool.xyz"]


HOSTILE = [
    "[red]a[/red].xyz",
    "a b;$(touch x)'\".xyz",
    "<script>alert(1)</script>&.xyz",
    "-n.xyz",
    "Å\x1b[2Jé.xyz",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(tmp_path, monkeypatch, silicon_pool: list[Atoms], name):
    monkeypatch.chdir(tmp_path)
    name = name.replace("/", "∕")  # the one character that cannot be in a name
    Path("in").mkdir()
    path = Path("in") / name
    with path.open("w") as file:
        write(file, silicon_pool, format="extxyz")
    result = run("select", path, "-n", 2, "-o", Path("in") / f"out{name}", *QUICK[:-1])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    out = Path("in") / f"out{name}"
    assert {atoms.info["aliquot_rank"] for atoms in read(str(out), ":", format="extxyz")} == {1, 2}
    record = Selection.from_json(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert record.ids.files == (str(path),)
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert not Path("x").exists()


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX alone")
def test_name_that_is_no_text(tmp_path, monkeypatch, silicon_pool):
    monkeypatch.chdir(tmp_path)
    with open(b"\xff.xyz", "w") as file:
        write(file, silicon_pool, format="extxyz")
    refused(
        run("select", os.fsdecode(b"\xff.xyz"), "-n", 2, "-o", "out.xyz", *QUICK), r"b'\xff.xyz'", "rename"
    )
    assert os.listdir(b".") == [b"\xff.xyz"]
