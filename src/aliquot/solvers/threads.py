"""How many threads may linear algebra use? One, where it moves memory or is small.

Products of a matrix and a vector wait for memory, and factorisations of a thousand columns gain less than a factor of
two from more threads; but where other programs want the same cores, threads that wait for each other can make both
twenty times slower.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (threadpoolctl brings no types)

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from threadpoolctl import threadpool_limits

__all__ = ["one_thread", "one_thread_if_small"]

#: Columns from which on factorisations may have all threads.
LARGE: Final = 2000


def one_thread() -> AbstractContextManager[Any]:
    """A context in which linear algebra has one thread."""
    return threadpool_limits(1, "blas")


def one_thread_if_small(n_columns: int) -> AbstractContextManager[Any]:
    """The same for matrices of fewer columns than :data:`LARGE`; all threads for others."""
    return one_thread() if n_columns < LARGE else nullcontext()
