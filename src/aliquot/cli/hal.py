"""``aliquot hal``: structures that a model does not know, found by dynamics that are driven to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aliquot.cli import options
from aliquot.cli.options import OnErrorChoice, Reading
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.explore import Biased, Exploration, Noise, Surrogate
    from aliquot.progress import Progress
    from aliquot.structures import Frames

__all__ = ["hal_command"]


def hal_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            help="Whose energies move the atoms: model.ace, fitted with --posterior; or, with --surrogate, any"
            " potential or python:module:factory, a function that returns an ASE calculator.",
        ),
    ],
    starts: Annotated[
        list[Path],
        typer.Argument(
            metavar="START...", show_default=False, help="Structures that walks begin from, in turn."
        ),
    ],
    n: Annotated[int, typer.Option("-n", min=1, show_default=False, help="How many structures to find.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="The structures found, .xyz, in order.")
    ],
    temperature: Annotated[float, typer.Option(metavar="K", help="Of the thermostat.")] = 800.0,
    steps: Annotated[int, typer.Option(min=1, help="Of one walk, at most.")] = 2000,
    timestep: Annotated[float, typer.Option(metavar="FS", help="Time step, fs.")] = 1.0,
    bias: Annotated[
        float, typer.Option(help="Size of the bias forces relative to the forces; 0 for none.")
    ] = 0.2,
    trigger: Annotated[
        float, typer.Option(help="A structure is taken where a force is this uncertain relative to its size.")
    ] = 0.3,
    floor: Annotated[
        float, typer.Option(metavar="EV/Å", help="Added to the size of forces in that relation.")
    ] = 0.2,
    strain: Annotated[
        float, typer.Option(help="Cell moves: standard deviation of each component of a strain; 0 for none.")
    ] = 0.0,
    swap: Annotated[bool, typer.Option("--swap", help="Moves that exchange two elements.")] = False,
    pressure: Annotated[float, typer.Option(metavar="GPA", help="Of cell moves.")] = 0.0,
    moves_every: Annotated[int, typer.Option(min=1, help="Steps between moves.")] = 50,
    hard_core: Annotated[
        float,
        typer.Option(
            help="A walk ends where atoms are closer than this share of their covalent radii; 0 for none."
        ),
    ] = 0.6,
    patience: Annotated[
        int, typer.Option(min=1, help="So many walks in a row that find nothing end the search.")
    ] = 5,
    committee: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="So many members drawn from the posterior in its place; 0: itself."
        ),
    ] = 0,
    surrogate: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            show_default=False,
            help="What is uncertain in place of MODEL: ace, ace:degree=10,cutoff=5, or python:module:function, a"
            " descriptor with a pullback. Needs --known.",
        ),
    ] = None,
    known: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", show_default=False, help="Structures that MODEL was trained on."),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="E/F/V",
            show_default="of the fit; 0.01/0.1/0.1",
            help="Of labels to come: eV/√atom, eV/Å, eV/√atom.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed finds the same structures.")] = 0,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default="OUT, .hal", help="Checkpoint; the same command goes on from it."
        ),
    ] = None,
    on_error: options.OnError = OnErrorChoice.RAISE,
    overlap: options.Overlap = options.OVERLAP,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Find structures that a model does not know, by dynamics that are driven to them.

    Nothing is labelled on the way: each structure counts as known once it is found. Stopped at any point, the same
    command goes on from there.
    """
    from aliquot.cli.options import find_modules_here, read_usable
    from aliquot.cli.outputs import Outputs
    from aliquot.explore import HalSettings, Moves, hal
    from aliquot.structures import write

    if (surrogate is None) != (known is None):
        raise InputError("--surrogate and --known belong together: what is uncertain, and what it has seen")
    screen = Screen(quiet, as_json)
    reading = Reading(on_error=on_error.value, overlap=overlap)
    kept = state or out.with_suffix(".hal")
    settings = HalSettings(
        temperature=temperature,
        steps=steps,
        bias=bias,
        trigger=trigger,
        floor=floor,
        timestep=timestep,
        hard_core=hard_core,
        patience=patience,
        moves=Moves(every=moves_every, strain=strain, swap=swap, pressure=pressure),
    )
    inputs = [*starts, *(known or ()), *([] if model.startswith("python:") else [Path(model)])]
    with Outputs(force=force, inputs=inputs) as outputs:
        staged = outputs.claim(out)
        find_modules_here(model)
        find_modules_here(surrogate or "")
        try:
            with screen.progress() as progress:
                frames, exclusions, notes = read_usable(starts, reading, progress)
                biased = _model(model, surrogate, known, frames, noise, committee, seed, reading, progress)
                done = hal(
                    frames, n, model=biased, settings=settings, seed=seed, state=kept, progress=progress
                )
        except KeyboardInterrupt:
            typer.echo(f"aliquot: interrupted; {kept} is kept, the same command goes on from there", err=True)
            raise typer.Exit(130) from None
        write(staged, done.frames)
    kept.unlink(missing_ok=True)
    for note in (*notes, *(f"{e} (excluded)" for e in exclusions), *done.notes):
        screen.warn(f"note: {note}")
    _tell(screen, done, out)
    screen.emit({"command": "hal", "model": model, "out": str(out), **done.to_dict()})


