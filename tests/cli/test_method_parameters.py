"""Parameters of methods on the command line: explained one by one, and numbers for every candidate as formulas."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import numpy as np
import pytest
from ase.io import read, write
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.cli.formula import check_formula, evaluate
from aliquot.errors import InputError
from aliquot.selection import KDPP, METHODS, select
from aliquot.structures import Frames

QUICK = ["--features", "ace:degree=6,cutoff=4.0,order=2", "--no-cache", "--no-report"]


@pytest.fixture
def pool(tmp_path, silicon_pool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, atoms in enumerate(silicon_pool):
        atoms.info["worth"] = 1.0 if i == 3 else 1e-6
        if i % 2:
            atoms.info["half"] = 1.0
    write("pool.xyz", silicon_pool, format="extxyz")
    return silicon_pool


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_is_explained(method: str) -> None:
    row = json.loads(run("methods", method, "--json").stdout)["methods"][0]
    assert set(row["explanations"]) == set(row["parameters"])
    assert all(
        len(said) > 6 and "``" not in said and ":`" not in said for said in row["explanations"].values()
    )
    shown = " ".join(run("methods", method).stdout.split())
    for said in row["explanations"].values():
        assert re.sub(r"\s", "", said) in shown.replace(" ", "")


def test_what_needs_no_words_is_told() -> None:
    row = json.loads(run("methods", "kdpp", "--json").stdout)["methods"][0]
    assert set(row["parameters"]) == {f.name for f in fields(KDPP)}
    assert "column:NAME" in row["explanations"]["quality"]
    assert "decomposed exactly" in row["explanations"]["exact"]


@pytest.mark.parametrize("method", ["kdpp", "dpp", "dpp-map"])
def test_quality_is_a_formula(pool, method: str) -> None:
    result = run(
        "select",
        "pool.xyz",
        "-n",
        1,
        "--method",
        f"{method}:quality=column:worth,kernel=rbf",
        *QUICK,
        "--seed",
        2,
    )
    assert result.exit_code == 0, result.output
    assert "quality of a candidate: column:worth, from 1e-06 to 1" in result.stderr
    if method != "dpp":  # which may draw nobody
        assert [a.info["aliquot_frame"] for a in read("selected.xyz", ":")] == [3]


def test_a_formula_is_that_of_the_selector(pool) -> None:
    """The draw is that of the same qualities in Python."""
    from aliquot import featurize

    quality = evaluate("2/atoms + column:worth", Frames.from_atoms(pool), option="quality")
    assert quality == pytest.approx([2 / len(a) + a.info["worth"] for a in pool])
    result = run("select", "pool.xyz", "-n", 4, "--method", "kdpp:quality=2/atoms + column:worth", *QUICK)
    assert result.exit_code == 0, result.output
    (table,) = featurize("ace:degree=6,cutoff=4.0,order=2", Frames.from_atoms(pool))
    expected = select(table, 4, method="kdpp", quality=quality, seed=0)
    got = [a.info["aliquot_frame"] for a in read("selected.xyz", ":")]
    assert got == expected.index.tolist()


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("column:nothing", "kdpp:quality column:nothing: no frame has this key"),
        ("column:half", "kdpp:quality column:half: 6 of 12 frames lack this key"),
        ("atoms^", "kdpp:quality 'atoms^' ends where"),
        ("-1*atoms", "kdpp:quality '-1*atoms': '-' stands where"),
        ("atoms-atoms", "the quality of candidate pool.xyz#0 is 0"),
    ],
)
def test_formulas_that_make_no_sense_are_refused(pool, formula: str, words: str) -> None:
    result = run("select", "pool.xyz", "-n", 2, "--method", f"kdpp:quality={formula}", *QUICK)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_draw_of_nobody_is_told(pool) -> None:
    """Of mean one, a draw is often empty; then there is nothing to write."""
    sizes = []
    for seed in range(8):
        result = run(
            "select", "pool.xyz", "-n", 1, "--method", "dpp:kernel=rbf", *QUICK, "--seed", seed, "--force"
        )
        sizes.append(-1 if result.exit_code else len(read("selected.xyz", ":")))
        if result.exit_code:
            assert (
                f"nothing was chosen: dpp with seed {seed} made a draw of variable size: 0" in result.stderr
            )
    assert {-1, 1} <= set(sizes)


def test_compare_takes_formulas_too(pool) -> None:
    methods = "kdpp:quality=column:worth,random"
    result = run("compare", "pool.xyz", "-n", 1, "--methods", methods, *QUICK[:3], "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["selections"]["kdpp:quality=column:worth"]["index"] == [3]


def test_a_formula_needs_structures(pool) -> None:
    assert run("featurize", "pool.xyz", "-o", "store", *QUICK[:2]).exit_code == 0
    result = run("select", "store", "-n", 2, "--method", "kdpp:quality=atoms")
    assert result.exit_code == 2
    assert "quality of kdpp needs the files" in result.stderr


@pytest.mark.parametrize("text", ["2+3*4^2", "(2+3)*4", "2^3^2", "10-4-3", "12/4/3", "1e-3*.5"])
def test_arithmetic_is_that_of_python(text: str, silicon_pool) -> None:
    expected = eval(text.replace("^", "**"))  # noqa: S307
    assert evaluate(text, Frames.from_atoms(silicon_pool), option="x") == pytest.approx(np.full(12, expected))


@pytest.mark.parametrize(
    "text", ["", "2 3", "(2", "2)", "__import__('os')", "atoms.x", "a" * 201, "2 ** ", "atoms,2"]
)
def test_what_is_no_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--cost"):
        check_formula(text, option="--cost")
