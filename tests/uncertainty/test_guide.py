"""What the guide to uncertainty shows, done."""

from __future__ import annotations

import lzma
import re
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import read, write
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.examples import example_files

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "uncertainty.md"


@pytest.mark.slow
def test_guide_to_uncertainty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool, known = example_files()
    Path("pool.xyz").write_bytes(lzma.decompress(pool.read_bytes()))
    Path("other.xyz").write_bytes(lzma.decompress(known.read_bytes()))
    write("train.xyz", read("pool.xyz", "::8"), format="extxyz")
    write("held.xyz", read("pool.xyz", "1::8"), format="extxyz")
    write("start.xyz", bulk("Cu", cubic=True, a=3.6) * (2, 2, 2), format="extxyz")
    page = PAGE.read_text(encoding="utf-8")
    commands = re.findall(r"^\$ aliquot (.*)$", page, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["fit", *["grade"] * 3, "md", "md"]
    for command in commands:
        small = ["--degree", "7", "--no-report", "--no-lammps"] if command.startswith("fit") else []
        result = CliRunner().invoke(app, [*command.split(), *small])
        assert result.exit_code == 0, (command, result.output)
    graded = read("graded.xyz", ":")
    assert all("gamma" in atoms.arrays and "forces_std" in atoms.arrays for atoms in graded)
    assert "<svg" in Path("graded.html").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(block, {})
