"""``aliquot compare`` and ``aliquot methods`` on real files, and how methods with parameters are written."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from ase.io import write
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.cli.method_spec import parse_method, parse_methods
from aliquot.errors import AliquotError
from aliquot.selection import METHODS, Selection, select
from aliquot.table import Features

QUICK = ["--features", "ace:degree=6,cutoff=4.0,order=2", "--no-cache"]


@pytest.fixture
def pool(tmp_path, silicon_pool, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("pool.xyz")
    write(path, silicon_pool, format="extxyz")
    return path


def run(*arguments: str | Path):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def compared(*arguments: str | Path) -> dict:
    result = run("compare", *arguments, "--json", *QUICK)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_page_and_record_stand_side_by_side(pool):
    result = run("compare", pool, "-n", 4, "--methods", "bayes,fps,random", *QUICK)
    assert result.exit_code == 0, result.output
    assert sorted(os.listdir()) == ["compare.html", "compare.json", "pool.xyz"]
    page = Path("compare.html").read_text(encoding="utf-8")
    record = json.loads(Path("compare.json").read_text(encoding="utf-8"))
    assert record["format"] == "aliquot-comparison"
    assert list(record["selections"]) == ["bayes", "fps", "random"]
    assert record["pool"]["size"] == 12
    assert len(record["pool"]["hash"]) == len(record["selections"]["fps"]["pool_hash"]) > 0
    for name in record["selections"]:
        assert f">{name}<" in page
        assert name in result.stdout
    assert record["seed"] == 0
    assert record["features"]
    assert record["aliquot"] in page


def test_choices_are_those_of_select(pool):
    record = compared(pool, "-n", 5, "--methods", "bayes:score=energy,fps", "--known", pool)
    for label, made in record["selections"].items():
        method, _, score = label.partition(":")
        more = ["--score", "energy"] if score else []
        chosen = run(
            "select",
            pool,
            "-n",
            5,
            "--known",
            pool,
            "--method",
            method,
            *more,
            "--no-report",
            "--force",
            "--json",
            *QUICK,
        )
        assert json.loads(chosen.stdout)["selection"]["index"] == made["index"]
        assert len(Selection.from_json(json.dumps(made))) == 5


def test_same_seed_same_comparison(pool):
    first = compared(pool, "-n", 4, "--methods", "random,kdpp", "--seed", 5)
    again = compared(pool, "-n", 4, "--methods", "random,kdpp", "--seed", 5, "--force")
    other = compared(pool, "-n", 4, "--methods", "random,kdpp", "--seed", 6, "--force")

    def picks(record):
        return [s["index"] for s in record["selections"].values()]

    assert picks(first) == picks(again) != picks(other)
    assert first["comparison"] == again["comparison"]


def test_a_method_that_refuses_is_listed(pool, silicon_pool):
    write("known.xyz", silicon_pool[:6], format="extxyz")
    Path("cells_of_this_test.py").write_text(
        "def describe(atoms):\n    return [[atoms.get_volume(), atoms.cell[0, 0]]] * len(atoms)\n"
    )
    arguments = [
        "compare",
        pool,
        "-n",
        3,
        "--known",
        "known.xyz",
        "--features",
        "python:cells_of_this_test:describe",
    ]
    result = run(*arguments, "--methods", "fps,kdpp:precision=0", "--no-cache")  # two features, six known
    assert result.exit_code == 0, result.output
    record = json.loads(Path("compare.json").read_text(encoding="utf-8"))
    assert list(record["selections"]) == ["fps"]
    assert "positive precision" in record["refused"]["kdpp:precision=0"]
    assert "kdpp:precision=0 refused" in result.stderr
    page = Path("compare.html").read_text(encoding="utf-8")
    assert "Could not choose" in page
    assert "positive precision" in page


def test_all_is_every_method_and_every_score():
    labels = [spec.label for spec in parse_methods(["all"])]
    assert {label for label in labels if ":" not in label} == set(METHODS)
    assert "bayes:score=energy" in labels
    assert len(labels) == len(set(labels))
    assert [s.label for s in parse_methods(["fps", "fps,random"])] == ["fps", "random"]


def test_parameters_have_their_types():
    spec = parse_method("bayes:score=energy,precision=1e-3,sensitivity=false")
    assert spec.method == "bayes"
    assert spec.parameters == {"score": "energy", "precision": 1e-3, "sensitivity": False}
    assert parse_method("bayes:precision=none").parameters == {"precision": None}
    nested = parse_method("dpp-map:kernel=polynomial:degree=2,offset=1,swaps=3")
    assert nested.parameters == {"kernel": "polynomial:degree=2,offset=1", "swaps": 3}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nix", "'nix' is not known"),
        ("bayes:score", "is not KEY=VALUE"),
        ("bayes:nix=1", "no parameter nix"),
        ("bayes:score=nix", "'nix'"),
        ("bayes:precision=many", "precision must be float or None"),
        ("bayes:sensitivity=perhaps", "must be bool"),
        ("dpp-map:swaps=1.5", "must be int"),
        ("score=energy", "is not known"),
        (" , ", "names no method"),
    ],
)
def test_what_makes_no_sense_is_refused_before_reading(text, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AliquotError, match=re.escape(words)):
        parse_methods([text])
    result = run("compare", "no_such_file.xyz", "-n", 3, "--methods", text)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not os.listdir()


def test_select_takes_the_same_words(pool):
    short = run("select", pool, "-n", 4, "--method", "bayes:score=energy", "--no-report", "--json", *QUICK)
    assert short.exit_code == 0, short.output
    recipe = json.loads(short.stdout)["selection"]["recipe"]
    assert recipe["score"] == "energy"


def test_a_goal_reaches_those_who_choose_towards_it(pool, silicon_pool):
    write("wanted.xyz", silicon_pool[9:11], format="extxyz")
    goal = ["--goal", "wanted.xyz"]
    record = compared(pool, "-n", 3, "--methods", "bayes:score=goal,fps", *goal)
    chosen = run("select", pool, "-n", 3, *goal, "--no-report", "--json", *QUICK)
    assert chosen.exit_code == 0, chosen.output
    expected = json.loads(chosen.stdout)["selection"]["index"]
    assert record["selections"]["bayes:score=goal"]["index"] == expected
    plain = compared(pool, "-n", 3, "--methods", "bayes:score=goal", "--force")
    assert plain["selections"]["bayes:score=goal"]["index"] != expected


@pytest.mark.parametrize("held", ["compare.html", "compare.json"])
def test_nothing_is_overwritten_without_force(pool, held):
    Path(held).write_text("old")
    refused = run("compare", pool, "-n", 3, "--methods", "random", *QUICK)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert Path(held).read_text() == "old"
    assert sorted(os.listdir()) == sorted([held, "pool.xyz"])
    assert run("compare", pool, "-n", 3, "--methods", "random", "--force", *QUICK).exit_code == 0
    assert Path(held).read_text() != "old"


def test_a_store_has_nothing_to_show(pool):
    made = run("featurize", pool, "-o", "store", "--features", "ace:degree=6,cutoff=4.0,order=2")
    assert made.exit_code == 0, made.output
    refused = run("compare", "store", "-n", 3, "--methods", "fps")
    assert refused.exit_code == 2
    assert "feature store" in refused.stderr
    assert not Path("compare.html").exists()


def test_too_many_and_other_nonsense(pool):
    assert "cannot select 13 of 12" in run("compare", pool, "-n", 13, "--methods", "fps", *QUICK).stderr
    assert "'.xyz'" in run("compare", pool, "-n", 3, "-o", "out.xyz", *QUICK).stderr
    assert "positive number" in run("compare", pool, "-n", "some", *QUICK).stderr
    assert sorted(os.listdir()) == ["pool.xyz"]


def test_hostile_names_of_files_and_groups(tmp_path, silicon_pool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, atoms in enumerate(silicon_pool):
        atoms.info["config_type"] = "<script>alert(1)</script>" if i % 2 else "a&b"
    name = "<img onerror=x>.xyz"
    write(name, silicon_pool, format="extxyz")
    result = run("compare", name, "-n", 4, "--methods", "fps,random", *QUICK)
    assert result.exit_code == 0, result.output
    page = Path("compare.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_methods_fit_a_terminal_and_name_what_there_is(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run("methods").output
    assert all(len(line) <= 80 for line in shown.splitlines())
    blocks = dict(zip(*[iter(re.split(r"^(\S+)\n(?=  \S)", shown, flags=re.MULTILINE)[1:])] * 2, strict=True))
    assert list(blocks) == list(METHODS)
    for name, method in METHODS.items():
        assert "time " in blocks[name]
        assert "memory " in blocks[name]
        assert ("a certificate" in blocks[name]) == ("certificate" in method.gives)
        assert ("constraints" in re.findall(r"heeds.*", blocks[name] + "heeds")[0]) == (
            "groups" in method.heeds
        )
    only = run("methods", "fps").output
    assert "\nfps\n" in only
    assert "\nbayes\n" not in only
    assert "there is no method 'nix'" in run("methods", "nix").stderr


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_gives_is_what_it_gives(name):
    rng = np.random.default_rng(2)
    pool = Features.from_array(rng.normal(size=(30, 4)))
    chosen = select(pool, 3, method=name)
    assert ("certificate" in METHODS[name].gives) == (chosen.certificate is not None)
    assert ("nested" in METHODS[name].gives) == bool(chosen.nested)
