"""``aliquot features``: which numbers describe these structures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aliquot.cli import options
from aliquot.cli.options import OnErrorChoice, Reading
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.table import Features

__all__ = ["features_command"]


def features_command(
    pool: options.Pool,
    features: options.FeatureSpec = "ace",
    pooling: options.Pooling = "mean",
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="The table, .npy, one row per structure (per atom with --pooling none)."
            " What it means goes beside it as .json.",
        ),
    ] = Path("features.npy"),
    on_error: options.OnError = OnErrorChoice.RAISE,
    type_map: options.TypeMap = None,
    overlap: options.Overlap = options.OVERLAP,
    cache: options.Cache = True,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the features of structures as a table, for file:features.npy or for other programs."""
    import numpy as np

    from aliquot.cli.options import find_modules_here, read_usable
    from aliquot.cli.outputs import Outputs
    from aliquot.features import featurize
    from aliquot.structures.cache import cache_folder

    if out.suffix != ".npy":
        raise InputError(f"-o {out}: features are written as .npy; got the extension {out.suffix!r}")
    screen = Screen(quiet, as_json)
    about = out.with_suffix(".json")
    with Outputs(force=force, inputs=pool) as outputs:
        table_path, about_path = outputs.claim(out), outputs.claim(about)
        with screen.progress() as progress:
            reading = Reading(type_map=type_map, on_error=on_error.value, overlap=overlap)
            frames, exclusions, notes = read_usable(pool, reading, progress)
            find_modules_here(features)
            cached = cache_folder("features") if cache else None
            (table,) = featurize(features, frames, pooling=pooling, cache=cached, progress=progress)
        np.save(table_path, table.rows)
        text = json.dumps(_about(table), indent=1)
        about_path.write_text(text + "\n", encoding="utf-8")
    for note in (
        *notes,
        *table.notes,
        *(f"excluded {e.file}, frame {e.frame}: {e.problem}" for e in exclusions),
    ):
        screen.warn(f"note: {note}")
    screen.say(
        f"{len(table)} structures, {len(table.rows)} rows of {table.n_features} features: {out}, {about}"
    )
    screen.emit(
        {
            "command": "features",
            "files": {"features": str(out), "about": str(about)},
            "structures": len(table),
            "rows": len(table.rows),
            "features": table.n_features,
            "recipe": dict(table.recipe),
            "notes": [*notes, *table.notes],
            "excluded": [{"file": e.file, "frame": e.frame, "problem": e.problem} for e in exclusions],
        }
    )


def _about(table: Features) -> dict[str, Any]:
    """Everything of the table but its rows."""
    ids = table.ids
    return {
        "format": "aliquot-features",
        "schema": 1,
        "recipe": dict(table.recipe),
        "names": list(table.names),
        "prior": table.prior.tolist(),
        "offsets": table.offsets.tolist(),
        "structures": [
            {"hash": h.decode(), "file": ids.files[f], "frame": int(k)}
            for h, f, k in zip(ids.hash, ids.file, ids.frame, strict=True)
        ],
    }
