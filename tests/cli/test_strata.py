"""``--method stratified`` gets its groups from the frames."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from ase.io import read, write
from typer.testing import CliRunner

from aliquot.cli import app

QUICK = ["--features", "ace:degree=4,cutoff=4.0,order=1", "--no-cache"]


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def pool(tmp_path, silicon_pool, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write("pool.xyz", silicon_pool, format="extxyz")
    return Path("pool.xyz")


def quotas() -> dict[str, int]:
    return json.loads(Path("selected.json").read_text(encoding="utf-8"))["recipe"]["quotas"]


def test_config_types_get_their_shares(pool):
    result = run("select", pool, "-n", 6, "--method", "stratified", *QUICK)
    assert result.exit_code == 0, result.output
    assert quotas() == {"bulk": 4, "hot bulk": 2}
    assert Counter(a.info["config_type"] for a in read("selected.xyz", ":")) == {"bulk": 4, "hot bulk": 2}
    page = Path("selected.html").read_text(encoding="utf-8")
    assert "Stratified random selection" in page


def test_other_groups_and_what_is_known(pool, silicon_pool):
    silicon_pool[0].info["origin"] = "rare"
    write("pool.xyz", silicon_pool, format="extxyz")
    assert (
        run("select", pool, "-n", 3, "--method", "stratified", "--group-by", "origin", *QUICK).exit_code == 0
    )
    assert quotas() == {"": 2, "rare": 1}
    write("known.xyz", silicon_pool[8:10], format="extxyz")
    shared = ["select", pool, "-n", 4, "--known", "known.xyz", "--force", *QUICK, "--method"]
    assert run(*shared, "stratified").exit_code == 0
    assert quotas() == {"bulk": 3, "hot bulk": 1}
    assert run(*shared, "stratified:count_known=true").exit_code == 0
    assert quotas() == {"bulk": 4, "hot bulk": 0}


def test_frames_without_groups_are_refused(tmp_path, silicon_pool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for atoms in silicon_pool:
        del atoms.info["config_type"]
    write("pool.xyz", silicon_pool, format="extxyz")
    result = run("select", "pool.xyz", "-n", 3, "--method", "stratified", *QUICK)
    assert result.exit_code == 2
    assert "no frame of the pool has a config_type" in result.stderr
    assert (
        run(
            "select", "pool.xyz", "-n", 3, "--method", "stratified", "--group-by", "formula", *QUICK
        ).exit_code
        == 0
    )
    result = run("select", "pool.xyz", "-n", 3, "--method", "stratified:labels=x", "--force", *QUICK)
    assert result.exit_code == 2


def test_compare_knows_the_groups(pool):
    result = run("compare", pool, "-n", 4, "--methods", "stratified,random", *QUICK)
    assert result.exit_code == 0, result.output
    record = json.loads(Path("compare.json").read_text(encoding="utf-8"))
    assert record["selections"]["stratified"]["recipe"]["quotas"] == {"bulk": 3, "hot bulk": 1}
