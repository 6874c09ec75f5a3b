"""One family of exceptions: what was asked, what was found, what to do.

Every error that aliquot raises on purpose derives from :class:`AliquotError`, and also from the built-in
exception that a caller would expect (``ValueError``, ``ImportError``), so that both ``except`` clauses work.
"""

from __future__ import annotations

__all__ = ["AliquotError", "FrameError", "InputError", "MissingExtraError", "SelectionError"]


class AliquotError(Exception):
    """Base of every error that aliquot raises on purpose."""


class InputError(AliquotError, ValueError):
    """A parameter, file or table is not what it must be."""


class FrameError(InputError):
    """One frame of one file is unusable.

    Parameters
    ----------
    file : str
        The file as the user named it.
    frame : int
        Number of the frame in that file, from 0; -1 when the whole file is meant.
    problem : str
        What was found, with the value, and what to do about it.

    Examples
    --------
    >>> print(FrameError("pool.xyz", 3, "position of atom 7 is nan; remove the frame"))
    pool.xyz, frame 3: position of atom 7 is nan; remove the frame
    """

    def __init__(self, file: str, frame: int, problem: str) -> None:
        self.file, self.frame, self.problem = file, frame, problem
        where = file if frame < 0 else f"{file}, frame {frame}"
        super().__init__(f"{where}: {problem}")


class SelectionError(AliquotError, ValueError):
    """A selection that cannot be made as asked."""


class MissingExtraError(AliquotError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""
