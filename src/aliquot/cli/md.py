"""``aliquot md``: dynamics that write down what the potential does not know, and stop where it knows nothing."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aliquot.cli import options
from aliquot.cli.grade_job import active_beside, open_uncertainty
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

    from aliquot.dynamics.guarded import Guard, GuardedRun
    from aliquot.uncertainty import Uncertainty

__all__ = ["md_command"]


class EngineChoice(str, Enum):
    """What moves the atoms."""

    ASE = "ase"
    LAMMPS = "lammps"


def md_command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", show_default=False, help="The potential, model.ace.")
    ],
    start: Annotated[
        Path | None,
        typer.Argument(
            metavar="[START]", show_default=False, help="The structure to start from; not with --resume."
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="New folder: candidates.xyz, trajectory.xyz, grades.csv and the state to resume from.",
        ),
    ] = Path("md"),
    frame: Annotated[int, typer.Option(help="Frame of START, from 0; -1 is the last.")] = -1,
    steps: Annotated[int, typer.Option(min=0, help="Steps in all.")] = 10_000,
    timestep: Annotated[float, typer.Option(metavar="FS", help="Time step, fs.")] = 1.0,
    temperature: Annotated[
        float, typer.Option(metavar="K", help="Of thermostat and first velocities.")
    ] = 300.0,
    friction: Annotated[float, typer.Option(metavar="1/FS", help="Of Langevin dynamics.")] = 0.01,
    nve: Annotated[bool, typer.Option("--nve", help="Constant energy: no thermostat.")] = False,
    engine: Annotated[
        EngineChoice, typer.Option(help="ASE's integrators, or LAMMPS with commands of your own.")
    ] = EngineChoice.ASE,
    commands: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="nvt, or nve",
            help="LAMMPS input for --engine lammps: fixes, in units metal, without run.",
        ),
    ] = None,
    active: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default="MODEL.active", help="The active set (aliquot grade --train)."
        ),
    ] = None,
    select: Annotated[float, typer.Option(help="Above this grade a structure is a candidate.")] = 5.0,
    stop: Annotated[float, typer.Option("--break", help="Above this grade the run ends.")] = 25.0,
    every: Annotated[int, typer.Option(min=1, help="Steps between two looks at the grade.")] = 10,
    spacing: Annotated[int, typer.Option(min=0, help="Steps between two candidates at least.")] = 20,
    dump: Annotated[int, typer.Option(min=0, help="Steps between two frames; 0 writes none.")] = 100,
    checkpoint: Annotated[int, typer.Option(min=1, help="Steps between two states.")] = 500,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state in the folder.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of velocities and thermostat.")] = 0,
    threads: Annotated[
        int | None, typer.Option(min=1, show_default="all cores", help="Threads for the forces.")
    ] = None,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Run dynamics under guard of the extrapolation grade."""
    from aliquot.ace.potential import AcePotential
    from aliquot.dynamics.guarded import Guard, run_guarded

    screen = Screen(quiet=quiet, as_json=as_json)
    if (start is None) != resume:
        raise InputError("give a structure to start from, or --resume without one")
    potential = AcePotential.load(model)
    known = open_uncertainty(active or active_beside(model), potential, model)
    guard = Guard(select, stop, every, spacing, dump, checkpoint)
    own = None if nve else temperature
    words = _commands(commands, timestep, own, seed) if engine is EngineChoice.LAMMPS else None
    if commands is not None and words is None:
        raise InputError("--commands are for --engine lammps")
    make = _engine(known, words, guard, timestep, temperature, own, friction, seed, threads)
    settings = {
        "engine": engine.value,
        "commands": words,
        "timestep": timestep,
        "temperature": own,
        "friction": friction,
    }
    with screen.progress() as progress:
        done = run_guarded(
            known,
            None if start is None else _start(start, frame),
            make,
            steps=steps,
            guard=guard,
            folder=out,
            settings=settings,
            resume=resume,
            progress=progress,
        )
    for note in known.notes:
        screen.warn(f"note: {note}")
    _describe(screen, done, guard)
    screen.emit(_record(model, done, guard))


def _start(path: Path, frame: int) -> Atoms:
    from aliquot.structures import read

    frames = read(str(path))
    if not -len(frames) <= frame < len(frames):
        raise InputError(f"{path} has {len(frames)} frames; there is no frame {frame}")
    atoms = frames[frame % len(frames)].to_atoms()[0]
    bare = atoms.copy()
    for key in [k for k in bare.arrays if k not in ("numbers", "positions", "momenta", "masses")]:
        del bare.arrays[key]
    bare.info = {}
    return bare


def _commands(path: Path | None, timestep: float, temperature: float | None, seed: int) -> str:
    """LAMMPS input: the user's own, or the usual."""
    if path is not None:
        try:
            return f"timestep {timestep / 1000:g}\n{path.read_text(encoding='utf-8')}"
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {path}: {error}") from error
    fix = (
        "fix 1 all nve" if temperature is None else f"fix 1 all nvt temp {temperature:g} {temperature:g} 0.1"
    )
    return f"timestep {timestep / 1000:g}\n{fix}"


def _engine(
    known: Uncertainty,
    words: str | None,
    guard: Guard,
    timestep: float,
    temperature: float,
    own: float | None,
    friction: float,
    seed: int,
    threads: int | None,
) -> Any:
    from aliquot.dynamics.engines import ase_engine, lammps_engine

    if words is not None:
        return lammps_engine(
            known, commands=words, every=guard.every, temperature=temperature, seed=seed, threads=threads
        )
    return ase_engine(
        known,
        timestep=timestep,
        temperature=own,
        start_temperature=temperature,
        friction=friction,
        seed=seed,
        threads=threads,
    )


def _describe(screen: Screen, done: GuardedRun, guard: Guard) -> None:
    screen.say(f"{done.steps} steps, {done.reason}; the largest grade was {done.largest:.3g}")
    screen.say(
        f"{done.candidates} structure{'s' * (done.candidates != 1)} above {guard.select:g} in"
        f" {done.folder / 'candidates.xyz'}"
        if done.candidates
        else f"no structure was above {guard.select:g}"
    )
    screen.say(f"  {done.folder / 'grades.csv'}  step and largest grade, every {guard.every} steps")


def _record(model: Path, done: GuardedRun, guard: Guard) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "command": "md",
        "model": str(model),
        "folder": str(done.folder),
        "steps": done.steps,
        "finished": done.finished,
        "reason": done.reason,
        "largest": done.largest,
        "candidates": done.candidates,
        "guard": asdict(guard),
        "grades": [[int(step), grade] for step, grade in done.grades.tolist()],
    }
