"""Where does a command compute with several processes? In fresh ones, of one BLAS thread each, that end with it."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager

__all__ = ["processes"]


@contextmanager
def processes(workers: int) -> Generator[Executor | None, None, None]:
    """So many processes; None where one is enough, which is this one.

    Interrupted, terminated or killed, the command leaves none behind, and does not wait for what they are at.
    """
    if workers == 1:
        yield None
        return
    import multiprocessing

    fresh = multiprocessing.get_context("spawn")  # a fork takes over locks of threads that it does not have
    with ProcessPoolExecutor(workers, mp_context=fresh, initializer=_begin) as executor:
        try:
            yield executor
        except (KeyboardInterrupt, SystemExit):
            executor.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _begin() -> None:
    """What a worker does first: only a library that is loaded can be limited."""
    import signal
    import threading

    import scipy.linalg.blas  # noqa: F401  (numpy's is loaded with it)
    from threadpoolctl import threadpool_limits

    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # a terminal interrupts all; one command speaks of it, not each worker
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed command says goodbye to nobody, and its workers would wait for work for ever."""
    import multiprocessing
    import os

    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
