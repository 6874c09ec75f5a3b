"""The other commands, the way in, and interruptions, mostly as a user's shell would run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.io import read, write
from typer.testing import CliRunner

import aliquot
from aliquot.cli import app

ALIQUOT = [sys.executable, "-c", "from aliquot.cli import main; main()"]


def run(*arguments: str | Path):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_version():
    assert run("--version").output == f"aliquot {aliquot.__version__}\n"


def test_help_is_quick_and_names_every_command():
    start = time.perf_counter()
    shown = subprocess.run([*ALIQUOT, "--help"], capture_output=True, text=True, check=True).stdout
    assert time.perf_counter() - start < 2.0  # 0.15 s on an idle machine
    for command in ("select", "inspect", "features", "methods", "demo"):
        assert command in shown
        assert run(command, "--help").exit_code == 0


def test_methods_have_a_cost_and_a_line():
    answer = json.loads(run("methods", "--json").stdout)
    methods = {row["name"]: row for row in answer["methods"]}
    assert {"bayes", "fps", "random"} <= set(methods)
    for row in methods.values():
        assert row["summary"]
        assert row["cost"]
        assert row["memory"]
    assert "doi" in str(methods["bayes"]["references"]).lower()
    shown = run("methods").output
    assert all(name in shown for name in methods)


def test_features_are_a_table_that_select_reads(tmp_path, silicon_pool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("pool.xyz", silicon_pool, format="extxyz")
    spec = "ace:degree=6,cutoff=4.0,order=2"
    result = run("features", "pool.xyz", "--features", spec, "--no-cache", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    rows, about = np.load("features.npy"), json.loads(Path("features.json").read_text())
    assert rows.shape == (12, answer["features"]) == (12, len(about["names"]))
    assert about["offsets"] == list(range(13))
    assert about["recipe"] == answer["recipe"]
    assert run("features", "pool.xyz", "--features", spec).exit_code == 2  # exists
    chosen = run(
        "select",
        "pool.xyz",
        "-n",
        4,
        "--features",
        "file:features.npy",
        "--no-report",
        "--no-cache",
        "--json",
    )
    assert chosen.exit_code == 0, chosen.output


def test_features_need_npy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "'.csv'" in run("features", "pool.xyz", "-o", "features.csv").stderr


def test_demo_end_to_end(tmp_path):
    out = tmp_path / "demo"
    start = time.perf_counter()
    shown = subprocess.run([*ALIQUOT, "demo", "--out", out], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert time.perf_counter() - start < 120  # under 60 on an idle machine
    names = [
        "known.xyz",
        "model.ace",
        "pool.xyz",
        "rest.xyz",
        "selected.html",
        "selected.json",
        "selected.xyz",
    ]
    assert sorted(os.listdir(out)) == names
    assert f"Open {out / 'selected.html'}" in shown.stdout
    chosen = read(out / "selected.xyz", ":")
    assert len(chosen) == 40
    share = np.mean([atoms.info["config_type"] == "bulk_md" for atoms in chosen])
    assert share < 0.2  # half of the pool, and known already
    errors = {
        line.split()[0]: float(line.split()[-3])
        for line in shown.stdout.splitlines()
        if line.strip()[:6] in ("chosen", "random")
    }
    assert errors["chosen"] < errors["random,"]  # eV/atom, by structures that neither has seen
    again = subprocess.run([*ALIQUOT, "demo", "--out", out], capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "--force" in again.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_in_the_middle_leaves_nothing(tmp_path, silicon_pool, number, code):
    write(tmp_path / "pool.xyz", silicon_pool, format="extxyz")
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "def describe(atoms):\n"
        "    pathlib.Path('started').touch()\n"
        "    time.sleep(60)\n"
    )
    (tmp_path / "selected.xyz").write_text("old")
    before = {"pool.xyz", "slow.py", "selected.xyz", "started"}
    arguments = [
        "select",
        "pool.xyz",
        "-n",
        "2",
        "--features",
        "python:slow:describe",
        "--no-cache",
        "--force",
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        [*ALIQUOT, *arguments],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in err
    assert set(os.listdir(tmp_path)) == before
    assert (tmp_path / "selected.xyz").read_text() == "old"
