r"""How long may dynamics run on a potential? Until the structure leaves what its training set spans.

Every few steps the extrapolation grade γ of every atom comes along with the forces. Above ``select`` the structure is
written down as a candidate for a label; above ``stop`` the run ends, since from there on forces mean little. Files are
appended as the run goes on, and a state is kept from which it resumes after any interruption: what was
written beyond the state is cut off first, so that nothing appears twice.

With ASE the resumed run goes the way that the uninterrupted one would have gone (the thermostat's random numbers are
part of the state); with LAMMPS it goes on from the same positions and velocities.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.progress import Progress, silent
from aliquot.structures import Frames
from aliquot.structures.extended_xyz_writer import lines
from aliquot.uncertainty import Uncertainty
from aliquot.uncertainty.file import digest

__all__ = ["Engine", "Guard", "GuardedRun", "run_guarded"]

Array = NDArray[np.float64]

#: Files of a run, in its folder.
TRAJECTORY: Final = "trajectory.xyz"
CANDIDATES: Final = "candidates.xyz"
GRADES: Final = "grades.csv"
STATE: Final = "state.json"

_FORMAT: Final = "aliquot-md"
_SCHEMA: Final = 1


@dataclass(frozen=True)
class Guard:
    """When to look, when to write down, when to stop.

    Parameters
    ----------
    select, stop : float
        Grades.
    every : int
        Steps between two looks.
    spacing : int
        Steps between two candidates at least; those that follow at once are alike.
    dump : int
        Steps between two frames of the trajectory; 0 for none.
    checkpoint : int
        Steps between two states.

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    select: float = 5.0
    stop: float = 25.0
    every: int = 10
    spacing: int = 20
    dump: int = 100
    checkpoint: int = 500

    def __post_init__(self) -> None:
        if not 0 < self.select <= self.stop:
            raise InputError(
                f"the grades to select at and to stop at must ascend; got {self.select}, {self.stop}"
            )
        if self.every < 1 or self.spacing < 0 or self.dump < 0 or self.checkpoint < 1:
            raise InputError(
                "steps between looks and states must be positive, those between frames not negative"
            )


class Engine(Protocol):
    """What moves the atoms."""

    def advance(self, steps: int) -> Array:
        """So many steps; the grades of all atoms after the last, (n_atoms,)."""
        ...

    def atoms(self) -> Atoms:
        """The structure as it is now, with momenta."""
        ...

    def memory(self) -> dict[str, Any]:
        """What it needs to go on beside positions and momenta, JSON values."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


@dataclass(frozen=True, eq=False)
class GuardedRun:
    """What a guarded run did.

    Parameters
    ----------
    folder : Path
    steps : int
        Done, all parts of a resumed run together.
    reason : str
        Why it ended: ``finished``, or what went wrong.
    grades : (looks, 2) array
        Step and largest grade.
    candidates : int
        Structures written down.
    atoms : ase.Atoms
        The last structure; that of the last state where atoms were lost.
    """

    folder: Path
    steps: int
    reason: str
    grades: Array
    candidates: int
    atoms: Atoms

    @property
    def finished(self) -> bool:
        """Whether all steps were done."""
        return self.reason == "finished"

    @property
    def largest(self) -> float:
        """Largest grade seen."""
        return float(self.grades[:, 1].max(initial=0.0))


@dataclass
class _Log:
    """The files of a run and what is in them."""

    folder: Path
    step: int = 0
    last_candidate: int = -(10**9)
    candidates: int = 0
    grades: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    saved: Atoms | None = None

    def append(self, name: str, text: str) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def frame(self, name: str, atoms: Atoms, gamma: Array, step: int) -> None:
        """Append a structure with the grades of its atoms."""
        bare = atoms.copy()
        bare.calc = None
        bare.arrays["gamma"] = gamma
        bare.info["gamma_max"], bare.info["md_step"] = float(gamma.max(initial=0.0)), step
        text = "".join(lines(Frames.from_atoms([bare])))
        self.append(name, text if text.endswith("\n") else text + "\n")

    def save(self, atoms: Atoms, memory: dict[str, Any], settings: dict[str, Any]) -> None:
        """Write the state, complete or not at all."""
        sizes = {
            name: path.stat().st_size
            for name in (TRAJECTORY, CANDIDATES, GRADES)
            if (path := self.folder / name).exists()
        }
        state = {
            "format": _FORMAT,
            "schema": _SCHEMA,
            "settings": settings,
            "step": self.step,
            "last_candidate": self.last_candidate,
            "candidates": self.candidates,
            "sizes": sizes,
            "atoms": {
                "numbers": atoms.numbers.tolist(),
                "positions": atoms.positions.tolist(),
                "momenta": atoms.get_momenta().tolist(),
                "masses": atoms.get_masses().tolist(),
                "cell": np.asarray(atoms.cell).tolist(),
                "pbc": atoms.pbc.tolist(),
            },
            "memory": memory,
        }
        handle, working = tempfile.mkstemp(prefix=".state-", dir=self.folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(state, file)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(working, 0o666 & ~mask)  # mkstemp makes files that only their owner reads
        os.replace(working, self.folder / STATE)
        self.saved = atoms


def run_guarded(
    known: Uncertainty,
    atoms: Atoms | None,
    make_engine: Callable[[Atoms, dict[str, Any]], Engine],
    *,
    steps: int,
    guard: Guard | None = None,
    folder: Path | str = "md",
    settings: dict[str, Any] | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> GuardedRun:
    """Run dynamics under guard.

    Parameters
    ----------
    known : Uncertainty
    atoms : ase.Atoms or None
        The start, with momenta; None where a run is resumed.
    make_engine : callable
        ``make_engine(atoms, memory)`` gives an :class:`Engine`; memory is empty at the start.
    steps : int
        In all.
    guard : Guard, optional
    folder : path
        New or empty, but for a resumed run.
    settings : dict, optional
        JSON values that a resumed run must share (thermostat, time step).
    resume : bool
        Go on from the state in the folder.
    progress : callable

    Raises
    ------
    InputError
        If the folder holds another run, the state does not fit, or a grade of the start is not finite.
    """
    guard, folder = guard or Guard(), Path(folder)
    shared = {**(settings or {}), "guard": asdict(guard), "potential": digest(known.potential)}
    if resume:
        log, atoms, memory = _resumed(folder, shared)
    else:
        if atoms is None:
            raise InputError("there are no atoms to start from")
        _empty(folder)
        log, memory = _Log(folder), {}
    with _unless_begun(folder), _closing(make_engine(atoms, memory)) as engine:
        reason = _loop(engine, log, guard, steps, shared, progress)
        try:
            last = engine.atoms()
        except InputError:  # lost in an explosion
            if log.saved is None:
                raise
            last = log.saved
    return GuardedRun(folder, log.step, reason, np.array(log.grades).reshape(-1, 2), log.candidates, last)


@contextmanager
def _unless_begun(folder: Path) -> Iterator[None]:
    """No empty folder stays behind of what could not begin."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it holds a run
            folder.rmdir()
        raise


