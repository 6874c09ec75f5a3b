"""Costs, budgets, groups, exclusions, distances, limits of ``aliquot select``, against plain Python on the frames."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from ase.io import read, write
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.cli.cost import budget_of, costs
from aliquot.cli.limits import Limits
from aliquot.errors import InputError
from aliquot.features import featurize
from aliquot.selection import Selection
from aliquot.structures import Frames

ACE = "ace:degree=6,cutoff=4.0,order=2"
QUICK = ["--features", ACE, "--no-cache", "--no-report", "--force"]


@pytest.fixture
def pool(tmp_path, silicon_pool, monkeypatch):
    """Twelve frames, with a number and a label each."""
    monkeypatch.chdir(tmp_path)
    for i, atoms in enumerate(silicon_pool):
        atoms.info["hours"] = 1.0 + (7 * i) % 5
        atoms.info["batch"] = "ab"[i % 2]
    write("pool.xyz", silicon_pool, format="extxyz")
    return read("pool.xyz", ":")  # rounded as in the file


def run(*arguments: object, method: str = "dpp-map"):
    return CliRunner().invoke(app, ["select", "pool.xyz", *map(str, arguments), "--method", method, *QUICK])


def chosen(*arguments: object) -> Selection:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return Selection.from_json(Path("selected.json").read_text(encoding="utf-8"))


def points(frames) -> np.ndarray:
    """What distances are measured between."""
    (table,) = featurize(ACE, Frames.from_atoms(frames))
    return np.asarray(table.rows) / table.prior


@pytest.mark.parametrize(
    ("formula", "each"),
    [
        ("atoms^3", lambda a: len(a) ** 3),
        ("electrons", lambda a: 14 * len(a)),
        ("(4*Si + 6*O)**2", lambda a: (4 * len(a)) ** 2),
        ("volume/atoms", lambda a: a.get_volume() / len(a)),
        ("column:hours", lambda a: a.info["hours"]),
        ("2*column:hours + atoms", lambda a: 2 * a.info["hours"] + len(a)),
    ],
)
def test_costs_and_budgets(pool, formula: str, each) -> None:
    expected = np.array([each(atoms) for atoms in pool], float)
    assert costs(formula, Frames.from_atoms(pool), None).values == pytest.approx(expected)
    record = chosen("-n", 4, "--cost", formula)
    assert record.cost == pytest.approx(expected[record.index])
    assert (record.cost_unit, record.budget) == (formula.replace(" ", ""), None)
    signed = [atoms.info["aliquot_cost"] for atoms in read("selected.xyz", ":")]
    assert signed == pytest.approx(record.cost)
    bought = chosen("--cost", formula, "--budget", "40%")
    assert bought.budget == pytest.approx(0.4 * expected.sum())
    assert 0 < bought.spent <= bought.budget
    left = np.setdiff1d(np.arange(12), bought.index)
    assert bought.spent + expected[left].min() > bought.budget
    assert f"of a budget of {bought.budget:g} {bought.cost_unit}" in bought.stop


def test_a_record_tells_costs_as_json(pool) -> None:
    result = run("--cost", "column:hours", "--budget", 9, "--json")
    told = json.loads(result.stdout)["selection"]
    assert told["budget"] == 9.0
    assert sum(told["cost"]) <= 9.0


def test_groups(pool) -> None:
    kinds = np.array([atoms.info["config_type"] for atoms in pool])
    count = Counter(kinds.tolist())
    rare, common = min(count, key=count.__getitem__), max(count, key=count.__getitem__)
    assert rare != common
    for arguments in (
        ["--at-least", f"{rare}={count[rare]}", "--at-most", f"{common}=1"],
        ["--at-most", "*=1", "--at-least", f"{rare}={count[rare]}", "--at-most", f"{rare}={count[rare]}"],
    ):
        got = Counter(kinds[chosen("-n", count[rare] + 1, *arguments).index].tolist())
        assert got[rare] == count[rare]
        assert got[common] <= 1
    batches = chosen("-n", 5, "--group-by", "batch", "--at-most", "a=1").index % 2
    assert batches.tolist().count(0) <= 1
    formulas = chosen("-n", 3, "--group-by", "formula", "--at-most", "Si=3")
    assert len(formulas) == 3


def test_exclusions(pool) -> None:
    first = chosen("-n", 4)
    Path("selected.json").rename("first.json")
    Path("selected.xyz").rename("first.xyz")
    hashes = [h.decode() for h in first.ids.hash]
    Path("hashes.txt").write_text("\n".join(hashes) + "\n", encoding="utf-8")
    Path("numbers.txt").write_text("\n".join(str(i) for i in first.index), encoding="utf-8")
    Path("names.txt").write_text("".join(f"pool.xyz#{i}\n\n" for i in first.index), encoding="utf-8")
    answers = []
    for name in ("first.json", "first.xyz", "hashes.txt", "numbers.txt", "names.txt"):
        record = chosen("-n", 8, "--exclude", name)
        assert not set(record.index) & set(first.index)
        assert "4 candidates were excluded by request" in record.notes
        answers.append(record.index.tolist())
    assert answers == answers[:1] * 5
    result = run("-n", 9, "--exclude", "first.json")
    assert result.exit_code == 2
    assert "cannot select 9 of 12 candidates: 8 are left" in result.stderr


@pytest.mark.parametrize("given", [False, True])
def test_distances_between_picks(pool, given: bool) -> None:
    known = [pool[0]] if given else []
    write("known.xyz", [pool[0]], format="extxyz")
    extra = ["--known", "known.xyz"] if given else []
    x = points(pool)
    spread = np.sqrt(np.square(x - x.mean(axis=0)).sum(axis=1).mean())
    for text, least in (("15%", 0.15 * spread), (f"{0.2 * spread:.17g}", 0.2 * spread)):
        record = chosen("-n", 3, "--apart", text, *extra)
        near = [np.linalg.norm(x[i] - x[j]) for i, j in combinations(record.index.tolist(), 2)]
        near += [np.linalg.norm(x[i] - x[0]) for i in record.index for _ in known]
        assert min(near) >= least * (1 - 1e-9)
    result = run("-n", 12, "--apart", "90%")
    assert result.exit_code == 2
    assert "no other candidate is at least" in result.stderr
    assert "lower -n or relax the constraint" in result.stderr


def test_deduplication(pool) -> None:
    x = points(pool)
    between = np.linalg.norm(x[:, None] - x, axis=2)
    tolerance = float(np.median(between[np.triu_indices(12, 1)]))
    frames = Frames.from_atoms(pool)
    kept: list[int] = []
    for i in np.argsort(frames.hashes):
        if all(between[i, j] >= tolerance for j in kept):
            kept.append(int(i))
    assert 1 < len(kept) < 12
    record = chosen("-n", len(kept), "--dedupe", f"{tolerance:.17g}")
    assert sorted(record.index.tolist()) == sorted(kept)
    assert any(
        f"{12 - len(kept)} of 12 candidates were left out as near duplicates" in n for n in record.notes
    )


def test_limits_on_forces_and_distances(pool) -> None:
    force = [float(np.linalg.norm(a.arrays["REF_forces"], axis=1).max()) for a in pool]
    nearest = []
    for atoms in pool:
        some = atoms.get_all_distances(mic=True)
        nearest.append(float(some[np.triu_indices(len(atoms), 1)].min()))
    at_force, at_distance = float(np.median(force)), float(np.median(nearest))
    by_force = {i for i in range(12) if force[i] <= at_force}
    by_both = {i for i in by_force if nearest[i] >= at_distance}
    assert 0 < len(by_both) < len(by_force) < 12
    limits = ["--max-force", f"{at_force + 1e-6:.9g}", "--min-distance", f"{at_distance - 1e-6:.9g}"]
    result = run("-n", len(by_both), *limits)
    assert result.exit_code == 0, result.output
    frames = {int(a.info["aliquot_frame"]) for a in read("selected.xyz", ":")}
    assert frames == by_both
    assert f"removed {12 - len(by_force)} of 12 frames" in result.stderr
    assert f"removed {len(by_force) - len(by_both)} of 12 frames" in result.stderr
    short = run("-n", 12, *limits)
    assert short.exit_code == 2
    assert f", which removed {12 - len(by_force)} frames or relax --min-distance" in short.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", 3, "--budget", 5], "either -n, how many, or --budget"),
        (["--cost", "atoms"], "neither is given"),
        (["--budget", 5], "--budget needs --cost"),
        (["--cost", "atoms", "--budget", "-3"], "positive number in the unit of --cost"),
        (["--cost", "atoms", "--budget", "101%"], "positive number in the unit of --cost"),
        (["--cost", "atoms-atoms", "--budget", 5], "costs are positive and finite"),
        (["--cost", "column:batch", "-n", 2], "the values under this key are not one number per frame"),
        (["--cost", "atoms", "--budget", 1], "a budget of 1 atoms buys none of 12 candidates"),
        (["-n", 3, "--at-least", "bulk"], "is not of the form GROUP=NUMBER"),
        (["-n", 3, "--at-least", "x=1", "--at-least", "x=2"], "names the group 'x' twice"),
        (["-n", 3, "--at-most", "nobody=1"], "no candidate is of group 'nobody'"),
        (["-n", 3, "--group-by", "colour", "--at-most", "*=1"], "no frame has this key"),
        (["-n", 3, "--apart", "0"], "--apart 0: give a positive distance"),
        (["-n", 3, "--dedupe", "far"], "--dedupe far: give a positive distance"),
        (["-n", 3, "--exclude", "missing.json"], "--exclude missing.json: cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused(pool, arguments, words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert not Path("selected.xyz").exists()


def test_a_method_that_cannot_heed_says_who_can(pool) -> None:
    for option in (["--cost", "atoms"], ["--at-most", "*=2"], ["--apart", "1%"]):
        result = run("-n", 3, *option, method="random")
        assert result.exit_code == 2
        assert "method random cannot heed" in result.stderr
        assert "bayes" in result.stderr


@pytest.mark.parametrize("method", ["kdpp", "random", "dpp-map"])
def test_every_method_leaves_out_what_is_excluded_or_nearly_the_same(pool, method: str) -> None:
    Path("not.txt").write_text("0\n1\n2\n", encoding="utf-8")
    result = run("-n", 5, "--exclude", "not.txt", method=method)
    assert result.exit_code == 0, result.output
    record = Selection.from_json(Path("selected.json").read_text(encoding="utf-8"))
    assert not set(record.index) & {0, 1, 2}
    assert "3 candidates were excluded by request" in record.notes
    assert (record.pool_size, record.recipe["constraints"]) == (12, {"excluded": 3})
    frames = [int(a.info["aliquot_frame"]) for a in read("selected.xyz", ":")]
    assert frames == record.index.tolist()
    assert run("-n", 9, "--exclude", "not.txt", method=method).exit_code == 0
    short = run("-n", 10, "--exclude", "not.txt", method=method)
    assert "cannot select 10 of 12 candidates: 9 are left" in short.stderr
    near = run("-n", 3, "--dedupe", "40%", method=method)
    assert near.exit_code == 0, near.output
    x = points(pool)
    picks = [int(a.info["aliquot_frame"]) for a in read("selected.xyz", ":")]
    spread = np.sqrt(np.square(x - x.mean(axis=0)).sum(axis=1).mean())
    assert min(np.linalg.norm(x[i] - x[j]) for i, j in combinations(picks, 2)) >= 0.4 * spread


def test_budget_of_text() -> None:
    assert budget_of("2.5e3", lambda: 0.0) == 2500.0
    assert budget_of("100%", lambda: 40.0) == 40.0
    for text in ("", "%", "0", "0%", "nan", "inf", "1e999", "1,000"):
        with pytest.raises(InputError, match="--budget"):
            budget_of(text, lambda: 1.0)


def test_nothing_asked_is_nothing_done(silicon_pool) -> None:
    limits, frames = Limits(), Frames.from_atoms(silicon_pool)
    assert not limits.constrained
    assert limits.cost_of(frames) is None
    assert len(limits.sieve(frames).frames) == len(frames)
