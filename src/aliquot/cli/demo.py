"""``aliquot demo``: what it looks like when it works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aliquot.cli import options
from aliquot.cli.screen import Screen

__all__ = ["demo_command"]

N_CHOSEN = 40


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder to write to; made if it is not there.")] = Path(
        "aliquot-demo"
    ),
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Choose 40 of 400 copper structures, knowing 60: the main job on packaged data.

    The pool is mostly molecular dynamics of the perfect crystal; strained cells, defects, surfaces, liquid
    and clusters are few. Watch which of them are chosen.
    """
    from aliquot.cli.job import Job, run
    from aliquot.cli.select import describe

    screen = Screen(quiet, as_json)
    pool, known = _unpack(out, force=force)
    job = Job(
        pool=[pool],
        known=[known],
        number=str(N_CHOSEN),
        out=out / "selected.xyz",
        rest=out / "rest.xyz",
        force=force,
        cache=False,  # a demonstration shows the whole work, every time
    )
    outcome = run(job, screen)
    screen.say(
        f"$ aliquot select {pool} --known {known} -n {N_CHOSEN} -o {job.out} --rest {job.rest} --no-cache\n"
    )
    describe(outcome, screen)
    screen.say(f"\nOpen {job.beside('.html')} in a browser; no network is needed.")
    screen.emit({**outcome.to_dict(), "command": "demo"})


def _unpack(folder: Path, *, force: bool) -> tuple[Path, Path]:
    """Put the example files into ``folder`` as plain extended XYZ."""
    import lzma

    from aliquot.cli.outputs import Outputs
    from aliquot.examples import example_files

    folder.mkdir(parents=True, exist_ok=True)
    places = folder / "pool.xyz", folder / "known.xyz"
    with Outputs(force=force) as outputs:
        for packed, place in zip(example_files(), places, strict=True):
            staged = outputs.claim(place)
            staged.write_bytes(lzma.decompress(packed.read_bytes()))
    return places
