"""``aliquot demo``: what it looks like when it works, and whether it pays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from aliquot.cli import options
from aliquot.cli.screen import Screen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aliquot.structures import Frames

__all__ = ["demo_command"]

N_CHOSEN = 40

#: Structures set aside to judge both ways of choosing, and how often the random one is repeated.
N_JUDGES: Final = 100
REPEATS: Final = 5


def demo_command(
    out: Annotated[Path, typer.Option(help="Folder to write to; made if it is not there.")] = Path(
        "aliquot-demo"
    ),
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Choose 40 of 400 copper structures, knowing 60, and fit a potential: the main job on packaged data.

    The pool is mostly molecular dynamics of the perfect crystal; strained cells, defects, surfaces, liquid
    and clusters are few. Watch which of them are chosen. Then potentials are fitted to 40 structures chosen so and
    to 40 drawn at random, and judged by structures that neither has seen.
    """
    from aliquot.cli.job import Job, run
    from aliquot.cli.outputs import Outputs
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
    with Outputs(force=force) as outputs:
        pays = _does_it_pay(screen, outcome.pool, outcome.known, outputs.claim(out / "model.ace"))
    screen.say(f"The potential of the chosen ones is {out / 'model.ace'}.")
    screen.emit({**outcome.to_dict(), "command": "demo", "comparison": pays})


def _does_it_pay(
    screen: Screen, pool: Frames | None, known: Frames | None, place: Path
) -> list[dict[str, Any]]:
    """Fit to what was chosen and to what was drawn, on the same budget; judge by the same structures."""
    import numpy as np

    from aliquot.features import featurize
    from aliquot.selection import select

    assert pool is not None
    assert known is not None
    rng = np.random.default_rng(0)
    judges = np.sort(rng.choice(len(pool), N_JUDGES, replace=False))
    rest = np.setdiff1d(np.arange(len(pool)), judges)
    with screen.progress() as progress:
        features, known_features = featurize("ace", pool[rest], known, progress=progress)
        chosen = rest[select(features, N_CHOSEN, known=known_features, progress=progress).index]
        rows = [_judged("chosen", _fitted(pool, known, chosen, judges, place))]
        for repeat in range(REPEATS):
            drawn = rng.choice(rest, N_CHOSEN, replace=False)
            rows.append(_judged("random", _fitted(pool, known, drawn, judges, None)))
            progress("fit", repeat + 1, REPEATS)
    table = [_line("chosen", rows[:1]), _line(f"random, mean of {REPEATS} draws", rows[1:])]
    screen.say(
        f"\nDoes it pay? {N_JUDGES} structures are set aside at random to judge; {N_CHOSEN} of the other {len(rest)}"
        f" are chosen, or drawn at random, and a potential is fitted to them and the {len(known)} known."
        " Root-mean-square errors of the judges:"
    )
    screen.table("", ["40 structures", "energy, meV/atom", "forces, meV/Å", "functions"], table)
    return rows


def _fitted(
    pool: Frames, known: Frames, some: NDArray[np.int64], judges: NDArray[np.int64], place: Path | None
) -> dict[str, float]:
    """Errors of a potential fitted to what is known and some of the pool; every seventh structure decides."""
    import numpy as np

    from aliquot.fitting import TEST, Recipe, candidate_basis, fit, split_at_random
    from aliquot.structures import Frames

    teach = Frames.concatenate((known, pool[some]))
    frames = Frames.concatenate((teach, pool[judges]))
    parts = np.concatenate((split_at_random(teach), np.full(len(judges), TEST)))
    basis = candidate_basis(frames.elements, degree=(12.0, 10.0, 9.0), cutoff=5.5)
    done = fit(frames, Recipe(basis=basis), parts=parts)
    if place is not None:
        done.potential.save(place)
    found = {e.quantity: e.rmse for e in done.errors() if e.part == TEST and not e.group}
    return {**found, "functions": float(done.size)}


def _judged(how: str, errors: dict[str, float]) -> dict[str, Any]:
    return {"structures": how, **errors}


def _line(name: str, rows: list[dict[str, Any]]) -> list[str]:
    def mean(key: str) -> float:
        return sum(row[key] for row in rows) / len(rows)

    return [name, f"{1000 * mean('energy'):.2f}", f"{1000 * mean('forces'):.1f}", f"{mean('functions'):.0f}"]


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
