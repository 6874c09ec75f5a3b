"""How does a pool get its labels? One structure after another, kept as they come, and on from where it stopped.

Every answer is on disk before the next structure is begun, under the content hash of its structure; so whatever ends
the labelling, a second run calculates what is missing and nothing else.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from aliquot.errors import InputError
from aliquot.oracle.evaluation import keys_of, structure_of
from aliquot.oracle.judging import ENERGY_KINDS, Limits, assemble
from aliquot.oracle.process import CalculatorProcess, Outcome, Task, attempt, lend
from aliquot.oracle.record import Answer, Labelled
from aliquot.oracle.source import Oracle, as_oracle
from aliquot.oracle.store import Failure, LabelStore
from aliquot.progress import Progress, silent
from aliquot.structures import Frames

__all__ = ["label"]

#: Structures handed to an executor of the caller's before the first comes back.
_AHEAD: Final = 4096

_STAGE: Final = "label structures"


def label(
    frames: Frames,
    calculator: Oracle | Callable[[], Any],
    *,
    folder: Path | str,
    executor: Executor | None = None,
    workers: int = 1,
    timeout: float | None = None,
    retries: int = 1,
    retry_failed: bool = False,
    give_up: int = 20,
    limits: Limits | None = None,
    known: Frames | None = None,
    energy: str = "free_energy",
    isolate: bool = True,
    scratch: Path | str | None = None,
    progress: Progress = silent,
) -> Labelled:
    """Label structures with an ASE calculator.

    Parameters
    ----------
    frames : Frames
        Labels that they have are replaced in what is returned.
    calculator : Oracle or callable
        A factory of calculators (:func:`~aliquot.oracle.as_oracle`), such as ``EMT``.
    folder : Path
        Where answers are kept (:mod:`aliquot.oracle.store`); the same folder again goes on.
    executor : concurrent.futures.Executor, optional
        Where calculations run: processes, a Dask cluster (``client.get_executor()``), SLURM. By default here.
    workers : int
        Calculations at a time, without ``executor``.
    timeout : float, s, optional
        A calculation that takes longer is killed, and counts as failed.
    retries : int
        A calculation that failed is tried again so often, after all others; attempts count through all runs.
    retry_failed : bool
        Try again what earlier runs gave up.
    give_up : int
        Stop when so many structures in a row fail at their first attempt: the oracle is broken, not they.
    limits : Limits, optional
        What is believed.
    known : Frames, optional
        Labelled by the same oracle; energies are compared with theirs too.
    energy : {"free_energy", "energy"}
        Of codes that give both: the one whose derivative the forces are, or the one extrapolated to no smearing.
    isolate : bool
        Calculate in processes of their own, which may crash or hang; False only for calculators that cannot travel.
    scratch : Path, optional
        A folder for the files of calculators that work with files; those of failed calculations stay there. By
        default a temporary one.
    progress : callable

    Raises
    ------
    InputError
        If the oracle cannot be made, the folder cannot be written to, or the executor breaks; what was labelled
        until then is kept.

    Notes
    -----
    A process of its own costs a second or so to start, once per worker and after each failure.

    Examples
    --------
    >>> import tempfile
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> crystals = Frames.from_atoms([bulk("Cu", a=a) for a in (3.5, 3.6, 3.7)])
    >>> found = label(crystals, EMT, folder=tempfile.mkdtemp())
    >>> found.computed, found.frames.energy.values.round(3)
    (3, array([ 0.023, -0.007,  0.03 ]))
    """
    _check(workers=workers, retries=retries, give_up=give_up, timeout=timeout, energy=energy, isolate=isolate)
    oracle = as_oracle(calculator)
    if isolate:
        oracle.check_travels()
    keys = keys_of(frames)
    task = Task(
        oracle.factory,
        oracle.fingerprint,
        timeout=timeout,
        isolate=isolate,
        scratch=None if scratch is None else str(Path(scratch).absolute()),
    )
    with LabelStore(folder, oracle.name, oracle.fingerprint, about=oracle.about) as store:
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        there = store.answers(first)
        run = _Run(store, task, frames, first, 1 + retries, give_up, progress, done=len(there))
        run.missing(set(first) - set(there), retry_failed=retry_failed)
        run.through(executor, workers)
        answers = store.answers(first)
        failures = {key: store.failure(key) for key in first if key not in answers}
    record = assemble(
        frames,
        keys,
        answers,
        failures,
        oracle=oracle.name,
        fingerprint=oracle.fingerprint,
        limits=limits or Limits(),
        known=known,
        energy=energy,
        pending=run.why_pending,
    )
    return replace(record, computed=len(answers) - len(there), reused=len(there))


def _check(
    *, workers: int, retries: int, give_up: int, timeout: float | None, energy: str, isolate: bool
) -> None:
    for name, value, least in (("workers", workers, 1), ("retries", retries, 0), ("give_up", give_up, 1)):
        if value < least:
            raise InputError(f"{name} must be at least {least}; got {value}")
    if timeout is not None and not timeout > 0:
        raise InputError(f"timeout is a positive number of seconds, or None; got {timeout}")
    if timeout is not None and not isolate:
        raise InputError("a time limit needs isolate=True: a calculation in this process cannot be stopped")
    if energy not in ENERGY_KINDS:
        raise InputError(f"energy is one of {', '.join(ENERGY_KINDS)}; got {energy!r}")


@dataclass
class _Run:
    """The labelling under way."""

    store: LabelStore
    task: Task
    frames: Frames
    first: Mapping[str, int]  # key -> position of a frame that has it
    most: int  # attempts
    give_up: int
    progress: Progress
    done: int = 0
    waiting: deque[str] = field(default_factory=deque[str])
    attempts: dict[str, int] = field(default_factory=dict[str, int])
    begun: set[str] = field(default_factory=set[str])
    lost_in_a_row: int = 0
    finished: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)

    def missing(self, keys: set[str], *, retry_failed: bool) -> None:
        """Put in line what has no answer and may be tried."""
        for key in sorted(keys, key=self.first.__getitem__):
            failure = self.store.failure(key)
            self.attempts[key] = 0 if failure is None or retry_failed else failure.attempts
            if self.attempts[key] < self.most:
                self.waiting.append(key)
            else:
                self.done += 1

    def through(self, executor: Executor | None, workers: int) -> None:
        """Calculate all that is in line."""
        total = len(self.first)
        self.progress(_STAGE, self.done, total)
        if not self.waiting:
            return
        if executor is not None:
            self._work(executor, _AHEAD)
            return
        opened: list[CalculatorProcess] = []
        own = ThreadPoolExecutor(workers, "aliquot-label", initializer=lend, initargs=(opened,))
        try:
            self._work(own, workers)
        finally:
            for process in opened:
                process.kill()
            own.shutdown(wait=True, cancel_futures=True)
            for process in opened:
                process.close()

    def _work(self, executor: Executor, ahead: int) -> None:
        flying: dict[Future[Outcome], str] = {}
        try:
            while (self.waiting and not self._hopeless) or flying:
                while self.waiting and len(flying) < ahead and not self._hopeless:
                    key = self.waiting.popleft()
                    structure = structure_of(self.frames, self.first[key])
                    future = executor.submit(attempt, self.task, key, structure)
                    flying[future] = key
                    future.add_done_callback(lambda done, key=key: self._landed(done, key))
                future, outcome, error = self.finished.get()
                key = flying.pop(future)
                if error is not None:
                    raise error
                self._count(key, outcome)
        except BrokenExecutor as error:
            raise InputError(
                f"the executor broke ({error}); what was labelled is kept in {self.store.place}"
            ) from error
        finally:
            for future in flying:
                future.cancel()

    def _landed(self, future: Future[Outcome], key: str) -> None:
        """Keep an answer, in the thread that has it, before that thread begins another structure."""
        try:
            outcome = future.result()
            if outcome.values is not None:
                self.store.keep(key, Answer.from_dict(outcome.values))
            self.finished.put((future, outcome, None))
        except BaseException as error:
            self.finished.put((future, None, error))

    def _count(self, key: str, outcome: Outcome) -> None:
        fresh = key not in self.begun
        self.begun.add(key)
        if outcome.problem is None:
            self.lost_in_a_row = 0
            self.done += 1
        else:
            self.attempts[key] += 1
            self.store.keep_failure(key, Failure(outcome.problem, self.attempts[key]))
            self.lost_in_a_row += fresh
            if self.attempts[key] < self.most:
                self.waiting.append(key)
            else:
                self.done += 1
        self.progress(_STAGE, self.done, len(self.first))

    @property
    def _hopeless(self) -> bool:
        return self.lost_in_a_row >= self.give_up

    @property
    def why_pending(self) -> str:
        """What is said of structures that were not tried."""
        if self._hopeless:
            return f"not tried: {self.lost_in_a_row} others in a row had failed, so the oracle seems broken"
        return "not calculated yet"
