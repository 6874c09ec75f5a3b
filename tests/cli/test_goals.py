"""``--goal``, ``--score`` of forces and the prior from known labels, from files to record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, surface
from ase.io import read, write
from typer.testing import CliRunner

import aliquot
from aliquot.cli import app
from aliquot.cli.goals import parse_goals
from aliquot.errors import InputError
from aliquot.fitting import prior_from_labels
from aliquot.information import Posterior, gather

SPEC = "ace:degree=6,cutoff=4.0,order=2"
QUICK = ["--no-cache", "--no-report", "--json"]


@pytest.fixture
def files(tmp_path, silicon_pool, monkeypatch) -> None:
    """A labelled known set, a pool, and two slabs above their bulk."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    known = []
    for k in range(14):
        atoms = bulk("Si", "diamond", a=5.43 * (1 + 0.01 * (k % 5 - 2)), cubic=True)
        atoms.positions += 0.05 * rng.standard_normal(atoms.positions.shape)
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(8, 1)]
        atoms.info["REF_energy"] = float(np.sum(np.exp(-distances)) - 8 * 4.6 + 1e-3 * rng.standard_normal())
        known.append(atoms)
    write("known.xyz", known, format="extxyz")
    write("pool.xyz", silicon_pool, format="extxyz")
    slabs = [bulk("Si", "diamond", a=5.43, cubic=True)]
    slabs[0].info["goal_weight"] = 0
    for miller in ((1, 0, 0), (1, 1, 1)):
        slab = surface(slabs[0], miller, 2, vacuum=6.0, periodic=True)
        slab.info = {"goal_minus": 0, "goal_area": 2 * float(np.linalg.norm(np.cross(*slab.cell[:2])))}
        slabs.append(slab)
    write("slabs.xyz", slabs, format="extxyz")


def run(*arguments: object):
    return CliRunner().invoke(app, ["select", "pool.xyz", "-n", "4", *map(str, arguments), *QUICK])


def record(*arguments: object) -> dict:
    result = run(*arguments, "--force")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["selection"]


def refused(result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_surface_energies_are_a_goal(files) -> None:
    """The gain is the share of variance removed from differences made by hand."""
    spec = f"{SPEC},rows=energy+forces"
    chosen = record("--features", spec, "--goal", "slabs.xyz", "--method", "bayes:precision=1e-3")
    pool, targets = aliquot.featurize(spec, aliquot.read("pool.xyz"), aliquot.read("slabs.xyz"))
    points = (targets.rows / targets.prior)[targets.kind == 1]
    atoms = read("slabs.xyz", ":")
    T = [len(a) / a.info["goal_area"] * (points[i] - points[0]) for i, a in enumerate(atoms) if i]
    posterior = Posterior(np.full(pool.n_features, 1e-3))
    before = float(np.sum(posterior.variance(np.array(T))))
    posterior.absorb(gather(pool, np.array(chosen["index"])).weighted)
    left = float(np.sum(posterior.variance(np.array(T)))) / before
    assert sum(chosen["gain"]) == pytest.approx(1 - left, rel=1e-6)
    assert chosen["recipe"]["score"] == "goal"
    assert chosen["recipe"]["goal"][0]["size"] == 2


def test_goals_add_up_and_weigh_groups(files) -> None:
    kinds = [a.info["config_type"] for a in read("pool.xyz", ":")]
    chosen = record("--features", SPEC, "--goal", f"0.5*pool:{kinds[0]}=3", "--goal", "slabs.xyz")
    pool, slabs = chosen["recipe"]["goal"]
    assert (pool["share"], pool["size"], slabs["name"]) == (0.5, len(kinds), "slabs.xyz")


def test_the_prior_comes_from_the_labels_that_are_known(files) -> None:
    chosen = record("--features", SPEC, "--known", "known.xyz")
    known = aliquot.read("known.xyz")
    _, table = aliquot.featurize(SPEC, aliquot.read("pool.xyz"), known)
    found = prior_from_labels(known, table)
    assert found is not None
    assert found.stationary
    assert chosen["recipe"]["precision"] == pytest.approx(found.precision, rel=1e-6)
    assert "evidence of 14 labels" in chosen["recipe"]["precision_from"]
    assert record("--features", SPEC)["recipe"]["precision_from"].startswith("1e-12")
    given = record("--features", SPEC, "--known", "known.xyz", "--method", "bayes:precision=0.5")
    assert given["recipe"]["precision"] == 0.5


def test_scores_of_forces_bring_force_rows(files) -> None:
    chosen = record("--features", SPEC, "--score", "force-max")
    assert chosen["recipe"]["features"]["rows"] == ["energy", "forces"]
    assert chosen["gain_unit"] == "variance"


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ("pool:nothing=2", ("no structure is of group 'nothing'",)),
        ("pool:liq", ("GROUP=WEIGHT",)),
        ("x*pool", ("'x' is not a number",)),
        ("nowhere.xyz", ("nowhere.xyz",)),
        ("bad.xyz", ("goal_minus=7 is no other frame",)),
        ("other.xyz", ("another composition",)),
    ],
)
def test_goals_that_cannot_be_are_refused(files, goal: str, words: tuple[str, ...]) -> None:
    atoms = bulk("Si")
    atoms.info["goal_minus"] = 7
    write("bad.xyz", atoms, format="extxyz")
    two = [bulk("SiC", "zincblende", a=4.3), bulk("Si")]
    two[0].info["goal_minus"] = 1
    write("other.xyz", two, format="extxyz")
    refused(run("--features", SPEC, "--goal", goal), *words)
    assert not Path("selected.xyz").exists()


def test_a_goal_needs_the_method_that_has_goals(files) -> None:
    refused(run("--goal", "pool", "--method", "fps"), "--method fps")
    refused(run("--goal", "pool", "--score", "energy"), "--score energy")


def test_goals_are_read_as_written() -> None:
    a, b = parse_goals(["2*some/file.xyz", "pool:a=1,b=0"])
    assert (a.path, a.share, dict(b.groups)) == (Path("some/file.xyz"), 2.0, {"a": 1.0, "b": 0.0})
    for text in ("", "*pool", "1*2*pool", "pool:a=1=2", "-1*pool", "inf*pool"):
        with pytest.raises(InputError, match="--goal"):
            parse_goals([text])
