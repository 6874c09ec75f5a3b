"""``aliquot merge``: the stores of many jobs become one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aliquot.cli import options
from aliquot.cli.screen import Screen

__all__ = ["merge_command"]


def merge_command(
    stores: Annotated[
        list[Path],
        typer.Argument(metavar="STORE", show_default=False, help="Feature stores, in the order wanted."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The store of all: a new or empty folder.")],
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Join feature stores of one recipe. Every checksum is compared; shards are linked where that is possible."""
    from aliquot.features.merging import merge_stores

    screen = Screen(quiet, as_json)
    with screen.progress() as progress:
        candidates = merge_stores(stores, out, progress=progress)
    screen.say(f"{candidates} structures of {len(stores)} stores in {out}")
    screen.emit({"command": "merge", "store": str(out), "stores": len(stores), "structures": candidates})
