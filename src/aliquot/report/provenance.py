"""How can it be done again? Timings, versions, hashes, recipe and references."""

from __future__ import annotations

import json

from aliquot.report.findings import Case
from aliquot.report.page import facts
from aliquot.report.tables import linked, seconds, table, text

__all__ = ["record"]


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
    recipe = json.dumps(
        {"method": chosen.method, "seed": chosen.seed, "features": case.features.recipe, **chosen.recipe},
        indent=2,
        ensure_ascii=False,
        default=str,
    )
    cited = "".join(f"<li>{linked(reference)}</li>" for reference in chosen.references)
    references = f'<h3>References</h3><ol class="references">{cited}</ol>' if cited else ""
    pretty = "\n".join(text(line).replace("\u00a0", " ") for line in recipe.split("\n"))
    return (
        f'<div class="pair"><div><h3>Timings</h3>{timed or "<p>None were recorded.</p>"}</div>'
        f"<div><h3>Versions</h3><p>{_versions()}</p><h3>Content hashes</h3>{identity}</div></div>"
        f"<details><summary>Recipe (JSON)</summary><pre>{pretty}</pre></details>{references}"
    )


def _versions() -> str:
    import platform
    from importlib.metadata import version

    from aliquot import __version__

    packages = ["numpy", "scipy", "ase", "vesin", "matplotlib"]
    held = [f"{name} {text(version(name))}" for name in packages]
    return " · ".join([f"aliquot {__version__}", f"Python {platform.python_version()}", *held])
