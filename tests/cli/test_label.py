"""``aliquot label`` as users meet it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.structures import Frames, read, write


def run(*words):
    return CliRunner().invoke(app, ["label", *map(str, words)])


@pytest.fixture
def pool(tmp_path):
    """Five copper cells in a file."""
    images = []
    for k in range(5):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=k)
        images.append(atoms)
    write(tmp_path / "pool.xyz", Frames.from_atoms(images))
    return tmp_path / "pool.xyz"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to be in, with a module of calculators."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calculators_of_label.py").write_text(
        "from ase.calculators.emt import EMT\n\n"
        "class Picky(EMT):\n"
        "    def calculate(self, atoms=None, properties=(), system_changes=()):\n"
        "        if atoms.positions[0, 0] > 0.02:\n"
        "            raise RuntimeError('too far')\n"
        "        super().calculate(atoms, properties, system_changes)\n"
    )
    return tmp_path


def test_labels_words_and_going_on(pool, tmp_path):
    out = tmp_path / "labelled.xyz"
    first = run(pool, "--oracle", "emt", "-o", out, "--workers", 2)
    assert first.exit_code == 0, first.output
    assert "5 of 5 structures labelled by emt: 5 now, 0 before" in first.stdout
    again = run(pool, "--oracle", "emt", "-o", out)
    assert again.exit_code == 2
    assert "--force" in again.output
    second = run(pool, "--oracle", "emt", "-o", out, "--force", "--json")
    record = json.loads(second.stdout)
    assert (record["computed"], record["reused"], record["unlabelled"]) == (0, 5, [])
    assert record["folder"] == str(tmp_path / "labelled.labels")
    frames = read(out)
    for i, atoms in enumerate(frames.to_atoms()):
        atoms.calc = EMT()
        assert frames.energy.values[i] == pytest.approx(atoms.get_potential_energy(), abs=1e-12)


def test_function_of_a_module_here_and_failures(pool, here):
    words = [
        "--oracle",
        "python:calculators_of_label:Picky",
        "-o",
        "out.xyz",
        "--retries",
        0,
        "--scratch",
        "work",
    ]
    result = run(pool, *words)
    assert result.exit_code == 0, result.output
    assert "failed:" in result.stderr
    assert "RuntimeError: too far" in result.stderr
    x = np.array([atoms.positions[0, 0] for atoms in read(pool).to_atoms()])
    assert 0 < len(read("out.xyz")) == (x <= 0.02).sum() < 5
    assert len(list((here / "work").iterdir())) == (x > 0.02).sum()


def test_nothing_labelled_is_an_error_with_the_reason(tmp_path):
    write(tmp_path / "pool.xyz", Frames.from_atoms([bulk("Si")]))
    result = run(tmp_path / "pool.xyz", "--oracle", "emt", "-o", tmp_path / "out.xyz")
    assert result.exit_code == 2
    assert "none of 1 structures was labelled by emt" in result.output
    assert "NotImplementedError" in result.output
    assert not (tmp_path / "out.xyz").exists()


def test_stricter_limits_calculate_nothing(pool, tmp_path):
    run(pool, "--oracle", "emt", "-o", tmp_path / "a.xyz", "--folder", tmp_path / "kept")
    strict = run(
        pool,
        "--oracle",
        "emt",
        "-o",
        tmp_path / "b.xyz",
        "--folder",
        tmp_path / "kept",
        "--max-force",
        0.5,
        "--json",
    )
    record = json.loads(strict.stdout[: strict.stdout.rindex("}") + 1])
    assert record["computed"] == 0
    assert {one["kind"] for one in record["unlabelled"]} == {"quarantined"}


def test_jobs_there_and_back(pool, here):
    (here / "vasp.toml").write_text('xc = "pbe"\nencut = 400.0\nkpts = [2, 2, 2]\n')
    (here / "submit.sh").write_text("#!/bin/bash\n#SBATCH -J {{formula}}\nsrun vasp_std\n")
    words = [
        pool,
        "--write-jobs",
        "jobs",
        "--template",
        "vasp",
        "--parameters",
        "vasp.toml",
        "--script",
        "submit.sh",
    ]
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "5 jobs written to jobs, 0 were there" in result.stdout
    assert "no POTCAR was written" in result.stderr
    jobs = (here / "jobs" / "jobs.txt").read_text().split()
    assert "#SBATCH -J Cu4" in (here / "jobs" / jobs[0] / "run.sh").read_text()
    assert json.loads(run(*words, "--json").stdout)["kept"] == 5
    collected = run(pool, "--collect", "jobs", "-o", "labelled.xyz")
    assert collected.exit_code == 2
    assert "there is no output yet" in collected.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-o", "a.xyz"], "one of --oracle, --write-jobs and --collect"),
        (
            ["-o", "a.xyz", "--oracle", "emt", "--collect", "jobs"],
            "one of --oracle, --write-jobs and --collect",
        ),
        (["--oracle", "emt"], "with -o"),
        (["--oracle", "emt", "-o", "a.cif"], "use .xyz"),
        (["--oracle", "dft", "-o", "a.xyz"], "no oracle 'dft'"),
        (["--oracle", "python:nowhere:at_all", "-o", "a.xyz"], "cannot import nowhere"),
        (["--oracle", "emt", "-o", "a.xyz", "--template", "vasp"], "belong to --write-jobs"),
        (["--write-jobs", "jobs"], "needs --template"),
        (["--write-jobs", "jobs", "--template", "vasp", "-o", "a.xyz"], "there is no -o"),
        (["--write-jobs", "jobs", "--template", "castep"], "no template 'castep'"),
        (
            ["--write-jobs", "jobs", "--template", "vasp", "--parameters", "calculators_of_label.py"],
            ".toml or .json",
        ),
        (["--collect", "jobs", "-o", "a.xyz"], "holds no jobs"),
        (["--oracle", "emt", "-o", "a.xyz", "--max-force", "-1"], "max_force must be positive"),
        (["--oracle", "emt", "-o", "a.xyz", "--energy", "total"], "energy is one of"),
        (
            ["--oracle", "emt", "-o", "a.xyz", "--folder", "calculators_of_label.py"],
            "labels cannot be kept in",
        ),
    ],
)
def test_refusals(pool, here, words, says):
    result = run(pool, *words)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert not (here / "a.xyz").exists()