@contextmanager
def _closing(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.close()


def _loop(
    engine: Engine, log: _Log, guard: Guard, steps: int, shared: dict[str, Any], progress: Progress
) -> str:
    """Look, write down, go on; the reason of the end."""
    if log.step == 0 and not log.grades:
        gamma = engine.advance(0)
        log.append(GRADES, "step,gamma_max\n")
        if reason := _look(gamma, engine, log, guard):
            log.save(engine.atoms(), engine.memory(), shared)
            return reason
        log.save(engine.atoms(), engine.memory(), shared)
    while log.step < steps:
        take = min(guard.every, steps - log.step)
        try:
            gamma = engine.advance(take)
        except InputError as error:  # not finite, or atoms on each other: the last state stays
            return f"stopped after step {log.step}: {error}"
        log.step += take
        reason = _look(gamma, engine, log, guard)
        if reason or log.step >= steps or log.step % guard.checkpoint < take:
            log.save(engine.atoms(), engine.memory(), shared)
        if reason:
            return reason
        progress("md", log.step, steps)
    return "finished"


def _look(gamma: Array, engine: Engine, log: _Log, guard: Guard) -> str:
    """Write down what is to be written down; why to stop, if so."""
    top = float(gamma.max(initial=0.0))
    if not np.isfinite(top):
        return f"stopped at step {log.step}: a grade is not finite"
    log.grades.append((log.step, top))
    log.append(GRADES, f"{log.step},{top:.6g}\n")
    if guard.dump and log.step % guard.dump < guard.every:
        log.frame(TRAJECTORY, engine.atoms(), gamma, log.step)
    if top > guard.select and (log.step - log.last_candidate >= guard.spacing or top > guard.stop):
        log.frame(CANDIDATES, engine.atoms(), gamma, log.step)
        log.last_candidate, log.candidates = log.step, log.candidates + 1
    if top > guard.stop:
        atom = int(np.argmax(gamma))
        return f"stopped at step {log.step}: the grade of atom {atom} is {top:.3g}, above {guard.stop:g}"
    return ""


def _empty(folder: Path) -> None:
    if (folder / STATE).exists() or (folder / GRADES).exists():
        raise InputError(f"{folder} holds a run already; resume it, or name another folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder; name a new one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error


def _resumed(folder: Path, shared: dict[str, Any]) -> tuple[_Log, Atoms, dict[str, Any]]:
    """The state of a run; files cut to what they were then."""
    path = folder / STATE
    if not path.is_file():
        raise InputError(f"there is no run to resume in {folder}: {path} does not exist")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["format"] != _FORMAT or state["schema"] != _SCHEMA:
            raise InputError(f"schema {state['schema']!r} is not known here")
        told = state["atoms"]
        atoms = Atoms(
            told["numbers"],
            positions=told["positions"],
            cell=told["cell"],
            pbc=told["pbc"],
            masses=told["masses"],
        )
        atoms.set_momenta(np.array(told["momenta"]))
        log = _Log(folder, int(state["step"]), int(state["last_candidate"]), int(state["candidates"]))
        for name in (TRAJECTORY, CANDIDATES, GRADES):
            if name in state["sizes"]:
                os.truncate(folder / name, int(state["sizes"][name]))
            else:  # begun after the state was written
                (folder / name).unlink(missing_ok=True)
        changed = sorted(
            k for k in {*shared, *state["settings"]} if shared.get(k) != state["settings"].get(k)
        )
        memory = dict(state["memory"])
        table = np.loadtxt(folder / GRADES, delimiter=",", skiprows=1, ndmin=2)
        log.grades = [(int(s), float(g)) for s, g in table]
        log.saved = atoms
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(f"the run in {folder} cannot be resumed: {error}") from error
    if changed:
        raise InputError(
            f"the run in {folder} was made with other settings ({', '.join(changed)}); resume it with the same ones"
        )
    return log, atoms, memory
