"""The process in which a calculator lives: it answers one structure after another until nobody asks.

Started by :mod:`aliquot.oracle.process`, never imported by it. Nothing that happens here can hurt the labelling: a
crash ends this process only, and a hang is ended from outside.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any, Final

from aliquot.oracle.evaluation import evaluate

__all__ = ["main"]

#: Without a question for so long, the process ends, s; another is started when one comes.
_IDLE: Final = 600.0

#: After the time limit this process is given so many seconds to be stopped from outside.
_GRACE: Final = 10.0


def main(handle: int, parent: int) -> None:
    """Receive a factory, make the calculator, and answer until the other end closes.

    Parameters
    ----------
    handle : int
        File descriptor of the connection.
    parent : int
        Process that asks; when it is gone, this one goes too, and with it what the calculator started.
    """
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    connection = Connection(handle)
    try:
        calculator: Any = connection.recv()()
    except BaseException as error:
        connection.send(("broken", _told(error)))
        return
    connection.send(("ready", None))
    while connection.poll(_IDLE):
        try:
            structure, folder, limit = connection.recv()
        except EOFError:
            return
        connection.send(_answered(calculator, structure, folder, limit))


def _answered(calculator: Any, structure: Any, folder: str | None, limit: float | None) -> tuple[str, Any]:
    # the kernel's own alarm: it ends this process even where a library never gives Python a turn
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.0 if limit is None else limit + _GRACE)
    try:
        return "done", evaluate(calculator, structure, folder)
    except Exception as error:
        return "failed", _told(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _told(error: BaseException) -> str:
    """An exception in a line, with the place where it was raised."""
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({os.path.basename(where[0].filename)}, line {where[0].lineno})" if where else ""
    return f"{type(error).__name__}: {error}{place}"


def _follow(parent: int) -> None:
    """End this process and what it started when the one that asks has gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(os.getpgrp(), signal.SIGKILL)
