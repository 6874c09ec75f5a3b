"""How can it be done again? Timings, versions, hashes, recipe and references."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aliquot.report.findings import Case
from aliquot.report.page import facts
from aliquot.report.tables import linked, seconds, table, text

__all__ = ["pretty", "record", "versions"]


def record(case: Case) -> str:
    """Timings, versions, hashes, recipe and references."""
    chosen = case.selection
    times = [(name, seconds(t)) for name, t in chosen.timings.items()]
    total = [("all", seconds(sum(chosen.timings.values())))] if len(times) > 1 else []
    timed = (
        table("Time by stage", ["stage", "time"], [*times, *total], numeric=[1], heard=True) if times else ""
    )
    hashes = [
        ("Pool", chosen.pool_hash),
        ("Known", chosen.known_hash),
        ("Picks", chosen.ids.digest() if len(chosen) else ""),
    ]
    identity = facts([(name, f"<code>{text(value)}</code>" if value else "—") for name, value in hashes])
    recipe = {"method": chosen.method, "seed": chosen.seed, "features": case.features.recipe, **chosen.recipe}
    cited = "".join(f"<li>{linked(reference)}</li>" for reference in chosen.references)
    references = f'<h3>References</h3><ol class="references">{cited}</ol>' if cited else ""
    return (
        f'<div class="pair"><div><h3>Timings</h3>{timed or "<p>None were recorded.</p>"}</div>'
        f"<div><h3>Versions</h3><p>{versions()}</p><h3>Content hashes</h3>{identity}</div></div>"
        f"<details><summary>Recipe (JSON)</summary><pre>{pretty(recipe)}</pre></details>{references}"
    )


def pretty(recipe: Mapping[str, object]) -> str:
    """A recipe as indented JSON, escaped."""
    written = json.dumps(recipe, indent=2, ensure_ascii=False, default=str)
    return "\n".join(text(line).replace("\u00a0", " ") for line in written.split("\n"))


def versions() -> str:
    """Of this package and of those that its numbers come from."""
    import platform
    from importlib.metadata import version

    from aliquot import __version__

    packages = ["numpy", "scipy", "ase", "vesin", "matplotlib"]
    held = [f"{name} {text(version(name))}" for name in packages]
    return " · ".join([f"aliquot {__version__}", f"Python {platform.python_version()}", *held])
