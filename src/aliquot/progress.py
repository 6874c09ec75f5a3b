"""Progress is a callback: library code reports, the command line draws."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Called as ``progress(stage, done, total)``; ``total`` is 0 where it is not known beforehand."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Say how far ``stage`` has come."""
        ...


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing: the default of every library function."""
