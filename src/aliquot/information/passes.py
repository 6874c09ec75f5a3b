"""Who reads the candidates of a pool: the threads of this process, or the workers of an executor, for the same numbers.

Work is cut into parts before anyone is asked to do it, and answers come back in the order of the parts, so that they
do not depend on who did what. Every part is worked on by one thread, whatever the number of threads: how BLAS would
share a matrix product among several changes its last digits.

Only tables on disk that travel as their path go to an executor: its workers read for themselves. Rows in memory are
worked on faster than they are sent.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# (threadpoolctl brings no types)

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from aliquot.errors import SelectionError
from aliquot.information.blocks import Part
from aliquot.information.protocol import Information
from aliquot.table import Features

__all__ = ["Passes", "Work", "bounds", "gains", "ordered", "threads"]

_TOGETHER = 16  # parts sent as one task
_ENOUGH = 4  # parts that are worth sending
_AHEAD = 16  # tasks that wait in an executor at a time: their rows may be in memory

Indices = NDArray[np.int64]
Vector = NDArray[np.float64]
T = TypeVar("T")

_had: ContextVar[int | None] = ContextVar("_had", default=None)  # threads of BLAS before they were taken

#: What is done with a part: ``work(information, part, *arguments)``.
Work = Callable[..., NDArray[np.float64]]


def gains(information: Information, part: Part) -> Vector:
    """Exact gains."""
    return information.gain(part.blocks())


def bounds(information: Information, part: Part, bound: Vector, since: Indices) -> Vector:
    """Bounds brought to now."""
    lowered = information.lower(part, bound, since=since)
    return information.tighten(part.blocks(), bound, since=since) if lowered is None else lowered


@contextmanager
def threads() -> Generator[ThreadPoolExecutor | None, None, None]:
    """As many threads as BLAS had, which has one from here on; None where that was one.

    Within itself, the same again.
    """
    blas = ThreadpoolController().select(user_api="blas")
    count = _had.get() or max((int(library["num_threads"]) for library in blas.info()), default=1)
    before = _had.set(count)
    try:
        with blas.limit(limits=1):
            if count == 1:
                yield None
            else:
                with ThreadPoolExecutor(count) as pool:
                    yield pool
    finally:
        _had.reset(before)


class Passes:
    """Reads parts of a table, and counts.

    Parameters
    ----------
    table : Features
    executor : Executor, optional
        Takes what is worth sending.
    pool : ThreadPoolExecutor, optional
        Takes the rest, part by part.

    Attributes
    ----------
    rows_read : int
    """

    def __init__(
        self, table: Features, executor: Executor | None = None, pool: ThreadPoolExecutor | None = None
    ) -> None:
        self.table, self.executor, self.pool = table, executor, pool
        self.rows_read = 0

    def parts(self) -> list[Indices]:
        """All candidates, in tiles that depend on nothing but the table."""
        return [np.arange(some.start, some.stop, dtype=np.int64) for some, _ in self.table.tiles()]

    def here(self, job: Callable[..., T], *arguments: Sequence[Any]) -> Iterator[T]:
        """``job`` of each, by the threads of this process, in order."""
        if self.pool is None or len(arguments[0]) < 2:
            yield from map(job, *arguments)
        else:
            yield from ordered(self.pool, job, list(zip(*arguments, strict=True)), tuple)

    def shares(self, parts: Sequence[Indices]) -> bool:
        """Whether this is worth sending to an executor, and there is one."""
        rows: Any = self.table.rows
        return self.executor is not None and not isinstance(rows, np.ndarray) and len(parts) >= _ENOUGH

    def over(
        self, work: Work, information: Information | None, parts: Sequence[Indices]
    ) -> Iterator[NDArray[np.float64]]:
        """``work(information, part)`` of every part, by whoever is there, in order."""
        if self.shares(parts):
            yield from self.map(work, information, parts, [()] * len(parts))
            return

        def job(part: Indices) -> NDArray[np.float64]:
            return work(information, Part.of(self.table, part).here())

        for part, answer in zip(parts, self.here(job, parts), strict=True):
            self.rows_read += int(np.sum(self.table.offsets[part + 1] - self.table.offsets[part]))
            yield answer

    def map(
        self,
        work: Work,
        information: Information | None,
        parts: Sequence[Indices],
        more: Sequence[tuple[Any, ...]],
    ) -> Iterator[NDArray[np.float64]]:
        """``work(information, part, *arguments)`` of every part, by the executor, in order."""
        assert self.executor is not None
        step = max(1, min(_TOGETHER, len(parts) // _ENOUGH))
        groups = [slice(k, k + step) for k in range(0, len(parts), step)]

        def task(group: slice) -> tuple[Any, ...]:
            sent = [Part.of(self.table, some) for some in parts[group]]
            self.rows_read += sum(int(part.offsets[-1]) for part in sent)
            return work, information, sent, list(more[group])

        for answers in ordered(self.executor, _together, groups, task):
            yield from answers


def _together(
    work: Work, information: Information | None, parts: list[Part], more: list[tuple[Any, ...]]
) -> list[NDArray[np.float64]]:
    """A task: runs wherever the executor wants."""
    return [work(information, part.here(), *arguments) for part, arguments in zip(parts, more, strict=True)]


def ordered(
    executor: Executor,
    function: Callable[..., T],
    jobs: Sequence[Any],
    task: Callable[[Any], tuple[Any, ...]],
) -> Iterator[T]:
    """``function(*task(job))`` of every job, by the executor, in order; a few tasks wait at a time.

    Raises
    ------
    SelectionError
        If the workers have gone.
    """
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(executor.submit(function, *task(job)))
            if len(waiting) == _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenExecutor as error:
        raise SelectionError(
            f"the workers of the executor have gone ({error}); perhaps they had too little memory: start fewer of"
            " them, or choose without an executor"
        ) from error
    finally:
        for future in waiting:
            future.cancel()
