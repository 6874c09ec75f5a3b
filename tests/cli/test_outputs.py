"""Outputs appear together or not at all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from aliquot.cli.outputs import Outputs
from aliquot.errors import InputError


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_appear_together_at_the_end(tmp_path):
    with Outputs(force=False) as outputs:
        a, b = outputs.claim(tmp_path / "a.txt"), outputs.claim(tmp_path / "b.txt")
        a.write_text("a")
        b.write_text("b")
        assert not (tmp_path / "a.txt").exists()
    assert listing(tmp_path) == ["a.txt", "b.txt"]
    assert (tmp_path / "b.txt").read_text() == "b"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_nothing_and_keeps_the_old(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def fail() -> None:
        with Outputs(force=True) as outputs:
            outputs.claim(tmp_path / "a.txt").write_text("new")
            outputs.claim(tmp_path / "b.txt").write_text("new")
            raise error

    with pytest.raises(error):
        fail()
    assert listing(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_existing_file_needs_force(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with (
        pytest.raises(InputError, match=r"a\.txt exists already; .*--force"),
        Outputs(force=False) as outputs,
    ):
        outputs.claim(tmp_path / "a.txt")
    with Outputs(force=True) as outputs:
        outputs.claim(tmp_path / "a.txt").write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"


def test_file_that_appeared_meanwhile_is_kept(tmp_path):
    def work() -> None:
        with Outputs(force=False) as outputs:
            outputs.claim(tmp_path / "a.txt").write_text("mine")
            (tmp_path / "a.txt").write_text("theirs")

    with pytest.raises(InputError, match="exists already"):
        work()
    assert (tmp_path / "a.txt").read_text() == "theirs"
    assert listing(tmp_path) == ["a.txt"]


def test_input_is_never_replaced(tmp_path):
    pool = tmp_path / "pool.xyz"
    pool.write_text("pool")
    (tmp_path / "alias.xyz").symlink_to(pool)
    for name in ("pool.xyz", "alias.xyz"):
        outputs = Outputs(force=True, inputs=[pool])
        with pytest.raises(InputError, match="is an input"):
            outputs.claim(tmp_path / name)


def test_same_place_twice_is_refused(tmp_path):
    with Outputs(force=False) as outputs:
        outputs.claim(tmp_path / "a.txt")
        with pytest.raises(InputError, match="asked for twice"):
            outputs.claim(tmp_path / "." / "a.txt")
    assert listing(tmp_path) == []


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/a\.txt: No such file or directory"):
        Outputs(force=False).claim(tmp_path / "nowhere" / "a.txt")


def test_folder_of_poscars_is_replaced_whole_and_other_folders_never(tmp_path):
    picks = tmp_path / "picks"
    picks.mkdir()
    (picks / "POSCAR_1").write_text("old")
    with pytest.raises(InputError, match="--force"):
        Outputs(force=False).claim(picks)
    with Outputs(force=True) as outputs:
        staged = outputs.claim(picks)
        staged.mkdir()
        (staged / "POSCAR_2").write_text("new")
    assert listing(picks) == ["POSCAR_2"]
    (picks / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex'"):
        Outputs(force=True).claim(picks)
    assert listing(picks) == ["POSCAR_2", "thesis.tex"]
    assert listing(tmp_path) == ["picks"]


def test_ctrl_c_while_renaming_waits(tmp_path, monkeypatch):
    replace = os.replace

    def slow(source, target):
        os.kill(os.getpid(), signal.SIGINT)
        replace(source, target)

    monkeypatch.setattr(os, "replace", slow)
    with Outputs(force=False) as outputs:
        for name in ("a", "b"):
            outputs.claim(tmp_path / name).write_text(name)
    assert listing(tmp_path) == ["a", "b"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
