"""``aliquot methods``: which ways of choosing there are."""

from __future__ import annotations

from aliquot.cli import options
from aliquot.cli.screen import Screen

__all__ = ["methods_command"]


def methods_command(as_json: options.AsJson = False) -> None:
    """List the methods: what each does, what it costs, and whom to cite."""
    from aliquot.selection import METHODS

    rows = [
        {
            "name": name,
            "summary": method.summary,
            "cost": method.cost,
            "memory": method.memory,
            "references": list(method.references),
        }
        for name, method in METHODS.items()
    ]
    screen = Screen(as_json=as_json)
    for row in rows:
        screen.say(f"{row['name']}: {row['summary']}")
        screen.say(f"    time {row['cost']}; memory {row['memory']}")
        for reference in row["references"]:
            screen.say(f"    {reference}")
    screen.emit({"command": "methods", "methods": rows})