def _model(
    model: str,
    surrogate: str | None,
    known: list[Path] | None,
    starts: Frames,
    noise: str | None,
    committee: int,
    seed: int,
    reading: Reading,
    progress: Progress,
) -> Biased:
    """The mean and its bias."""
    import numpy as np

    from aliquot.ace.potential import AcePotential
    from aliquot.explore import Biased, bias_from_frames, bias_from_potential
    from aliquot.uncertainty import committee_from_posterior

    given = _noise(noise)
    if surrogate is None or known is None:
        if not model.endswith(".ace"):
            raise InputError(
                f"{model} does not say what it does not know; give a model.ace fitted with --posterior, or --surrogate"
                " and --known"
            )
        potential = AcePotential.load(model)
        spread = None
        if committee:
            spread = committee_from_posterior(potential, committee, rng=np.random.default_rng(seed))
        return Biased(bias_from_potential(potential, spread=spread, noise=given))
    if committee:
        raise InputError(
            "a committee is drawn from the posterior of MODEL; it has no place beside --surrogate"
        )
    from aliquot.cli.options import read_usable
    from aliquot.properties import open_calculator

    trained, _, _ = read_usable(known, reading, progress)
    bias = bias_from_frames(_surrogate(surrogate, trained, starts), trained, noise=given, progress=progress)
    return Biased(bias, open_calculator(model)[0])


def _surrogate(spec: str, trained: Frames, starts: Frames) -> Surrogate:
    """What ``ace:…`` or ``python:…`` means."""
    from aliquot.explore import AceSurrogate, surrogate_from_python

    if spec.startswith("python:"):
        return surrogate_from_python(spec)
    from aliquot.features import featurizer_of
    from aliquot.features.ace import AceFeaturizer

    found = featurizer_of(spec, tuple(sorted({*trained.elements, *starts.elements})))
    if not isinstance(found, AceFeaturizer):
        raise InputError(
            f"--surrogate {spec}: give ace, with parameters, or python:module:function with a pullback"
        )
    return AceSurrogate.of_basis(found.basis)


def _noise(text: str | None) -> Noise | None:
    """``0.001/0.05/0.01``; ``-`` for virials that will not be there."""
    from aliquot.explore import Noise

    if text is None:
        return None
    parts = text.split("/")
    try:
        energy, forces = float(parts[0]), float(parts[1])
        virial = None if len(parts) < 3 or parts[2] == "-" else float(parts[2])
    except (IndexError, ValueError):
        raise InputError(f"--noise {text}: give energy/forces/virial, as in 0.001/0.05/0.01") from None
    return Noise(energy, forces, virial)


def _tell(screen: Screen, done: Exploration, out: Path) -> None:
    rows = [
        (
            str(i),
            str(pick.walk),
            str(pick.step),
            f"{pick.score:.3f}",
            f"{1000 * pick.sigma:.2f}",
            f"{pick.gain:.2f}",
        )
        for i, pick in enumerate(done.picks)
    ]
    screen.table(
        "Found", ("", "walk", "step", "force uncertainty / force", "σ (meV)", "information (nat)"), rows
    )
    screen.say(
        f"{len(done.picks)} structures from {len(done.walks)} walks of {done.steps} steps in all, {done.seconds:.1f} s;"
        f" {done.gain:.1f} nat of information"
    )
    screen.say(f"Structures: {out}")
