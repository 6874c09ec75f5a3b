"""What a solver is: hyper-parameters in the constructor, the problem in ``solve``, the answer a path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from aliquot.progress import Progress, silent
from aliquot.solvers.path import Path
from aliquot.solvers.problem import LeastSquares
from aliquot.solvers.triangle import Triangle

__all__ = ["Method", "Solver"]


class Solver(Protocol):
    """Solves a compressed least-squares problem; a frozen dataclass whose fields are its hyper-parameters."""

    def solve(
        self,
        problem: LeastSquares | Triangle,
        *,
        validation: Triangle | None = None,
        progress: Progress = silent,
    ) -> Path:
        """Find the models of a path.

        Parameters
        ----------
        problem : LeastSquares or Triangle
            A triangle alone has the prior γ = 1.
        validation : Triangle
            Of weighted rows that were not fitted, in the same columns: for errors along the path, and for the choices
            of those methods that make any.
        progress : Progress

        Raises
        ------
        InputError
            If the problem cannot be solved as asked; the message says why.
        """
        ...


@dataclass(frozen=True)
class Method:
    """A line of the catalogue of solvers.

    Parameters
    ----------
    solver : type
        Its hyper-parameters are the fields of this dataclass.
    summary : str
        What it does, in one line.
    cost : str
        For d functions, k of them chosen.
    references : tuple of str
    sparse : bool
        Whether it chooses among the functions.
    heeds : tuple of str
        Which of ``"costs"`` and ``"groups"`` of the problem it keeps to; the others do not change its answer.
    """

    solver: type[Any]
    summary: str
    cost: str
    references: tuple[str, ...]
    sparse: bool
    heeds: tuple[str, ...] = ()
