"""How is a calculation run so that nothing it does can hurt us? In a process of its own, which may be killed.

A process serves many structures, one after another. It is killed, with all that it started, when a calculation takes
longer than allowed; a new one is started for the next structure then, and after a crash.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Final

from aliquot.oracle.evaluation import evaluate

__all__ = ["CalculatorProcess", "Outcome", "Task", "attempt", "lend"]

#: A calculator must be made within this time, s; longer if a single calculation may take longer.
_START_LIMIT: Final = 600.0

_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[3]);"
    " from aliquot.oracle.child import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)

#: What each thread keeps between calculations.
_OWN: Final = threading.local()


@dataclass(frozen=True)
class Task:
    """How a structure is to be calculated; it travels to whatever executes it.

    Parameters
    ----------
    factory : callable
        Makes the calculator.
    fingerprint : str
        Of the oracle; a thread that has its calculator does not make another.
    timeout : float or None, s
    isolate : bool
        In a process of its own, or right where the executor calls.
    scratch : str or None
        A folder in which each calculation gets a folder, removed when it succeeds; None: a temporary one.
    """

    factory: Callable[[], Any]
    fingerprint: str
    timeout: float | None = None
    isolate: bool = True
    scratch: str | None = None


@dataclass(frozen=True)
class Outcome:
    """Values of an answer, or why there are none."""

    values: Mapping[str, Any] | None = None
    problem: str | None = None


def attempt(task: Task, key: str, structure: Mapping[str, Any]) -> Outcome:
    """Calculate one structure, once; any executor may call this, on any machine."""
    with contextlib.ExitStack() as stack:
        if task.scratch is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="aliquot-label-"))
        else:
            folder = str(Path(task.scratch) / key)
            Path(folder).mkdir(parents=True, exist_ok=True)
        outcome = _isolated(task, structure, folder) if task.isolate else _here(task, structure, folder)
        if task.scratch is not None and outcome.problem is None:
            import shutil

            shutil.rmtree(folder, ignore_errors=True)
        return outcome


def lend(opened: list[CalculatorProcess]) -> None:
    """Let processes that this thread opens be known to whoever must end them."""
    _OWN.opened = opened


def _isolated(task: Task, structure: Mapping[str, Any], folder: str) -> Outcome:
    process: CalculatorProcess | None = getattr(_OWN, "process", None)
    if process is None or process.fingerprint != task.fingerprint:
        if process is not None:
            process.close()
        process = CalculatorProcess(task.factory, task.fingerprint)
        _OWN.process = process
        opened: list[CalculatorProcess] | None = getattr(_OWN, "opened", None)
        if opened is not None:
            opened.append(process)
    return process.calculate(structure, folder, task.timeout)


def _here(task: Task, structure: Mapping[str, Any], folder: str) -> Outcome:
    """In this very process; for calculators that cannot travel."""
    made: tuple[str, Any] | None = getattr(_OWN, "made", None)
    try:
        if made is None or made[0] != task.fingerprint:
            made = _OWN.made = (task.fingerprint, task.factory())
        return Outcome(evaluate(made[1], structure, folder))
    except Exception as error:  # other people's code may raise anything
        _OWN.made = None  # it may be in no state to go on
        return Outcome(problem=f"{type(error).__name__}: {error}")


class CalculatorProcess:
    """A process that holds one calculator; it starts with the first structure and again when it was lost.

    Parameters
    ----------
    factory : callable
        Makes the calculator; must be picklable, and importable in a fresh process.
    fingerprint : str
    """

    def __init__(self, factory: Callable[[], Any], fingerprint: str) -> None:
        self.factory, self.fingerprint = factory, fingerprint
        self._closed = False
        self._running: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._said: IO[bytes] | None = None
        self._end: Callable[[], Any] = lambda: None

    def calculate(self, structure: Mapping[str, Any], folder: str, timeout: float | None) -> Outcome:
        """The answer for one structure, or what went wrong."""
        if self._running is None or self._running.poll() is not None:
            problem = self._start(max(_START_LIMIT, timeout or 0.0))
            if problem is not None:
                self._stop()
                return Outcome(problem=problem)
        connection, said = self._connection, self._said
        assert connection is not None
        assert said is not None
        try:
            connection.send((structure, folder, timeout))
            if not connection.poll(timeout):
                self._stop()
                return Outcome(problem=f"took longer than {timeout:g} s and was stopped")
            kind, content = connection.recv()
        except (EOFError, OSError):
            return Outcome(problem=self._last_words())
        if kind == "done":
            said.truncate(0)
            return Outcome(values=content)
        self._stop()  # a calculator that failed may be in no state to go on
        return Outcome(problem=content)

    def kill(self) -> None:
        """End the process now, from any thread; it does not start again, and whoever waits for it learns."""
        self._closed = True
        if self._running is not None:
            _kill(self._running)

    def close(self) -> None:
        """End the process; only from the thread that uses it, or when none does."""
        self._closed = True
        self._stop()

    def _start(self, limit: float) -> str | None:
        """Start the process and make the calculator; what went wrong, if something did."""
        self._stop()
        if self._closed:
            return "the labelling was stopped"
        ours, theirs = Pipe()
        self._said = tempfile.TemporaryFile("a+b")  # noqa: SIM115  (closed by _stop)
        handle = theirs.fileno()
        running = subprocess.Popen(
            [sys.executable, "-c", _START, str(handle), str(os.getpid()), json.dumps(sys.path)],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            pass_fds=[handle],
            start_new_session=True,  # so that it can be killed with all that it started
        )
        theirs.close()
        self._running, self._connection = running, ours
        self._end = weakref.finalize(self, _end, running, ours, self._said)
        if self._closed:  # meanwhile
            return "the labelling was stopped"
        try:
            ours.send(self.factory)
            if not ours.poll(limit):
                return f"the calculator could not be made within {limit:g} s"
            kind, content = ours.recv()
        except (EOFError, OSError):
            return self._last_words()
        return None if kind == "ready" else f"the calculator could not be made: {content}"

    def _last_words(self) -> str:
        """How the process ended, and the last lines that it wrote."""
        running, said = self._running, self._said
        if running is None or said is None:
            return "the labelling was stopped"
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(10)
        status = running.returncode
        how = (
            f"signal {signal.Signals(-status).name}"
            if status is not None and status < 0
            else f"exit {status}"
        )
        size = os.fstat(said.fileno()).st_size
        text = os.pread(said.fileno(), 2000, max(0, size - 2000)).decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()][-3:]
        self._stop()
        return f"the calculation died ({how})" + (f"; it wrote: {' | '.join(lines)}" if lines else "")

    def _stop(self) -> None:
        self._end()
        self._running = self._connection = self._said = None


def _end(running: subprocess.Popen[bytes], connection: Connection, said: IO[bytes]) -> None:
    """Kill a process with all that it started, and wait for it."""
    _kill(running)
    running.wait()
    connection.close()
    said.close()


def _kill(running: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(running.pid, signal.SIGKILL)
