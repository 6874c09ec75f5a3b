"""``aliquot study`` as users meet it."""

from __future__ import annotations

import csv
import io
import json
import lzma
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from shlex import join

import pytest
from ase.io import read, write
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.examples import example_files
from aliquot.studies import studies

FILES = {"own.csv", "own.json", "own.md", "own.html", "own-curves.svg"}


def run(*words):
    return CliRunner().invoke(app, ["study", *map(str, words)])


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def copper_labels():
    """Copper by effective medium theory, to choose from and known."""
    for path, name in zip(example_files(), ("mine.xyz", "known.xyz"), strict=True):
        frames = read(io.StringIO(lzma.decompress(path.read_bytes()).decode()), ":", format="extxyz")
        write(name, frames[:24], format="extxyz")


def names(folder):
    return {path.name for path in Path(folder).iterdir()}


def test_list():
    told = json.loads(run("--json").stdout)["studies"]
    assert tuple(one["name"] for one in told) == studies()
    for one in told:
        assert one["question"]
        assert set(one["seconds"]) == {"quick", "standard", "full"}
    shown = run("--list").stdout
    assert all(name in shown for name in studies())


def test_run(own_study):
    result = run(own_study)
    assert result.exit_code == 0, result.output
    assert "own, quick: 0 of 3 tasks are done; the others will take about 18 s" in result.stdout
    assert "The best repeat has" in result.stdout
    assert "does not hold" in result.stdout
    assert names("study-own") == FILES | {"work"}
    record = json.loads(Path("study-own/own.json").read_text("utf-8"))
    assert record["command"] == f"aliquot study {own_study} --size quick"
    rows = list(csv.DictReader(Path("study-own/own.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 12
    assert rows[0].keys() == {"repeat", "method", "n", "rmse_meV", "empty"}
    again = run(own_study, "--json", "--workers", 2)
    told = json.loads(again.stdout)
    assert told["conclusion"] == record["conclusion"]
    assert {Path(path).name for path in told["files"]} == FILES
    assert "3 of 3 tasks are done" in run(own_study).stdout


def test_options(own_study, monkeypatch):
    monkeypatch.delenv("ALIQUOT_DATA")
    result = run(
        own_study, "-o", "deep/out", "--data", "reference", "--no-report", "--quiet", "--size", "standard"
    )
    assert result.exit_code == 0, result.output
    assert result.output == ""
    assert names("deep/out") == FILES - {"own.html"} | {"work"}


def test_own_structures(own_study, copper_labels):
    words = [
        "--pool",
        "mine.xyz",
        "--train",
        "known.xyz",
        "--methods",
        "fps",
        "--budgets",
        "4,8",
        "--repeats",
        2,
    ]
    result = run(*words)
    assert result.exit_code == 0, result.output
    record = json.loads(Path("study-own/own.json").read_text("utf-8"))
    assert record["command"] == join(["aliquot", "study", *map(str, words), "--size", "quick"])
    rows = list(csv.DictReader(Path("study-own/own.csv").read_text("utf-8").splitlines()))
    assert {row["method"] for row in rows} >= {"random", "fps"}
    for more, said in (
        (["--budgets", "4;8"], "--budgets 4;8: give numbers of structures"),
        (["hafnia"], "hafnia and --pool are two studies"),
        (["--train", "none.xyz"], "--train none.xyz: there is no such file"),
        (["--methods", "guess"], "guess"),
    ):
        result = run("--pool", "mine.xyz", *more)
        assert result.exit_code == 2, result.output
        assert said in result.output.replace("\n", " ")
    assert "--repeats goes with --pool" in run("own.toml", "--repeats", 3).output


def test_two_workers_write_the_same(own_study):
    assert run(own_study, "-o", "one").exit_code == 0
    assert run(own_study, "-o", "two", "--workers", 2).exit_code == 0
    for name in ("own.csv", "own-curves.svg"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_what_is_wrong_is_told(own_study, monkeypatch):
    for words, said in (
        (["silicium"], "there is no study 'silicium'"),
        ([own_study, "--size", "huge"], "quick"),
        ([own_study, "--data", "nowhere"], "there is no folder nowhere"),
        ([own_study, "-o", own_study], "is a file; name a folder with -o"),
        ([own_study, "-o", "reference"], "holds 'few.xyz', which is not of the study own"),
    ):
        result = run(*words)
        assert result.exit_code == 2, result.output
        assert said in result.output
    assert names("reference") == {"few.xyz"}
    monkeypatch.delenv("ALIQUOT_DATA")
    result = run(own_study)
    assert result.exit_code == 2
    assert "name their folder with --data or ALIQUOT_DATA" in result.output


def test_damaged_task_is_told(own_study):
    assert run(own_study).exit_code == 0
    file = sorted(Path("study-own/work").glob("*/task-*.json"))[0]
    file.write_text("{")
    result = run(own_study)
    assert result.exit_code == 2
    assert "is damaged" in result.output
    assert "remove it, and its task is done again" in result.output
    file.unlink()
    assert run(own_study).exit_code == 0


def start(file, workers):
    """The command in a group of its own, when its first task is done."""
    file.write_text(file.read_text().replace("[settings]", "[settings]\npause = 0.5\n"))
    command = [sys.executable, "-c", "from aliquot.cli import main; main()", "study", str(file)]
    work = subprocess.Popen(
        [*command, "--size", "standard", "--workers", str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(Path().glob("study-own/work/*/task-*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return work


def goes_on(file, workers):
    """Nothing but what was cut is done again."""
    result = run(file, "--size", "standard", "--workers", workers)
    assert result.exit_code == 0, result.output
    assert "0 of 5 tasks" not in result.stdout
    (begun,) = Path().glob("study-own/work/*/begun.log")
    started = begun.read_text().split()
    assert set(started) == set("01234")
    assert len(started) <= 5 + 2  # two at most were cut


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_it_goes_on(own_study, workers):
    """Ctrl-C at a terminal reaches all processes at once."""
    work = start(own_study, workers)
    os.killpg(work.pid, signal.SIGINT)
    _, said = work.communicate(timeout=30)
    assert work.returncode == 130, said
    assert "of 5 tasks are kept in study-own, the same command goes on" in said
    assert "Traceback" not in said
    assert names("study-own") == {"work"}
    goes_on(own_study, workers)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_ended_from_outside_no_worker_stays(own_study, how, code):
    """A batch system may tell the first process alone."""
    work = start(own_study, 2)
    work.send_signal(how)
    _, said = work.communicate(timeout=30)  # returns when the last that can write there has ended
    assert work.returncode == code, said
    goes_on(own_study, 1)


def test_every_study_is_in_the_documentation():
    docs = Path(__file__).resolve().parents[2] / "docs"
    overview = (docs / "studies" / "index.md").read_text("utf-8")
    assert not [name for name in studies() if f"`{name}`" not in overview]
    navigation = (docs.parent / "mkdocs.yml").read_text("utf-8")
    for page in (docs / "studies").glob("*.md"):
        assert f"studies/{page.name}" in navigation
        assert page.stem == "index" or f"({page.name})" in overview
        for linked in re.findall(r"\]\(([\w.-]+\.(?:svg|csv))\)", page.read_text("utf-8")):
            assert (page.parent / linked).exists()
