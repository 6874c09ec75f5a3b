"""Which comparison of methods is asked for on one's own structures? The options of ``aliquot study --pool``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aliquot.cli.method_spec import split_methods
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.studies import Study

__all__ = ["OwnStudy"]


@dataclass(frozen=True)
class OwnStudy:
    """What is said about it; nothing where a study is named.

    Parameters
    ----------
    pool, train : Path, optional
        Files of labelled structures: to choose from, and known already.
    methods : list of str, optional
        With commas, as in ``aliquot compare``.
    budgets : str, optional
        Numbers with commas.
    repeats : int, optional
    """

    pool: Path | None
    train: Path | None = None
    methods: list[str] | None = None
    budgets: str | None = None
    repeats: int | None = None

    def words(self) -> list[str]:
        """The options as they are written."""
        told = {
            "--pool": self.pool,
            "--train": self.train,
            "--methods": ",".join(self.methods or ()),
            "--budgets": self.budgets,
            "--repeats": self.repeats,
        }
        return [str(word) for option, value in told.items() if value for word in (option, value)]

    def declared(self) -> Study:
        """The study.

        Raises
        ------
        InputError
            If a file is not there or an option makes no sense.
        """
        from aliquot.studies.learning_curve import study_of

        assert self.pool is not None
        numbers = [one.strip() for one in (self.budgets or "").split(",") if one.strip()]
        if not all(re.fullmatch("[0-9]{1,9}", one) for one in numbers):
            raise InputError(f"--budgets {self.budgets}: give numbers of structures, as in 10,20,50")
        return study_of(
            self.pool,
            self.train,
            methods=split_methods(self.methods) if self.methods else (),
            budgets=[int(one) for one in numbers],
            repeats=self.repeats,
        )
